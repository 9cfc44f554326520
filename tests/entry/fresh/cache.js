// A double of Workers Cache: answers by place and URL, with tags and ages by a clock that the test moves, and purges that
// the test delays, loses or refuses. What the test wants comes by HTTP, what the Workers want by RPC.
import { WorkerEntrypoint } from "cloudflare:workers";

const kept = new Map();
let now_ms = 0;
let mode = "prompt";
let late = [];
/** For how long the last answer that was stored may be kept, in seconds. */
let last_max_age;
let counts = { hits: 0, misses: 0, purged: 0, lost: 0, refused: 0 };

function forget(tags) {
  for (const [key, answer] of kept) if (tags.some((tag) => answer.tags.includes(tag))) kept.delete(key);
}

export class Cache extends WorkerEntrypoint {
  match(place, url) {
    const answer = kept.get(`${place} ${url}`);
    const is_kept = answer !== undefined && now_ms < answer.until_ms;
    counts[is_kept ? "hits" : "misses"] += 1;
    return is_kept ? answer.body : undefined;
  }

  put(place, url, { tags, max_age, body }) {
    last_max_age = max_age;
    kept.set(`${place} ${url}`, { tags, body, until_ms: now_ms + 1000 * max_age });
  }

  purge({ tags }) {
    if (mode === "refuse") {
      counts.refused += 1;
      return { success: false, errors: [{ code: 10_429, message: "rate limit" }] };
    }
    if (mode === "fail") throw new Error("no answer");
    if (mode === "lose") counts.lost += 1;
    else {
      counts.purged += 1;
      if (mode === "late") late.push(tags);
      else forget(tags);
    }
    return { success: true, errors: [] };
  }
}

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/pass") now_ms += Number(searchParams.get("ms"));
    if (pathname === "/mode") mode = searchParams.get("is");
    if (pathname === "/arrive") {
      late.forEach(forget);
      late = [];
    }
    return Response.json({ ...counts, kept: kept.size, last_max_age });
  },
};
