//! The sample viewers and their tokens.

use std::{collections::HashMap, fs, sync::LazyLock};

use serde_json::{Map, Value};

use super::issuers;

/// A sample viewer.
#[derive(Clone, Debug)]
pub struct Persona {
    pub name: String,
    pub issuer: String,
    pub claims: Map<String, Value>,
    pub ttl_secs: i64,
    pub item_id: i64,
    pub access: u16,
    pub license: u16,
}

impl Persona {
    fn read(value: &Value) -> Self {
        let status = |question: &str| u16::try_from(value["expect"][question].as_u64().unwrap()).unwrap();
        Self {
            name: value["name"].as_str().unwrap().to_owned(),
            issuer: value["issuer"].as_str().unwrap().to_owned(),
            claims: value["claims"].as_object().unwrap().clone(),
            ttl_secs: value["ttl_secs"].as_i64().unwrap(),
            item_id: value["item_id"].as_i64().unwrap(),
            access: status("access"),
            license: status("license"),
        }
    }

    /// A claim, if it is text.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// Whether the token is valid.
    pub fn is_signed_in(&self) -> bool {
        self.license == 200
    }
}

static ALL: LazyLock<Vec<Persona>> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/personas.json");
    let values: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    values.iter().map(Persona::read).collect()
});

pub fn all() -> &'static [Persona] {
    &ALL
}

/// A token of a sample viewer at `now`, signed with the keys of these tests.
pub fn token(name: &str, now: i64) -> String {
    static MINTED: LazyLock<std::sync::Mutex<HashMap<(String, i64), String>>> =
        LazyLock::new(Default::default);
    // An RSA signature takes milliseconds and there are thousands of requests, so each token is reused for an
    // hour.
    let hour = now - now % 3_600;
    let mut minted = MINTED.lock().unwrap();
    let token = minted.entry((name.to_owned(), hour)).or_insert_with(|| {
        let persona = ALL.iter().find(|persona| persona.name == name);
        let persona = persona.unwrap_or_else(|| panic!("no persona {name}"));
        issuers::token(&persona.issuer, &persona.claims, hour + persona.ttl_secs + 3_600)
    });
    token.clone()
}
