// The rules of the object that keeps the newest head (docs/adr/0056), by a clock that the test moves: nothing waits.
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  BRIEF_SECS, CACHE_SECS, CHUNK_BYTES, HeadKeeper, PURGES_AT_ONCE, PURGE_LOST_MS, PURGE_MS, RETRY_MAX_MS, SPACING_MS, described,
} from "../../src/worker/head_keeper.mjs";

const START = 1_800_000_000_000;
const MINUTE = 60_000;

const encoded = (payload) => Buffer.from(JSON.stringify(payload)).toString("base64url");

/** The value of a head. `taken` is `[seq, as_of]` of the last one that took something away. */
function head(seq, as_of, taken, delta = "") {
  const taken_away = taken && { seq: taken[0], as_of: taken[1] };
  const jws = `${encoded({ alg: "EdDSA" })}.${encoded({ seq, as_of, taken_away, aud: "ü" })}.sig`;
  return new TextEncoder().encode(delta === "" ? jws : `${jws}\n${delta}`);
}

/** A keeper with a clock, a storage that outlives it, and purges that the test may fail, hold or lose. */
class World {
  now = START;
  stored = undefined;
  alarm = undefined;
  purges = [];
  /** What becomes of the next purges; the last one stays. */
  outcomes = [() => ({ success: true, errors: [] })];
  logged = [];

  constructor() {
    this.restart();
  }

  /** The object is evicted: only what is stored remains. */
  restart() {
    this.keeper = new HeadKeeper({
      storage: {
        load: () => structuredClone(this.stored),
        save: (state, value) => {
          this.stored = JSON.parse(JSON.stringify({ state }));
          this.stored.value = value?.slice() ?? this.value;
          this.value = this.stored.value;
        },
      },
      now_ms: () => this.now,
      purge: async () => {
        this.purges.push(this.now);
        const outcome = this.outcomes.length > 1 ? this.outcomes.shift() : this.outcomes[0];
        return outcome();
      },
      wake_at: (ms) => { this.alarm = ms; },
      log: (problem, times) => this.logged.push([problem, times]),
    });
  }

  /** Whether the value is the newest one now. */
  async announce(value, over) {
    const newer = this.keeper.announce(value, over);
    if (this.keeper.is_dirty()) await this.keeper.drive();
    if (newer !== undefined) assert.deepEqual(newer, this.keeper.newest());
    return newer === undefined;
  }

  /** Lets time pass; alarms ring when they are due. */
  async pass(ms) {
    const end = this.now + ms;
    while (this.alarm !== undefined && this.alarm <= end) {
      this.now = Math.max(this.now, this.alarm);
      this.alarm = undefined;
      await this.keeper.drive();
    }
    this.now = end;
  }
}

/** No minute has more purges than the bucket of the smallest plan has. */
function fits(purges) {
  let bucket = PURGES_AT_ONCE;
  let before = purges[0] ?? 0;
  for (const at of purges) {
    bucket = Math.min(PURGES_AT_ONCE, bucket + (at - before) / PURGE_MS) - 1;
    before = at;
    assert.ok(bucket >= -1e-6, `purge at ${at - purges[0]} ms is one too many`);
  }
}

test("what a head says of itself is read, with a delta beside it or not", () => {
  const expected = { seq: 5, as_of: 7, taken_away: { seq: 4, as_of: 6 } };
  assert.deepEqual(described(head(5, 7, [4, 6])), expected);
  assert.deepEqual(described(head(5, 7, [4, 6], "\n\u0000binary")), expected);
  assert.deepEqual(described(head(5, 7)), { seq: 5, as_of: 7, taken_away: undefined });
  for (const garbage of ["", "a", "a.b.c", `a.${encoded({ seq: 1 })}.c`, `a.${encoded([])}.c`]) {
    assert.throws(() => described(new TextEncoder().encode(garbage)), garbage);
  }
});

test("a head that takes something away is purged at once, and one that gives is not", async () => {
  const world = new World();
  assert.equal(world.keeper.newest(), undefined);
  await world.announce(head(1, 1, [1, 1]));
  assert.equal(world.purges.length, 1, "a cache may have that there was none");
  await world.pass(MINUTE);
  await world.announce(head(2, 2, [1, 1]));
  await world.announce(head(2, 60, [1, 1]));
  await world.pass(MINUTE);
  assert.equal(world.purges.length, 1, "a grant and a renewal have time");
  await world.announce(head(3, 61, [3, 61]));
  assert.deepEqual(world.purges.slice(1), [world.now]);
  await world.pass(MINUTE);
  // The same head again, as after an answer that was lost, and then one that claims its place.
  await world.announce(head(3, 61, [3, 61]));
  assert.equal(world.purges.length, 2);
  await world.announce(head(3, 61, [3, 61], "another delta"));
  assert.equal(world.purges.length, 3);
  await world.pass(MINUTE);
  // A head that was never announced took something away: the next one tells.
  await world.announce(head(5, 70, [4, 65]));
  assert.equal(world.purges.length, 4);
  await world.pass(MINUTE);
  // Publishers of earlier releases say nothing.
  await world.announce(head(6, 71));
  assert.equal(world.purges.length, 5);
});

test("an older head changes nothing, whoever announces it", async () => {
  const world = new World();
  const newest = head(5, 50, [5, 50]);
  assert.equal(await world.announce(newest), true);
  for (const older of [head(4, 99, [4, 99]), head(5, 49, [5, 49]), head(1, 1)]) {
    assert.equal(await world.announce(older), false);
    assert.deepEqual(world.keeper.newest(), newest);
  }
  assert.throws(() => world.keeper.announce(new TextEncoder().encode("garbage")));
  assert.deepEqual(world.keeper.newest(), newest);
  await world.pass(MINUTE);
  assert.equal(world.purges.length, 1);
});

test("a head that the publish route cannot verify is replaced, and only that one", async () => {
  const world = new World();
  const [forged, good, newer] = [head(2 ** 53, 9, [1, 1]), head(5, 50, [1, 1]), head(6, 60, [1, 1])];
  await world.announce(forged);
  await world.pass(MINUTE);
  assert.equal(await world.announce(good), false);
  assert.equal(await world.announce(good, head(2 ** 53, 9, [1, 1], "another delta")), false, "it has another one");
  assert.equal(await world.announce(good, new Uint8Array()), false);
  assert.equal(world.purges.length, 1);
  assert.equal(await world.announce(good, forged), true);
  assert.deepEqual(world.keeper.newest(), good);
  assert.equal(world.purges.length, 2, "caches have the forged one");
  // Another publisher was quicker: what it put there was not found invalid.
  assert.equal(await world.announce(newer), true);
  assert.equal(await world.announce(good, forged), false);
  assert.deepEqual(world.keeper.newest(), newer);
  // The object's rows were lost, and its state was not.
  world.restart();
  delete world.stored.value;
  world.restart();
  assert.equal(world.keeper.newest(), undefined);
  assert.deepEqual(world.keeper.announce(good), new Uint8Array());
  assert.equal(await world.announce(good, new Uint8Array()), true);
  assert.deepEqual(world.keeper.newest(), good);
});

test("a storm of 10,000 revocations in a minute is a dozen purges, and the last one is served", async () => {
  const world = new World();
  for (let seq = 1; seq <= 10_000; seq++) {
    await world.announce(head(seq, seq, [seq, seq]));
    await world.pass(MINUTE / 10_000);
  }
  assert.ok(world.purges.length >= 8 && world.purges.length <= 13, `${world.purges.length} purges`);
  fits(world.purges);
  const last = world.now;
  await world.pass(MINUTE);
  assert.ok(!world.keeper.is_dirty());
  assert.ok(world.purges.at(-1) >= last - MINUTE / 10_000, "after the last revocation there is a purge");
  assert.ok(world.purges.at(-1) - last <= 2 * SPACING_MS);
});

test("a storm of 10,000 whose purges are slow, refused or lost is a dozen purges too", async () => {
  const refused = { success: false, errors: [{ code: 1, message: "rate limit" }] };
  const purged = { success: true, errors: [] };
  const world = new World();
  // Each purge ends when the clock has come that far, if it ends.
  const running = [];
  const served = [];
  const answers = [[3_000, purged], [2_000, refused], [500, refused], [9_000, purged], [Infinity, purged], [4_000, purged]];
  world.outcomes = [() => new Promise((resolve) => {
    const began = world.now;
    assert.ok(running.every(({ end }) => end === Infinity), "one at a time, unless one is lost");
    const [takes, answer] = answers[world.purges.length - 1] ?? [1_000, purged];
    running.push({ end: began + takes, ends: () => { resolve(answer); if (answer === purged) served.push(began); } });
  })];
  // As the object does: nobody waits for a purge.
  world.announce = async (value) => {
    assert.equal(world.keeper.announce(value), undefined);
    if (world.keeper.is_dirty()) world.keeper.drive();
  };
  const pass = async (ms) => {
    for (const end = world.now + ms; world.now < end;) {
      world.now = Math.min(end, world.alarm > world.now ? world.alarm : end, ...running.map((purge) => Math.max(purge.end, world.now)));
      for (const purge of running.filter((purge) => purge.end <= world.now)) {
        running.splice(running.indexOf(purge), 1);
        purge.ends();
      }
      await new Promise(setImmediate);
      if (world.alarm <= world.now) {
        world.alarm = undefined;
        world.keeper.drive();
      }
      await new Promise(setImmediate);
    }
  };
  for (let seq = 1; seq <= 10_000; seq++) {
    await world.announce(head(seq, seq, [seq, seq]));
    await pass(MINUTE / 10_000);
  }
  const last = world.now - MINUTE / 10_000;
  await pass(2 * MINUTE);
  assert.ok(world.purges.length >= answers.length && world.purges.length <= 13, `${world.purges.length} purges`);
  fits(world.purges);
  assert.deepEqual(world.logged, [["purge: rate limit", 1], ["purge: rate limit", 2]]);
  assert.ok(!world.keeper.is_dirty());
  assert.ok(served.at(-1) >= last, "the last revocation is served");
  assert.ok(served.at(-1) - last <= PURGE_LOST_MS + PURGE_MS);
});

test("a storm without end keeps to five purges a minute and never waits longer than one interval", async () => {
  const world = new World();
  for (let seq = 1; seq <= 3_600; seq++) {
    await world.announce(head(seq, seq, [seq, seq]));
    await world.pass(1_000);
  }
  fits(world.purges);
  const gaps = world.purges.slice(1).map((at, position) => at - world.purges[position]);
  assert.ok(Math.max(...gaps) <= PURGE_MS + 1_000, `${Math.max(...gaps)}`);
  assert.ok(Math.min(...gaps) >= SPACING_MS);
  // After a quiet while there is a purge at once again.
  await world.pass(10 * MINUTE);
  await world.announce(head(9_999, 9_999, [9_999, 9_999]));
  assert.equal(world.purges.at(-1), world.now);
});

test("a purge that is refused, fails or is lost is tried again, later and later", async () => {
  const refused = () => ({ success: false, errors: [{ code: 1, message: "rate limit" }] });
  const fails = () => { throw new Error("no answer"); };
  for (const [outcome, problem] of [[refused, "purge: rate limit"], [fails, "purge: no answer"]]) {
    const world = new World();
    world.outcomes = [...Array(6).fill(outcome), () => ({ success: true, errors: [] })];
    await world.announce(head(1, 1, [1, 1]));
    await world.pass(10 * MINUTE);
    assert.equal(world.purges.length, 7);
    fits(world.purges);
    assert.deepEqual(world.logged.map(([text]) => text), Array(6).fill(problem));
    const gaps = world.purges.slice(1).map((at, position) => at - world.purges[position]);
    assert.ok(Math.max(...gaps) <= RETRY_MAX_MS + 1_000, String(gaps));
    assert.ok(!world.keeper.is_dirty());
  }
});

test("one purge at a time; one that never ends is given up", async () => {
  const world = new World();
  world.outcomes = [() => new Promise(() => {}), () => undefined];
  const hanging = world.announce(head(1, 1, [1, 1]));
  await Promise.resolve();
  await world.announce(head(2, 2, [2, 2]));
  assert.equal(world.purges.length, 1);
  await world.pass(PURGE_LOST_MS);
  assert.equal(world.purges.length, 2, "where there is no cache, the answer is undefined, and all is well");
  assert.ok(!world.keeper.is_dirty());
  await Promise.race([hanging, Promise.resolve()]);
});

test("a revocation during a purge gets a purge of its own", async () => {
  const world = new World();
  let end;
  world.outcomes = [() => new Promise((resolve) => { end = resolve; }), () => ({ success: true, errors: [] })];
  const first = world.announce(head(1, 1, [1, 1]));
  await Promise.resolve();
  await world.announce(head(2, 2, [2, 2]));
  end({ success: true, errors: [] });
  await first;
  assert.ok(world.keeper.is_dirty());
  await world.pass(2 * SPACING_MS);
  assert.equal(world.purges.length, 2);
  assert.ok(!world.keeper.is_dirty());
});

test("an object that was evicted goes on where it was", async () => {
  const world = new World();
  const value = head(7, 7, [7, 7], "x".repeat(3 * CHUNK_BYTES));
  world.outcomes = [() => { throw new Error("no answer"); }, () => ({ success: true, errors: [] })];
  await world.announce(value);
  world.restart();
  assert.deepEqual(world.keeper.newest(), value);
  assert.equal(await world.announce(head(6, 6, [6, 6])), false);
  assert.ok(world.keeper.is_dirty());
  await world.pass(MINUTE);
  assert.equal(world.purges.length, 2);
  world.restart();
  // The bucket is stored too.
  for (let seq = 8; seq < 600; seq++) {
    world.restart();
    await world.announce(head(seq, seq, [seq, seq]));
    await world.pass(1_000);
  }
  fits(world.purges);
});

test("a copy can be purged at once, or ends by itself within a second", async () => {
  const world = new World();
  await world.announce(head(1, 1, [1, 1]));
  assert.equal(world.keeper.max_age_secs(), BRIEF_SECS, "no purge may follow the last one yet");
  await world.pass(SPACING_MS - 1);
  assert.equal(world.keeper.max_age_secs(), BRIEF_SECS);
  await world.pass(PURGE_MS);
  assert.equal(world.keeper.max_age_secs(), CACHE_SECS);
  // What is given changes nothing.
  await world.announce(head(2, 2, [1, 1]));
  assert.equal(world.keeper.max_age_secs(), CACHE_SECS);
  world.outcomes = [() => ({ success: false, errors: [] })];
  await world.announce(head(3, 3, [3, 3]));
  for (let minutes = 0; minutes < 5; minutes++) {
    assert.equal(world.keeper.max_age_secs(), BRIEF_SECS, "a purge is wanted and refused");
    await world.pass(MINUTE);
    world.restart();
  }
});

test("no place has an old head for longer than a second, however long a storm lasts", async () => {
  for (const [revocations, every_ms] of [[10_000, MINUTE / 10_000], [3_000, 1_000], [600, 5_000]]) {
    const world = new World();
    const look_ms = Math.min(every_ms, 250);
    // A place's copy: what the object said, until when it is kept. Purges take it away.
    let copy;
    world.outcomes = [() => { copy = undefined; return { success: true, errors: [] }; }];
    let worst_ms = 0;
    let old_since;
    const look = () => {
      if (copy === undefined || world.now >= copy.until) {
        copy = { value: world.keeper.newest(), until: world.now + 1_000 * world.keeper.max_age_secs() };
      }
      if (copy.value === world.keeper.newest()) old_since = undefined;
      else worst_ms = Math.max(worst_ms, world.now - (old_since ??= world.now));
    };
    for (let seq = 1; seq <= revocations; seq++) {
      await world.announce(head(seq, seq, [seq, seq]));
      look();
      for (let passed = 0; passed < every_ms; passed += look_ms) {
        await world.pass(look_ms);
        look();
      }
    }
    // A copy is at most a second old, and so is the oldest revocation that it lacks.
    assert.ok(worst_ms <= 1_000 * BRIEF_SECS + look_ms, `${every_ms}: ${worst_ms} ms`);
    fits(world.purges);
  }
});
