#!/bin/bash
# The installed tree, as a packager gets it: programs, manual pages, completions, the systemd unit. What they say is held against --help, which is made
# from the tables that the programs parse with.
set -u
tacet=$1 tacetd=$2 build=$3 prefix=$4
dir=$(mktemp -d "${TMPDIR:-/tmp}/tacet-it.XXXXXX")
relay=
end() { rc=$?; [ -z "$relay" ] || { kill "$relay" && wait "$relay"; } 2>/dev/null; rm -rf "$dir"; exit $rc; }
trap end EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }

# --- installing --------------------------------------------------------------------------------------------------------------------------------
meson install -C "$build" --no-rebuild --destdir "$dir/root" >"$dir/install.log" 2>&1 || { cat "$dir/install.log"; fail "meson install"; }
at=$dir/root$prefix
(cd "$at" && find . -type f | sed 's/^\.//' | sort) >"$dir/installed"
cat >"$dir/wanted" <<'WANTED'
/bin/tacet
/bin/tacetd
/lib/systemd/system/tacetd.service
/share/bash-completion/completions/tacet.bash
/share/bash-completion/completions/tacetd.bash
/share/fish/vendor_completions.d/tacet.fish
/share/fish/vendor_completions.d/tacetd.fish
/share/man/man1/tacet.1
/share/man/man5/tacetd.ini.5
/share/man/man7/tacet-rpc.7
/share/man/man8/tacetd.8
/share/zsh/site-functions/_tacet
/share/zsh/site-functions/_tacetd
WANTED
diff "$dir/wanted" "$dir/installed" || fail "other files are installed than should be"
"$at/bin/tacet" --version | grep -q '^tacet [0-9]' && "$at/bin/tacetd" --version | grep -q '^tacetd [0-9]' || fail "the installed programs do not start"

# --- --help, and everything that has to say the same ----------------------------------------------------------------------------------------
commands_of() { # the words of the list of commands
    case $1 in
        *tacetd) "$1" --help | sed -n 's/^  tacetd \([a-z][a-z]*\) .*/\1/p' ;;
        *) "$1" --help | sed -n '/^commands:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p' ;;
    esac
}
page() { mandoc -T utf8 -O width=200 "$1" | LC_ALL=C.UTF-8 sed 's/.\x08//g'; }
for program in "$tacet:tacet.1" "$tacetd:tacetd.8"; do
    run=${program%:*} man=$at/share/man/man${program##*.}/${program#*:} name=${program#*:} name=${name%.*}
    page "$man" >"$dir/page"
    commands=$(commands_of "$run")
    [ "$(echo "$commands" | wc -l)" -ge 8 ] || fail "$name --help lists no commands"
    for c in $commands; do
        "$run" "$c" --help >"$dir/help" 2>"$dir/err" || fail "$name $c --help: $(cat "$dir/err")"
        grep -A1 '^example' "$dir/help" | grep -q "$name $c" || fail "$name $c --help has no example"
        grep -q "^ *$name $c" "$dir/page" || fail "$name's manual page lacks $c"
        example=$(grep -A1 '^example' "$dir/help" | tail -n 1 | sed 's/^ *//')
        grep -qF -- "$example" "$dir/page" || fail "$name's manual page lacks the example of $c"
        for o in $(sed -n 's/^  \(--[a-z-]*\) .*/\1/p' "$dir/help"); do
            [ "$name:$o" = tacetd:--help ] || grep -q -- "^ *$o\b" "$dir/page" || fail "$name's manual page lacks $o of $c"
            grep -q -- "-l ${o#--} " "$at/share/fish/vendor_completions.d/$name.fish" || fail "the fish completion lacks $o of $c"
            grep -q -- "'$o\[" "$at/share/zsh/site-functions/_$name" || fail "the zsh completion lacks $o of $c"
        done
        grep -q -- "-a $c -d" "$at/share/fish/vendor_completions.d/$name.fish" || fail "the fish completion lacks $c"
        grep -q "^        '$c:" "$at/share/zsh/site-functions/_$name" || fail "the zsh completion lacks $c"
        grep -q "^    $c) " "$at/share/bash-completion/completions/$name.bash" || fail "the bash completion lacks $c"
    done
done

# --- manual pages ------------------------------------------------------------------------------------------------------------------------------
for page in "$at"/share/man/man?/*; do
    mandoc -T lint -W error "$page" || fail "${page##*/} is no clean manual page"
    warnings=$(groff -k -man -ww -z -T utf8 -rLL=150n "$page" 2>&1)
    [ -z "$warnings" ] || fail "${page##*/}: $warnings"
done
"$tacetd" init --data "$dir/relay" --listen 127.0.0.1:0 >/dev/null || fail "tacetd init"
page "$at/share/man/man5/tacetd.ini.5" >"$dir/page"
keys=$(sed -n 's/^;* *\([a-z_]*\) = .*/\1/p' "$dir/relay/tacetd.ini")
[ "$(echo "$keys" | wc -l)" -ge 15 ] || fail "tacetd init wrote no keys"
for key in $keys; do grep -q "\b$key\b" "$dir/page" || fail "tacetd.ini(5) lacks $key"; done
for key in $(sed -n 's/^ *\([a-z_]*\) = .*/\1/p' "$dir/page"); do
    [ "$key" = public ] || echo "$keys" | grep -qx "$key" || fail "tacetd.ini(5) has $key, which tacetd does not know"
done
page "$at/share/man/man7/tacet-rpc.7" >"$dir/page"
for word in cursor-remove key-changed quarantined 'at least once'; do grep -q "$word" "$dir/page" || fail "tacet-rpc(7) lacks $word"; done

# --- completions -------------------------------------------------------------------------------------------------------------------------------
for name in tacet tacetd; do
    bash -n "$at/share/bash-completion/completions/$name.bash" || fail "bash does not read the completion of $name"
    zsh -n "$at/share/zsh/site-functions/_$name" || fail "zsh does not read the completion of $name"
    fish -n "$at/share/fish/vendor_completions.d/$name.fish" || fail "fish does not read the completion of $name"
done
completes() { # completes WANTED WORD...: the last word under the cursor
    wanted=$1; shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    "_$1" || true
    [ "${COMPREPLY[*]}" = "$wanted" ] || fail "$*<TAB> gives '${COMPREPLY[*]}' instead of '$wanted'"
}
. "$at/share/bash-completion/completions/tacet.bash"
. "$at/share/bash-completion/completions/tacetd.bash"
completes "send search" tacet se
completes "--wait" tacet --home /somewhere send bob --w
completes "stored delivered" tacet send bob --wait ""
completes "--follow" tacet receive --fo
completes "" tacet contacts --follow
completes "rekey restore" tacetd re
completes "open invite closed" tacetd init --registration ""
[ "$(fish -c "source $at/share/fish/vendor_completions.d/tacet.fish; complete -C 'tacet se'" | cut -f1 | sort | tr '\n' ' ')" = "search send " ] || fail "fish does not complete"

# --- the service -------------------------------------------------------------------------------------------------------------------------------
unit=$at/lib/systemd/system/tacetd.service
for word in "ExecStart=$prefix/bin/tacetd run " LoadCredential=tacetd.key: NoNewPrivileges=yes ProtectSystem=strict CapabilityBoundingSet= SystemCallFilter= RestrictAddressFamilies= \
    MemoryDenyWriteExecute=yes Restart=on-failure; do
    grep -q "^$word" "$unit" || fail "the unit lacks $word"
done
grep -q '@[A-Z]*@' "$unit" && fail "the unit was not filled in"
# what systemd says to it, where it is installed; its program is the staged one
if command -v systemd-analyze >/dev/null; then
    mkdir "$dir/unit" && sed "s|^ExecStart=$prefix/|ExecStart=$at/|" "$unit" >"$dir/unit/tacetd.service"
    said=$(systemd-analyze verify --man=no "$dir/unit/tacetd.service" 2>&1) && [ -z "$said" ] || fail "systemd does not take the unit: $said"
    systemd-analyze security --offline=true --no-pager --threshold=14 "$dir/unit/tacetd.service" >"$dir/security" || fail "the unit leaves more open than it did:
$(grep -e '^✗' -e exposure "$dir/security")"
else
    echo "systemd-analyze is not installed: the unit was only read"
fi
# what LoadCredential does: the key in a folder of its own, and none beside the store
mkdir -m 700 "$dir/credentials" && mv "$dir/relay/relay.key" "$dir/credentials/tacetd.key"
"$tacetd" check --data "$dir/relay" >/dev/null 2>&1 && fail "a store without its key was opened"
mkfifo "$dir/ready"
CREDENTIALS_DIRECTORY=$dir/credentials "$tacetd" run --data "$dir/relay" >"$dir/ready" 2>"$dir/relay.err" &
relay=$!
read -r word _ <"$dir/ready"
[ "${word:-}" = ready ] || fail "the relay does not take its key from the credentials: $(cat "$dir/relay.err")"
