#!/usr/bin/env python3
"""Writes identity.json: an implementation of docs/PROTOCOL.md §3 and §9 that shares no code with ours.
Needs Python's cryptography >= 48 (Argon2id, ML-KEM); only for making the file anew, tests read it as it is."""
import base64, hashlib, hmac, json, os, struct
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


def b2(data, size=32):
    return hashlib.blake2b(data, digest_size=size).digest()


def seed(name):
    return hashlib.sha256(b"tacet vectors " + name.encode()).digest()


def b32(data):
    return base64.b32encode(data).decode().lower().rstrip("=")


class Sign:
    def __init__(self, name):
        self.seed = seed(name)
        self.key = Ed25519PrivateKey.from_private_bytes(self.seed)
        self.public = self.key.public_key().public_bytes(*RAW)
        self.typed = b"\x01" + self.public


def x25519(name):
    return X25519PrivateKey.from_private_bytes(seed(name)).public_key().public_bytes(*RAW)


def account(ik):
    return b2(b"tacet account\0" + ik.typed)


def sign(key, purpose, acc, device, obj):
    return key.key.sign(b"tacet sig\0" + bytes([purpose, 1]) + acc + struct.pack(">I", device) + obj)


def device_list(ik, version, previous, devices):
    obj = ik.typed + struct.pack(">Q", version) + previous + bytes([len(devices)])
    for d in devices:
        obj += struct.pack(">I", d["id"]) + b"\x01" + d["sign"] + b"\x02" + d["dh"] + b"\x02" + d["tk"]
        obj += bytes([d["lowest"], d["highest"]]) + struct.pack(">Q", d["created"])
    return obj + sign(ik, 1, account(ik), 0, obj), b2(obj)


def directory_entry(ik, relay, name, token, expires):
    obj = ik.typed + relay + bytes([len(name)]) + name.encode().ljust(32, b"\0") + token + struct.pack(">Q", expires)
    return obj + sign(ik, 2, account(ik), 0, obj)


def prekey(dk, acc, device, kind, number, created, expires, key):
    obj = bytes([kind]) + struct.pack(">IQQ", number, created, expires) + (b"\x03" if kind > 2 else b"\x02") + key
    return obj + sign(dk, 3, acc, device, obj)


def side(ik):
    h = hashlib.sha512(b"\0\0" + ik.typed + account(ik)).digest()
    for _ in range(5200):
        h = hashlib.sha512(h + ik.typed).digest()
    return "".join("%05d" % (int.from_bytes(h[5 * i:5 * i + 5], "big") % 100000) for i in range(6))


# ---- XChaCha20-Poly1305 from its parts, because the key file's worst case needs them -------------------------------------------------
def rotl(v, n):
    return ((v << n) | (v >> (32 - n))) & 0xffffffff


def rounds(s):
    def quarter(a, b, c, d):
        s[a] = (s[a] + s[b]) & 0xffffffff; s[d] = rotl(s[d] ^ s[a], 16)
        s[c] = (s[c] + s[d]) & 0xffffffff; s[b] = rotl(s[b] ^ s[c], 12)
        s[a] = (s[a] + s[b]) & 0xffffffff; s[d] = rotl(s[d] ^ s[a], 8)
        s[c] = (s[c] + s[d]) & 0xffffffff; s[b] = rotl(s[b] ^ s[c], 7)
    for _ in range(10):
        quarter(0, 4, 8, 12); quarter(1, 5, 9, 13); quarter(2, 6, 10, 14); quarter(3, 7, 11, 15)
        quarter(0, 5, 10, 15); quarter(1, 6, 11, 12); quarter(2, 7, 8, 13); quarter(3, 4, 9, 14)
    return s


CONST = list(struct.unpack("<4I", b"expand 32-byte k"))


def hchacha20(key, nonce16):
    s = rounds(CONST + list(struct.unpack("<8I", key)) + list(struct.unpack("<4I", nonce16)))
    return struct.pack("<8I", *(s[:4] + s[12:]))


def chacha_block(key, counter, nonce12):
    start = CONST + list(struct.unpack("<8I", key)) + [counter] + list(struct.unpack("<3I", nonce12))
    return struct.pack("<16I", *((a + b) & 0xffffffff for a, b in zip(rounds(list(start)), start)))


def xchacha_seal(key, nonce, ad, plain):
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(b"\0\0\0\0" + nonce[16:], plain, ad)


def xchacha_open(key, nonce, ad, sealed):
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).decrypt(b"\0\0\0\0" + nonce[16:], sealed, ad)


def stretch(passphrase, salt, passes, kib):
    prk = Argon2id(salt=salt, length=32, iterations=passes, lanes=1, memory_cost=kib).derive(passphrase)
    label = b"tacet key file\0"
    t1 = hmac.digest(prk, label + b"\x01", "sha256")
    t2 = hmac.digest(prk, t1 + label + b"\x02", "sha256")
    return t1, t2


def slot_bound(kind, passes, kib, salt):
    return bytes([kind]) + struct.pack(">II", passes, kib) + salt


def keyfile(slots):
    body = b"tacetkey" + bytes([1, len(slots)]) + b"".join(slots)
    return body + b2(body)


def wrapped_slot(kind, passphrase, salt, nonce, passes, kib, key):
    k, commitment = stretch(passphrase, salt, passes, kib)
    bound = slot_bound(kind, passes, kib, salt)
    return bound + nonce + commitment + xchacha_seal(k, nonce, bound, key)


def salamander(keys, nonce, ad):
    """One 32-byte ciphertext with one tag that opens under both keys."""
    p = 2 ** 130 - 5
    r, s = [], []
    for k in keys:
        block = chacha_block(hchacha20(k, nonce[:16]), 0, b"\0\0\0\0" + nonce[16:])
        r.append(int.from_bytes(block[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff)
        s.append(int.from_bytes(block[16:32], "little"))
    pad = ad + b"\0" * (-len(ad) % 16)
    ad_blocks = [int.from_bytes(pad[i:i + 16], "little") + 2 ** 128 for i in range(0, len(pad), 16)]
    lengths = int.from_bytes(struct.pack("<QQ", len(ad), 32), "little") + 2 ** 128
    for tries in range(10000):
        first = hashlib.sha256(b"tacet salamander %d" % tries).digest()[:16]
        c1 = int.from_bytes(first, "little") + 2 ** 128

        def poly(i, c2):
            a = 0
            for m in ad_blocks + [c1, c2, lengths]:
                a = (a + m) * r[i] % p
            return a
        for j in range(-4, 5):
            # poly(i, c2) = poly(i, 0) + c2 * r_i^2: solve for equal tags
            c2 = (s[1] - s[0] + j * 2 ** 128 + poly(1, 0) - poly(0, 0)) * pow((r[0] ** 2 - r[1] ** 2) % p, -1, p) % p
            tag = [(poly(i, c2) + s[i]) % 2 ** 128 for i in (0, 1)]
            if c2 >> 128 == 1 and tag[0] == tag[1]:
                return first + (c2 - 2 ** 128).to_bytes(16, "little") + tag[0].to_bytes(16, "little")
    raise SystemExit("no salamander found")


alice, bob, phone, laptop = Sign("alice"), Sign("bob"), Sign("alice device 1"), Sign("alice device 2")
acc = account(alice)
now = 1760000000
devices = [
    {"id": 1, "sign": phone.public, "dh": x25519("dh 1"), "tk": x25519("tk 1"), "lowest": 1, "highest": 1, "created": now},
    {"id": 2, "sign": laptop.public, "dh": x25519("dh 2"), "tk": x25519("tk 2"), "lowest": 1, "highest": 2, "created": now + 60},
]
list1, hash1 = device_list(alice, 1, bytes(32), devices[:1])
list2, hash2 = device_list(alice, 2, hash1, devices)
relay, token = x25519("relay"), seed("request token")
kem = MLKEM768PrivateKey.from_seed_bytes(seed("kem d") + seed("kem z")).public_key().public_bytes_raw()
objects = {1: b"object one", 2: b"", 3: b"object three", 4: bytes(range(96)), 5: b"\xff" * 33}
salt, nonce = seed("salt")[:16], seed("nonce")[:24]
database_key = seed("database key")
low, high = sorted((side(alice), side(bob)))

bound = slot_bound(2, 1, 8, salt)
one, two = stretch(b"the right one", salt, 1, 8), stretch(b"the other one", salt, 1, 8)
twofold = salamander((one[0], two[0]), nonce, bound)
opened = [xchacha_open(k[0], nonce, bound, twofold) for k in (one, two)]

backup_key, backup_n, backup_text = seed("backup file key"), seed("backup nonce")[:24], b"a backup's first chunk"
backup_head = b"tacetbak\x01" + keyfile([wrapped_slot(2, b"correct horse", salt, nonce, 1, 8, backup_key)])
backup_prk = hmac.digest(b2(backup_head, 64), backup_key, "sha256")
backup_info = b"tacet backup\0" + backup_n
backup_t1 = hmac.digest(backup_prk, backup_info + b"\x01", "sha256")
backup_t2 = hmac.digest(backup_prk, backup_t1 + backup_info + b"\x02", "sha256")
backup_chunks = [xchacha_seal(backup_t1, bytes(15) + struct.pack(">QB", i, last), b"", text.ljust(65536, b"\0"))
                 for i, last, text in ((0, 0, backup_text), (1, 1, b""))]

kinds = [(1, 1, x25519("spk")), (2, 2, x25519("opk")), (3, 3, kem), (4, 4, kem)]
out = {
    "document": "docs/PROTOCOL.md sections 3 and 9; bytes in hex",
    "account": {"ik_seed": alice.seed, "ik": alice.public, "account": acc},
    "token": {"token": token, "hash": b2(b"tacet token\0" + token)},
    "signatures": [
        {"purpose": p, "device": 7 if p == 3 else 0, "object": o, "signature": sign(alice, p, acc, 7 if p == 3 else 0, o)}
        for p, o in objects.items()],
    "device_lists": [
        {"version": 1, "previous": bytes(32), "devices": devices[:1], "list": list1, "hash": hash1},
        {"version": 2, "previous": hash1, "devices": devices, "list": list2, "hash": hash2}],
    "directory_entry": {"name": "alice", "relay": relay, "token": token, "expires": now,
                        "entry": directory_entry(alice, relay, "alice", token, now)},
    "prekeys": [
        {"kind": k, "id": n, "created": now, "expires": now + 14 * 86400, "key": key, "device": 1, "device_sign_seed": phone.seed,
         "device_sign": phone.public, "prekey": prekey(phone, acc, 1, k, n, now, now + 14 * 86400, key)} for k, n, key in kinds],
    "links": [
        {"host": host, "port": port, "name": "alice", "key": relay, "account": acc, "token": token,
         "address": f"tacet://{shown}:{port}/{b32(relay)}", "link": f"tacet://alice@{shown}:{port}/{b32(relay)}#{b32(acc)}.{b32(token)}"}
        for host, shown, port in (("relay.example", "relay.example", 7450), ("192.0.2.1", "192.0.2.1", 1), ("2001:db8::1", "[2001:db8::1]", 65535))],
    "safety_number": {"ik_one": alice.public, "ik_two": bob.public, "digits": low + high},
    "key_file": {
        "database_key": database_key, "passphrase": "correct horse", "recovery": "battery staple",
        "file": keyfile([slot_bound(1, 0, 0, bytes(16)) + bytes(24 + 32) + database_key + bytes(16),
                         wrapped_slot(2, b"correct horse", salt, nonce, 1, 8, database_key),
                         wrapped_slot(3, b"battery staple", nonce[:16], salt + salt[:8], 2, 16, database_key)])},
    "key_file_two_keys": {
        "note": "one sealed key that the AEAD opens under both wrap keys; the commitment is that of the first passphrase",
        "passphrase": "the right one", "other_passphrase": "the other one", "wrap_key": one[0], "other_wrap_key": two[0], "nonce": nonce,
        "associated_data": bound, "sealed": twofold, "database_key": opened[0], "other_database_key": opened[1],
        "file": keyfile([bound + nonce + one[1] + twofold])},
    "backup": {
        "note": "two chunks of 65,552 bytes, of which the hash (BLAKE2b-256) and the first 32 bytes stand here; both texts are filled up with zeros",
        "passphrase": "correct horse", "file_key": backup_key, "head": backup_head, "start": backup_n + backup_t2, "chunk_key": backup_t1,
        "first_text": backup_text, "first_chunk_begins": backup_chunks[0][:32], "first_chunk_hash": b2(backup_chunks[0]),
        "last_chunk_begins": backup_chunks[1][:32], "last_chunk_hash": b2(backup_chunks[1])},
}


def hexed(v):
    if isinstance(v, (bytes, bytearray)):
        return v.hex()
    if isinstance(v, dict):
        return {k: hexed(x) for k, x in v.items()}
    return [hexed(x) for x in v] if isinstance(v, (list, tuple)) else v


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "identity.json"), "w") as f:
    json.dump(hexed(out), f, indent=1)
    f.write("\n")
