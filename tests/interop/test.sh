#!/bin/sh
# Fetches the one library it needs (npm), then runs the second implementation against the real programs.   test.sh TACET TACETD
set -eu
tacet=$(realpath "$1") tacetd=$(realpath "$2")
cd "$(dirname "$0")"
command -v node >/dev/null && command -v npm >/dev/null || exit 77
dir=$(mktemp -d) # the tree may be read-only
trap 'rm -rf "$dir"' EXIT
cp ../vectors/session.json ../vectors/files.json ./*.mjs package.json package-lock.json "$dir/"
cd "$dir"
npm ci --silent --no-audit --no-fund >npm.log 2>&1 || { cat npm.log; exit 1; }
node vectors.mjs session.json files.json
node run.mjs "$tacet" "$tacetd"
