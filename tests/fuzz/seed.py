#!/usr/bin/env python3
"""seed.py DIRECTORY: first inputs for the fuzz targets, made of tests/vectors, in DIRECTORY/fuzz_NAME/."""
import hashlib
import json
import pathlib
import sys

vectors = pathlib.Path(__file__).resolve().parent.parent / "vectors"


def rows(file):
    data = json.loads((vectors / file).read_text(encoding="utf-8"))
    return [bytes.fromhex(v["hex"]) for part in ("accepted", "unknown", "refused") for v in data.get(part, [])]


def put(target, inputs):
    folder = pathlib.Path(sys.argv[1]) / target
    folder.mkdir(parents=True, exist_ok=True)
    for raw in inputs:
        (folder / hashlib.sha1(raw).hexdigest()).write_bytes(raw)


frames = rows("frames.json")
put("fuzz_frame", frames)
put("fuzz_content", rows("contents.json"))
stream = [len(f).to_bytes(4, "big") + f for f in frames if f]
put("fuzz_frame_stream", [b"\x00" + s for s in stream] + [b"\x06" + b"".join(stream[i : i + 5]) for i in range(0, len(stream), 5)])


identity = json.loads((vectors / "identity.json").read_text(encoding="utf-8"))
session = json.loads((vectors / "session.json").read_text(encoding="utf-8"))
put("fuzz_device_list", [bytes.fromhex(v["list"]) for v in identity["device_lists"]] + [bytes.fromhex(session[who]["signed_list"]) for who in "ab"])
put("fuzz_prekey", [bytes([v["kind"] - 1]) + bytes.fromhex(v["prekey"]) for v in identity["prekeys"]])
put("fuzz_directory_entry", [bytes.fromhex(identity["directory_entry"]["entry"])])
put("fuzz_link", [v[k].encode() for v in identity["links"] for k in ("address", "link")])
put("fuzz_keyfile", [bytes.fromhex(identity[k]["file"]) for k in ("key_file", "key_file_two_keys")])
put("fuzz_envelope", [bytes.fromhex(m[k]) for m in session["messages"] for k in ("envelope", "padded_body")])
put("fuzz_ipc", [bytes([side]) + bytes.fromhex(m) for side in (0, 9) for m in ("00000004010000000000000000000000ff", "00000008020000000500000001aabbccddeeff0011", "000000010600000005000000010000000000", "0000000013000000050000000101")])
put("fuzz_wire", [bytes([cut]) + b"tacet\x01" + bytes([role, 0]) + (1248).to_bytes(2, "big") + bytes(1248) for cut in (0, 14) for role in (1, 2)]
    + [bytes([cut]) + b"".join(bytes([min(255, len(part))]) + part[:255] for part in [s]) for cut in (1, 7, 255) for s in stream[:40]])
put("fuzz_harmless", ["plain".encode(), "\x1b]52;c;x\x07".encode(), "\u202eevil\u2066".encode(), b"\xff\xc0\x80\xed\xa0\x80", "e\u0301\u0301 \U0001f469\u200d\U0001f4bb\n\ttab".encode()])


def be(n, value):
    return value.to_bytes(n, "big")


def said(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return be(4, len(raw)) + raw


def entry(kind, path, size=0, mode=0o644):
    raw = path.encode()
    return be(1, kind) + be(4, mode) + be(8, 1_700_000_000) + be(8, size) + be(2, len(raw)) + raw


def record(kind, body):
    return be(1, kind) + be(4, len(body)) + body


greeting, login = b"\x05\x02", b"\x01\x00"
replies = [b"\x05\x00\x00\x01\x7f\x00\x00\x01\x1d\x1a", b"\x05\x00\x00\x03\x05relay\x1d\x1a", b"\x05\x00\x00\x04" + bytes(18), b"\x05\x05\x00\x01" + bytes(6), b"HTTP/1.1 400"]
put("fuzz_socks", [bytes([cut]) + start + reply + b"the relay's" for cut in (0, 1, 6, 255) for start in (greeting + login, b"\x05\x00") for reply in replies] + [b"\x00\x05\xff", b"\x00" + greeting + b"\x01\x01"])
put("fuzz_manifest", [b"", entry(1, "a", 5), entry(2, "d", 0, 0o755) + entry(1, "d/x", 7) + entry(2, "d/y") + entry(1, "d/y/z", 0), entry(1, "../x", 1), entry(1, "/x"), entry(1, "a") + entry(1, "a"),
    entry(1, "b/x"), entry(1, "a", 1 << 63), entry(3, "a"), entry(1, "a\u00e4\u202e", 3), entry(1, "/".join("d" * 33))])
listed = bytes.fromhex(identity["device_lists"][0]["list"])
relay, owner = identity["links"][0]["address"], bytes.fromhex(identity["account"]["account"])
account = record(1, be(8, 1_700_000_000_000) + bytes(32) + be(4, 1) + bytes(32) + be(4, 3) + said("alice") + said(relay) + said("socks5://127.0.0.1:9050") + said(listed))
contact = record(2, owner + be(1, 2) + be(4, 0x31) + bytes(32) * 4 + be(8, 1_700_000_000_000) + said("bob") + said("bob") + said(relay) + said(listed) + said("a draft"))
chain = record(3, be(4, 1) + be(8, 17))
message = record(4, be(4, 0) + bytes(16) + be(4, 1) + be(1, 1) + be(1, 4) + be(4, 1) + be(8, 1) + be(8, 1_700_000_000_000) * 2 + bytes(32 + 32 + 16) + be(4, 1) + be(8, 0) + said("hello") + said(b""))
cursor = record(5, be(8, 1_700_000_000_000) + said("bot") + bytes(16) + said(bytes(32)))
put("fuzz_backup_records", [account, contact, chain, message, cursor, account + contact + chain + message + cursor + record(9, b"newer") + b"\x00", record(4, b""), b"\x04\xff\xff\xff\xff"])
asked = ['{"jsonrpc":"2.0","id":1,"method":"subscribe"}', '{"jsonrpc":"2.0","id":"x","method":"send","params":{"to":"bob","text":"hi"}}', '{"jsonrpc":"2.0","id":2,"method":"receive"}', "", "[]",
    '{"jsonrpc":"2.0","id":3,"method":"handed","params":{"ids":["a"],"cursor":"c"}}', '{"jsonrpc":"2.0","method":"history","params":{"name":"bob","limit":7}}', '{"jsonrpc":"1.0","id":4}', "not json",
    '{"jsonrpc":"2.0","id":{},"method":"nothing"}', '{"id":1,"id":2}', "[" * 100]
put("fuzz_rpc", [bytes([cut]) + line.encode() + b"\n" for cut in (0, 3) for line in asked] + [b"\x01" + "\n".join(asked).encode() + b"\n"])
