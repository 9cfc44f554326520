// Makes signatures.json: the RFCs' examples, and cases signed here by OpenSSL, so that the verifiers are
// judged by an independent implementation. Run: node generate.mjs > signatures.json
// Every case: { name, source, alg, jwk (public), jws (compact), valid }.
import { constants, createHmac, generateKeyPairSync, sign } from "node:crypto";

import { curves } from "./curves.mjs";

const b64 = (data) => Buffer.from(data).toString("base64url");
const unb64 = (text) => Buffer.from(text, "base64url");
const cases = [];
const add = (source, name, alg, jwk, jws, valid) => cases.push({ name, source, alg, jwk, jws, valid });

// The RFCs' examples.
const joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const road = b64("It\u2019s a dangerous business, Frodo, going out your door. You step onto the road, and if you "
  + "don't keep your feet, there\u2019s no knowing where you might be swept off to.");
const rfc7515Rsa = {
  kty: "RSA", e: "AQAB",
  n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SF"
    + "d2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo"
    + "7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkM"
    + "Ls91kzk2PAcDTW9gb54h4FRWyuXpoQ",
};
const rfc7520Rsa = {
  kty: "RSA", kid: "bilbo.baggins@hobbiton.example", use: "sig", e: "AQAB",
  n: "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKr"
    + "Kb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5l"
    + "FHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__"
    + "kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
};
add("RFC 7515 A.1", "HS256", "HS256",
  { kty: "oct", k: "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" },
  `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${joe}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`, true);
add("RFC 7515 A.2", "RS256", "RS256", rfc7515Rsa,
  `eyJhbGciOiJSUzI1NiJ9.${joe}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5`
  + "YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07"
  + "Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9F"
  + "s98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw", true);
add("RFC 7515 A.3", "ES256", "ES256",
  { kty: "EC", crv: "P-256", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
  `eyJhbGciOiJFUzI1NiJ9.${joe}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`, true);
const rfc7515Es512 = {
  kty: "EC", crv: "P-521",
  x: "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
  y: "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
};
add("RFC 7515 A.4", "ES512", "ES512", rfc7515Es512,
  "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34X"
  + "O0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn", true);
add("RFC 8037 A.4", "EdDSA", "EdDSA",
  { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
  "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
  + "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg", true);
add("RFC 7520 4.1", "RS256", "RS256", rfc7520Rsa,
  `eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.${road}.`
  + "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BD"
  + "koBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9U"
  + "zpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84"
  + "ogoree7vjbU5y18kDquDg", true);
add("RFC 7520 4.2", "PS384", "PS384", { ...rfc7520Rsa, alg: "PS384" },
  `eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.${road}.`
  + "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1O"
  + "LPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9s"
  + "hnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWj"
  + "wZ6oD4ifKo8DYM-X72Eaw", true);
add("RFC 7520 4.3", "ES512", "ES512",
  {
    kty: "EC", kid: "bilbo.baggins@hobbiton.example", use: "sig", crv: "P-521",
    x: "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
    y: "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
  },
  `eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.${road}.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH`
  + "0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBp"
  + "HABlsbEPX6sFY8OcGDqoRuBomu9xQ2", true);
add("RFC 7520 4.4", "HS256", "HS256",
  { kty: "oct", kid: "018c0ae5-4d9b-471b-bfd6-eef314bc7037", use: "sig", alg: "HS256", k: "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg" },
  `eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.${road}.s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0`, true);

// Tokens that are valid until 2100, and variants with invalid signatures.
const claims = b64(JSON.stringify({ iss: "https://issuer.example", aud: "admit", sub: "customer-1", exp: 4102444800 }));
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const rsa3072 = generateKeyPairSync("rsa", { modulusLength: 3072 });
const ecs = Object.fromEntries(Object.entries(curves).map(([alg, { name }]) => [alg, generateKeyPairSync("ec", { namedCurve: name })]));
const ed = generateKeyPairSync("ed25519");
const secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const hash = (alg) => (alg === "EdDSA" ? null : `sha${alg.slice(2)}`);

function signer(alg, { saltLength, dsaEncoding = "ieee-p1363", pair, as } = {}) {
  return (input) => {
    if (alg.startsWith("HS")) return createHmac(hash(alg), secret).update(input).digest();
    if (alg.startsWith("PS")) {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return sign(hash(alg), input, { key: (pair ?? rsa).privateKey, padding, saltLength: saltLength ?? constants.RSA_PSS_SALTLEN_DIGEST });
    }
    if (alg.startsWith("RS")) return sign(hash(alg), input, (pair ?? rsa).privateKey);
    if (alg in ecs) return sign(hash(as ?? alg), input, { key: (pair ?? ecs[alg]).privateKey, dsaEncoding });
    return sign(null, input, ed.privateKey);
  };
}
function jwk(alg, pair) {
  const members = { kid: `key-${alg}`, alg, use: "sig" };
  if (alg.startsWith("HS")) return { kty: "oct", k: b64(secret), ...members };
  const key = pair ?? (alg === "EdDSA" ? ed : ecs[alg] ?? rsa);
  return { ...key.publicKey.export({ format: "jwk" }), ...members };
}
const inputOf = (alg) => `${b64(JSON.stringify({ alg, kid: `key-${alg}`, typ: "JWT" }))}.${claims}`;
const jwsOf = (alg, signature) => `${inputOf(alg)}.${b64(signature)}`;
const by = (alg, options) => signer(alg, options)(Buffer.from(inputOf(alg)));

const algs = ["HS256", "HS384", "HS512", "EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
for (const alg of algs) {
  const good = by(alg);
  const made = (name, signature, valid) => add("OpenSSL", `${alg}: ${name}`, alg, jwk(alg), jwsOf(alg, signature), valid);
  made("good", good, true);
  made("empty", Buffer.alloc(0), false);
  made("zeros", Buffer.alloc(good.length), false);
  made("ones", Buffer.alloc(good.length, 0xff), false);
  made("last byte missing", good.subarray(0, -1), false);
  made("first byte missing", good.subarray(1), false);
  made("a zero more behind", Buffer.concat([good, Buffer.from([0])]), false);
  made("a zero more in front", Buffer.concat([Buffer.from([0]), good]), false);
  made("twice", Buffer.concat([good, good]), false);
  made("of another message", signer(alg)(Buffer.from(`${inputOf(alg)}x`)), false);
}
for (const alg of ["RS256", "PS256"]) {
  add("OpenSSL", `${alg}: 3072 bits`, alg, jwk(alg, rsa3072), jwsOf(alg, by(alg, { pair: rsa3072 })), true);
  add("OpenSSL", `${alg}: another key`, alg, jwk(alg), jwsOf(alg, by(alg, { pair: rsa3072 })), false);
}
const swapped = (alg, as) => add("OpenSSL", `${alg}: signed as ${as}`, alg, jwk(alg), jwsOf(alg, signer(as)(Buffer.from(inputOf(alg)))), false);
[["RS256", "PS256"], ["PS256", "RS256"], ["RS256", "RS512"], ["RS384", "RS256"], ["PS384", "PS256"], ["PS512", "PS384"]].forEach(([alg, as]) => swapped(alg, as));
for (const saltLength of [0, 20, 48]) {
  add("OpenSSL", `PS256: salt of ${saltLength} bytes`, "PS256", jwk("PS256"), jwsOf("PS256", by("PS256", { saltLength })), false);
}
// s + n is the same number modulo n; RFC 8017 §8.2.2 step 1 requires its refusal.
const big = (bytes) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const bytes = (number, length) => Buffer.from(number.toString(16).padStart(2 * length, "0"), "hex");
const n = big(unb64(jwk("RS256").n));
for (const alg of ["RS256", "PS256"]) {
  for (let tries = 0; tries < 64; tries += 1) {
    const input = Buffer.from(`${b64(JSON.stringify({ alg, kid: `key-${alg}`, try: tries }))}.${claims}`);
    const above = big(signer(alg)(input)) + n;
    if (above < 1n << 2048n) {
      add("OpenSSL", `${alg}: signature above the modulus`, alg, jwk(alg), `${input}.${b64(bytes(above, 256))}`, false);
      break;
    }
  }
}
// ECDSA: DER is not JOSE's form; (r, order - s) is as valid as (r, s); zero and the order are not.
for (const [alg, { length, order }] of Object.entries(curves)) {
  const good = by(alg);
  const [r, s] = [big(good.subarray(0, length)), big(good.subarray(length))];
  const pair = (a, b, as = length) => Buffer.concat([bytes(a, as), bytes(b, as)]);
  const es = (name, signature, valid) => add("OpenSSL", `${alg}: ${name}`, alg, jwk(alg), jwsOf(alg, signature), valid);
  es("in DER", by(alg, { dsaEncoding: "der" }), false);
  es("the other s", pair(r, order - s), true);
  es("r is zero", pair(0n, s), false);
  es("s is zero", pair(r, 0n), false);
  es("both are zero", pair(0n, 0n), false);
  es("both are one", pair(1n, 1n), false);
  es("r is the order", pair(order, s), false);
  es("s is the order", pair(r, order), false);
  es("r is the order less one", pair(order - 1n, s), false);
  es("s is above the order", pair(r, (1n << BigInt(8 * length)) - 1n), false);
  es("r and s swapped", pair(s, r), false);
  es("coordinates with a zero more in front", pair(r, s, length + 1), false);
  es("by another key", signer(alg, { pair: generateKeyPairSync("ec", { namedCurve: curves[alg].name }) })(Buffer.from(inputOf(alg))), false);
  for (const other of Object.keys(curves).filter((other) => other !== alg)) {
    es(`hashed as ${other}`, by(alg, { as: other }), false);
    es(`by a key of ${curves[other].name}`, signer(other, { as: alg })(Buffer.from(inputOf(alg))), false);
  }
}
// Ed25519: S + L is the same number modulo L: RFC 8032 §5.1.7 step 1 requires its refusal.
const L = (1n << 252n) + 27742317777372353535851937790883648493n;
const eddsa = by("EdDSA");
const S = big(Buffer.from(eddsa.subarray(32)).reverse());
add("OpenSSL", "EdDSA: S above the order", "EdDSA", jwk("EdDSA"),
  jwsOf("EdDSA", Buffer.concat([eddsa.subarray(0, 32), bytes(S + L, 32).reverse()])), false);

process.stdout.write(`[\n${cases.map((one) => JSON.stringify(one)).join(",\n")}\n]\n`);
