// The rules of the fresh lane's object, without a platform: which head is the newest, and when caches are purged
// (docs/adr/0056). Clock, storage and purge are handed in; tests drive them by hand.

/** The longest piece in which a value is stored, in bytes: Cloudflare takes rows of 2 MB. */
export const CHUNK_BYTES = 1 << 20;

/** How many purges the smallest plan allows at once, and how long one of them takes to come back: 5 a minute. */
export const PURGES_AT_ONCE = 25;
export const PURGE_MS = 12_000;

/**
 * The least time from one purge to the next, while none is short. In a storm each purge serves all revocations of that
 * time. It grows to `PURGE_MS` as purges are used up, so that a storm without end still has one when it needs it.
 */
export const SPACING_MS = 4_000;

/**
 * How long a cache may repeat an answer, in seconds: the bound of a purge that is lost. And while no purge can be sent at
 * once: the bound of a storm, whatever becomes of its purges.
 */
export const CACHE_SECS = 30;
export const BRIEF_SECS = 1;

/** Pause after a purge that failed. Each failure in a row doubles it, up to `RETRY_MAX_MS`. */
export const RETRY_MS = 1_000;
export const RETRY_MAX_MS = 30_000;

/** A purge that has not ended after this time counts as failed: the object may have been moved in the middle. */
export const PURGE_LOST_MS = 10_000;

/** What a value says of itself, unverified: the publish route has verified it. */
export function described(value) {
  const end = value.indexOf(10);
  const jws = new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
  const payload = jws.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const text = new TextDecoder().decode(Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0)));
  const { seq, as_of, taken_away } = JSON.parse(text);
  if (!Number.isFinite(seq) || !Number.isFinite(as_of)) throw new Error("not a head");
  return { seq, as_of, taken_away: taken_away && { seq: taken_away.seq, as_of: taken_away.as_of } };
}

const is_same = (one, other) => one !== undefined && other !== undefined && one.seq === other.seq && one.as_of === other.as_of;

const is_older = (one, other) => one.seq < other.seq || (one.seq === other.seq && one.as_of < other.as_of);

const EMPTY = new Uint8Array();

const is_equal = (one, other) => one.length === other.length && one.every((byte, position) => byte === other[position]);

const NEW = {
  head: undefined,
  /** Counts the heads that took something away, and up to which of them caches are purged. */
  wanted: 0,
  purged: 0,
  /** Purges at hand at the moment `counted_at_ms`. */
  purges: PURGES_AT_ONCE,
  counted_at_ms: 0,
  purged_at_ms: 0,
  failures: 0,
  retry_at_ms: 0,
};

/**
 * Keeps the newest head and purges the caches of older ones.
 *
 * `storage` has `load()`, which gives `{ state, value }` or undefined, and `save(state, value)`, whose value is undefined
 * if it stays. `now_ms()` is the clock, `purge()` empties the caches, `wake_at(ms)` calls `drive()` at a moment.
 */
export class HeadKeeper {
  #storage; #now_ms; #purge; #wake_at; #log;
  #state;
  #value;
  #purging_since_ms;

  constructor({ storage, now_ms, purge, wake_at, log = () => {} }) {
    this.#storage = storage;
    this.#now_ms = now_ms;
    this.#purge = purge;
    this.#wake_at = wake_at;
    this.#log = log;
    const { state, value } = storage.load() ?? {};
    this.#state = { ...NEW, ...state };
    this.#value = value;
  }

  /** The newest value; undefined before the first. */
  newest() {
    return this.#value;
  }

  /** How long a cache may keep the newest value, in seconds. A copy that no purge could remove at once ends by itself. */
  max_age_secs() {
    const now = this.#now_ms();
    return this.is_dirty() || this.#due_ms(now) > now ? BRIEF_SECS : CACHE_SECS;
  }

  /** Whether caches may still have a head that was replaced by one that takes something away. */
  is_dirty() {
    return this.#state.wanted !== this.#state.purged;
  }

  /**
   * Makes a value the newest one. If it is older than that, nothing changes and the newest one is returned, unless that is
   * `over`: the publish route could not verify it. `drive` does the rest: the publisher does not wait for a purge.
   */
  announce(value, over) {
    const head = described(value);
    const before = this.#state.head;
    const newest = this.#value ?? EMPTY;
    const is_over = over !== undefined && is_equal(over, newest);
    if (before !== undefined && is_older(head, before) && !is_over) return newest;
    const is_known = before !== undefined && is_same(head, before) && is_equal(value, newest);
    if (is_known) return undefined;
    // A head that says nothing counts as urgent; so does a second one that claims the same place in the order, and one
    // that replaces an invalid one.
    const is_calm =
      !is_over && before !== undefined && is_same(head.taken_away, before.taken_away) && !is_same(head.taken_away, head);
    const wanted = this.#state.wanted + (is_calm ? 0 : 1);
    this.#value = value;
    this.#save({ head, wanted }, value);
    return undefined;
  }

  /** Purges if that is due, and wakes itself again while something is left to do. Never throws. */
  async drive() {
    const now = this.#now_ms();
    if (!this.is_dirty()) return;
    if (this.#purging_since_ms !== undefined && now - this.#purging_since_ms < PURGE_LOST_MS) return;
    const due = this.#due_ms(now);
    if (due > now) {
      await this.#wake_at(due);
      return;
    }
    const upto = this.#state.wanted;
    this.#purging_since_ms = now;
    this.#save({ purges: this.#at_hand(now) - 1, counted_at_ms: now, purged_at_ms: now });
    // If the object is moved or stopped in the middle, it is woken nevertheless.
    await this.#wake_at(now + PURGE_LOST_MS);
    let problem;
    try {
      problem = problem_of(await this.#purge());
    } catch (error) {
      problem = String(error?.message ?? error);
    }
    this.#purging_since_ms = undefined;
    if (problem === undefined) {
      this.#save({ purged: Math.max(upto, this.#state.purged), failures: 0, retry_at_ms: 0 });
    } else {
      const failures = this.#state.failures + 1;
      const pause_ms = Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MAX_MS);
      this.#log(`purge: ${problem}`, failures);
      this.#save({ failures, retry_at_ms: this.#now_ms() + pause_ms });
    }
    if (this.is_dirty()) await this.#wake_at(this.#due_ms(this.#now_ms()));
  }

  /** When the next purge is due. */
  #due_ms(now) {
    const { purged_at_ms, retry_at_ms } = this.#state;
    const at_hand = this.#at_hand(now);
    const missing_ms = at_hand >= 1 ? 0 : (1 - at_hand) * PURGE_MS;
    const used = 1 - at_hand / PURGES_AT_ONCE;
    const spacing_ms = SPACING_MS + (PURGE_MS - SPACING_MS) * used;
    return Math.ceil(Math.max(now + missing_ms, purged_at_ms + spacing_ms, retry_at_ms));
  }

  #at_hand(now) {
    const { purges, counted_at_ms } = this.#state;
    return Math.min(PURGES_AT_ONCE, purges + Math.max(0, now - counted_at_ms) / PURGE_MS);
  }

  #save(changes, value) {
    this.#state = { ...this.#state, ...changes };
    this.#storage.save(this.#state, value);
  }
}

/** Why a purge did not happen, by what Cloudflare answers. Where there is no cache, nothing is to be purged. */
function problem_of(answer) {
  if (answer === undefined || answer.success !== false) return undefined;
  return answer.errors?.map((error) => error.message ?? String(error)).join(", ") || "refused";
}
