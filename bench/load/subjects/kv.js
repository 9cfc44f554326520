// A KV namespace over a directory. Reads take as long as KV's: HOT_MS for a key that this place has seen, COLD_MS for
// any other; both may be 0.
const seen = new Set();

export default {
  async fetch(request, env) {
    const key = decodeURIComponent(new URL(request.url).pathname.slice(1));
    const wait = Number(seen.has(key) ? env.HOT_MS : env.COLD_MS);
    if (wait > 0) await scheduler.wait(wait);
    seen.add(key);
    return env.FILES.fetch(`http://files/${key}`);
  },
};
