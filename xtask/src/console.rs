//! The console: its build into static assets of the Worker, and the sample viewers that a local run shows in it.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    fingerprint::Fingerprint,
    job,
    keys::{self, DevKeys},
    node,
    paths::Paths,
    personas::Persona,
    private,
    size::Size,
    step::Step,
};

/// The directory of the assets, as `wrangler.toml` names it. The console is in `console/` below it.
pub const ASSETS: &str = "console/dist";

/// What the assets are made of. The description of the API is optional.
pub const INPUTS: [&str; 6] = [
    "console/index.html",
    "console/public",
    "console/src",
    "console/vite.config.mjs",
    "docs/openapi.json",
    "package-lock.json",
];

/// The most that the console's own page, script and styles may weigh gzipped, in bytes: 40 KiB.
///
/// Preact is 6 KiB of that. A person who looks for a cause at night has it within a second on a slow line (400 kbit/s).
const BUDGET_BYTES: usize = 40 * 1024;

/// The most that Swagger UI may weigh gzipped, in bytes: 544 KiB. Only the page "Reference" loads it.
const REFERENCE_BUDGET_BYTES: usize = 544 * 1024;

/// Names in the console's own files that look like addresses of other hosts, and are namespaces of XML.
const NAMESPACES: [&str; 4] = [
    "http://www.w3.org/1998/Math/MathML",
    "http://www.w3.org/1999/xlink",
    "http://www.w3.org/1999/xhtml",
    "http://www.w3.org/2000/svg",
];

/// Builds the console unless it is up to date.
pub fn build(paths: &Paths, force: bool, quiet: bool) -> Result<()> {
    let stamp = paths.target.join("xtask").join("console.stamp");
    let inputs = Fingerprint::of(paths, &INPUTS)?;
    let page = dir(paths).join("index.html");
    if !force && page.exists() && fs::read_to_string(&stamp).ok().as_ref() == Some(&inputs) {
        return Ok(());
    }
    let _absent = fs::remove_file(&stamp);
    let mut vite = node_command(paths, "vite/bin/vite.js")?;
    vite.args(["build", "--config", "console/vite.config.mjs", "--logLevel", "warn"]);
    Step::new(paths, "vite", "building the console", "seconds").quietly(quiet).run(&mut vite)?;
    fs::write(&stamp, inputs).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Where the built console is.
fn dir(paths: &Paths) -> PathBuf {
    paths.in_root(ASSETS).join("console")
}

/// Describes the size of the built console; fails above its budget, or if its own files name another host.
pub fn check(paths: &Paths) -> Result<String> {
    let dir = dir(paths);
    let own = own_files(&dir)?;
    let mut gzipped = 0;
    for file in &own {
        gzipped += Size::of(file)?.gzipped;
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        if let Some(host) = foreign_address(&text) {
            bail!("{} names another host: {host}", paths.shown(file));
        }
    }
    let reference = ["swagger-ui-bundle.js", "swagger-ui.css"];
    let sizes: Vec<_> =
        reference.iter().map(|name| Size::of(&dir.join("reference").join(name))).collect::<Result<_>>()?;
    let reference = sizes.iter().map(|size| size.gzipped).sum::<usize>();
    for (what, bytes, budget) in
        [("the console", gzipped, BUDGET_BYTES), ("its reference", reference, REFERENCE_BUDGET_BYTES)]
    {
        if bytes > budget {
            bail!("{what} is {bytes} bytes gzipped, {} above its budget of {budget}", bytes - budget);
        }
    }
    let kib = |bytes: usize| format!("{}.{} KiB", bytes / 1024, bytes % 1024 * 10 / 1024);
    let percent = gzipped * 100 / BUDGET_BYTES;
    Ok(format!("{} gzipped ({percent} % of the budget), its reference {}", kib(gzipped), kib(reference)))
}

/// The commands that check the types of the console and of its tests.
pub fn types(paths: &Paths) -> Result<[Command; 2]> {
    let check = |project: &str| {
        let mut tsc = node_command(paths, "typescript/bin/tsc")?;
        tsc.args(["--project", project]);
        anyhow::Ok(tsc)
    };
    Ok([check("console")?, check("tests/console")?])
}

/// A Chromium that runs here: the npm package's, which is unpacked once, or the system's.
pub fn chromium(paths: &Paths) -> Result<Option<String>> {
    let (program, _) = node::runtime(paths)?;
    let mut find = Command::new(program);
    node::apply(paths, &mut find)?;
    find.arg("tests/console/support/browser.mjs").arg(paths.target.join("console-chromium"));
    // It says what it lacks on its standard error.
    let found = job::stdout(find.current_dir(&paths.root)).inspect_err(|error| eprintln!("{error:#}")).ok();
    Ok(found.map(|path| path.trim().to_owned()))
}

/// The command that runs `tests/console` in a Chromium.
pub fn browser_tests(paths: &Paths, chromium: &str) -> Result<Command> {
    let keys = keys::ensure(paths)?;
    let mut tests = node_command(paths, "@playwright/test/cli.js")?;
    tests.args(["test", "--config", "tests/console/playwright.config.ts"]);
    tests.env("ADMIT_CHROMIUM", chromium).env("ADMIT_CONSOLE_RESULTS", results(paths));
    tests.env("ADMIT_XTASK", &paths.exe).env("ADMIT_COMMAND", keys.program());
    tests.env("ADMIT_SNAPSHOT_KEY", keys.snapshot_key());
    Ok(tests)
}

/// Where a run of the tests leaves pictures and traces.
fn results(paths: &Paths) -> PathBuf {
    paths.target.join("console-tests")
}

/// Copies the pictures of the last run of the tests into `docs/images`.
pub fn copy_pictures(paths: &Paths) -> Result<()> {
    let (from, to) = (results(paths).join("pictures"), paths.in_root("docs/images"));
    let entries = fs::read_dir(&from)
        .with_context(|| format!("cannot read {}: `cargo xtask test` makes the pictures", from.display()))?;
    fs::create_dir_all(&to)?;
    for entry in entries {
        let picture = entry?.path();
        let name = picture.file_name().unwrap_or_default();
        fs::copy(&picture, to.join(name)).with_context(|| format!("cannot copy {}", picture.display()))?;
        println!("{}", paths.shown(&to.join(name)));
    }
    Ok(())
}

/// A script of an npm package, to be completed.
fn node_command(paths: &Paths, script: &str) -> Result<Command> {
    let (program, _) = node::runtime(paths)?;
    let mut command = Command::new(program);
    node::apply(paths, &mut command)?;
    command.arg(paths.in_root("node_modules").join(script)).current_dir(&paths.root);
    Ok(command)
}

/// The page, and the scripts and styles that vite made.
fn own_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let assets = dir.join("assets");
    let entries = fs::read_dir(&assets).with_context(|| format!("cannot read {}", assets.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.push(dir.join("index.html"));
    files.sort();
    Ok(files)
}

/// The first address in `text` that is not a namespace.
fn foreign_address(text: &str) -> Option<&str> {
    let starts = text.match_indices("http").map(|(at, _)| text.get(at..).unwrap_or_default());
    let addresses = starts.filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"));
    let whole =
        addresses.map(|rest| rest.split(['"', '\'', '`', ' ', ')', '<', '\n']).next().unwrap_or(rest));
    whole.into_iter().find(|address| !NAMESPACES.contains(address))
}

/// The file of variables for the Worker of one run alone: in `.dev.vars` they would reach other runs too, and restart
/// their Workers. wrangler reads neither at a deploy.
pub fn samples_file(dir: &Path) -> PathBuf {
    dir.join("console.vars")
}

/// Writes the variable `CONSOLE_SAMPLES` into `dir`.
pub fn write_samples(
    paths: &Paths,
    keys: &DevKeys,
    personas: &[Persona],
    option: &str,
    dir: &Path,
) -> Result<()> {
    let samples = json!({
        "viewers": viewers(paths, personas)?,
        "items": items(paths)?,
        "support": keys.support_token()?,
        "operator": keys.operator_token()?,
        "option": option,
    });
    // In a file of variables an apostrophe ends the value, and `$` may name another variable.
    let text = samples.to_string().replace('\'', "\\u0027").replace('$', "\\u0024");
    let path = samples_file(dir);
    private::write(&path, &format!("CONSOLE_SAMPLES='{text}'\n"))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The personas with what the console shows of them.
fn viewers(paths: &Paths, personas: &[Persona]) -> Result<Vec<Value>> {
    let customers: HashMap<_, _> = records(paths, "05-customers.ndjson", "customer")?
        .into_iter()
        .filter_map(|record| Some((customer_of(&record)?, record)))
        .collect();
    let viewer = |persona: &Persona| {
        let customer = persona.customer();
        let record = customers.get(customer);
        let member = |name: &str| record.and_then(|record| record.get(name)).cloned().unwrap_or_default();
        let merchant_id = match member("merchant_id") {
            Value::Null => persona.claims().get("mid").cloned().unwrap_or_default(),
            merchant_id => merchant_id,
        };
        let roles = persona.claims().get("ctx").and_then(Value::as_array);
        let is_merchant = roles.is_some_and(|roles| roles.iter().any(|role| role == "merchant"));
        json!({
            "name": persona.name(), "why": persona.why(), "token": persona.token(), "item_id": persona.item_id(),
            "customer": customer, "number": member("id"), "merchant_id": merchant_id, "is_merchant": is_merchant,
        })
    };
    Ok(personas.iter().map(viewer).collect())
}

fn customer_of(record: &Value) -> Option<String> {
    let text = |name: &str| record.get(name)?.as_str();
    Some(format!("{}:{}", text("namespace")?, text("subject")?))
}

/// The items of the sample catalogue, by their titles.
fn items(paths: &Paths) -> Result<Vec<Value>> {
    let item = |record: &Value| {
        let member = |name: &str| record.get(name).cloned().unwrap_or_default();
        json!({"id": member("id"), "title": member("title"), "merchant_id": member("merchant_id")})
    };
    let mut items: Vec<_> = records(paths, "04-items.ndjson", "item")?.iter().map(item).collect();
    items.sort_by_key(|item| item.get("id").and_then(Value::as_u64));
    Ok(items)
}

/// The records of one type in a file of the sample catalogue.
fn records(paths: &Paths, file: &str, kind: &str) -> Result<Vec<Value>> {
    let path = paths.in_root("samples/catalogue").join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let records = text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str::<Value>);
    let records = records.collect::<Result<Vec<_>, _>>().with_context(|| format!("in {}", path.display()))?;
    Ok(records.into_iter().filter(|record| record.get("type").is_some_and(|it| it == kind)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_hosts_are_found_and_namespaces_are_not_addresses() {
        for text in ["xmlns=\"http://www.w3.org/2000/svg\"", "https", "const a = `http`;", "/console/"] {
            assert_eq!(foreign_address(text), None, "{text}");
        }
        assert_eq!(
            foreign_address("a('http://www.w3.org/2000/svg','https://cdn.example/x.js')"),
            Some("https://cdn.example/x.js")
        );
    }
}
