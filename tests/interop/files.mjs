// Files: plan, chunks, tree, what is asked of a relay about a blob (PROTOCOL.md §8). Held in memory, which is enough for a test.
import { sodium, cat, u8, u64, blake, equal, hkdf, label, open, random, refuse, seal, zeros } from './bytes.mjs';
import { Connection } from './transport.mjs';

const PLAIN = 64512, SEALED = PLAIN + 40;

// --- plan (§8.1) ---
export function padme(n) {
  if (n < 2) return n;
  const e = 31 - Math.clz32(n), s = 32 - Math.clz32(e), unit = 2 ** (e - s);
  return Math.ceil(n / unit) * unit;
}
export const chunksOf = size => padme(Math.max(1, Math.ceil(size / PLAIN)));

// --- keys, chunks, tree (§8.2) ---
export class Cipher {
  constructor(key, salt, blob, chunks) {
    const both = hkdf(salt, key, label('tacet file'), 64);
    Object.assign(this, { key: both.subarray(0, 32), commitment: both.subarray(32), blob, chunks });
  }
  ad(i) { return cat('tacet chunk', this.blob, u64(i), u8(i === this.chunks - 1 ? 1 : 0)); }
  seal(i, plain) {
    const nonce = random(24);
    return cat(nonce, seal(this.key, nonce, this.ad(i), cat(plain, zeros(PLAIN - plain.length))));
  }
  open(i, chunk) { return chunk.length === SEALED ? open(this.key, chunk.subarray(0, 24), this.ad(i), chunk.subarray(24)) : refuse('length of a chunk'); }
}
export const leafOf = (i, chunk) => blake(32, u8(0), u64(i), chunk);
export function rootOf(leaves) {
  if (leaves.length === 1) return leaves[0];
  let left = 1;
  while (2 * left < leaves.length) left *= 2;
  return blake(32, u8(1), rootOf(leaves.slice(0, left)), rootOf(leaves.slice(left)));
}

// --- blobs (§8.3) ---
const capabilityHash = capability => blake(32, 'tacet blob', capability);
export function bitsOf(set, count) { // from chunk 0 on
  const bits = zeros(Math.ceil(count / 8));
  for (const i of set) bits[i >> 3] |= 1 << (i & 7);
  return bits;
}

// What we send: sealed once, so that a chunk that goes again is the same bytes.
export class Outgoing {
  constructor(name, bytes) {
    Object.assign(this, { name, size: bytes.length, chunks: chunksOf(bytes.length), blob: random(16), key: random(32), salt: random(32), capability: random(32) });
    this.cipher = new Cipher(this.key, this.salt, this.blob, this.chunks);
    this.sealed = Array.from({ length: this.chunks }, (_, i) => this.cipher.seal(i, bytes.subarray(i * PLAIN, (i + 1) * PLAIN)));
    this.root = rootOf(this.sealed.map((c, i) => leafOf(i, c)));
  }
  get offer() {
    return new Map([[1, this.blob], [2, this.key], [3, this.salt], [4, this.cipher.commitment], [5, this.capability], [6, this.chunks], [7, this.size], [8, this.name], [10, 0o644],
      [11, Math.floor(Date.now() / 1000)], [12, 1]]);
  }
  get seal() { return new Map([[1, this.blob], [2, this.root], [3, this.chunks], [4, this.size]]); }
  create(box, chunks = this.chunks) { return box.ask(10, this.blob, chunks, 86400, [capabilityHash(this.capability)]); }
  put(box, ...indices) { return Promise.all(indices.map(i => box.ask(11, this.blob, i, this.sealed[i]))); }
  async safe(box) { // the bits of blob_status
    const [chunks, first, bits] = await box.ask(12, this.blob, 0);
    return chunks === this.chunks && first === 0 ? bits : refuse('blob_status of another blob');
  }
}

// What we are offered: every chunk opened before it counts, nothing given out before the seal was compared.
export class Incoming {
  constructor(contact, offer) {
    ['blob', 'key', 'salt', 'commitment', 'capability', 'chunks', 'size', 'name'].forEach((field, i) => { this[field] = offer.get(i + 1); });
    if (this.chunks !== chunksOf(this.size) || offer.get(12) !== 1) refuse('offer');
    this.contact = contact;
    this.cipher = new Cipher(this.key, this.salt, this.blob, this.chunks);
    if (!sodium.memcmp(this.commitment, this.cipher.commitment)) refuse('commitment');
    this.parts = []; this.leaves = []; this.pushed = 0;
  }
  async watch(credit) {
    const link = await Connection.open(this.contact.relay), held = Object.keys(this.parts).map(Number);
    for (let tries = 0; ; tries++) { // the offer may be here before the blob is
      try {
        if (held.length) await link.ask(37, this.blob, this.capability, 0, bitsOf(held, this.chunks));
        await link.ask(36, this.blob, this.capability, credit);
        return link;
      } catch (e) {
        if (e.code !== 3 || tries === 50) throw e;
        await new Promise(ok => setTimeout(ok, 100));
      }
    }
  }
  // Takes chunks until `until` of them are here. `says`: with a `have` for each; `twice`: this one is asked for `again` first.
  async take({ until = this.chunks, credit = 3, says = true, twice = -1 } = {}) {
    const link = await this.watch(credit);
    while (Object.keys(this.parts).length < until) {
      const [kind, , blob, i, chunk] = (await link.event(15000)) ?? refuse('no chunk came');
      if (kind !== 98 || !equal(blob, this.blob) || i >= this.chunks || i in this.parts) refuse(`event ${kind}, chunk ${i}`);
      this.pushed++;
      if (i === twice) {
        twice = -1;
        await link.ask(38, this.blob, this.capability, i);
        continue;
      }
      this.parts[i] = this.cipher.open(i, chunk);
      this.leaves[i] = leafOf(i, chunk);
      if (says) await link.ask(37, this.blob, this.capability, i, u8(1));
    }
    link.close();
  }
  // The bytes, once the seal says the same.
  finish(sealed) {
    const [blob, root, chunks, size] = [1, 2, 3, 4].map(k => sealed.get(k)), stream = cat(...this.parts);
    if (!equal(blob, this.blob) || chunks !== this.chunks || size !== this.size || !equal(root, rootOf(this.leaves))) refuse('seal');
    return equal(stream.subarray(size), zeros(stream.length - size)) ? stream.subarray(0, size) : refuse('what fills the stream up is not zeros');
  }
}
