// Answers that are kept to be given again: the last few to each `Authorization`, because players ask the same things
// until they stop. Which are worth it, and whether one may still be given, is not known here.

/** What an answer takes beside its texts, in bytes: its object, its place in the maps. */
const OVERHEAD = 300;

/** A text with a character that Latin-1 lacks takes two bytes for each. Tokens and URLs have none. */
const WIDE = /[^\0-\xff]/;

/** An answer that takes more than this share of all that may be kept is not worth the others. */
const SHARE_MAX = 1 / 128;

export class Kept {
  // By `Authorization`, then by URL.
  #answers = new Map();
  // Every `Authorization` that there is, in the order in which they came: a ring.
  #order = [];
  #first = 0;
  #bytes = 0;
  #max;
  #max_each;
  #max_bytes;

  /** Of at most `max` values of `Authorization`, `max_each` answers to each, and `max_bytes` in all. */
  constructor(max, max_each, max_bytes) {
    this.#max = max;
    this.#max_each = max_each;
    this.#max_bytes = max_bytes;
  }

  /** The answer to the same question, if it is kept. */
  find(asked) {
    const answer = this.#answers.get(asked.authorization)?.get(asked.url);
    return answer !== undefined && is_same(answer, asked) ? answer : undefined;
  }

  /** Keeps an answer, in the place of an earlier one to the same URL, unless it is very long. */
  keep(answer) {
    const { authorization, url } = answer;
    answer.bytes = bytes(answer);
    if (answer.bytes + authorization.length > this.#max_bytes * SHARE_MAX) return;
    let answers = this.#answers.get(authorization);
    if (answers === undefined) {
      if (this.#answers.size >= this.#max) this.#drop_first();
      this.#order[(this.#first + this.#answers.size) % this.#max] = authorization;
      answers = new Map();
      this.#answers.set(authorization, answers);
      this.#bytes += authorization.length;
    } else if (answers.has(url)) {
      this.#drop(answers, url);
    } else if (answers.size >= this.#max_each) {
      this.#drop(answers, answers.keys().next().value);
    }
    // One text for all of them: each request brings another copy.
    answer.authorization = undefined;
    answers.set(url, answer);
    this.#bytes += answer.bytes;
    while (this.#bytes > this.#max_bytes) this.#drop_first();
  }

  /** Of how many values of `Authorization` there are answers. */
  get size() {
    return this.#answers.size;
  }

  // Those that ask often come again at once: an order of use would cost every request something.
  #drop_first() {
    const authorization = this.#order[this.#first];
    this.#order[this.#first] = undefined;
    this.#first = (this.#first + 1) % this.#max;
    for (const answer of this.#answers.get(authorization).values()) this.#bytes -= answer.bytes;
    this.#bytes -= authorization.length;
    this.#answers.delete(authorization);
  }

  #drop(answers, url) {
    this.#bytes -= answers.get(url).bytes;
    answers.delete(url);
  }
}

function is_same(answer, asked) {
  return (
    answer.address === asked.address &&
    answer.country === asked.country &&
    answer.origin === asked.origin &&
    answer.min_seq === asked.min_seq
  );
}

// Every text but `authorization`: clients can make some of them long.
function bytes({ url, address, country, origin, min_seq, body }) {
  let sum = OVERHEAD + url.length + body.length * (WIDE.test(body) ? 2 : 1);
  for (const header of [address, country, origin, min_seq]) sum += 2 * (header?.length ?? 0);
  return sum;
}
