// The Worker's entry. worker-build's own, which it wraps, makes two proxies and a promise for each request and offers
// every exported function to other Workers as a method; docs/adr/0010 has the reasons and the numbers, docs/adr/0011
// and docs/adr/0046 those for known viewers.
import Generated from "./generated.js";
import { Known, item_of } from "./known.mjs";

const OWN = [
  "answer", "grant", "granted_init", "granted_numbers", "inputs", "is_ready", "item_texts", "repeat", "viewer_text",
];
const wasm = Object.fromEntries(OWN.map((name) => [name, Generated.prototype[name]]));
for (const name of OWN) delete Generated.prototype[name];
const { answer, is_ready } = wasm;

const state = globalThis.__worker_init_state;
let names;
let known;

function generated(request, env, ctx) {
  return new Generated(ctx, env).fetch(request);
}

/** Handles, texts and answers are of one instance: another one does not know them. */
function forget(request, env, ctx) {
  known = undefined;
  return generated(request, env, ctx);
}

export default {
  fetch(request, env, ctx) {
    if (known === undefined || state.criticalError) {
      // The first request of an instance, and the one after a panic, are the generated code's.
      if (state.criticalError || !is_ready()) return forget(request, env, ctx);
      names ??= wasm.inputs();
      known = new Known(wasm, names);
    }
    const { headers, method, url } = request;
    const authorization = headers.get("authorization");
    const address = headers.get(names.address);
    const country = names.country === undefined ? request.cf?.country : headers.get(names.country);
    const origin = names.origin ? headers.get("origin") : undefined;
    const min_seq = names.min_seq === undefined ? null : headers.get(names.min_seq);

    // Checks of known viewers; whether an answer is new enough for `min_seq`, the ordinary way says.
    const item = method === "GET" && authorization !== null && min_seq === null ? item_of(url) : 0;
    const viewer = item === 0 ? undefined : known.viewer(authorization);
    if (viewer !== undefined) {
      const response =
        known.repeated(viewer, url, address, country, origin) ??
        known.granted(viewer, item, url, address, country, origin);
      if (response !== undefined) return response;
    }
    // Asked each time before `answer`: after a trap, wasm-bindgen's glue makes a new instance at the next call, but only
    // when the call's texts are in the memory of the old one. Neither this call nor `repeat` nor `grant` has any.
    if (!is_ready()) return forget(request, env, ctx);
    const asked = item === 0 ? undefined : { handle: 0 };
    const answered = answer(request, ctx, asked, method, url, authorization, address, country, origin, min_seq);
    if (asked !== undefined && asked.handle !== 0) known?.add(authorization, asked.handle);
    return answered ?? generated(request, env, ctx);
  },
};
