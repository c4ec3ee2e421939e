// Preamble, Noise XKhfs and NKhfs as initiator, records, frames, requests (PROTOCOL.md §2).
import net from 'node:net';
import { sodium, cat, u8, u16, u32, blake, dh, dhPair, equal, refuse, split, unbase32, zeros } from './bytes.mjs';
import { pack, unpack } from './msgpack.mjs';

function hmac(key, ...parts) {
  const block = n => { const b = new Uint8Array(128); b.set(key); return b.map(x => x ^ n); };
  return blake(64, block(0x5c), blake(64, block(0x36), ...parts));
}
const noiseHkdf = (ck, ikm) => { const t = hmac(ck, ikm), a = hmac(t, u8(1)); return [a, hmac(t, a, u8(2))]; };
const nonce = n => { const b = Buffer.alloc(12); b.writeBigUInt64LE(BigInt(n), 4); return Uint8Array.from(b); };

class Symmetric {
  constructor(name, prologue) {
    const n = Uint8Array.from(Buffer.from(name));
    this.h = n.length <= 64 ? cat(n, zeros(64 - n.length)) : blake(64, n);
    this.ck = this.h;
    this.mixHash(prologue);
  }
  mixHash(data) { this.h = blake(64, this.h, data); }
  mixKey(ikm) { const [ck, k] = noiseHkdf(this.ck, ikm); this.ck = ck; this.k = k.subarray(0, 32); this.n = 0; }
  encrypt(plain) {
    const c = this.k ? sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plain, this.h, null, nonce(this.n++), this.k) : plain;
    this.mixHash(c);
    return c;
  }
  decrypt(c) {
    const p = this.k ? sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, c, this.h, nonce(this.n++), this.k) : c;
    this.mixHash(c);
    return p;
  }
}

export function parseRelay(address) {
  const m = /^tacet:\/\/(?:[^@]*@)?([^/]*):(\d+)\/([a-z2-7]{52})/.exec(address) ?? refuse('address');
  return { host: m[1], port: Number(m[2]), key: unbase32(m[3], 32) };
}

export class Connection {
  // role 1 with `tk` (X25519 pair), role 2 without
  static async open(relay, tk) {
    const c = new Connection();
    c.socket = net.connect(relay.port, relay.host);
    c.socket.setNoDelay(true);
    c.chunks = Buffer.alloc(0); c.waiting = null; c.closed = false;
    c.socket.on('data', d => { c.chunks = Buffer.concat([c.chunks, d]); c.wake(); });
    c.socket.on('close', () => { c.closed = true; c.wake(); });
    c.socket.on('error', () => { c.closed = true; c.wake(); });
    await new Promise((ok, no) => { c.socket.once('connect', ok); c.socket.once('error', no); });
    await c.handshake(relay.key, tk);
    c.id = 0; c.replies = new Map(); c.events = []; c.stream = Buffer.alloc(0);
    c.pump();
    return c;
  }
  wake() { const w = this.waiting; this.waiting = null; w?.(); }
  async take(n) {
    while (this.chunks.length < n) {
      if (this.closed) refuse('connection closed');
      await new Promise(ok => { this.waiting = ok; });
    }
    const out = Uint8Array.from(this.chunks.subarray(0, n));
    this.chunks = this.chunks.subarray(n);
    return out;
  }
  async takeSized() { return this.take(Buffer.from(await this.take(2)).readUInt16BE()); }
  sendSized(bytes) { this.socket.write(cat(u16(bytes.length), bytes)); }
  async handshake(rs, tk) {
    const prologue = Uint8Array.from([...Buffer.from('tacet'), 1, tk ? 1 : 2, 0]);
    const s = new Symmetric(`Noise_${tk ? 'XK' : 'NK'}hfs_25519+MLKEM768_ChaChaPoly_BLAKE2b`, prologue);
    s.mixHash(rs);
    this.socket.write(prologue);
    const e = dhPair(), kem = sodium.crypto_kem_mlkem768_keypair();
    s.mixHash(e.public);                                               // -> e
    s.mixKey(dh(e.secret, rs));                                        // es
    const e1 = s.encrypt(kem.publicKey);                               // e1
    this.sendSized(cat(e.public, e1, s.encrypt(zeros(0))));
    const [re, ekem1, payload] = split(await this.takeSized(), 32, 1088 + 16, 16);
    s.mixHash(re);                                                     // <- e
    s.mixKey(dh(e.secret, re));                                        // ee
    s.mixKey(sodium.crypto_kem_mlkem768_dec(s.decrypt(ekem1), kem.privateKey)); // ekem1
    s.decrypt(payload);
    if (tk) {
      const st = s.encrypt(tk.public);                                 // -> s
      s.mixKey(dh(tk.secret, re));                                     // se
      this.sendSized(cat(st, s.encrypt(zeros(0))));
    }
    [this.out, this.in] = noiseHkdf(s.ck, zeros(0)).map(k => ({ key: k.subarray(0, 32), n: 0 }));
    this.hash = s.h;
  }
  sendRecord(stream) {
    const plain = cat(u16(stream.length), stream, zeros((256 - (stream.length + 2) % 256) % 256));
    this.sendSized(sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plain, null, null, nonce(this.out.n++), this.out.key));
  }
  async pump() {
    try {
      for (;;) {
        const plain = sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, await this.takeSized(), null, nonce(this.in.n++), this.in.key);
        const d = Buffer.from(plain).readUInt16BE();
        if (plain.length % 256 || d + 2 > plain.length || !equal(plain.subarray(2 + d), zeros(plain.length - 2 - d))) refuse('record');
        this.stream = Buffer.concat([this.stream, plain.subarray(2, 2 + d)]);
        while (this.stream.length >= 4 && this.stream.length >= 4 + this.stream.readUInt32BE()) {
          const n = this.stream.readUInt32BE();
          const frame = unpack(this.stream.subarray(4, 4 + n));
          this.stream = this.stream.subarray(4 + n);
          if (frame[1] === 0) { this.events.push(frame); this.onEvent?.(); } else { this.replies.get(frame[1])?.(frame); this.replies.delete(frame[1]); }
        }
      }
    } catch { this.closed = true; this.onEvent?.(); for (const r of this.replies.values()) r(null); }
  }
  // One request, its reply's fields. An error reply throws.
  async ask(kind, ...fields) {
    const id = ++this.id;
    const reply = new Promise(ok => this.replies.set(id, ok));
    let frame = pack([kind, id, ...fields]);
    frame = cat(u32(frame.length), frame);
    for (let at = 0; at < frame.length; at += 65278) this.sendRecord(frame.subarray(at, at + 65278));
    const r = (await reply) ?? refuse('connection closed');
    if (r[0] === 65) throw Object.assign(new Error(`relay says ${r[2]}: ${r[4]}`), { code: r[2] });
    return r.slice(2);
  }
  async event(ms = 5000) {
    const end = Date.now() + ms;
    while (!this.events.length && !this.closed && Date.now() < end)
      await new Promise(ok => { this.onEvent = ok; setTimeout(ok, Math.max(1, end - Date.now())); });
    return this.events.shift();
  }
  close() { this.socket.destroy(); }
}
