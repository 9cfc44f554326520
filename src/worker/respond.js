// One call for a response whose status and headers are known, but for the request's id. The runtime copies `init`.
export function respond(init, id, body) {
  init.headers["x-request-id"] = id;
  return new Response(body, init);
}
