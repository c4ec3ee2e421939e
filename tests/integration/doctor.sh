#!/bin/sh
# doctor: each thing that can be broken is found, said with what to do, and gives the exit code of its kind; what is sound is said, too.
. "${0%/*}/lib.sh"
relay_init
relay_start
user alice
echo "correct horse" >"$dir/secret"
chmod 600 "$dir/secret"
user bob --passphrase-file "$dir/secret"

# broken WHO WHAT EXIT WORDS [OPTIONS]: doctor says BAD for WHAT and these words, in both ways of printing
broken() {
    who=$1 what=$2 code=$3 words=$4; shift 4
    expect "$code" as "$who" doctor "$@"
    line=$(printf '%s\n' "$out" | grep "^BAD  $what  *") || fail "$what is not found broken: $out"
    case $line in *"$words"*) ;; *) fail "it does not say \"$words\": $line" ;; esac
    tells "lines with BAD"
    expect "$code" as "$who" doctor --json "$@"
    printf '%s\n' "$out" | grep -q "\"event\":\"check\",\"what\":\"$what\",\"ok\":false,\"text\":" || fail "--json does not say it: $out"
    says "\"event\":\"error\",\"code\":\"unhealthy\",\"exit\":$code,"
}
keep() { rm -rf "$dir/kept" && cp -a "$dir/alice" "$dir/kept"; }
mend() { rm -rf "$dir/alice" && cp -a "$dir/kept" "$dir/alice"; }
profile=$dir/alice/default

# everything sound
expect 0 as alice doctor
for what in memory home permissions space 'key file' keyring vault relay clock messages; do
    printf '%s\n' "$out" | grep -q "^ok   $what  *[a-z0-9/]" || fail "nothing about $what: $out"
done
is "$(printf '%s\n' "$out" | grep -vc '^ok ')" 0
expect 0 as alice doctor --json
is "$(printf '%s\n' "$out" | grep -c '"event":"check",.*"ok":true')" 10
is "$err" ""
# ... also beside a host
begin host as alice receive --follow
soon 10 test -S "$profile/socket"
expect 0 as alice doctor
says "another tacet"
kill "$host"; wait "$host"

# home, permissions
broken nobody home 5 "tacet init"
keep
chmod 750 "$profile"
broken alice home 1 "chmod 700"
mend
chmod 640 "$profile/vault.db"
broken alice permissions 1 "chmod 600 $profile/vault.db"
mend
# the key file
chmod 644 "$profile/vault.key"
broken alice permissions 1 "chmod 600 $profile/vault.key"
broken alice 'key file' 1 "chmod 600"
mend
truncate -s 40 "$profile/vault.key"
broken alice 'key file' 1 "Restore it from a backup"
mend
rm "$profile/vault.key"
broken alice 'key file' 1 "Restore it from a backup"
mend
# the vault: its head, and one page in the middle that opening does not read
dd if=/dev/urandom of="$profile/vault.db" bs=64 count=1 conv=notrunc 2>/dev/null
broken alice vault 1 "is damaged"
mend
pages=$(($(stat -c %s "$profile/vault.db") / 4096)) found=
for page in $(seq $((pages / 2)) $((pages - 1))); do
    dd if=/dev/zero of="$profile/vault.db" bs=4096 seek="$page" count=1 conv=notrunc 2>/dev/null
    if as alice contacts >/dev/null 2>&1; then found=1; broken alice vault 1 "is damaged"; mend; break; fi
    mend
done
[ -n "$found" ] || fail "no page could be damaged without being noticed by contacts"
# locked
broken bob vault 6 "tacet unlock" </dev/null
echo "wrong" >"$dir/wrong"; chmod 600 "$dir/wrong"
broken bob vault 6 "wrong passphrase" --passphrase-file "$dir/wrong"
expect 0 as bob doctor --passphrase-file "$dir/secret"
# a keyring that takes nothing: bad for who needs it only
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
    plain=$tacet
    cat >"$dir/keyless" <<KEYLESS
#!/bin/sh
# the leak checker does not work under strace
ASAN_OPTIONS=detect_leaks=0 exec strace -f -o /dev/null -e trace=add_key -e inject=add_key:error=EDQUOT "$plain" "\$@"
KEYLESS
    chmod +x "$dir/keyless"
    tacet=$dir/keyless
    broken bob keyring 1 "--passphrase-file" --passphrase-file "$dir/secret"
    expect 0 as alice doctor
    tacet=$plain
fi
# no room
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
    mkdir "$dir/small"
    cat >"$dir/narrow" <<NARROW
#!/bin/sh
exec unshare -m sh -c 'mount -t tmpfs -o size=16m,mode=700 tmpfs "$dir/small" && cp -a "$dir/alice/." "$dir/small/" && exec "\$@"' sh "$tacet" "\$@"
NARROW
    chmod +x "$dir/narrow"
    plain=$tacet tacet=$dir/narrow
    broken small space 1 "Free some space"
    tacet=$plain
fi
# the clock
export TACET_CLOCK_OFFSET_S=172800
broken alice clock 1 "timedatectl"
unset TACET_CLOCK_OFFSET_S
# the relay: gone, and another one in its place
relay_stop
broken alice relay 3 "no connection"
"$tacetd" init --data "$dir/other" --listen "127.0.0.1:$port" >/dev/null 2>&1 || fail "a second relay"
"$tacetd" run --data "$dir/other" >"$dir/other.out" 2>&1 &
relay_pid=$!
soon 10 grep -q '^ready' "$dir/other.out"
broken alice relay 4 "not the relay with"
