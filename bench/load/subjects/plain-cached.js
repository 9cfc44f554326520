// By hand, without a framework: the same caches, and no promise where both of them hit.
import { importJWK, jwtVerify } from "jose";
import { AUDIENCE, DENIED, INVALID, ISSUER, check } from "./check.js";
import { forward } from "./forward.js";

const TOKENS_MAX = 8192;
const CUSTOMERS_MAX = 16_384;
const CUSTOMER_MS = 30_000;

let keys;
let count = 0;
const tokens = new Map();
const customers = new Map();

async function keyFor(env, { kid, alg }) {
  keys ??= Promise.all(
    JSON.parse(env.JWKS).keys.map(async (jwk) => [jwk.kid, { alg: jwk.alg, key: await importJWK(jwk, jwk.alg) }]),
  ).then(Object.fromEntries);
  const known = (await keys)[kid];
  if (known?.alg !== alg) throw new Error("unknown key");
  return known.key;
}

function remember(map, max, key, value) {
  if (map.size >= max) map.delete(map.keys().next().value);
  map.set(key, value);
  return value;
}

function respond(status, value) {
  count += 1;
  return new Response(JSON.stringify(value), {
    status,
    headers: {
      "content-type": "application/json",
      "cache-control": "private, no-store",
      "x-content-type-options": "nosniff",
      "server-timing": 'memory;desc="hit"',
      "x-request-id": `0123456789abcdef-${count.toString(16).padStart(8, "0")}`,
      "access-control-allow-origin": "*",
      "access-control-expose-headers": "x-request-id, server-timing, retry-after",
    },
  });
}

function decide(request, customer, itemId) {
  const ip = request.headers.get("cf-connecting-ip") ?? "0.0.0.0";
  const answer = check(customer, itemId, ip, request.cf?.country ?? "XX");
  return answer ? respond(200, answer) : respond(402, DENIED);
}

async function slow(request, env, token, itemId) {
  let claims;
  try {
    const verified = await jwtVerify(token, (header) => keyFor(env, header), {
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: ["HS256", "RS256", "ES256", "EdDSA"],
    });
    claims = remember(tokens, TOKENS_MAX, token, verified.payload);
  } catch {
    return respond(401, INVALID);
  }
  const customer = await env.CUSTOMERS.get(claims.sub, "json");
  remember(customers, CUSTOMERS_MAX, claims.sub, { customer, until: Date.now() + CUSTOMER_MS });
  return decide(request, customer, itemId);
}

export default {
  fetch(request, env) {
    const found = /^https?:\/\/[^/]+\/items\/(\d+)\/access$/.exec(request.url);
    if (request.method !== "GET" || !found) {
      const isWrite = request.method === "POST" && request.url.endsWith("/items/access");
      return isWrite ? forward(request, env.ORIGIN_URL) : respond(404, { code: 404 });
    }
    const itemId = Number(found[1]);
    const token = request.headers.get("authorization")?.slice(7) ?? "";
    const now = Date.now();
    const claims = tokens.get(token);
    const known = claims !== undefined && claims.exp > now / 1000 ? customers.get(claims.sub) : undefined;
    if (known === undefined || known.until <= now) return slow(request, env, token, itemId);
    return decide(request, known.customer, itemId);
  },
};
