'use strict';

/** `linux-x64` and the like: the end of the platform package's name. */
const platform = `${process.platform}-${process.arch}`;
/** The package that holds the native program for this machine. */
const platformPackage = `{{scope}}/${platform}`;

/** The path of the native program. Throws when its package is not installed. */
function nativePath() {
  return require.resolve(`${platformPackage}/bin/background-tasks`);
}

module.exports = { nativePath, platform, platformPackage };
