#!/bin/sh
# receive --exec: each message reaches the command until the command has ended with 0 for it, whatever becomes of the command meanwhile.
. "${0%/*}/lib.sh"
two_friends
log=$dir/log
: >"$log"
handled() { [ "$(grep -c . "$log")" = "$1" ]; }
ask() { printf '{"jsonrpc":"2.0","id":%s,"method":"%s"%s}\n' "$1" "$2" "${3:+,\"params\":$3}"; }
text='sed "s/.*\"text\":\"\([^\"]*\)\".*/\1/"'

# several, in order, each with its own id
for word in one two three; do expect 0 as alice send bob "$word"; done
expect 0 as bob receive --exec "$text >>'$log'"
is "$(tr '\n' ' ' <"$log")" "one two three "

# the text is on stdin and nowhere else
expect 0 as alice send bob "XYZZYplugh"
cat >"$dir/spy" <<'SPY'
#!/bin/sh
tr '\0' ' ' <"/proc/$$/cmdline"; tr '\0' '\n' <"/proc/$$/environ"; tr '\0' ' ' <"/proc/$PPID/cmdline" 2>/dev/null
grep -q XYZZYplugh && echo "stdin has it"
SPY
chmod +x "$dir/spy"
expect 0 as bob receive --exec "$dir/spy"
says "stdin has it"
says_not XYZZYplugh

# refused once: the rest goes on, and it comes again by itself while this goes on, with the same id
expect 0 as alice send bob "stubborn"
expect 0 as alice send bob "easy"
: >"$log"
cat >"$dir/once" <<'ONCE'
#!/bin/sh
read -r line
echo "$line" >>"$1"
case $line in *stubborn*) [ -e "$1.again" ] || { : >"$1.again"; exit 9; } ;; esac
ONCE
chmod +x "$dir/once"
begin follow as bob receive --follow --exec "'$dir/once' '$log'"
soon 20 handled 3
expect 0 as alice send bob "last" # begun only when the one before it is written down as handled
soon 20 handled 4
kill "$follow"; wait "$follow"
is $? 0
grep -q "the command ended with 9 for message" "$dir/follow.err" || fail "nothing was said: $(cat "$dir/follow.err")"
is "$(sed 's/.*"text":"\([a-z]*\)".*/\1/' "$log" | tr '\n' ' ')" "stubborn easy stubborn last "
is "$(grep stubborn "$log" | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/' | sort -u | grep -c .)" 1
expect 0 as bob receive
is "$(printf '%s' "$out" | sed '/  alice: last$/d')" "" # that one may have been ended before it was written down

# without --follow, but with time: also
expect 0 as alice send bob "stubborn again"
rm -f "$log.again"
expect 0 as bob receive --timeout 4s --exec "'$dir/once' '$log'"
tells "it comes again"
expect 0 as bob receive
is "$out" ""

# one that hangs is ended with all that it started; the others get their turn, and it comes again
expect 0 as alice send bob "sleepy"
expect 0 as alice send bob "awake"
: >"$log"
cat >"$dir/hangs" <<'HANGS'
#!/bin/sh
read -r line
case $line in *sleepy*) sleep 300 & echo $! >"$1.child"; wait; exit ;; esac
echo "$line" >>"$1"
HANGS
chmod +x "$dir/hangs"
expect 1 as bob receive --exec "'$dir/hangs' '$log'" --exec-timeout 1s
tells "did not end in time"
handled 1 || fail "the one behind it did not get its turn"
ended() { case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in ''|Z*) ;; *) return 1 ;; esac; }
soon 5 ended "$(cat "$log.child")"
expect 1 as bob receive --exec "trap '' TERM; while :; do sleep 1; done" --exec-timeout 1s
tells "did not end in time"
expect 0 as bob receive
says "sleepy"
is "$(lines)" 1

# a command that does not exist is tried once, not for each message
for word in one two three; do expect 0 as alice send bob "$word"; done
expect 1 as bob receive --exec "$dir/nothing-here"
is "$(printf '%s\n' "$err" | grep -c "ended with 127")" 1
begin follow as bob receive --follow --exec "test -e '$dir/here' || exec '$dir/nothing-here'; cat"
soon 10 grep -q "ended with 127" "$dir/follow.err"
: >"$dir/here"
soon 20 grep -q three "$dir/follow.out"
kill "$follow"; wait "$follow"
is "$(grep -c '"event":"message"' "$dir/follow.out")" 3

# a hundred that it cannot deal with do not bar the way
for n in $(seq 120); do ask "$n" send "{\"to\":\"bob\",\"text\":\"number $n\"}"; done >"$dir/in"
ask 200 sync >>"$dir/in"
expect 0 as alice rpc <"$dir/in"
: >"$log"
expect 1 as bob receive --exec "read -r line; case \$line in *'number 1'*) echo \"\$line\" >>'$log' ;; *) exit 1 ;; esac"
handled 32 || fail "of 1, 10 to 19 and 100 to 120 $(grep -c . "$log") came"
expect 0 as bob receive
is "$(lines)" 88

# two cursors and the common hand: each gets everything
expect 0 as bob receive --cursor left
expect 0 as bob receive --cursor right
expect 0 as alice send bob "for all"
expect 0 as bob receive --cursor left --exec 'cat'
says "for all"
expect 1 as bob receive --cursor right --exec 'exit 1'
expect 0 as bob receive --cursor left
is "$out" ""
expect 0 as bob receive
says "for all"
expect 0 as bob receive --cursor right
says "for all"
expect 0 as bob receive --cursor right
is "$out" ""
refused 2 bad-name as bob receive --cursor 'no good'
