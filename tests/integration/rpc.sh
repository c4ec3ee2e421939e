#!/bin/sh
# The same engine over JSON-RPC: on stdin and stdout, on a socket, alone and beside a host.
. "${0%/*}/lib.sh"
two_friends
ask() { printf '{"jsonrpc":"2.0","id":%s,"method":"%s"%s}\n' "$1" "$2" "${3:+,\"params\":$3}"; }

{ ask 1 whoami; ask 2 contacts; ask 3 send '{"to":"bob","text":"from rpc"}'; ask 4 sync; ask 5 nothing; echo 'not json'; } >"$dir/in"
expect 0 as alice rpc <"$dir/in"
is "$(lines)" 6
says '{"jsonrpc":"2.0","id":1,"result":{'
says '"id":5,"error":{"code":-32002,'
says '"code":-32700'
expect 0 as bob receive
says "alice: from rpc"

# the same message twice, under one name: sent once
id=0123456789abcdef0123456789abcdef
{ ask 1 send "{\"to\":\"bob\",\"text\":\"once\",\"id\":\"$id\"}"; ask 2 send "{\"to\":\"bob\",\"text\":\"once\",\"id\":\"$id\"}"; ask 3 sync; } >"$dir/in"
expect 0 as alice rpc <"$dir/in"
is "$(printf '%s\n' "$out" | grep -c "\"id\":\"$id\"")" 2
expect 0 as bob receive
is "$(lines)" 1

# beside a host, with events
begin host as bob receive --follow --exec 'exit 1'
soon 10 test -S "$dir/bob/default/socket"
mkfifo "$dir/to"
begin rpc sh -c "exec '$tacet' --home '$dir/bob' rpc <'$dir/to'"
exec 7>"$dir/to"
ask 1 subscribe >&7
soon 10 grep -q '"id":1' "$dir/rpc.out"
expect 0 as alice send bob "an event"
soon 10 grep -q '"method":"event"' "$dir/rpc.out"
exec 7>&-
wait "$rpc"
is $? 0
kill "$host"; wait "$host" 2>/dev/null

# a socket of one's own; what is there and is none stays
echo precious >"$dir/precious"
expect 1 timeout 10 "$tacet" --home "$dir/alice" rpc --socket "$dir/precious"
tells "Choose another path"
is "$(cat "$dir/precious")" precious
begin served as alice rpc --socket "$dir/bot.sock"
soon 10 test -S "$dir/bot.sock"
is "$(stat -c %a "$dir/bot.sock")" 600
python3 - "$dir/bot.sock" <<'PY' || fail "the socket did not answer"
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect(sys.argv[1])
s.sendall(b'{"jsonrpc":"2.0","id":9,"method":"whoami"}\n')
answer = json.loads(s.makefile().readline())
assert answer["id"] == 9 and answer["result"]["name"] == "alice", answer
PY
kill "$served"; wait "$served"
is $? 0
[ ! -e "$dir/bot.sock" ] || fail "the socket was left behind"

# the host dies while something is asked: the next one is found, what has no answer is asked again, and subscriptions go on
begin host as alice receive --follow
soon 10 test -S "$dir/alice/default/socket"
mkfifo "$dir/again"
begin lasting sh -c "exec '$tacet' --home '$dir/alice' rpc <'$dir/again'"
exec 7>"$dir/again"
ask 1 subscribe >&7
ask 2 whoami >&7
soon 10 grep -q '"id":2' "$dir/lasting.out"
kill -STOP "$host"
ask 3 send "{\"to\":\"bob\",\"text\":\"asked twice\",\"id\":\"00000000000000000000000000000003\"}" >&7
sleep 0.3
grep -q '"id":3' "$dir/lasting.out" && fail "a host that stands still has answered"
kill -KILL "$host"; wait "$host" 2>/dev/null
soon 10 grep -q '"id":3,"result":' "$dir/lasting.out"
expect 0 as bob send alice "to the new host"
soon 10 grep -q '"method":"event".*to the new host' "$dir/lasting.out"
exec 7>&-
wait "$lasting"
is $? 0
expect 0 as bob receive
is "$(printf '%s\n' "$out" | grep -c "asked twice")" 1
