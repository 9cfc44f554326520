// The Worker's entry. worker-build's own, which it wraps, makes two proxies and a promise for each request and offers
// every exported function to other Workers as a method; docs/adr/0010 has the reasons and the numbers.
import Generated from "./generated.js";

const { answer, inputs, is_ready } = Generated.prototype;
for (const name of ["answer", "inputs", "is_ready"]) delete Generated.prototype[name];

const state = globalThis.__worker_init_state;
let names;

export default {
  fetch(request, env, ctx) {
    // Asked each time, and before `answer`: after a trap, wasm-bindgen's glue makes a new instance at the next call,
    // but only when the call's texts are in the memory of the old one. The first request of an instance, and the one
    // after a panic, are the generated code's.
    if (!state.criticalError && is_ready()) {
      names ??= inputs();
      const { headers } = request;
      const answered = answer(
        request,
        ctx,
        request.method,
        request.url,
        headers.get("authorization"),
        headers.get(names.address),
        names.country === undefined ? request.cf?.country : headers.get(names.country),
        names.origin ? headers.get("origin") : undefined,
        names.min_seq === undefined ? undefined : headers.get(names.min_seq),
      );
      if (answered !== undefined) return answered;
    }
    return new Generated(ctx, env).fetch(request);
  },
};
