#!/bin/sh
# F12: no secret in any process's arguments or environment, and none in what a command says, whatever it says.
. "${0%/*}/lib.sh"
secret="xyzzy-plugh-4711"
printf '%s\n' "$secret" >"$dir/pass"
relay_init
relay_start
user alice --passphrase-file "$dir/pass" --low-memory
user bob
expect 0 as bob add "$link_alice"
expect 0 as alice accept bob --passphrase-file "$dir/pass"

begin host as alice receive --follow --passphrase-file "$dir/pass" --exec "tr '\\0' '\\n' </proc/self/environ; cat /proc/\$PPID/cmdline"
soon 20 test -S "$dir/alice/default/socket"
look() { # the arguments and environment of a process and all it started
    for f in /proc/"$1"/cmdline /proc/"$1"/environ; do
        [ -e "$f" ] || fail "no $f"
        if tr '\0' '\n' 2>/dev/null <"$f" | grep -q -e "$secret"; then fail "the passphrase stands in $f"; fi
    done
}
look "$host"
expect 0 as bob receive
expect 0 as bob send alice "hello" --wait delivered --timeout 20s
soon 10 grep -q tacet "$dir/host.out"
if grep -q "$secret" "$dir/host.out" "$dir/host.err"; then fail "a command of --exec sees the passphrase"; fi
kill "$host"; wait "$host" 2>/dev/null

# what people write, search and paste is gone from the arguments, too
begin waits as bob send alice "very private words" --wait delivered --timeout 30s
soon 10 test -S "$dir/bob/default/socket"
if tr '\0' ' ' <"/proc/$waits/cmdline" | grep -q "private"; then fail "the message stands in the arguments"; fi
tr '\0' ' ' <"/proc/$waits/cmdline" | grep -q "send" || fail "the command is gone from the arguments"
kill "$waits"; wait "$waits" 2>/dev/null

# an error never repeats the passphrase
refused 2 usage as alice contacts --passphrase "$secret"
says_not "$secret"
printf '%s-wrong\n' "$secret" >"$dir/wrong"
refused 6 wrong-passphrase as alice contacts --passphrase-file "$dir/wrong"
says_not "$secret"
case $err in *"$secret"*) fail "the error repeats the passphrase" ;; esac

# and no environment variable is taken for one
expect 6 env TACET_PASSPHRASE="$secret" PASSPHRASE="$secret" "$tacet" --home "$dir/alice" contacts </dev/null
