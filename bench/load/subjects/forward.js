// What the peers have in common for writes: they go to the origin with their body as it arrives, and its answer comes
// back as it is. The origin verifies the token.
const PASSED = ["authorization", "content-type", "idempotency-key"];

export function forward(request, origin) {
  const headers = new Headers();
  for (const name of PASSED) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  const { pathname } = new URL(request.url);
  return fetch(origin + pathname, { method: request.method, headers, body: request.body, redirect: "manual" });
}
