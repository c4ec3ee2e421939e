#!/bin/sh
# S09: two processes on one profile. The second one attaches to the first, whoever dies, and nothing is sent or shown twice.
. "${0%/*}/lib.sh"
two_friends

# a host that follows, and commands beside it
begin host as alice receive --follow
soon 10 test -S "$dir/alice/default/socket"
is "$(stat -c %a "$dir/alice/default/socket")" 600
expect 0 as alice send bob "through the host"
expect 0 as alice contacts
expect 0 as alice history bob
expect 0 as bob receive
is "$(lines)" 1
# a message goes to one of two receivers
begin second as alice receive --timeout 60s
sleep 0.3
for n in 1 2 3 4 5 6; do expect 0 as bob send alice "number $n" --wait delivered --timeout 20s; done
soon 10 sh -c "[ \$(cat '$dir/host.out' '$dir/second.out' | wc -l) = 6 ]"
is "$(cat "$dir/host.out" "$dir/second.out" | sed 's/.*number //' | sort | tr '\n' ' ')" "1 2 3 4 5 6 "

# kill -9 on the host: the second one takes over, the socket it left is replaced
kill -9 "$host"; wait "$host" 2>/dev/null
expect 0 as bob send alice "after the kill" --wait delivered --timeout 20s
soon 10 grep -q "after the kill" "$dir/second.out"
expect 0 as alice send bob "through the second"
expect 0 as bob receive
says "through the second"
kill "$second"; wait "$second" 2>/dev/null

# what the killed host had given out and not handed over comes to the next one, and does not wait for another message
begin host as alice receive --follow --exec "cat >/dev/null; echo \$\$ >'$dir/command'; exec sleep 60"
soon 10 test -S "$dir/alice/default/socket"
expect 0 as bob send alice "given to the first" --wait delivered --timeout 20s
soon 10 test -s "$dir/command"
started="$started $(cat "$dir/command")"
begin second as alice receive --follow
expect 0 as bob send alice "beside it" --wait delivered --timeout 20s
soon 10 grep -q "beside it" "$dir/second.out"
grep -q "given to the first" "$dir/second.out" && fail "one message, two receivers"
kill -9 "$host"; wait "$host" 2>/dev/null
soon 10 grep -q "given to the first" "$dir/second.out"
kill "$second"; wait "$second" 2>/dev/null
kill "$(cat "$dir/command")"

# twenty at once, from nothing: each message once, none missing, in the history too
pids=
for n in 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29; do
    as alice send bob "at once $n" >"$dir/once.$n" 2>&1 &
    pids="$pids $!"
done
for pid in $pids; do wait "$pid" || fail "one of twenty failed: $(cat "$dir"/once.*)"; done
expect 0 as bob receive
is "$(lines)" 20
is "$(printf '%s\n' "$out" | sed 's/.*at once //' | sort | uniq | wc -l)" 20
expect 0 as alice history bob --search "at once"
is "$(lines)" 20

# a holder that does not answer is named
(exec 9>>"$dir/alice/default/lock"; flock 9; sleep 20) &
holder=$!
started="$started $holder"
soon 5 sh -c "! flock -n '$dir/alice/default/lock' true"
expect 1 as alice contacts
tells "holds this profile and does not answer"
kill "$holder"
