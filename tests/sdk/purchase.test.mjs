// A purchase from end to end: the viewer's page with the SDK, the merchant's page, the edge, and the
// origin behind it. A viewer who has bought is let in by the very next check.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { activeItems, isPackage, operatorToken } from './support/environment.mjs';
import { CLIENT_ID, MERCHANT_ID, merchantToken, newcomer, newProgram, originUrl, PASSWORD } from './support/origin.mjs';
import { assertErrorBody, assertGranted, assertRejected, outcome } from './support/outcome.mjs';
import { openPage, plain, withPage } from './support/page.mjs';
import { assertAccess } from './support/shape.mjs';
import { send } from './support/wire.mjs';

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
/** docs/api.md: an answer reflects the state of the origin at most this long ago. */
const REVOKED_WITHIN_MS = 120_000;
const POLL_MS = 100;
const BUYERS = 100;

const paidItems = activeItems.filter(
  (item) => item.merchant_id === MERCHANT_ID && item.access_control_type.auth && !isPackage(item),
);

const credentials = ({ email }) => ({ email, password: PASSWORD, clientId: CLIENT_ID, referrer: '' });
const check = (page, itemId) => outcome(page.sdk.Asset.checkAccessForAsset(itemId));
const bearer = (token) => ({ Authorization: `Bearer ${token}` });

/** The merchant's shop, a page on another origin than the edge's, which grants and revokes access. */
function openShop(token) {
  const page = openPage({ token });
  const write = (method, path, form, headers = {}) =>
    page.request(path, {
      method,
      headers: { ...bearer(page.sdk.Account.getToken().token), ...(form ? FORM : {}), ...headers },
      body: form && new URLSearchParams(form).toString(),
    });
  return {
    page,
    write,
    grant: (customerId, itemId, headers) =>
      write(
        'POST',
        '/items/access',
        { item_id: itemId, consumer_id: customerId, expires_at: '2099-01-01T00:00:00Z' },
        headers,
      ),
    revoke: (customerId, itemId) => write('DELETE', `/items/${itemId}/access?consumer_id=${customerId}`),
  };
}

async function withShop(use) {
  const shop = openShop(merchantToken);
  try {
    return await use(shop);
  } finally {
    shop.page.close();
  }
}

function assertWritten(answer, status, who) {
  assert.equal(answer.status, status, `${who}: ${answer.text}`);
  const seq = Number(answer.header('entitlement-seq'));
  assert.ok(seq > 0, `${who}: the page cannot read Entitlement-Seq: ${answer.header('entitlement-seq')}`);
  return seq;
}

/** Waits until the edge's snapshot reflects the origin's first `seq` changes. */
async function published(seq) {
  const until = Date.now() + REVOKED_WITHIN_MS;
  for (;;) {
    const health = JSON.parse((await send('GET', '/healthz', bearer(operatorToken()))).text);
    if (health.seq >= seq) return;
    assert.ok(Date.now() < until, `change ${seq} is not published after ${REVOKED_WITHIN_MS} ms: ${health.seq}`);
    await sleep(POLL_MS);
  }
}

before(() => {
  assert.ok(merchantToken, 'ADMIT_PERSONAS: nobody is called merchant');
  assert.ok(paidItems.length >= 10, 'the catalogue sells too little');
});

describe('signing in', () => {
  for (const call of ['signIn', 'signInV2']) {
    test(`${call}: the SDK keeps the token, and the check after it is signed in`, async () => {
      const viewer = newcomer();
      await withPage({}, async (page) => {
        const signedIn = await outcome(page.sdk.Account[call](credentials(viewer)));
        const body = assertGranted(signedIn, call);
        assert.equal(body.account.id, viewer.id, JSON.stringify(body.account));
        assert.ok(body.expires > Date.now() / 1000, `expires ${body.expires}`);
        const { token, refreshToken } = page.sdk.Account.getToken();
        assert.deepEqual([token, refreshToken], [body.access_token, body.refresh_token]);
        assertRejected(await check(page, paidItems[0].id), 402, 'No access', 'somebody new');
        assert.equal(signedIn.headers['cache-control'], 'private, no-store');
      });
    });
  }

  test('a wrong password, an unknown user: 401, the same words', async () => {
    const viewer = newcomer();
    for (const wrong of [{ ...credentials(viewer), password: 'wrong' }, credentials({ email: 'nobody@viewer.example' })]) {
      await withPage({}, async (page) => {
        assertRejected(await outcome(page.sdk.Account.signIn(wrong)), 401, 'Invalid credentials', wrong.email);
        assert.equal(page.sdk.Account.isAuthenticated(), false);
      });
    }
  });

  test('a refresh token gives one successor, also to a second tab; an older one ends the session', async () => {
    const viewer = newcomer();
    await withPage({}, async (page) => {
      const refresh = (tokens) => {
        page.sdk.Account.setToken(tokens.access_token, tokens.refresh_token, tokens.expires);
        return outcome(page.sdk.Account.refreshToken(CLIENT_ID));
      };
      await page.sdk.Account.signIn(credentials(viewer));
      const { token, refreshToken } = { ...page.sdk.Account.getToken() };
      const next = assertGranted(await outcome(page.sdk.Account.refreshToken(CLIENT_ID)), 'refresh');
      assert.notEqual(next.access_token, token);
      assert.notEqual(next.refresh_token, refreshToken);
      // The SDK leaves keeping the tokens to the page.
      assert.equal(page.sdk.Account.getToken().token, token);
      page.sdk.Account.setToken(next.access_token, next.refresh_token, next.expires);
      assertRejected(await check(page, paidItems[0].id), 402, 'No access', 'with the new token');

      const first = { access_token: token, refresh_token: refreshToken, expires: next.expires };
      const again = assertGranted(await refresh(first), 'the second tab');
      assert.equal(again.refresh_token, next.refresh_token);
      const third = assertGranted(await refresh(next), 'its successor');
      assertRejected(await refresh(first), 401, 'Invalid refresh token', 'an older one');
      assertRejected(await refresh(third), 401, 'Invalid refresh token', 'the last one');
    });
  });
});

describe('a viewer who buys', () => {
  test('is denied, granted by the very next check, revoked, and denied within the bound', async () => {
    const viewer = newcomer();
    const [{ id: itemId }] = paidItems;
    await withShop((shop) =>
      withPage({}, async (page) => {
        await page.sdk.Account.signIn(credentials(viewer));
        for (const round of ['first', 'second']) {
          const who = `${round} time`;
          assertRejected(await check(page, itemId), 402, 'No access', who);
          const granted = assertWritten(await shop.grant(viewer.id, itemId), 201, who);
          const access = assertGranted(await check(page, itemId), who);
          assertAccess(access, who);
          assert.equal(access.customer_id, viewer.id, who);
          // Now the snapshot grants it too, so a revocation takes its longest way.
          await published(granted);
          assertGranted(await check(page, itemId), `${who}, by the snapshot`);

          const revoked = assertWritten(await shop.revoke(viewer.id, itemId), 204, who);
          // A client that knows of the revocation is denied at once ...
          const path = `/items/${itemId}/access`;
          const { token } = page.sdk.Account.getToken();
          const headers = { ...bearer(token), 'Entitlement-Min-Seq': String(revoked) };
          const denied = await page.request(path, { headers });
          assert.equal(denied.status, 402, `${who}: ${denied.text}`);
          // ... and all others within the bound.
          await published(revoked);
          assertRejected(await check(page, itemId), 402, 'No access', `${who}, revoked`);
        }
      }),
    );
  });

  test('a purchase at the origin, as by a payment provider: granted by the very next check', async () => {
    const viewer = newcomer();
    const [, { id: itemId }] = paidItems;
    await withPage({}, async (page) => {
      await page.sdk.Account.signIn(credentials(viewer));
      assertRejected(await check(page, itemId), 402, 'No access', 'before');
      const answer = await fetch(`${originUrl}/items/access`, {
        method: 'POST',
        headers: bearer(merchantToken),
        body: new URLSearchParams({ item_id: itemId, consumer_id: viewer.id, expires_at: '2099-01-01T00:00:00Z' }),
      });
      assert.equal(answer.status, 201, await answer.text());
      assertGranted(await check(page, itemId), 'after');
    });
  });

  test('whose page asks again and again meanwhile, as jwplayer/ott-web-app does, is let in at once', async () => {
    const viewer = newcomer();
    const [, , { id: itemId }] = paidItems;
    await withShop((shop) =>
      withPage({}, async (page) => {
        await page.sdk.Account.signIn(credentials(viewer));
        const isGranted = async () => (await check(page, itemId)).ok;
        // More often than the player, and with denials that the edge remembers.
        for (let poll = 0; poll < 5; poll += 1) assert.equal(await isGranted(), false, `poll ${poll}`);
        assertWritten(await shop.grant(viewer.id, itemId), 201, 'grant');
        for (let poll = 0; poll < 5; poll += 1) assert.equal(await isGranted(), true, `poll ${poll} after`);
      }),
    );
  });

  test(`${BUYERS} in a row: not one sees the paywall again`, async () => {
    const stale = [];
    let bought = 0;
    await withShop(async (shop) => {
      for (; bought < BUYERS; bought += 1) {
        const viewer = newcomer();
        const { id: itemId } = paidItems[bought % paidItems.length];
        const who = `customer ${viewer.id}, item ${itemId}`;
        await withPage({}, async (page) => {
          await page.sdk.Account.signIn(credentials(viewer));
          assertRejected(await check(page, itemId), 402, 'No access', who);
          assertWritten(await shop.grant(viewer.id, itemId), 201, who);
          const result = await check(page, itemId);
          if (!result.ok) stale.push(`${who}: ${result.status}`);
        });
      }
    });
    assert.equal(bought, BUYERS);
    assert.deepEqual(stale, [], `${stale.length} of ${bought} were denied after they had bought`);
  });
});

describe('writes from a page of another origin', () => {
  test('a purchase with an Idempotency-Key is made once, and the page can see that', async () => {
    const viewer = newcomer();
    const [, , , { id: itemId }, { id: otherId }] = paidItems;
    await withShop(async (shop) => {
      const key = { 'Idempotency-Key': randomUUID() };
      const first = await shop.grant(viewer.id, itemId, key);
      const seq = assertWritten(first, 201, 'first');
      assert.equal(first.header('idempotency-replayed'), null);
      const again = await shop.grant(viewer.id, itemId, key);
      assert.equal(assertWritten(again, 201, 'again'), seq);
      assert.equal(again.header('idempotency-replayed'), 'true');
      assert.deepEqual(again.json(), first.json());
      const other = await shop.grant(viewer.id, otherId, key);
      assert.equal(other.status, 422, other.text);
      assertErrorBody(other.json(), 422, undefined, 'another request with the key');
      const preflight = shop.page.sent.find(({ method }) => method === 'OPTIONS');
      assert.equal(preflight.headers['access-control-request-method'], 'POST');
      assert.match(preflight.headers['access-control-request-headers'], /idempotency-key/i);
    });
  });

  test('POST, PUT, PATCH and DELETE: an item is made, changed, sold and deleted', async () => {
    const viewer = newcomer();
    await withShop(async (shop) => {
      const item = { item_type: 'html_asset', title: 'A page made this', content: '<p>secret</p>', access_control_type_id: 4 };
      const made = await shop.write('POST', '/v2/items', item);
      assertWritten(made, 201, 'POST');
      const { id } = made.json();
      const put = await shop.write('PUT', `/v2/items/${id}`, { ...item, title: 'And put this' });
      assertWritten(put, 201, 'PUT');
      const patched = await shop.write('PATCH', `/v2/items/${id}`, { title: 'And patched it' });
      assertWritten(patched, 201, 'PATCH');
      assert.equal(patched.json().title, 'And patched it');

      await withPage({}, async (page) => {
        await page.sdk.Account.signIn(credentials(viewer));
        assertRejected(await check(page, id), 402, 'No access', 'a new item');
        assertWritten(await shop.grant(viewer.id, id), 201, 'grant');
        const access = assertGranted(await check(page, id), 'a new item');
        assert.equal(plain(access).item.content, '<p>secret</p>');
      });
      const removed = await shop.write('DELETE', `/v2/items/${id}`);
      assertWritten(removed, 201, 'DELETE');
      const methods = new Set(shop.page.sent.map((sent) => sent.headers['access-control-request-method']));
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) assert.ok(methods.has(method), `${method} was not asked for`);
    });
  });

  test('a program signs in with its secret, and sells', async () => {
    const viewer = newcomer();
    const { clientId, clientSecret } = newProgram();
    const shop = openShop();
    try {
      const signedIn = await outcome(shop.page.sdk.Account.signIn({ email: '', clientId, clientSecret, referrer: '' }));
      assertGranted(signedIn, clientId);
      assertWritten(await shop.grant(viewer.id, paidItems[0].id), 201, clientId);
    } finally {
      shop.page.close();
    }
  });

  test('errors reach the page with their status and body', async () => {
    const viewer = newcomer();
    await withShop(async (shop) => {
      const form = { item_id: paidItems[0].id, consumer_id: viewer.id, expires_at: '2099-01-01T00:00:00Z' };
      const token = await withPage({}, async (page) => {
        await page.sdk.Account.signIn(credentials(viewer));
        return page.sdk.Account.getToken().token;
      });
      const errors = [
        [401, { Authorization: 'Bearer abc' }, 'Invalid auth token'],
        [403, bearer(token), 'Invalid privileges'],
        [415, { 'Content-Type': 'text/plain' }, 'Unsupported media type'],
      ];
      for (const [status, headers, message] of errors) {
        const answer = await shop.write('POST', '/items/access', form, headers);
        assert.equal(answer.status, status, answer.text);
        assertErrorBody(answer.json(), status, message, `${status}`);
      }
      const incomplete = await shop.write('POST', '/items/access', { item_id: paidItems[0].id });
      assert.equal(incomplete.status, 422, incomplete.text);
      const notThere = await shop.revoke(viewer.id, paidItems[0].id);
      assert.equal(notThere.status, 400, notThere.text);
      assertErrorBody(notThere.json(), 400, 'Failed to remove item access', '400');
    });
  });
});
