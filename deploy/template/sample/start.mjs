// `npm start`: runs the Worker in wrangler dev with keys of this machine, publishes the sample to it, and prints what to
// ask. Nothing of it is for production: the sample's store is known to everyone.
//
//   --port N    answer on this port (8787)
//   --check     ask what each sample viewer expects, print it and stop
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { AUDIENCE, DIR, ROOT, dev_keys, token, write_vars } from "./keys.mjs";
import { publish } from "./publish.mjs";

/** wrangler answers within seconds; a machine that is busy takes longer. */
const START_LIMIT_MS = 120_000;
const PAUSE_MS = 200;

const { values: options } = parseArgs({ options: { port: { type: "string" }, check: { type: "boolean" } } });
const { viewers, items } = JSON.parse(readFileSync(join(ROOT, "sample/viewers.json"), "utf8"));
const DAY_SECS = 86_400;

function free_port(wanted) {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(wanted, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** wrangler dev, in a process group of its own, so that workerd ends with it. */
function start_worker(port) {
  const args = [
    join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "dev", "--env=", "--ip=127.0.0.1", `--port=${port}`, "--inspector-port=0",
    "--show-interactive-dev-session=false", `--persist-to=${join(DIR, "state")}`, `--env-file=${join(DIR, "vars")}`,
  ];
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_LOG_PATH: join(DIR, "logs") };
  const child = spawn(process.execPath, args, { cwd: ROOT, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => said.push(text));
  return { child, said };
}

async function until_it_answers(url, { child, said }) {
  const end = Date.now() + START_LIMIT_MS;
  while (Date.now() < end && child.exitCode === null) {
    const answer = await fetch(`${url}/healthz`).catch(() => undefined);
    await answer?.arrayBuffer();
    // 503: it runs, and nothing is published.
    if (answer?.status === 200 || answer?.status === 503) return;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(`the Worker does not answer:\n${Buffer.concat(said).toString()}`);
}

async function ask(url, viewer) {
  const headers = { authorization: `Bearer ${viewer.token}` };
  const answer = await fetch(`${url}/items/${viewer.item_id}/access`, { headers });
  await answer.arrayBuffer();
  return answer.status;
}

/** What the console at /console/ shows: the sample viewers with their tokens, the items, tokens of staff. */
function samples(keys, with_tokens) {
  const row = ({ name, why, token, item_id, claims }) => ({
    name, why, token, item_id, customer: `vendor:${claims.sub}`, number: claims.aid, merchant_id: claims.mid, is_merchant: false,
  });
  const staff = (name, scope) =>
    token(keys[name], { iss: `https://${name}.dev.admit.example`, aud: AUDIENCE, sub: name, ...scope }, DAY_SECS);
  const [support, operator] = [staff("support", {}), staff("publisher", { scope: "snapshot:read" })];
  return { viewers: with_tokens.map(row), items, support, operator, option: "" };
}

async function main() {
  const port = await free_port(options.port === undefined ? 8787 : Number(options.port));
  const url = `http://127.0.0.1:${port}`;
  rmSync(join(DIR, "state"), { recursive: true, force: true });
  const keys = dev_keys();
  const claims = (viewer) => ({ iss: "https://vendor.dev.admit.example", aud: AUDIENCE, ...viewer.claims });
  const with_tokens = viewers.map((viewer) => ({ ...viewer, token: token(keys.vendor, claims(viewer), 30 * DAY_SECS) }));
  write_vars(keys, samples(keys, with_tokens));

  const worker = start_worker(port);
  let is_asked_to_stop = false;
  const stop = () => {
    is_asked_to_stop = true;
    try {
      process.kill(-worker.child.pid, "SIGTERM");
    } catch {
      // It has ended.
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, stop);
  try {
    await until_it_answers(url, worker);
    await publish(url, keys);
    let wrong = 0;
    for (const viewer of with_tokens) {
      const status = await ask(url, viewer);
      wrong += status === viewer.expect ? 0 : 1;
      console.log(`${status}  ${viewer.name}: ${viewer.why}`);
    }
    if (wrong > 0) throw new Error(`${wrong} viewers were not answered as expected`);
    if (options.check) return;
    const [buyer] = with_tokens;
    console.log(`\nOpen  ${url}/console/     why may a viewer play an item, or not?\n`);
    console.log(`curl -i -H "Authorization: Bearer ${buyer.token}" ${url}/items/${buyer.item_id}/access\n\nCtrl-C stops it.`);
    await new Promise((resolve) => worker.child.once("exit", resolve));
    if (!is_asked_to_stop) throw new Error(`the Worker has ended:\n${Buffer.concat(worker.said).toString()}`);
  } finally {
    stop();
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(`error: ${error.message}`);
    process.exit(1);
  },
);
