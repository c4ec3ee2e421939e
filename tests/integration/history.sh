#!/bin/sh
# What was written is there to be read and searched, page by page, without a relay.
. "${0%/*}/lib.sh"
two_friends
for i in 1 2 3 4 5 6 7 8; do expect 0 as alice send bob "message number $i about trains"; done
expect 0 as alice send bob "Ünïcödé Größe naïve"
expect 0 as bob receive
expect 0 as bob send alice "an answer about boats"
expect 0 as alice receive
relay_stop || fail "the relay ended with $relay_rc"

expect 0 as alice history bob
is "$(lines)" 10
is "$(printf '%s\n' "$out" | sed -n '1s/.*: //p')" "message number 1 about trains"
is "$(printf '%s\n' "$out" | sed -n '$s/.*: //p')" "an answer about boats"
expect 0 as bob history alice --limit 3 --json
is "$(lines)" 3
says '"from":"bob"'
says "an answer about boats"
says "number 8"
says_not "number 7"
before=$(field id)
expect 0 as bob history alice --limit 2 --before "$before"
is "$(printf '%s\n' "$out" | sed 's/.*number \([0-9]*\).*/\1/' | tr '\n' ' ')" "6 7 "
expect 0 as alice history bob --search boats
is "$(lines)" 1
says "an answer about boats"
expect 0 as alice history bob --search "trains number 5"
is "$(lines)" 1
expect 0 as alice search trains
is "$(lines)" 8
expect 0 as alice search grosse --json
[ "$(lines)" -le 1 ] || fail "one word found many"
expect 0 as alice search "größe"
says "Größe"
expect 0 as alice search nothinglikethis
is "$out" ""
# what looks like a query language is only words
for query in '"' 'a*' 'NEAR(' 'text:x' "' OR 1=1" ')' '-trains' 'AND'; do
    as alice search "$query" >"$dir/out" 2>"$dir/err"; rc=$?
    [ $rc = 0 ] || [ $rc = 2 ] || fail "search $query: exit $rc, $(cat "$dir/err")"
done
refused 5 no-such-contact as alice history zoe
refused 5 no-such-message as alice history bob --before 00000000000000000000000000000000
# from one message on: that one first, as many as asked for; a page that is cut begins where the last one ended
expect 0 as alice history bob --json
third=$(printf '%s\n' "$out" | sed -n '3s/.*"id":"\([0-9a-f]*\)".*/\1/p') rest=$(printf '%s\n' "$out" | sed -n '3,4p')
from() { printf '{"jsonrpc":"2.0","id":1,"method":"history","params":{"name":"bob","from":"%s","limit":%s}}\n' "$1" "$2" | as alice rpc; }
expect 0 from "$third" 2
is "$(printf '%s' "$out" | grep -o '"event":"message"' | wc -l)" 2
for id in $(printf '%s\n' "$rest" | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/'); do says "$id"; done
expect 0 from 00000000000000000000000000000000 2
says '"code":"no-such-message"'
# a beginning of one letter finds as well, the newest first
expect 0 as alice search t --json --limit 1
[ "$(lines)" = 1 ] || fail "one letter finds nothing"
# no plaintext in any file
if grep -rl "about trains" "$dir/alice" "$dir/bob" "$dir/relay" 2>/dev/null; then fail "plaintext on disk"; fi
