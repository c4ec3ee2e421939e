#!/bin/sh
# Nobody has to be there at the same time: the other side away, the relay away, both.
. "${0%/*}/lib.sh"
two_friends

for i in 1 2 3; do expect 0 as alice send bob "while you were away $i"; done
relay_stop || fail "the relay ended with $relay_rc"

# without a relay: queued, said so, exit 3; more than one, and they stay in order
expect 3 as alice send bob "written without a relay 1" --json
says '"event":"sent"'
says '"state":"queued"'
says '"event":"error"'
says '"exit":3'
expect 3 as alice send bob "written without a relay 2"
is "$out" ""
tells "the message is in the outbox"
is "$(printf '%s\n' "$err" | wc -l)" 1
expect 0 as alice outbox --json
is "$(lines)" 2
expect 3 as bob receive
tells "tacet: no connection to the relay"
expect 0 as alice history bob
says "[not sent yet]"

# any command that reaches the relay carries on with the outbox
relay_start
expect 0 as alice receive
expect 0 as alice outbox --json
is "$out" ""
expect 0 as bob receive
is "$(printf '%s\n' "$out" | sed 's/.*alice: //' | tr '\n' ',')" "while you were away 1,while you were away 2,while you were away 3,written without a relay 1,written without a relay 2,"
expect 0 as alice history bob
says_not "[not sent yet]"

# the relay goes away under a process that follows; it finds it again by itself
begin follow as bob receive --follow
expect 0 as alice send bob "one" --wait delivered --timeout 20s
relay_stop || fail "the relay ended with $relay_rc"
expect 3 as alice send bob "two"
relay_start
expect 0 as alice send bob "three" --wait delivered --timeout 30s
soon 20 grep -q "three" "$dir/follow.out"
is "$(sed 's/.*alice: //' "$dir/follow.out" | tr '\n' ' ')" "one two three "
kill "$follow"; wait "$follow"
is $? 0
