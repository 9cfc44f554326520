// What the Worker's entry keeps of answers: bounded in number and in characters, the last one to each header.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Kept } from "../../src/worker/kept.mjs";

const answer = (authorization, body = "{}", url = "https://edge.example/items/1/access") => ({ authorization, url, body });

test("the last answer to each header", () => {
  const kept = new Kept(10, 10_000);
  assert.equal(kept.get("a"), undefined);
  assert.equal(kept.get(null), undefined);
  const [first, second, other] = [answer("a"), answer("a", "[]"), answer("b")];
  for (const one of [first, other, second]) kept.keep(one);
  assert.equal(kept.get("a"), second);
  assert.equal(kept.get("b"), other);
  assert.equal(kept.size, 2);
});

test("bounded in number", () => {
  const kept = new Kept(100, 1e9);
  for (let n = 0; n < 10_000; n += 1) {
    kept.keep(answer(`t${n}`));
    assert.ok(kept.size <= 200);
  }
  assert.ok(kept.get("t9999"));
  assert.equal(kept.get("t0"), undefined);
});

test("bounded in characters, however often an answer is replaced", () => {
  const kept = new Kept(1e9, 10_000);
  for (let n = 0; n < 1_000; n += 1) {
    kept.keep(answer(`t${n}`, "x".repeat(900)));
    assert.ok(kept.size <= 24, `${kept.size}`);
  }
  const small = new Kept(1e9, 1_000);
  small.keep(answer("other"));
  for (let n = 0; n < 1_000; n += 1) small.keep(answer("a", "x".repeat(n % 100)));
  assert.ok(small.get("other"), "what is replaced no longer counts");
});

test("what is used stays", () => {
  const kept = new Kept(50, 1e9);
  kept.keep(answer("used"));
  for (let n = 0; n < 5_000; n += 1) {
    kept.keep(answer(`t${n}`));
    if (n % 40 === 0) assert.ok(kept.get("used"), `${n}`);
  }
  assert.equal(kept.get("t0"), undefined);
});
