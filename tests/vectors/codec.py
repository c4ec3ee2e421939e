#!/usr/bin/env python3
"""A second implementation of PROTOCOL.md sections 2.4, 7 and 10 (frames and contents in msgpack), written from that document with nothing but
Python's standard library. It shares no code with protocol/: the vectors that it writes are what the C code is held against.

    codec.py --check    compute the vectors again and compare with frames.json and contents.json beside this file
    codec.py --write    write both files

In the files a value is {"uint": "decimal"}, {"bin": "hex"}, {"str": "text"}, {"array": [value...]} or {"map": [[key, value]...]}."""
import json
import pathlib
import sys

# ---- msgpack, section 10 ----------------------------------------------------------------------------------------------------------


def head(n, fix, fix_max, codes):
    if fix is not None and n <= fix_max:
        return bytes([fix | n])
    for code, width in codes:
        if n < 1 << (8 * width):
            return bytes([code]) + n.to_bytes(width, "big")
    raise ValueError(n)


def pack(value):
    ((kind, v),) = value.items()
    if kind == "uint":
        return head(int(v), 0x00, 127, [(0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)])
    if kind == "bin":
        raw = bytes.fromhex(v)
        return head(len(raw), None, 0, [(0xC4, 1), (0xC5, 2), (0xC6, 4)]) + raw
    if kind == "str":
        raw = v.encode()
        return head(len(raw), 0xA0, 31, [(0xD9, 1), (0xDA, 2), (0xDB, 4)]) + raw
    if kind == "array":
        return head(len(v), 0x90, 15, [(0xDC, 2), (0xDD, 4)]) + b"".join(map(pack, v))
    if kind == "map":
        return head(len(v), 0x80, 15, [(0xDE, 2), (0xDF, 4)]) + b"".join(pack({"uint": k}) + pack(w) for k, w in v)
    raise ValueError(kind)


def U(n):
    return {"uint": str(n)}


def B(byte, n):
    return {"bin": bytes((byte + i) & 255 for i in range(n)).hex()}


def S(text):
    return {"str": text}


def A(*values):
    return {"array": list(values)}


def M(*pairs):
    return {"map": [list(p) for p in pairs]}


# ---- frames, section 2.4 ----------------------------------------------------------------------------------------------------------

U32, U64 = 2**32 - 1, 2**64 - 1
FRAMES = [
    ("register", 1, 1, [B(1, 300), B(2, 0), U(1), B(3, 64)]),
    ("register with an invitation", 1, 127, [B(1, 2048), B(2, 32), U(U32), B(3, 64)]),
    ("publish_name", 2, 128, [B(4, 202)]),
    ("publish_prekeys", 3, 255, [A(B(5, 118), B(6, 1270))]),
    ("publish_prekeys, 16 of them", 3, 256, [A(*[B(i, 118) for i in range(16)])]),
    ("prekey_status", 4, 65535, []),
    ("tokens, add one and remove two", 5, 65536, [A(B(7, 32)), A(B(8, 32), B(9, 32)), U(1)]),
    ("tokens, request token", 5, 9, [A(B(7, 32)), A(), U(2)]),
    ("subscribe", 6, U32, [U(32)]),
    ("ack", 7, 10, [A(U(0), U(127), U(128), U(255), U(256), U(65535), U(65536), U(U32), U(U32 + 1), U(U64))]),
    ("ack of 256", 7, 11, [A(*[U(1000 + i) for i in range(256)])]),
    ("devices", 8, 12, [B(10, 470), B(11, 64)]),
    ("withdraw_name", 9, 13, []),
    ("blob_create", 10, 32, [B(30, 16), U(17), U(2592000), A(B(31, 32))]),
    ("blob_create, largest, 64 receivers", 10, 33, [B(30, 16), U(2**22), U(U32), A(*[B(i, 32) for i in range(64)])]),
    ("put", 11, 34, [B(30, 16), U(2**22 - 1), B(32, 300)]),
    ("blob_status", 12, 35, [B(30, 16), U(65536)]),
    ("blob_drop", 13, 36, [B(30, 16)]),
    ("info", 16, 14, []),
    ("echo", 17, 15, [B(12, 1024)]),
    ("send", 32, 16, [U(1), B(13, 32), U(1), B(14, 32), U(2592000), B(15, 600)]),
    ("send, largest", 32, 17, [U(1), B(13, 32), U(1), B(14, 32), U(60), B(15, 20480)]),
    ("lists", 33, 18, [B(16, 32), U(0)]),
    ("bundle", 34, 19, [B(17, 32), U(2)]),
    ("lookup", 35, 20, [S("bob.the-builder_2")]),
    ("lookup, longest", 35, 21, [S("a" * 32)]),
    ("watch", 36, 37, [B(30, 16), B(33, 32), U(64)]),
    ("have", 37, 38, [B(30, 16), B(33, 32), U(8), B(34, 5)]),
    ("have, longest", 37, 39, [B(30, 16), B(33, 32), U(0), B(34, 8192)]),
    ("again", 38, 40, [B(30, 16), B(33, 32), U(3)]),
    ("ok", 64, 22, []),
    ("error", 65, 23, [U(6), U(3), S("that name is taken")]),
    ("error about the connection", 65, 0, [U(14), U(1), S("")]),
    ("prekey_counts", 66, 24, [U(100), U(25), U(123456789012)]),
    ("info_reply", 67, 25, [B(18, 16), U(1700000000 // 3600 * 3600), U(2592000)]),
    ("echo_reply", 68, 26, [B(19, 1)]),
    ("lists_reply", 69, 27, [A(B(20, 300), B(21, 407))]),
    ("lists_reply, nothing newer", 69, 28, [A()]),
    ("bundle_reply", 70, 29, [B(22, 118), B(23, 118), B(24, 1270)]),
    ("bundle_reply without a one-time key", 70, 30, [B(22, 118), B(23, 0), B(24, 1270)]),
    ("lookup_reply", 71, 31, [B(25, 202)]),
    ("blob_status_reply", 72, 41, [U(17), U(0), B(35, 3)]),
    ("deliver", 96, 0, [U(1), U(1), B(26, 32), U(1699999200), B(27, 2617)]),
    ("caught_up", 97, 0, [U(U64)]),
    ("chunk", 98, 0, [B(30, 16), U(5), B(36, 299)]),
    ("blob_gone", 99, 0, [B(30, 16)]),
]


def frame(kind, ident, fields):
    return pack(A(U(kind), U(ident), *fields))


# Well-formed msgpack, wrong frames; and frames in other bytes than the one form that is allowed.
def refused_frames():
    ok = frame(64, 1, [])
    yield "nothing", b""
    yield "a map", pack(M((1, U(64)), (2, U(1))))
    yield "only a kind", pack(A(U(64)))
    yield "kind 0", frame(0, 1, [])
    yield "kind above 65535", frame(65536, 1, [])
    yield "id above 32 bits", frame(64, U32 + 1, [])
    yield "request without id", frame(16, 0, [])
    yield "reply without id", frame(64, 0, [])
    yield "event with id", frame(97, 1, [U(5)])
    yield "a field too many", frame(64, 1, [U(0)])
    yield "a field too few", frame(17, 1, [])
    yield "trailing byte", ok + b"\x00"
    yield "array16 for 2", b"\xdc\x00\x02\x40\x01"
    yield "array32 for 2", b"\xdd\x00\x00\x00\x02\x40\x01"
    yield "uint8 for 64", b"\x92\xcc\x40\x01"
    yield "uint16 for 200", b"\x92\x40\xcd\x00\xc8"
    yield "uint32 for 65535", b"\x92\x40\xce\x00\x00\xff\xff"
    yield "uint64 for 32 bits", b"\x92\x40\xcf\x00\x00\x00\x00\xff\xff\xff\xff"
    yield "negative fixint", b"\x92\x40\xff"
    yield "int8", b"\x92\x40\xd0\x01"
    yield "int64", b"\x92\x40\xd3" + bytes(7) + b"\x01"
    yield "nil", b"\x92\x40\xc0"
    yield "never used code", b"\x92\x40\xc1"
    yield "true", b"\x92\x40\xc3"
    yield "float32", b"\x92\x40\xca\x3f\x80\x00\x00"
    yield "float64 NaN", b"\x92\x40\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"
    yield "str for bin", frame(17, 1, [S("data")])
    yield "bin for str", frame(35, 1, [B(97, 3)])
    yield "bin16 for 4 bytes", b"\x93\x11\x01\xc5\x00\x04data"
    yield "bin8 longer than the frame", b"\x93\x11\x01\xc4\x05data"
    yield "bin32 of 4 GiB", b"\x93\x11\x01\xc6\xff\xff\xff\xff"
    yield "array32 of 4 billion", b"\x93\x07\x01\xdd\xff\xff\xff\xff"
    yield "array of 4 billion as the frame", b"\xdd\xff\x00\x00\x00"
    yield "ext", b"\x93\x11\x01\xd4\x01\x00"
    yield "echo of 1025", frame(17, 1, [B(0, 1025)])
    yield "ack of 257", frame(7, 1, [A(*[U(i) for i in range(257)])])
    yield "token of 31", frame(5, 1, [A(B(7, 31)), A(), U(1)])
    yield "token kind 0", frame(5, 1, [A(), A(), U(0)])
    yield "token kind 3", frame(5, 1, [A(), A(), U(3)])
    yield "invitation of 31", frame(1, 1, [B(1, 300), B(2, 31), U(1), B(3, 64)])
    yield "device list of 2049", frame(1, 1, [B(1, 2049), B(2, 0), U(1), B(3, 64)])
    yield "device above 32 bits", frame(34, 1, [B(17, 32), U(U32 + 1)])
    yield "envelope version 2", frame(32, 1, [U(2), B(13, 32), U(1), B(14, 32), U(60), B(15, 600)])
    yield "empty envelope", frame(32, 1, [U(1), B(13, 32), U(1), B(14, 32), U(60), B(15, 0)])
    yield "envelope of 20481", frame(32, 1, [U(1), B(13, 32), U(1), B(14, 32), U(60), B(15, 20481)])
    yield "name of 33", frame(35, 1, [S("a" * 33)])
    yield "name of 0", frame(35, 1, [S("")])
    yield "blob id of 15", frame(13, 1, [B(30, 15)])
    yield "blob of no chunks", frame(10, 1, [B(30, 16), U(0), U(60), A(B(31, 32))])
    yield "blob of too many chunks", frame(10, 1, [B(30, 16), U(2**22 + 1), U(60), A(B(31, 32))])
    yield "blob for nobody", frame(10, 1, [B(30, 16), U(1), U(60), A()])
    yield "capability of 31", frame(36, 1, [B(30, 16), B(33, 31), U(64)])
    yield "chunk index too high", frame(11, 1, [B(30, 16), U(2**22), B(32, 300)])
    yield "chunk of 64553", frame(11, 1, [B(30, 16), U(0), B(32, 64553)])
    yield "empty chunk", frame(98, 0, [B(30, 16), U(0), B(32, 0)])
    yield "chunk with an id", frame(98, 1, [B(30, 16), U(0), B(32, 3)])
    yield "bitmap of 8193", frame(37, 1, [B(30, 16), B(33, 32), U(0), B(34, 8193)])
    yield "empty bitmap", frame(37, 1, [B(30, 16), B(33, 32), U(0), B(34, 0)])
    yield "error class 4", frame(65, 1, [U(1), U(4), S("")])
    yield "error code above 16 bits", frame(65, 1, [U(65536), U(1), S("")])
    for what, raw in [
        ("bare continuation byte", b"\x80"),
        ("overlong", b"\xc0\xaf"),
        ("surrogate", b"\xed\xa0\x80"),
        ("above U+10FFFF", b"\xf4\x90\x80\x80"),
        ("cut short", b"\xe2\x82"),
        ("NUL", b"a\x00b"),
    ]:
        yield "UTF-8: " + what, b"\x95\x41\x01\x01\x01" + bytes([0xA0 | len(raw)]) + raw
    yield "unknown kind, depth 5", frame(500, 1, [A(A(A(A())))])
    yield "unknown kind, map keys descending", frame(500, 1, [M((2, U(0)), (1, U(0)))])
    yield "unknown kind, map key twice", frame(500, 1, [M((1, U(0)), (1, U(0)))])
    yield "unknown kind, map with a str key", b"\x93\xcd\x01\xf4\x01\x81\xa1a\x00"
    yield "unknown kind, ext inside", b"\x93\xcd\x01\xf4\x01\x91\xd4\x01\x00"


UNKNOWN_FRAMES = [
    ("no fields", 500, 1, []),
    ("depth 4", 500, 0, [A(A(A(U(1)))), M((1, M((1, M((2, S("x"))))))), S(""), B(0, 0)]),
]

# ---- contents, section 7 ----------------------------------------------------------------------------------------------------------


def content(kind, body, sequence=1, previous=None, flags=0, time_ms=1700000000123):
    if previous is None:
        previous = B(0x40, 32) if sequence > 1 else {"bin": "00" * 32}
    return M((1, B(0x10, 16)), (2, U(sequence)), (3, previous), (4, U(time_ms)), (5, U(1)), (6, B(0x20, 32)), (7, U(3)), (8, U(flags)), (9, U(kind)), (10, body))


def offer(**changed):
    fields = {1: B(0x80, 16), 2: B(0x81, 32), 3: B(0x82, 32), 4: B(0x83, 32), 5: B(0x84, 32), 6: U(17), 7: U(1048576), 8: S("a.bin"), 10: U(0o644), 11: U(1700000000), 12: U(1)}
    fields.update({int(k[1:]): v for k, v in changed.items()})
    return M(*[(k, fields[k]) for k in sorted(fields) if fields[k] is not None])


CONTENTS = [
    ("text", content(1, M((1, S("hi"))))),
    ("text with a reply reference", content(1, M((1, S("na ja … 👍🏽")), (2, B(0x60, 16))), sequence=2, flags=1)),
    ("text, longest", content(1, M((1, S("ä" * 6144))), sequence=U64, time_ms=U64)),
    ("text, empty", content(1, M((1, S(""))))),
    ("receipt, delivered", content(2, M((1, U(1)), (2, A(B(0x60, 16)))), sequence=0)),
    ("receipt, read, 256 of them", content(2, M((1, U(2)), (2, A(*[B(i, 16) for i in range(256)]))), sequence=0)),
    ("file offer", content(3, offer())),
    ("file offer of a folder, with everything", content(3, offer(k6=U(2**22), k7=U(U64), k8=S("ü" * 127 + "x"), k9=S("x" * 127), k10=U(0o777), k12=U(2), k13=B(0x60, 16)), sequence=2)),
    ("file seal", content(4, M((1, B(0x80, 16)), (2, B(0x85, 32)), (3, U(17)), (4, U(1048576))), sequence=3)),
    ("file cancel", content(5, M((1, B(0x80, 16))), sequence=4)),
    ("control, accept", content(6, M((1, U(1)), (2, B(0x70, 32)), (3, U(0))), sequence=0)),
    ("control, token", content(6, M((1, U(2)), (2, B(0x70, 32)), (3, U(0))), sequence=0)),
    ("control, reset", content(6, M((1, U(3)), (3, U(41))), sequence=0)),
    ("control, carrier", content(6, M((1, U(4)), (3, U(0))), sequence=0)),
    ("control that nobody knows yet", content(6, M((1, U(200)), (3, U(0))), sequence=0)),
    ("request", content(7, M((1, S("alice")), (2, S("tacet://relay.example:7787/" + "a" * 52)), (3, B(0x70, 32)), (4, S("it is me"))))),
    ("unknown kind, empty body", content(99, M())),
    ("unknown kind, depth 4", content(255, M((0, U(1)), (1, A(M((7, S("x"))))), (300, B(0, 3))), sequence=0)),
]


def refused_contents():
    good = content(1, M((1, S("hi"))))
    pairs = good["map"]
    yield "nothing", b""
    yield "an array", pack(A(*[p[1] for p in pairs]))
    yield "trailing byte", pack(good) + b"\x00"
    for i in range(10):
        yield "without key %d" % (i + 1), pack({"map": pairs[:i] + pairs[i + 1 :]})
        yield "key %d twice" % (i + 1), pack({"map": pairs[: i + 1] + pairs[i:]})
    yield "keys 1 and 2 swapped", pack({"map": [pairs[1], pairs[0]] + pairs[2:]})
    yield "an eleventh key", pack({"map": pairs + [[11, U(0)]]})
    yield "key in two bytes", pack(good).replace(b"\x09\x01\x0a", b"\xcc\x09\x01\x0a")
    yield "id of 15", pack({"map": [[1, B(0, 15)]] + pairs[1:]})
    yield "flags above 32 bits", pack(content(1, M((1, S("hi"))), flags=U32 + 1))
    yield "kind 0", pack(content(0, M()))
    yield "kind 256", pack(content(256, M()))
    yield "text with sequence 0", pack(content(1, M((1, S("hi"))), sequence=0))
    yield "receipt with sequence 1", pack(content(2, M((1, U(1)), (2, A(B(0, 16)))), sequence=1))
    yield "first of a chain with a predecessor", pack(content(1, M((1, S("hi"))), previous=B(1, 32)))
    yield "text of 12289", pack(content(1, M((1, S("a" * 12289)))))
    yield "text as bin", pack(content(1, M((1, B(65, 2)))))
    yield "text, bad UTF-8", pack(good).replace(b"\xa2hi", b"\xa2\xc0\x80")
    yield "text without text", pack(content(1, M()))
    yield "text with an unknown key", pack(content(1, M((1, S("hi")), (3, U(0)))))
    yield "text, keys swapped", pack(content(1, M((2, B(0, 16)), (1, S("hi")))))
    yield "text, text twice", pack(content(1, M((1, S("hi")), (1, S("ho")))))
    yield "empty reply reference", pack(content(1, M((1, S("hi")), (2, B(0, 0)))))
    yield "reply reference of 15", pack(content(1, M((1, S("hi")), (2, B(0, 15)))))
    yield "body is an array", pack(content(1, A(S("hi"))))
    yield "receipt for nothing", pack(content(2, M((1, U(1)), (2, A())), sequence=0))
    yield "receipt for 257", pack(content(2, M((1, U(1)), (2, A(*[B(i, 16) for i in range(257)]))), sequence=0))
    yield "receipt state 3", pack(content(2, M((1, U(3)), (2, A(B(0, 16)))), sequence=0))
    yield "file offer without a name", pack(content(3, offer(k8=None)))
    yield "file offer, empty name", pack(content(3, offer(k8=S(""))))
    yield "file offer, name of 256", pack(content(3, offer(k8=S("x" * 256))))
    yield "file offer, empty media type", pack(content(3, offer(k9=S(""))))
    yield "file offer of no chunks", pack(content(3, offer(k6=U(0))))
    yield "file offer of too many chunks", pack(content(3, offer(k6=U(2**22 + 1))))
    yield "file offer, setuid", pack(content(3, offer(k10=U(0o4755))))
    yield "file offer, form 3", pack(content(3, offer(k12=U(3))))
    yield "file offer, key of 31", pack(content(3, offer(k2=B(0x81, 31))))
    yield "file offer with sequence 0", pack(content(3, offer(), sequence=0))
    yield "file seal without a root", pack(content(4, M((1, B(0x80, 16)), (3, U(17)), (4, U(1)))))
    yield "file seal of no chunks", pack(content(4, M((1, B(0x80, 16)), (2, B(0x85, 32)), (3, U(0)), (4, U(1)))))
    yield "file cancel of 15", pack(content(5, M((1, B(0x80, 15)))))
    yield "accept without token", pack(content(6, M((1, U(1)), (3, U(0))), sequence=0))
    yield "token of 31", pack(content(6, M((1, U(2)), (2, B(0, 31)), (3, U(0))), sequence=0))
    yield "request text of 1025", pack(content(7, M((1, S("a")), (2, S("b")), (3, B(0, 32)), (4, S("c" * 1025)))))
    yield "request without a name", pack(content(7, M((1, S("")), (2, S("b")), (3, B(0, 32)), (4, S("c")))))
    yield "unknown kind, body is an array", pack(content(99, A()))
    yield "unknown kind, depth 5", pack(content(99, M((1, A(A(A()))))))
    yield "unknown kind, float", pack(content(99, M((1, U(5))))).replace(b"\x0a\x81\x01\x05", b"\x0a\x81\x01\xca\x7f\xc0\x00\x00")


def vectors():
    yield "frames.json", {
        "about": "PROTOCOL.md section 2.4: one frame's msgpack, without its length",
        "accepted": [{"name": n, "kind": k, "id": i, "value": A(U(k), U(i), *f), "hex": frame(k, i, f).hex()} for n, k, i, f in FRAMES],
        "unknown": [{"name": n, "kind": k, "id": i, "value": A(U(k), U(i), *f), "hex": frame(k, i, f).hex()} for n, k, i, f in UNKNOWN_FRAMES],
        "refused": [{"name": n, "hex": raw.hex()} for n, raw in refused_frames()],
    }
    yield "contents.json", {
        "about": "PROTOCOL.md section 7: one content",
        "accepted": [{"name": n, "value": v, "hex": pack(v).hex()} for n, v in CONTENTS],
        "refused": [{"name": n, "hex": raw.hex()} for n, raw in refused_contents()],
    }


def main():
    here = pathlib.Path(__file__).resolve().parent
    if sys.argv[1:] not in (["--check"], ["--write"]):
        sys.exit(__doc__)
    for name, value in vectors():
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        if sys.argv[1] == "--write":
            (here / name).write_text(text, encoding="utf-8")
        elif (here / name).read_text(encoding="utf-8") != text:
            sys.exit(name + " differs from what this script computes")


main()
