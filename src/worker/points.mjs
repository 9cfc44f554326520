// Data points for Workers Analytics Engine (docs/operations.md), if the binding ANALYTICS is there. Answers of known
// viewers are counted by merchant, and written with a later answer: their way is the shortest, and a point each would
// cost more than the answer. The platform drops points that break its limits without a word, so they are kept here.

/** Bytes of the text that a point is sampled by: the platform takes at most 96. */
const INDEX_MAX = 96;

/** Characters of a reason. At most 4 bytes each; the platform takes 16 KiB for all texts of a point. */
const REASON_MAX = 256;

/** How many merchants are counted before their counts are written. A request may write 25 points. */
const MERCHANTS_MAX = 16;

/** How many kept answers are counted before they are written, if no other answer comes. */
const KEPT_MAX = 1000;

/** The largest share: one answer in a thousand. */
const SAMPLE_MAX = 1000;

/** The property of a response with reason and detail, which response.rs sets where the binding is there. */
export const TOLD = "told";

/** The points of a Worker with these bindings; `null` without the binding. */
export function points_of(env, now = Date.now) {
  const dataset = env.ANALYTICS;
  return typeof dataset?.writeDataPoint === "function" ? new Points(dataset, sample_of(env.ANALYTICS_SAMPLE), now) : null;
}

/** One answer in so many has a point. A value that is not such a number stands for all answers. */
function sample_of(text) {
  const sample = Number(text);
  return Number.isInteger(sample) && sample >= 1 && sample <= SAMPLE_MAX ? sample : 1;
}

/** Where an answer came from, and how long it waited for that, from the headers and the reason of a response. */
export function source_of(timing, detail, status, seq) {
  const load = /^load;dur=(\d+)/.exec(timing ?? "");
  if (load === null) return ["memory", 0];
  // A denial that waited is one that the origin has confirmed, unless the detail says otherwise.
  const is_confirmed = status === 402 && !detail.startsWith("not confirmed");
  return [seq !== null || is_confirmed ? "origin" : "kv", Number(load[1])];
}

class Points {
  #dataset;
  #sample;
  #now;
  #answers = 0;
  #kept = new Map();
  #kept_sum = 0;

  constructor(dataset, sample, now) {
    this.#dataset = dataset;
    this.#sample = sample;
    this.#now = now;
  }

  /** Counts an answer to a known viewer. `merchant` is 0 for one about several items. */
  kept(merchant) {
    this.#kept.set(merchant, (this.#kept.get(merchant) ?? 0) + 1);
    this.#kept_sum += 1;
    if (this.#kept_sum >= KEPT_MAX || this.#kept.size >= MERCHANTS_MAX) this.#flush(0);
  }

  /**
   * Writes a point for a response, or for the promise of one, and gives it back. `kind` is the kind of the question,
   * `told` gives the time of the data in unix seconds and the merchant of the item.
   */
  answered(answered, kind, told) {
    if (answered instanceof Promise) return answered.then((response) => this.#answered(response, kind, told));
    return this.#answered(answered, kind, told);
  }

  #answered(response, kind, told) {
    try {
      this.#answers += 1;
      const [as_of, merchant] = told();
      this.#flush(as_of);
      if (this.#answers % this.#sample === 0) this.#write_answer(response, kind, as_of, merchant);
    } catch (error) {
      // An answer never fails because of a point.
      console.error(`points: ${error}`);
    }
    return response;
  }

  #write_answer(response, kind, as_of, merchant) {
    // The answer of a call is a text that begins with its status.
    const is_call = typeof response === "string";
    const status = is_call ? Number(response.slice(0, 3)) : response.status;
    const [reason, detail = ""] = (is_call ? "" : (response[TOLD] ?? "")).split("\n");
    const header = (name) => (is_call ? null : response.headers.get(name));
    const [source, wait] = is_call ? ["call", 0] : source_of(header("server-timing"), detail, status, header("entitlement-seq"));
    this.#write("answer", merchant, [kind, String(status), reason, source], this.#sample, as_of, wait);
  }

  #flush(as_of) {
    for (const [merchant, count] of this.#kept) this.#write("kept", merchant, ["check", "200", "granted", "kept"], count, as_of, 0);
    this.#kept.clear();
    this.#kept_sum = 0;
  }

  #write(point, merchant, [kind, status, reason, source], count, as_of, wait) {
    const age = as_of > 0 ? Math.max(0, this.#now() / 1000 - as_of) : -1;
    this.#dataset.writeDataPoint({
      indexes: [String(merchant).slice(0, INDEX_MAX)],
      blobs: [point, kind, status, reason.slice(0, REASON_MAX), source],
      doubles: [count, age, wait],
    });
  }
}
