#!/bin/sh
# What a disk, another version, a dead relay and a closed folder do to people: one line, the right exit code, and all of it there afterwards.
# The third argument is tests/support/newer.c.
. "${0%/*}/lib.sh"
newer=$(realpath "$3")
two_friends
pids_of_relay() { ps -o pid= --ppid "$relay_pid"; }
relay_refuses() { # relay_refuses TEXT COMMAND...: exit 1 and one line with this text
    text=$1; shift
    expect 1 "$@"
    case $err in *"$text"*) ;; *) fail "tacetd said: $err" ;; esac
    [ "$(printf '%s\n' "$err" | wc -l)" = 1 ] || fail "the error is not one line: $err"
    case $err in 'tacetd: '?*) ;; *) fail "the error does not begin with 'tacetd: ': $err" ;; esac
}

# a vault of a newer version is left as it is
cp -a "$dir/alice" "$dir/alice.newer"
"$newer" vault "$dir/alice.newer/default" || fail "no newer vault"
sum=$(cksum <"$dir/alice.newer/default/vault.db")
refused 1 vault-newer as alice.newer contacts
refused 1 vault-newer as alice.newer send bob hi
is "$(cksum <"$dir/alice.newer/default/vault.db")" "$sum"

# so is a relay's store
expect 0 as alice send bob "kept by the relay"
expect 0 relay_stop
cp -a "$dir/relay" "$dir/relay.newer"
"$newer" relay "$dir/relay.newer" || fail "no newer store"
relay_refuses "newer tacetd" "$tacetd" run --data "$dir/relay.newer"
relay_refuses "newer tacetd" "$tacetd" check --data "$dir/relay.newer"

# a damaged store: the relay does not start on it, people keep what they write, and a good copy brings everything back
expect 0 "$tacetd" backup "$dir/copy" --data "$dir/relay"
expect 0 "$tacetd" check --data "$dir/relay"
printf 'garbage' | dd of="$dir/relay/relay.db" bs=1 seek=20000 conv=notrunc 2>/dev/null
relay_refuses "damaged" "$tacetd" check --data "$dir/relay"
printf 'garbage' | dd of="$dir/relay/relay.db" bs=1 seek=2000 conv=notrunc 2>/dev/null
relay_refuses "damaged" "$tacetd" run --data "$dir/relay" --listen "127.0.0.1:$port"
refused 3 relay-unreachable as alice send bob "written meanwhile" --timeout 2s
expect 0 "$tacetd" restore "$dir/copy" --data "$dir/relay"
relay_start
expect 0 as alice receive
expect 0 as bob receive
says "kept by the relay"
says "written meanwhile"

# the relay goes away while a message is on its way: it stands still, so that it cannot answer, and is killed
i=0
while [ $i -lt 3 ]; do
    i=$((i + 1))
    family="$relay_pid $(pids_of_relay)"
    # shellcheck disable=SC2086
    kill -STOP $family
    begin sender as alice send bob "in mid-send $i" --timeout 20s
    sleep 0.3
    # shellcheck disable=SC2086
    kill -KILL $family
    wait "$relay_pid" 2>/dev/null
    # shellcheck disable=SC2086
    gone $family
    relay_pid=
    wait "$sender"
    is "$?" 3
    is "$(wc -l <"$dir/sender.err" | tr -d ' ')" 1
    expect 0 as alice outbox
    says "queued"
    relay_start
    expect 0 as alice receive
    expect 0 as bob receive --timeout 2s
    says "in mid-send $i"
    expect 0 as bob receive
    is "$out" ""
done

# a disk that takes nothing: whoever may mount (as root, where the root folder is a mount point) shows it with a mount, everybody else with the owner's rights,
# which bind root, too, without its capability to pass them over
expect 0 as bob send alice "waits for a disk"
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
    closed() { # closed COMMAND...: with a home that is mounted read-only
        unshare -m sh -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"' "$dir/alice" "$@"
    }
    for command in "send bob hi" receive contacts "whoami" "history bob"; do
        # shellcheck disable=SC2086
        refused 1 read-only closed "$tacet" --home "$dir/alice" $command
    done
    mkdir "$dir/empty"
    refused 1 read-only unshare -m sh -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"' "$dir/empty" \
        "$tacet" --home "$dir/empty" init --relay "$relay" --name zoe --no-passphrase
else
    bound=
    [ "$(id -u)" != 0 ] || bound="setpriv --bounding-set -dac_override,-dac_read_search"
    chmod 500 "$dir/alice/default"
    # shellcheck disable=SC2086
    refused 1 read-only $bound "$tacet" --home "$dir/alice" send bob hi
    chmod 700 "$dir/alice/default"
fi
expect 0 as alice receive
says "waits for a disk"
expect 0 as bob receive
is "$out" ""
