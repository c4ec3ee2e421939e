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
npm ci --no-audit --no-fund >npm.log 2>&1 || {
    cat npm.log
    # where nothing can be fetched (no network, a proxy with a certificate that is not known here) there is nothing to test with
    ! grep -qE 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|SELF_SIGNED_CERT|UNABLE_TO_' npm.log || exit 77
    exit 1
}
node vectors.mjs session.json files.json
node run.mjs "$tacet" "$tacetd"
