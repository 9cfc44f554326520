// Every method of the SDK, called on a page as an app would, and compared with its row in docs/clients.md.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';

import { activeItems, baseUrl, mediaIdOf, personas, required } from './support/environment.mjs';
import { METHODS, methodsOf, NOBODY, SUBSCRIBER } from './support/methods.mjs';
import { CLIENT_ID, newcomer, originUrl, PASSWORD } from './support/origin.mjs';
import { outcome } from './support/outcome.mjs';
import { withPage } from './support/page.mjs';
import { clientRows, fits, names, owner } from './support/pages.mjs';

const table = clientRows();

/** Without pass-through the page asks the origin itself for what would be passed through. */
const isPassedThrough = names('configuration.md', 'PASS_THROUGH');
const baseOf = (by) => (isPassedThrough || !['passed through', 'your back end'].includes(by) ? baseUrl : originUrl);

const subscriber = personas.find(({ name }) => name === 'subscriber');
const signedItem = activeItems.find((item) => item.item_type.name === 'jw_asset' && mediaIdOf(item));
/** The URL of the subscriber's film, without its signature. */
let filmUrl;

/** The latest token for a new password: the reference origin logs it in development, and sends no mail. */
function passwordToken() {
  const log = path.join(path.dirname(required('ADMIT_PERSONAS', 'the personas file')), 'origin.log');
  const lines = readFileSync(log, 'utf8').split('\n');
  return JSON.parse(lines.findLast((line) => line.includes('"event":"password_token"'))).token;
}

/** A viewer of one test, and what the arguments of the calls are made of. */
const newViewer = (base) => ({
  ...newcomer(),
  baseUrl: base,
  passwordToken,
  mediaId: mediaIdOf(signedItem),
  film: { id: subscriber.item_id, url: filmUrl },
});

/** The request that a call made; if only its preflight left the page, the one that this announces. */
function requestOf(sent) {
  const made = sent.find(({ method }) => method !== 'OPTIONS');
  if (made) return made;
  const [preflight] = sent;
  return preflight && { ...preflight, method: preflight.headers['access-control-request-method'] };
}

async function call(name, base) {
  const method = METHODS[name];
  const viewer = newViewer(base);
  const [part, member] = name.split('.');
  return withPage({ base, token: method.as === SUBSCRIBER ? subscriber.token : undefined }, async (page) => {
    if (method.as === undefined) {
      await page.sdk.Account.signIn({ email: viewer.email, password: PASSWORD, clientId: CLIENT_ID, referrer: '' });
    }
    await method.before?.(page, viewer);
    const earlier = page.sent.length;
    const result = await outcome(page.sdk[part][member](...method.args(viewer)));
    return { result, request: requestOf(page.sent.slice(earlier)) };
  });
}

/** What each word of the column "answered by" promises. */
const PROMISES = {
  edge: assertAnswered,
  forwarded: assertAnswered,
  'passed through': assertAnswered,
  'your back end': assertUnknown,
  out: assertUnknown,
};

function assertAnswered(result) {
  assert.ok(result.ok, `was rejected with ${result.status}: ${JSON.stringify(result.data) ?? result.message}`);
}

/** The error that apps can show, and not one on which they sign the viewer out. */
function assertUnknown(result, { isFile }) {
  assert.ok([404, 405].includes(result.status), `${result.status} ${result.message}: ${JSON.stringify(result.data)}`);
  // The page gets the bytes of a file, of an error too.
  if (isFile) return;
  assert.equal(result.data?.code, result.status);
  assert.equal(typeof result.data?.message, 'string');
}

before(async () => {
  assert.ok(subscriber, 'ADMIT_PERSONAS: nobody is called subscriber');
  assert.ok(signedItem, 'no item of the catalogue is signed for JW');
  const headers = { Authorization: `Bearer ${subscriber.token}` };
  const answer = await fetch(`${baseUrl}/items/${subscriber.item_id}/playback`, { headers });
  const { sources } = await answer.json();
  [filmUrl] = sources[0].url.split('?');
});

test('the page has a row for every method of the package, and no other', async () => {
  await withPage({}, (page) => {
    const methods = methodsOf(page.sdk);
    assert.deepEqual(Object.keys(METHODS).sort(), methods, 'support/methods.mjs');
    assert.deepEqual([...table.keys()].sort(), methods, 'docs/clients.md');
  });
});

describe('the SDK', () => {
  for (const [name, { request: row, by }] of table) {
    test(`${name}: ${by}`, async () => {
      assert.ok(by in PROMISES, `docs/clients.md: ${by}`);
      const base = baseOf(by);
      const { result, request } = await call(name, base);
      assert.ok(request, 'nothing was sent');

      const [method, place] = row.split(' ');
      if (place.startsWith('https://')) {
        const { origin, pathname } = new URL(place);
        assert.ok(fits({ method, path: pathname }, request), `${request.method} ${request.path}`);
        assert.ok(origin.includes('{') || request.origin === origin, request.origin);
        assert.notEqual(request.origin, new URL(base).origin, 'a host of its own');
        return;
      }
      assert.ok(fits({ method, path: place }, request), `the SDK sends ${request.method} ${request.path}`);
      const expected = ['your back end', 'out'].includes(by) ? undefined : by;
      assert.equal(owner(request), expected, 'by the tables of docs/api.md and docs/accounts.md');
      PROMISES[by](result, METHODS[name]);
    });
  }
});
