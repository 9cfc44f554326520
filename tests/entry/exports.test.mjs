// Which exports of the Wasm the build leaves out: the methods of classes that are never
// instantiated.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The exports that remain of a module with these exports and imports. */
function used(exports, imports = []) {
  const dir = mkdtempSync(join(tmpdir(), "admit-exports-"));
  try {
    const parts = [
      ...imports.map((name) => `(import "./index_bg.js" "${name}" (func))`),
      ...exports.map((name) => `(func (export "${name}"))`),
    ];
    writeFileSync(join(dir, "m.wat"), `(module ${parts.join(" ")})`);
    const assembler = join(root, "node_modules/binaryen/bin/wasm-as");
    execFileSync(process.execPath, [assembler, join(dir, "m.wat"), "-o", join(dir, "m.wasm")]);
    const graph = execFileSync(process.execPath, [join(root, "xtask/src/used_exports.mjs"), join(dir, "m.wasm")]);
    return JSON.parse(graph).map(({ name }) => name);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const counter = ["counter_add", "__wbg_counter_free", "__wbg_get_counter_n", "__wbg_set_counter_n"];

test("a class that is never instantiated is left out, and nothing else", () => {
  assert.deepEqual(used(["fetch", "counters", ...counter]), ["fetch", "counters"]);
});

test("a class that Rust gives to JavaScript stays", () => {
  const exports = ["fetch", ...counter];
  assert.deepEqual(used(exports, ["__wbg_counter_new"]), exports);
});

test("a class that JavaScript constructs stays", () => {
  const exports = ["fetch", "counter_new", ...counter];
  assert.deepEqual(used(exports), exports);
});
