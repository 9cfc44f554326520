// The Worker's entry. worker-build's own, which it wraps, makes two proxies and a promise for each request and offers
// every exported function to other Workers as a method; docs/adr/0007 has the reasons and the numbers.
import Generated from "./generated.js";

const { answer, inputs } = Generated.prototype;
delete Generated.prototype.answer;
delete Generated.prototype.inputs;

const state = globalThis.__worker_init_state;
let names;

export default {
  fetch(request, env, ctx) {
    // Before the first request, and after a panic or a trap, the generated code makes an instance.
    if (!state.criticalError && (names ??= inputs()) !== undefined) {
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
      );
      if (answered !== undefined) return answered;
    }
    return new Generated(ctx, env).fetch(request);
  },
};
