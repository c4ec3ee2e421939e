#!/bin/sh
# Strangers ask; accept, reject, add; a name that is there already gets another alias and never takes its place.
. "${0%/*}/lib.sh"
relay_init
relay_start
for name in alice bob carol dave mallory; do user $name; done

expect 0 as bob requests
is "$out" ""
expect 0 as alice add "$link_bob" --text "it is me, from the train" --json
says '"state":"requested"'
expect 0 as alice send bob "sent before you accepted" --json
says '"state":"queued"'
expect 0 as bob receive
says_not "sent before you accepted"
expect 0 as bob requests --json
is "$(lines)" 1
for part in '"event":"request"' '"from":"alice"' '"text":"it is me, from the train"' '"account":"'; do says "$part"; done
refused 5 no-such-contact as bob send carol "whom I do not know"
refused 5 no-such-request as bob accept carol
expect 0 as bob accept alice
expect 0 as bob requests
is "$out" ""
expect 0 as alice receive
expect 0 as bob receive
says "alice: sent before you accepted"

# a rejected one is not told, and cannot write
expect 0 as mallory add "$link_bob" --text "buy"
expect 0 as bob requests
says mallory
expect 0 as bob reject mallory
expect 0 as bob requests
is "$out" ""
expect 0 as mallory send bob "buy now"
expect 0 as bob receive
is "$out" ""
expect 0 as mallory contacts --json
says '"state":"requested"'

# adding somebody who asked accepts; crossing requests count as accepted
expect 0 as carol add "$link_bob"
expect 0 as bob requests
says carol
expect 0 as bob add "$link_carol" --json
says '"state":"accepted"'
expect 0 as carol receive
expect 0 as carol send bob "accepted by adding"
expect 0 as bob receive
says "carol: accepted by adding"
expect 0 as dave add "$link_carol"
expect 0 as carol add "$link_dave"
expect 0 as dave receive
expect 0 as carol receive
expect 0 as dave send carol "we both asked"
expect 0 as carol receive
says "dave: we both asked"

# by name, from the relay's directory: pinned, unverified; an unlisted one is not there
expect 0 as dave add alice --as al --json
says '"name":"al"'
says '"verified":false'
user erin --no-passphrase --unlisted
refused 5 no-such-name as dave add erin
expect 0 as dave add "$link_erin"
refused 5 no-such-name as dave add nobody-here
refused 1 self as dave add "$link_dave"
refused 2 bad-link as dave add "${link_erin%?}"
refused 1 name-in-use as dave rename al carol

# the link through stdin, where no process list shows it
printf '%s\n' "$link_bob" >"$dir/in"
expect 0 as dave add - <"$dir/in"
expect 0 as dave contacts
says bob

# under another alias: that is looked at before anything is accepted, and holds without a relay
user oscar
expect 0 as oscar add "$link_bob"
refused 2 bad-name as bob accept oscar --as 'two words'
refused 1 name-in-use as bob accept oscar --as alice
expect 0 as bob requests
says oscar
relay_stop
expect 3 as bob accept oscar --as ossi
tells "ossi is a contact"
expect 0 as bob contacts
says ossi
says_not oscar
relay_start
expect 0 as bob receive
expect 0 as oscar receive
expect 0 as oscar send bob "you have another name for me"
expect 0 as bob receive
says "ossi: you have another name for me"

# a second alice: another alias, nothing is merged
relay_stop || fail "the relay ended with $relay_rc"
first=$relay
mv "$dir/relay" "$dir/relay.first"; port=0
relay_init
relay_start
expect 0 as alice2 init --relay "$relay" --name alice --no-passphrase
other=$(tail -n 1 "$dir/out")
expect 0 as alice3 init --relay "$relay" --name frank --no-passphrase
frank=$(tail -n 1 "$dir/out")
expect 0 as alice3 add "$other" --as alice
expect 0 as alice2 requests
says frank
[ "$first" != "$relay" ] && [ "$frank" != "$other" ] || fail "the second relay is the first one"
