// Makes the subjects' data and requests: customers in the publish schema and as a JSON document each,
// keys, tokens, and lists of requests with the only right answers. Usage: node make.mjs DIR '{"customers":…}'
import { createHmac, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [dir, settings] = process.argv.slice(2);
// catalogues: their numbers of customers, the largest first. lists: name -> { alg, tokens, customers: how many have tokens,
// items: asked for with each token, many: in one request, unlike: whether no two URLs are the same, denied and written:
// shares, order, more: for each of them, NAME.MORE.tsv: the same tokens, asking a signer for playback, a `gate` for the
// end of an access, or for `many` items at once; or a `search` by a collector }.
const { catalogues, lists } = JSON.parse(settings);
const customers = Math.max(...catalogues);
const NOW = Math.floor(Date.now() / 1000);
const EXP = NOW + 86_400;
const [MERCHANT, MERCHANT_UUID] = [2101, "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934"];
const [ITEMS, GRANTS, FIRST_ITEM] = [64, 8, 5001];
// Further items, which no viewer holds: with them a page can show 100.
const UNHELD = 36;
// A customer who holds this many items of their own, where a list searches them.
const COLLECTED = Object.values(lists).some(({ more }) => more?.includes("search")) ? 1_000 : 0;
const FIRST_COLLECTED = 9001;
// Results of the first page of that search.
const PAGE = 100;
const GRANT_ENDS = 500_000;
// The longest that a signature may be valid. All grants end earlier, so that signatures end with them: the only right
// answer is known before it is asked for.
const TTL_SECS = 604_800;
const ISSUER = "https://id.example.com";
const AUDIENCE = "tv";

const base64 = (value) => Buffer.from(value).toString("base64url");

function makeKeys() {
  const pair = (type, options) => generateKeyPairSync(type, options);
  const jwk = (key, kid, alg) => ({ ...key.export({ format: "jwk" }), kid, alg, use: "sig" });
  const secret = randomBytes(32);
  const rsa = pair("rsa", { modulusLength: 2048 });
  const ec = pair("ec", { namedCurve: "P-256" });
  const ed = pair("ed25519");
  return {
    jwks: [
      { kty: "oct", k: base64(secret), kid: "hs", alg: "HS256" },
      jwk(rsa.publicKey, "rs", "RS256"),
      jwk(ec.publicKey, "es", "ES256"),
      jwk(ed.publicKey, "ed", "EdDSA"),
    ],
    signers: {
      HS256: ["hs", (data) => createHmac("sha256", secret).update(data).digest()],
      RS256: ["rs", (data) => sign("sha256", Buffer.from(data), rsa.privateKey)],
      ES256: ["es", (data) => sign("sha256", Buffer.from(data), { key: ec.privateKey, dsaEncoding: "ieee-p1363" })],
      EdDSA: ["ed", (data) => sign(null, Buffer.from(data), ed.privateKey)],
    },
  };
}

const uuid = (n) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
const itemOf = (customer, grant) => FIRST_ITEM + ((customer * 5 + grant * 7) % ITEMS);
const createdAt = (customer, grant) => NOW - 1_000_000 - ((customer * 31 + grant) % 500_000);
// Ends differ, so that the signatures for two grants of one item do, too.
const endsAt = (customer, grant) => EXP + ((customer * GRANTS + grant) % GRANT_ENDS);
const accessId = (customer, grant) => customer * GRANTS + grant + 1;

const TYPES = {
  access_control_type: { id: 4, name: "Paid", auth: true },
  item_type: { id: 44, name: "brightcove_asset", content_type: "ovp", host: "inplayer", description: "OVP asset" },
};
const CREATED = 1_700_000_000;
// How many of the origin's changes the snapshot has.
const SEQ = 1;

function itemLine(id) {
  const content = JSON.stringify({ video_id: `v${id}` });
  return { type: "item", id, merchant_id: MERCHANT, title: `Film ${id}`, is_active: true, ...TYPES, metadata: [], plan_switch_enabled: false, content, created_at: CREATED, updated_at: CREATED };
}

/** An item within an answer, member by member as the service writes it. */
function itemAnswer(id) {
  const { title, is_active, content } = itemLine(id);
  return {
    content, id, merchant_id: MERCHANT, merchant_uuid: MERCHANT_UUID, title, is_active, active: is_active, ...TYPES,
    age_restriction: null, metadata: [], metahash: {}, plan_switch_enabled: false, created_at: CREATED, updated_at: CREATED,
  };
}

const items = Object.fromEntries(Array.from({ length: ITEMS + UNHELD }, (_, n) => [FIRST_ITEM + n, itemAnswer(FIRST_ITEM + n)]));

function accesses(customer) {
  const held = [];
  for (let grant = 0; grant < GRANTS; grant += 1) {
    held.push({ id: accessId(customer, grant), item_id: itemOf(customer, grant), created_at: createdAt(customer, grant), expires_at: endsAt(customer, grant) });
  }
  return held;
}

function granted(customer, grant) {
  return JSON.stringify({
    id: accessId(customer, grant), account_id: MERCHANT, customer_id: customer, customer_uuid: uuid(customer),
    ip_address: "203.0.113.7", country_code: "XX", created_at: createdAt(customer, grant), expires_at: endsAt(customer, grant),
    item: items[itemOf(customer, grant)],
  });
}

/** The customer who holds many items, as a line of the publish file. */
function collector() {
  const held = Array.from({ length: COLLECTED }, (_, n) => ({ id: 900_000_000 + n, item_id: FIRST_COLLECTED + n, created_at: CREATED, expires_at: EXP + n }));
  return { type: "customer", namespace: "bench", subject: "collector", id: customers, uuid: uuid(customers), merchant_id: MERCHANT, accesses: held };
}

/** The request for the first page of what the collector may play, and its answer; a `*` stands for any text. */
function search() {
  const type = "item";
  const asked = { subject: { type: "customer", id: "bench:collector" }, action: { name: "play" }, resource: { type } };
  const results = Array.from({ length: PAGE }, (_, n) => ({ type, id: String(FIRST_COLLECTED + n) }));
  return [JSON.stringify(asked), JSON.stringify({ page: { next_token: "*", count: PAGE }, context: { seq: SEQ }, results })];
}

/** The answer about several items: those of a page that begins at the n-th. */
function page(customer, count, n) {
  const ends = new Map(accesses(customer).map(({ item_id, expires_at }) => [item_id, expires_at]));
  const ids = Array.from({ length: count }, (_, at) => FIRST_ITEM + ((n + at) % (ITEMS + UNHELD)));
  const entry = (id) =>
    ends.has(id) ? { id, access: true, expires_at: ends.get(id) } : { id, access: false, code: 402 };
  return { ids, body: JSON.stringify({ items: ids.map(entry) }) };
}

const DENIED = '{"code":402,"message":"No access","errors":{"402":"No access"}}';

function notHeld(customer) {
  const held = new Set(Array.from({ length: GRANTS }, (_, grant) => itemOf(customer, grant)));
  return Object.keys(items).find((id) => !held.has(Number(id)));
}

const { jwks, signers } = makeKeys();

function token(alg, sub, jti, more = {}) {
  const [kid, signer] = signers[alg];
  const header = base64(JSON.stringify({ alg, typ: "JWT", kid }));
  const claims = { iss: ISSUER, aud: AUDIENCE, sub, mid: MERCHANT, iat: NOW, exp: EXP, jti, ...more };
  const data = `${header}.${base64(JSON.stringify(claims))}`;
  return `${data}.${base64(signer(data))}`;
}

const jwSecret = randomBytes(24).toString("base64url");
const mux = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** Signers of playback: what each signs, and where it is played. */
const SIGNERS = {
  jw: {
    key: jwSecret,
    header: { alg: "HS256", typ: "JWT" },
    claims: (media, exp) => ({ exp, resource: `/v2/media/${media}` }),
    url: (media) => `https://cdn.jwplayer.com/v2/media/${media}`,
    sign: (data) => createHmac("sha256", jwSecret).update(data).digest(),
  },
  mux: {
    key: mux.privateKey.export({ type: "pkcs8", format: "pem" }),
    entry: { key_id: "bench" },
    header: { alg: "RS256", kid: "bench", typ: "JWT" },
    claims: (media, exp) => ({ aud: "v", exp, kid: "bench", sub: media }),
    url: (media) => `https://stream.mux.com/${media}.m3u8`,
    sign: (data) => sign("sha256", Buffer.from(data), mux.privateKey),
  },
};

/** The answer with a signed source. Both algorithms give one signature for one text, so that it is compared as a whole. */
function signed(signer, customer, grant) {
  const { header, claims, url, sign } = SIGNERS[signer];
  const [media, exp] = [`v${itemOf(customer, grant)}`, endsAt(customer, grant)];
  const data = `${base64(JSON.stringify(header))}.${base64(JSON.stringify(claims(media, exp)))}`;
  const token = `${data}.${base64(sign(data))}`;
  const source = { type: signer, url: `${url(media)}?token=${token}`, token, expires_at: exp };
  return JSON.stringify({ expires_at: exp, sources: [source] });
}

const WRITTEN = JSON.stringify({ id: 900_001, item_id: FIRST_ITEM, account_id: MERCHANT, created_at: NOW, expires_at: EXP });

/** Which requests of a list belong to a share of those that are sent, when the n-th is sent as often as `weight` says. */
function share(part, weight) {
  let due = 0;
  return (n) => {
    due += part * weight(n);
    if (part === 0 || due < weight(n)) return false;
    due -= weight(n);
    return true;
  };
}

/** Lines of method, path, token, body that is sent, and the status and body that are right. `more` is one of the settings. */
function list(name, more, { alg, tokens: count, customers: among = customers, items: each = 1, many = 1, unlike = false, denied = 0, written = 0, order }) {
  // As the load draws them (`Driven::zipf`).
  const weight = order === "zipf" ? (n) => Math.log((n + 2) / (n + 1)) : () => 1;
  const [isWritten, isDenied] = [share(written, weight), share(denied, weight)];
  // Every customer before any a second time, in an order that follows no shard.
  const customerOf = (n) => (n * 7919) % among;
  // Each list's own: what one scenario leaves in memory makes no token of the next one an old one.
  const tokens = Array.from({ length: count }, (_, n) => token(alg, `c${customerOf(n)}`, `${name}-${n}`));
  if (more === "search") {
    const [asked, found] = search();
    return ["POST", "/access/v1/search/resource", token(alg, "collector", name), asked, 200, found].join("\t");
  }
  // The shop writes, not the viewer: grants are for merchants.
  const shop = token(alg, "shop", "shop", { ctx: ["merchant"] });
  return lines(count * each, (n) => {
    const bearer = tokens[n % count];
    const customer = customerOf(n % count);
    // Another item in each pass over the tokens.
    const grant = ((n % count) + Math.floor(n / count)) % GRANTS;
    if (isWritten(n)) {
      const form = `item_id=${itemOf(customer, grant)}&consumer_id=${customer}&access_fee_id=7013`;
      return ["POST", "/items/access", shop, form, 201, WRITTEN].join("\t");
    }
    if (isDenied(n)) {
      return ["GET", `/items/${notHeld(customer)}/access`, bearer, "", 402, DENIED].join("\t");
    }
    if (more === "many") {
      const { ids, body } = page(customer, many, n);
      return ["GET", `/access?items=${ids.join(",")}`, bearer, "", 200, body].join("\t");
    }
    if (more in SIGNERS) {
      const path = `/items/${itemOf(customer, grant)}/playback`;
      return ["GET", path, bearer, "", 200, signed(more, customer, grant)].join("\t");
    }
    const path = `/items/${itemOf(customer, grant)}/access${unlike ? `?_=${n}` : ""}`;
    if (more === "gate") {
      return ["GET", path, bearer, "", 200, JSON.stringify({ expires_at: endsAt(customer, grant) })].join("\t");
    }
    return ["GET", path, bearer, "", 200, granted(customer, grant)].join("\t");
  });
}

function lines(count, line) {
  const parts = [];
  for (let n = 0; n < count; n += 1) parts.push(line(n), "\n");
  return parts.join("");
}

mkdirSync(join(dir, "documents"), { recursive: true });
const put = (name, text) => writeFileSync(join(dir, name), text);

const heads = [
  { type: "snapshot", seq: SEQ },
  { type: "merchant", id: MERCHANT, uuid: MERCHANT_UUID, name: "Fernhollow" },
  ...Object.keys(items).map((id) => itemLine(Number(id))),
  ...Array.from({ length: COLLECTED }, (_, n) => itemLine(FIRST_COLLECTED + n)),
  ...(COLLECTED > 0 ? [collector()] : []),
].map((line) => `${JSON.stringify(line)}\n`).join("");
for (const count of catalogues) {
  put(`catalogue-${count}.ndjson`, heads + lines(count, (n) => JSON.stringify({
    type: "customer", namespace: "bench", subject: `c${n}`, id: n, uuid: uuid(n), merchant_id: MERCHANT, accesses: accesses(n),
  })));
}
for (let n = 0; n < customers; n += 1) {
  put(`documents/c${n}`, JSON.stringify({ id: n, uuid: uuid(n), merchant_id: MERCHANT, accesses: accesses(n) }));
}
put("items.json", JSON.stringify(items));
put("jwks.json", JSON.stringify({ keys: jwks }));
put("issuers.json", JSON.stringify([
  { issuer: ISSUER, namespace: "bench", audience: { any_of: [AUDIENCE] }, customer_claim: "sub", may: ["view", "write"], keys: { jwks: { keys: jwks } } },
]));
for (const [signer, { key, entry }] of Object.entries(SIGNERS)) {
  put(`signing-key-${signer}.txt`, key);
  put(`playback-${signer}.json`, JSON.stringify([
    { merchant: MERCHANT, item_type: TYPES.item_type.name, signer, secret: "SIGNING_KEY", ttl_secs: TTL_SECS, ...entry },
  ]));
}
for (const [name, settings] of Object.entries(lists)) {
  put(`${name}.tsv`, list(name, undefined, settings));
  for (const more of settings.more ?? []) put(`${name}.${more}.tsv`, list(name, more, settings));
}
put("written.json", WRITTEN);
put("constant.json", JSON.stringify(granted(0, 0)));
