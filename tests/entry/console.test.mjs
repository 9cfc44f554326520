// Which requests the Worker's entry answers with the console's files, and with which headers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { console_page, is_console } from "../../src/worker/console.mjs";

const edge = "https://edge.example";

/** A double of the binding to the files, which says what it was asked for. */
function assets() {
  const asked = [];
  const fetch = async (request) => {
    asked.push(`${request.method} ${new URL(request.url).pathname}`);
    return new Response("page", { headers: { "content-type": "text/html", "content-security-policy": "default-src *" } });
  };
  return { ASSETS: { fetch }, asked };
}

test("only the console's path and the paths below it are the console's", () => {
  for (const path of ["/console", "/console/", "/console?x", "/console/assets/a.js", "/console/samples.json?x=1"]) {
    assert.equal(is_console(edge + path), true, path);
  }
  const others = ["", "/", "/consoles", "/console.html", "/Console/", "/x/console/", "/items/1/access?/console/", "/%63onsole/"];
  for (const path of others) assert.equal(is_console(edge + path), false, path);
  // A host of one letter, and one that is called like the path.
  assert.equal(is_console("http://a/console/"), true);
  assert.equal(is_console("http://console/items/1"), false);
});

test("files are served for reads where the console is on, and for nothing else", async () => {
  const on = { CONSOLE: "on", ...assets() };
  const get = (method = "GET") => new Request(`${edge}/console/`, { method });
  assert.equal((await console_page(get(), on)).status, 200);
  assert.equal((await console_page(get("HEAD"), on)).status, 200);
  for (const method of ["POST", "DELETE", "OPTIONS"]) assert.equal(console_page(get(method), on), undefined, method);
  assert.deepEqual(on.asked, ["GET /console/", "HEAD /console/"]);
  for (const CONSOLE of [undefined, "", "off", "ON", "true", true]) {
    assert.equal(console_page(get(), { ...assets(), CONSOLE }), undefined, String(CONSOLE));
  }
  assert.equal(console_page(get(), { CONSOLE: "on" }), undefined, "without files");
});

test("every answer has the policy, also instead of one that the file has", async () => {
  const env = { CONSOLE: "on", ...assets() };
  for (const path of ["/console/", "/console/samples.json"]) {
    const { headers } = await console_page(new Request(edge + path), env);
    const policy = headers.get("content-security-policy");
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/, path);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/, path);
    assert.equal(headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(headers.get("referrer-policy"), "no-referrer", path);
  }
});

test("samples are the variable's, are not kept, and never come from the files", async () => {
  const request = new Request(`${edge}/console/samples.json?x=1`);
  const env = { CONSOLE: "on", CONSOLE_SAMPLES: '{"viewers":[]}', ...assets() };
  const answer = await console_page(request, env);
  assert.deepEqual([answer.status, await answer.json()], [200, { viewers: [] }]);
  assert.equal(answer.headers.get("cache-control"), "private, no-store");
  for (const CONSOLE_SAMPLES of [undefined, "", {}]) {
    assert.equal((await console_page(request, { ...env, CONSOLE_SAMPLES })).status, 404);
  }
  assert.deepEqual(env.asked, []);
});
