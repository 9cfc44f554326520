// The viewers that the Worker's entry knows: whose checks it answers in numbers, with texts and answers that are
// bounded in number and in bytes. `wasm` is a double of the exports of src/worker/hot.rs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Known, is_page, item_of, query_hash } from "../../src/worker/known.mjs";

const FRAME = ['{"id":', ',"created_at":', ',"expires_at":', ',"starts_at":'];
const url = (item) => `https://edge.example/items/${item}/access`;

/** Exports that grant everything, and know how long an answer is right. */
function double(over = {}) {
  const calls = { grant: 0, repeat: 0, viewer_text: 0, item_texts: 0, granted_init: 0 };
  const state = { epoch: 7, number: 0, starts: NaN, until: NaN, numbers: new Float64Array(7), text: "", ...over };
  const wasm = {
    grant(handle, item) {
      calls.grant += 1;
      if (handle === 0 || item === 404) return 0;
      state.numbers.set([state.epoch, 5, 10, 20, state.starts, 1, state.until]);
      return (state.number += 1);
    },
    granted_numbers: () => state.numbers,
    repeat(epoch) {
      calls.repeat += 1;
      return epoch === state.epoch ? (state.number += 1) : 0;
    },
    viewer_text(handle, address, country) {
      calls.viewer_text += 1;
      return `,"viewer":"${handle} ${address} ${country}${state.text}"`;
    },
    item_texts(item) {
      calls.item_texts += 1;
      if (item === 410) return undefined;
      return item === 413 ? [] : [`,"account_id":${item}`, `,"item":{"id":${item},"text":"${state.text}"}}`];
    },
    granted_init(origin) {
      calls.granted_init += 1;
      return { status: 200, headers: new Headers({ "x-request-id": "instance-00000000", origin: String(origin) }) };
    },
  };
  return { wasm, calls, state };
}

function started(over, limits = {}) {
  const { wasm, calls, state } = double(over);
  const inputs = { frame: FRAME, viewers_max: 100, viewers_max_bytes: 1e6, answers_max: 8, items_max_bytes: 1e5, ...limits };
  const known = new Known(wasm, inputs);
  const ask = (name, item = 1, { address = "192.0.2.1", country = "DE", origin } = {}) => {
    const viewer = known.viewer(name);
    if (viewer === undefined) return undefined;
    return known.repeated(viewer, url(item), address, country, origin) ?? known.granted(viewer, item, url(item), address, country, origin);
  };
  return { known, calls, state, ask };
}

test("the item in the URL of a check", () => {
  const of = (path) => item_of(`https://edge.example${path}`);
  assert.deepEqual(["/items/1/access", "/items/5101/access?x=1", "/items/999999999999999/access"].map(of), [1, 5101, 999999999999999]);
  assert.equal(item_of("http://a/items/7/access"), 7);
  for (const path of [
    "/", "", "/items", "/items/", "/items/1", "/items/1/", "/items/1/access/", "/items/1/accesses", "/items/1/access-fees",
    "/items/01/access", "/items/0/access", "/items/-1/access", "/items/1.0/access", "/items/1e3/access", "/items//access",
    "/items/1000000000000000/access", "/items/%31/access", "//items/1/access", "/v2/items/1/access", "/ITEMS/1/access",
    "/items/1/access#x", "/x?/items/1/access",
  ]) {
    assert.equal(of(path), 0, path);
  }
});

test("the URL of checks of several items", () => {
  const of = (path) => is_page(`https://edge.example${path}`);
  assert.deepEqual(["/access?items=1,2", "/access?x=1&items=2", "/access?"].map(of), [true, true, true]);
  assert.deepEqual(["/access", "/access/v1/evaluation", "/items/1/access?items=1", "//access?", "/x?/access?"].map(of), [false, false, false, false, false]);
});

test("an answer about several items is kept as it was given, for its viewer, URL, address and page", async () => {
  const { known, state } = started();
  const page = "https://edge.example/access?items=1,2";
  const kept = { body: '{"items":[]}', epoch: 7, since: 1, until: 50 };
  const ask = (name, url, address = "192.0.2.1", country = "DE", origin = undefined) =>
    known.viewer(name) && known.repeated(known.viewer(name), url, address, country, origin);
  known.keep("a", page, "192.0.2.1", "DE", undefined, kept);
  assert.equal(ask("a", page), undefined, "not introduced");
  known.add("a", 3);
  known.keep("a", page, "192.0.2.1", "DE", undefined, kept);
  assert.equal(await ask("a", page).text(), kept.body);
  assert.equal(ask("a", `${page},3`), undefined);
  assert.equal(ask("a", page, "192.0.2.2"), undefined);
  assert.equal(ask("a", page, "192.0.2.1", "AT"), undefined);
  assert.equal(ask("a", page, "192.0.2.1", "DE", "https://tv.example"), undefined);
  known.add("b", 4);
  assert.equal(ask("b", page), undefined);
  state.epoch = 8;
  assert.equal(ask("a", page), undefined, "of an earlier state");
});

test("queries have hashes of 32 bits", () => {
  const hashes = ["", "?", "?a", "?b", "?a=1&b=2"].map((query) => query_hash(url(1) + query));
  assert.equal(new Set(hashes).size, 5);
  for (const hash of hashes) assert.ok(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32);
});

test("an answer is joined, and its texts are asked for once", async () => {
  const { known, calls, state, ask } = started();
  assert.equal(ask("a"), undefined, "not introduced");
  known.add("a", 3);
  const first = ask("a");
  assert.equal(await first.text(), '{"id":5,"account_id":1,"viewer":"3 192.0.2.1 DE","created_at":10,"expires_at":20,"item":{"id":1,"text":""}}');
  assert.equal(first.headers.get("x-request-id"), "instance-00000001");
  state.starts = -62135596800;
  assert.match(await ask("a").text(), /"expires_at":20,"starts_at":-62135596800,"item"/);
  assert.deepEqual(calls, { grant: 2, repeat: 0, viewer_text: 1, item_texts: 1, granted_init: 1 });
  assert.match(await ask("a", 1, { address: null, country: null }).text(), /"3 undefined undefined"/);
  assert.match(await ask("a", 2, { country: "SE" }).text(), /"account_id":2,"viewer":"3 192.0.2.1 SE"/);
  assert.equal(ask("a", 1, { origin: "https://tv.example" }).headers.get("origin"), "https://tv.example");
  state.epoch = 8;
  await ask("a", 1, { country: "SE" }).text();
  assert.deepEqual(calls, { grant: 6, repeat: 0, viewer_text: 5, item_texts: 3, granted_init: 2 });
});

test("what is not granted, or too long, takes the ordinary way", () => {
  const { known, calls, ask } = started();
  known.add("a", 3);
  assert.equal(ask("a", 404), undefined);
  assert.deepEqual([ask("a", 413), ask("a", 413)], [undefined, undefined]);
  assert.equal(calls.item_texts, 1);
});

test("texts that memory does not have at the moment are asked for again", () => {
  const { known, calls, ask } = started();
  known.add("a", 3);
  assert.deepEqual([ask("a", 410), ask("a", 410)], [undefined, undefined]);
  assert.equal(calls.item_texts, 2);
});

test("numbers are read again when the memory has grown", async () => {
  const { known, state, ask } = started();
  known.add("a", 3);
  await ask("a").text();
  structuredClone(state.numbers.buffer, { transfer: [state.numbers.buffer] });
  state.numbers = new Float64Array(7);
  assert.match(await ask("a").text(), /^\{"id":5,/);
});

test("an answer is given again to the same question until its state changes", async () => {
  const { known, calls, state, ask } = started({ until: 99 });
  known.add("a", 3);
  const text = await ask("a").text();
  state.until = NaN;
  assert.equal(await ask("a").text(), text);
  assert.deepEqual([calls.grant, calls.repeat], [1, 1]);
  for (const other of [{ address: null }, { country: "SE" }, { origin: "https://tv.example" }]) {
    const before = calls.grant;
    ask("a", 1, other);
    assert.equal(calls.grant, before + 1, JSON.stringify(other));
  }
  state.epoch = 8;
  ask("a");
  assert.equal(calls.grant, 5);
});

test("the last few answers to each viewer", () => {
  const { known, calls, state, ask } = started({ until: 99 });
  known.add("a", 3);
  for (let item = 1; item <= 20; item += 1) ask("a", item);
  const is_kept = (item) => {
    const before = calls.grant;
    state.until = NaN;
    ask("a", item);
    return calls.grant === before;
  };
  assert.deepEqual([1, 12, 13, 20].map(is_kept), [false, false, true, true]);
});

test("bounded in number, the oldest viewer goes first", () => {
  const { known } = started();
  for (let n = 0; n < 1_050; n += 1) {
    known.add(`t${n}`, n + 1);
    assert.equal(known.size, Math.min(n + 1, 100));
    assert.equal(known.viewer(`t${n - 99}`) !== undefined, n >= 99);
    assert.equal(known.viewer(`t${n - 100}`), undefined);
  }
  known.add("t1049", 7);
  assert.deepEqual([known.size, known.viewer("t1049").handle], [100, 7]);
});

test("bounded in bytes, whichever text is long", () => {
  for (const long of ["authorization", "viewer", "answer"]) {
    const text = "x".repeat(3_000);
    const { known, state, ask } = started({ until: 99, text: long === "authorization" ? "" : text }, { viewers_max: 10_000 });
    for (let n = 0; n < 2_000; n += 1) {
      const name = long === "authorization" ? `${n}${text}` : `${n}`;
      known.add(name, n + 1);
      state.until = long === "answer" ? 99 : NaN;
      ask(name, (n % 9) + 1);
    }
    assert.ok(known.size <= 330 && known.size > 60, `${long}: ${known.size} are known`);
  }
  for (const header of ["address", "country", "origin"]) {
    const { known, state, ask } = started({ until: 99 }, { viewers_max: 10_000 });
    for (let n = 0; n < 2_000; n += 1) {
      known.add(`${n}`, n + 1);
      ask(`${n}`, 1, { [header]: `${n}`.padStart(3_000, "x") });
    }
    assert.ok(known.size <= 170, `${header}: ${known.size} are known`);
    state.until = NaN;
  }
  const { known } = started();
  known.add("x".repeat(20_000), 1);
  assert.equal(known.size, 0, "one that is too long pushes out no other");
});

test("what was dropped or replaced is not counted", () => {
  const { known, ask } = started({ until: 99, text: "x".repeat(900) }, { viewers_max: 10_000 });
  const fill = (count) => {
    for (let n = 0; n < count; n += 1) {
      known.add(`token-${(n % 1_500) + 1_000}`, n + 1);
      for (let item = 1; item <= 3; item += 1) ask(`token-${(n % 1_500) + 1_000}`, item);
    }
  };
  fill(1_500);
  const room = known.size;
  assert.ok(room > 100 && room < 1_000, `${room}`);
  fill(4_500);
  assert.equal(known.size, room);
});

test("a viewer whose own check drops it is not counted", () => {
  const { known, state, ask } = started({ text: "x".repeat(3_400) }, { viewers_max: 10_000 });
  const fill = (count) => {
    state.until = NaN;
    for (let n = 1_000; n < 1_000 + count; n += 1) {
      known.add(`${n}`, n);
      ask(`${n}`);
    }
  };
  fill(500);
  const room = known.size;
  for (let round = 0; round < 5; round += 1) {
    // The oldest of those that fit without its own texts.
    known.add("old", 1);
    fill(room);
    assert.equal(known.size, room + 1);
    state.until = 99;
    ask("old");
    assert.equal(known.viewer("old"), undefined);
  }
  fill(500);
  assert.equal(known.size, room);
});

test("items are bounded in bytes, and texts that Latin-1 cannot hold count twice", () => {
  const asked = ["x".repeat(900), `${"x".repeat(899)}\u{42f}`].map((text) => {
    const { known, calls, ask } = started({ text });
    known.add("a", 3);
    for (let item = 1_000; item < 1_200; item += 1) ask("a", item);
    // From the newest back, those that are held are not asked for.
    let held = 0;
    for (let item = 1_199; item >= 1_000; item -= 1) {
      const before = calls.item_texts;
      ask("a", item);
      if (calls.item_texts !== before) break;
      held += 1;
    }
    return held;
  });
  assert.ok(asked[0] > 60 && asked[0] < 110, asked.join(" "));
  assert.ok(asked[0] > 1.5 * asked[1], asked.join(" "));
});

test("headers are held for a few page origins", () => {
  const { known, calls, ask } = started();
  known.add("a", 3);
  for (let n = 0; n < 40; n += 1) ask("a", 1, { origin: `https://tv${n}.example` });
  assert.equal(calls.granted_init, 40);
  ask("a", 1, { origin: "https://tv39.example" });
  assert.equal(calls.granted_init, 40);
});
