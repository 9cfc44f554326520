// The Worker's entry. worker-build's own, which it wraps, makes two proxies and a promise for each request and offers
// every exported function to other Workers as a method; docs/adr/0010 has the reasons and the numbers, docs/adr/0011
// those for keeping answers.
import Generated from "./generated.js";

const { answer, inputs, is_ready, repeat } = Generated.prototype;
for (const name of ["answer", "inputs", "is_ready", "repeat"]) delete Generated.prototype[name];

const state = globalThis.__worker_init_state;
let names;

// The last answer to each `Authorization`, as far as Rust says that it may be given again: players ask the same thing
// until they stop. Two generations: a full young one becomes the old one, and what is used becomes young again.
let young = new Map();
let old = new Map();
let chars = 0;

const length = (asked) => asked.authorization.length + asked.url.length + asked.body.length;

function keep(asked) {
  if (young.size >= names.answers_max || chars >= names.answers_max_chars) {
    old = young;
    young = new Map();
    chars = 0;
  }
  const replaced = young.get(asked.authorization);
  chars += length(asked) - (replaced === undefined ? 0 : length(replaced));
  young.set(asked.authorization, asked);
}

function kept(authorization) {
  const found = young.get(authorization);
  if (found !== undefined || old.size === 0) return found;
  const older = old.get(authorization);
  if (older !== undefined) {
    old.delete(authorization);
    keep(older);
  }
  return older;
}

function generated(request, env, ctx) {
  return new Generated(ctx, env).fetch(request);
}

export default {
  fetch(request, env, ctx) {
    // Asked each time, and before `answer`: after a trap, wasm-bindgen's glue makes a new instance at the next call,
    // but only when the call's texts are in the memory of the old one. The first request of an instance, and the one
    // after a panic, are the generated code's. What an instance said of its answers, another one does not know.
    if (state.criticalError || !is_ready()) {
      young.clear();
      old.clear();
      return generated(request, env, ctx);
    }
    names ??= inputs();
    const { headers, method, url } = request;
    const authorization = headers.get("authorization");
    const address = headers.get(names.address);
    const country = names.country === undefined ? request.cf?.country : headers.get(names.country);
    const origin = names.origin ? headers.get("origin") : undefined;
    const min_seq = names.min_seq === undefined ? undefined : headers.get(names.min_seq);

    const known = kept(authorization);
    if (
      known !== undefined &&
      method === "GET" &&
      known.url === url &&
      known.address === address &&
      known.country === country &&
      known.origin === origin &&
      known.min_seq === min_seq
    ) {
      const number = repeat(known.epoch, known.since, known.until);
      if (number !== 0) {
        known.init.headers.set("x-request-id", known.id_prefix + number.toString(16).padStart(8, "0"));
        return new Response(known.body, known.init);
      }
    }
    const asked = { authorization, url, address, country, origin, min_seq, init: undefined };
    const answered = answer(request, ctx, asked, method, url, authorization, address, country, origin, min_seq);
    if (asked.init !== undefined) keep(asked);
    return answered ?? generated(request, env, ctx);
  },
};
