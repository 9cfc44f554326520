//! The change feed: one JSON object a line, one line for each change that the origin committed.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::json;
use super::{AccessType, App, Customer, Item, License, Line, Merchant, read};
use crate::time::Timestamp;

/// A change that the origin committed: everything that it touched, as it is afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The origin's count of committed changes after this one: one more than in the line before.
    #[serde(deserialize_with = "read::whole")]
    pub seq: u64,
    /// When it was committed. The time of publishing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Records that are new or have changed, each whole: it replaces the one with the same id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub put: Vec<Record>,
    /// Records that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Removal>,
}

/// A record: a line of a publish file that is not its `snapshot` line.
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
    /// What names the record, in the form in which a removal does.
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
    /// What names the record of the line; the `snapshot` line is not a record.
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

/// Names a record that is gone. Removing one that is not there is no error.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Removal {
    /// A customer: from now on somebody who owns nothing.
    Customer {
        /// As in the customer's line.
        #[cfg_attr(feature = "schema", schemars(with = "json::NamePart"))]
        #[serde(deserialize_with = "read::name")]
        namespace: String,
        /// As in the customer's line.
        #[cfg_attr(feature = "schema", schemars(with = "json::NamePart"))]
        #[serde(deserialize_with = "read::name")]
        subject: String,
    },
    /// An item or a package.
    Item {
        /// The item's number.
        #[serde(deserialize_with = "read::whole")]
        id: i64,
    },
    /// A merchant.
    Merchant {
        /// The merchant's account number.
        #[serde(deserialize_with = "read::whole")]
        id: i64,
    },
    /// An app.
    App {
        /// The app's identifier.
        #[cfg_attr(feature = "schema", schemars(with = "json::Name"))]
        #[serde(deserialize_with = "read::name")]
        id: String,
    },
    /// A licence.
    License {
        /// UUID.
        #[cfg_attr(feature = "schema", schemars(with = "json::UuidText"))]
        id: String,
    },
    /// A kind of access.
    AccessType {
        /// As fees name it.
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
