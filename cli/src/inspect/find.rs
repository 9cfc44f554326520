//! Finds a customer's record from a name: by key if the name gives the key, otherwise by reading all shards.

use std::path::Path;

use admit_publish::{
    overlay::Overlay,
    parallel,
    progress::Progress,
    published::{FoundRecord, Published},
    store::{
        Issuer,
        reach::{read, shard_bits, shards},
    },
};
use admit_snapshot::{
    customer::CustomerRecord,
    holding,
    index::Tree,
    key::EntryKey,
    table::{Entry, Table},
};
use anyhow::{Context, Result, bail};
use uuid::Uuid;

use super::who::{Unverified, Who};
use crate::check_config;

/// Shards that are read at the same time.
const THREADS: usize = 8;

/// How many customers a message lists when a name is ambiguous.
const LISTED_MAX: usize = 10;

/// The result of a search.
pub struct Sought {
    /// The key of the record, present or not.
    pub key: EntryKey,
    /// Namespace and subject, if known: the snapshot holds only a hash of them.
    pub name: Option<(String, String)>,
    /// The record, if there is one.
    pub known: Option<FoundRecord>,
    /// How the customer was found: `name`, `subject`, `number`, `uuid` or `token`.
    pub found_by: &'static str,
    /// What could not be determined, or where the record was looked for.
    pub note: Option<String>,
    /// Whether a missing record means that the customer owns nothing.
    pub is_certain: bool,
    /// The merchants that the issuer is trusted for, if known; `None` for all.
    pub merchants: Option<Vec<i64>>,
    /// Whether the issuer lets test-mode clients open pending test licences; true if unknown.
    pub may_test: bool,
}

/// The edge's issuers, if the store can name them.
pub struct Issuers(Option<Vec<Issuer>>);

impl Issuers {
    /// Asks the store, or reads the configuration file `config` for a Worker that cannot be asked.
    ///
    /// # Errors
    /// The store does not answer or refuses, or the file cannot be read.
    pub fn of(snapshot: &Published, config: Option<&Path>) -> Result<Self> {
        match config {
            Some(path) => Ok(Self(Some(check_config::issuers(path).context("--config")?))),
            None => Ok(Self(snapshot.store.issuers()?)),
        }
    }

    /// The namespaces, each once; `None` if they are unknown.
    fn namespaces(&self) -> Option<Vec<&str>> {
        let mut namespaces: Vec<_> =
            self.0.as_ref()?.iter().map(|issuer| issuer.namespace.as_str()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        Some(namespaces)
    }

    fn merchants(&self, namespace: &str) -> Option<Vec<i64>> {
        let issuers = self.0.iter().flatten().filter(|issuer| issuer.namespace == namespace);
        // If several issuers share the namespace, the one with the widest rights stands for them.
        let lists: Option<Vec<_>> = issuers.map(|issuer| issuer.merchants.clone()).collect();
        lists.map(|lists| lists.concat()).filter(|merchants| !merchants.is_empty())
    }

    /// Whether an issuer of the namespace lets test-mode clients open pending test licences, or the issuers
    /// are unknown.
    fn may_test(&self, namespace: &str) -> bool {
        let mut issuers = self.0.iter().flatten().filter(|issuer| issuer.namespace == namespace).peekable();
        issuers.peek().is_none() || issuers.any(|issuer| issuer.test_clients)
    }
}

/// Finds a customer.
///
/// # Errors
/// The name is incomplete, has an unknown namespace, or matches several customers; or an object cannot be
/// read.
pub fn find(snapshot: &mut Published, issuers: &Issuers, who: &Who) -> Result<Sought> {
    match who {
        Who::Name { namespace, subject, text } => by_name(snapshot, issuers, namespace, subject, text),
        Who::Subject(subject) => by_subject(snapshot, issuers, subject),
        Who::Number(number, text) => by_number(snapshot, issuers, *number, text),
        Who::Uuid(uuid, text) => by_uuid(snapshot, issuers, *uuid, text),
        Who::Token(token) => by_token(snapshot, issuers, token),
    }
}

fn by_name(
    snapshot: &mut Published,
    issuers: &Issuers,
    namespace: &str,
    subject: &str,
    text: &str,
) -> Result<Sought> {
    let Some(namespaces) = issuers.namespaces() else {
        let mut sought = named(snapshot, issuers, namespace, subject, "name")?;
        if sought.known.is_none() {
            sought.is_certain = false;
            sought.note = Some(format!(
                "unknown whether namespace {namespace:?} exists: this store does not tell the namespaces; name them with --config FILE"
            ));
        }
        return Ok(sought);
    };
    if namespaces.contains(&namespace) {
        return named(snapshot, issuers, namespace, subject, "name");
    }
    // A subject that contains a colon.
    let mut found = among(snapshot, issuers, &namespaces, text)?;
    match (found.pop(), found.is_empty()) {
        (Some(sought), true) => Ok(sought),
        (Some(sought), false) => several(text, [sought].into_iter().chain(found)),
        (None, _) => {
            bail!("this edge has no namespace {namespace:?}; {}", there_are(&namespaces, Some(namespace)))
        }
    }
}

fn by_subject(snapshot: &mut Published, issuers: &Issuers, subject: &str) -> Result<Sought> {
    let Some(namespaces) = issuers.namespaces() else {
        bail!(
            "{subject:?} is a subject without its namespace, and this store does not tell the namespaces: \
             write NAMESPACE:SUBJECT, or give --config FILE"
        )
    };
    let mut found = among(snapshot, issuers, &namespaces, subject)?;
    match (found.pop(), found.is_empty()) {
        (Some(sought), true) => Ok(sought),
        (Some(sought), false) => several(subject, [sought].into_iter().chain(found)),
        (None, _) => Ok(without_record(&namespaces, subject, "subject")),
    }
}

fn by_number(snapshot: &mut Published, issuers: &Issuers, number: i64, text: &str) -> Result<Sought> {
    let namespaces = issuers.namespaces().unwrap_or_default();
    let mut found = among(snapshot, issuers, &namespaces, text)?;
    found.extend(walked(snapshot, issuers, "number", |customer| customer.id == number)?);
    found.sort_by_key(|sought| sought.key);
    found.dedup_by_key(|sought| sought.key);
    match (found.pop(), found.is_empty()) {
        (Some(sought), true) => Ok(sought),
        (Some(sought), false) => several(text, [sought].into_iter().chain(found)),
        (None, _) if namespaces.is_empty() => bail!("no customer in the snapshot has the number {number}"),
        (None, _) => bail!(
            "no customer in the snapshot has the number {number}, nor the subject {text:?} in a namespace of this \
             edge ({})",
            namespaces.join(", ")
        ),
    }
}

fn by_uuid(snapshot: &mut Published, issuers: &Issuers, uuid: Uuid, text: &str) -> Result<Sought> {
    let namespaces = issuers.namespaces().unwrap_or_default();
    let mut found = among(snapshot, issuers, &namespaces, text)?;
    if found.is_empty() {
        found = walked(snapshot, issuers, "uuid", |customer| customer.uuid == uuid)?;
    }
    match (found.pop(), found.is_empty()) {
        (Some(sought), true) => Ok(sought),
        (Some(sought), false) => several(text, [sought].into_iter().chain(found)),
        (None, _) => Ok(without_record(&namespaces, text, "uuid")),
    }
}

fn by_token(snapshot: &mut Published, issuers: &Issuers, token: &Unverified) -> Result<Sought> {
    let Some(known) = &issuers.0 else {
        let subject = token.name_of("sub").context("the token has no sub")?;
        let Ok(uuid) = Uuid::parse_str(&subject) else {
            bail!(
                "the token's sub is {subject:?}, but this store does not tell the namespace of its issuer: \
                 name the customer by NAMESPACE:SUBJECT"
            )
        };
        return Ok(Sought { found_by: "token", ..by_uuid(snapshot, issuers, uuid, &subject)? });
    };
    let names = || known.iter().map(|issuer| issuer.issuer.as_str()).collect::<Vec<_>>().join(", ");
    let Some(iss) = token.text_of("iss") else {
        bail!("the token has no iss, which names its issuer; this edge has {}", names())
    };
    let Some(issuer) = known.iter().find(|issuer| issuer.issuer == iss) else {
        bail!("unknown issuer {iss:?}: this edge answers 401 to the token; it has {}", names())
    };
    let claim = &issuer.customer_claim;
    let Some(subject) = token.name_of(claim) else {
        bail!("the token names no customer: its claim {claim:?} is missing, or neither text nor an integer")
    };
    let mut sought = named(snapshot, issuers, &issuer.namespace, &subject, "token")?;
    sought.merchants.clone_from(&issuer.merchants);
    sought.may_test = issuer.test_clients;
    Ok(sought)
}

/// The customer of this namespace and subject, with or without a record.
fn named(
    snapshot: &mut Published,
    issuers: &Issuers,
    namespace: &str,
    subject: &str,
    found_by: &'static str,
) -> Result<Sought> {
    let key = EntryKey::customer(namespace, subject);
    Ok(Sought {
        key,
        name: Some((namespace.to_owned(), subject.to_owned())),
        known: snapshot.customer(key)?,
        found_by,
        note: None,
        is_certain: true,
        merchants: issuers.merchants(namespace),
        may_test: issuers.may_test(namespace),
    })
}

/// The customers with this subject in any of the namespaces.
fn among(
    snapshot: &mut Published,
    issuers: &Issuers,
    namespaces: &[&str],
    subject: &str,
) -> Result<Vec<Sought>> {
    let mut found = Vec::new();
    for namespace in namespaces {
        let sought = named(snapshot, issuers, namespace, subject, "subject")?;
        if sought.known.is_some() {
            found.push(sought);
        }
    }
    Ok(found)
}

/// A customer without a record, whose namespace is unknown.
fn without_record(namespaces: &[&str], subject: &str, found_by: &'static str) -> Sought {
    let note = if namespaces.is_empty() {
        "as a UUID; as a subject it needs its namespace: NAMESPACE:SUBJECT".to_owned()
    } else {
        format!("looked for in the namespaces {}", namespaces.join(", "))
    };
    let namespace = namespaces.first().copied().unwrap_or_default();
    let (key, note) = (EntryKey::customer(namespace, subject), Some(note));
    Sought {
        key,
        name: None,
        known: None,
        found_by,
        note,
        is_certain: !namespaces.is_empty(),
        merchants: None,
        may_test: true,
    }
}

/// The customers that `wanted` accepts, found by reading every shard of customers.
fn walked(
    snapshot: &mut Published,
    issuers: &Issuers,
    found_by: &'static str,
    wanted: impl Fn(&CustomerRecord<'_>) -> bool + Sync,
) -> Result<Vec<Sought>> {
    let mut keys = walk(snapshot, wanted)?;
    keys.truncate(LISTED_MAX);
    let namespaces = issuers.namespaces().unwrap_or_default();
    let mut found = Vec::new();
    for key in keys {
        let known = snapshot.customer(key)?;
        let name = known.as_ref().and_then(|known| name_of(key, known, &namespaces));
        let merchants = name.as_ref().and_then(|(namespace, _)| issuers.merchants(namespace));
        let may_test = name.as_ref().is_none_or(|(namespace, _)| issuers.may_test(namespace));
        let note =
            name.is_none().then(|| "namespace and subject are not stored, only a hash of them".to_owned());
        found.push(Sought { key, name, known, found_by, note, is_certain: true, merchants, may_test });
    }
    Ok(found)
}

/// Namespace and subject of a record, if the subject is the UUID or the number.
fn name_of(key: EntryKey, known: &FoundRecord, namespaces: &[&str]) -> Option<(String, String)> {
    let customer = CustomerRecord::new(known.record.bytes()).ok()?;
    let (namespace, subject) = holding::name_of(key, &customer, namespaces.iter().copied())?;
    Some((namespace.to_owned(), subject))
}

fn walk(snapshot: &Published, wanted: impl Fn(&CustomerRecord<'_>) -> bool + Sync) -> Result<Vec<EntryKey>> {
    let (store, index) = (&snapshot.store, &*snapshot.version.index);
    let tree = Tree::Customers;
    let overlay = Overlay::new(snapshot.delta(), tree, shard_bits(index, tree)).context("delta")?;
    let shards: Vec<_> = shards(store, index, tree)?.into_iter().collect();
    let progress = Progress::of_objects(shards.len());
    let walked = parallel::try_map(&shards, THREADS, |(number, name)| -> Result<Vec<EntryKey>> {
        let object = read(store, *name)?;
        let mut keys = Vec::new();
        for (key, entry) in Table::of_shard(&object).with_context(|| name.to_string())?.iter() {
            // An entry of the delta takes precedence over the shard's.
            let is_overlaid = overlay.part(*number).is_some_and(|part| part.contains_key(&key));
            if let (Entry::Record(record), false) = (entry.with_context(|| name.to_string())?, is_overlaid)
                && wanted(&CustomerRecord::new(record)?)
            {
                keys.push(key);
            }
        }
        progress.advance(object.len() as u64);
        Ok(keys)
    });
    progress.finish();
    let mut keys: Vec<_> = walked?.concat();
    for (key, entry) in overlay.parts().filter_map(|number| overlay.part(number)).flatten() {
        if let Entry::Record(record) = entry
            && wanted(&CustomerRecord::new(record)?)
        {
            keys.push(*key);
        }
    }
    Ok(keys)
}

fn several(text: &str, found: impl Iterator<Item = Sought>) -> Result<Sought> {
    let mut listed = Vec::new();
    for Sought { name, known, .. } in found {
        let record = known.as_ref().map(|known| CustomerRecord::new(known.record.bytes())).transpose()?;
        let record = record.map_or_else(String::new, |customer| {
            format!("uuid {}, number {} of merchant {}", customer.uuid, customer.id, customer.merchant_id)
        });
        listed.push(match name {
            Some((namespace, subject)) => format!("{namespace}:{subject} ({record})"),
            None => record,
        });
    }
    bail!("{text:?} names {} customers: {}; name one of them", listed.len(), listed.join("; "))
}

/// The namespaces as text, with the one that was probably meant.
fn there_are(namespaces: &[&str], written: Option<&str>) -> String {
    let meant = written.and_then(|written| {
        let distance = |known: &&&str| strsim::damerau_levenshtein(written, known);
        namespaces.iter().min_by_key(distance).filter(|known| distance(known) <= 2)
    });
    let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"));
    format!("it has {}{meant}", namespaces.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_listed_and_the_closest_is_offered() {
        assert_eq!(
            there_are(&["main", "vendor"], Some("vendr")),
            "it has main, vendor; did you mean \"vendor\"?"
        );
        assert_eq!(there_are(&["main", "vendor"], Some("elsewhere")), "it has main, vendor");
    }
}
