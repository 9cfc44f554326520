// docs/openapi.json as its readers see it: linters, and compilers of clients.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const require = createRequire(import.meta.url);
const bin = (name, path) => {
  const manifest = require.resolve(`${name}/package.json`);
  return manifest.replace(/package\.json$/, path);
};
// Nothing is sent to anyone, and nothing is looked up.
const env = { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true", CI: "1" };

function run(program, args) {
  try {
    return execFileSync(process.execPath, [program, ...args], { encoding: "utf8", env, cwd: file("."), stdio: "pipe" });
  } catch (error) {
    return assert.fail(`${error.stdout}${error.stderr}`);
  }
}

test("the linter has neither errors nor warnings", () => {
  const text = run(bin("@redocly/cli", "bin/cli.js"), ["lint", "docs/openapi.json", "--format", "json"]);
  const { totals, problems } = JSON.parse(text.slice(text.indexOf("{")));
  assert.deepEqual(problems.map((problem) => `${problem.ruleId}: ${problem.message}`), []);
  assert.deepEqual([totals.errors, totals.warnings], [0, 0]);
});

test("the types are those of the document", () => {
  const made = run(bin("openapi-typescript", "bin/cli.js"), ["docs/openapi.json"]);
  const written = readFileSync(file("types/openapi.d.ts"), "utf8");
  assert.ok(made.endsWith(written) || made.trim() === written.trim(), "types/openapi.d.ts is out of date: run `cargo xtask docs`");
});
