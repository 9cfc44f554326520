// The console's pages (docs/console.md), which `cargo xtask build` makes. They are served only where the variable CONSOLE
// is `on`: without it every path below /console is unknown, as any other.

const PATH = "/console";

/** A strict policy: own scripts, styles and requests only. No page may frame the console. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Whether the URL's path is the console's, or below it. */
export function is_console(url) {
  // After the scheme, as in known.mjs.
  const at = url.indexOf("/", 8);
  if (!url.startsWith(PATH, at)) return false;
  const after = url.charCodeAt(at + PATH.length);
  // The end, a slash, a question mark.
  return Number.isNaN(after) || after === 47 || after === 63;
}

/** The answer for a page or a file of the console; `undefined` where there is no console, or for another method. */
export function console_page(request, env) {
  const is_read = request.method === "GET" || request.method === "HEAD";
  if (env.CONSOLE !== "on" || env.ASSETS === undefined || !is_read) return undefined;
  const { pathname } = new URL(request.url);
  return pathname === `${PATH}/samples.json` ? samples(env) : asset(request, env);
}

/** The sample viewers of `cargo xtask dev`, the only one that sets the variable. */
function samples({ CONSOLE_SAMPLES }) {
  const is_there = typeof CONSOLE_SAMPLES === "string" && CONSOLE_SAMPLES !== "";
  const headers = { ...HEADERS, "cache-control": "private, no-store", "content-type": "application/json" };
  return is_there ? new Response(CONSOLE_SAMPLES, { headers }) : new Response("{}", { status: 404, headers });
}

async function asset(request, env) {
  const found = await env.ASSETS.fetch(request);
  const answer = new Response(found.body, found);
  for (const name of Object.keys(HEADERS)) answer.headers.set(name, HEADERS[name]);
  return answer;
}
