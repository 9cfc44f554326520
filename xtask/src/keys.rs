//! The development issuers' keys, tokens and the variables by which the local Worker knows them.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value, json};

use crate::{job, native, paths::Paths, private};

/// The first line of the `.dev.vars` that we may overwrite.
const MARK: &str = "# Written by `cargo xtask`; to keep your own, delete this line.";

/// The key that signs the snapshot's head. No issuer uses it: publishing and signing in are apart.
const SNAPSHOT_KID: &str = "snapshot-1";

/// The issuer of `samples/issuers.json` whose tokens may publish.
const PUBLISHER: &str = "publisher";

/// The issuer of `samples/issuers.json` whose tokens may explain.
const SUPPORT: &str = "support";

/// The `admit` command and the keys that it made.
#[derive(Debug)]
pub struct DevKeys {
    admit: PathBuf,
    dir: PathBuf,
    issuers: Vec<Issuer>,
}

#[derive(Debug)]
struct Issuer {
    name: String,
    alg: String,
    kid: String,
    /// The variable that holds a symmetric key; others are known by their public half.
    secret: Option<String>,
    config: Map<String, Value>,
    claims: Map<String, Value>,
}

/// Builds `admit`, makes missing keys and writes `.dev.vars`.
pub fn ensure(paths: &Paths) -> Result<DevKeys> {
    let admit = native::admit(paths, false)?;
    let keys =
        DevKeys { admit, dir: dir(paths), issuers: read_issuers(&paths.in_root("samples/issuers.json"))? };
    fs::create_dir_all(&keys.dir)?;
    keys.make_key("snapshot", "EdDSA", SNAPSHOT_KID)?;
    for issuer in &keys.issuers {
        keys.make_key(&issuer.name, &issuer.alg, &issuer.kid)?;
    }
    keys.write_vars(&paths.in_root(".dev.vars"))?;
    Ok(keys)
}

/// Runs `cargo xtask keys`: prints where the development keys are.
pub fn print_dir() -> Result<ExitCode> {
    let dir = dir(&Paths::find()?);
    if !dir.exists() {
        bail!("{} does not exist: `cargo xtask dev` makes the keys", dir.display());
    }
    println!("{}", dir.display());
    Ok(ExitCode::SUCCESS)
}

fn dir(paths: &Paths) -> PathBuf {
    paths.dev().join("keys")
}

/// The claims of a publisher's token, without its issuer.
fn publisher_claims() -> Map<String, Value> {
    let claims = json!({ "sub": "dev-sync", "scope": "snapshot:publish" });
    claims.as_object().cloned().unwrap_or_default()
}

fn read_issuers(path: &Path) -> Result<Vec<Issuer>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let issuers: Vec<Value> = serde_json::from_str(&text)?;
    let read = issuers.iter().map(read_issuer).collect::<Option<Vec<_>>>();
    read.ok_or_else(|| anyhow!("{}: each issuer needs name, key {{alg, kid}} and config", path.display()))
}

fn read_issuer(value: &Value) -> Option<Issuer> {
    let key = value.get("key")?;
    let text = |object: &Value, name| Some(object.get(name)?.as_str()?.to_owned());
    Some(Issuer {
        name: text(value, "name")?,
        alg: text(key, "alg")?,
        kid: text(key, "kid")?,
        secret: text(key, "secret"),
        config: value.get("config")?.as_object()?.clone(),
        claims: value.get("claims").and_then(Value::as_object).cloned().unwrap_or_default(),
    })
}

impl DevKeys {
    /// The `admit` program.
    pub fn program(&self) -> &Path {
        &self.admit
    }

    /// Where the keys are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A command line of `admit`, to be completed.
    pub fn admit(&self) -> Command {
        Command::new(&self.admit)
    }

    /// The private key that signs the snapshot's head.
    pub fn snapshot_key(&self) -> PathBuf {
        self.key_path("snapshot")
    }

    fn key_path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.jwk"))
    }

    fn make_key(&self, name: &str, alg: &str, kid: &str) -> Result<()> {
        let path = self.key_path(name);
        if path.exists() {
            return Ok(());
        }
        let mut keygen = self.admit();
        keygen.args(["keygen", "--alg", alg, "--kid", kid, "--out"]).arg(&path);
        job::stdout(&mut keygen).map(drop)
    }

    fn show_key(&self, name: &str, how: &str) -> Result<String> {
        job::stdout(self.admit().args(["keygen", how]).arg(self.key_path(name)))
    }

    /// A token of the issuer called `name`, with `claims` on top of the issuer's own.
    pub fn token(&self, name: &str, claims: &Map<String, Value>, ttl_secs: i64) -> Result<String> {
        let claims = self.claims(name, claims)?.to_string();
        let mut token = self.admit();
        token.args(["token", "--key"]).arg(self.key_path(name));
        token.args(["--claims", &claims, &format!("--ttl-secs={ttl_secs}")]);
        job::stdout(&mut token)
    }

    /// All claims of such a token but those about time.
    fn claims(&self, name: &str, claims: &Map<String, Value>) -> Result<Value> {
        let issuer = self.issuers.iter().find(|issuer| issuer.name == name);
        let issuer = issuer.with_context(|| format!("samples/issuers.json has no issuer {name:?}"))?;
        let mut all = issuer.claims.clone();
        if let Some(iss) = issuer.config.get("issuer") {
            all.insert("iss".into(), iss.clone());
        }
        all.extend(claims.clone());
        Ok(Value::Object(all))
    }

    /// Makes `admit publish` sign its own tokens, for as long as it runs.
    pub fn sign_as_publisher(&self, admit: &mut Command) -> Result<()> {
        admit.arg("--token-key").arg(self.key_path(PUBLISHER));
        admit.args(["--token-claims", &self.claims(PUBLISHER, &publisher_claims())?.to_string()]);
        Ok(())
    }

    /// A token that may publish snapshots, for an hour.
    pub fn publisher_token(&self) -> Result<String> {
        self.token(PUBLISHER, &publisher_claims(), 3_600)
    }

    /// A token that may read the published snapshot, for a day.
    pub fn operator_token(&self) -> Result<String> {
        let claims = json!({ "sub": "dev-operator", "scope": "snapshot:read" });
        self.token(PUBLISHER, &claims.as_object().cloned().unwrap_or_default(), 86_400)
    }

    /// A token of support staff, who may ask about any customer and why, for a day.
    pub fn support_token(&self) -> Result<String> {
        let claims = json!({ "sub": "dev-support" });
        self.token(SUPPORT, &claims.as_object().cloned().unwrap_or_default(), 86_400)
    }

    /// The namespace of the customers of the issuer called `name`.
    pub fn namespace(&self, name: &str) -> Option<&str> {
        let issuer = self.issuers.iter().find(|issuer| issuer.name == name)?;
        issuer.config.get("namespace")?.as_str()
    }

    /// The variables by which a Worker on this machine knows issuers and publisher.
    pub fn vars(&self) -> Result<Vec<(String, String)>> {
        let mut vars = Vec::new();
        for issuer in &self.issuers {
            if let Some(variable) = &issuer.secret {
                vars.push((variable.clone(), self.show_key(&issuer.name, "--secret")?));
            }
        }
        vars.push(("ISSUERS".to_owned(), Value::Array(self.issuer_entries()?).to_string()));
        vars.push(("SNAPSHOT_KEYS".to_owned(), self.show_key("snapshot", "--public")?));
        Ok(vars)
    }

    /// The entries of `ISSUERS`.
    pub fn issuer_entries(&self) -> Result<Vec<Value>> {
        let entry = |issuer: &Issuer| -> Result<Value> {
            let mut entry = issuer.config.clone();
            let keys = match &issuer.secret {
                Some(variable) => json!({ "secret": variable, "alg": issuer.alg }),
                None => {
                    let jwks: Value = serde_json::from_str(&self.show_key(&issuer.name, "--public")?)?;
                    json!({ "jwks": jwks })
                }
            };
            entry.insert("keys".into(), keys);
            Ok(Value::Object(entry))
        };
        self.issuers.iter().map(entry).collect()
    }

    /// The bearer that lets the publisher read the local origin's export and feed, made at first use.
    pub fn feed_secret(&self) -> Result<String> {
        self.secret("feed-secret")
    }

    /// The secret by which the local origin knows the local Worker (`ORIGIN_SECRET`), made at first use.
    pub fn edge_secret(&self) -> Result<String> {
        self.secret("origin-secret")
    }

    /// The key that the local Worker signs playback with, made at first use.
    pub fn media_secret(&self) -> Result<String> {
        self.secret("media-secret")
    }

    fn secret(&self, file: &str) -> Result<String> {
        let path = self.dir.join(file);
        if let Ok(secret) = fs::read_to_string(&path) {
            private::restrict(&path)?;
            return Ok(secret);
        }
        let mut random = [0; 32];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        private::write(&path, &secret).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(secret)
    }

    fn write_vars(&self, path: &Path) -> Result<()> {
        let old = fs::read_to_string(path).unwrap_or_default();
        if !old.is_empty() && !old.starts_with(MARK) {
            bail!("{} is your own; move it away, the development keys go there", path.display());
        }
        let vars = self.vars()?.into_iter().chain([("CONSOLE".to_owned(), "on".to_owned())]);
        let lines = vars.map(|(name, value)| format!("{name}='{value}'"));
        let new = std::iter::once(MARK.to_owned()).chain(lines).collect::<Vec<_>>().join("\n") + "\n";
        // wrangler restarts the Worker when the file changes, so leave it alone if it does not.
        if new == old {
            private::restrict(path)?;
            return Ok(());
        }
        private::write(path, &new).with_context(|| format!("cannot write {}", path.display()))
    }
}
