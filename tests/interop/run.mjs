// Registers with a real tacetd, writes to and reads from a real tacet.   node run.mjs TACET TACETD
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Person } from './person.mjs';

const [TACET, TACETD] = process.argv.slice(2), run = promisify(execFile);
const dir = mkdtempSync(join(tmpdir(), 'tacet-interop.'));
const tacet = async (...args) => (await run(TACET, ['--home', join(dir, 'alice'), ...args], { timeout: 60000 })).stdout;
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
  jay.close(); kim.close();
}
main().then(() => 0, e => { console.error(e.stderr || e.stack); return 1; }).then(async code => {
  if (relay) { relay.kill('SIGTERM'); await sleep(300); relay.kill('SIGKILL'); }
  if (!process.env.TACET_KEEP) rmSync(dir, { recursive: true, force: true });
  process.exit(code);
});
