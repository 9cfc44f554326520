// A place: an isolate of the Worker with the double of Workers Cache before its entrypoint. The Worker's own modules are
// imported as they are shipped.
import { WorkerEntrypoint } from "cloudflare:workers";
import { Fresh as Own, FreshHead } from "./fresh.mjs";
import { lane } from "./lane.js";

export { FreshHead };

/** The Worker's entrypoint, past the cache. */
export class Uncached extends Own {}

export class Fresh extends WorkerEntrypoint {
  async fetch(request) {
    const { CACHE, PLACE } = this.env;
    const body = await CACHE.match(PLACE, request.url);
    if (body !== undefined) return new Response(body);
    const response = await this.ctx.exports.Uncached.fetch(request);
    const fresh = await response.arrayBuffer();
    const max_age = Number(/^public, max-age=(\d+)$/.exec(response.headers.get("cache-control"))[1]);
    await CACHE.put(PLACE, request.url, { tags: response.headers.get("cache-tag").split(","), max_age, body: fresh });
    return new Response(fresh);
  }

  purge() {
    const { CACHE } = this.env;
    return Own.prototype.purge.call({ ctx: { cache: { purge: (options) => CACHE.purge(options) } } });
  }
}

export default {
  async fetch(request) {
    if (!lane("is_there")) return new Response("there is no lane", { status: 404 });
    if (request.method === "PUT") {
      const value = new Uint8Array(await request.arrayBuffer());
      let newer = await lane("announce", value);
      // As the publish route does when it cannot verify what the object has.
      if (newer !== undefined && request.headers.has("is-invalid")) newer = await lane("announce", value, newer);
      // What the Wasm takes for a value, and nothing else.
      if (newer !== undefined && !(newer instanceof Uint8Array)) return new Response(String(newer), { status: 500 });
      return newer === undefined ? new Response(null, { status: 204 }) : new Response(newer, { status: 409 });
    }
    const value = await lane("newest");
    return value === undefined ? new Response(null, { status: 204 }) : new Response(value);
  },
};
