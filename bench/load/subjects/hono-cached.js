// The same with what Admit keeps: verified tokens, and customers for half a minute.
import { Hono } from "hono";
import { cors } from "hono/cors";
import { importJWK, jwtVerify } from "jose";
import { AUDIENCE, DENIED, INVALID, ISSUER, check, checkMany } from "./check.js";
import { forward } from "./forward.js";
import { playback } from "./playback.js";

const TOKENS_MAX = 8192;
const CUSTOMERS_MAX = 16_384;
const CUSTOMER_MS = 30_000;

let keys;
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
  if (map.size >= max && !map.has(key)) map.delete(map.keys().next().value);
  map.set(key, value);
  return value;
}

async function verify(env, token) {
  const known = tokens.get(token);
  if (known !== undefined && known.exp > Date.now() / 1000) return known;
  const { payload } = await jwtVerify(token, (header) => keyFor(env, header), {
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: ["HS256", "RS256", "ES256", "EdDSA"],
  });
  return remember(tokens, TOKENS_MAX, token, payload);
}

async function customerOf(env, subject) {
  const known = customers.get(subject);
  if (known !== undefined && known.until > Date.now()) return known.customer;
  const customer = await env.CUSTOMERS.get(subject, "json");
  remember(customers, CUSTOMERS_MAX, subject, { customer, until: Date.now() + CUSTOMER_MS });
  return customer;
}

/** Answers for the customer whose token it is, as `answer` says. */
async function known(c, answer) {
  c.header("cache-control", "private, no-store");
  const token = c.req.header("authorization")?.replace(/^Bearer /, "") ?? "";
  let claims;
  try {
    claims = await verify(c.env, token);
  } catch {
    return c.json(INVALID, 401);
  }
  return answer(await customerOf(c.env, claims.sub));
}

/** Answers a granted check as `granted` says. */
const checked = (c, granted) => known(c, (customer) => {
  const ip = c.req.header("cf-connecting-ip") ?? "0.0.0.0";
  const answer = check(customer, Number(c.req.param("id")), ip, c.req.raw.cf?.country ?? "XX");
  return answer ? granted(answer) : c.json(DENIED, 402);
});

const app = new Hono();
app.use(cors());
app.get("/items/:id/access", (c) => checked(c, (answer) => c.json(answer)));
app.get("/access", (c) => known(c, (customer) => c.json(checkMany(customer, c.req.query("items")))));
app.get("/items/:id/playback", (c) => checked(c, async (answer) => c.json(await playback(c.env, answer))));
app.post("/items/access", (c) => forward(c.req.raw, c.env.ORIGIN_URL));

export default app;
