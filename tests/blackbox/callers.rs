//! Workers beside this one that call its entrypoint `Entitlements`: a caller for tests, and `examples/video-gate`.

use std::{fs, path::Path, process::Command, sync::LazyLock};

use serde_json::Value;

/// Another Worker with bindings to this one: it calls the method that its path names, `/<binding>/<method>`, with the
/// arguments in the body.
const CALLER: &str = r#"
export default {
  async fetch(request, env) {
    const [, binding, method] = new URL(request.url).pathname.split("/");
    try { return Response.json({ result: (await env[binding][method](...await request.json())) ?? null }); }
    catch (error) { return Response.json({ error: `${error}` }); }
  }
};
"#;

/// The caller's bindings to the entrypoint `Entitlements`, and their props.
const BINDINGS: [(&str, &str); 6] = [
    ("ANY", "{}"),
    ("FERNHOLLOW", r#"{"merchant": 2101}"#),
    ("TIDEGATE", r#"{"merchant": 3407}"#),
    ("LICENSES", r#"{"capabilities": ["licenses"]}"#),
    ("MISSPELT", r#"{"merchants": 2101}"#),
    ("UNKNOWN", r#"{"capabilities": ["chek"]}"#),
];

/// What lies behind the Worker of `examples/video-gate`.
const MEDIA: &str = r#"
export default {
  fetch({ url, headers }) {
    const told = { url, authorization: headers.get("authorization"), range: headers.get("range") };
    return Response.json(told, { status: told.range === null ? 200 : 206, headers: { "cache-control": "public" } });
  }
};
"#;

/// The Worker of `examples/video-gate`, compiled as wrangler does.
static GATE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut esbuild = Command::new(root.join("node_modules/.bin/esbuild"));
    esbuild.arg(root.join("examples/video-gate/src/index.ts")).args(["--bundle", "--format=esm"]);
    let output = esbuild.output().expect("esbuild runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
});

/// Writes the modules that [`config`] names.
pub fn write_modules(dir: &Path) {
    for (name, module) in
        [("caller.js", CALLER.as_bytes()), ("media.js", MEDIA.as_bytes()), ("gate.js", &GATE)]
    {
        fs::write(dir.join(name), module).unwrap();
    }
}

/// The props of the example's binding as JSON, from its `wrangler.toml`.
fn gate_props() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/video-gate/wrangler.toml");
    let toml = fs::read_to_string(path).unwrap();
    let props = toml.lines().find_map(|line| line.strip_prefix("props = ")).expect("the binding has props");
    let json = props.replace("merchant =", r#""merchant":"#).replace("capabilities =", r#""capabilities":"#);
    serde_json::from_str::<Value>(&json).unwrap().to_string()
}

/// The parts of workerd's configuration for the Workers that call `main`.
#[derive(Default)]
pub struct Callers {
    pub services: String,
    pub sockets: String,
    pub workers: String,
}

/// The caller, with all of its bindings, and the example. Requests to the example may have the header `cf_header`.
pub fn config(date: &str, cf_header: &str) -> Callers {
    let binding = |name: &str, props: &str| {
        let props = props.replace('"', "\\\"");
        let service = "(name = \"main\", entrypoint = \"Entitlements\", props = ";
        format!(r#"(name = "{name}", service = {service}(json = "{props}")))"#)
    };
    let bindings: Vec<_> = BINDINGS.into_iter().map(|(name, props)| binding(name, props)).collect();
    let bindings = bindings.join(", ");
    let gate = binding("ENTITLEMENTS", &gate_props());
    let services = r#"
    (name = "caller", worker = .caller),
    (name = "gate", worker = .gate),
    (name = "media", worker = .media),"#;
    let sockets = format!(
        r#",
    (name = "caller", address = "127.0.0.1:0", http = (), service = "caller"),
    (name = "gate", address = "127.0.0.1:0", http = (cfBlobHeader = "{cf_header}"), service = "gate")"#
    );
    let workers = format!(
        r#"
const caller :Workerd.Worker = (
  modules = [(name = "caller.js", esModule = embed "caller.js")],
  compatibilityDate = {date},
  bindings = [(name = "MAIN", service = "main"), {bindings}]
);
const gate :Workerd.Worker = (
  modules = [(name = "gate.js", esModule = embed "gate.js")],
  compatibilityDate = {date},
  bindings = [{gate}, (name = "MEDIA_URL", text = "https://media.example/films")],
  globalOutbound = "media"
);
const media :Workerd.Worker = (
  modules = [(name = "media.js", esModule = embed "media.js")],
  compatibilityDate = {date}
);
"#
    );
    Callers { services: services.to_owned(), sockets, workers }
}
