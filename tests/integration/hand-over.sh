#!/bin/sh
# A message counts as handed over once stdout took it, or the command ended with 0. Until then it comes again; afterwards never.
. "${0%/*}/lib.sh"
two_friends
expect 0 as alice send bob "first"
expect 0 as alice send bob "second"

expect 1 as bob receive --exec 'cat >/dev/null; exit 3'
tells "it comes again"
expect 0 as bob receive --exec 'cat'
is "$(lines)" 2
says '"text":"first"'
says '"text":"second"'
expect 0 as bob receive
is "$out" ""

# only what the command refuses comes again
for word in one two three; do expect 0 as alice send bob "$word"; done
expect 1 as bob receive --exec 'read -r line; case $line in *two*) exit 1 ;; esac'
expect 0 as bob receive
is "$(lines)" 1
says "two"

# the command may use tacet itself, through the host that waits for it
expect 0 as alice send bob "question"
expect 0 as bob receive --exec "'$tacet' --home '$dir/bob' send alice 'answer from inside'"
expect 0 as alice receive
says "bob: answer from inside"

# a reader that goes away, a full disk
expect 0 as alice send bob "into the void"
as bob receive >/dev/full 2>/dev/null && fail "written to a full disk"
(exec 3>&1; as bob receive 2>"$dir/err"; echo $? >"$dir/rc") | sleep 0.001
expect 0 as bob receive --timeout 1s
[ "$(cat "$dir/rc")" = 0 ] || says "into the void"

# stopped in the middle of a command: not handed over
expect 0 as alice send bob "slow"
begin slow as bob receive --exec 'echo started; sleep 30'
soon 10 grep -q started "$dir/slow.out"
kill "$slow"; wait "$slow" 2>/dev/null
expect 0 as bob receive
says "slow"

# Ctrl-C while send waits: the message is in the outbox and goes out with the next command
relay_stop
begin stuck as alice send bob "interrupted" --wait delivered --timeout 1m
wait "$stuck"
is $? 3
relay_start
expect 0 as alice receive
expect 0 as bob receive
says "interrupted"
expect 0 as alice send bob "nobody reads this" --wait stored
begin waits as alice send bob "nobody reads this either" --wait delivered --timeout 1m
soon 10 sh -c "'$tacet' --home '$dir/alice' history bob | grep -q 'this either' && '$tacet' --home '$dir/alice' outbox --json --quiet | grep -c . | grep -qx 0"
kill "$waits"; wait "$waits" 2>/dev/null
[ $? -gt 128 ] || fail "a send that was interrupted looks finished"
expect 0 as bob receive
is "$(lines)" 2
