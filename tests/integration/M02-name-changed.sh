#!/bin/sh
# M02: a known name comes with another account. What waited for the old one is held, the new one gets nothing of it, and only `trust` lets it go.
. "${0%/*}/lib.sh"
relay_init
relay_start
user alice
relay_stop
expect 0 "$tacetd" backup "$dir/before-bob" --data "$dir/relay"
relay_start
user bob
user carol
expect 0 as alice add "$link_carol"
expect 0 as alice verify carol --json
expect 0 as alice verify carol --confirm "$(field safety_number)"
expect 0 as alice add "$link_bob"
expect 0 as alice send bob "for the first bob, one"
expect 0 as alice send bob "for the first bob, two"
expect 0 as alice outbox --json
is "$(printf '%s\n' "$out" | grep -c '"state":"waiting"')" 2
expect 0 as alice whoami --json
account_alice=$(field account)

# the relay forgets them, and somebody else takes the names
relay_stop
expect 0 "$tacetd" restore "$dir/before-bob" --data "$dir/relay"
relay_start
expect 0 as mallory init --relay "$relay" --name bob --no-passphrase
expect 0 as mallory add "$link_alice"
expect 0 as trudy init --relay "$relay" --name carol --no-passphrase
expect 0 as trudy add "$link_alice"
expect 0 as alice receive --json --timeout 1s
expect 0 as alice contacts --json
is "$(printf '%s\n' "$out" | grep -c '"key_changed":true')" 2
expect 0 as alice outbox --json
is "$(printf '%s\n' "$out" | grep -c '"state":"held"')" 2

# whoever is not verified is warned of, whoever is verified stops it
expect 0 as alice send bob "for the first bob, three"
tells "key"
expect 0 as alice outbox --json
is "$(printf '%s\n' "$out" | grep -c '"state":"held"')" 3
expect 0 as mallory receive --timeout 1s
says_not "for the first bob"
refused 4 key-changed as alice send carol "for the first carol, never"

# a decision: the name goes to the new account, unverified; what was held leaves now, and not before
expect 0 as mallory receive --timeout 1s
says_not "for the first bob"
expect 0 as alice trust bob
expect 0 as alice contacts --json
is "$(printf '%s\n' "$out" | grep -c '"event":"contact"')" 3
says '"name":"bob-old"'
is "$(printf '%s\n' "$out" | grep -c '"key_changed":true')" 1
is "$(printf '%s\n' "$out" | grep '"name":"bob",' | grep -c '"verified":false')" 1
expect 0 as mallory receive --timeout 2s
for n in one two three; do says "for the first bob, $n"; done
expect 0 as alice send bob "for the second bob"
expect 0 as mallory receive
says "for the second bob"
refused 4 key-changed as alice send carol "for the first carol, never"
expect 0 as trudy receive --timeout 1s
says_not "carol, never"
refused 1 nothing-changed as alice trust bob
