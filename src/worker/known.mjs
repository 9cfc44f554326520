// Known viewers: the texts of which bodies of granted checks are joined, and the last answers to each viewer.
// `App::grant` and `App::repeat` (src/app/known.rs) decide what is granted and may be given again (docs/adr/0046).
import { granted } from "./rpc.mjs";

/** Bytes of an object and of its place in a map, beside its texts. */
const OVERHEAD = 300;

/** A viewer or an answer that takes more than this share of all memory for viewers is not held. */
const SHARE_MAX = 1 / 128;

/** Sets of headers that are held: one for each page origin that CORS lists. */
const INITS_MAX = 16;

/** A text with a character that Latin-1 lacks takes two bytes for each. Tokens and URLs have none. */
const WIDE = /[^\0-\xff]/;

/** The item's number in the URL of a check; 0 for other URLs, and for those that the ordinary way must judge. */
export function item_of(url) {
  // After the scheme: "https://" has eight characters, "http://" seven and a host at least one.
  let at = url.indexOf("/", 8);
  if (!url.startsWith("/items/", at)) return 0;
  at += 7;
  const first = at;
  let item = 0;
  for (;;) {
    const digit = url.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) break;
    item = item * 10 + digit;
    at += 1;
  }
  // A number of up to 15 digits is exact. One that begins with 0 takes the ordinary way.
  if (at - first > 15 || url.charCodeAt(first) === 48 || !url.startsWith("/access", at)) return 0;
  at += 7;
  return at === url.length || url.charCodeAt(at) === 63 ? item : 0;
}

/** Whether a URL asks for checks of several items. */
export function is_page(url) {
  return url.startsWith("/access?", url.indexOf("/", 8));
}

/** FNV-1a of a URL's query, of 32 bits. */
export function query_hash(url) {
  let hash = 0x811c9dc5;
  for (let at = url.indexOf("?"); at >= 0 && at < url.length; at += 1) {
    hash = Math.imul(hash ^ url.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

export class Known {
  #wasm;
  #frame;
  #viewers_max;
  #viewers_max_bytes;
  #answers_max;
  #items_max_bytes;
  // By `Authorization`, in the order in which they came.
  #viewers = new Map();
  #viewers_bytes = 0;
  // By number, all of one epoch. `null` for an item that takes the ordinary way.
  #items = new Map();
  #items_bytes = 0;
  #epoch;
  // By page origin.
  #inits = new Map();
  #numbers;

  /** `wasm` has the exports of hot.rs; `inputs` is the outcome of the export of that name. */
  constructor(wasm, inputs) {
    this.#wasm = wasm;
    this.#frame = inputs.frame;
    this.#viewers_max = inputs.viewers_max;
    this.#viewers_max_bytes = inputs.viewers_max_bytes;
    this.#answers_max = inputs.answers_max;
    this.#items_max_bytes = inputs.items_max_bytes;
  }

  /** The viewer with this `Authorization`, if there is one. */
  viewer(authorization) {
    return this.#viewers.get(authorization);
  }

  /** Adds a viewer, in the place of the same one with an older handle. */
  add(authorization, handle) {
    this.#drop(authorization);
    const bytes = OVERHEAD + authorization.length;
    if (bytes > this.#viewers_max_bytes * SHARE_MAX) return;
    const viewer = { handle, epoch: undefined, address: undefined, country: undefined, text: "", answers: undefined, bytes, is_held: true };
    this.#viewers.set(authorization, viewer);
    this.#viewers_bytes += bytes;
    this.#hold_bounds();
  }

  /** The answer that was given to the same question a while ago, if it is held and still right. */
  repeated(viewer, url, address, country, origin) {
    const answer = viewer.answers?.get(url);
    if (answer === undefined || answer.address !== address || answer.country !== country || answer.origin !== origin) {
      return undefined;
    }
    const number = this.#wasm.repeat(answer.epoch, answer.since, answer.until);
    return number === 0 ? undefined : respond(this.#init(origin), number, answer.body);
  }

  /** The answer to a granted check; nothing if it takes the ordinary way. */
  granted(viewer, item, url, address, country, origin) {
    const number = this.#wasm.grant(viewer.handle, item, query_hash(url));
    if (number === 0) return undefined;
    // Read at once, and one by one: the next call may let Wasm's memory grow, which empties every view of it.
    if (this.#numbers === undefined || this.#numbers.length === 0) this.#numbers = this.#wasm.granted_numbers();
    const numbers = this.#numbers;
    const epoch = numbers[0];
    const access = numbers[1];
    const created = numbers[2];
    const expires = numbers[3];
    const starts = numbers[4];
    const since = numbers[5];
    const until = numbers[6];
    if (epoch !== viewer.epoch || address !== viewer.address || country !== viewer.country) {
      if (!this.#describe(viewer, epoch, address, country)) return undefined;
    }
    const texts = this.#item(item, epoch);
    if (texts === null) return undefined;
    const frame = this.#frame;
    // NaN for a grant without a start.
    const start = Number.isNaN(starts) ? "" : frame[3] + starts;
    const body =
      frame[0] + access + texts.account + viewer.text + frame[1] + created + frame[2] + expires + start + texts.content;
    if (!Number.isNaN(until)) this.#keep(viewer, url, { address, country, origin, body, epoch, since, until, bytes: 0 });
    return respond(this.#init(origin), number, body);
  }

  /**
   * The result of a granted check for a caller who may ask about items of `merchant` only, or about all if it is
   * undefined; nothing if it takes the ordinary way.
   */
  called(viewer, item, merchant) {
    if (this.#wasm.grant(viewer.handle, item, 0) === 0) return undefined;
    if (this.#numbers === undefined || this.#numbers.length === 0) this.#numbers = this.#wasm.granted_numbers();
    const numbers = this.#numbers;
    const epoch = numbers[0];
    const access = numbers[1];
    const created = numbers[2];
    const expires = numbers[3];
    const starts = numbers[4];
    const texts = this.#item(item, epoch);
    if (texts === null || (merchant !== undefined && texts.merchant !== merchant)) return undefined;
    return granted(access, texts.merchant, created, expires, Number.isNaN(starts) ? undefined : starts);
  }

  /** Keeps an answer about several items: its body, and the moments between which it is right. */
  keep(authorization, url, address, country, origin, { body, epoch, since, until }) {
    const viewer = this.#viewers.get(authorization);
    if (viewer !== undefined) this.#keep(viewer, url, { address, country, origin, body, epoch, since, until, bytes: 0 });
  }

  /** The merchant of an item whose texts are held; 0 otherwise. */
  merchant_of(item) {
    return this.#items.get(item)?.merchant ?? 0;
  }

  /** How many viewers there are. */
  get size() {
    return this.#viewers.size;
  }

  #describe(viewer, epoch, address, country) {
    const text = this.#wasm.viewer_text(viewer.handle, address ?? undefined, country ?? undefined);
    if (text === undefined) return false;
    const described = { epoch, address, country, text };
    this.#resize(viewer, client_bytes(described) - client_bytes(viewer));
    Object.assign(viewer, described);
    this.#hold_bounds();
    return true;
  }

  #item(item, epoch) {
    if (epoch !== this.#epoch) {
      this.#items.clear();
      this.#items_bytes = 0;
      this.#epoch = epoch;
    }
    const held = this.#items.get(item);
    if (held !== undefined) return held;
    const parts = this.#wasm.item_texts(item);
    // Not in memory at the moment: the ordinary way loads it.
    if (parts === undefined) return null;
    const texts = parts.length === 0 ? null : { account: parts[0], content: parts[1], merchant: number_of(parts[0]) };
    this.#items.set(item, texts);
    this.#items_bytes += item_bytes(texts);
    for (const [first, dropped] of this.#items) {
      if (this.#items_bytes <= this.#items_max_bytes) break;
      this.#items.delete(first);
      this.#items_bytes -= item_bytes(dropped);
    }
    return texts;
  }

  #init(origin) {
    let init = this.#inits.get(origin);
    if (init === undefined) {
      init = this.#wasm.granted_init(origin ?? undefined);
      // All but the last eight digits of a request's id are the isolate's.
      init.id_prefix = init.headers.get("x-request-id").slice(0, -8);
      if (this.#inits.size >= INITS_MAX) this.#inits.delete(this.#inits.keys().next().value);
      this.#inits.set(origin, init);
    }
    return init;
  }

  // In the place of an earlier answer to the same URL, or of the oldest.
  #keep(viewer, url, answer) {
    answer.bytes = OVERHEAD + url.length + client_bytes(answer) + text_bytes(answer.body);
    if (answer.bytes > this.#viewers_max_bytes * SHARE_MAX) return;
    const answers = (viewer.answers ??= new Map());
    if (answers.size >= this.#answers_max && !answers.has(url)) this.#forget(viewer, answers.keys().next().value);
    this.#forget(viewer, url);
    answers.set(url, answer);
    this.#resize(viewer, answer.bytes);
    this.#hold_bounds();
  }

  #forget(viewer, url) {
    const answer = viewer.answers.get(url);
    if (answer === undefined) return;
    viewer.answers.delete(url);
    this.#resize(viewer, -answer.bytes);
  }

  // A viewer that was dropped meanwhile counts no longer; the present request still has it.
  #resize(viewer, bytes) {
    viewer.bytes += bytes;
    if (viewer.is_held) this.#viewers_bytes += bytes;
  }

  // The oldest go first. An order of use would cost every request something.
  #hold_bounds() {
    while (this.#viewers.size > this.#viewers_max || this.#viewers_bytes > this.#viewers_max_bytes) {
      this.#drop(this.#viewers.keys().next().value);
    }
  }

  #drop(authorization) {
    const viewer = this.#viewers.get(authorization);
    if (viewer === undefined) return;
    this.#viewers.delete(authorization);
    this.#viewers_bytes -= viewer.bytes;
    viewer.is_held = false;
  }
}

// Of a member `,"account_id":2101`.
const number_of = (account) => Number(account.slice(account.indexOf(":") + 1));

function respond(init, number, body) {
  init.headers.set("x-request-id", init.id_prefix + number.toString(16).padStart(8, "0"));
  return new Response(body, init);
}

// Clients can make some of these texts long.
function client_bytes({ address, country, origin, text }) {
  let bytes = 0;
  for (const part of [address, country, origin, text]) bytes += 2 * (part?.length ?? 0);
  return bytes;
}

function item_bytes(texts) {
  return OVERHEAD + (texts === null ? 0 : text_bytes(texts.content));
}

function text_bytes(text) {
  return WIDE.test(text) ? 2 * text.length : text.length;
}
