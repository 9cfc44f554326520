// By hand, without a framework: all that Admit keeps - verified tokens, customers for half a minute, the last answers
// to each token - in the fewest look-ups, and no promise where they hit.
import { importJWK, jwtVerify } from "jose";
import { AUDIENCE, DENIED, INVALID, ISSUER, check } from "./check.js";
import { forward } from "./forward.js";

const TOKENS_MAX = 8192;
const ANSWERS_MAX = 8;
const CUSTOMERS_MAX = 16_384;
const CUSTOMER_MS = 30_000;

let keys;
let count = 0;
// By `Authorization`: what the token says, and answers by URL.
const tokens = new Map();
const customers = new Map();
// `Headers` that are kept are copied faster than an object's members.
const inits = {};

async function keyFor(env, { kid, alg }) {
  keys ??= Promise.all(
    JSON.parse(env.JWKS).keys.map(async (jwk) => [jwk.kid, { alg: jwk.alg, key: await importJWK(jwk, jwk.alg) }]),
  ).then(Object.fromEntries);
  const known = (await keys)[kid];
  if (known?.alg !== alg) throw new Error("unknown key");
  return known.key;
}

function remember(map, max, key, value) {
  if (map.size >= max && !map.has(key)) map.delete(map.keys().next().value);
  map.set(key, value);
  return value;
}

function respond(status, body) {
  const init = (inits[status] ??= {
    status,
    headers: new Headers({
      "content-type": "application/json",
      "cache-control": "private, no-store",
      "x-content-type-options": "nosniff",
      "server-timing": 'memory;desc="hit"',
      "access-control-allow-origin": "*",
      "access-control-expose-headers":
        "x-request-id, server-timing, retry-after, entitlement-seq, idempotency-replayed, content-disposition",
    }),
  });
  count += 1;
  init.headers.set("x-request-id", `0123456789abcdef-${count.toString(16).padStart(8, "0")}`);
  return new Response(body, init);
}

function decide(customer, itemId, ip, country) {
  const answer = check(customer, itemId, ip ?? "0.0.0.0", country ?? "XX");
  const status = answer ? 200 : 402;
  return { status, body: JSON.stringify(answer ?? DENIED), ends: answer ? answer.expires_at * 1000 : Infinity };
}

async function slow(env, authorization, known, itemId, ip, country) {
  let claims = known?.claims;
  if (claims === undefined) {
    try {
      const verified = await jwtVerify(authorization.slice(7), (header) => keyFor(env, header), {
        issuer: ISSUER,
        audience: AUDIENCE,
        algorithms: ["HS256", "RS256", "ES256", "EdDSA"],
      });
      claims = verified.payload;
    } catch {
      return respond(401, JSON.stringify(INVALID));
    }
    remember(tokens, TOKENS_MAX, authorization, { claims, answers: new Map() });
  }
  const customer = await env.CUSTOMERS.get(claims.sub, "json");
  remember(customers, CUSTOMERS_MAX, claims.sub, { customer, until: Date.now() + CUSTOMER_MS });
  const { status, body } = decide(customer, itemId, ip, country);
  return respond(status, body);
}

export default {
  fetch(request, env) {
    const { headers, method, url } = request;
    const authorization = headers.get("authorization") ?? "";
    const ip = headers.get("cf-connecting-ip");
    const country = request.cf?.country;
    const now = Date.now();
    const token = tokens.get(authorization);
    const last = method === "GET" ? token?.answers.get(url) : undefined;
    if (last !== undefined && now < last.until && last.ip === ip && last.country === country) {
      return respond(last.status, last.body);
    }
    const found = /^https?:\/\/[^/]+\/items\/(\d+)\/access(?:\?|$)/.exec(url);
    if (method !== "GET" || !found) {
      const isWrite = method === "POST" && url.endsWith("/items/access");
      return isWrite ? forward(request, env.ORIGIN_URL) : respond(404, '{"code":404}');
    }
    const itemId = Number(found[1]);
    const valid = token !== undefined && token.claims.exp > now / 1000 ? token : undefined;
    const known = valid && customers.get(valid.claims.sub);
    if (known === undefined || known.until <= now) return slow(env, authorization, valid, itemId, ip, country);
    const { status, body, ends } = decide(known.customer, itemId, ip, country);
    if (token.answers.size >= ANSWERS_MAX) token.answers.clear();
    token.answers.set(url, { status, body, ip, country, until: Math.min(known.until, token.claims.exp * 1000, ends) });
    return respond(status, body);
  },
};
