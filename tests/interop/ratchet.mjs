// Agreement and ratchet (PROTOCOL.md §5 and §6).
import { sodium, blake, cat, dh, dhPair, equal, expand, hex, hkdf, hmac256, kemEncapsulate, kemPair, open, random, refuse, seal, split, u16, u32, u64, u8, zeros } from './bytes.mjs';
import { readList, typed } from './identity.mjs';

const party = p => cat(p.account, u32(p.device), typed(1, p.ik), typed(2, p.dh), u64(p.version));
export function agree(a, b, use, kemCt, ek, dhs, ss) {
  const transcript = cat('tacet kx', u8(1), party(a), party(b), u32(use.spkId), typed(2, use.spk),
    use.opk ? cat(u8(1), u32(use.opkId), typed(2, use.opk)) : zeros(38), u32(use.kemId), u8(use.lastResort), typed(3, use.kem), typed(2, ek), kemCt);
  if (transcript.length !== 2616) refuse('transcript');
  const T = blake(64, transcript), [rk, hkA, nhkB, pq] = split(hkdf(T, cat(...dhs, ss), cat('tacet root'), 128), 32, 32, 32, 32);
  return { id: blake(32, T), rk, hkA, nhkB, pq };
}
const boxKey = (clear, accountB, dhs, ss) => hkdf(blake(64, clear, accountB), cat(...dhs, ss), cat('tacet sender'), 32);
const boxParts = (k, n) => split(expand(k, cat('tacet box', n), 64), 32, 32);

// A's side. me: own identity; them: {account, device, ik, dh, version}; use: the checked prekeys.
export function initiate(me, them, use) {
  const ek = dhPair(), kem = kemEncapsulate(use.kem);
  const clear = cat(u8(1), u8(1), typed(2, ek.public), u32(use.spkId), u8(use.opk ? 1 : 0), u32(use.opk ? use.opkId : 0), u32(use.kemId), u8(use.lastResort), kem.ciphertext);
  const dh1 = dh(me.dh.secret, use.spk), rest = [dh(ek.secret, them.dh), dh(ek.secret, use.spk), ...(use.opk ? [dh(ek.secret, use.opk)] : [])];
  const n = random(24), [key, commitment] = boxParts(boxKey(clear, them.account, rest, kem.sharedSecret), n);
  const plain = cat(u32(me.device), u64(them.version), u16(me.list.length), me.list, zeros(1152 - 14 - me.list.length));
  const prefix = cat(clear, n, commitment, seal(key, n, clear, plain));
  const a = { account: me.account, device: me.device, ik: me.ik, dh: me.dh.public, version: me.version };
  const k = agree(a, them, use, kem.ciphertext, ek.public, [dh1, ...rest], kem.sharedSecret);
  const s = new Session(k, a, them, true);
  s.prefix = prefix;
  s.dhr = use.spk;
  s.sendStep();
  s.hks = k.hkA; s.nhkr = k.nhkB;
  return s;
}
// B's side: a first envelope from somebody. Returns {session, plain, list}; removes the one-time prekeys that it used.
export function respond(me, envelope) {
  const clear = envelope.subarray(0, 1137), box = envelope.subarray(1137, 2361), b = Buffer.from(clear);
  const ek = clear.subarray(3, 35), kemCt = clear.subarray(49);
  const names = { spk: `1:${b.readUInt32BE(35)}`, opk: b[39] ? `2:${b.readUInt32BE(40)}` : null, kem: `kem:${b.readUInt32BE(44)}` };
  const spk = me.prekeys.get(names.spk) ?? refuse('SPK'), kem = me.prekeys.get(names.kem) ?? refuse('KEM'), opk = names.opk && (me.prekeys.get(names.opk) ?? refuse('OPK'));
  const ss = sodium.crypto_kem_mlkem768_dec(kemCt, kem.secret);
  const rest = [dh(me.dh.secret, ek), dh(spk.secret, ek), ...(opk ? [dh(opk.secret, ek)] : [])];
  const n = box.subarray(0, 24), [key, commitment] = boxParts(boxKey(clear, me.account, rest, ss), n);
  if (!equal(commitment, box.subarray(24, 56))) refuse('box commitment');
  const plain = open(key, n, clear, box.subarray(56)), p = Buffer.from(plain);
  const list = readList(plain.subarray(14, 14 + p.readUInt16BE(12)));
  const device = list.devices.find(d => d.id === p.readUInt32BE(0)) ?? refuse('device');
  const a = { account: list.account, device: device.id, ik: list.ik, dh: device.dh, version: list.version };
  const me2 = { account: me.account, device: me.device, ik: me.ik, dh: me.dh.public, version: Number(p.readBigUInt64BE(4)) };
  const use = { spkId: b.readUInt32BE(35), spk: spk.public, opkId: b.readUInt32BE(40), opk: opk?.public, kemId: b.readUInt32BE(44), lastResort: b[48], kem: kem.public };
  const k = agree(a, me2, use, kemCt, ek, [dh(spk.secret, device.dh), ...rest], ss);
  const s = new Session(k, me2, a, false);
  s.part = blake(32, envelope.subarray(0, 2361));
  s.dhs = spk; s.nhkr = k.hkA; s.nhks = k.nhkB;
  const content = s.openMessage(envelope.subarray(2361));
  if (names.opk) me.prekeys.delete(names.opk);
  if (!b[48]) me.prekeys.delete(names.kem);
  return { session: s, plain: content, list };
}

const buckets = [256, 512, 1024, 2048, 4096, 8192, 16384];
export class Session {
  constructor(k, me, them, initiator) {
    Object.assign(this, { id: k.id, rk: k.rk, me, them, initiator, ns: 0, nr: 0, pn: 0, skipped: new Map(), former: [], epoch: 0, held: new Map([[0, k.pq]]), field: null, opened: 0, since: 0, stats: { epochs: new Set() } });
  }
  step(secret) { const [rk, ck, nhk] = split(hkdf(this.rk, dh(secret, this.dhr), cat('tacet rk'), 96), 32, 32, 32); this.rk = rk; return [ck, nhk]; }
  sendStep() { this.dhs = dhPair(); [this.cks, this.nhks] = this.step(this.dhs.secret); }
  messageKeys(ecKey, e, n) { return split(expand(hkdf(this.held.get(e) ?? refuse(`epoch ${e}`), ecKey, cat('tacet mk'), 32), cat('tacet msg', n), 64), 32, 32); }
  ad(from, to, header) { return cat('tacet body', this.id, from.account, u32(from.device), to.account, u32(to.device), u8(1), header); }
  seal(content) {
    const header = cat(u8(1), u8(0), this.dhs.public, u32(this.pn), u32(this.ns), u32(this.epoch), zeros(18));
    const nh = random(24), sealed = cat(nh, seal(this.hks, nh, cat('tacet hdr', this.id), header));
    const ec = hmac256(this.cks, u8(1));
    this.cks = hmac256(this.cks, u8(2));
    this.ns++; this.since++;
    const rides = this.field && (this.field.sent++ < 3 || this.field.sent % 10 === 0) ? cat(u8(this.field.kind), u32(this.field.e), this.field.bytes) : u8(0);
    const body = cat(rides, content), padded = cat(body, u8(0x80), zeros(buckets.find(s => s > body.length) - body.length - 1));
    const n = random(24), [key, commitment] = this.messageKeys(ec, this.epoch, n);
    const message = cat(sealed, n, commitment, seal(key, n, this.ad(this.me, this.them, sealed), padded));
    return this.prefix ? cat(this.prefix, message) : cat(u8(1), u8(2), message);
  }
  open(envelope) {
    if (envelope[1] === 1 && !(this.part && equal(this.part, blake(32, envelope.subarray(0, 2361))))) refuse('other agreement');
    return this.openMessage(envelope.subarray(envelope[1] === 1 ? 2361 : 2));
  }
  tryHeader(key, sealed) {
    try { return key && open(key, sealed.subarray(0, 24), cat('tacet hdr', this.id), sealed.subarray(24)); } catch { return null; }
  }
  skip(until) {
    if (until - this.nr > 2000) refuse('gap');
    for (; this.nr < until; this.nr++) { this.skipped.set(`${hex(this.hkr)}:${this.nr}`, hmac256(this.ckr, u8(1))); this.ckr = hmac256(this.ckr, u8(2)); }
  }
  openMessage(message) {
    const saved = { ...this, skipped: new Map(this.skipped), held: new Map(this.held) };
    try { return this.openOn(message); } catch (e) { Object.assign(this, saved); throw e; }
  }
  openOn(message) {
    const [sealed, n, commitment] = split(message, 104, 24, 32), ciphertext = message.subarray(160);
    let header = this.tryHeader(this.hkr, sealed), stepped = false, chain = this.hkr;
    if (!header && (header = this.tryHeader(this.nhkr, sealed))) stepped = true;
    if (!header) for (chain of this.former) if ((header = this.tryHeader(chain, sealed))) break;
    if (!header) refuse('header');
    const h = Buffer.from(header), N = h.readUInt32BE(38), e = h.readUInt32BE(42);
    if (h[0] !== 1 || h[1] !== 0 || !equal(header.subarray(46), zeros(18))) refuse('header fields');
    if (stepped) {
      if (this.hkr) { this.skip(h.readUInt32BE(34)); this.former.unshift(this.hkr); this.former.length = Math.min(this.former.length, 5); }
      this.hkr = chain = this.nhkr; this.dhr = header.subarray(2, 34); this.nr = 0;
      [this.ckr, this.nhkr] = this.step(this.dhs.secret);
    }
    let ec;
    if (chain === this.hkr && N >= this.nr) { this.skip(N); ec = hmac256(this.ckr, u8(1)); this.ckr = hmac256(this.ckr, u8(2)); this.nr++; }
    else { const name = `${hex(chain)}:${N}`; ec = this.skipped.get(name) ?? refuse('replay'); this.skipped.delete(name); }
    const [key, want] = this.messageKeys(ec, e, n);
    if (!equal(want, commitment)) refuse('commitment');
    const padded = open(key, n, this.ad(this.them, this.me, sealed), ciphertext);
    const end = padded.lastIndexOf(0x80);
    if (!buckets.includes(padded.length) || end < 0 || !equal(padded.subarray(end + 1), zeros(padded.length - end - 1))) refuse('padding');
    const content = this.postQuantum(padded.subarray(0, end), e);
    if (stepped) { this.pn = this.ns; this.ns = 0; this.hks = this.nhks; this.sendStep(); }
    this.prefix = null; this.opened++; this.since++; this.stats.epochs.add(e);
    return content;
  }
  nextPq(e, ss, ek, ct) { return hkdf(this.held.get(e - 1), ss, cat('tacet pq', this.id, u32(e), blake(32, ek), blake(32, ct)), 32); }
  // §6.5; this side begins epochs only when told to (begin).
  postQuantum(body, e) {
    if (e === this.epoch + 1) { this.epoch = e; this.field = null; this.since = 0; this.held.delete(e - 2); }              // C confirms
    else if (e === this.epoch && this.mine?.e === e) { this.mine = null; this.since = 0; this.held.delete(e - 2); }          // K confirms
    const kind = body[0], size = [0, 1188, 1092][kind] ?? refuse('PQ kind');
    if (kind) {
      const fe = Buffer.from(body.subarray(1, 5)).readUInt32BE(), bytes = body.subarray(5, 1 + size), theirs = fe % 2 === (this.initiator ? 0 : 1);
      if (kind === 1 && theirs && fe === this.epoch + 1 && this.field?.e !== fe) {
        const { ciphertext, sharedSecret } = kemEncapsulate(bytes);
        this.held.set(fe, this.nextPq(fe, sharedSecret, bytes, ciphertext));
        this.field = { kind: 2, e: fe, bytes: ciphertext, sent: 0 };
      } else if (kind === 2 && !theirs && this.field?.kind === 1 && this.field.e === fe) {
        this.held.set(fe, this.nextPq(fe, sodium.crypto_kem_mlkem768_dec(bytes, this.field.secret), this.field.bytes, bytes));
        this.mine = { e: fe }; this.field = null; this.epoch = fe;
      }
    }
    return body.subarray(1 + size);
  }
  begin() {
    const e = this.epoch + 1, kem = kemPair();
    if (e % 2 !== (this.initiator ? 1 : 0)) refuse('not our turn');
    this.field = { kind: 1, e, bytes: kem.publicKey, secret: kem.privateKey, sent: 0 };
  }
}
