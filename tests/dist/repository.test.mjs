// The repository's own wrangler.toml, as a checkout deploys it: the build command with its check runs, and wrangler bundles
// what it has built. Only the values that a person has to put in are put in.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ROOT } from "./support/stage.mjs";

const KEY = { kty: "OKP", crv: "Ed25519", alg: "EdDSA", use: "sig", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
const jwks = (kid) => JSON.stringify({ keys: [{ ...KEY, kid }] });
const ISSUERS = JSON.stringify([
  { issuer: "https://id.example.com", namespace: "vendor", audience: { any_of: ["tv"] }, keys: { jwks_url: "https://id.example.com/jwks.json" } },
  { issuer: "https://publisher.example.com", namespace: "publisher", audience: { any_of: ["admit"] }, may: ["publish"], keys: { jwks: JSON.parse(jwks("publisher-1")) } },
]);
const values = (kid) => `ISSUERS = '${ISSUERS}'\nSNAPSHOT_KEYS = '${jwks(kid)}'\n`;

/** Puts lines behind the one line of the file that matches. */
function behind(text, line, more) {
  assert.equal(text.match(line)?.length, 1, line);
  return text.replace(line, (found) => `${found}${more}`);
}

/** The repository's file with a person's values, for another directory. */
function filled() {
  let text = readFileSync(join(ROOT, "wrangler.toml"), "utf8");
  for (const [name, path] of [["main", "build/index.js"], ["directory", "console/dist"]]) {
    const line = `${name} = "${path}"\n`;
    assert.equal(text.split(line).length, 2, line);
    text = text.replace(line, `${name} = ${JSON.stringify(join(ROOT, path))}\n`);
  }
  text = behind(text, /^name = "admit"\n/gm, 'routes = [{ pattern = "entitlements.example.com", custom_domain = true }]\n');
  text = behind(text, /^\[vars\]\n/gm, values("snapshot-1"));
  return behind(text, /^\[env\.staging\.vars\]\n/gm, `${values("staging-1")}SNAPSHOT_AUDIENCE = "staging"\n`);
}

let dir;
before(() => (dir = mkdtempSync(join(tmpdir(), "admit-repository-"))));
after(() => rmSync(dir, { recursive: true, force: true }));

function dry_run(environment, config) {
  const file = join(dir, "wrangler.toml");
  writeFileSync(file, config);
  const args = ["deploy", "--dry-run", `--env=${environment}`, "--config", file, "--outdir", join(dir, "uploaded")];
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", CI: "1", WRANGLER_LOG_PATH: join(dir, "logs") };
  const ended = spawnSync(join(ROOT, "node_modules/.bin/wrangler"), args, { cwd: ROOT, env, encoding: "utf8", timeout: 540_000 });
  return { status: ended.status, said: `${ended.stdout}${ended.stderr}${ended.error ?? ""}` };
}

for (const environment of ["", "staging"]) {
  test(`wrangler would deploy ${environment === "" ? "the top level" : environment} of the repository`, () => {
    const { status, said } = dry_run(environment, filled());
    assert.equal(status, 0, said);
    assert.doesNotMatch(said, /WARNING|Unexpected fields|exists at the top level/, said);
    assert.match(said, /Running: cargo xtask build --for-wrangler\n/, said);
    for (const binding of ["SNAPSHOT", "ASSETS", "FRESH_HEAD", "LIMIT_READS", "LIMIT_WRITES"]) assert.match(said, new RegExp(`env\\.${binding}\\b`), said);
    const uploaded = readdirSync(join(dir, "uploaded"));
    assert.ok(uploaded.includes("index.js") && uploaded.some((name) => name.endsWith(".wasm")), uploaded.join());
    rmSync(join(dir, "uploaded"), { recursive: true });
  });
}

test("a deploy says what a person forgot", () => {
  const { status, said } = dry_run("staging", filled().replace(/^SNAPSHOT_AUDIENCE = .*\n/m, "").replace(values("staging-1"), ""));
  assert.notEqual(status, 0, said);
  assert.match(said, /ISSUERS is not set/, said);
});
