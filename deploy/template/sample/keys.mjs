// Development keys, made on this machine at the first `npm start`, and the tokens that they sign.
import { createHmac, createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** Keys, variables and state of the local Worker. */
export const DIR = join(ROOT, ".sample");
export const AUDIENCE = "admit-dev";

const base64url = (value) => Buffer.from(value).toString("base64url");

/** A file of `.sample`, made by `make` if it is not there. */
function kept(name, make) {
  const path = join(DIR, name);
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  mkdirSync(DIR, { recursive: true, mode: 0o700 });
  const text = make();
  writeFileSync(path, text, { mode: 0o600 });
  return text;
}

/** An Ed25519 key as `admit keygen` writes it, so that `admit publish --key .sample/snapshot.jwk` takes it. */
function ed25519(name) {
  const make = () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const { kty, crv, x, d } = privateKey.export({ format: "jwk" });
    return `${JSON.stringify({ kty, crv, x, d, kid: `${name}-1`, alg: "EdDSA", use: "sig" })}\n`;
  };
  return JSON.parse(kept(`${name}.jwk`, make));
}

/** The keys by the names of their holders. */
export function dev_keys() {
  return {
    snapshot: ed25519("snapshot"),
    publisher: ed25519("publisher"),
    support: ed25519("support"),
    vendor: { secret: kept("vendor.secret", () => randomBytes(32).toString("hex")), kid: "vendor-1" },
  };
}

/** A compact JWS. */
export function jws(key, payload, typ) {
  const alg = key.secret === undefined ? "EdDSA" : "HS256";
  const signed = `${base64url(JSON.stringify({ alg, kid: key.kid, typ }))}.${base64url(payload)}`;
  const signature =
    alg === "HS256"
      ? createHmac("sha256", key.secret).update(signed).digest()
      : sign(null, Buffer.from(signed), createPrivateKey({ key, format: "jwk" }));
  return `${signed}.${base64url(signature)}`;
}

/** A JSON Web Token that ends in `ttl_secs`. */
export function token(key, claims, ttl_secs) {
  const now = Math.floor(Date.now() / 1000);
  return jws(key, JSON.stringify({ ...claims, iat: now, exp: now + ttl_secs }), "JWT");
}

const jwks = ({ d: _private, ...key }) => ({ keys: [key] });

function issuers(keys) {
  const issuer = (name, members) => ({
    issuer: `https://${name}.dev.admit.example`, namespace: name, audience: { any_of: [AUDIENCE] }, customer_claim: "sub", ...members,
  });
  return [
    issuer("vendor", { may: ["view"], keys: { secret: "VENDOR_JWT_SECRET", alg: "HS256" } }),
    issuer("publisher", { may: ["publish"], keys: { jwks: jwks(keys.publisher) } }),
    issuer("support", { may: ["check", "explain"], keys: { jwks: jwks(keys.support) } }),
  ];
}

/** Writes the Worker's variables. `samples` is what the console shows. */
export function write_vars(keys, samples) {
  const vars = {
    ISSUERS: JSON.stringify(issuers(keys)),
    SNAPSHOT_KEYS: JSON.stringify(jwks(keys.snapshot)),
    VENDOR_JWT_SECRET: keys.vendor.secret,
    CONSOLE: "on",
    CONSOLE_SAMPLES: JSON.stringify(samples),
  };
  // In a file of variables an apostrophe ends the value, and `$` may name another variable.
  const line = ([name, value]) => `${name}='${value.replaceAll("'", "\\u0027").replaceAll("$", "\\u0024")}'\n`;
  writeFileSync(join(DIR, "vars"), Object.entries(vars).map(line).join(""), { mode: 0o600 });
}
