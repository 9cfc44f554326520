// Asks our signers: one process for any number of questions.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** The example `sign` of the crate, built before; Cargo builds it otherwise. */
const built = process.env.ADMIT_PLAYBACK_SIGN;
const cargo = ['run', '--quiet', '--locked', '--package', 'admit-playback', '--features', 'native', '--example', 'sign'];

/** The seconds of the tests' clock, now. */
export const now = () => Math.floor(Date.now() / 1000);

/** Signs what each question asks; the answers in the same order, errors among them. */
export function answers(questions) {
  const [program, args] = built ? [built, []] : ['cargo', cargo];
  const input = questions.map((question) => `${JSON.stringify(question)}\n`).join('');
  const run = spawnSync(program, args, { input, cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout.trim().split('\n').map((line) => JSON.parse(line));
}

/** The only source that an entry of `PLAYBACK` signs. `asked` overrides parts of the question. */
export function source(entry, secret, asked = {}) {
  const [answer] = answers([question(entry, secret, asked)]);
  assert.ok(answer.sources, answer.error);
  assert.equal(answer.sources.length, 1);
  return answer.sources[0];
}

/** Why an entry of `PLAYBACK` signs nothing. */
export function refusal(entry, secret, asked = {}) {
  const [answer] = answers([question(entry, secret, asked)]);
  assert.ok(answer.error, JSON.stringify(answer));
  return answer.error;
}

/** A question about an item of merchant 1, which `content` describes, for a grant without a near end. */
export function question(entry, secret, { content = {}, external_id = null, ...asked } = {}) {
  return {
    playback: [{ merchant: 1, item_type: 'film', secret: 'KEY', ...entry }],
    secrets: { KEY: secret },
    item: { merchant_id: 1, item_type: 'film', content: JSON.stringify(content), external_id },
    now: now(),
    ends_at: 253402300799,
    viewer: { subject: 'shop:42' },
    url: null,
    ...asked,
  };
}

/** A new RSA key: the object with its public key, and PEM of both forms. */
export function rsaKey() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = (type) => privateKey.export({ type, format: 'pem' });
  return { publicKey, pkcs8: pem('pkcs8'), pkcs1: pem('pkcs1') };
}

/** A new P-256 key. */
export function p256Key() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = (type) => privateKey.export({ type, format: 'pem' });
  return { publicKey, pkcs8: pem('pkcs8'), sec1: pem('sec1') };
}

/** `text` with one character in the middle replaced. */
export function flipped(text, at = Math.floor(text.length / 2)) {
  const other = text[at] === 'A' ? 'B' : 'A';
  return text.slice(0, at) + other + text.slice(at + 1);
}
