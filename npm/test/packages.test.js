'use strict';

// What is in the packages that `cargo xtask npm` has made in NPM_PLACE.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { NPM_PLACE, LAUNCHER, SCOPE, VERSION } = process.env;
const packages = path.join(NPM_PLACE, 'packages');
const tarballs = path.join(NPM_PLACE, 'tarballs');
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

const ELF = { arm64: 183, x64: 62 };
const MACH_O = { arm64: 0x0100000c, x64: 0x01000007 };
const PLATFORMS = ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64'];
const FILES = {
  launcher: [
    'LICENSE',
    'README.md',
    'bin/background-tasks.js',
    'lib/native.js',
    'lib/run.js',
    'package.json',
  ],
  platform: [
    'LICENSE',
    'README.md',
    'THIRD-PARTY.txt',
    'bin/background-tasks',
    'package.json',
    'provenance.json',
  ],
};

function read(name, file) {
  return fs.readFileSync(path.join(packages, name, file));
}

for (const name of ['launcher', ...PLATFORMS]) {
  test(`${name}: npm packs what it should, and nothing else`, () => {
    const cwd = path.join(packages, name);
    const told = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd }));
    const [pack] = Array.isArray(told) ? told : Object.values(told);
    const files = pack.files.map((file) => file.path).sort();
    assert.deepEqual(files, FILES[name] ?? FILES.platform);
    const executable = pack.files.filter((file) => file.mode & 0o111).map((file) => file.path);
    assert.deepEqual(executable, files.filter((file) => file.startsWith('bin/')));
    assert.equal(pack.version, VERSION);
    assert.equal(pack.name, name === 'launcher' ? LAUNCHER : `${SCOPE}/${name}`);
  });
}

for (const name of PLATFORMS) {
  const [system, cpu] = name.split('-');

  test(`${name}: only there, and nothing runs at installation`, () => {
    const manifest = JSON.parse(read(name, 'package.json'));
    assert.deepEqual([manifest.os, manifest.cpu], [[system], [cpu]]);
    assert.equal(manifest.scripts, undefined);
  });

  test(`${name}: provenance and notices`, () => {
    const binary = read(name, 'bin/background-tasks');
    const provenance = JSON.parse(read(name, 'provenance.json'));
    assert.equal(provenance.sha256, sha256(binary));
    assert.equal(provenance.bytes, binary.length);
    assert.match(provenance.commit, /^[0-9a-f]{40}$/);
    const notices = read(name, 'THIRD-PARTY.txt').toString();
    for (const crate of ['serde_json', 'clap', 'musl']) assert.ok(notices.includes(crate), crate);
    assert.ok(!notices.includes('\nserde_derive '), 'macros are not in it');
  });

  test(`${name}: the binary is for that system and processor`, () => {
    const binary = read(name, 'bin/background-tasks');
    if (system === 'linux') checkStaticElf(binary, cpu);
    else checkMachO(binary, cpu);
  });
}

test('the checksums are those of all five tarballs', () => {
  const lines = fs.readFileSync(path.join(tarballs, 'SHA256SUMS'), 'utf8').trim().split('\n');
  const told = Object.fromEntries(lines.map((line) => line.split(/ [ *]/).reverse()));
  const found = fs.readdirSync(tarballs).filter((name) => name.endsWith('.tgz'));
  assert.equal(found.length, 5);
  assert.deepEqual(Object.keys(told).sort(), found.sort());
  for (const name of found) assert.equal(told[name], sha256(fs.readFileSync(path.join(tarballs, name))));
});

function checkStaticElf(binary, cpu) {
  assert.equal(binary.toString('latin1', 0, 4), '\x7fELF');
  assert.equal(binary.readUInt16LE(18), ELF[cpu]);
  const [offset, size, count] = [
    Number(binary.readBigUInt64LE(32)),
    binary.readUInt16LE(54),
    binary.readUInt16LE(56),
  ];
  const types = Array.from({ length: count }, (_, i) => binary.readUInt32LE(offset + i * size));
  assert.ok(!types.includes(3), 'no program interpreter: it is static');
}

function checkMachO(binary, cpu) {
  assert.equal(binary.readUInt32LE(0), 0xfeedfacf);
  assert.equal(binary.readUInt32LE(4), MACH_O[cpu]);
  assert.equal(binary.readUInt32LE(12), 2, 'a program');
  const commands = new Map();
  for (let i = 0, at = 32; i < binary.readUInt32LE(16); i++, at += binary.readUInt32LE(at + 4)) {
    commands.set(binary.readUInt32LE(at), at);
  }
  const signature = commands.get(0x1d);
  if (signature !== undefined) checkSignature(binary, signature);
  // Apple silicon kills what is not signed, be it by nobody in particular.
  else assert.notEqual(cpu, 'arm64', 'LC_CODE_SIGNATURE');
}

/** Every page must have the hash that the ad-hoc signature says: stripping after signing breaks it. */
function checkSignature(binary, command) {
  const [start, size] = [binary.readUInt32LE(command + 8), binary.readUInt32LE(command + 12)];
  const blob = binary.subarray(start, start + size);
  assert.equal(blob.readUInt32BE(0), 0xfade0cc0);
  const directory = blob.subarray(blob.readUInt32BE(16));
  assert.equal(directory.readUInt32BE(0), 0xfade0c02);
  assert.ok(directory.readUInt32BE(12) & 2, 'ad hoc');
  const [hashes, pages, limit] = [16, 28, 32].map((at) => directory.readUInt32BE(at));
  assert.equal(limit, start, 'all that is before the signature');
  assert.deepEqual([directory[36], directory[37]], [32, 2], 'SHA-256');
  const page = 1 << directory[39];
  assert.equal(pages, Math.ceil(limit / page));
  for (let i = 0; i < pages; i++) {
    const bytes = binary.subarray(i * page, Math.min((i + 1) * page, limit));
    const hash = directory.toString('hex', hashes + 32 * i, hashes + 32 * (i + 1));
    assert.equal(hash, sha256(bytes), `page ${i}`);
  }
}
