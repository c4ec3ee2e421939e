#!/bin/sh
# Passphrases: set, asked for, changed, taken away; unlock keeps the key in the kernel for a time, lock forgets it and ends the host.
. "${0%/*}/lib.sh"
printf 'correct horse\n' >"$dir/pass"
printf 'battery staple\n' >"$dir/other"
relay_init
relay_start
user alice --passphrase-file "$dir/pass" --low-memory
code=$(sed -n 's/^recovery code: //p' "$dir/err")
printf '%s\n' "$code" | grep -Eqx '([a-z2-7]{4}-){7}[a-z2-7]{4}' || fail "no recovery code: $(cat "$dir/err")"
case $(cat "$dir/out") in *"$code"*) fail "the code is on stdout" ;; esac
p="--passphrase-file $dir/pass"
o="--passphrase-file $dir/other"

refused 6 locked as alice contacts
expect 0 as alice contacts $p
expect 0 as alice contacts --passphrase-fd 5 5<"$dir/pass"

# changed: the old one is no longer good, at no moment both
refused 6 wrong-passphrase as alice passphrase $o --new-passphrase-file "$dir/other" --low-memory
expect 0 as alice passphrase $p --new-passphrase-file "$dir/other" --low-memory
refused 6 wrong-passphrase as alice contacts $p
expect 0 as alice contacts $o

# unlock and lock, where the kernel's keyring can be used
if as alice unlock --for 1m $o 2>"$dir/err"; then
    expect 0 as alice contacts
    expect 0 as alice lock
    refused 6 locked as alice contacts
    expect 0 as alice unlock --for 1s $o
    soon 10 sh -c "! '$tacet' --home '$dir/alice' contacts 2>/dev/null"
else
    echo "no keyring here: $(cat "$dir/err")"
fi
refused 6 wrong-passphrase as alice unlock $p

# lock ends whatever runs on the profile
begin host as alice receive --follow $o
soon 20 test -S "$dir/alice/default/socket"
expect 0 as alice contacts # through the host, no passphrase
expect 0 as alice lock
wait "$host"; rc=$?
is $rc 6
grep -q '^tacet: ' "$dir/host.err" || fail "the host did not say why it ended"
refused 6 locked as alice contacts

# taken away and set again
expect 0 as alice passphrase $o --no-passphrase
expect 0 as alice contacts
expect 0 as alice passphrase --new-passphrase-file "$dir/pass" --low-memory
refused 6 locked as alice contacts
expect 0 as alice contacts $p

# the recovery code: shown once, stored nowhere, taken where a passphrase is, in capitals and groups; it outlives a change of the passphrase
user bob --passphrase-file "$dir/pass" --low-memory --json
says '"recovery_code":"'
code=$(field recovery_code)
plain=$(printf '%s' "$code" | tr -d -)
if grep -arq -e "$code" -e "$plain" "$dir/bob"; then fail "the code is kept in a file"; fi
printf '%s\n' "$code" | tr 'a-z-' 'A-Z ' >"$dir/code"
expect 0 as bob contacts --passphrase-file "$dir/code"
printf '%s\n' "$code" | tr 'olb' '018' >"$dir/code" # as somebody reads it who knows no base32
expect 0 as bob passphrase --passphrase-file "$dir/code" --new-passphrase-file "$dir/other" --low-memory
is "$(grep -c 'recovery code' "$dir/err")" 0
expect 0 as bob contacts $o
printf '%s\n' "$plain" >"$dir/code"
expect 0 as bob contacts --passphrase-file "$dir/code"
printf '%s\n' "$plain" | tr 'a-m2-5' 'n-z67a-b' >"$dir/wrong"
refused 6 wrong-passphrase as bob contacts --passphrase-file "$dir/wrong"
expect 0 as bob passphrase $o --new-passphrase-file "$dir/pass" --low-memory --recovery-code --quiet
tells "recovery code: "
refused 6 wrong-passphrase as bob contacts --passphrase-file "$dir/code"
expect 0 as bob contacts $p
refused 2 usage as bob passphrase $p --no-passphrase --recovery-code
expect 0 as bob passphrase $p --no-passphrase
expect 0 as bob passphrase --new-passphrase-file "$dir/pass" --low-memory
tells "recovery code: "
