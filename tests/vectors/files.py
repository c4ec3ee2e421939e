#!/usr/bin/env python3
"""A second implementation of PROTOCOL.md section 8.1 and 8.2 (padded number of chunks, keys, chunks, tree), written from that document, RFC 8439,
RFC 5869 and RFC 6962 with nothing but Python's standard library. It shares no code with crypto/session or transfer/.

    files.py --check    compute the vectors again and compare with files.json beside this file
    files.py --write    write the file"""
import hashlib
import hmac
import json
import pathlib
import struct
import sys

CHUNK = 64512


# ---- XChaCha20-Poly1305 -------------------------------------------------------------------------------------------------------------
def rounds(s):
    s = list(s)

    def quarter(a, b, c, d):
        for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] ^= s[x]
            s[z] = (s[z] << r | s[z] >> (32 - r)) & 0xFFFFFFFF

    for _ in range(10):
        for col in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(*col)
    return s


def hchacha20(key, nonce16):
    s = rounds(struct.unpack("<16I", b"expand 32-byte k" + key + nonce16))
    return struct.pack("<8I", *s[:4], *s[12:])


def block(key, counter, nonce12):
    start = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce12)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(rounds(start), start)))


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((acc + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def xseal(key, nonce, ad, plain):
    sub, short = hchacha20(key, nonce[:16]), bytes(4) + nonce[16:]
    stream = b"".join(block(sub, 1 + i, short) for i in range((len(plain) + 63) // 64))
    body = bytes(a ^ b for a, b in zip(plain, stream))
    pad = lambda n: bytes(-n % 16)
    mac = ad + pad(len(ad)) + body + pad(len(body)) + struct.pack("<QQ", len(ad), len(body))
    return body + poly1305(block(sub, 0, short)[:32], mac)


def hkdf(salt, ikm, info, n):
    prk, out, last = hmac.digest(salt, ikm, "sha256"), b"", b""
    for i in range((n + 31) // 32):
        last = hmac.digest(prk, last + info + bytes([i + 1]), "sha256")
        out += last
    return out[:n]


# ---- section 8 ------------------------------------------------------------------------------------------------------------------------
def padme(n):
    if n < 2:
        return n
    e = n.bit_length() - 1
    step = 1 << (e - e.bit_length())
    return -(-n // step) * step


def chunks_of(size):
    return padme(max(1, -(-size // CHUNK)))


def b2(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return b2(b"\1" + root(leaves[:k]) + root(leaves[k:]))


def chunk(keys, blob, index, count, nonce, plain):
    ad = b"tacet chunk\0" + blob + struct.pack(">Q", index) + bytes([index + 1 == count])
    return nonce + xseal(keys[:32], nonce, ad, plain.ljust(CHUNK, b"\0"))


def leaf(index, sealed):
    return b2(b"\0" + struct.pack(">Q", index) + sealed)


def seq(start, n):
    return bytes((start + i) & 255 for i in range(n))


def build():
    key, salt, blob = seq(0x10, 32), seq(0x40, 32), seq(0x70, 16)
    keys = hkdf(salt, key, b"tacet file\0", 64)
    size = CHUNK + 5
    stream = bytes((i * 7 + i // 251) & 255 for i in range(size))
    count, parts = chunks_of(size), []
    for i in range(count):
        nonce = seq(0xA0 + i, 24)
        sealed = chunk(keys, blob, i, count, nonce, stream[i * CHUNK:(i + 1) * CHUNK])
        parts.append({"nonce": nonce.hex(), "head": sealed[:64].hex(), "tail": sealed[-32:].hex(), "leaf": leaf(i, sealed).hex()})
    trees, leaves = [], []
    for i in range(70):
        leaves.append(b2(bytes([i])))
        if i < 18 or i > 60:
            trees.append({"leaves": i + 1, "root": root(leaves).hex()})
    sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 9 * CHUNK, 9 * CHUNK + 1, 10**6, 10**8, 5 << 30, 20 << 30, 4194304 * CHUNK]
    return {"file": {"key": key.hex(), "salt": salt.hex(), "blob": blob.hex(), "chunk_key": keys[:32].hex(), "commitment": keys[32:].hex(),
                     "size": size, "byte_i_of_the_stream": "(7 i + i div 251) mod 256", "chunks": parts,
                     "root": root([bytes.fromhex(p["leaf"]) for p in parts]).hex()},
            "leaf_i_of_trees": "BLAKE2b-256(one byte, i)", "trees": trees,
            "counts": [{"size": str(s), "chunks": chunks_of(s)} for s in sizes]}


def main():
    path = pathlib.Path(__file__).with_name("files.json")
    text = json.dumps(build(), indent=1) + "\n"
    if sys.argv[1:] == ["--write"]:
        path.write_text(text)
        return 0
    if sys.argv[1:] == ["--check"]:
        same = path.read_text() == text
        print("files.json", "is what this computes" if same else "DIFFERS from what this computes")
        return 0 if same else 1
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
