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
