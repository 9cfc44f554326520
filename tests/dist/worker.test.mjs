// The Worker's archive: the same bytes twice, a complete list of its parts, a deploy without Rust, and the two commands of
// its README, which lead to a running edge with a published sample.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import Ajv from "@redocly/ajv";
import { ROOT, Stage, archives, free_port, path_without_rust, until } from "./support/stage.mjs";

const ENVIRONMENTS = ["", "staging"];

let stage;
before(() => {
  stage = new Stage(archives()[0]);
  stage.add_command();
  stage.install();
});
after(() => stage?.remove());

test("two builds of one commit are the same, byte for byte", () => {
  const [one, again] = archives().map((archive) => readFileSync(archive));
  assert.ok(one.equals(again));
  const [archive] = archives();
  const digest = createHash("sha256").update(one).digest("hex");
  assert.equal(readFileSync(`${archive}.sha256`, "utf8").split(" ")[0], digest);
});

test("every file has its checksum", () => {
  const lines = stage.read("SHA256SUMS").trimEnd().split("\n").map((line) => line.split("  "));
  const files = (dir) =>
    readdirSync(join(stage.dir, dir), { withFileTypes: true }).flatMap((entry) => {
      const name = dir === "" ? entry.name : `${dir}/${entry.name}`;
      return entry.isDirectory() ? files(name) : [name];
    });
  const own = files("").filter((name) => !name.startsWith("node_modules/") && !name.startsWith("."));
  const listed = lines.map(([, name]) => name);
  assert.deepEqual(own.filter((name) => !listed.includes(name)), ["SHA256SUMS"]);
  for (const [digest, name] of lines) {
    assert.equal(createHash("sha256").update(readFileSync(join(stage.dir, name))).digest("hex"), digest, name);
  }
});

test("the list of parts is CycloneDX, and names what the Worker is made of", () => {
  const schemas = join(ROOT, "node_modules/@cyclonedx/cyclonedx-library/res/schema");
  const read = (name) => JSON.parse(readFileSync(join(schemas, name), "utf8"));
  const document = stage.json("sbom.cdx.json");
  const ajv = new Ajv({ strict: false, validateFormats: false });
  for (const name of ["spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"]) {
    ajv.addSchema(read(name), `http://cyclonedx.org/schema/${name}`);
  }
  const validate = ajv.compile(read(`bom-${document.specVersion}.SNAPSHOT.schema.json`));
  assert.ok(validate(document), JSON.stringify(validate.errors, null, 1));
  const names = document.components.map(({ name }) => name);
  for (const name of ["jwt-compact", "worker", "wasm-bindgen", "admit-token", "preact"]) assert.ok(names.includes(name), name);
  for (const name of ["clap", "ureq", "rusqlite"]) assert.ok(!names.includes(name), `${name} is not in the Worker`);
  assert.ok(document.components.every(({ licenses }) => licenses.length === 1));
});

test("no program of Rust can be found", () => {
  for (const dir of path_without_rust().split(":")) assert.ok(!existsSync(join(dir, "cargo")), dir);
});

test("the modules are those that import each other, and no others", () => {
  const modules = readdirSync(join(stage.dir, "worker"));
  const imported = modules
    .filter((name) => !name.endsWith(".wasm"))
    .flatMap((name) => [...stage.read(`worker/${name}`).matchAll(/\b(?:from|import)\s*["']\.\/([\w.]+)["']/g)].map(([, other]) => other));
  assert.deepEqual([...new Set([...imported, "index.js"])].sort(), modules.sort());
});

test("the Wasm names no directory of the machine that built it", () => {
  const wasm = readFileSync(join(stage.dir, "worker/index_bg.wasm"), "latin1");
  for (const dir of [homedir(), ROOT]) assert.ok(!wasm.includes(join(dir, "/")), dir);
});

for (const environment of ENVIRONMENTS) {
  test(`wrangler would deploy ${environment === "" ? "the top level" : environment} as it is`, () => {
    const said = stage.run("npx", ["wrangler", "deploy", "--dry-run", `--env=${environment}`, "--outdir=uploaded"]);
    assert.doesNotMatch(said, /WARNING|Unexpected fields|exists at the top level/, said);
    const modules = readdirSync(join(stage.dir, "worker")).sort();
    for (const module of modules.filter((name) => name !== "index.js")) assert.ok(said.includes(module), `${module}\n${said}`);
    assert.deepEqual(readdirSync(join(stage.dir, "uploaded")).filter((name) => name !== "README.md").sort(), modules);
    for (const name of modules) {
      const [uploaded, packed] = ["uploaded", "worker"].map((dir) => readFileSync(join(stage.dir, dir, name)));
      assert.ok(uploaded.equals(packed), name);
    }
    for (const binding of ["SNAPSHOT", "ASSETS", "LIMIT_READS", "LIMIT_WRITES"]) assert.match(said, new RegExp(`env\\.${binding}\\b`), said);
    stage.run("rm", ["-r", "uploaded"]);
  });
}

test("a repository of the release's own gets no key and no secret", () => {
  const git = (...args) => stage.run("git", ["-c", "init.defaultBranch=main", ...args]);
  git("init", "--quiet");
  try {
    stage.run("admit", ["keygen", "--alg", "EdDSA", "--kid", "s", "--out", "snapshot.jwk"]);
    stage.run("mkdir", ["-p", ".sample", "keys", ".wrangler/state"]);
    // What the pages ask for beside it, keys of `npm start`, and what editors and tools leave.
    const secrets = [
      "publisher.jwk", "keys/staging.jwk", ".sample/publisher.jwk", ".sample/dev.vars", ".dev.vars", ".dev.vars.staging", ".env",
      ".env.production", "follower.env", "origin.env", "merchant.jwt", "playback.pem", "keys/cloudfront.key", "shop.pgpass", ".pgpass",
      "export.ndjson", ".wrangler/state/kv",
    ];
    for (const name of secrets) writeFileSync(join(stage.dir, name), "secret");
    const added = git("add", "--all", "--dry-run").trimEnd().split("\n").map((line) => line.match(/^add '(.*)'$/)[1]);
    for (const name of ["snapshot.jwk", ...secrets]) assert.ok(!added.includes(name), name);
    assert.ok(!added.some((name) => name.startsWith("node_modules/")));
    // Everything of the release is there, the form of the deploy button among it.
    const listed = stage.read("SHA256SUMS").trimEnd().split("\n").map((line) => line.split("  ")[1]);
    assert.deepEqual([...listed, "SHA256SUMS"].filter((name) => !added.includes(name)), []);
    assert.ok(added.includes(".dev.vars.example"));
    for (const name of ["snapshot.jwk", ...secrets]) stage.run("rm", [name]);
  } finally {
    stage.run("rm", ["-r", ".git", ".wrangler/state", "keys"]);
  }
});

test("two commands give a running edge with a published sample", async () => {
  const readme = stage.read("README.md");
  const [, commands] = readme.match(/```sh\n(npm ci --ignore-scripts\nnpm start)\n```/) ?? [];
  assert.ok(commands, "the README has the two commands, the first of which has been run");
  const port = await free_port();
  const url = `http://127.0.0.1:${port}`;
  const running = stage.start("npm", ["start", "--", "--port", String(port)]);
  try {
    await until("the sample is published", () => {
      assert.ok(!running.has_ended(), running.said());
      return running.said().includes("Ctrl-C stops it.");
    });
    const [, token] = running.said().match(/Authorization: Bearer ([\w.-]+)"/);
    const ask = (path, headers) => fetch(`${url}${path}`, { headers });
    const granted = await ask("/items/5101/access", { authorization: `Bearer ${token}` });
    assert.equal(granted.status, 200, await granted.clone().text());
    assert.equal((await granted.json()).item.title, "The Salt Road");
    assert.equal((await ask("/items/5101/access", { authorization: "Bearer x.y.z" })).status, 401);
    assert.equal((await ask("/healthz", {})).status, 200);
    const page = await ask("/console/", {});
    assert.match(page.headers.get("content-security-policy"), /default-src 'none'/);
    const samples = await (await ask("/console/samples.json", {})).json();
    const viewers = new Map(samples.viewers.map((viewer) => [viewer.name, viewer]));
    const never = viewers.get("never-bought");
    assert.equal((await ask(`/items/${never.item_id}/access`, { authorization: `Bearer ${never.token}` })).status, 402);
    assert.equal((await fetch(`${url}/snapshot/head`, { method: "PUT", body: "x" })).status, 401);
    // The command `admit` of the release goes on where the sample ends, with its keys.
    const [, publish] = readme.match(/```sh\n(admit publish .*)\n```/);
    stage.catalogue("my-catalogue");
    const said = stage.run("bash", ["--norc", "-c", publish.replace("http://127.0.0.1:8787", url)]);
    assert.match(said, /Published seq [2-9]/, said);
    assert.equal((await ask("/items/5101/access", { authorization: `Bearer ${token}` })).status, 200);
  } finally {
    await running.stop();
  }
});
