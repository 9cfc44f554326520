// CORS as browsers apply it. jsdom is laxer in three ways, so preflights are read here header by
// header: it ignores Access-Control-Allow-Methods, lets `*` cover Authorization, and never asks
// for Content-Type.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { activeItems, merchants, personaWith, UNKNOWN_ITEM_ID } from './support/environment.mjs';
import { assertErrorBody, outcome } from './support/outcome.mjs';
import { PAGE_ORIGIN, withPage } from './support/page.mjs';
import { send } from './support/wire.mjs';

const [{ id }] = activeItems;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

const ROUTES = [
  `/items/${id}/access`,
  '/license',
  `/items/${id}`,
  `/items/${merchants[0].uuid}/${id}`,
  `/v2/items/${merchants[0].uuid}/${id}`,
  `/items/${id}/access-fees`,
  `/v2/items/${id}/access-fees`,
  `/items/packages/${id}`,
  `/items/packages/${id}/items`,
];

/** Every write, and the sign-ins, which need no token. */
const WRITES = [
  ['POST', '/items/access'],
  ['DELETE', `/items/${id}/access?consumer_id=1`],
  ['POST', '/v2/items'],
  ['PUT', `/v2/items/${id}`],
  ['PATCH', `/v2/items/${id}`],
  ['DELETE', `/v2/items/${id}`],
  ['POST', `/v2/items/${id}/access-fees`],
  ['PUT', `/v2/items/${id}/access-fees/1`],
  ['DELETE', `/v2/items/${id}/access-fees/1`],
  ['PATCH', `/v2/items/${id}/access-fees/bulk`],
  ['PATCH', `/v2/items/packages/${id}/bulk`],
  ['POST', '/accounts/authenticate'],
  ['POST', '/v2/accounts/authenticate'],
  ['POST', '/oauth2/token'],
  ['POST', '/oauth2/authorization'],
];

const tokens = (value) => (value ?? '').split(',').map((token) => token.trim().toLowerCase());

function assertOriginAllowed(headers, who) {
  const allowed = headers['access-control-allow-origin'];
  assert.ok(allowed === '*' || allowed === PAGE_ORIGIN, `${who}: allowed origin is ${allowed}`);
  if (allowed !== '*') {
    assert.ok(tokens(headers.vary).includes('origin'), `${who}: an origin by name needs Vary: Origin`);
  }
}

describe('preflights', () => {
  for (const path of ROUTES) {
    test(`OPTIONS ${path}`, async () => {
      const { status, headers, text } = await send('OPTIONS', path, {
        Origin: PAGE_ORIGIN,
        'Access-Control-Request-Method': 'GET',
        // Lower case, sorted, without spaces: as browsers write it.
        'Access-Control-Request-Headers': 'authorization,content-type',
      });
      assert.ok(status >= 200 && status < 300, `a preflight must be 2xx: ${status} ${text}`);
      assertOriginAllowed(headers, path);
      const names = tokens(headers['access-control-allow-headers']);
      assert.ok(names.includes('authorization'), `${path}: \`*\` does not cover authorization`);
      assert.ok(names.includes('content-type'), `${path}: content-type must be allowed`);
      const methods = tokens(headers['access-control-allow-methods']);
      for (const method of METHODS) {
        assert.ok(methods.includes(method.toLowerCase()), `${path}: ${method} must be allowed`);
      }
      assert.match(headers['access-control-max-age'] ?? '', /^[1-9]\d*$/, `${path}: max age`);
    });
  }

  for (const [method, path] of WRITES) {
    test(`OPTIONS ${path} before a ${method}`, async () => {
      const wanted = ['authorization', 'content-type', 'idempotency-key'];
      const { status, headers, text } = await send('OPTIONS', path, {
        Origin: PAGE_ORIGIN,
        'Access-Control-Request-Method': method,
        'Access-Control-Request-Headers': wanted.join(','),
      });
      assert.ok(status >= 200 && status < 300, `a preflight must be 2xx: ${status} ${text}`);
      assertOriginAllowed(headers, path);
      const names = tokens(headers['access-control-allow-headers']);
      for (const name of wanted) assert.ok(names.includes(name), `${path}: ${name} must be allowed`);
      const methods = tokens(headers['access-control-allow-methods']);
      assert.ok(methods.includes(method.toLowerCase()), `${path}: ${method} must be allowed`);
      assert.ok(tokens(headers.allow).includes(method.toLowerCase()), `${path}: no ${method}: ${headers.allow}`);
    });
  }

  test('are answered for unknown routes too, so that the page sees the 404', async () => {
    const { status, headers } = await send('OPTIONS', '/no/such/route', {
      Origin: PAGE_ORIGIN,
      'Access-Control-Request-Method': 'GET',
      'Access-Control-Request-Headers': 'authorization',
    });
    assert.ok(status >= 200 && status < 300, `status ${status}`);
    assertOriginAllowed(headers, 'unknown route');
  });
});

describe('a page sees the status of every error', () => {
  const bearer = (persona) => ({ Authorization: `Bearer ${persona.token}` });
  const denied = personaWith(402);
  const granted = personaWith(200);
  const errors = [
    { status: 401, path: `/items/${granted.item_id}/access`, headers: {} },
    { status: 401, path: '/license', headers: {} },
    { status: 402, path: `/items/${denied.item_id}/access`, headers: bearer(denied) },
    { status: 404, path: `/items/${UNKNOWN_ITEM_ID}/access`, headers: bearer(granted) },
    { status: 404, path: `/items/${UNKNOWN_ITEM_ID}`, headers: {} },
    { status: 404, path: '/no/such/route', headers: bearer(granted) },
    { status: 405, path: `/items/${granted.item_id}/access`, method: 'PUT', headers: bearer(granted) },
    { status: 422, path: '/items/NaN/access', headers: bearer(granted) },
  ];
  for (const { status, path, method = 'GET', headers } of errors) {
    test(`${status}: ${method} ${path}`, async () => {
      const answer = await withPage({}, (page) => page.request(path, { method, headers }));
      assert.equal(answer.status, status, answer.text);
      assertErrorBody(answer.json(), status, undefined, `${method} ${path}`);
      const raw = await send(method, path, { ...headers, Origin: PAGE_ORIGIN });
      assertOriginAllowed(raw.headers, `${method} ${path}`);
    });
  }

  test('a denial is a 402 to the SDK, not a Network Error', async () => {
    await withPage({ token: denied.token }, async (page) => {
      const result = await outcome(page.sdk.Asset.checkAccessForAsset(denied.item_id));
      assert.notEqual(result.message, 'Network Error', denied.name);
      assert.equal(result.status, 402, denied.name);
      assert.equal(result.data.code, 402, denied.name);
    });
  });

  test('the answer to a missing token names the scheme', async () => {
    const { status, headers } = await send('GET', `/items/${granted.item_id}/access`);
    assert.equal(status, 401);
    assert.match(headers['www-authenticate'] ?? '', /^Bearer\b.*error="invalid_token"/);
  });

  test('a 405 names the allowed methods', async () => {
    const { status, headers } = await send('PUT', `/items/${granted.item_id}/access`, bearer(granted));
    assert.equal(status, 405);
    assert.ok(tokens(headers.allow).includes('get'), `Allow: ${headers.allow}`);
  });
});

describe('HEAD', () => {
  for (const status of [200, 402]) {
    test(`${status}: the status of GET and no body`, async () => {
      const persona = personaWith(status);
      const answer = await send('HEAD', `/items/${persona.item_id}/access`, {
        Origin: PAGE_ORIGIN,
        Authorization: `Bearer ${persona.token}`,
      });
      assert.equal(answer.status, status, persona.name);
      assert.equal(answer.text, '');
      assertOriginAllowed(answer.headers, persona.name);
    });
  }
});
