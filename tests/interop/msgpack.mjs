// The part of msgpack that the protocol uses (PROTOCOL.md §10). Map = JavaScript Map with integer keys.
import { cat, u8, u16, u32, u64, refuse } from './bytes.mjs';

const head = (n, fix, limit, codes) => n < limit ? u8(fix | n) : n < 0x100 && codes[0] ? cat(u8(codes[0]), u8(n)) : n < 0x10000 ? cat(u8(codes[1]), u16(n)) : cat(u8(codes[2]), u32(n));
export function pack(v) {
  if (typeof v === 'number' || typeof v === 'bigint')
    return v < 128 ? u8(Number(v)) : v < 0x100 ? cat(u8(0xcc), u8(Number(v))) : v < 0x10000 ? cat(u8(0xcd), u16(Number(v))) : v < 0x100000000 ? cat(u8(0xce), u32(Number(v))) : cat(u8(0xcf), u64(v));
  if (typeof v === 'string') { const b = Uint8Array.from(Buffer.from(v, 'utf8')); return cat(head(b.length, 0xa0, 32, [0xd9, 0xda, 0xdb]), b); }
  if (v instanceof Uint8Array) return cat(head(v.length, 0, 0, [0xc4, 0xc5, 0xc6]), v);
  if (Array.isArray(v)) return cat(head(v.length, 0x90, 16, [0, 0xdc, 0xdd]), ...v.map(pack));
  if (v instanceof Map) return cat(head(v.size, 0x80, 16, [0, 0xde, 0xdf]), ...[...v].flatMap(([k, x]) => [pack(k), pack(x)]));
  return refuse('cannot pack ' + typeof v);
}
export function unpack(bytes) {
  const b = Buffer.from(bytes);
  let at = 0;
  const num = n => { const v = n === 8 ? Number(b.readBigUInt64BE(at)) : b.readUIntBE(at, n); at += n; return v; };
  const bin = n => { const v = Uint8Array.from(b.subarray(at, at + n)); at += n; return v.length === n ? v : refuse('short'); };
  const arr = n => Array.from({ length: n }, value);
  const map = n => new Map(Array.from({ length: n }, () => [value(), value()]));
  function value() {
    const c = num(1);
    if (c < 0x80) return c;
    if (c < 0x90) return map(c & 15);
    if (c < 0xa0) return arr(c & 15);
    if (c < 0xc0) return Buffer.from(bin(c & 31)).toString('utf8');
    switch (c) {
      case 0xcc: return num(1); case 0xcd: return num(2); case 0xce: return num(4); case 0xcf: return num(8);
      case 0xc4: return bin(num(1)); case 0xc5: return bin(num(2)); case 0xc6: return bin(num(4));
      case 0xd9: return Buffer.from(bin(num(1))).toString('utf8'); case 0xda: return Buffer.from(bin(num(2))).toString('utf8');
      case 0xdc: return arr(num(2)); case 0xde: return map(num(2));
      default: return refuse('msgpack byte ' + c);
    }
  }
  const v = value();
  return at === b.length ? v : refuse('trailing bytes');
}
