'use strict';

// The packed packages, installed as a person would: from the tarballs without a network, and from
// a registry of our own that serves them, where npm chooses what fits.

const assert = require('node:assert/strict');
const { execFile, execFileSync, spawn, spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { promisify } = require('node:util');

const { NPM_PLACE, LAUNCHER, SCOPE, VERSION, RECENT_NODE } = process.env;
const packages = path.join(NPM_PLACE, 'packages');
const tarballs = path.join(NPM_PLACE, 'tarballs');
const here = `${process.platform}-${process.arch}`;
const BIN = 'background-tasks';

const tarball = (name) => `${name.replace('@', '').replace('/', '-')}-${VERSION}.tgz`;
const place = path.join(NPM_PLACE, 'installed');
const taskEnv = { ...process.env, BACKGROUND_TASKS_HOME: path.join(place, 'home') };
const prefix = path.join(place, 'tarballs');
const command = path.join(prefix, 'node_modules/.bin', BIN);

/** The launcher by its first line, by this node, and by one that may replace itself. */
const ways = [[command], [process.execPath, command]];
if (RECENT_NODE) ways.push([RECENT_NODE, command]);

function run(words, ...parameters) {
  return spawnSync(words[0], [...words.slice(1), ...parameters], {
    cwd: prefix,
    encoding: 'utf8',
    env: taskEnv,
  });
}

function data(result) {
  assert.equal(result.status, 0, result.stderr);
  assert.equal(result.stderr, '');
  return JSON.parse(result.stdout).data;
}

function emptied(folder) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
}

before(() => {
  emptied(place);
  emptied(prefix);
  fs.writeFileSync(path.join(prefix, 'package.json'), '{"private": true}');
  const files = [LAUNCHER, `${SCOPE}/${here}`].map((name) => path.join(tarballs, tarball(name)));
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', ...files], {
    cwd: prefix,
    env: taskEnv,
  });
});

after(() => {
  if (fs.existsSync(command)) {
    run([command], 'stop', '{"all": true}');
  }
});

test('npx runs it', () => {
  const { version } = data(run(['npx', '--offline', BIN], 'version'));
  assert.equal(version, VERSION);
});

test('the exit status of a task is passed on', () => {
  const payload = '{"id": "fails", "shell": "exit 41"}';
  assert.equal(data(run([command], 'start', '--wait', payload)).task.exit_code, 41);
  for (const words of [...ways, ['npx', '--offline', BIN]]) {
    assert.equal(run(words, 'wait', '--exit-code', 'fails').status, 41, words.join(' '));
  }
});

test('a signal ends the program, and it alone', async () => {
  data(run([command], 'start', '{"id": "server", "shell": "echo up; exec sleep 600"}'));
  for (const words of ways) {
    const parameters = ['logs', '--follow', '{"id": "server"}'];
    const child = spawn(words[0], [...words.slice(1), ...parameters], {
      env: taskEnv,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // Its standard output ends when the native program is gone.
    const ended = new Promise((resolve) => child.once('close', (...end) => resolve(end)));
    child.stdout.once('data', () => child.kill('SIGTERM'));
    assert.deepEqual(await ended, [null, 'SIGTERM'], words.join(' '));
  }
  assert.equal(data(run([command], 'status', 'server')).task.status, 'running');
  assert.equal(data(run([command], 'stop', 'server')).task.status, 'killed');
});

test('tasks do not inherit what node ignores', { skip: process.platform !== 'linux' }, () => {
  const native = require(path.join(prefix, 'node_modules', LAUNCHER)).nativePath();
  const ignored = [[native], ...ways].map((words, index) => {
    const payload = { id: `signals-${index}`, command: 'grep', args: ['SigIgn', '/proc/self/status'] };
    const { logs } = data(run(words, 'start', '--wait', JSON.stringify(payload)));
    return logs.lines[0];
  });
  assert.match(ignored[0], /^SigIgn:/);
  assert.deepEqual(new Set(ignored), new Set([ignored[0]]));
});

test('a registry: npm takes the one package that fits', async () => {
  const registry = await serve();
  // A cache of its own: the other already has the tarballs.
  const env = { ...taskEnv, npm_config_cache: path.join(place, 'cache') };
  try {
    const target = path.join(place, 'global');
    emptied(target);
    const install = ['install', '--global', '--prefix', target, '--registry', registry.address];
    await promisify(execFile)('npm', [...install, LAUNCHER], { env });
    assert.deepEqual(registry.sent.sort(), [`${SCOPE}/${here}`, LAUNCHER].sort());
    const { version } = data(run([path.join(target, 'bin', BIN)], 'version'));
    assert.equal(version, VERSION);

    const without = path.join(place, 'without');
    emptied(without);
    const omit = ['install', '--prefix', without, '--registry', registry.address, '--omit=optional'];
    await promisify(execFile)('npm', [...omit, LAUNCHER], { cwd: without, env });
    const result = run([path.join(without, 'node_modules/.bin', BIN)], 'list');
    assert.deepEqual([result.status, result.stdout], [1, '']);
    assert.match(result.stderr, /^[^\n]+\n$/);
    assert.equal(JSON.parse(result.stderr).error.type, 'Unsupported');
  } finally {
    registry.close();
  }
});

/** As much of a registry as npm needs to install; `sent` are the packages whose tarball went out. */
async function serve() {
  const sent = [];
  const names = fs.readdirSync(packages);
  const manifests = names.map((name) =>
    JSON.parse(fs.readFileSync(path.join(packages, name, 'package.json'))),
  );
  const server = http.createServer((request, response) => {
    const wanted = decodeURIComponent(request.url.slice(1));
    const manifest = manifests.find(({ name }) => [name, tarball(name)].includes(wanted));
    if (!manifest) return response.writeHead(404).end('{}');
    const bytes = fs.readFileSync(path.join(tarballs, tarball(manifest.name)));
    if (wanted !== manifest.name) {
      sent.push(manifest.name);
      return response.end(bytes);
    }
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    const dist = { tarball: `http://${request.headers.host}/${tarball(wanted)}`, integrity };
    const versions = { [VERSION]: { ...manifest, dist } };
    const tags = { latest: VERSION };
    return response.end(JSON.stringify({ name: wanted, 'dist-tags': tags, versions }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => (server.close(), server.closeAllConnections());
  return { address: `http://127.0.0.1:${server.address().port}/`, close, sent };
}
