// Every command of docs/deploy.md as it is printed, in the directory of a release. ```sh blocks run; those marked `edge` run
// against the page's own Worker on this machine; of those marked `account` wrangler must have the command and its options.
// ```toml blocks go into wrangler.toml where the page says so.
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ROOT, Stage, archives, free_port, path_without_rust, until } from "./support/stage.mjs";

const PAGE = readFileSync(join(ROOT, "docs/deploy.md"), "utf8");
const HOST = "https://entitlements.example.com";

/** The blocks of the page in their order: language, mark, lines, and the heading above. */
const blocks = PAGE.split("\n## ").slice(1).flatMap((section) => {
  const heading = section.slice(0, section.indexOf("\n"));
  return [...section.matchAll(/\n```(sh|toml)(?: (\w+))?\n(.*?)\n```/gs)].map(([, language, mark, text]) => ({ heading, language, mark, text }));
});

let stage;
before(() => {
  stage = new Stage(archives()[0]);
  // The command `admit` of this release, as a program on the path.
  copyFileSync(process.env.ADMIT_COMMAND, join(stage.parent, "admit"));
  stage.env.PATH = path_without_rust([stage.parent]);
});
after(() => stage?.remove());

const shell = (text) => stage.run("bash", ["--norc", "-euo", "pipefail", "-c", text]);
const public_half = (name) => JSON.stringify(JSON.parse(shell(`admit keygen --public ${name}`)).keys[0]);

/** Edits wrangler.toml as the page asks a person to. */
function configure({ mark, text }) {
  const filled = text.replace(/the public half of (\w+\.jwk)/g, (_, name) => public_half(name));
  const places = { top: /^name = .*\n/m, vars: /^\[vars\]\n/m, staging: /^\[env\.staging\.vars\]\n/m };
  const file = join(stage.dir, "wrangler.toml");
  const before = readFileSync(file, "utf8");
  assert.match(before, places[mark], mark);
  writeFileSync(file, before.replace(places[mark], (line) => `${line}${filled}\n`));
}

let worker;
let exported = "";
async function on_the_edge(text, heading) {
  if (worker === undefined) {
    const port = await free_port();
    const url = `http://127.0.0.1:${port}`;
    const running = stage.start("npx", ["wrangler", "dev", "--env=", "--ip=127.0.0.1", `--port=${port}`, "--inspector-port=0", "--show-interactive-dev-session=false"]);
    worker = { url, running };
    await until("the Worker answers", async () => (await fetch(`${url}/healthz`).catch(() => undefined))?.status === 503);
  }
  if (heading === "Roll the data back") {
    // What the page assumes: something was published since.
    shell(`${exported}admit generate --customers 900 --seq 2 --out later.ndjson\nadmit publish --from later.ndjson --to ${worker.url} --key snapshot.jwk`);
  }
  const said = shell(exported + text.replaceAll(HOST, worker.url));
  exported += text.split("\n").filter((line) => line.startsWith("export ")).map((line) => `${line}\n`).join("");
  return said;
}

const helps = new Map();
function help(words) {
  if (!helps.has(words)) helps.set(words, stage.run("npx", ["wrangler", ...words.split(" "), "--help"]));
  return helps.get(words);
}

/** That wrangler has the command, with these options. */
function check_command(line) {
  const words = line.split(/ (?=(?:[^"]*"[^"]*")*[^"]*$)/);
  assert.deepEqual(words.slice(0, 2), ["npx", "wrangler"], line);
  const [names] = words.slice(2).join(" ").match(/^[a-z]+( [a-z]+)*/);
  const text = help(names);
  assert.match(text, new RegExp(`wrangler ${names}\\b`), line);
  for (const option of words.filter((word) => word.startsWith("--"))) assert.match(text, new RegExp(`${option.split("=")[0]}\\b`), line);
}

test("every command of the page runs as it is printed", async () => {
  const ran = { sh: 0, edge: 0, account: 0, toml: 0 };
  try {
    for (const { heading, language, mark, text } of blocks) {
      if (language === "toml") configure({ mark, text });
      else if (mark === "account") text.split("\n").forEach(check_command);
      else if (mark === "edge") console.log(await on_the_edge(text, heading));
      else {
        const said = shell(exported + text);
        assert.doesNotMatch(said, /Unexpected fields|\[WARNING\]/, said);
      }
      ran[language === "toml" ? "toml" : (mark ?? "sh")] += text.split("\n").length;
    }
  } finally {
    await worker?.running.stop();
  }
  assert.ok(Object.values(ran).every((lines) => lines > 2), JSON.stringify(ran));
});

test("a block with an error is noticed", () => {
  assert.throws(() => check_command('npx wrangler versions deploy NEW --no-such-option'));
  assert.throws(() => shell("admit keygen --alg none"));
  rmSync(join(stage.dir, "absent"), { force: true });
});
