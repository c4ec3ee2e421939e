// Somebody on a relay: registers, is written to, writes (PROTOCOL.md §2.4, §4, §7).
import { blake, hex, random, refuse, zeros, equal } from './bytes.mjs';
import { pack, unpack } from './msgpack.mjs';
import { Connection, parseRelay } from './transport.mjs';
import { directoryEntry, linkOf, newIdentity, newPrekey, parseLink, readList, readPrekey, sign, tokenHash } from './identity.mjs';
import { initiate, respond } from './ratchet.mjs';
import { cat } from './bytes.mjs';

export class Person {
  static async register(name, address) {
    const p = new Person();
    p.me = newIdentity(name); p.address = address; p.relay = parseRelay(address);
    p.contacts = []; p.seen = new Set();
    p.box = await Connection.open(p.relay, p.me.tk);
    const proof = sign(4, p.me.account, 0, cat(p.box.hash, p.me.listHash), p.me.ikSecret);
    await p.box.ask(1, p.me.list, zeros(0), 1, proof);
    const keys = [newPrekey(p.me, 1, 1), newPrekey(p.me, 4, 1000)];
    for (let i = 1; i <= 20; i++) keys.push(newPrekey(p.me, 2, i), newPrekey(p.me, 3, i));
    await p.box.ask(3, keys);
    await p.box.ask(5, [tokenHash(p.me.requestToken)], [], 2);
    await p.box.ask(2, directoryEntry(p.me, p.relay.key));
    await p.box.ask(6, 64);
    return p;
  }
  get link() { return linkOf(this.me, this.address); }
  contact(account) { return this.contacts.find(c => equal(c.account, account)); }

  content(c, kind, body, id) {
    const counted = ![2, 6, 16].includes(kind);
    const map = new Map([[1, id], [2, counted ? ++c.sequence : 0], [3, counted ? c.previous : zeros(32)], [4, Date.now()], [5, this.me.version], [6, this.me.listHash],
      [7, c.version], [8, 0], [9, kind], [10, body]]);
    const bytes = pack(map);
    if (counted) c.previous = blake(32, bytes);
    return bytes;
  }
  async send(c, kind, body, token = c.token) {
    const open = await Connection.open(c.relay), id = random(16);
    await open.ask(32, 1, c.account, c.device, token, 86400, c.session.seal(this.content(c, kind, body, id)));
    open.close();
    return id;
  }
  receipt(c, id, state = 1) { return this.send(c, 2, new Map([[1, state], [2, [id]]])); }
  async delivered(id) { // waits for their receipt
    while (!(await this.next(k => k === 2)).body.get(2).some(x => equal(x, id)));
  }
  text(c, text) { return this.send(c, 1, new Map([[1, text]])); }
  async newToken(c) {
    c.ours = random(32);
    await this.box.ask(5, [tokenHash(c.ours)], [], 1);
    return c.ours;
  }

  // First contact as its initiator.
  async add(link) {
    const l = parseLink(link), open = await Connection.open(l.relay);
    const [lists] = await open.ask(33, l.account, 0);
    const list = readList(lists.at(-1)), device = list.devices[0];
    if (!equal(list.account, l.account)) refuse('account');
    const [spk, opk, kem] = await open.ask(34, l.account, device.id);
    open.close();
    const s = readPrekey(spk, [1], l.account, device), o = opk.length && readPrekey(opk, [2], l.account, device), k = readPrekey(kem, [3, 4], l.account, device);
    const session = initiate(this.me, { account: l.account, device: device.id, ik: list.ik, dh: device.dh, version: list.version },
      { spkId: s.id, spk: s.key, opkId: o ? o.id : 0, opk: o ? o.key : null, kemId: k.id, kem: k.key, lastResort: k.kind === 4 ? 1 : 0 });
    const c = { name: l.name, account: l.account, device: device.id, relay: l.relay, version: list.version, session, sequence: 0, previous: zeros(32) };
    this.contacts.push(c);
    const token = await this.newToken(c);
    await this.send(c, 7, new Map([[1, this.me.name], [2, this.address], [3, token], [4, 'hello from another implementation']]), l.token);
    return c;
  }
  // Accepts whoever asked: the first ratchet reply carries the token for the other side.
  async accept(c) {
    const token = await this.newToken(c);
    await this.send(c, 6, new Map([[1, 1], [2, token], [3, 0]]));
  }

  // The next content that somebody sent us; receipts are skipped unless wanted.
  async next(wanted = k => k !== 2, ms = 15000) {
    for (const end = Date.now() + ms; Date.now() < end;) {
      const e = await this.box.event(Math.max(1, end - Date.now()));
      if (!e) break;
      if (e[0] !== 96) continue;
      const [, , number, , hash, , envelope] = e, id = hex(blake(16, envelope));
      const got = this.seen.has(id) ? null : this.openEnvelope(hash, envelope);
      this.seen.add(id);
      await this.box.ask(7, [number]);
      if (got && wanted(got.kind)) return got;
    }
    return refuse('nothing came');
  }
  openEnvelope(hash, envelope) {
    let c = this.contacts.find(x => x.ours && equal(tokenHash(x.ours), hash)), plain;
    if (envelope[1] === 1 && !c?.session?.part) {
      const r = respond(this.me, envelope);
      plain = r.plain;
      c ??= this.contact(r.list.account) ?? { account: r.list.account, sequence: 0, previous: zeros(32) };
      if (!this.contacts.includes(c)) this.contacts.push(c);
      Object.assign(c, { session: r.session, device: r.session.them.device, version: r.list.version, first: true });
    } else plain = c.session.open(envelope);
    const m = unpack(plain), body = m.get(10), kind = m.get(9);
    if (m.size !== 10) refuse('content');
    if (m.get(2)) {
      if (c.theirs && m.get(2) === c.theirs.sequence + 1 && !equal(m.get(3), c.theirs.hash)) refuse('history forked');
      c.theirs = { sequence: m.get(2), hash: blake(32, plain) };
    }
    if (kind === 7) Object.assign(c, { name: body.get(1), relay: parseRelay(body.get(2)), token: body.get(3) });
    if (kind === 6 && body.has(2)) c.token = body.get(2);
    return { kind, body, contact: c, id: m.get(1) };
  }
  close() { this.box.close(); }
}
