// The fresh lane in workerd (docs/adr/0056): several places, each an isolate with a double of Workers Cache before the
// entrypoint, and one Durable Object for all of them. Purges are prompt, late, lost and refused. Polls are counted; no
// time is measured.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { BRIEF_SECS, CACHE_SECS, SPACING_MS } from "../../src/worker/head_keeper.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const PLACES = ["paris", "tokyo", "lima"];
/** More polls than any answer here needs, on a busy machine too. */
const POLLS_MAX = 200;

const dir = mkdtempSync(join(tmpdir(), "admit-fresh-"));
const ports = {};
let workerd;

function program() {
  if (process.env.ADMIT_WORKERD) return process.env.ADMIT_WORKERD;
  const packages = join(root, "node_modules/@cloudflare");
  return join(packages, readdirSync(packages).find((name) => name.startsWith("workerd-")), "bin/workerd");
}

function place(name, position) {
  const object = position === 0
    ? '(className = "FreshHead")' : `(className = "FreshHead", serviceName = "${PLACES[0]}")`;
  const own = position === 0 ? `
  durableObjectNamespaces = [(className = "FreshHead", uniqueKey = "fresh", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),` : "";
  return `const ${name} :Workerd.Worker = (
  modules = [
    (name = "place.js", esModule = embed "place.js"),
    (name = "fresh.mjs", esModule = embed "fresh.mjs"),
    (name = "head_keeper.mjs", esModule = embed "head_keeper.mjs"),
    (name = "lane.js", esModule = embed "lane.js"),
  ],
  bindings = [
    (name = "PLACE", text = "${name}"),
    (name = "CACHE", service = (name = "cache", entrypoint = "Cache")),
    (name = "FRESH_HEAD", durableObjectNamespace = ${object}),
  ],${own}
  compatibilityDate = "2026-11-17"
);
`;
}

before(async () => {
  for (const file of ["cache.js", "place.js"]) copyFileSync(join(root, "tests/entry/fresh", file), join(dir, file));
  for (const file of ["fresh.mjs", "head_keeper.mjs", "lane.js"]) copyFileSync(join(root, "src/worker", file), join(dir, file));
  mkdirSync(join(dir, "disk"));
  const services = PLACES.map((name) => `(name = "${name}", worker = .${name}),`).join(" ");
  const sockets = [...PLACES, "cache"].map((name) => `(name = "${name}", address = "127.0.0.1:0", http = (), service = "${name}"),`);
  writeFileSync(join(dir, "config.capnp"), `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${services} (name = "cache", worker = .cache), (name = "disk", disk = (path = "disk", writable = true))],
  sockets = [${sockets.join(" ")}]
);
${PLACES.map(place).join("")}const cache :Workerd.Worker = (
  modules = [(name = "cache.js", esModule = embed "cache.js")],
  compatibilityDate = "2026-11-17"
);
`);
  workerd = spawn(program(), ["serve", "config.capnp", "--control-fd=1"], { cwd: dir, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  workerd.stderr.on("data", (data) => { said += data; });
  await new Promise((resolve, reject) => {
    workerd.on("exit", () => reject(new Error(`workerd ended: ${said}`)));
    let lines = "";
    workerd.stdout.on("data", (data) => {
      lines += data;
      for (const [, socket, port] of lines.matchAll(/"socket":"(\w+)","port":(\d+)/g)) ports[socket] = Number(port);
      if (Object.keys(ports).length === PLACES.length + 1) resolve();
    });
  });
});

after(() => {
  workerd?.removeAllListeners("exit");
  workerd?.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

const at = (name, path, init) => fetch(`http://127.0.0.1:${ports[name]}${path}`, init);
const cache = async (path) => (await at("cache", path)).json();

const encoded = (payload) => Buffer.from(JSON.stringify(payload)).toString("base64url");
let last = 0;

/** A head after all earlier ones; whether it takes something away is told against `before`. */
function head(before, takes) {
  last += 1;
  const taken_away = takes || before === undefined ? { seq: last, as_of: last } : before.taken_away;
  const payload = { seq: last, as_of: last, taken_away };
  return { ...payload, text: `${encoded({ alg: "EdDSA" })}.${encoded(payload)}.sig` };
}

async function announce(name, { text }) {
  const answer = await at(name, "/", { method: "PUT", body: text });
  assert.equal(answer.status, 204, await answer.text());
}

const newest = async (name) => (await at(name, "/")).text();

/** How many polls a place needs until it has a head. */
async function polls(name, { text }) {
  for (let count = 1; count <= POLLS_MAX; count++) {
    if ((await newest(name)) === text) return count;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${name} never has it`);
}

/** Waits until the double has counted so many more of something. */
async function counted(what, count) {
  for (let polled = 0; polled < POLLS_MAX; polled++) {
    if ((await cache("/"))[what] >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what}: ${JSON.stringify(await cache("/"))}`);
}

/** Waits until a purge could be sent at once again, so that copies are kept for their whole time; all places have one. */
async function calm() {
  for (let polled = 0; polled < POLLS_MAX; polled++) {
    await cache(`/pass?ms=${1_000 * CACHE_SECS + 1}`);
    await newest(PLACES[0]);
    if ((await cache("/")).last_max_age === CACHE_SECS) {
      for (const name of PLACES) await newest(name);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail("no purge can be sent");
}

let before_last;

test("an empty lane says so, and the first head replaces that everywhere", async () => {
  for (const name of PLACES) assert.equal((await at(name, "/")).status, 204);
  before_last = head(undefined, true);
  await announce("tokyo", before_last);
  for (const name of PLACES) await polls(name, before_last);
});

test("what is taken away is seen everywhere after a purge, and what is given after the cache's time", async () => {
  await calm();
  const { purged } = await cache("/");
  const given = head(before_last, false);
  await announce("lima", given);
  for (const name of PLACES) assert.equal(await newest(name), before_last.text, "there is no haste");
  await cache("/pass?ms=29000");
  assert.equal(await newest("paris"), before_last.text);
  await cache("/pass?ms=1001");
  for (const name of PLACES) assert.equal(await newest(name), given.text);
  assert.equal((await cache("/")).purged, purged);
  const taken = head(given, true);
  await announce("paris", taken);
  await counted("purged", purged + 1);
  for (const name of PLACES) await polls(name, taken);
  before_last = taken;
});

test("a place asks the object once, and the cache afterwards", async () => {
  const { hits, misses } = await cache("/");
  for (let count = 0; count < 20; count++) assert.equal(await newest("tokyo"), before_last.text);
  const now = await cache("/");
  assert.deepEqual([now.hits - hits, now.misses - misses], [20, 0]);
});

test("a purge that is late is late, and one that is lost costs the cache's time", async () => {
  for (const mode of ["late", "lose"]) {
    await cache(`/mode?is=${mode}`);
    const { purged, lost } = await cache("/");
    const taken = head(before_last, true);
    await announce("lima", taken);
    await counted(mode === "late" ? "purged" : "lost", (mode === "late" ? purged : lost) + 1);
    for (const name of PLACES) assert.equal(await newest(name), before_last.text, mode);
    await cache(mode === "late" ? "/arrive" : "/pass?ms=30001");
    for (const name of PLACES) assert.equal(await newest(name), taken.text, mode);
    before_last = taken;
  }
  await cache("/mode?is=prompt");
});

test("a purge that is refused or fails is tried again, and the publisher does not wait", async () => {
  for (const mode of ["refuse", "fail"]) {
    await cache(`/mode?is=${mode}`);
    const { purged } = await cache("/");
    const taken = head(before_last, true);
    await announce("tokyo", taken);
    if (mode === "refuse") await counted("refused", 1);
    assert.equal(await newest("lima"), before_last.text, mode);
    await cache("/mode?is=prompt");
    await counted("purged", purged + 1);
    for (const name of PLACES) await polls(name, taken);
    before_last = taken;
  }
});

test("while purges are refused, copies end by themselves after a moment", async () => {
  await cache("/mode?is=refuse");
  const { refused, purged } = await cache("/");
  const first = head(before_last, true);
  await announce("lima", first);
  await counted("refused", refused + 1);
  // Copies from before stay for their whole time, new ones do not.
  await cache(`/pass?ms=${1_000 * CACHE_SECS + 1}`);
  for (const name of PLACES) assert.equal(await newest(name), first.text);
  const second = head(first, true);
  await announce("tokyo", second);
  for (const name of PLACES) assert.equal(await newest(name), first.text);
  await cache(`/pass?ms=${1_000 * BRIEF_SECS + 1}`);
  for (const name of PLACES) assert.equal(await newest(name), second.text);
  assert.equal((await cache("/")).purged, purged, "without a purge");
  await cache("/mode?is=prompt");
  await counted("purged", purged + 1);
  before_last = second;
});

test("an older head that arrives late changes nothing", async () => {
  const older = head(before_last, true);
  const newer = head(older, true);
  await announce("paris", newer);
  const refused = await at("lima", "/", { method: "PUT", body: older.text });
  assert.deepEqual([refused.status, await refused.text()], [409, newer.text], "the publish route verifies what it has");
  for (const name of PLACES) {
    await polls(name, newer);
    assert.equal(await newest(name), newer.text);
  }
  before_last = newer;
});

test("an invalid head of a number that no publisher reaches is replaced everywhere", async () => {
  const seq = Number.MAX_SAFE_INTEGER;
  const forged = { text: `${encoded({ alg: "EdDSA" })}.${encoded({ seq, as_of: 1 })}.forged` };
  await announce("tokyo", forged);
  for (const name of PLACES) await polls(name, forged);
  const good = head(before_last, false);
  assert.equal((await at("lima", "/", { method: "PUT", body: good.text })).status, 409);
  const headers = { "is-invalid": "1" };
  assert.equal((await at("lima", "/", { method: "PUT", body: good.text, headers })).status, 204);
  for (const name of PLACES) await polls(name, good);
  before_last = good;
});

test("a thousand revocations at once are a handful of purges, and the last one counts", async () => {
  const { purged } = await cache("/");
  const start = Date.now();
  let taken = before_last;
  for (let count = 0; count < 1_000; count++) {
    taken = head(taken, true);
    await announce(PLACES[count % PLACES.length], taken);
  }
  for (const name of PLACES) await polls(name, taken);
  const count = (await cache("/")).purged - purged;
  // However long a busy machine takes: one at once, one after the last, and those between.
  assert.ok(count >= 1 && count <= 2 + (Date.now() - start) / SPACING_MS, `${count} purges`);
  before_last = taken;
});

test("a value of several rows comes back whole, and garbage is refused", async () => {
  const big = head(before_last, true);
  big.text += `\n${"x".repeat(3 * 1024 * 1024)}`;
  await announce("tokyo", big);
  await polls("lima", big);
  assert.notEqual((await at("paris", "/", { method: "PUT", body: "garbage" })).status, 204);
  assert.equal(await newest("lima"), big.text);
});

test("wrangler.toml has the object, the entrypoint, and a cache before that entrypoint alone", () => {
  const toml = readFileSync(join(root, "wrangler.toml"), "utf8");
  const source = readFileSync(join(root, "src/worker/entry.js"), "utf8");
  for (const name of ["Fresh", "FreshHead"]) assert.match(source, new RegExp(`export \\{[^}]*\\b${name}\\b[^}]*\\}`));
  assert.match(toml, /class_name = "FreshHead"/);
  const cached = [...toml.matchAll(/^\[exports\.(\w+)\]\ntype = "worker"\ncache = \{ enabled = (\w+) \}$/gm)];
  assert.deepEqual(cached.map(([, name, is]) => `${name} ${is}`), ["default false", "Entitlements false", "Fresh true"]);
});
