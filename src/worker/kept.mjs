// Answers that are kept to be given again: the last few to each `Authorization`, because players ask the same things
// until they stop. Whether one may still be given is not known here.

/** How many answers are kept of one `Authorization`: what is on a screen, not what is in a catalogue. */
const PER_AUTHORIZATION = 8;

export class Kept {
  // The latest first.
  #answers = new Map();
  // Every `Authorization` that answers are kept of, in the order in which they came: a ring.
  #order = [];
  #first = 0;
  #chars = 0;
  #max;
  #max_chars;

  /** Of at most `max` values of `Authorization`, and of at most `max_chars` characters. */
  constructor(max, max_chars) {
    this.#max = max;
    this.#max_chars = max_chars;
  }

  /** The answer to the same question, if it is kept. */
  find(asked) {
    return this.#answers.get(asked.authorization)?.find((answer) => is_same(answer, asked));
  }

  /** Keeps an answer, in the place of an earlier one to the same question. */
  keep(answer) {
    const { authorization } = answer;
    let answers = this.#answers.get(authorization);
    if (answers === undefined) {
      if (this.#answers.size >= this.#max) this.#drop_first();
      answers = [];
      this.#answers.set(authorization, answers);
      this.#order[(this.#first + this.#answers.size - 1) % this.#max] = authorization;
    }
    const place = answers.findIndex((known) => is_same(known, answer));
    const replaced = place >= 0 ? answers.splice(place, 1)[0] : answers.length >= PER_AUTHORIZATION && answers.pop();
    if (replaced) this.#chars -= chars(replaced);
    answers.unshift(answer);
    this.#chars += chars(answer);
    while (this.#chars > this.#max_chars) this.#drop_first();
  }

  /** Of how many values of `Authorization` there are answers. */
  get size() {
    return this.#answers.size;
  }

  // What is asked for often comes again at the next answer: an order of use would cost every request something.
  #drop_first() {
    const authorization = this.#order[this.#first];
    this.#order[this.#first] = undefined;
    this.#first = (this.#first + 1) % this.#max;
    for (const answer of this.#answers.get(authorization)) this.#chars -= chars(answer);
    this.#answers.delete(authorization);
  }
}

function is_same(answer, asked) {
  return (
    answer.url === asked.url &&
    answer.address === asked.address &&
    answer.country === asked.country &&
    answer.origin === asked.origin &&
    answer.min_seq === asked.min_seq
  );
}

function chars({ authorization, url, body }) {
  return authorization.length + url.length + body.length;
}
