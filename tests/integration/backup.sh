#!/bin/sh
# A backup of a running profile, restored elsewhere: both directions flow again, what was under way comes, the old home is told and sends nothing.
. "${0%/*}/lib.sh"
printf 'the passphrase of the file\n' >"$dir/file-pass"
printf 'another one\n' >"$dir/wrong"
b="--backup-passphrase-file $dir/file-pass"
two_friends
user carol
friends alice carol
expect 0 as alice send bob "one from alice"
expect 0 as bob receive
expect 0 as alice receive --cursor bot # a bot of alice's, from here on
expect 0 as bob send alice "one from bob"
expect 0 as alice receive
expect 0 as alice receive --cursor bot
says "one from bob"
expect 0 as bob send alice "not for the bot yet"
expect 0 as alice receive
says "not for the bot yet"

# while it runs, through the host; and never over a file
begin host as alice receive --follow
soon 10 test -S "$dir/alice/default/socket"
echo precious >"$dir/alice.backup.part" # somebody's file, and not what a killed backup left
refused 1 file-exists as alice backup "$dir/alice.backup" $b --low-memory
tells "alice.backup.part"
is "$(cat "$dir/alice.backup.part")" precious
rm "$dir/alice.backup.part"
expect 0 as alice backup "$dir/alice.backup" $b --low-memory --json
says '"event":"backup"'
says '"contacts":2'
kill "$host"; wait "$host"
[ "$(stat -c %a "$dir/alice.backup")" = 600 ] || fail "the backup can be read by others"
[ ! -e "$dir/alice.backup.part" ] || fail "a part was left"
refused 1 file-exists as alice backup "$dir/alice.backup" $b --low-memory
if grep -aq -e "one from" -e alice -e bob "$dir/alice.backup"; then fail "something can be read in the backup"; fi
# not running, and by a relative name
(cd "$dir" && expect 0 as alice backup second.backup $b --low-memory) || exit 1
is "$(stat -c %s "$dir/alice.backup")" "$(stat -c %s "$dir/second.backup")"

# what happens after the backup: bob's message reaches the old home, and is missing in the new one; two more wait at the relay for the old one
begin host as alice receive --follow
soon 10 test -S "$dir/alice/default/socket"
expect 0 as bob send alice "after the backup" --wait delivered --timeout 20s
kill "$host"; wait "$host"
expect 0 as bob send alice "under way one"
expect 0 as bob send alice "under way two"
expect 0 as alice send bob "the last of the old home" # waits for bob

# what is no backup, is damaged, cut off, or opened with the wrong passphrase: four answers, and nothing is made
head -c 300 /dev/urandom >"$dir/junk"
refused 1 no-backup as new restore "$dir/junk" $b --no-passphrase
head -c 100 "$dir/alice.backup" >"$dir/cut"
refused 1 backup-cut as new restore "$dir/cut" $b --no-passphrase
refused 6 wrong-passphrase as new restore "$dir/alice.backup" --backup-passphrase-file "$dir/wrong" --no-passphrase
refused 5 no-such-file as new restore "$dir/nowhere" $b --no-passphrase
relay_stop
refused 3 relay-unreachable as new restore "$dir/alice.backup" $b --no-passphrase # what it brought stays, and the same command goes on
refused 5 restore-unfinished as new history bob
relay_start

expect 0 as new restore "$dir/alice.backup" $b --no-passphrase --json
says '"event":"whoami"'
says '"devices":[{"id":2,'
says '"contacts":2'
refused 1 account-exists as new restore "$dir/alice.backup" $b --no-passphrase
expect 0 as new history bob
says "alice: one from alice"
says "bob: one from bob"
says_not "after the backup"
expect 0 as new receive --timeout 3s
expect 0 as new contacts --json
says '"name":"bob"'
says '"name":"carol"'

# bob sees it once, and no key change; the old home's last message is there, and what he had under way goes to the new one
expect 0 as bob receive --timeout 1s
says "the last of the old home"
says "new device 2; gone: device 1"
is "$(printf '%s\n' "$out" | grep -c "new device")" 1
expect 0 as bob contacts --json
says '"key_changed":false'
expect 0 as bob receive
is "$out" ""
expect 0 as new receive --timeout 2s
says "bob: under way one"
says "bob: under way two"
says "1 message of bob missing"
says_not "one from bob"

# both directions, with receipts, also with somebody who has heard nothing so far
expect 0 as new send bob "from the new home"
expect 0 as bob receive
says "alice: from the new home"
expect 0 as bob send alice "to the new home"
expect 0 as new receive
says "bob: to the new home"
expect 0 as carol send alice "carol's first"
expect 0 as new receive --timeout 2s
says "carol: carol's first"
expect 0 as new send carol "and back"
expect 0 as carol receive --timeout 1s
says "alice: and back"

# the bot goes on where it was: what it had dealt with is not told again, what it had not is
expect 0 as new receive --cursor bot
says "bob: not for the bot yet"
says "bob: under way one"
says "carol: carol's first"
says_not "one from bob"
expect 0 as new receive --cursor bot
is "$out" ""

# the old home
refused 4 replaced as alice receive # where it hears of it
refused 4 replaced as alice send bob "from the grave"
refused 4 replaced as alice add "$link_carol"
expect 0 as alice history bob
says "after the backup"
expect 0 as bob receive --timeout 1s
says_not "from the grave"
expect 0 as new send bob "the end"
expect 0 as bob receive
is "$(lines)" 1
says "alice: the end"
relay_stop || fail "the relay ended with $relay_rc"
