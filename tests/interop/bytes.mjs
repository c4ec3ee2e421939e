// Primitives and byte helpers (PROTOCOL.md, head and §1).
import './webcrypto.mjs';
import sodium from 'libsodium-wrappers-sumo';
import { createHmac, createHash } from 'node:crypto';
await sodium.ready;
export { sodium };

export const cat = (...parts) => Uint8Array.from(Buffer.concat(parts.map(p => (typeof p === 'string' ? label(p) : p))));
export const label = text => Uint8Array.from(Buffer.from(text + '\0', 'latin1'));
export const u8 = n => Uint8Array.of(n);
export const u16 = n => { const b = Buffer.alloc(2); b.writeUInt16BE(n); return Uint8Array.from(b); };
export const u32 = n => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return Uint8Array.from(b); };
export const u64 = n => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return Uint8Array.from(b); };
export const zeros = n => new Uint8Array(n);
export const equal = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;
export const hex = b => Buffer.from(b).toString('hex');
// Randomness, unless a check of vectors has put bytes in line (vectors.mjs).
export const inLine = [];
export function random(n) {
  if (!inLine.length) return sodium.randombytes_buf(n);
  return inLine[0].length === n ? inLine.shift() : refuse(`${n} random bytes are wanted, ${inLine[0].length} are in line`);
}
export const refuse = what => { throw new Error(what); };

export const blake = (n, ...parts) => sodium.crypto_generichash(n, cat(...parts));
export const sha512 = (...parts) => Uint8Array.from(createHash('sha512').update(cat(...parts)).digest());
export const hmac256 = (key, data) => Uint8Array.from(createHmac('sha256', key).update(data).digest());
export function expand(prk, info, n) {
  let out = new Uint8Array(0), t = new Uint8Array(0);
  for (let i = 1; out.length < n; i++) out = cat(out, (t = hmac256(prk, cat(t, info, u8(i)))));
  return out.subarray(0, n);
}
export const hkdf = (salt, ikm, info, n) => expand(hmac256(salt, ikm), info, n);
export const split = (bytes, ...sizes) => { let at = 0; return sizes.map(n => bytes.subarray(at, (at += n))); };

export const seal = (key, nonce, ad, plain) => sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, ad, null, nonce, key);
export const open = (key, nonce, ad, sealed) => sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, sealed, ad, nonce, key);
export function dh(secret, point) {
  const out = sodium.crypto_scalarmult(secret, point);
  return equal(out, zeros(32)) ? refuse('DH of zeros') : out;
}
export const kemPairOf = seed => sodium.crypto_kem_mlkem768_seed_keypair(seed);
export const kemPair = () => kemPairOf(random(64));
export const kemEncapsulate = key => sodium.crypto_kem_mlkem768_enc_deterministic(key, random(32));
export const dhPair = () => { const secret = random(32); return { secret, public: sodium.crypto_scalarmult_base(secret) }; };

const letters = 'abcdefghijklmnopqrstuvwxyz234567';
export function base32(bytes) {
  let bits = '', out = '';
  for (const b of bytes) bits += b.toString(2).padStart(8, '0');
  for (let i = 0; i < bits.length; i += 5) out += letters[parseInt(bits.slice(i, i + 5).padEnd(5, '0'), 2)];
  return out;
}
export function unbase32(text, n) {
  let bits = '';
  for (const c of text) bits += letters.indexOf(c).toString(2).padStart(5, '0');
  return Uint8Array.from({ length: n }, (_, i) => parseInt(bits.slice(8 * i, 8 * i + 8), 2));
}
