// types/entitlements.d.ts, as compilers of callers see it, and the methods that it declares.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { METHODS } from "../../src/worker/rpc.mjs";

const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

test("callers and the examples compile, and wrong calls do not", () => {
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  try {
    execFileSync(process.execPath, [tsc, "-p", file("types/tsconfig.json")], { encoding: "utf8" });
  } catch (error) {
    assert.fail(error.stdout);
  }
});

test("the types declare the methods of the entrypoint, and no others", () => {
  const [, declared] = readFileSync(file("types/entitlements.d.ts"), "utf8").split("export declare class Entitlements");
  const [, defined] = readFileSync(file("src/worker/entry.js"), "utf8").split("export class Entitlements");
  const methods = (text) => [...text.matchAll(/^  (\w+)\(/gm)].map(([, name]) => name);
  assert.deepEqual(methods(declared), METHODS);
  assert.deepEqual(methods(defined), METHODS);
});
