//! The sample viewers: their tokens, and the answers that the Worker owes them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::{
    keys::DevKeys,
    paths::Paths,
    private,
    run::{DEFAULT_PORT, Run, Selection},
    server,
};

/// How long a persona's token lives unless it says otherwise: 30 days, as the vendor's do.
const TTL_SECS: i64 = 30 * 86_400;

/// Where a run keeps its personas.
pub const FILE: &str = "personas.json";

/// A token of someone who is not a viewer.
#[derive(Debug)]
pub struct Staff {
    /// How `cargo xtask token` calls it.
    name: &'static str,
    /// Where a run keeps it.
    file: &'static str,
    why: &'static str,
}

impl Staff {
    /// May read the published snapshot.
    pub const OPERATOR: Self = Self {
        name: "operator",
        file: "operator.token",
        why: "not a viewer. The token may read what is published",
    };
    /// May ask about any customer.
    pub const SUPPORT: Self = Self {
        name: "support",
        file: "support.token",
        why: "not a viewer. The token may ask about any customer, and why",
    };
    /// Both.
    const ALL: [Self; 2] = [Self::OPERATOR, Self::SUPPORT];
}

/// One sample viewer with a token.
#[derive(Debug)]
pub struct Persona {
    name: String,
    why: String,
    token: String,
    base_url: String,
    item_id: u64,
    customer: String,
    claims: Map<String, Value>,
    expect: Map<String, Value>,
}

/// Reads `samples/personas.json` and mints the tokens.
pub fn mint(paths: &Paths, keys: &DevKeys, base_url: &str) -> Result<Vec<Persona>> {
    let path = paths.in_root("samples/personas.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let samples: Vec<Value> = serde_json::from_str(&text)?;
    let mint = |sample: &Value| {
        let text = |name: &str| {
            let value = sample.get(name).and_then(Value::as_str);
            value.map(str::to_owned).with_context(|| format!("a persona has no {name:?}: {sample}"))
        };
        let object = |name: &str| sample.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let ttl_secs = sample.get("ttl_secs").and_then(Value::as_i64).unwrap_or(TTL_SECS);
        let item_id = sample.get("item_id").and_then(Value::as_u64);
        let (issuer, claims) = (text("issuer")?, object("claims"));
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        Ok(Persona {
            name: text("name")?,
            why: text("why")?,
            token: keys.token(&issuer, &claims, ttl_secs)?,
            customer: format!("{}:{subject}", keys.namespace(&issuer).unwrap_or_default()),
            claims,
            base_url: base_url.to_owned(),
            item_id: item_id.with_context(|| format!("a persona has no \"item_id\": {sample}"))?,
            expect: object("expect"),
        })
    };
    samples.iter().map(mint).collect()
}

/// Writes the personas as JSON into `dir`, for tests and other programs.
pub fn write(dir: &Path, personas: &[Persona]) -> Result<PathBuf> {
    let path = dir.join(FILE);
    let all: Vec<_> = personas.iter().map(Persona::to_json).collect();
    let text = serde_json::to_string_pretty(&all)? + "\n";
    private::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Writes a token of the staff into `dir`. It opens more than a viewer's, so only its owner may read it.
pub fn write_staff(dir: &Path, staff: &Staff, token: &str) -> Result<()> {
    let path = dir.join(staff.file);
    private::write(&path, token).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads what [`write`] wrote into `dir`.
pub fn read(dir: &Path) -> Result<Vec<Persona>> {
    let path = dir.join(FILE);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}: `cargo xtask dev` writes it", path.display()))?;
    let all: Vec<Value> = serde_json::from_str(&text)?;
    let persona = |value: &Value| {
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        Some(Persona {
            name: text("name")?,
            why: text("why")?,
            token: text("token")?,
            base_url: text("base_url")?,
            item_id: value.get("item_id")?.as_u64()?,
            customer: text("customer")?,
            claims: value.get("claims")?.as_object()?.clone(),
            expect: value.get("expect")?.as_object()?.clone(),
        })
    };
    let all = all.iter().map(persona).collect::<Option<_>>();
    all.with_context(|| format!("{} is not a file of personas", path.display()))
}

/// Asks the Worker each persona's questions and prints a table; returns how many answers were right and wrong.
pub fn check(personas: &[Persona]) -> Result<(usize, usize)> {
    let (mut right, mut wrong) = (0, 0);
    println!("{:<30} {:<8} {:>8} {:>8}", "persona", "question", "expected", "answered");
    for persona in personas {
        for (question, expected) in &persona.expect {
            let Some(expected) = expected.as_u64() else { continue };
            let url = format!("{}{}", persona.base_url, persona.path(question));
            let answered = server::get(&url, Some(&persona.token), server::ANSWER_LIMIT)?;
            let verdict = if u64::from(answered) == expected { "ok" } else { "WRONG" };
            println!("{:<30} {question:<8} {expected:>8} {answered:>8}  {verdict}", persona.name);
            *(if verdict == "ok" { &mut right } else { &mut wrong }) += 1;
        }
    }
    println!("{right} as expected, {wrong} not");
    Ok((right, wrong))
}

impl Persona {
    /// The viewer's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the viewer shows.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// The viewer's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The number of the viewer's item.
    pub const fn item_id(&self) -> u64 {
        self.item_id
    }

    /// The viewer as AuthZEN names a customer: `namespace:subject`.
    pub fn customer(&self) -> &str {
        &self.customer
    }

    /// The claims of the token, without those of its issuer and about time.
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The address that checks the viewer's item.
    pub fn check_url(&self) -> String {
        format!("{}{}", self.base_url, self.path("access"))
    }

    /// The address that signs the viewer's item.
    pub fn playback_url(&self) -> String {
        format!("{}/items/{}/playback", self.base_url, self.item_id)
    }

    fn path(&self, question: &str) -> String {
        match question {
            "access" => format!("/items/{}/access", self.item_id),
            other => format!("/{other}"),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "why": self.why,
            "token": self.token,
            "base_url": self.base_url,
            "item_id": self.item_id,
            "customer": self.customer,
            "claims": self.claims,
            "expect": self.expect,
        })
    }
}

/// Arguments of `cargo xtask token`.
#[derive(clap::Args)]
pub struct Args {
    /// The viewer; without one, all are listed
    name: Option<String>,
    #[command(flatten)]
    selection: Selection,
}

/// Runs `cargo xtask token`: prints the token of a sample viewer, or lists the viewers.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let dir = match Run::running(&paths, &args.selection) {
        Ok(run) => run.dir,
        // A token is good for days, so that of the last run will do.
        Err(error) => {
            let dir = args.selection.dir(&paths, args.selection.port.unwrap_or(DEFAULT_PORT))?;
            if !dir.join(FILE).exists() {
                return Err(error);
            }
            dir
        }
    };
    let personas = read(&dir)?;
    let Some(name) = &args.name else {
        println!("{}", list(&personas));
        for Staff { name, why, .. } in Staff::ALL {
            println!("{name}: {why}");
        }
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(staff) = Staff::ALL.iter().find(|staff| staff.name == name) {
        let path = dir.join(staff.file);
        let token = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        println!("{token}");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(persona) = personas.iter().find(|persona| persona.name == *name) else {
        bail!("there is no sample viewer {name:?}: `cargo xtask token` lists them")
    };
    println!("{}", persona.token);
    Ok(ExitCode::SUCCESS)
}

/// A line for each viewer: the name, and who that is.
fn list(personas: &[Persona]) -> String {
    let width = personas.iter().map(|persona| persona.name.len()).max().unwrap_or(0);
    personas.iter().map(|it| format!("{:<width$}  {}", it.name, it.why)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_owner_reads_tokens() {
        let dir = std::env::temp_dir().join(format!("admit-personas-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        write(&dir, &[]).unwrap();
        for staff in &Staff::ALL {
            write_staff(&dir, staff, "token").unwrap();
        }
        for name in [FILE, Staff::OPERATOR.file, Staff::SUPPORT.file] {
            let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
