// The Worker's entry. worker-build's own, which it wraps, makes two proxies and a promise for each request and offers
// every exported function to other Workers as a method; docs/adr/0010 has the reasons and the numbers, docs/adr/0011
// those for keeping answers.
import Generated from "./generated.js";
import { Kept } from "./kept.mjs";

const { answer, inputs, is_ready, repeat } = Generated.prototype;
for (const name of ["answer", "inputs", "is_ready", "repeat"]) delete Generated.prototype[name];

const state = globalThis.__worker_init_state;
let names;
let kept;

function generated(request, env, ctx) {
  return new Generated(ctx, env).fetch(request);
}

/** What an instance said of its answers, another one does not know. */
function forget(request, env, ctx) {
  kept = undefined;
  return generated(request, env, ctx);
}

export default {
  fetch(request, env, ctx) {
    if (kept === undefined || state.criticalError) {
      // The first request of an instance, and the one after a panic, are the generated code's.
      if (state.criticalError || !is_ready()) return forget(request, env, ctx);
      names ??= inputs();
      kept = new Kept(names.answers_max, names.answers_per_token, names.answers_max_bytes);
    }
    const { headers, method, url } = request;
    const authorization = headers.get("authorization");
    const address = headers.get(names.address);
    const country = names.country === undefined ? request.cf?.country : headers.get(names.country);
    const origin = names.origin ? headers.get("origin") : undefined;
    const min_seq = names.min_seq === undefined ? undefined : headers.get(names.min_seq);
    const asked = { authorization, url, address, country, origin, min_seq, init: undefined };

    const known = method === "GET" ? kept.find(asked) : undefined;
    const number = known === undefined ? 0 : repeat(known.epoch, known.since, known.until);
    if (number !== 0) {
      known.init.headers.set("x-request-id", known.id_prefix + number.toString(16).padStart(8, "0"));
      return new Response(known.body, known.init);
    }
    // Asked each time before `answer`: after a trap, wasm-bindgen's glue makes a new instance at the next call, but only
    // when the call's texts are in the memory of the old one. Neither this call nor `repeat` has any.
    if (!is_ready()) return forget(request, env, ctx);
    const answered = answer(request, ctx, asked, method, url, authorization, address, country, origin, min_seq);
    if (asked.init !== undefined) kept?.keep(asked);
    return answered ?? generated(request, env, ctx);
  },
};
