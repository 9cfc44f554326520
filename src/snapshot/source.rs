//! Reads lines of the publish schema and checks that they belong together.

use std::{collections::BTreeMap, fmt, io::BufRead, rc::Rc};

use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::schema::{
    AccessType, App, Client, Customer, CustomerLicense, GeoRestriction, Item, License, Line, Merchant,
    SnapshotLine,
};

/// Longest namespace and subject. Tokens with longer ones are refused as well.
pub const SUBJECT_LIMIT_BYTES: usize = 256;

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file's name as it was given.
    pub file: Rc<str>,
    /// The line's number, from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub at: Location,
}

/// A merchant whose UUID has been read.
#[derive(Clone, Debug)]
pub struct KnownMerchant {
    /// `merchant_uuid` in answers.
    pub uuid: Uuid,
}

/// Something wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Which line.
    pub at: Location,
    /// Which field and what was expected.
    pub message: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.at, self.message)
    }
}

/// The lines of a publish, in no particular order, and everything that is wrong with them.
#[derive(Debug, Default)]
pub struct Lines {
    /// Where the data stands in the origin's history.
    pub snapshot: Option<SnapshotLine>,
    /// By id.
    pub merchants: BTreeMap<i64, KnownMerchant>,
    /// By id.
    pub apps: BTreeMap<String, Located<App>>,
    /// By UUID.
    pub licenses: BTreeMap<Uuid, Located<License>>,
    /// By id.
    pub access_types: BTreeMap<i64, AccessType>,
    /// By id.
    pub items: BTreeMap<i64, Located<Item>>,
    /// By namespace and subject.
    pub customers: BTreeMap<(String, String), Located<Customer>>,
    /// What makes the lines unpublishable.
    pub errors: Vec<LineError>,
    /// What is odd but harmless.
    pub warnings: Vec<LineError>,
}

impl Lines {
    /// Adds the lines of a file. Blank lines are passed over; every other line that cannot be read is an error.
    ///
    /// # Errors
    /// When the file itself cannot be read.
    pub fn read(&mut self, file: &str, mut reader: impl BufRead) -> std::io::Result<()> {
        let file: Rc<str> = file.into();
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            if reader.read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
            let at = Location { file: Rc::clone(&file), line };
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&bytes) {
                Ok(line) => self.add(line, at),
                Err(error) => self.errors.push(LineError { at, message: explain(&bytes, &error) }),
            }
        }
        Ok(())
    }

    fn add(&mut self, line: Line, at: Location) {
        let error = match line {
            Line::Snapshot(snapshot) => {
                self.snapshot.replace(snapshot).map(|_| "a second snapshot line".to_owned())
            }
            Line::Merchant(merchant) => self.add_merchant(&merchant),
            Line::App(app) => {
                let duplicate = format!("duplicate app {}", app.id);
                let previous = self.apps.insert(app.id.clone(), Located { value: app, at: at.clone() });
                previous.map(|_| duplicate)
            }
            Line::License(license) => match Uuid::try_parse(&license.id) {
                Err(_) => Some(format!("id: expected a UUID, found {:?}", license.id)),
                Ok(id) => {
                    let previous = self.licenses.insert(id, Located { value: license, at: at.clone() });
                    previous.map(|_| format!("duplicate licence {id}"))
                }
            },
            Line::AccessType(access_type) => {
                let id = access_type.id;
                self.access_types.insert(id, access_type).map(|_| format!("duplicate access type {id}"))
            }
            Line::Item(item) => {
                let id = item.id;
                let previous = self.items.insert(id, Located { value: item, at: at.clone() });
                previous.map(|_| format!("duplicate item {id}"))
            }
            Line::Customer(customer) => self.add_customer(customer, &at),
        };
        self.errors.extend(error.map(|message| LineError { at, message }));
    }

    fn add_merchant(&mut self, merchant: &Merchant) -> Option<String> {
        let Ok(uuid) = Uuid::try_parse(&merchant.uuid) else {
            return Some(format!("uuid: expected a UUID, found {:?}", merchant.uuid));
        };
        let previous = self.merchants.insert(merchant.id, KnownMerchant { uuid });
        previous.map(|_| format!("duplicate merchant {}", merchant.id))
    }

    fn add_customer(&mut self, customer: Customer, at: &Location) -> Option<String> {
        for (field, value) in [("namespace", &customer.namespace), ("subject", &customer.subject)] {
            if value.is_empty() || value.len() > SUBJECT_LIMIT_BYTES || value.contains('\0') {
                return Some(format!(
                    "{field}: expected 1 to {SUBJECT_LIMIT_BYTES} bytes, none of them zero"
                ));
            }
        }
        if Uuid::try_parse(&customer.uuid).is_err() {
            return Some(format!("uuid: expected a UUID, found {:?}", customer.uuid));
        }
        let key = (customer.namespace.clone(), customer.subject.clone());
        let duplicate = format!("duplicate customer {:?} in namespace {:?}", key.1, key.0);
        let previous = self.customers.insert(key, Located { value: customer, at: at.clone() });
        previous.map(|_| duplicate)
    }

    /// Checks every reference from line to line. Call it once, after the last file.
    pub fn check(&mut self) {
        let mut report = Report::default();
        let mut clients = BTreeMap::new();
        for app in self.apps.values() {
            report.merchant(self, app.value.merchant_id, &app.at);
            for Client { client_id, .. } in &app.value.clients {
                if clients.insert(client_id, ()).is_some() {
                    report.error(&app.at, format!("clients: {client_id:?} belongs to another app too"));
                }
            }
        }
        for license in self.licenses.values() {
            self.check_license(license, &mut report);
        }
        for item in self.items.values() {
            self.check_item(item, &mut report);
        }
        for customer in self.customers.values() {
            self.check_customer(customer, &mut report);
        }
        self.errors.extend(report.errors);
        self.warnings.extend(report.warnings);
    }

    fn check_license(&self, license: &Located<License>, report: &mut Report) {
        let Some(app) = self.apps.get(&license.value.app_id) else {
            return report.error(&license.at, format!("app_id: no app {:?}", license.value.app_id));
        };
        for item_id in &license.value.item_ids {
            match self.items.get(item_id) {
                None => report.error(&license.at, format!("item_ids: no item {item_id}")),
                Some(item) if item.value.merchant_id != app.value.merchant_id => {
                    report.error(&license.at, format!("item_ids: item {item_id} is another merchant's"));
                }
                Some(_) => {}
            }
        }
    }

    fn check_item(&self, item: &Located<Item>, report: &mut Report) {
        let Located { value: item, at } = item;
        report.merchant(self, item.merchant_id, at);
        if !item.is_package() && !item.item_ids.is_empty() {
            report.error(
                at,
                format!("item_ids: only a package has members, this is a {}", item.item_type.name),
            );
        }
        for member in &item.item_ids {
            match self.items.get(member) {
                None => report.error(at, format!("item_ids: no item {member}")),
                Some(found) if found.value.merchant_id != item.merchant_id => {
                    report.error(at, format!("item_ids: item {member} is another merchant's"));
                }
                Some(found) if found.value.is_package() => {
                    report.error(at, format!("item_ids: item {member} is a package itself"));
                }
                Some(_) => {}
            }
        }
        let mut fee_ids = BTreeMap::new();
        for fee in &item.fees {
            if fee_ids.insert(fee.id, ()).is_some() {
                report.error(at, format!("fees: duplicate fee {}", fee.id));
            }
            if !self.access_types.contains_key(&fee.access_type_id) {
                report.error(at, format!("fees: fee {}: no access type {}", fee.id, fee.access_type_id));
            }
            if let Some(GeoRestriction { country_iso, country_set_id, .. }) = &fee.geo_restriction
                && country_iso.is_some() == country_set_id.is_some()
            {
                let expected = "expected either country_iso or country_set_id";
                report.error(at, format!("fees: fee {}: geo_restriction: {expected}", fee.id));
            }
        }
    }

    fn check_customer(&self, customer: &Located<Customer>, report: &mut Report) {
        let Located { value: customer, at } = customer;
        report.merchant(self, customer.merchant_id, at);
        for access in &customer.accesses {
            match self.items.get(&access.item_id) {
                None => report.warn(at, format!("accesses: no item {}: this grants nothing", access.item_id)),
                Some(item) if item.value.merchant_id != customer.merchant_id => {
                    let id = access.item_id;
                    report
                        .warn(at, format!("accesses: item {id} is another merchant's: this grants nothing"));
                }
                Some(_) => {}
            }
        }
        for CustomerLicense { license_id, .. } in &customer.licenses {
            match Uuid::try_parse(license_id) {
                Err(_) => {
                    report.error(at, format!("licenses: license_id: expected a UUID, found {license_id:?}"))
                }
                Ok(id) if !self.licenses.contains_key(&id) => {
                    report.warn(at, format!("licenses: no licence {id}: this grants nothing"));
                }
                Ok(_) => {}
            }
        }
    }
}

#[derive(Default)]
struct Report {
    errors: Vec<LineError>,
    warnings: Vec<LineError>,
}

impl Report {
    fn error(&mut self, at: &Location, message: String) {
        self.errors.push(LineError { at: at.clone(), message });
    }

    fn warn(&mut self, at: &Location, message: String) {
        self.warnings.push(LineError { at: at.clone(), message });
    }

    fn merchant(&mut self, lines: &Lines, id: i64, at: &Location) {
        if !lines.merchants.contains_key(&id) {
            self.error(at, format!("merchant_id: no merchant {id}"));
        }
    }
}

/// Says which field of a line is wrong. The fast way of reading lines cannot; a line that failed is read
/// again, slowly.
fn explain(bytes: &[u8], error: &serde_json::Error) -> String {
    let Ok(Value::Object(mut line)) = serde_json::from_slice(bytes) else {
        return format!("not a JSON object: {error}");
    };
    let kind = line.remove("type");
    let line = Value::Object(line);
    let explained = match kind.as_ref().and_then(Value::as_str) {
        None => return "type: expected a string".to_owned(),
        Some("snapshot") => explain_as::<SnapshotLine>(line),
        Some("merchant") => explain_as::<Merchant>(line),
        Some("app") => explain_as::<App>(line),
        Some("license") => explain_as::<License>(line),
        Some("access_type") => explain_as::<AccessType>(line),
        Some("item") => explain_as::<Item>(line),
        Some("customer") => explain_as::<Customer>(line),
        Some(_) => None,
    };
    explained.unwrap_or_else(|| error.to_string())
}

fn explain_as<T: DeserializeOwned>(line: Value) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, T>(line).err()?;
    Some(match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    })
}
