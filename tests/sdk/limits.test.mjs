// The limits by address that wrangler.toml ships, counted by wrangler's own rate limits.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { activeItems, isPackage, personas } from './support/environment.mjs';
import { send } from './support/wire.mjs';

/** Twice LIMIT_INSISTING and one: a period may end in between. */
const READS = 201;
const AT_ONCE = 10;

const { id: itemId } = activeItems.find((item) => !isPackage(item));
const viewer = personas.find(({ name }) => name === 'subscriber');

const read = (path, address, headers = {}) => send('GET', path, { 'cf-connecting-ip': address, ...headers });
const insist = (address) => read(`/items/${itemId}`, address, { 'Entitlement-Min-Seq': '999999999' });

test('a network that insists too often is refused; its checks and other networks are not', async () => {
  const answers = [];
  while (answers.length < READS) {
    answers.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => insist('2001:db8:1:1::1')))));
  }
  const refused = answers.filter(({ status }) => status === 429);
  assert.ok(refused.length > 0, `${answers.length} reads, none refused`);
  for (const answer of refused) assert.equal(answer.headers['retry-after'], '10');

  assert.notEqual((await insist('2001:db8:1:2::1')).status, 429, 'a network of its own');
  const check = await read(`/items/${viewer.item_id}/access`, '2001:db8:1:1::1', {
    Authorization: `Bearer ${viewer.token}`,
  });
  assert.notEqual(check.status, 429, 'a check from the refused network');
});
