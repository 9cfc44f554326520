//! The change feed: one JSON object a line, one line for each change that the origin committed.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::json;
use super::{AccessType, App, Customer, Item, License, Line, Merchant, read};
use crate::time::Timestamp;

/// A change that the origin committed: all records that it touched, in their state afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The origin's count of committed changes after this one: one more than in the previous line.
    #[serde(deserialize_with = "read::whole")]
    pub seq: u64,
    /// When the change was committed. The time of publishing if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// New and changed records, each complete: it replaces the record with the same id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub put: Vec<Record>,
    /// Names of the removed records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Removal>,
}

/// A record: any line of a publish file except its `snapshot` line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// A merchant: the owner of items and customers.
    Merchant(Merchant),
    /// An app of a merchant, with its OAuth clients.
    App(App),
    /// A licence that customers of an app can hold.
    License(License),
    /// A kind of access that fees sell.
    AccessType(AccessType),
    /// An item, with its fees. A package is an item whose type is `package`.
    Item(Item),
    /// A customer, with accesses and licences.
    Customer(Customer),
}

impl From<Record> for Line {
    fn from(record: Record) -> Self {
        match record {
            Record::Merchant(merchant) => Self::Merchant(merchant),
            Record::App(app) => Self::App(app),
            Record::License(license) => Self::License(license),
            Record::AccessType(access_type) => Self::AccessType(access_type),
            Record::Item(item) => Self::Item(item),
            Record::Customer(customer) => Self::Customer(customer),
        }
    }
}

impl Record {
    /// The name of the record, in the form in which removals give it.
    #[must_use]
    pub fn name(&self) -> Removal {
        match self {
            Self::Merchant(merchant) => Removal::from(merchant),
            Self::App(app) => Removal::from(app),
            Self::License(license) => Removal::from(license),
            Self::AccessType(access_type) => Removal::from(access_type),
            Self::Item(item) => Removal::from(item),
            Self::Customer(customer) => Removal::from(customer),
        }
    }
}

impl Line {
    /// The name of the line's record. `None` for the `snapshot` line, which is not a record.
    #[must_use]
    pub fn name(&self) -> Option<Removal> {
        Some(match self {
            Self::Snapshot(_) => return None,
            Self::Merchant(merchant) => Removal::from(merchant),
            Self::App(app) => Removal::from(app),
            Self::License(license) => Removal::from(license),
            Self::AccessType(access_type) => Removal::from(access_type),
            Self::Item(item) => Removal::from(item),
            Self::Customer(customer) => Removal::from(customer),
        })
    }
}

/// The name of a removed record. Removing an unknown record is not an error.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Removal {
    /// A customer, who owns nothing from now on.
    Customer {
        /// Namespace, as in the customer's line.
        #[cfg_attr(feature = "schema", schemars(with = "json::NamePart"))]
        #[serde(deserialize_with = "read::name")]
        namespace: String,
        /// Subject, as in the customer's line.
        #[cfg_attr(feature = "schema", schemars(with = "json::NamePart"))]
        #[serde(deserialize_with = "read::name")]
        subject: String,
    },
    /// An item or package.
    Item {
        /// Number of the item.
        #[serde(deserialize_with = "read::whole")]
        id: i64,
    },
    /// A merchant.
    Merchant {
        /// Account number of the merchant.
        #[serde(deserialize_with = "read::whole")]
        id: i64,
    },
    /// An app.
    App {
        /// Identifier of the app.
        #[cfg_attr(feature = "schema", schemars(with = "json::Name"))]
        #[serde(deserialize_with = "read::name")]
        id: String,
    },
    /// A licence.
    License {
        /// UUID of the licence.
        #[cfg_attr(feature = "schema", schemars(with = "json::UuidText"))]
        id: String,
    },
    /// A kind of access.
    AccessType {
        /// Number of the access type, as in fees.
        #[serde(deserialize_with = "read::whole")]
        id: i64,
    },
}

impl From<&Merchant> for Removal {
    fn from(merchant: &Merchant) -> Self {
        Self::Merchant { id: merchant.id }
    }
}

impl From<&App> for Removal {
    fn from(app: &App) -> Self {
        Self::App { id: app.id.clone() }
    }
}

impl From<&License> for Removal {
    fn from(license: &License) -> Self {
        Self::License { id: license.id.clone() }
    }
}

impl From<&AccessType> for Removal {
    fn from(access_type: &AccessType) -> Self {
        Self::AccessType { id: access_type.id }
    }
}

impl From<&Item> for Removal {
    fn from(item: &Item) -> Self {
        Self::Item { id: item.id }
    }
}

impl From<&Customer> for Removal {
    fn from(customer: &Customer) -> Self {
        Self::Customer { namespace: customer.namespace.clone(), subject: customer.subject.clone() }
    }
}
