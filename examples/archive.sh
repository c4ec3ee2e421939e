#!/bin/sh
# A bot in shell: keeps every message that comes in as a line of JSON, in a file for each conversation.
#
#     examples/archive.sh DIRECTORY [OPTIONS OF TACET]
#
# Kill it whenever you like. tacet runs this script once for each message, with the message on stdin, and counts it as handed over only when the script
# ended with 0. So a message can come twice, never not at all: what is there already is not written again.
set -eu

keep_one() {
    IFS= read -r message
    word() { printf '%s\n' "$message" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
    file=$ARCHIVE/$(word conversation).jsonl id=$(word id)
    grep -qsF "\"id\":\"$id\"" "$file" || printf '%s\n' "$message" >>"$file"
}

if [ "${1:-}" = --one ]; then
    keep_one
    exit
fi
[ $# -gt 0 ] || { echo "usage: $0 DIRECTORY [OPTIONS OF TACET]" >&2; exit 2; }
mkdir -p "$1"
ARCHIVE=$(cd "$1" && pwd) ARCHIVER=$(cd "${0%/*}" && pwd)/${0##*/}
export ARCHIVE ARCHIVER
shift
exec "${TACET:-tacet}" "$@" receive --follow --cursor archive --exec '"$ARCHIVER" --one'
