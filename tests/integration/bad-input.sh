#!/bin/sh
# Whatever goes wrong is one line that says what, why and what to do, with the right exit code, and nothing is lost.
. "${0%/*}/lib.sh"
printf 'correct horse\n' >"$dir/pass"
printf 'wrong horse\n' >"$dir/wrong"
: >"$dir/empty"

# wrong usage
refused 2 usage "$tacet"
refused 2 usage "$tacet" frobnicate
refused 2 usage "$tacet" send
refused 2 usage "$tacet" send a b c
refused 2 usage "$tacet" receive --timeout soon
refused 2 usage "$tacet" --passphrase hunter2 contacts
refused 2 usage "$tacet" send bob "$(printf 'not \377 text')"
expect 0 "$tacet" --help
says "usage: tacet"
expect 0 "$tacet" send --help
says "example:"
expect 0 "$tacet" --version
says "tacet "

# no account yet
refused 5 no-account as nobody contacts
refused 5 no-account as nobody send bob hi
[ ! -e "$dir/nobody" ] || fail "a command that only looks made a folder"

relay_init
relay_start

# init that cannot be: nothing is left behind, and the next one works
refused 2 bad-relay as alice init --relay tacet://127.0.0.1:1/short --name alice --no-passphrase
refused 2 bad-relay as alice init --relay example.org --name alice --no-passphrase
expect 6 setsid "$tacet" --home "$dir/alice" init --relay "$relay" --name alice </dev/null
tells "needs a new passphrase and there is nobody to ask" # nothing is locked, and there is nothing to unlock
refused 2 bad-name as alice init --relay "$relay" --name Alice --no-passphrase
refused 2 bad-name as alice init --relay "$relay" --name "a b" --no-passphrase
refused 2 bad-name as alice init --relay "$relay" --name "$(printf 'a%.0s' $(seq 33))" --no-passphrase
last=${relay%?}
case $relay in *a) flipped=${last}q ;; *) flipped=${last}a ;; esac
refused 4 relay-key as alice init --relay "$flipped" --name alice --no-passphrase
closed=$(printf '%s' "$relay" | sed 's#:[0-9][0-9]*/#:1/#')
refused 3 relay-unreachable as alice init --relay "$closed" --name alice --no-passphrase
expect 0 as alice init --relay "$relay" --name alice --passphrase-file "$dir/pass" --low-memory
link_alice=$(tail -n 1 "$dir/out")
p="--passphrase-file $dir/pass"
refused 1 account-exists as alice init --relay "$relay" --name alice2 $p
refused 1 name-taken as alice2 init --relay "$relay" --name alice --no-passphrase
expect 0 as alice2 init --relay "$relay" --name alice2 --no-passphrase
link_alice2=$(tail -n 1 "$dir/out")

# wrong passphrase, none, an empty one, a file that is not there
refused 6 wrong-passphrase as alice whoami --passphrase-file "$dir/wrong"
refused 6 locked as alice whoami </dev/null
expect 1 as alice whoami --passphrase-file "$dir/nowhere"
expect 2 as alice whoami --passphrase-file "$dir/empty"
expect 0 as alice whoami $p

# contacts that are not, a message that is not
refused 5 no-such-contact as alice send zoe hi $p
expect 0 as alice add "$link_alice2" $p
expect 0 as alice2 accept alice
expect 0 as alice receive $p
refused 2 empty as alice send alice2 "" $p
head -c 12289 /dev/zero | tr '\0' a >"$dir/long"
refused 2 too-long as alice send alice2 "$(cat "$dir/long")" $p
expect 2 as alice send alice2 - $p <"$dir/long"
head -c 12288 "$dir/long" >"$dir/longest"
expect 0 as alice send alice2 - $p <"$dir/longest"
expect 0 as alice2 receive --json
is "$(field text | tr -d '\n' | wc -c)" 12288
printf 'not \377 text' >"$dir/in"
expect 2 as alice send alice2 - $p <"$dir/in"
refused 5 no-such-message as alice send alice2 hi --reply 00000000000000000000000000000000 $p
refused 2 bad-search as alice search ' ' $p

# files that others can reach (P13)
chmod 644 "$dir/alice2/default/vault.key"
refused 1 permissions as alice2 contacts
chmod 600 "$dir/alice2/default/vault.key"
chmod 755 "$dir/alice2/default"
refused 1 permissions as alice2 contacts
chmod 700 "$dir/alice2/default"
chmod 777 "$dir/alice2"
refused 1 permissions as alice2 contacts
chmod 755 "$dir/alice2"
expect 0 as alice2 contacts

# damage is told from a wrong passphrase (S07), and nothing is made worse
vault=$dir/alice2/default/vault.db
cp "$vault" "$dir/good"
printf 'garbage' | dd of="$vault" bs=1 seek=2000 conv=notrunc 2>/dev/null
refused 1 vault-damaged as alice2 contacts
cp "$dir/good" "$vault"
expect 0 as alice2 contacts
cp "$dir/alice/default/vault.key" "$dir/key"
printf 'x' | dd of="$dir/alice/default/vault.key" bs=1 seek=40 conv=notrunc 2>/dev/null
refused 1 key-file-damaged as alice contacts $p
cp "$dir/key" "$dir/alice/default/vault.key"
mv "$dir/alice/default/vault.key" "$dir/key"
refused 1 key-file-missing as alice contacts $p
mv "$dir/key" "$dir/alice/default/vault.key"
expect 0 as alice contacts $p

# a file where the folder should be
: >"$dir/file"
expect 1 "$tacet" --home "$dir/file" contacts
refused 2 bad-profile as alice --profile ../x contacts

# stdout that takes nothing: said, and the message comes again
expect 0 as alice send alice2 "not lost" $p
as alice2 receive >/dev/full 2>"$dir/err" && fail "a full stdout was taken for success"
grep -q '^tacet: ' "$dir/err" || fail "nothing was said about a full stdout: $(cat "$dir/err")"
expect 0 as alice2 receive
says "not lost"
