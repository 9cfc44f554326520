// What the props of a binding to the entrypoint `Entitlements` allow, and how answers become results.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FAILED, INVALID_ITEM, NOT_ALLOWED, RESULTS, is_id, may_call, merchant_of } from "../../src/worker/rpc.mjs";

test("props restrict a binding to a merchant and to methods", () => {
  assert.equal(merchant_of(undefined), undefined);
  assert.equal(merchant_of({}), undefined);
  assert.equal(merchant_of({ merchant: 2101, capabilities: ["check"] }), 2101);
  assert.ok(may_call(undefined, "check") && may_call({}, "playback"));
  const props = { capabilities: ["check", "licenses"] };
  assert.deepEqual(["check", "checkMany", "licenses", "playback"].map((name) => may_call(props, name)), [true, false, true, false]);
  assert.equal(may_call({ capabilities: [] }, "check"), false);
});

test("invalid props are an error that names the member and what is expected", () => {
  for (const [props, told] of [
    [{ merchants: 2101 }, /unknown member "merchants", expected merchant or capabilities/],
    [{ merchant: "2101" }, /merchant: expected the number of a merchant, found "2101"/],
    [{ merchant: 0 }, /merchant: .* found 0/],
    [{ merchant: null }, /merchant: .* found null/],
    [{ capabilities: "check" }, /capabilities: expected a list of check, .*, found "check"/],
    [{ capabilities: ["check", "view"] }, /capabilities: .* found \["check","view"\]/],
    [{ merchant: 2101, capabilities: null }, /capabilities: .* found null/],
  ]) {
    assert.throws(() => merchant_of(props), { name: "TypeError", message: told });
  }
});

test("ids are positive integers that JavaScript holds exactly", () => {
  assert.ok([1, 5101, Number.MAX_SAFE_INTEGER].every(is_id));
  assert.ok(![0, -1, 1.5, NaN, 2 ** 53, "5101", "5101/access?", 5101n, null, undefined, [5101]].some(is_id));
});

const body = { id: 7, account_id: 2101, created_at: 10, expires_at: 20, item: { id: 5101 } };

test("results of granted answers", () => {
  const result = { access: true, expires_at: 20, access_id: 7, merchant_id: 2101, created_at: 10 };
  assert.deepEqual(RESULTS.check(`200${JSON.stringify(body)}`), result);
  assert.deepEqual(RESULTS.check(`200${JSON.stringify({ ...body, starts_at: 15 })}`), { ...result, starts_at: 15 });
  assert.deepEqual(RESULTS.playback('200{"expires_at":20,"sources":[]}'), { access: true, expires_at: 20, sources: [] });
  assert.deepEqual(RESULTS.licenses('200{"plan_id":null,"client_id":"a","items":[]}'), {
    ok: true, plan_id: null, client_id: "a", items: [],
  });
  const context = { reason: "expired", seq: 5 };
  const explained = { ok: true, access: false, reason: "expired", seq: 5 };
  assert.deepEqual(RESULTS.explain(`200${JSON.stringify({ decision: false, context })}`), explained);
  const items = [{ id: 1, access: true, expires_at: 20 }, { id: 2, access: false, code: 402 }];
  assert.deepEqual(RESULTS.checkMany(`200${JSON.stringify({ items })}`), { ok: true, items });
});

test("results of all other answers", () => {
  const denied = '402{"code":402,"message":"No access","errors":{"402":"No access"}}';
  for (const [text, refusal] of [
    [denied, { code: 402, message: "No access" }],
    ["403other_merchant", { code: 403, message: "Invalid privileges", reason: "other_merchant" }],
    [NOT_ALLOWED, { code: 403, message: "Invalid privileges", reason: "may_not_call" }],
    [INVALID_ITEM, { code: 422, message: "Invalid itemId: expected a positive integer" }],
    [FAILED, { code: 500, message: "Internal error" }],
  ]) {
    assert.deepEqual(RESULTS.check(text), { access: false, ...refusal });
    assert.deepEqual(RESULTS.playback(text), { access: false, ...refusal });
    assert.deepEqual(RESULTS.licenses(text), { ok: false, ...refusal });
    assert.deepEqual(RESULTS.checkMany(text), { ok: false, ...refusal });
  }
});
