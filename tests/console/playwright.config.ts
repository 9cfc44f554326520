// The console in a real Chromium, with the `cargo xtask dev` of `cargo xtask test` behind it (docs/console.md).
import { defineConfig } from "@playwright/test";
import { required } from "./support/run";

export default defineConfig({
  testDir: ".",
  testMatch: "*.spec.ts",
  outputDir: required("ADMIT_CONSOLE_RESULTS", "a directory for traces"),
  // One after another: they buy, revoke and stop the origin of one run.
  workers: 1,
  fullyParallel: false,
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [["list"], ["./support/tally.mjs"]],
  use: {
    baseURL: required("ADMIT_BASE_URL", "the Worker's address"),
    trace: "retain-on-failure",
    permissions: ["clipboard-read", "clipboard-write"],
    launchOptions: {
      executablePath: required("ADMIT_CHROMIUM", "the path of a Chromium"),
      // The browser itself asks nobody, either.
      args: ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"],
    },
  },
});
