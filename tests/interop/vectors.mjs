// tests/vectors byte by byte. session.json: agreement, first message, ratchet, PQ epoch 1; both sides are this implementation, which has never seen the
// one that wrote the file; every random byte comes from the file, in the order in which PROTOCOL.md needs it. files.json: counts, chunks, trees.
//   node vectors.mjs session.json files.json
import { readFileSync } from 'node:fs';
import { blake, equal, hex, inLine, kemPairOf, refuse, u8 } from './bytes.mjs';
import { Cipher, chunksOf, leafOf, rootOf } from './files.mjs';
import { readList } from './identity.mjs';
import { initiate, respond } from './ratchet.mjs';

const [v, files] = process.argv.slice(2).map(path => JSON.parse(readFileSync(path)));
const bytes = text => Uint8Array.from(Buffer.from(text, 'hex'));
const same = (got, want, what) => (hex(got) === want ? checked++ : refuse(`${what}: ${hex(got).slice(0, 80)}, expected ${want.slice(0, 80)}`));
let checked = 0;

function person(p) {
  const list = readList(bytes(p.signed_list));
  same(list.account, p.account, 'account');
  same(list.ik, p.ik, 'identity key');
  return { account: list.account, device: p.device, ik: list.ik, dh: { secret: bytes(p.dk_dh_secret), public: bytes(p.dk_dh) }, version: p.list_version, list: bytes(p.signed_list), prekeys: new Map() };
}
const { b_prekeys: k, agreement: g, messages } = v;
const a = person(v.a), b = person(v.b), kem = kemPairOf(bytes(k.kem_seed));
same(kem.publicKey, k.kem, 'KEM key of its seed');
b.prekeys.set(`1:${k.spk_id}`, { secret: bytes(k.spk_secret), public: bytes(k.spk) });
b.prekeys.set(`2:${k.opk_id}`, { secret: bytes(k.opk_secret), public: bytes(k.opk) });
b.prekeys.set(`kem:${k.kem_id}`, { secret: kem.privateKey, public: kem.publicKey });

// What a message needs: the nonces of its header and its body. A message of kind 1 has the agreement part in front.
function nonces(m) {
  const at = 2 * (m.envelope.startsWith('0101') ? 2361 : 2);
  return [bytes(m.envelope.slice(at, at + 48)), bytes(m.nonce)];
}
// Whoever opens a message that turns the ratchet draws the key of its own next sending chain.
const ratchetKeyAfter = i => messages.slice(i + 1).find(m => m.from !== messages[i].from && m.new_chain);

inLine.push(bytes(g.ek_secret), bytes(g.kem_coins), bytes(g.box.nonce), bytes(messages[0].new_chain.ratchet_secret));
const side = { a: initiate(a, { account: b.account, device: b.device, ik: b.ik, dh: b.dh.public, version: b.version },
  { spkId: k.spk_id, spk: bytes(k.spk), opkId: k.opk_id, opk: bytes(k.opk), kemId: k.kem_id, kem: bytes(k.kem), lastResort: k.kem_last_resort }) };
same(side.a.id, g.session_id, 'session id');
same(side.a.hks, g.hk_a, 'HK_A');
same(side.a.nhkr, g.nhk_b, 'NHK_B');
same(side.a.held.get(0), g.pq_0, 'PQ_0');
same(side.a.prefix, g.agreement_part, 'agreement part');

messages.forEach((m, i) => {
  const from = side[m.from], next = m.new_chain && ratchetKeyAfter(i), step = messages[i + 1]?.pq_step;
  if (step) { inLine.push(bytes(step.seed)); from.begin(); }
  if (m.new_chain) same(from.rk, m.new_chain.rk_after, `${m.name}: root key`);
  same(from.cks, m.chain_key, `${m.name}: chain key`);
  same(from.held.get(m.epoch), m.pq_key, `${m.name}: PQ key of epoch ${m.epoch}`);
  inLine.push(...nonces(m));
  const envelope = from.seal(bytes(m.content));
  same(envelope, m.envelope, `${m.name}: envelope`);
  same(from.cks, m.next_chain_key, `${m.name}: next chain key`);
  // opened from the bytes of the file
  if (step) inLine.push(bytes(step.coins));
  if (next) inLine.push(bytes(next.new_chain.ratchet_secret));
  let plain;
  if (m.from === 'a' && !side.b) {
    const r = respond(b, bytes(m.envelope));
    side.b = r.session;
    plain = r.plain;
    same(side.b.id, g.session_id, 'session id at B');
    equal(r.list.account, a.account) || refuse('the box names somebody else');
  } else plain = side[m.from === 'a' ? 'b' : 'a'].open(bytes(m.envelope));
  same(plain, m.content, `${m.name}: content`);
  if (inLine.length) refuse(`${m.name}: ${inLine.length} draws of the file were not used`);
});
side.a.epoch === 1 && side.b.epoch === 1 || refuse('not in epoch 1 at the end');
console.log(`ok   session.json: ${messages.length} messages sealed and opened, ${checked} values equal`);

// --- files.json ---
checked = 0;
const { file } = files, cipher = new Cipher(bytes(file.key), bytes(file.salt), bytes(file.blob), file.chunks.length);
const stream = Uint8Array.from({ length: file.size }, (_, i) => 7 * i + Math.floor(i / 251));
same(cipher.key, file.chunk_key, 'chunk key');
same(cipher.commitment, file.commitment, 'commitment');
const leaves = file.chunks.map((c, i) => {
  const plain = stream.subarray(64512 * i, 64512 * (i + 1));
  inLine.push(bytes(c.nonce));
  const chunk = cipher.seal(i, plain), leaf = leafOf(i, chunk);
  same(chunk.subarray(0, 64), c.head, `chunk ${i}: its beginning`);
  same(chunk.subarray(-32), c.tail, `chunk ${i}: its end`);
  same(leaf, c.leaf, `leaf ${i}`);
  same(cipher.open(i, chunk).subarray(0, plain.length), hex(plain), `chunk ${i} opened`);
  return leaf;
});
same(rootOf(leaves), file.root, 'root');
for (const t of files.trees) same(rootOf(Array.from({ length: t.leaves }, (_, i) => blake(32, u8(i)))), t.root, `root of ${t.leaves} leaves`);
for (const c of files.counts) chunksOf(Number(c.size)) === c.chunks ? checked++ : refuse(`chunks of ${c.size} bytes`);
console.log(`ok   files.json: ${file.chunks.length} chunks, ${files.trees.length} trees, ${files.counts.length} sizes, ${checked} values equal`);
