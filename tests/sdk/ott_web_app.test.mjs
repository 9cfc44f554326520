// A web player in the way of jwplayer/ott-web-app: the check's body does not matter to it, any
// answer that is not an error is access, and any error is none. Its older releases ask through the
// SDK; newer ones ask by themselves, with a form's Content-Type on GETs too.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { activeItems, described, personas, UNKNOWN_ITEM_ID } from './support/environment.mjs';
import { plain, withPage } from './support/page.mjs';

/** Asks as the older releases do. */
const throughSdk = {
  access: async (page, itemId) => (await page.sdk.Asset.checkAccessForAsset(itemId)).data,
  fees: async (page, itemId) => (await page.sdk.Asset.getAssetAccessFees(itemId)).data,
};

/** Asks as the newer releases do: the body is parsed before the status is looked at. */
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

/** What the shop shows of a fee; reads into `access_type` and `item` without asking for them. */
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
            // Its test for an error that it can show to people.
            const { code, message } = result.error.response?.data ?? {};
            assert.equal(typeof code, 'number', `${persona.name}: ${result.error.message}`);
            assert.equal(typeof message, 'string', persona.name);
          }
        });
      });
    }

    test('denies items that are not there, and an empty setting', async () => {
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
