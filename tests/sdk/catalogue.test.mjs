// The public reads of the SDK: items, packages and fees. Every published item is requested.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { activeItems, inactiveItems, isPackage, merchants, UNKNOWN_ITEM_ID } from './support/environment.mjs';
import { assertGranted, assertRejected, outcome } from './support/outcome.mjs';
import { openPage, PAGE_ORIGIN } from './support/page.mjs';
import { assertFee, assertPublicItem } from './support/shape.mjs';

const NOT_FOUND = 'Item not found';

let page;
let asset;
before(() => {
  page = openPage();
  asset = page.sdk.Asset;
});
after(() => page.close());

const merchantOf = (item) => merchants.find((merchant) => merchant.id === item.merchant_id);
/** Fees that are sold at any time; others may or may not be on sale when the test runs. */
const alwaysSold = (fee) => (fee.starts_at ?? fee.expires_at ?? null) === null;
const ids = (list) => list.map(({ id }) => id);

describe('item details (getAsset)', () => {
  test('every active item, without its content', async () => {
    assert.ok(activeItems.length > 0, 'the catalogue has no active item');
    for (const item of activeItems) {
      const who = `item ${item.id} (${item.title})`;
      const details = assertGranted(await outcome(asset.getAsset(item.id)), who);
      assertPublicItem(details, who);
      assert.equal(details.id, item.id, who);
      assert.equal(details.title, item.title, who);
      assert.equal(details.merchant_id, item.merchant_id, who);
      assert.equal(details.merchant_uuid, merchantOf(item).uuid, who);
      assert.equal(details.item_type.name, item.item_type.name, who);
      assert.deepEqual(details.age_restriction, item.age_restriction ?? null, who);
      assert.deepEqual(details.metadata, item.metadata ?? [], who);
    }
  });

  test('the same by merchant, and nothing of another merchant', async () => {
    for (const merchant of merchants) {
      const own = activeItems.find((item) => item.merchant_id === merchant.id);
      const other = activeItems.find((item) => item.merchant_id !== merchant.id);
      assert.ok(own && other, 'the catalogue must have items of two merchants');
      const details = assertGranted(
        await outcome(asset.getAsset(own.id, merchant.uuid)),
        `item ${own.id} of merchant ${merchant.id}`,
      );
      assertPublicItem(details, `item ${own.id} of merchant ${merchant.id}`);
      assert.equal(details.id, own.id);
      const result = await outcome(asset.getAsset(other.id, merchant.uuid));
      assertRejected(result, 404, NOT_FOUND, `item ${other.id} asked of merchant ${merchant.id}`);
    }
  });

  test('an unknown item: 404', async () => {
    const result = await outcome(asset.getAsset(UNKNOWN_ITEM_ID));
    assertRejected(result, 404, NOT_FOUND, `item ${UNKNOWN_ITEM_ID}`);
  });

  test('inactive items: 404', async () => {
    assert.ok(inactiveItems.length > 0, 'the catalogue has no inactive item');
    for (const item of inactiveItems) {
      const result = await outcome(asset.getAsset(item.id));
      assertRejected(result, 404, NOT_FOUND, `inactive item ${item.id}`);
    }
  });

  test('an invalid id: 422', async () => {
    assertRejected(await outcome(asset.getAsset(NaN)), 422, undefined, 'item NaN');
  });

  test('the SDK asks without a preflight and without a token', async () => {
    page.sent.length = 0;
    await asset.getAsset(activeItems[0].id);
    assert.equal(page.sent.length, 1);
    const [request] = page.sent;
    assert.equal(`${request.method} ${request.path}`, `GET /items/${activeItems[0].id}`);
    assert.equal(request.headers.origin, PAGE_ORIGIN);
    assert.equal(request.headers.authorization, undefined);
  });
});

describe('fees (getAssetAccessFees)', () => {
  test('every active item has its published fees, in their order', async () => {
    for (const item of activeItems) {
      const who = `fees of item ${item.id} (${item.title})`;
      const fees = assertGranted(await outcome(asset.getAssetAccessFees(item.id)), who);
      assert.ok(Array.isArray(fees), `${who}: must be a bare array: ${JSON.stringify(fees)}`);
      for (const fee of fees) {
        assertFee(fee, `fee ${fee?.id} of item ${item.id}`);
        assert.equal(fee.item_id, item.id, who);
        assert.equal(fee.merchant_id, item.merchant_id, who);
      }
      const shown = new Set(ids(fees));
      const published = item.fees ?? [];
      const expected = published.filter((fee) => alwaysSold(fee) || shown.has(fee.id));
      assert.deepEqual(ids(fees), ids(expected), who);
    }
  });

  test('amounts, trials, set-up fees and restrictions are passed on', async () => {
    const sold = activeItems.filter((item) => item.fees?.length > 0);
    assert.ok(sold.length > 0, 'the catalogue sells nothing');
    for (const item of sold) {
      const fees = assertGranted(await outcome(asset.getAssetAccessFees(item.id)), `item ${item.id}`);
      for (const published of item.fees.filter(alwaysSold)) {
        const who = `fee ${published.id} of item ${item.id}`;
        const fee = fees.find((candidate) => candidate.id === published.id);
        assert.equal(fee.amount, published.amount, who);
        assert.equal(fee.currency, published.currency, who);
        assert.equal(fee.access_type.id, published.access_type_id, who);
        assert.deepEqual(fee.trial_period, published.trial_period ?? null, who);
        assert.deepEqual(fee.setup_fee, published.setup_fee ?? null, who);
        assert.equal(fee.geo_restriction?.type, published.geo_restriction?.type, who);
        assert.equal(
          fee.geo_restriction?.country_iso ?? null,
          published.geo_restriction?.country_iso ?? null,
          who,
        );
      }
    }
  });

  test('the SDK asks the second version of the API', async () => {
    page.sent.length = 0;
    await asset.getAssetAccessFees(activeItems[0].id);
    assert.deepEqual(
      page.sent.map((request) => `${request.method} ${request.path}`),
      [`GET /v2/items/${activeItems[0].id}/access-fees`],
    );
  });

  test('an unknown item: 404', async () => {
    const result = await outcome(asset.getAssetAccessFees(UNKNOWN_ITEM_ID));
    assertRejected(result, 404, NOT_FOUND, `fees of item ${UNKNOWN_ITEM_ID}`);
  });

  test('an invalid id: 422', async () => {
    const result = await outcome(asset.getAssetAccessFees(NaN));
    assertRejected(result, 422, undefined, 'fees of item NaN');
  });
});

describe('packages (getPackage, getAssetsInPackage)', () => {
  const packages = activeItems.filter(isPackage);

  test('every package', async () => {
    assert.ok(packages.length > 0, 'the catalogue has no package');
    for (const item of packages) {
      const who = `package ${item.id} (${item.title})`;
      const details = assertGranted(await outcome(asset.getPackage(item.id)), who);
      assert.equal(details.id, item.id, who);
      assert.equal(details.title, item.title, who);
      assert.ok(!('content' in details), `${who}: must not have content`);
    }
  });

  test('the items of every package', async () => {
    for (const item of packages) {
      const who = `items of package ${item.id} (${item.title})`;
      const answer = assertGranted(await outcome(asset.getAssetsInPackage(item.id)), who);
      for (const field of ['total', 'page', 'offset', 'limit']) {
        assert.ok(Number.isInteger(answer[field]), `${who}: ${field} is ${answer[field]}`);
      }
      assert.ok(Array.isArray(answer.collection), `${who}: collection`);
      const active = new Set(ids(activeItems));
      const members = (item.item_ids ?? []).filter((id) => active.has(id));
      assert.equal(answer.total, members.length, `${who}: total`);
      assert.deepEqual(ids(answer.collection), members.slice(0, answer.limit), `${who}: first page`);
      for (const member of answer.collection) {
        assertPublicItem(member, `item ${member.id} in package ${item.id}`);
      }
    }
  });

  test('an item that is not a package, and an unknown one: 404', async () => {
    const other = activeItems.find((item) => !isPackage(item));
    for (const id of [other.id, UNKNOWN_ITEM_ID]) {
      assertRejected(await outcome(asset.getPackage(id)), 404, undefined, `package ${id}`);
      assertRejected(await outcome(asset.getAssetsInPackage(id)), 404, undefined, `package ${id}`);
    }
  });
});
