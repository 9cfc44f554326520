// Data points for Analytics Engine: what a point has, that none breaks the platform's limits, and that kept answers are
// counted and not written one by one. The platform drops an invalid point without a word.
import assert from "node:assert/strict";
import { test } from "node:test";
import { points_of, source_of } from "../../src/worker/points.mjs";

const NOW = 1_800_000_000_000;

/** A dataset that holds the points to the platform's limits. */
function dataset() {
  const points = [];
  const bytes = (texts) => texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const writeDataPoint = (point) => {
    assert.ok(point.indexes.length === 1 && Buffer.byteLength(point.indexes[0]) <= 96, JSON.stringify(point));
    assert.ok(point.blobs.length <= 20 && point.doubles.length <= 20);
    assert.ok(bytes(point.blobs) <= 16 * 1024, `${bytes(point.blobs)} bytes`);
    assert.ok(point.blobs.every((blob) => typeof blob === "string") && point.doubles.every(Number.isFinite), JSON.stringify(point));
    points.push(point);
  };
  return { points, binding: { writeDataPoint } };
}

function points(env = {}) {
  const { points: written, binding } = dataset();
  return { written, points: points_of({ ANALYTICS: binding, ...env }, () => NOW) };
}

function response(status, told, headers = {}) {
  return Object.assign(new Response(null, { status, headers }), { told });
}

const told = () => [1_799_999_990, 2101];

test("without the binding there are no points", () => {
  assert.equal(points_of({}), null);
  assert.equal(points_of({ ANALYTICS: "a text" }), null);
});

test("an answer has a point with status, reason, source, age and wait", async () => {
  const { written, points: subject } = points();
  const denied = response(402, "no grant\n", { "server-timing": "load;dur=12" });
  assert.equal(subject.answered(denied, "check", told), denied);
  const late = Promise.resolve(response(200, "granted\n", { "server-timing": 'memory;desc="hit"' }));
  assert.equal((await subject.answered(late, "checks", told)).status, 200);
  assert.deepEqual(written, [
    { indexes: ["2101"], blobs: ["answer", "check", "402", "no grant", "origin"], doubles: [1, 10, 12] },
    { indexes: ["2101"], blobs: ["answer", "checks", "200", "granted", "memory"], doubles: [1, 10, 0] },
  ]);
});

test("where an answer came from", () => {
  for (const [timing, detail, status, seq, expected] of [
    ['memory;desc="hit"', "", 402, null, ["memory", 0]],
    ["load;dur=7", "", 200, null, ["kv", 7]],
    ["load;dur=7", "", 200, "12", ["origin", 7]],
    ["load;dur=2000", "", 402, null, ["origin", 2000]],
    ["load;dur=2000", "not confirmed: circuit open", 402, null, ["kv", 2000]],
    [null, "", 500, null, ["memory", 0]],
  ]) {
    assert.deepEqual(source_of(timing, detail, status, seq), expected);
  }
});

test("kept answers are counted by merchant and written with a later answer", () => {
  const { written, points: subject } = points();
  for (let number = 0; number < 400; number += 1) subject.kept(number % 4 === 0 ? 3407 : 2101);
  assert.equal(written.length, 0);
  subject.answered(response(404, "no item\n"), "other", () => [1_799_999_990, 0]);
  const counts = written.slice(0, 2).map(({ indexes, blobs, doubles }) => [indexes[0], blobs[0], doubles[0]]);
  assert.deepEqual(counts, [["3407", "kept", 100], ["2101", "kept", 300]]);
  assert.deepEqual(written[2].blobs, ["answer", "other", "404", "no item", "memory"]);
  // Nothing is counted twice.
  subject.answered(response(404, "no item\n"), "other", () => [0, 0]);
  assert.equal(written.length, 4);
});

test("counts are written although no other answer comes, with few points at once", () => {
  const { written, points: subject } = points();
  for (let number = 0; number < 2_500; number += 1) subject.kept(1);
  assert.deepEqual(written.map(({ doubles }) => doubles[0]), [1000, 1000]);
  for (let merchant = 2; merchant <= 200; merchant += 1) {
    const before = written.length;
    subject.kept(merchant);
    assert.ok(written.length - before <= 25, "a request may write 25 points");
  }
  subject.answered(response(200, ""), "other", told);
  const kept = written.filter(({ blobs }) => blobs[0] === "kept").reduce((sum, { doubles }) => sum + doubles[0], 0);
  assert.equal(kept, 2_500 + 199);
});

test("a sample stands for the others", () => {
  const { written, points: subject } = points({ ANALYTICS_SAMPLE: "10" });
  for (let number = 0; number < 100; number += 1) subject.answered(response(402, "no grant\n"), "check", told);
  assert.deepEqual(written.map(({ doubles }) => doubles[0]), new Array(10).fill(10));
  for (const wrong of ["0", "-1", "1.5", "many", "1001", ""]) {
    const { written: all, points: other } = points({ ANALYTICS_SAMPLE: wrong });
    other.answered(response(402, ""), "check", told);
    assert.equal(all.length, 1, wrong);
  }
});

test("no point breaks a limit, and none breaks an answer", () => {
  const { written, points: subject } = points();
  subject.answered(response(422, `${"\u{1f600}".repeat(10_000)}\n`), "check", () => [NaN, 2 ** 53]);
  assert.equal(written.length, 1);
  assert.equal(written[0].doubles[1], -1, "an age that is not known");
  // A call's answer is a text.
  assert.equal(subject.answered('402{"code":402}', "call", told), '402{"code":402}');
  assert.deepEqual(written[1].blobs, ["answer", "call", "402", "", "call"]);
  const broken = points_of({ ANALYTICS: { writeDataPoint() { throw new Error("broken"); } } }, () => NOW);
  const answer = response(200, "");
  const log = console.error;
  console.error = () => {};
  assert.equal(broken.answered(answer, "check", told), answer);
  console.error = log;
});
