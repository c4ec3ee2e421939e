#!/usr/bin/env python3
"""A second implementation of PROTOCOL.md section 2 (preamble, handshake, records), written from that document, RFC 7748, RFC 8439, FIPS 203
and the Noise specification, with nothing but Python's standard library. It shares no code with crypto/transport: the vectors that it writes
are what the C code is held against. Slow and not constant-time: for test keys only.

    transport.py --check    compute the vectors again and compare with handshake.json and records.json beside this file
    transport.py --write    write both files"""
import hashlib
import hmac
import json
import pathlib
import struct
import sys

# ---- X25519, RFC 7748 section 5 ---------------------------------------------------------------------------------------------------
P = 2**255 - 19


def x25519(secret, u_bytes):
    k = bytearray(secret)
    k[0] &= 248
    k[31] = (k[31] & 127) | 64
    scalar, u = int.from_bytes(k, "little"), int.from_bytes(u_bytes, "little")
    assert u < P, "not canonical"
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = (scalar >> t) & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = (x2 + z2) % P, (x2 - z2) % P, (x3 + z3) % P, (x3 - z3) % P
        da, cb = d * a % P, c * b % P
        aa, bb = a * a % P, b * b % P
        e = (aa - bb) % P
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    out = (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")
    assert any(out), "small order"
    return out


def x25519_public(secret):
    return x25519(secret, (9).to_bytes(32, "little"))


# ---- ChaCha20-Poly1305, RFC 8439 ---------------------------------------------------------------------------------------------------
def chacha20_block(key, counter, nonce):
    def quarter(a, b, c, d):
        for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] ^= s[x]
            s[z] = (s[z] << r | s[z] >> (32 - r)) & 0xFFFFFFFF

    start = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce)
    s = list(start)
    for _ in range(10):
        for col in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(*col)
    return struct.pack("<16I", *((x + y) & 0xFFFFFFFF for x, y in zip(s, start)))


def chacha20(key, nonce, data):
    out = bytearray()
    for i in range(0, len(data), 64):
        out += bytes(x ^ y for x, y in zip(data[i:i + 64], chacha20_block(key, 1 + i // 64, nonce)))
    return bytes(out)


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((acc + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def seal(key, n, ad, plain):
    nonce = bytes(4) + struct.pack("<Q", n)
    c = chacha20(key, nonce, plain)
    pad = lambda b: b + bytes(-len(b) % 16)
    tag = poly1305(chacha20_block(key, 0, nonce)[:32], pad(ad) + pad(c) + struct.pack("<QQ", len(ad), len(c)))
    return c + tag


# ---- ML-KEM-768, FIPS 203 ----------------------------------------------------------------------------------------------------------
Q, K, DU, DV = 3329, 3, 10, 4


def bit_reverse(i):
    return int(f"{i:07b}"[::-1], 2)


ZETA = [pow(17, bit_reverse(i), Q) for i in range(128)]
GAMMA = [pow(17, 2 * bit_reverse(i) + 1, Q) for i in range(128)]


def ntt(f):
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = ZETA[i] * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
            i += 1
        length //= 2
    return f


def inverse_ntt(f):
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = f[j]
                f[j] = (t + f[j + length]) % Q
                f[j + length] = ZETA[i] * (f[j + length] - t) % Q
            i -= 1
        length *= 2
    return [x * 3303 % Q for x in f]


def multiply(f, g):
    h = []
    for i in range(128):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        h += [(a0 * b0 + a1 * b1 * GAMMA[i]) % Q, (a0 * b1 + a1 * b0) % Q]
    return h


def add(f, g):
    return [(x + y) % Q for x, y in zip(f, g)]


def dot(fs, gs):
    out = [0] * 256
    for f, g in zip(fs, gs):
        out = add(out, multiply(f, g))
    return out


def sample_ntt(seed):
    stream, out, at = hashlib.shake_128(seed).digest(1680), [], 0
    while len(out) < 256:
        a, b, c = stream[at:at + 3]
        at += 3
        out += [d for d in (a + 256 * (b % 16), b // 16 + 16 * c) if d < Q]
    return out[:256]


def sample_cbd(seed, n):  # eta = 2
    bits = int.from_bytes(hashlib.shake_256(seed + bytes([n])).digest(128), "little")
    bit = lambda i: (bits >> i) & 1
    return [(bit(4 * i) + bit(4 * i + 1) - bit(4 * i + 2) - bit(4 * i + 3)) % Q for i in range(256)]


def encode(d, f):
    return sum(x << (d * i) for i, x in enumerate(f)).to_bytes(32 * d, "little")


def decode(d, b):
    n = int.from_bytes(b, "little")
    return [(n >> (d * i)) & ((1 << d) - 1) for i in range(256)]


def compress(d, f):
    return [((x << d) + Q // 2) // Q % (1 << d) for x in f]


def decompress(d, f):
    return [(x * Q + (1 << (d - 1))) >> d for x in f]


def matrix(rho):
    return [[sample_ntt(rho + bytes([j, i])) for j in range(K)] for i in range(K)]


def kem_public(seed64):
    """The encapsulation key of seed d | z (z is for decapsulation only)."""
    g = hashlib.sha3_512(seed64[:32] + bytes([K])).digest()
    rho, sigma = g[:32], g[32:]
    s = [ntt(sample_cbd(sigma, i)) for i in range(K)]
    e = [ntt(sample_cbd(sigma, K + i)) for i in range(K)]
    t = [add(dot(row, s), e[i]) for i, row in enumerate(matrix(rho))]
    return b"".join(encode(12, f) for f in t) + rho


def kem_encapsulate(key, m):
    t, rho = [decode(12, key[384 * i:384 * (i + 1)]) for i in range(K)], key[1152:]
    assert all(x < Q for f in t for x in f), "FIPS 203 section 7.2"
    g = hashlib.sha3_512(m + hashlib.sha3_256(key).digest()).digest()
    shared, r = g[:32], g[32:]
    y = [ntt(sample_cbd(r, i)) for i in range(K)]
    e1 = [sample_cbd(r, K + i) for i in range(K)]
    a = matrix(rho)
    u = [add(inverse_ntt(dot([a[j][i] for j in range(K)], y)), e1[i]) for i in range(K)]
    v = add(add(inverse_ntt(dot(t, y)), sample_cbd(r, 2 * K)), decompress(1, decode(1, m)))
    return b"".join(encode(DU, compress(DU, f)) for f in u) + encode(DV, compress(DV, v)), shared


# ---- Noise, revision 34 ------------------------------------------------------------------------------------------------------------
def blake2b(data):
    return hashlib.blake2b(data).digest()


def hkdf2(ck, ikm):
    mac = lambda key, data: hmac.new(key, data, "blake2b").digest()
    temp = mac(ck, ikm)
    one = mac(temp, b"\1")
    return one, mac(temp, one + b"\2")


class Symmetric:
    def __init__(self, name):
        self.h = self.ck = name.encode().ljust(64, b"\0")
        self.k, self.n = None, 0

    def mix_hash(self, data):
        self.h = blake2b(self.h + data)

    def mix_key(self, ikm):
        self.ck, temp = hkdf2(self.ck, ikm)
        self.k, self.n = temp[:32], 0

    def encrypt_and_hash(self, plain):
        out = plain
        if self.k:
            out = seal(self.k, self.n, self.h, plain)
            self.n += 1
        self.mix_hash(out)
        return out


def handshake(role, v):
    """One handshake as both sides see it, from all secrets at once: the values of PROTOCOL.md section 2.2."""
    secret = {k: bytes.fromhex(x) for k, x in v.items()}
    name = {1: "Noise_XKhfs_25519+MLKEM768_ChaChaPoly_BLAKE2b", 2: "Noise_NKhfs_25519+MLKEM768_ChaChaPoly_BLAKE2b"}[role]
    preamble = b"tacet" + bytes([1, role, 0])
    e, re, rs = secret["client_ephemeral_secret"], secret["relay_ephemeral_secret"], secret["relay_static_secret"]
    sym = Symmetric(name)
    sym.mix_hash(preamble)
    sym.mix_hash(x25519_public(rs))  # <- s

    sym.mix_hash(x25519_public(e))  # -> e, es, e1
    sym.mix_key(x25519(e, x25519_public(rs)))
    kem = kem_public(secret["client_kem_seed"])
    m1 = x25519_public(e) + sym.encrypt_and_hash(kem) + sym.encrypt_and_hash(b"")

    sym.mix_hash(x25519_public(re))  # <- e, ee, ekem1
    sym.mix_key(x25519(re, x25519_public(e)))
    ciphertext, shared = kem_encapsulate(kem, secret["relay_kem_coins"])
    m2 = x25519_public(re) + sym.encrypt_and_hash(ciphertext)
    sym.mix_key(shared)
    m2 += sym.encrypt_and_hash(b"")

    out = {"name": name, "role": role, "preamble": preamble.hex(), "relay_static_public": x25519_public(rs).hex(), **v,
           "m1": m1.hex(), "m2": m2.hex()}
    if role == 1:  # -> s, se
        s = secret["client_static_secret"]
        m3 = sym.encrypt_and_hash(x25519_public(s))
        sym.mix_key(x25519(s, x25519_public(re)))
        m3 += sym.encrypt_and_hash(b"")
        out["m3"] = m3.hex()
    one, two = hkdf2(sym.ck, b"")
    out.update(handshake_hash=sym.h.hex(), key_client_to_relay=one[:32].hex(), key_relay_to_client=two[:32].hex())
    return out


def fixed(label, n=32):
    """Fixed, random-looking test keys that anybody can make again."""
    return hashlib.shake_256(b"tacet test vector: " + label.encode()).hexdigest(n)


def handshake_vectors():
    rows = []
    for role in (1, 2):
        v = {"relay_static_secret": fixed("relay static")}
        if role == 1:
            v["client_static_secret"] = fixed("client static")
        v.update(client_ephemeral_secret=fixed(f"client ephemeral {role}"), client_kem_seed=fixed(f"client kem {role}", 64),
                 relay_ephemeral_secret=fixed(f"relay ephemeral {role}"), relay_kem_coins=fixed(f"relay kem {role}"))
        rows.append(handshake(role, v))
    return {"about": "PROTOCOL.md section 2.2; hex; seed is d | z and coins is m of FIPS 203", "vectors": rows}


# ---- records -----------------------------------------------------------------------------------------------------------------------
def record(key, n, plain):
    c = seal(key, n, b"", plain)
    return struct.pack(">H", len(c)) + c


def padded(stream, to=256):
    plain = struct.pack(">H", len(stream)) + stream
    return plain + bytes(-len(plain) % to)


def record_vectors():
    key = bytes.fromhex(fixed("record key"))
    byte = lambda n: bytes((7 * i + n) % 256 for i in range(n))
    good = [(0, b""), (1, b"x"), (2, byte(253)), (3, byte(254)), (4, byte(255)), (5, byte(600)), (2**32 + 1, b"counter"), (2**64 - 2, b"last")]
    rows = [{"key": key.hex(), "counter": str(n), "stream": s.hex(), "record": record(key, n, padded(s)).hex()} for n, s in good]
    rows.append({"what": "padded further than needed", "key": key.hex(), "counter": "0", "stream": "61",
                 "record": record(key, 0, padded(b"a", 512)).hex()})
    dirty = bytearray(padded(b"abc"))
    dirty[-1] = 1
    early = bytearray(padded(b"abc"))
    early[5] = 1
    bad = [("the last pad byte is 1", 0, bytes(dirty)), ("the first pad byte is 1", 0, bytes(early)),
           ("d is one more than fits", 0, struct.pack(">H", 255) + bytes(254)), ("d is 65535", 0, b"\xff\xff" + bytes(254)),
           ("not a multiple of 256", 0, bytes(255)), ("not a multiple of 256", 0, bytes(257)), ("empty", 0, b"")]
    refused = [{"why": why, "key": key.hex(), "counter": str(n), "record": record(key, n, plain).hex()} for why, n, plain in bad]
    refused.append({"why": "the reserved counter", "key": key.hex(), "counter": str(2**64 - 1), "record": record(key, 2**64 - 1, padded(b"")).hex()})
    return {"about": "PROTOCOL.md section 2.3; counter is decimal", "vectors": rows, "refused": refused}


FILES = {"handshake.json": handshake_vectors, "records.json": record_vectors}


def main():
    here = pathlib.Path(__file__).resolve().parent
    failed = 0
    for name, make in FILES.items():
        text = json.dumps(make(), indent=1) + "\n"
        if sys.argv[1:] == ["--write"]:
            (here / name).write_text(text)
        elif sys.argv[1:] == ["--check"]:
            same = (here / name).read_text() == text
            print(f"{'ok' if same else 'DIFFERENT'}: {name}")
            failed += not same
        else:
            sys.exit(__doc__)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
