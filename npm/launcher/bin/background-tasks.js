#!/bin/sh
':' /*; # For sh, which has done its part before the comment ends; for node the rest is below.
platform=$(uname -sm)
case $platform in
  'Linux x86_64') platform=linux-x64 ;;
  'Linux aarch64') platform=linux-arm64 ;;
  'Darwin arm64') platform=darwin-arm64 ;;
  'Darwin x86_64') platform=darwin-x64 ;;
esac
# Node would follow the link at $0. Here the places where npm puts that are tried, which costs no
# process; -ef says whether $0 is ours, so that no other installation answers.
here=${0%/*}
for package in "$here/../{{launcher}}" "$here/../lib/node_modules/{{launcher}}" "$here/.."; do
  [ "$0" -ef "$package/bin/background-tasks.js" ] || continue
  # In node's order: below this package, then beside it.
  for modules in "$package/node_modules" "$package/.."; do
    native=$modules/{{scope}}/$platform/bin/background-tasks
    [ -x "$native" ] && exec "$native" "$@"
  done
done
exec node "$0" "$@"
*/
'use strict';

// What sh did not find: other layouts, and package managers that run this file with node. It also
// has the words for a platform package that is missing.
require('../lib/run.js').run(process.argv.slice(2));
