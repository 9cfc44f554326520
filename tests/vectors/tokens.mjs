// Makes tokens.json: an issuer with a key for every algorithm, and tokens that are valid until 2100, and invalid ones.
// The service in process (pure Rust) and the Worker (node:crypto in workerd) must both answer as it says.
// Run: node tokens.mjs > tokens.json
// { issuer: an entry of ISSUERS, tokens: [{ name, alg, token, status: 200, 401 or 503 of /license }] }
import { constants, createHmac, generateKeyPairSync, sign } from "node:crypto";

import { curves } from "./curves.mjs";

const b64 = (data) => Buffer.from(data).toString("base64url");
const algs = ["EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "HS256", "HS384", "HS512"];
const issuer = "https://vectors.example";
const claims = { iss: issuer, sub: "customer-1", exp: 4102444800, client_id: "none" };
const secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const rsaOther = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ecs = Object.fromEntries(Object.entries(curves).map(([alg, { name }]) => [alg, generateKeyPairSync("ec", { namedCurve: name })]));
const ed = generateKeyPairSync("ed25519");
const hash = (alg) => (alg === "EdDSA" ? null : `sha${alg.slice(2)}`);
const pairOf = (alg) => (alg === "EdDSA" ? ed : ecs[alg] ?? rsa);
const jwk = (alg) => ({
  ...(alg.startsWith("HS") ? { kty: "oct", k: b64(secret) } : pairOf(alg).publicKey.export({ format: "jwk" })),
  kid: `key-${alg}`, alg, use: "sig",
});

function signature(alg, input, { saltLength, dsaEncoding = "ieee-p1363", pair = pairOf(alg), as } = {}) {
  if (alg.startsWith("HS")) return createHmac(hash(alg), secret).update(input).digest();
  const key = pair.privateKey;
  if (alg.startsWith("PS")) {
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return sign(hash(alg), input, { key, padding, saltLength: saltLength ?? constants.RSA_PSS_SALTLEN_DIGEST });
  }
  return sign(hash(as ?? alg), input, alg in ecs ? { key, dsaEncoding } : key);
}
const inputOf = (header, payload = claims) => Buffer.from(`${b64(JSON.stringify(header))}.${b64(JSON.stringify(payload))}`);
const headerOf = (alg) => ({ alg, kid: `key-${alg}`, typ: "JWT" });

const tokens = [];
const add = (name, alg, input, bytes, status) => tokens.push({ name, alg, token: `${input}.${b64(bytes)}`, status });
for (const alg of algs) {
  const input = inputOf(headerOf(alg));
  const good = signature(alg, input);
  add("good", alg, input, good, 200);
  add("no signature", alg, input, "", 401);
  add("zeros", alg, input, Buffer.alloc(good.length), 401);
  add("one byte less", alg, input, good.subarray(0, -1), 401);
  add("one byte less in front", alg, input, good.subarray(1), 401);
  add("a zero behind", alg, input, Buffer.concat([good, Buffer.from([0])]), 401);
  add("a zero in front", alg, input, Buffer.concat([Buffer.from([0]), good]), 401);
  add("twice", alg, input, Buffer.concat([good, good]), 401);
  add("of another payload", alg, inputOf(headerOf(alg), { ...claims, sub: "customer-2" }), good, 401);
  const signed = (name, header, status, payload = claims) => {
    const other = inputOf(header, payload);
    add(name, alg, other, signature(alg, other), status);
  };
  signed("typ at+jwt", { ...headerOf(alg), typ: "at+jwt" }, 200);
  signed("no typ", { alg, kid: `key-${alg}` }, 200);
  signed("typ of a head", { ...headerOf(alg), typ: "admit-head" }, 401);
  signed("typ dpop+jwt", { ...headerOf(alg), typ: "dpop+jwt" }, 401);
  signed("crit", { ...headerOf(alg), crit: ["exp"] }, 401);
  signed("another kid", { ...headerOf(alg), kid: "nobody" }, 401);
  signed("alg none", { ...headerOf(alg), alg: "none" }, 401);
  signed("alg None", { ...headerOf(alg), alg: "None" }, 401);
  signed("alg in lower case", { ...headerOf(alg), alg: alg.toLowerCase() }, alg === alg.toLowerCase() ? 200 : 401);
  signed("no exp", headerOf(alg), 401, { ...claims, exp: undefined });
  signed("expired", headerOf(alg), 401, { ...claims, exp: 1700000000 });
  signed("another issuer", headerOf(alg), 401, { ...claims, iss: "https://other.example" });
  for (const as of algs.filter((as) => as !== alg)) {
    // The header's algorithm differs from that of the key it names; signed with the header's.
    const confused = inputOf({ ...headerOf(alg), alg: as });
    add(`says ${as}`, alg, confused, signature(as, confused), 401);
  }
}
// A public key used as an HMAC secret, in every form that libraries have accepted, verifies nothing.
for (const alg of ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"]) {
  const key = pairOf(alg).publicKey;
  const forms = {
    PEM: key.export({ type: "spki", format: "pem" }),
    "PEM without its last line end": key.export({ type: "spki", format: "pem" }).trim(),
    DER: key.export({ type: "spki", format: "der" }),
    JWK: JSON.stringify(key.export({ format: "jwk" })),
  };
  for (const [form, bytes] of Object.entries(forms)) {
    const input = inputOf({ ...headerOf(alg), alg: "HS256" });
    add(`its ${form} as the secret of HS256`, alg, input, createHmac("sha256", bytes).update(input).digest(), 401);
  }
}
for (const alg of ["RS256", "RS512", "PS256", "PS512"]) {
  const input = inputOf(headerOf(alg));
  add("by another key", alg, input, signature(alg, input, { pair: rsaOther }), 401);
}
for (const alg of ["PS256", "PS384", "PS512"]) {
  const input = inputOf(headerOf(alg));
  for (const saltLength of [0, 20, 31, 33]) {
    add(`salt of ${saltLength} bytes`, alg, input, signature(alg, input, { saltLength }), 401);
  }
}
const big = (bytes) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const bytes = (number, length) => Buffer.from(number.toString(16).padStart(2 * length, "0"), "hex");
for (const [alg, { length, order }] of Object.entries(curves)) {
  const input = inputOf(headerOf(alg));
  const good = signature(alg, input);
  const [r, s] = [big(good.subarray(0, length)), big(good.subarray(length))];
  const es = (name, a, b, status) => add(name, alg, input, Buffer.concat([bytes(a, length), bytes(b, length)]), status);
  add("in DER", alg, input, signature(alg, input, { dsaEncoding: "der" }), 401);
  es("the other s", r, order - s, 200);
  es("r is zero", 0n, s, 401);
  es("s is zero", r, 0n, 401);
  es("both are one", 1n, 1n, 401);
  es("r is the order", order, s, 401);
  es("s is the order", r, order, 401);
  es("s above the order", r, (1n << BigInt(8 * length)) - 1n, 401);
  es("r and s swapped", s, r, 401);
  for (const other of Object.keys(curves).filter((other) => other !== alg)) {
    add(`hashed as ${other}`, alg, input, signature(alg, input, { as: other }), 401);
    add(`by a key of ${curves[other].name}`, alg, input, signature(other, input, { as: alg }), 401);
  }
}
// RFC 8032 §5.1.7 and RFC 8017 §8.2.2 require numbers below the order and below the modulus.
const edInput = inputOf(headerOf("EdDSA"));
const eddsa = signature("EdDSA", edInput);
const S = big(Buffer.from(eddsa.subarray(32)).reverse()) + (1n << 252n) + 27742317777372353535851937790883648493n;
add("S above the order", "EdDSA", edInput, Buffer.concat([eddsa.subarray(0, 32), bytes(S, 32).reverse()]), 401);
const n = big(Buffer.from(jwk("RS256").n, "base64url"));
for (const alg of ["RS256", "PS256"]) {
  for (let tries = 0; tries < 256; tries += 1) {
    const input = inputOf(headerOf(alg), { ...claims, try: tries });
    const above = big(signature(alg, input)) + n;
    if (above < 1n << 2048n) {
      add("above the modulus", alg, input, bytes(above, 256), 401);
      break;
    }
  }
}

// A JWKS as issuers write it: each key in another spelling, with unusable entries between them.
const spelt = (alg, change) => ({ ...jwk(alg), ...change });
const padded = (text) => Buffer.from(text, "base64url").toString("base64");
const zeros = (text) => b64(Buffer.concat([Buffer.alloc(2), Buffer.from(text, "base64url")]));
const nulls = { use: null, key_ops: null, x5c: null };
const shared = [generateKeyPairSync("ec", { namedCurve: "P-256" }), generateKeyPairSync("ec", { namedCurve: "P-256" })];
const bare = (key) => key.publicKey.export({ format: "jwk" });
const numbered = generateKeyPairSync("ed25519");
const nameless = generateKeyPairSync("ec", { namedCurve: "P-384" });
const [{ x }, { y }] = shared.map(bare);
const keys = [
  1, null, "key", {}, { kty: "AKP", alg: "ML-DSA-44", kid: "key-future" },
  { ...bare(generateKeyPairSync("ec", { namedCurve: "secp256k1" })), kid: "key-odd" },
  { kty: "EC", crv: "P-256", x, y, kid: "key-off-curve" },
  { kty: "EC", crv: "P-521", x, y, kid: "key-off-curve" },
  { ...bare(generateKeyPairSync("rsa", { modulusLength: 1024 })), kid: "key-short" },
  { ...bare(rsaOther), kid: "key-RS256", use: "enc" },
  ...algs.map((alg) => ({
    EdDSA: spelt(alg, { key_ops: ["sign", "verify"] }),
    ES256: spelt(alg, nulls),
    ES384: spelt(alg, { ...nulls, alg: null, x: padded(jwk(alg).x ?? ""), y: padded(jwk(alg).y ?? "") }),
    ES512: spelt(alg, { x: zeros(jwk(alg).x ?? ""), y: zeros(jwk(alg).y ?? "") }),
    RS256: spelt(alg, { alg: undefined, x5c: ["MII"], x5t: 1 }),
    RS384: spelt(alg, { n: padded(jwk(alg).n ?? ""), e: padded(jwk(alg).e ?? "") }),
    RS512: spelt(alg, { n: zeros(jwk(alg).n ?? ""), e: zeros(jwk(alg).e ?? "") }),
    PS256: spelt(alg, { key_ops: { 1: "verify" }, use: "" }),
  })[alg] ?? jwk(alg)),
  spelt("RS256", {}), spelt("PS384", { x5c: ["MII"] }),
  ...shared.map((key) => ({ ...bare(key), kid: "key-shared" })),
  { ...bare(numbered), kid: 7 },
  { ...bare(nameless), kid: null },
];
const as = (name, alg, header, pair, status, payload = claims) => {
  const input = inputOf({ alg, ...header }, payload);
  add(name, alg, input, signature(alg, input, { pair }), status);
};
shared.forEach((pair, index) => as(`a shared kid, ${index}`, "ES256", { kid: "key-shared" }, pair, 200));
as("a shared kid, by neither", "ES256", { kid: "key-shared" }, nameless, 401);
as("a kid that is a number", "EdDSA", { kid: 7 }, numbered, 200);
as("the same as text", "EdDSA", { kid: "7" }, numbered, 200);
as("a key without a name", "ES384", {}, nameless, 200);
as("the same under any name", "ES384", { kid: "any" }, nameless, 200);
as("no kid", "ES256", {}, ecs.ES256, 200);
// It may have been signed with the key that is not on its curve.
as("no kid, by another key", "ES512", {}, generateKeyPairSync("ec", { namedCurve: "P-521" }), 503);
as("alg Ed25519", "EdDSA", { alg: "Ed25519", kid: "key-EdDSA" }, ed, 200);
for (const [name, alg, kid] of [["an odd curve", "ES256K", "key-odd"], ["a point off its curve", "ES256", "key-off-curve"],
  ["a key that is too short", "RS256", "key-short"], ["an algorithm of later", "ML-DSA-44", "key-future"]]) {
  add(`left out: ${name}`, alg, inputOf({ alg, kid }), Buffer.alloc(64), 503);
}
for (const [name, status, change] of [
  ["nothing as PHP writes it", 200, { mid: "", aid: "", mui: [], ctx: {}, scope: null, azp: "" }],
  ["lists with gaps", 200, { ctx: { 0: "consumer", 2: "x" }, aud: { 1: "tv" }, scope: { 3: "a" } }],
  ["numbers in quotes", 200, { mid: "21", aid: " 7 ", exp: "4102444800", nbf: "0", iat: 0.5 }],
  ["times that are null", 200, { nbf: null, iat: null }],
  ["a fraction of a second", 200, { exp: 4102444799.5 }],
  ["exp in milliseconds", 401, { exp: 4102444800000 }],
  ["iat in milliseconds", 401, { iat: 1700000000000 }],
  ["exp after 9999", 401, { exp: 253402300800 }],
  ["exp null", 401, { exp: null }],
  ["mid that is no number", 401, { mid: "x" }],
  ["ctx with names", 401, { ctx: { merchant: true } }],
  ["a customer with a fraction", 401, { sub: 1.5 }],
]) {
  as(`claims: ${name}`, "ES256", { kid: "key-ES256" }, ecs.ES256, status, { ...claims, ...change });
}

const entry = { issuer, namespace: "vectors", audience: "none_required", keys: { jwks: { keys } } };
const lines = tokens.map((one) => JSON.stringify(one)).join(",\n");
process.stdout.write(`{"issuer":${JSON.stringify(entry)},\n"tokens":[\n${lines}\n]}\n`);
