// The answers that the Worker's entry keeps: the last few of each header, bounded in number and in
// bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Kept } from "../../src/worker/kept.mjs";

const asked = (authorization, url = "https://edge.example/items/1/access") => ({
  authorization,
  url,
  address: "192.0.2.1",
  country: "DE",
  origin: undefined,
  min_seq: undefined,
});
const answer = (authorization, body = "{}", url) => ({ ...asked(authorization, url), body });
const item = (n) => `https://edge.example/items/${n}/access`;

test("the answer to the same question", () => {
  const kept = new Kept(10, 8, 1e9);
  assert.equal(kept.find(asked("a")), undefined);
  assert.equal(kept.find(asked(null)), undefined);
  const [first, second, other] = [answer("a"), answer("a", "[]"), answer("b")];
  for (const one of [first, other, second]) kept.keep(one);
  assert.equal(kept.find(asked("a")), second);
  assert.equal(kept.find(asked("b")), other);
  assert.equal(kept.size, 2);
  for (const [name, value] of Object.entries({ url: item(2), address: null, country: "SE", origin: "x", min_seq: "1" })) {
    assert.equal(kept.find({ ...asked("a"), [name]: value }), undefined, name);
  }
});

test("the last few of each header", () => {
  const kept = new Kept(10, 8, 1e9);
  for (let n = 0; n < 20; n += 1) kept.keep(answer("a", "{}", item(n)));
  const known = (n) => kept.find(asked("a", item(n))) !== undefined;
  assert.deepEqual([0, 11, 12, 19].map(known), [false, false, true, true]);
  // An answer that is kept again does not displace another one.
  for (let n = 0; n < 20; n += 1) kept.keep(answer("a", "[]", item(15)));
  assert.deepEqual([11, 12, 19].map(known), [false, true, true]);
  assert.equal(kept.find(asked("a", item(15))).body, "[]");
});

test("bounded in number, the oldest answer goes first", () => {
  const kept = new Kept(100, 8, 1e9);
  for (let n = 0; n < 1_050; n += 1) {
    kept.keep(answer(`t${n}`));
    kept.keep(answer(`t${n}`, "{}", item(2)));
    assert.equal(kept.size, Math.min(n + 1, 100));
    assert.equal(kept.find(asked(`t${n - 99}`)) !== undefined, n >= 99);
    assert.equal(kept.find(asked(`t${n - 100}`)), undefined);
  }
});

test("answers that fit are all kept when they are asked for in turn", () => {
  const kept = new Kept(100, 8, 1e9);
  for (let round = 0; round < 5; round += 1) {
    for (let n = 0; n < 100; n += 1) {
      assert.equal(kept.find(asked(`t${n}`)) !== undefined, round > 0);
      kept.keep(answer(`t${n}`));
    }
  }
});

test("bounded in bytes, however often an answer is replaced", () => {
  const [one, other] = ["x".repeat(900), "y".repeat(900)];
  // As many as there is room for, whatever an answer takes besides its texts.
  const kept = new Kept(10_000, 8, 1e6);
  for (let n = 0; n < 5_000; n += 1) kept.keep(answer(`token-${n + 1_000}`, one));
  const room = kept.size;
  assert.ok(room > 500 && room < 1e6 / 950, `${room}`);
  for (let n = 0; n < 20_000; n += 1) {
    kept.keep(answer(`token-${(n % room) + 1_000}`, n % 2 ? one : other));
    assert.ok(kept.size <= room, `${n}`);
  }
  assert.equal(kept.size, room, "what was dropped or replaced is not counted");
});

test("long client headers are counted, and very long ones not kept", () => {
  for (const name of ["authorization", "url", "min_seq", "origin", "address", "country", "body"]) {
    const kept = new Kept(8_192, 8, 1e6);
    for (let n = 0; n < 2_000; n += 1) {
      const long = { ...answer(`token-${n}`, "{}", item(1)), [name]: `${"x".repeat(3_000)}${n}` };
      kept.keep({ ...long });
      assert.equal(kept.find(long)?.body, long.body, name);
    }
    assert.ok(kept.size <= 340, `${name}: ${kept.size} are kept`);
    const longer = { ...answer("token"), [name]: "x".repeat(20_000) };
    kept.keep({ ...longer });
    assert.equal(kept.find(longer), undefined, name);
    assert.ok(kept.size > 100, `${name}: ${kept.size} are left`);
  }
});

test("texts that Latin-1 cannot hold count twice", () => {
  const sizes = ["x".repeat(900), `${"x".repeat(899)}\u{42f}`].map((body) => {
    const kept = new Kept(10_000, 8, 1e6);
    for (let n = 0; n < 5_000; n += 1) kept.keep(answer(`token-${n + 1_000}`, body));
    return kept.size;
  });
  assert.ok(sizes[0] > 1.5 * sizes[1], sizes.join(" "));
});
