# tests/integration/lib.sh: a relay and people in a temporary folder, driven as a person would: sourced by every script here, whose first two
# arguments are the programs. Everything that was started is ended by its pid, and the folder is removed (TACET_KEEP=1 leaves it).
set -u
tacet=$(realpath "$1") tacetd=$(realpath "$2") # a scene may go to another folder
dir=$(mktemp -d "${TMPDIR:-/tmp}/tacet-it.XXXXXX")
relay_pid= started= out= err=
unset TACET_HOME NO_COLOR 2>/dev/null || true

fail() { echo "FAIL: $*" >&2; exit 1; }
end() {
    rc=$?
    for pid in $started $relay_pid; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
    if [ -n "${TACET_KEEP:-}" ]; then echo "kept: $dir"; else rm -rf "$dir"; fi
    exit $rc
}
trap end EXIT
trap 'exit 130' INT TERM

# --- the relay: relay_init once, then relay_start and relay_stop, on one port -------------------------------------------------------------
port=0 relay=
relay_init() {
    "$tacetd" init --data "$dir/relay" --listen 127.0.0.1:0 "$@" >/dev/null 2>"$dir/relay.err" || fail "tacetd init: $(cat "$dir/relay.err")"
    echo 'blob_account_share = 1' >>"$dir/relay/tacetd.ini" # files are as large here as the disk of the machine allows
}
relay_start() {
    mkfifo "$dir/ready"
    "$tacetd" run --data "$dir/relay" --listen "127.0.0.1:$port" >"$dir/ready" 2>>"$dir/relay.err" &
    relay_pid=$!
    read -r word relay <"$dir/ready" || fail "the relay did not start: $(cat "$dir/relay.err")"
    rm "$dir/ready"
    [ "$word" = ready ] || fail "the relay said: $word $relay"
    port=${relay##*:} port=${port%%/*}
}
relay_stop() { kill "$relay_pid" && wait "$relay_pid"; relay_rc=$?; relay_pid=; return $relay_rc; }
# gone PID...: waits until killed processes hold nothing any more: reaped, or dead with their last thread (which may be in the middle of an fsync)
gone() {
    for pid in "$@"; do
        tries=0
        while [ -d "/proc/$pid" ] && ! { grep -q '^State:[[:space:]]*[ZX]' "/proc/$pid/status" && grep -q '^Threads:[[:space:]]*1$' "/proc/$pid/status"; } 2>/dev/null; do
            tries=$((tries + 1))
            [ $tries -lt 1000 ] || fail "process $pid does not go"
            sleep 0.01
        done
    done
}

# --- people: `as alice send bob hi` -----------------------------------------------------------------------------------------------------------
as() { who=$1; shift; "$tacet" --home "$dir/$who" "$@"; }
# expect CODE COMMAND...: runs it; $out and $err are what it said
expect() {
    want=$1; shift
    "$@" >"$dir/out" 2>"$dir/err"; got=$?
    out=$(cat "$dir/out") err=$(cat "$dir/err")
    [ $got = "$want" ] || fail "exit $got instead of $want: $*
stdout: $out
stderr: $err"
}
# refused CODE WORD COMMAND...: it fails with that exit code and with one line, as every error does, and with --json also with that code word
refused() {
    want=$1 word=$2; shift 2
    expect "$want" "$@"
    [ "$(printf '%s\n' "$err" | wc -l)" = 1 ] || fail "the error is not one line: $err"
    case $err in 'tacet: '?*) ;; *) fail "the error does not begin with 'tacet: ': $err" ;; esac
    expect "$want" "$@" --json
    case $out in *"\"event\":\"error\""*"\"code\":\"$word\",\"exit\":$want,"*) ;; *) fail "--json says not $word ($want): $out" ;; esac
}
says() { case $out in *"$1"*) ;; *) fail "expected on stdout: $1
got: $out" ;; esac; }
says_not() { case $out in *"$1"*) fail "not expected on stdout: $1
got: $out" ;; esac; }
tells() { case $err in *"$1"*) ;; *) fail "expected on stderr: $1
got: $err" ;; esac; }
is() { [ "$1" = "$2" ] || fail "expected \"$2\", got \"$1\"
stdout: $out
stderr: $err"; }
lines() { if [ -z "$out" ]; then echo 0; else printf '%s\n' "$out" | wc -l; fi; }
# field NAME: its text in the first JSON line of $out that has it
field() { printf '%s\n' "$out" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }
# begin VARIABLE COMMAND...: in the background, its output in $dir/VARIABLE.out; the variable gets its pid
begin() {
    var=$1; shift
    if [ "$1" = as ]; then # the program itself, not a shell around it: it is killed by its pid
        who=$2; shift 2
        set -- "$tacet" --home "$dir/$who" "$@"
    fi
    "$@" >"$dir/$var.out" 2>"$dir/$var.err" &
    eval "$var=\$!"
    started="$started $!"
}
# soon SECONDS COMMAND...: until it succeeds
soon() {
    tries=$(($1 * 50)); shift
    while [ $tries -gt 0 ]; do "$@" && return; tries=$((tries - 1)); sleep 0.02; done
    fail "did not happen: $*"
}

user() { # user NAME [init options]
    who=$1; shift
    [ $# -gt 0 ] || set -- --no-passphrase
    expect 0 as "$who" init --relay "$relay" --name "$who" "$@"
    eval "link_$who=\$(tail -n 1 \"\$dir/out\")"
}
friends() { # friends A B: who know each other and have accepted
    eval "b_link=\$link_$2"
    expect 0 as "$1" add "$b_link"
    expect 0 as "$2" requests
    says "$1"
    expect 0 as "$2" accept "$1"
    expect 0 as "$1" receive
}
two_friends() {
    relay_init
    relay_start
    user alice
    user bob
    friends alice bob
}
