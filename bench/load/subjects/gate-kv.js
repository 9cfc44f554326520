// A Worker that checks by itself before it serves: the token by jose, the customer's document from KV, for every request.
import { importJWK, jwtVerify } from "jose";
import { AUDIENCE, ISSUER, check } from "./check.js";

let keys;

async function keyFor(env, { kid, alg }) {
  keys ??= Promise.all(
    JSON.parse(env.JWKS).keys.map(async (jwk) => [jwk.kid, { alg: jwk.alg, key: await importJWK(jwk, jwk.alg) }]),
  ).then(Object.fromEntries);
  const known = (await keys)[kid];
  if (known?.alg !== alg) throw new Error("unknown key");
  return known.key;
}

export default {
  async fetch(request, env) {
    const token = request.headers.get("authorization")?.slice(7) ?? "";
    const [, item] = /\/items\/(\d+)\/access/.exec(request.url);
    let claims;
    try {
      const options = { issuer: ISSUER, audience: AUDIENCE, algorithms: ["HS256", "RS256", "ES256", "EdDSA"] };
      claims = (await jwtVerify(token, (header) => keyFor(env, header), options)).payload;
    } catch {
      return new Response("invalid token", { status: 401 });
    }
    const answer = check(await env.CUSTOMERS.get(claims.sub, "json"), Number(item));
    return answer ? Response.json({ expires_at: answer.expires_at }) : new Response("denied", { status: 402 });
  },
};
