#!/bin/sh
# Files from one person to another, by the real programs: edges of size, names that a stranger chose, targets that are taken, folders, stdin, three
# receivers of one upload, offered and cancelled ones.
. "$(dirname "$0")/lib.sh"
export HOME="$dir/home"
mkdir "$HOME"
downloads=$HOME/Downloads
two_friends
src=$dir/src
mkdir "$src"

same() { cmp "$1" "$2" || fail "$1 and $2 differ"; }
no_parts() { [ -z "$(find "$downloads" -name '*.part')" ] || fail "unfinished files are left: $(find "$downloads" -name '*.part')"; }
gets() { expect 0 as bob receive; }
status_of() { "$tacetd" status --data "$dir/relay" --json | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }

# --- sizes around a chunk: 0, 1, 64,511, 64,512, 64,513 ---
for size in 0 1 64511 64512 64513 1000000; do
    head -c $size /dev/urandom >"$src/size-$size.bin"
    touch -d '2020-02-03 04:05:06 UTC' "$src/size-$size.bin"
    chmod 0755 "$src/size-$size.bin"
    expect 0 as alice send bob --file "$src/size-$size.bin"
    gets
    same "$src/size-$size.bin" "$downloads/size-$size.bin"
    is "$(stat -c '%a %Y' "$downloads/size-$size.bin")" "600 1580702706"
done
no_parts
expect 0 as alice receive
expect 0 as alice files --json
is "$(printf '%s\n' "$out" | grep -c '"state":"complete"')" 6
expect 0 as bob files alice
is "$(printf '%s\n' "$out" | grep -c 'saved to')" 6

# --- F06: a target that is there is never replaced; directories and FIFOs neither ---
echo mine >"$downloads/x.txt"
mkdir "$downloads/y.txt"
mkfifo "$downloads/z.txt"
for name in x y z; do
    echo "theirs $name" >"$src/$name.txt"
    expect 0 as alice send bob --file "$src/$name.txt"
done
gets
is "$(cat "$downloads/x.txt")" mine
for name in x y z; do same "$src/$name.txt" "$downloads/$name-2.txt"; done
[ -d "$downloads/y.txt" ] && [ -p "$downloads/z.txt" ] || fail "what was there is gone"

# --- F04: names of a stranger stay inside the folder and show harmlessly ---
echo evil >"$src/evil"
esc=$(printf '\033]52;c;aGk=\a')
for name in ../up /etc/passwd -rf .ssh/authorized_keys .bashrc "tab	and${esc}" .. "$(printf 'a\342\200\256cod.exe')" "$(printf '%0255d' 7)"; do
    expect 0 as alice send bob --file "$src/evil" "--name=$name"
done
gets
printf '%s' "$out" | grep -q "$(printf '\033')" && fail "an escape sequence reached the terminal"
expect 0 as bob files
printf '%s' "$out" | grep -q "$(printf '\033')" && fail "an escape sequence reached the terminal"
for name in up passwd _rf authorized_keys _bashrc file a_cod.exe 'tab_and_]52;c;aGk=_'; do
    same "$src/evil" "$downloads/$name"
done
is "$(find "$HOME" -newer "$src/evil" -type f | grep -vc "^$downloads/")" 0
is "$(find "$downloads" -name '000*' | wc -l)" 1
no_parts
expect 0 as alice receive
is "$(status_of blob_reserved_bytes)" 0 # the relay has heard of each that was taken

# --- a folder ---
mkdir -p "$src/tree/sub/deep" "$src/tree/empty" "$src/tree/a-b"
for i in $(seq 1 300); do echo "file $i" >"$src/tree/sub/f$i"; done
head -c 200000 /dev/urandom >"$src/tree/sub/deep/big"
: >"$src/tree/zero"
echo hidden >"$src/tree/.hidden"
ln -s /etc/passwd "$src/tree/link"
touch -d '2021-01-01 UTC' "$src/tree/sub/f7"
expect 0 as alice send bob --file "$src/tree/"
tells "1 links and special files"
gets
rm "$src/tree/link"
diff -r "$src/tree" "$downloads/tree" || fail "the folder is another"
is "$(stat -c '%a %Y' "$downloads/tree/sub/f7")" "600 1609459200"
is "$(stat -c %a "$downloads/tree/sub")" 700
no_parts
expect 0 as alice send bob --file "$src/tree"
gets
diff -r "$src/tree" "$downloads/tree-2" || fail "the second folder is another"

# --- stdin, which needs a name; text and files in one command ---
refused 2 usage as alice send bob --file -
head -c 300000 "$src/size-1000000.bin" >"$src/stdin"
expect 0 as alice send bob 'and a text' --file - --name 'from stdin.bin' <"$src/stdin"
gets
says 'and a text'
same "$src/stdin" "$downloads/from stdin.bin"

# --- what cannot be sent ---
refused 5 no-such-file as alice send bob --file "$src/none"
refused 1 not-a-file as alice send bob --file "$downloads/z.txt"
refused 5 no-such-file as bob save 0123456789abcdef0123456789abcdef
refused 5 no-such-contact as alice send nobody --file "$src/evil"
truncate -s 300G "$src/huge"
refused 1 too-large as alice send bob --file "$src/huge"

# --- three receivers, one upload ---
user carol
user dave
friends alice carol
friends alice dave
before=$("$tacetd" status --data "$dir/relay" --json | sed -n 's/.*"blobs":\([0-9]*\).*/\1/p')
expect 0 as alice send bob --also carol --also dave --file "$src/size-1000000.bin" --json
is "$(printf '%s\n' "$out" | grep -c '"event":"sent"')" 3
after=$("$tacetd" status --data "$dir/relay" --json | sed -n 's/.*"blobs":\([0-9]*\).*/\1/p')
[ -z "$before" ] || is $((after - before)) 1
for who in bob carol dave; do
    expect 0 as $who receive
    same "$src/size-1000000.bin" "$(printf '%s\n' "$out" | sed -n 's/.*saved to \(.*\))$/\1/p')"
done
expect 0 as alice receive
expect 0 as alice files carol --json
says '"state":"complete"'

# --- above the limit it waits until it is wanted; --output says where; stdout ---
printf '{"jsonrpc":"2.0","id":1,"method":"settings","params":{"auto_download":1000}}\n' | as bob rpc >"$dir/out"
grep -q '"auto_download": *1000' "$dir/out" || fail "settings: $(cat "$dir/out")"
expect 0 as alice send bob --file "$src/stdin" --json
gets
says 'tacet save'
expect 0 as bob files --json
out=$(printf '%s\n' "$out" | grep offered)
id=$(field id)
refused 1 file-exists as bob save "$id" --output "$downloads/x.txt"
expect 0 as bob save "$id" --output "$dir/here.bin"
is "$out" "$dir/here.bin"
same "$src/stdin" "$dir/here.bin"
as alice send bob --file "$src/stdin" 2>/dev/null || fail "send"
gets
expect 0 as bob files --json
out=$(printf '%s\n' "$out" | grep offered)
"$tacet" --home "$dir/bob" save "$(field id)" --output - >"$dir/poured" || fail "save to stdout"
same "$src/stdin" "$dir/poured"

# --- saved already: also where it is wanted now, and what is not there any more is not said to be ---
expect 0 as bob save "$id" --output "$dir/again.bin"
same "$src/stdin" "$dir/again.bin"
refused 1 file-exists as bob save "$id" --output "$dir/again.bin"
mkdir "$dir/other" "$dir/odd$(printf '\377')"
expect 0 as bob save "$id" --to "$dir/other"
is "$out" "$dir/other/here.bin"
expect 0 as bob save "$id" --to "$dir/other"
is "$out" "$dir/other/here-2.bin"
same "$src/stdin" "$dir/other/here-2.bin"
cd "$dir/odd$(printf '\377')" && refused 2 usage as bob save "$id" --to . # a path that JSON cannot say leads nowhere else
cp "$src/stdin" s.bin
refused 2 usage as alice send bob --file s.bin
cd "$dir"
rm "$dir/here.bin"
refused 5 no-such-file as bob save "$id"
refused 5 no-such-file as bob save "$id" --output -
# --- stdout that ends early: the bytes are kept until it took all of them ---
as alice send bob --file "$src/stdin" 2>/dev/null || fail "send"
gets
expect 0 as bob files --json
out=$(printf '%s\n' "$out" | grep offered)
id=$(field id)
as bob save "$id" --output - >/dev/full 2>/dev/null && fail "nothing was written, and that was a success"
"$tacet" --home "$dir/bob" save "$id" --output - >"$dir/poured" || fail "save to stdout after it failed once"
same "$src/stdin" "$dir/poured"

# --- F04: a name that is one of the vault's own, on its way to stdout or wherever it is wanted: it never lies beside the vault ---
profile=$dir/bob/default
name=vault.db-journal
{ printf '\331\325\005\371\040\241\143\327\0\0\0\0\0\0\0\0\0\0\0\001\0\0\002\0\0\0\020\0'; head -c 2000 /dev/zero; } >"$src/$name" # as SQLite writes them
for n in 1 2; do
    as alice send bob --file "$src/$name" 2>/dev/null || fail "send"
    gets
    expect 0 as bob files --json
    out=$(printf '%s\n' "$out" | grep offered)
    id=$(field id)
    as bob save "$id" --output - >/dev/full 2>/dev/null && fail "nothing was written, and that was a success"
    [ "$(ls "$profile/stdout")" = "$id" ] || fail "on its way to stdout: $(ls "$profile/stdout")"
    is "$(stat -c %a "$profile/stdout" "$profile/stdout/$id" | tr '\n' ' ')" "700 600 "
    ls "$profile" | grep -q journal && fail "the sender's name is in the profile: $(ls "$profile")"
    refused 1 no-folder as bob save "$id" --to "$profile"
    if [ $n = 1 ]; then
        expect 0 as bob save "$id" --to "$dir/other"
        is "$out" "$dir/other/$name"
        same "$src/$name" "$dir/other/$name"
    else
        "$tacet" --home "$dir/bob" save "$id" --output - >"$dir/poured" || fail "save to stdout"
        same "$src/$name" "$dir/poured"
    fi
    is "$(ls "$profile/stdout")" ""
done
ask() { printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' "$1" "$2" | as bob rpc >"$dir/out" || fail "$1: $(cat "$dir/out")"; }
ask settings '{"downloads":"'"$profile"'","auto_download":100000}' # whoever sets that
as alice send bob --file "$src/$name" 2>/dev/null || fail "send"
gets
ls "$profile" | grep -q journal && fail "the sender's name is in the profile: $(ls "$profile")"
expect 0 as bob files --json
out=$(printf '%s\n' "$out" | grep '"trouble":"no-folder"')
id=$(field id)
ask settings '{"downloads":"","auto_download":1000}'
refused 1 no-folder as bob save "$id" --to "$profile"
refused 1 no-folder as bob save "$id" --output "$profile/../default/x"
expect 0 as bob save "$id" --to "$dir/other"
is "$out" "$dir/other/vault-2.db-journal"
expect 0 as bob contacts

# --- the time is up in the middle of an upload: exit 8, and it is kept ---
truncate -s 2G "$src/long"
refused_once() { expect 8 "$@"; tells "no answer in time"; }
refused_once as alice send bob --file "$src/long" --timeout 1s
expect 0 as alice files --json
out=$(printf '%s\n' "$out" | tail -n 1)
says '"state":"sending"'
expect 0 as alice cancel "$(field id)"
gets
is "$(printf '%s\n' "$out" | grep -c ' long (')" 1 # offered and withdrawn while he was away: said once
# --- cancelled by another command: that one ends, and not as if it were done ---
begin sender as alice send bob --file "$src/long" --json
soon 60 grep -q progress "$dir/sender.out"
expect 0 as alice files --json
out=$(printf '%s\n' "$out" | tail -n 1)
expect 0 as alice cancel "$(field id)"
wait "$sender"; is $? 1
grep -q '"code":"withdrawn","exit":1' "$dir/sender.out" || fail "cancelled: $(tail -n 2 "$dir/sender.out")"
gets

# --- cancel, by either side ---
expect 0 as alice send bob --file "$src/stdin" --json
sent=$(field id)
gets
expect 0 as bob files --json
out=$(printf '%s\n' "$out" | grep offered)
expect 0 as bob cancel "$(field id)"
expect 0 as alice receive
expect 0 as alice files --json
out=$(printf '%s\n' "$out" | grep "$sent")
says '"state":"cancelled"'
expect 0 as alice send bob --file "$src/stdin" --json
sent=$(field id)
gets
before=$(status_of blobs)
expect 0 as alice cancel "$sent"
is "$(status_of blobs)" $((before - 1)) # a command of its own: the relay was told before it ended
gets
expect 0 as bob files --json
out=$(printf '%s\n' "$out" | tail -n 1)
says '"state":"cancelled"'
no_parts

# --- without a relay it waits in the outbox ---
relay_stop
expect 3 as alice send bob --file "$src/y.txt"
expect 0 as alice outbox
says queued
is "$(lines)" 1
echo both >"$src/both.txt"
expect 3 as alice send bob 'a text and its file' --file "$src/both.txt"
refused 5 no-such-file as alice send bob 'a text without its file' --file "$src/none"
expect 3 as alice send bob --file "$src/z.txt" --json # what is cancelled here is not told yet, and that is the answer
expect 3 as alice cancel "$(field id)" --json
says '"state":"cancelled"'
says '"code":"relay-unreachable","exit":3'
tells "z.txt is cancelled, but the relay does not know yet"
relay_start
expect 0 as alice receive --timeout 1s
gets
says 'a text and its file'
says_not 'a text without its file'
same "$src/y.txt" "$downloads/y-3.txt"
same "$src/both.txt" "$downloads/both.txt"
expect 0 as alice outbox
is "$out" ""
echo "files: all of it"
