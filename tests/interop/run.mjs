// Registers with a real tacetd, writes to and reads from a real tacet.   node run.mjs TACET TACETD
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { equal, hex, random } from './bytes.mjs';
import { bitsOf, Incoming, Outgoing } from './files.mjs';
import { Person } from './person.mjs';

const [TACET, TACETD] = process.argv.slice(2), run = promisify(execFile);
const dir = mkdtempSync(join(tmpdir(), 'tacet-interop.')), downloads = join(dir, 'Downloads');
const tacet = async (...args) => (await run(TACET, ['--home', join(dir, 'alice'), ...args], { timeout: 60000, env: { ...process.env, HOME: dir } })).stdout;
const must = (ok, what) => { if (!ok) throw new Error(what); console.log('ok  ' + what); };
const sleep = ms => new Promise(ok => setTimeout(ok, ms));
let relay;

async function startRelay() {
  await run(TACETD, ['init', '--data', join(dir, 'relay'), '--listen', '127.0.0.1:0']);
  relay = spawn(TACETD, ['run', '--data', join(dir, 'relay')], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of relay.stdout) { const m = /^ready (\S+)/m.exec(String(line)); if (m) return m[1]; }
  throw new Error('the relay did not start');
}
async function received(text) {
  for (let i = 0; i < 20; i++) {
    const out = await tacet('--json', 'receive', '--timeout', '1s');
    const m = out.split('\n').filter(Boolean).map(JSON.parse).find(x => x.event === 'message' && x.text === text);
    if (m) return m;
  }
  return null;
}

const lines = text => text.split('\n').filter(Boolean).map(JSON.parse);
const fileNamed = async name => lines(await tacet('--json', 'files', 'jay')).find(f => f.name === name);
async function becomes(name, state, also = () => true) { // tacet's view of a file, once it is in that state
  for (let i = 0; i < 20; i++) {
    const f = await fileNamed(name);
    if (f?.state === state && also(f)) return f;
    await tacet('receive', '--timeout', '1s');
  }
  throw new Error(`${name}: ${(await fileNamed(name))?.state}, not ${state}`);
}
const nothingOf = name => !existsSync(join(downloads, name)) && !readdirSync(downloads).some(n => n.endsWith('.part'));
const refused = async (answer, code) => answer.then(() => false, e => e.code === code);

async function takesFiles(jay) {
  const source = (name, size) => { const bytes = random(size); writeFileSync(join(dir, name), bytes); return bytes; };
  const offered = async name => { const m = await jay.next(k => k === 3); return m.body.get(8) === name ? m : Promise.reject(new Error('offer of another file')); };

  // while tacet sends it: five chunks, one of them asked for again
  const live = source('live.bin', 300000);
  let returned = false;
  const sent = tacet('send', 'jay', '--file', join(dir, 'live.bin'), '--wait', 'delivered', '--timeout', '40s').then(() => { returned = true; });
  sent.catch(() => {}); // awaited below, where it counts
  const offer = await offered('live.bin'), file = new Incoming(offer.contact, offer.body);
  await jay.receipt(offer.contact, offer.id);
  await jay.receipt(offer.contact, offer.id, 2);
  await file.take({ twice: 1 });
  must(file.chunks === 5 && file.pushed === 6, 'commitment and chunks of a file of tacet open here; `again` brings one once more');
  const sealed = await jay.next(k => k === 4);
  must(equal(file.finish(sealed.body), live), 'its root is the one of the seal, its bytes are the same');
  must(!returned, 'receipts for the offer say nothing about the file');
  await jay.receipt(offer.contact, sealed.id);
  await sent;
  must((await fileNamed('live.bin')).state === 'complete', 'the receipt for the seal ends `send --wait delivered`');

  // from the relay: nine chunks of bytes, ten in all; the first three over a connection that ends before any `have`
  const stored = source('stored.bin', 520000);
  await tacet('send', 'jay', '--file', join(dir, 'stored.bin'));
  const late = await offered('stored.bin'), rest = new Incoming(late.contact, late.body);
  await rest.take({ until: 3, says: false });
  await rest.take();
  must(rest.chunks === 10 && rest.pushed === 10, 'a stored file of tacet: told what is here, the relay brings only the rest');
  const end = await jay.next(k => k === 4);
  must(equal(rest.finish(end.body), stored), 'and its bytes are the same');
  await jay.receipt(late.contact, end.id);
  await becomes('stored.bin', 'complete');

  // not wanted here; withdrawn there
  source('unwanted.bin', 70000);
  await tacet('send', 'jay', '--file', join(dir, 'unwanted.bin'));
  const third = await offered('unwanted.bin'), gone = new Incoming(third.contact, third.body), link = await gone.watch(1);
  must((await link.event())[0] === 98, 'a third file of tacet begins to come');
  await jay.send(third.contact, 5, new Map([[1, gone.blob]]));
  await becomes('unwanted.bin', 'cancelled');
  const [kind, , blob] = await link.event();
  must(kind === 99 && equal(blob, gone.blob), 'our cancel ends it at tacet, and the relay says blob_gone');
  must(await refused(link.ask(36, gone.blob, gone.capability, 1), 3), 'and refuses it from then on');
  link.close();
  source('withdrawn.bin', 1);
  await tacet('send', 'jay', '--file', join(dir, 'withdrawn.bin'));
  const fourth = await offered('withdrawn.bin');
  await tacet('cancel', hex(fourth.id));
  must(equal((await jay.next(k => k === 5)).body.get(1), fourth.body.get(1)), 'a cancel of tacet opens here');
}

async function givesFiles(jay, alice) {
  for (const size of [0, 1, 200000, 520000]) {
    const name = `of-${size}.bin`, bytes = random(size), file = new Outgoing(name, bytes), half = file.chunks >> 1;
    const all = Array.from({ length: file.chunks }, (_, i) => i);
    await jay.send(alice, 3, file.offer);
    await file.create(jay.box);
    await file.put(jay.box, ...all.slice(half).reverse());
    if (half) {
      await file.create(jay.box);
      must(await refused(file.create(jay.box, file.chunks + 1), 18), 'blob_create again is ok, with another count `exists`');
      must(equal(await file.safe(jay.box), bitsOf(all.slice(half), file.chunks)), 'blob_status names the chunks that are safe');
      await becomes(name, 'receiving', f => f.have > 0);
      await file.put(jay.box, ...all);
    }
    const id = await jay.send(alice, 4, file.seal), shown = await becomes(name, 'complete');
    await jay.delivered(id);
    must(equal(readFileSync(shown.saved_to), bytes) && shown.size === size, `our file of ${size} bytes is complete at tacet, and the receipt for its seal comes`);
  }
  const file = new Outgoing('taken-back.bin', random(200000)), id = await jay.send(alice, 3, file.offer);
  await file.create(jay.box);
  await file.put(jay.box, 0, 1);
  await becomes('taken-back.bin', 'receiving', f => f.have > 0);
  await Promise.all([jay.delivered(id), tacet('receive', '--timeout', '6s')]);
  await jay.box.ask(13, file.blob);
  must(await refused(file.put(jay.box, 2), 7), 'a blob that was dropped is not-found');
  await jay.send(alice, 5, new Map([[1, file.blob]]));
  await becomes('taken-back.bin', 'cancelled');
  must(nothingOf('taken-back.bin'), 'tacet opens our cancel: nothing of the file is left');
}

async function wrongRoot(jay, alice) {
  const file = new Outgoing('forged.bin', random(200000));
  file.root[31] ^= 1;
  await jay.send(alice, 3, file.offer);
  await file.create(jay.box);
  await file.put(jay.box, 0, 1, 2, 3);
  await jay.send(alice, 4, file.seal);
  const shown = await becomes('forged.bin', 'failed');
  must(!shown.saved_to && nothingOf('forged.bin'), 'a seal with another root: the file failed, nothing of it is there');
}

// F02, F11: one who offers and seals what does not fit.
async function liesAboutFiles(jay, alice) {
  const bytes = random(200000), one = new Outgoing('one.bin', bytes), two = new Outgoing('two.bin', random(200000));
  const all = [0, 1, 2, 3];
  two.blob = one.blob;
  await jay.send(alice, 3, one.offer);
  await jay.send(alice, 3, two.offer); // the same blob with another key
  await one.create(jay.box);
  await one.put(jay.box, ...all);
  const id = await jay.send(alice, 4, one.seal);
  await becomes('one.bin', 'complete');
  await jay.delivered(id);
  await jay.send(alice, 4, new Map([...one.seal, [2, two.root]])); // and a second end
  await jay.text(alice, 'all of it is said');
  await received('all of it is said');
  const shown = await becomes('one.bin', 'complete');
  must(equal(readFileSync(shown.saved_to), bytes) && !await fileNamed('two.bin'), 'F11: one blob, two contents: only the first was offered, and a second end changes nothing');

  const wrong = new Outgoing('wrong-commitment.bin', random(100));
  await jay.send(alice, 3, new Map([...wrong.offer, [4, random(32)]]));
  await becomes('wrong-commitment.bin', 'failed', f => f.trouble === 'wrong-commitment');
  must(nothingOf('wrong-commitment.bin'), 'F11: a commitment of another key: refused before anything is opened');

  const mixed = new Outgoing('mixed.bin', random(200000));
  [mixed.sealed[1], mixed.sealed[2]] = [mixed.sealed[2], mixed.sealed[1]];
  await jay.send(alice, 3, mixed.offer);
  await mixed.create(jay.box);
  await mixed.put(jay.box, ...all);
  await jay.send(alice, 4, mixed.seal);
  const stuck = await becomes('mixed.bin', 'receiving', f => f.trouble === 'chunks-damaged');
  must(!stuck.saved_to && !existsSync(join(downloads, 'mixed.bin')), 'F02: two chunks in each other\'s place: asked for again, then left, never complete');
}

async function main() {
  const address = await startRelay();
  await tacet('init', '--relay', address, '--name', 'alice', '--no-passphrase');
  const jay = await Person.register('jay', address), kim = await Person.register('kim', address);

  // tacet begins
  await tacet('add', jay.link);
  const request = await jay.next();
  must(request.kind === 7 && request.body.get(1) === 'alice', 'a first message of tacet opens here: a request');
  const alice = request.contact;
  await jay.accept(alice);
  await tacet('receive', '--timeout', '2s');
  await tacet('send', 'jay', 'a ratchet message');
  must((await jay.next()).body.get(1) === 'a ratchet message', 'a ratchet message of tacet opens here');
  await jay.text(alice, 'grüße from JavaScript ☃');
  must(await received('grüße from JavaScript ☃'), 'tacet opens our ratchet message');
  for (let i = 0; i < 70 && !alice.session.stats.epochs.has(1); i++) {
    await tacet('send', 'jay', `message ${i}`);
    const m = await jay.next();
    if (m.body.get(1) !== `message ${i}`) throw new Error(`message ${i} came as ${m.body.get(1)}`);
    if (i % 8 === 7) { await jay.text(alice, `answer ${i}`); await tacet('receive', '--timeout', '1s'); }
  }
  must(alice.session.stats.epochs.has(1), 'a message under PQ epoch 1 opens here');
  await jay.text(alice, 'sealed in epoch 1');
  must(alice.session.epoch === 1 && await received('sealed in epoch 1'), 'tacet opens our message under PQ epoch 1');

  // the other implementation begins
  const toAlice = await kim.add((await tacet('link')).trim().split(/\s+/).at(-1));
  await tacet('receive', '--timeout', '2s');
  must((await tacet('requests')).includes('kim'), 'tacet opens our first message: a request');
  await tacet('accept', 'kim');
  await kim.next(k => k === 6);
  must(toAlice.token, 'tacet accepted us');
  await kim.text(toAlice, 'now I may write');
  const shown = await received('now I may write');
  must(shown && shown.from === 'kim', 'and shows our text');
  await tacet('send', 'kim', 'welcome');
  must((await kim.next(k => k === 1)).body.get(1) === 'welcome', 'and its answer opens here');

  await takesFiles(jay);
  await givesFiles(jay, alice);
  await wrongRoot(jay, alice);
  await liesAboutFiles(jay, alice);
  jay.close(); kim.close();
}
main().then(() => 0, e => { console.error(e.stderr || e.stack); return 1; }).then(async code => {
  if (relay) { relay.kill('SIGTERM'); await sleep(300); relay.kill('SIGKILL'); }
  if (!process.env.TACET_KEEP) rmSync(dir, { recursive: true, force: true });
  process.exit(code);
});
