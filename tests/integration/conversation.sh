#!/bin/sh
# Two people write to each other, in both directions, as text and as JSON.
. "${0%/*}/lib.sh"
two_friends

expect 0 as alice send bob "hi bob"
is "$out" ""
expect 0 as bob receive
is "$(lines)" 1
says "  alice: hi bob"
expect 0 as bob receive
is "$out" "" # handed over once
expect 0 as bob send alice "hi alice" --json
says '"v":1,"event":"sent"'
says '"state":"stored"'
id=$(field id)
expect 0 as alice receive --json
is "$(lines)" 1
for part in '"v":1,' '"event":"message"' "\"id\":\"$id\"" '"conversation":"bob"' '"from":"bob"' '"verified":false' '"text":"hi alice"' '"reply_to":null' '"sent_at":"20' '"received_at":"20'; do says "$part"; done

# an answer to a message, from stdin, in several lines, in several scripts
printf 'one\ntwo é 你好 😀\n' >"$dir/in"
expect 0 as alice send bob - --reply "$id" --json <"$dir/in"
expect 0 as bob receive --json
says "\"reply_to\":\"$id\""
says '"text":"one\ntwo é 你好 😀"'
printf 'piped' >"$dir/in"
expect 0 as alice send bob <"$dir/in"
expect 0 as bob receive
says "alice: piped"

# order is kept, and everything comes once
for i in 1 2 3 4 5 6 7 8 9 10; do expect 0 as alice send bob "number $i"; done
expect 0 as bob receive
is "$(printf '%s\n' "$out" | sed 's/.*alice: //' | tr '\n' ' ')" "number 1 number 2 number 3 number 4 number 5 number 6 number 7 number 8 number 9 number 10 "

# whoami, contacts, link
expect 0 as alice whoami --json
for part in '"event":"whoami"' '"name":"alice"' "\"link\":\"$link_alice\"" "\"relay\":\"$relay\"" '"devices":[{'; do says "$part"; done
expect 0 as alice link
is "$out" "$link_alice"
expect 0 as alice contacts --json
says '"event":"contact"'
says '"name":"bob"'
says '"verified":false'
says '"blocked":false'

# a new link: the old one no longer serves strangers, the friends are not touched
expect 0 as alice link --new
[ "$out" != "$link_alice" ] || fail "the link did not change"
user carol
refused 5 link-replaced as carol add "$link_alice"
expect 0 as bob send alice "still here"
expect 0 as alice receive
says "still here"

# --wait delivered, while the other side follows
begin follow as bob receive --follow
soon 10 test -S "$dir/bob/default/socket"
expect 0 as alice send bob "are you there" --wait delivered --timeout 20s --json
says '"state":"delivered"'
soon 10 grep -q "are you there" "$dir/follow.out"
kill "$follow"; wait "$follow"
is $? 0

expect 0 as alice rename bob bobby
expect 0 as alice send bobby "by another name"
expect 0 as bob receive
says "by another name"
expect 0 as alice ping --count 2
says "median"
expect 0 as alice --json ping --count 3
says '"event":"ping-summary","count":3,"min_ms":'
says "ms"
expect 0 as alice doctor
says "ok   relay"
relay_stop || fail "the relay ended with $relay_rc"
