// A release in an empty directory, on a machine that has Node.js and neither Rust nor this repository.
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

function variable(name) {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: \`cargo xtask test\` sets it`);
  return value;
}

/** The archives of the same Worker, which was built twice. */
export const archives = () => ["ADMIT_DIST", "ADMIT_DIST_AGAIN"].map((name) => archive_in(variable(name)));

function archive_in(dir) {
  const name = readdirSync(dir).find((file) => /^admit-worker-.*\.tar\.gz$/.test(file));
  return join(dir, name);
}

const is_program = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** PATH without the directories of Rust and of this repository's tools. Those of `more` come first. */
export function path_without_rust(more = []) {
  const dirs = process.env.PATH.split(delimiter);
  const has_rust = (dir) => ["cargo", "rustc", "rustup"].some((program) => is_program(join(dir, program)));
  const is_ours = (dir) => dir.startsWith(join(ROOT, "node_modules"));
  return [...more, ...dirs.filter((dir) => !has_rust(dir) && !is_ours(dir))].join(delimiter);
}

const NO_COLOUR = /\x1b\[[0-9;]*m/g;

/** An unpacked release. */
export class Stage {
  constructor(archive) {
    this.parent = mkdtempSync(join(tmpdir(), "admit-dist-"));
    this.run("tar", ["-xzf", archive], { cwd: this.parent });
    this.dir = join(this.parent, basename(archive, ".tar.gz"));
    this.env = {
      PATH: path_without_rust(), HOME: process.env.HOME, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", CI: "1",
      WRANGLER_LOG_PATH: join(this.parent, "logs"),
    };
    // Mirrors and certificates, where this machine needs them.
    for (const name of Object.keys(process.env)) {
      if (/^(npm_config_|NODE_EXTRA_CA_CERTS|SSL_CERT|https?_proxy|no_proxy)/i.test(name)) this.env[name] = process.env[name];
    }
  }

  /** The output of a program, both streams. It must succeed. */
  run(program, args, options = {}) {
    const ended = spawnSync(program, args, { cwd: this.dir, env: this.env ?? process.env, encoding: "utf8", timeout: 300_000, stdio: ["ignore", "pipe", "pipe"], ...options });
    const text = `${ended.stdout}${ended.stderr}`.replace(NO_COLOUR, "");
    if (ended.error !== undefined || ended.status !== 0) {
      throw new Error(`${program} ${args.join(" ")}: ${ended.error ?? ended.status}\n${text}`);
    }
    return text;
  }

  /** The first of the two commands of README.md. */
  install() {
    return this.run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]);
  }

  read(name) {
    return readFileSync(join(this.dir, name), "utf8");
  }

  json(name) {
    return JSON.parse(this.read(name));
  }

  /** Starts a program that goes on; `stop()` ends it and what it has started. */
  start(program, args) {
    const child = spawn(program, args, { cwd: this.dir, env: this.env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += text));
    const ended = new Promise((resolve) => child.once("exit", resolve));
    return {
      said: () => said,
      has_ended: () => child.exitCode !== null,
      async stop() {
        if (child.exitCode === null) process.kill(-child.pid, "SIGTERM");
        return ended;
      },
    };
  }

  remove() {
    rmSync(this.parent, { recursive: true, force: true });
  }
}

export function free_port() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export async function until(what, is_so, limit_ms = 120_000) {
  for (const end = Date.now() + limit_ms; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 200))) {
    if (await is_so()) return;
  }
  throw new Error(`${what}: not within ${limit_ms / 1000} s`);
}
