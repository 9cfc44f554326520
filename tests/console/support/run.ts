// The run of `cargo xtask dev` that the tests look at: addresses, sample viewers, commands.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A variable's value. Fails if it is not set: a suite that skips itself would pass without a Worker. */
export function required(name: string, meaning: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: it must be ${meaning}; \`cargo xtask test\` sets it`);
  return value;
}

export interface Persona {
  name: string;
  token: string;
  item_id: number;
  customer: string;
}

const dir = () => required("ADMIT_DEV_DIR", "the directory of the run");

/** A sample viewer. */
export function persona(name: string): Persona {
  const all = JSON.parse(readFileSync(required("ADMIT_PERSONAS", "the run's personas.json"), "utf8")) as Persona[];
  const found = all.find((persona) => persona.name === name);
  if (!found) throw new Error(`there is no sample viewer ${name}`);
  return found;
}

/** The token of somebody who is not a viewer. */
export function token(name: "support" | "operator"): string {
  return readFileSync(join(dir(), `${name}.token`), "utf8").trim();
}

/** Runs `cargo xtask` for this run. */
export function xtask(...args: string[]): string {
  return execFileSync(required("ADMIT_XTASK", "the program xtask"), [...args, "--dir", dir()], { encoding: "utf8" });
}

/** Runs the command `admit` against the run's Worker, as its operator. */
export function admit(...args: string[]): string {
  const env = { ...process.env, ADMIT_TOKEN: token("operator") };
  const from = ["--from", required("ADMIT_BASE_URL", "the Worker's address"), "--key", required("ADMIT_SNAPSHOT_KEY", "the key of the snapshot")];
  return execFileSync(required("ADMIT_COMMAND", "the program admit"), [...args, ...from], { encoding: "utf8", env });
}

/** Sends a request to the Worker, past the console. */
export async function ask(path: string, token: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string> | undefined) };
  return fetch(required("ADMIT_BASE_URL", "the Worker's address") + path, { ...init, headers });
}

/** Milliseconds between two looks at whether the origin answers. */
const LOOK_MS = 250;

/** Does `work` while the origin is down. Ends when the edge sends writes to it again: it waits some seconds after failures. */
export async function withoutOrigin(work: () => Promise<void>): Promise<void> {
  xtask("origin", "--stop");
  try {
    await work();
  } finally {
    xtask("origin");
    // A write that changes nothing, since no item has this number.
    const write = () => ask("/items/5999/access?consumer_id=1", persona("merchant").token, { method: "DELETE" });
    while ((await write()).status >= 500) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
