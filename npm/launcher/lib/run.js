'use strict';

const { nativePath, platform, platformPackage } = require('./native.js');

/** What would end the launcher, and is meant for the native program. */
const PASSED_ON = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'];

/** Has the native program take this process's place, as far as node can. */
function run(parameters) {
  let native;
  try {
    native = nativePath();
  } catch {
    return fail('Unsupported', missing(), { package: platformPackage, hint: hint() });
  }
  // In many versions a call that fails ends node with a core dump, hence the look before it.
  if (process.execve && isExecutable(native)) {
    try {
      process.execve(native, [native, ...parameters]);
    } catch {
      // A child gives the same answer, or the reason why there is none.
    }
  }
  runAsChild(native, parameters);
}

function isExecutable(file) {
  const fs = require('node:fs');
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The native program as a child that shares everything with us. Not by spawnSync: that is not
 * faster, and while it waits no signal can be passed on.
 */
function runAsChild(native, parameters) {
  let child;
  const passOn = (signal) => child.kill(signal);
  // Before the child is there: what comes in between is heard after this function.
  for (const signal of PASSED_ON) process.on(signal, passOn);
  child = require('node:child_process').spawn(native, parameters, { stdio: 'inherit' });
  child.on('error', (problem) => {
    const hint = `Install ${platformPackage} again.`;
    const details = { path: native, errno_name: problem.code, hint };
    fail('SpawnFailed', `cannot execute ${native}: ${problem.code}`, details);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exit(code);
    }
    for (const name of PASSED_ON) process.removeListener(name, passOn);
    process.kill(process.pid, signal);
    // Reached only if the signal does not end us, being blocked or ignored.
    process.exitCode = 128 + require('node:os').constants.signals[signal];
  });
}

/** The answer of a command that failed, as the native program would write it. */
function fail(type, message, details) {
  const command = process.argv.slice(2).find((word) => !word.startsWith('-')) ?? '';
  const error = { type, message, details: { ...details, retryable: false } };
  require('node:fs').writeSync(2, `${JSON.stringify({ ok: false, command, error })}\n`);
  process.exit(1);
}

function isSupported() {
  return Object.hasOwn(require('../package.json').optionalDependencies, platformPackage);
}

function missing() {
  return isSupported()
    ? `the package ${platformPackage} with the program for this machine is not installed`
    : `there is no package for ${platform}`;
}

function hint() {
  return isSupported()
    ? 'Install {{launcher}} again on this machine, without --omit=optional and without a node_modules folder or lockfile of another platform.'
    : 'Linux and macOS on x64 and arm64 have one; elsewhere, build from the sources with cargo.';
}

module.exports = { run };
