#!/bin/sh
# M13: one contact is blocked while ten others are offline. The ten still reach the mailbox, the blocked one does not, and what it had queued is gone.
. "${0%/*}/lib.sh"
relay_init
relay_start
user alice
user mallory
friends mallory alice
for n in 0 1 2 3 4 5 6 7 8 9; do user friend$n; friends friend$n alice; done

for n in 0 1 2 3 4; do expect 0 as friend$n send alice "before $n"; done
expect 0 as mallory send alice "queued before the block"
expect 0 as alice block mallory
expect 0 as alice contacts --json
says '"blocked":true'
for n in 5 6 7 8 9; do expect 0 as friend$n send alice "after $n"; done
as mallory send alice "after the block" >"$dir/out" 2>"$dir/err"
expect 0 as alice receive
for n in 0 1 2 3 4; do says "friend$n: before $n"; done
for n in 5 6 7 8 9; do says "friend$n: after $n"; done
says_not block
is "$(lines)" 10
refused 1 blocked as alice send mallory "hello?"

# unblocked, the other side gets a new token with the next words of ours
expect 0 as alice unblock mallory
expect 0 as mallory send alice "the new token waits in my mailbox"
expect 0 as alice receive
says "mallory: the new token waits in my mailbox"
expect 0 as alice send mallory "again"
expect 0 as mallory receive
says "alice: again"
expect 0 as mallory send alice "thanks"
expect 0 as alice receive
says "mallory: thanks"
says_not "queued before the block"

# a file of theirs that is on its way stops, and so does one to them
export HOME="$dir/home"
mkdir "$HOME"
truncate -s 2G "$dir/long"
begin sender as mallory send alice --file "$dir/long"
sleep 1
expect 0 as alice receive
expect 0 as alice files --json
id=$(field id)
begin saver as alice save "$id" --to "$dir" --json
soon 30 grep -q progress "$dir/saver.out"
expect 0 as alice block mallory
wait "$saver"
is $? 1
expect 0 as alice files
says "cancelled"
expect 0 as alice unblock mallory
kill "$sender"

# removed: gone with everything that was written
expect 0 as alice remove mallory
refused 5 no-such-contact as alice history mallory
expect 0 as alice search thanks
is "$out" ""
expect 0 as alice contacts
says_not mallory
