// One call for a response whose status and headers are known, but for the request's id. `Headers` of its own make it
// half as dear as an object with the same names; the runtime copies them.
export function respond(init, id, body) {
  init.headers.set("x-request-id", id);
  return new Response(body, init);
}

// The same, and what entry.js needs to give the answer again: all but the last eight digits of the id are the isolate's.
export function respond_and_keep(asked, init, id, body, epoch, since, until) {
  Object.assign(asked, { init, id_prefix: id.slice(0, -8), body, epoch, since, until });
  return respond(init, id, body);
}
