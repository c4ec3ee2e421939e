#!/bin/sh
# Safety numbers are the same on both sides; only the right one verifies.
. "${0%/*}/lib.sh"
two_friends
expect 0 as alice verify bob --json
number=$(field safety_number)
is "${#number}" 60
says '"verified":false'
expect 0 as bob verify alice --json
is "$(field safety_number)" "$number"
expect 0 as bob verify alice
is "$(printf '%s' "$out" | tr -d ' \n')" "$number"
is "$(lines)" 3

last=${number#???????????????????????????????????????????????????????????}
wrong=${number%?}$(((last + 1) % 10))
refused 4 safety-number-differs as alice verify bob --confirm "$wrong"
refused 2 bad-digits as alice verify bob --confirm "12345"
expect 0 as alice contacts --json
says '"verified":false'
expect 0 as alice verify bob --confirm "$(printf '%s' "$number" | sed 's/...../& /g')"
expect 0 as alice contacts --json
says '"verified":true'
expect 0 as bob contacts --json
says '"verified":false'
expect 0 as bob send alice "now verified"
expect 0 as alice receive --json
says '"verified":true'
refused 1 nothing-changed as alice trust bob
refused 5 no-such-contact as alice trust zoe
refused 5 no-such-contact as alice verify zoe

# another pair has another number
user carol
friends alice carol
expect 0 as alice verify carol --json
[ "$(field safety_number)" != "$number" ] || fail "two pairs, one number"
expect 0 as alice verify carol --qr
[ "$(lines)" -gt 10 ] || fail "no QR code"
