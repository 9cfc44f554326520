// The fields that clients read, and their types. A missing field is not null: each is named.

import assert from 'node:assert/strict';

const integer = (value) => Number.isSafeInteger(value);
const string = (value) => typeof value === 'string';
const boolean = (value) => typeof value === 'boolean';
const number = (value) => typeof value === 'number' && Number.isFinite(value);
const nullable = (check) => (value) => value === null || check(value);
const list = (check) => (value) => Array.isArray(value) && value.every(check);
const strings = (value) =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && Object.values(value).every(string);

/** Whether every field of `fields` is present and valid; other fields are allowed. */
const object = (fields) => (value) =>
  value !== null &&
  typeof value === 'object' &&
  !Array.isArray(value) &&
  Object.entries(fields).every(([name, check]) => name in value && check(value[name]));

function assertFields(value, fields, who) {
  assert.ok(
    value !== null && typeof value === 'object' && !Array.isArray(value),
    `${who}: expected an object, got ${JSON.stringify(value)}`,
  );
  for (const [name, check] of Object.entries(fields)) {
    assert.ok(name in value, `${who}: field ${name} is missing`);
    assert.ok(check(value[name]), `${who}: field ${name} is ${JSON.stringify(value[name])}`);
  }
}

const ITEM = {
  id: integer,
  merchant_id: integer,
  merchant_uuid: string,
  title: string,
  is_active: boolean,
  active: boolean,
  access_control_type: object({ id: integer, name: string, auth: boolean }),
  item_type: object({
    id: integer,
    name: string,
    content_type: string,
    host: string,
    description: string,
  }),
  age_restriction: nullable(object({ min_age: integer })),
  // An array for the native SDKs, and a map for web pages: both.
  metadata: list(object({ id: integer, name: string, value: string })),
  metahash: strings,
  plan_switch_enabled: boolean,
  created_at: integer,
  updated_at: integer,
};

const ACCESS = {
  id: integer,
  account_id: integer,
  customer_id: integer,
  customer_uuid: string,
  ip_address: string,
  country_code: string,
  created_at: integer,
  expires_at: integer,
  item: object({}),
};

const FEE = {
  id: integer,
  merchant_id: integer,
  amount: number,
  currency: (value) => string(value) && /^[A-Z]{3}$/.test(value),
  description: string,
  item_id: integer,
  // Never null: players read the fields of these objects without a check.
  access_type: object({
    id: integer,
    account_id: integer,
    name: string,
    quantity: integer,
    period: string,
    created_at: integer,
    updated_at: integer,
  }),
  item: object({ id: integer, title: string, active: boolean, plan_switch_enabled: boolean }),
  trial_period: nullable(object({ quantity: integer, period: string, description: string })),
  setup_fee: nullable(object({ id: integer, fee_amount: number, description: string })),
  geo_restriction: nullable(
    object({
      id: integer,
      country_iso: nullable(string),
      country_set_id: nullable(integer),
      type: (value) => value === 'blacklist' || value === 'whitelist',
    }),
  ),
  starts_at: nullable(integer),
  expires_at: nullable(integer),
  plan_switch_enabled: boolean,
  created_at: integer,
  updated_at: integer,
};

/** The public view of an item, without the content that viewers pay for. */
export function assertPublicItem(item, who) {
  assertItem(item, who);
  assert.ok(!('content' in item), `${who}: public details must not have content`);
}

function assertItem(item, who) {
  assertFields(item, ITEM, who);
  assert.equal(item.is_active, item.active, `${who}: is_active and active must agree`);
  assert.deepEqual(
    Object.fromEntries(item.metadata.map(({ name, value }) => [name, value])),
    item.metahash,
    `${who}: metadata and metahash must agree`,
  );
}

/** The answer of an access check. */
export function assertAccess(access, who) {
  assertFields(access, ACCESS, who);
  if ('starts_at' in access) assert.ok(integer(access.starts_at), `${who}: starts_at`);
  assertItem(access.item, `${who}: item`);
  assert.equal(typeof access.item.content, 'string', `${who}: item.content must be a string`);
  assert.equal(access.account_id, access.item.merchant_id, `${who}: account_id is the merchant's`);
}

/** A fee. */
export function assertFee(fee, who) {
  assertFields(fee, FEE, who);
  assert.equal(fee.item.id, fee.item_id, `${who}: item.id and item_id must agree`);
  assert.ok(!('content' in fee.item), `${who}: a fee's item must not have content`);
}
