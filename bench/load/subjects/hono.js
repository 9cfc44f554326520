// As Hono's and jose's documentation has it: a middleware for CORS, the token verified and the customer's document
// read from KV for every request.
import { Hono } from "hono";
import { cors } from "hono/cors";
import { importJWK, jwtVerify } from "jose";
import { AUDIENCE, DENIED, INVALID, ISSUER, check, checkMany } from "./check.js";
import { forward } from "./forward.js";

let keys;

async function keyFor(env, { kid, alg }) {
  keys ??= Promise.all(
    JSON.parse(env.JWKS).keys.map(async (jwk) => [jwk.kid, { alg: jwk.alg, key: await importJWK(jwk, jwk.alg) }]),
  ).then(Object.fromEntries);
  const known = (await keys)[kid];
  if (known?.alg !== alg) throw new Error("unknown key");
  return known.key;
}

/** Answers for the customer whose token it is, as `answer` says. */
async function known(c, answer) {
  c.header("cache-control", "private, no-store");
  const token = c.req.header("authorization")?.replace(/^Bearer /, "") ?? "";
  let claims;
  try {
    const verified = await jwtVerify(token, (header) => keyFor(c.env, header), {
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: ["HS256", "RS256", "ES256", "EdDSA"],
    });
    claims = verified.payload;
  } catch {
    return c.json(INVALID, 401);
  }
  return answer(await c.env.CUSTOMERS.get(claims.sub, "json"));
}

const app = new Hono();
app.use(cors());
app.get("/items/:id/access", (c) => known(c, (customer) => {
  const ip = c.req.header("cf-connecting-ip") ?? "0.0.0.0";
  const answer = check(customer, Number(c.req.param("id")), ip, c.req.raw.cf?.country ?? "XX");
  return answer ? c.json(answer) : c.json(DENIED, 402);
}));
app.get("/access", (c) => known(c, (customer) => c.json(checkMany(customer, c.req.query("items")))));
app.post("/items/access", (c) => forward(c.req.raw, c.env.ORIGIN_URL));

export default app;
