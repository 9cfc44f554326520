// A Worker that reads what Admit reads, checks nothing, and answers with the bytes and headers that Admit's answers
// have: the floor of every check.
import answer from "./constant.json";

const body = JSON.parse(answer);
let count = 0;
// Kept `Headers` are copied faster than an object's members.
const init = {
  status: 200,
  headers: new Headers({
    "content-type": "application/json",
    "cache-control": "private, no-store",
    "x-content-type-options": "nosniff",
    "server-timing": 'memory;desc="hit"',
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "x-request-id, server-timing, retry-after, entitlement-seq, idempotency-replayed, content-disposition",
  }),
};

export default {
  fetch(request) {
    const { headers } = request;
    const read = [
      request.method,
      request.url,
      headers.get("authorization"),
      headers.get("cf-connecting-ip"),
      request.cf?.country,
    ];
    count += read[1].length > 0 ? 1 : 0;
    init.headers.set("x-request-id", `0123456789abcdef-${count.toString(16).padStart(8, "0")}`);
    return new Response(body, init);
  },
};
