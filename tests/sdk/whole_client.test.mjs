// What jwplayer/ott-web-app does around a check, step by step, with the SDK on a page: it restores a session,
// signs out, shows a subscriber's page, waits for a purchase, registers, and asks for signed media.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { activeItems, baseUrl, claims, isPackage, mediaIdOf, personas } from './support/environment.mjs';
import { CLIENT_ID, MERCHANT_ID, merchantToken, newcomer, originUrl, PASSWORD } from './support/origin.mjs';
import { assertGranted, assertRejected, outcome } from './support/outcome.mjs';
import { plain, withPage } from './support/page.mjs';
import { names } from './support/pages.mjs';

const TOKEN_KEY = 'inplayer_token';
/**
 * The player asks five times, three seconds apart; here it does not wait as long. A denial that the origin gives twice
 * within a second answers for another second, so polls are further apart than that.
 */
const POLLS = 3;
const POLL_MS = 1100;

/** Without pass-through the page asks the origin itself: accounts and lists are the origin's. */
const base = names('configuration.md', 'PASS_THROUGH') ? baseUrl : originUrl;

const paidItem = activeItems.find((item) => item.merchant_id === MERCHANT_ID && item.access_control_type.auth && !isPackage(item));
const soldItem = activeItems.find((item) => item.merchant_id === MERCHANT_ID && item.fees?.length > 0 && !isPackage(item));
const signedItem = activeItems.find((item) => item.item_type.name === 'jw_asset' && mediaIdOf(item));
const credentials = ({ email }) => ({ email, password: PASSWORD, clientId: CLIENT_ID, referrer: '' });
const persona = (name) => personas.find((it) => it.name === name);

/** The requests of the app's start, which all must succeed: an error among them ends it. */
async function start(page) {
  const { Account } = page.sdk;
  if (!Account.isAuthenticated()) return undefined;
  const { data: account } = await Account.getAccountInfo();
  const [favorites, history] = await Promise.all([Account.getFavorites(), Account.getWatchHistory({})]);
  return plain({
    account,
    favorites: favorites.data.collection.map(({ media_id: id }) => id),
    history: history.data.collection.map(({ media_id: id, progress }) => [id, progress]),
  });
}

/** What the app knows of a subscriber: it asks for both at once, and either error hides the subscription. */
async function subscription(page, itemId) {
  const { data: access } = await page.sdk.Asset.checkAccessForAsset(itemId);
  const [subscriptions, payments] = await Promise.all([
    page.sdk.Subscription.getSubscriptions(),
    page.sdk.Payment.getPaymentHistory(),
  ]);
  return plain({
    access,
    subscription: subscriptions.data.collection.find((it) => it.item_id === itemId),
    total: subscriptions.data.total,
    payments: payments.data.collection,
  });
}

/** What a payment back end does after the payment. */
async function pay(viewer, itemId, feeId) {
  const answer = await fetch(`${originUrl}/items/access`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${merchantToken}` },
    body: new URLSearchParams({ item_id: itemId, consumer_id: viewer.id, access_fee_id: feeId }),
  });
  assert.equal(answer.status, 201, await answer.text());
}

/** Loads the page again: the storage stays. */
async function reload(page, use) {
  const kept = page.window.localStorage.getItem(TOKEN_KEY);
  return withPage({ base }, async (next) => {
    if (kept !== null) next.window.localStorage.setItem(TOKEN_KEY, kept);
    return use(next);
  });
}

before(() => {
  assert.ok(merchantToken, 'ADMIT_PERSONAS: nobody is called merchant');
  assert.ok(paidItem && soldItem && signedItem, 'the catalogue has too little');
});

describe('an app like ott-web-app', () => {
  test('restores its session after a reload, with favourites and history', async () => {
    const viewer = newcomer();
    await withPage({ base }, async (page) => {
      await page.sdk.Account.signInV2(credentials(viewer));
      await page.sdk.Account.addToFavorites('aB3dE5fG');
      await page.sdk.Account.updateWatchHistory('hI7jK9lM', 0.25);
      await reload(page, async (next) => {
        const restored = await start(next);
        const { account } = restored;
        assert.deepEqual([account.id, account.email], [viewer.id, viewer.email]);
        for (const field of ['uuid', 'full_name', 'created_at', 'merchant_uuid']) assert.ok(field in account, field);
        assert.equal(typeof account.metadata, 'object', 'the app reads its members');
        assert.deepEqual([restored.favorites, restored.history], [['aB3dE5fG'], [['hI7jK9lM', 0.25]]]);
      });
    });
  });

  test('signs out: the token leaves the page, the session ends, and a reload stays signed out', async () => {
    const viewer = newcomer();
    await withPage({ base }, async (page) => {
      await page.sdk.Account.signInV2(credentials(viewer));
      const { token } = page.sdk.Account.getToken();
      const { status, data } = await outcome(page.sdk.Account.signOut());
      assert.equal(status, 200, JSON.stringify(data));
      // Version 6.7 parses the body before it looks at the status.
      assert.equal(typeof data, 'object');
      assert.equal(page.window.localStorage.getItem(TOKEN_KEY), null);
      await reload(page, async (next) => assert.equal(await start(next), undefined));

      page.signIn(token);
      assertRejected(await outcome(page.sdk.Account.getAccountInfo()), 401, 'Invalid auth token', 'a copy of the token');
    });
  });

  test('shows a subscriber the item, and a viewer without a subscription the offer', async () => {
    const { token, item_id: itemId } = persona('subscriber');
    await withPage({ base, token }, async (page) => {
      const { access, total, payments } = await subscription(page, itemId);
      assert.equal(access.item.id, itemId);
      assert.ok(access.expires_at > Date.now() / 1000, `ended at ${access.expires_at}`);
      assert.ok(total > 0, 'a licence is a subscription');
      assert.ok(Array.isArray(payments));
    });
    const viewer = newcomer();
    await withPage({ base }, async (page) => {
      await page.sdk.Account.signInV2(credentials(viewer));
      const denied = await outcome(subscription(page, itemId));
      // The app's test for "no subscription", as against an error that it shows.
      assert.equal(denied.data?.code, 402, denied.message);
    });
  });

  test('waits for a purchase: the first poll after it is granted, and the page shows it', async () => {
    const viewer = newcomer();
    const [fee] = soldItem.fees;
    await withPage({ base }, async (page) => {
      await page.sdk.Account.signInV2(credentials(viewer));
      const poll = () => outcome(page.sdk.Asset.checkAccessForAsset(soldItem.id));
      for (let count = 0; count < POLLS; count += 1) {
        assertRejected(await poll(), 402, 'No access', `poll ${count}`);
        await sleep(POLL_MS);
      }
      await pay(viewer, soldItem.id, fee.id);
      assertGranted(await poll(), 'the first poll after the purchase');
      const { payments } = await subscription(page, soldItem.id);
      assert.deepEqual(
        payments.map((it) => [it.item_id, it.charged_amount, it.currency_iso]),
        [[soldItem.id, fee.amount, fee.currency]],
      );
    });
  });

  test('registers by its form, and the new viewer is signed in', async () => {
    await withPage({ base }, async (page) => {
      const { data: fields } = await page.sdk.Account.getRegisterFields(CLIENT_ID);
      assert.ok(Array.isArray(fields.collection), 'the form waits for a list');
      const email = `${crypto.randomUUID()}@viewer.example`;
      // A name, an answer and a consent, as the app makes them.
      await page.sdk.Account.signUpV2({
        email,
        password: PASSWORD,
        passwordConfirmation: PASSWORD,
        fullName: email,
        metadata: { first_name: ' ', surname: ' ', consents: '[]' },
        type: 'consumer',
        clientId: CLIENT_ID,
        referrer: '',
      });
      assert.equal((await start(page)).account.email, email);

      const changed = { fullName: 'Ada Viewer', metadata: { first_name: 'Ada', surname: 'Viewer', consents: '[]' } };
      await page.sdk.Account.updateAccount(changed);
      await reload(page, async (next) => {
        const { account } = await start(next);
        assert.deepEqual([account.full_name, account.metadata.first_name], ['Ada Viewer', 'Ada']);
      });
      assertRejected(await outcome(page.sdk.Asset.checkAccessForAsset(paidItem.id)), 402, 'No access', 'a new viewer');
    });
  });

  test('plays signed media: a token for a viewer with access, ending with it, and none for others', async () => {
    const { token } = persona('subscriber');
    const mediaId = mediaIdOf(signedItem);
    await withPage({ token }, async (page) => {
      const { data } = await page.sdk.Asset.getSignedMediaToken(CLIENT_ID, mediaId);
      const { resource, exp } = claims(data.token);
      assert.ok(resource.endsWith(`/${mediaId}`), resource);
      const { data: access } = await page.sdk.Asset.checkAccessForAsset(signedItem.id);
      assert.ok(exp > Date.now() / 1000 && exp <= access.expires_at, `${exp}`);
    });
    await withPage({ token: persona('never-bought').token }, async (page) => {
      const denied = await outcome(page.sdk.Asset.getSignedMediaToken(CLIENT_ID, mediaId));
      assertRejected(denied, 402, 'No access', 'a viewer without access');
    });
  });

  test('shows the error of a registration with an address that is taken', async () => {
    const { email } = newcomer();
    await withPage({ base }, async (page) => {
      const data = { email, password: PASSWORD, passwordConfirmation: PASSWORD, fullName: 'A', clientId: CLIENT_ID };
      const refused = await outcome(page.sdk.Account.signUpV2({ ...data, type: 'consumer', referrer: '' }));
      assert.ok(refused.status >= 400 && refused.status < 500 && refused.status !== 401, `${refused.status}`);
      assert.equal(typeof refused.data.message, 'string', 'the app shows it under the form');
    });
  });
});
