#!/bin/sh
# Fetches the one library it needs (npm), once, then runs the second implementation against the real programs.   test.sh TACET TACETD
set -eu
cd "$(dirname "$0")"
command -v node >/dev/null && command -v npm >/dev/null || exit 77
# the tree may be read-only or shared: the library goes into the caller's folder
dir=${TACET_INTEROP_DIR:-$(mktemp -d)}
cp ./*.mjs package.json package-lock.json "$dir/"
cd "$dir"
[ -d node_modules ] || npm ci --silent --no-audit --no-fund >npm.log 2>&1 || { cat npm.log; exit 1; }
node vectors.mjs "$1"
node run.mjs "$2" "$3"
[ -n "${TACET_INTEROP_DIR:-}" ] || rm -rf "$dir"
