//! What stands in for Cloudflare's parts around the Worker in workerd.

/// The request header that workerd takes `request.cf` from. Cloudflare's clients cannot send it.
pub const CF_HEADER: &str = "x-tests-cf";

/// The KV namespace: a service that speaks KV's HTTP protocol. Tests reach it on a second port of workerd, to
/// read and change values, to break keys by prefix, and to see which keys were read with which `cacheTtl`.
/// Lists have two keys a page.
pub const KV: &str = r#"
const values = new Map();
let broken = null, reads = [];
export default {
  async fetch(request) {
    const url = new URL(request.url);
    const key = decodeURIComponent(url.pathname.slice(1));
    // Read whatever comes of it: an answer before the end of the body would leave the writer waiting.
    const body = await request.arrayBuffer();
    if (key === "tests/break") { broken = request.method === "PUT" ? new TextDecoder().decode(body) : null; return new Response(null, { status: 204 }); }
    if (key === "tests/reads") { const taken = reads; reads = []; return Response.json(taken); }
    if (broken !== null && key.startsWith(broken)) return new Response("broken on cue", { status: 500 });
    if (key === "") {
      const prefix = url.searchParams.get("prefix") ?? "", after = atob(url.searchParams.get("cursor") ?? "");
      if (broken !== null && prefix.startsWith(broken)) return new Response("broken on cue", { status: 500 });
      const keys = [...values.keys()].filter(name => name.startsWith(prefix) && name > after).sort();
      const page = keys.slice(0, 2).map(name => ({ name })), list_complete = keys.length <= 2;
      return Response.json(list_complete ? { keys: page, list_complete } : { keys: page, list_complete, cursor: btoa(page[1].name) });
    }
    if (request.method === "PUT") { values.set(key, body); return new Response(null, { status: 204 }); }
    if (request.method === "DELETE") { values.delete(key); return new Response(null, { status: 204 }); }
    reads.push([key, Number(url.searchParams.get("cache_ttl"))]);
    return values.has(key) ? new Response(values.get(key)) : new Response("not found", { status: 404 });
  }
};
"#;

/// A substitute for Cloudflare's rate limits, which workerd does not have. A variable whose value has a
/// member `simple`, as `[[ratelimits]]` have, becomes such a binding.
pub const LIMITS: &str = r#"
class Ratelimit {
  #limit; #period; #windows = new Map();
  constructor({ limit, period }) { this.#limit = limit; this.#period = period; }
  async limit({ key = "" } = {}) {
    if (this.#limit < 0) throw new Error("broken on cue");
    const epoch = Math.floor(Date.now() / (this.#period * 1000));
    let window = this.#windows.get(key);
    if (window === undefined || window.epoch !== epoch) this.#windows.set(key, window = { epoch, count: 0 });
    return { success: ++window.count <= this.#limit };
  }
}
export default (env) => new Ratelimit(env.config.simple);
"#;

/// A substitute for Analytics Engine, which workerd has as an experiment only. A variable with this value becomes such a
/// binding, and each point a line of output.
pub const DATASET: &str = "tests: a dataset";
pub const POINTS: &str = r#"
export default () => ({ writeDataPoint(point) { console.log("point " + JSON.stringify(point)); } });
"#;

/// The parts of the configuration for a fresh lane: its object, and a second isolate that shares it.
#[derive(Default)]
pub struct Lane {
    pub services: &'static str,
    pub sockets: String,
    pub binding: &'static str,
    pub storage: &'static str,
    pub other: &'static str,
}

impl Lane {
    pub fn new() -> Self {
        Self {
            services: r#"
    (name = "other", worker = .other),
    (name = "objects", disk = (path = "objects", writable = true)),"#,
            sockets: format!(
                r#",
    (name = "other", address = "127.0.0.1:0", http = (cfBlobHeader = "{CF_HEADER}"), service = "other")"#
            ),
            binding: r#"(name = "FRESH_HEAD", durableObjectNamespace = (className = "FreshHead")), "#,
            storage: r#",
  durableObjectNamespaces = [(className = "FreshHead", uniqueKey = "fresh", enableSql = true)],
  durableObjectStorage = (localDisk = "objects")"#,
            other: r#"(name = "FRESH_HEAD", durableObjectNamespace = (className = "FreshHead", serviceName = "main")), "#,
        }
    }
}
