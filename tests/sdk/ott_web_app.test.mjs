// A web player like jwplayer/ott-web-app: it ignores the body of a check, takes every answer that is
// not an error for access, and every error for a denial. Older releases use the SDK; newer ones send
// their own requests, with a form's Content-Type on GETs too.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { activeItems, described, personas, UNKNOWN_ITEM_ID } from './support/environment.mjs';
import { plain, withPage } from './support/page.mjs';

/** Requests of the older releases. */
const throughSdk = {
  access: async (page, itemId) => (await page.sdk.Asset.checkAccessForAsset(itemId)).data,
  fees: async (page, itemId) => (await page.sdk.Asset.getAssetAccessFees(itemId)).data,
};

/** Requests of the newer releases, which parse the body before they look at the status. */
const byItself = {
  access: (page, itemId) => byItself.get(page, `/items/${itemId}/access`, true),
  fees: (page, itemId) => byItself.get(page, `/v2/items/${itemId}/access-fees`, false),
  async get(page, path, signedIn) {
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const { token } = page.sdk.Account.getToken();
    if (signedIn && token) headers.Authorization = `Bearer ${token}`;
    const answer = await page.request(path, { headers });
    const data = answer.json();
    if (answer.status < 200 || answer.status > 299) {
      throw Object.assign(new Error(data.message), { response: { data } });
    }
    return data;
  },
};

async function entitlement(ask, page, offerId) {
  try {
    const { expires_at: expiresAt } = await ask.access(page, Number.parseInt(offerId, 10));
    return { accessGranted: true, expiresAt };
  } catch (error) {
    return { accessGranted: false, expiresAt: 0, error };
  }
}

/** The shop's view of a fee; reads members of `access_type` and `item` without checking for these. */
function offer(fee) {
  const payPerView = ['ppv', 'ppv_custom'].includes(fee.access_type.name);
  const yearly = fee.access_type.period === 'month' && fee.access_type.quantity === 12;
  return {
    id: `${payPerView ? 'C' : 'S'}${fee.item_id}_${fee.id}`,
    title: fee.description,
    price: fee.amount,
    currency: fee.currency,
    period: yearly ? 'year' : fee.access_type.period,
    freeDays: fee.trial_period?.quantity || 0,
    planSwitch: fee.item.plan_switch_enabled ?? false,
  };
}

for (const [name, ask] of Object.entries({ 'through the SDK': throughSdk, 'by itself': byItself })) {
  describe(`a player that asks ${name}`, () => {
    for (const persona of personas) {
      const expected = persona.expect.access === 200;
      test(`${expected ? 'plays' : 'does not play'}: ${described(persona)}`, async () => {
        await withPage({ token: persona.token }, async (page) => {
          const result = await entitlement(ask, page, String(persona.item_id));
          assert.equal(result.accessGranted, expected, `${persona.name}: ${result.error?.message}`);
          if (expected) {
            assert.ok(result.expiresAt > Date.now() / 1000, `${persona.name}: already over`);
          } else {
            // The player's test for an error that it can show.
            const { code, message } = result.error.response?.data ?? {};
            assert.equal(typeof code, 'number', `${persona.name}: ${result.error.message}`);
            assert.equal(typeof message, 'string', persona.name);
          }
        });
      });
    }

    test('denies unknown items, and an empty setting', async () => {
      const [{ token }] = personas;
      await withPage({ token }, async (page) => {
        for (const id of [String(UNKNOWN_ITEM_ID), '']) {
          const { accessGranted } = await entitlement(ask, page, id);
          assert.equal(accessGranted, false, `item "${id}"`);
        }
      });
    });

    test('shows an offer for every fee', async () => {
      await withPage({}, async (page) => {
        let shown = 0;
        for (const item of activeItems) {
          for (const fee of plain(await ask.fees(page, item.id))) {
            const { id, title, price, currency, period, freeDays, planSwitch } = offer(fee);
            assert.equal(id, `${id[0]}${item.id}_${fee.id}`);
            assert.equal(typeof title, 'string', id);
            assert.equal(typeof price, 'number', id);
            assert.equal(typeof currency, 'string', id);
            assert.equal(typeof period, 'string', id);
            assert.equal(typeof freeDays, 'number', id);
            assert.equal(typeof planSwitch, 'boolean', id);
            shown += 1;
          }
        }
        assert.ok(shown > 0, 'the catalogue sells nothing');
      });
    });
  });
}
