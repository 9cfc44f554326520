// Answers that are kept to be given again: the last one to each `Authorization`, because players ask the same thing
// until they stop. Whether one may still be given is not known here.
//
// Two generations: a full young one becomes the old one, whose answers are dropped unless they were used since.
export class Kept {
  #young = new Map();
  #old = new Map();
  #chars = 0;
  #max;
  #max_chars;

  /** At most `max` answers, and about `max_chars` characters, in each generation. */
  constructor(max, max_chars) {
    this.#max = max;
    this.#max_chars = max_chars;
  }

  /** What was kept of `authorization`, whatever else was asked. */
  get(authorization) {
    const found = this.#young.get(authorization);
    if (found !== undefined || this.#old.size === 0) return found;
    const older = this.#old.get(authorization);
    if (older !== undefined) {
      this.#old.delete(authorization);
      this.keep(older);
    }
    return older;
  }

  /** Keeps an answer, in the place of the last one to the same `authorization`. */
  keep(answer) {
    const replaced = this.#young.get(answer.authorization);
    if (replaced !== undefined) {
      this.#chars -= chars(replaced);
    } else if (this.#young.size >= this.#max || this.#chars >= this.#max_chars) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#chars = 0;
    }
    this.#chars += chars(answer);
    this.#young.set(answer.authorization, answer);
  }

  /** How many answers are kept. */
  get size() {
    return this.#young.size + this.#old.size;
  }
}

function chars({ authorization, url, body }) {
  return authorization.length + url.length + body.length;
}
