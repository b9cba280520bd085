'use strict';

// The launcher beside a stand-in for the native program, in the layouts that package managers make.
// PACKAGE is the staged launcher, VERSION what cargo calls this version. RECENT_NODE may be a node
// with process.execve, when the one that runs this has none.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');

const manifest = require(path.join(process.env.PACKAGE, 'package.json'));
const platform = `${process.platform}-${process.arch}`;
const platformPackage = Object.keys(manifest.optionalDependencies).find((name) =>
  name.endsWith(`/${platform}`),
);
const BIN = 'background-tasks';

/** Tells its parameters, ends as it is told, or waits for a signal and tells that; not for ever. */
const STAND_IN = `#!/usr/bin/env node
const [verb, ...rest] = process.argv.slice(2);
if (verb === 'exit') process.exit(Number(rest[0]));
else if (verb === 'die') process.kill(process.pid, rest[0]);
else if (verb === 'catch') process.on(rest[0], () => (console.log('caught'), process.exit(7)));
else if (verb !== 'sleep') console.log(JSON.stringify(process.argv.slice(2)));
if (['die', 'catch', 'sleep'].includes(verb)) setTimeout(() => process.exit(99), 10_000);
if (['catch', 'sleep'].includes(verb)) console.log('ready', process.pid);
`;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'launcher-'));
after(() => fs.rmSync(folder, { recursive: true }));

function write(file, content) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content, { mode: 0o755 });
}

function link(target, file) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.symlinkSync(target, file);
}

function addStandIn(modules, content = STAND_IN) {
  const place = path.join(modules, platformPackage);
  write(path.join(place, 'bin', BIN), content);
  write(path.join(place, 'package.json'), JSON.stringify({ name: platformPackage }));
}

/** `node_modules` with the launcher, its command in `.bin`, and beside it the stand-in. */
function layout(name, standIn = true) {
  const modules = path.join(folder, name, 'node_modules');
  fs.cpSync(process.env.PACKAGE, path.join(modules, manifest.name), { recursive: true });
  link(`../${manifest.name}/${manifest.bin[BIN]}`, path.join(modules, '.bin', BIN));
  if (standIn) addStandIn(modules);
  return path.join(modules, '.bin', BIN);
}

/** Ways to run a launcher: by its first line, and by node with and without execve. */
function ways(launcher) {
  const without = path.join(folder, 'without-execve.js');
  fs.writeFileSync(without, 'delete process.execve;\n');
  const all = { sh: [launcher], spawn: [process.execPath, '--require', without, launcher] };
  const recent = process.execve ? process.execPath : process.env.RECENT_NODE;
  if (recent) all.execve = [recent, launcher];
  return Object.entries(all);
}

function run(words, ...parameters) {
  return spawnSync(words[0], [...words.slice(1), ...parameters], { encoding: 'utf8' });
}

function failure(result) {
  assert.equal(result.status, 1);
  assert.equal(result.stdout, '');
  assert.match(result.stderr, /^[^\n]+\n$/, 'one line');
  const answer = JSON.parse(result.stderr);
  assert.equal(answer.ok, false);
  assert.equal(answer.error.details.retryable, false);
  assert.ok(answer.error.details.hint);
  return answer;
}

test('its package says what cargo says', () => {
  assert.equal(manifest.version, process.env.VERSION);
  const pinned = Object.entries(manifest.optionalDependencies);
  assert.equal(pinned.length, 4);
  for (const [name, version] of pinned) assert.equal(version, process.env.VERSION, name);
  assert.equal(manifest.scripts, undefined);
  assert.equal(manifest.dependencies, undefined);
  assert.ok(platformPackage, platform);
});

const launcher = layout('npm');
for (const [way, words] of ways(launcher)) {
  test(`${way}: parameters arrive as they are`, () => {
    const parameters = ['a b', '', '$HOME', '"quoted"', '*', '--', '-x', 'new\nline', 'ü'];
    assert.deepEqual(JSON.parse(run(words, ...parameters).stdout), parameters);
  });

  test(`${way}: the exit status is passed on`, () => {
    for (const code of [0, 1, 3, 255]) assert.equal(run(words, 'exit', code).status, code);
  });

  test(`${way}: the end by a signal is passed on`, () => {
    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGHUP']) {
      assert.equal(run(words, 'die', signal).signal, signal);
    }
  });

  for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR2']) {
    test(`${way}: ${signal} reaches the program, which may do what it likes`, async () => {
      assert.deepEqual(await signalled(words, 'catch', signal), [7, null, 'caught']);
      assert.deepEqual(await signalled(words, 'sleep', signal), [null, signal, '']);
    });
  }
}

/** Sends a signal when the stand-in is ready; how it ended and what it said then. */
async function signalled(words, verb, signal) {
  const child = spawn(words[0], [...words.slice(1), verb, signal], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  for await (const part of child.stdout) {
    if (told === '') child.kill(signal);
    told += part;
  }
  const native = Number(told.match(/^ready (\d+)\n/)[1]);
  const [code, by] =
    child.exitCode === null && child.signalCode === null
      ? await new Promise((resolve) => child.once('exit', (...end) => resolve(end)))
      : [child.exitCode, child.signalCode];
  assert.throws(() => process.kill(native, 0), { code: 'ESRCH' }, 'nothing is left');
  return [code, by, told.slice(told.indexOf('\n') + 1).trimEnd()];
}

test('without node on the path, the shell finds the program', () => {
  const place = layout('shell-only', false);
  addStandIn(path.join(path.dirname(place), '..'), '#!/bin/sh\necho found by sh "$1"\n');
  const bare = path.join(folder, 'bare');
  fs.mkdirSync(bare);
  fs.symlinkSync('/usr/bin/uname', path.join(bare, 'uname'));
  const result = spawnSync(place, ['it'], { encoding: 'utf8', env: { PATH: bare } });
  assert.equal(result.stdout, 'found by sh it\n');
});

test('a global installation, where the program is below the launcher', () => {
  const place = path.join(folder, 'global');
  const modules = path.join(place, 'lib/node_modules');
  fs.cpSync(process.env.PACKAGE, path.join(modules, manifest.name), { recursive: true });
  const below = path.join(modules, manifest.name, 'node_modules');
  addStandIn(below, '#!/bin/sh\necho below\n');
  addStandIn(modules, '#!/bin/sh\necho of another version\n');
  const command = path.join(place, 'bin', BIN);
  link(`../lib/node_modules/${manifest.name}/${manifest.bin[BIN]}`, command);
  for (const [way, words] of ways(command)) assert.equal(run(words).stdout, 'below\n', way);
});

test('a link from elsewhere, past another installation', () => {
  const elsewhere = path.join(folder, 'elsewhere');
  link(launcher, path.join(elsewhere, 'bin', BIN));
  const other = path.join(elsewhere, 'lib/node_modules');
  fs.cpSync(process.env.PACKAGE, path.join(other, manifest.name), { recursive: true });
  addStandIn(other, '#!/bin/sh\necho of another installation\n');
  assert.equal(run([path.join(elsewhere, 'bin', BIN)], 'here').stdout, '["here"]\n');
});

test('a store with links, as pnpm makes it', () => {
  const place = path.join(folder, 'pnpm/node_modules');
  const store = path.join(place, '.pnpm/launcher/node_modules');
  fs.cpSync(process.env.PACKAGE, path.join(store, manifest.name), { recursive: true });
  addStandIn(store, '#!/bin/sh\necho of the store\n');
  link(`.pnpm/launcher/node_modules/${manifest.name}`, path.join(place, manifest.name));
  const script = path.join(place, '.bin', '..', manifest.name, manifest.bin[BIN]);
  assert.equal(run(['/bin/sh', script]).stdout, 'of the store\n');
});

test('a missing platform package is explained in one line', () => {
  for (const [way, words] of ways(layout('missing', false))) {
    const answer = failure(run(words, 'status', '{"id": "x"}'));
    assert.equal(answer.command, 'status', way);
    assert.equal(answer.error.type, 'Unsupported');
    assert.equal(answer.error.details.package, platformPackage);
    assert.ok(answer.error.message.includes(platformPackage));
  }
});

test('a program that cannot be executed is explained in one line', () => {
  const place = layout('damaged');
  fs.chmodSync(path.join(place, '../..', platformPackage, 'bin', BIN), 0o644);
  for (const [way, words] of ways(place)) {
    const { type, details } = failure(run(words, 'list')).error;
    assert.deepEqual([type, details.errno_name], ['SpawnFailed', 'EACCES'], way);
  }
});

test('the path of the program can be asked for', () => {
  const { nativePath } = require(path.join(path.dirname(launcher), '..', manifest.name));
  assert.equal(run([nativePath()], 'direct').stdout, '["direct"]\n');
});
