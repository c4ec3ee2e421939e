// Accounts, device lists, prekeys, directory, links (PROTOCOL.md §3).
import { sodium, cat, u8, u32, u64, blake, base32, dhPair, equal, random, refuse, split, unbase32, zeros } from './bytes.mjs';
import { parseRelay } from './transport.mjs';

export const typed = (type, raw) => cat(u8(type), raw);
export const untype = (type, key) => (key[0] === type ? key.subarray(1) : refuse('key type'));
export const accountOf = ik => blake(32, 'tacet account', typed(1, ik));
export const tokenHash = token => blake(32, 'tacet token', token);
const signed = (purpose, account, device, object) => cat('tacet sig', u8(purpose), u8(1), account, u32(device), object);
export const sign = (purpose, account, device, object, secret) => sodium.crypto_sign_detached(signed(purpose, account, device, object), secret);
export const verify = (purpose, account, device, object, signature, key) =>
  sodium.crypto_sign_verify_detached(signature, signed(purpose, account, device, object), key) || refuse(`signature ${purpose}`);
const now = () => Math.floor(Date.now() / 1000);

export function newIdentity(name) {
  const ik = sodium.crypto_sign_keypair(), sg = sodium.crypto_sign_keypair();
  const me = { name, ik: ik.publicKey, ikSecret: ik.privateKey, sign: sg.publicKey, signSecret: sg.privateKey, dh: dhPair(), tk: dhPair(), device: 1, version: 1, requestToken: random(32) };
  me.account = accountOf(me.ik);
  const object = cat(typed(1, me.ik), u64(1), zeros(32), u8(1), u32(1), typed(1, me.sign), typed(2, me.dh.public), typed(2, me.tk.public), u8(1), u8(1), u64(now()));
  me.listHash = blake(32, object);
  me.list = cat(object, sign(1, me.account, 0, object, me.ikSecret));
  me.prekeys = new Map();
  return me;
}
export function readList(bytes) {
  const object = bytes.subarray(0, -64), b = Buffer.from(object);
  const ik = untype(1, object.subarray(0, 33)), account = accountOf(ik);
  verify(1, account, 0, object, bytes.subarray(-64), ik);
  const devices = Array.from({ length: b[73] }, (_, i) => {
    const d = object.subarray(74 + 113 * i, 74 + 113 * (i + 1));
    return { id: Buffer.from(d).readUInt32BE(), sign: untype(1, d.subarray(4, 37)), dh: untype(2, d.subarray(37, 70)), tk: untype(2, d.subarray(70, 103)) };
  });
  if (object.length !== 74 + 113 * devices.length) refuse('list length');
  return { ik, account, version: Number(b.readBigUInt64BE(33)), hash: blake(32, object), devices };
}
// Makes a prekey of a kind (1 signed, 2 one-time, 3 KEM one-time, 4 KEM last resort); its private half stays in me.prekeys.
export function newPrekey(me, kind, id) {
  const kem = kind > 2, pair = kem ? sodium.crypto_kem_mlkem768_keypair() : dhPair();
  const pub = kem ? pair.publicKey : pair.public;
  me.prekeys.set(`${kem ? 'kem' : kind}:${id}`, { secret: kem ? pair.privateKey : pair.secret, public: pub });
  const object = cat(u8(kind), u32(id), u64(now()), u64(now() + 14 * 86400), typed(kem ? 3 : 2, pub));
  return cat(object, sign(3, me.account, me.device, object, me.signSecret));
}
export function readPrekey(bytes, kinds, account, device) {
  const object = bytes.subarray(0, -64), b = Buffer.from(object);
  verify(3, account, device.id, object, bytes.subarray(-64), device.sign);
  const expires = Number(b.readBigUInt64BE(13));
  if (!kinds.includes(b[0]) || expires + 86400 < now()) refuse('prekey');
  return { kind: b[0], id: b.readUInt32BE(1), key: untype(b[0] > 2 ? 3 : 2, object.subarray(21)) };
}
export function directoryEntry(me, relayKey) {
  const name = Buffer.from(me.name);
  const object = cat(typed(1, me.ik), relayKey, u8(name.length), name, zeros(32 - name.length), me.requestToken, u64(now() + 30 * 86400));
  return cat(object, sign(2, me.account, 0, object, me.ikSecret));
}
export const linkOf = (me, address) => `tacet://${me.name}@${address.slice(8)}#${base32(me.account)}.${base32(me.requestToken)}`;
export function parseLink(link) {
  const m = /^tacet:\/\/([^@]*)@(.*)#([a-z2-7]{52})\.([a-z2-7]{52})$/.exec(link) ?? refuse('link');
  return { name: m[1], address: 'tacet://' + m[2], relay: parseRelay(link), account: unbase32(m[3], 32), token: unbase32(m[4], 32) };
}
export { equal, split };
