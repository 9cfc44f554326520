//! The directory: merchants, apps with their clients, and licences. It is small, so an isolate decodes it
//! as a whole.
//!
//! Layout: the count of merchants, each with id and UUID; the count of apps, each with id, merchant id, plan
//! id, and the count of clients, each with id and mode; the count of licences, each with UUID, position of
//! its app, rank, state, test mode, name and JSON object.
//!
//! ```
//! use admit_snapshot::{
//!     directory::{AppEntry, Directory},
//!     schema::ClientMode,
//! };
//!
//! let mut directory = Directory::default();
//! let clients = vec![("tv-app".to_owned(), ClientMode::Live)];
//! let app = AppEntry { id: "tv".to_owned(), merchant_id: 21, plan_id: "basic".to_owned(), clients };
//! directory.set_apps(vec![app])?;
//!
//! let read = Directory::decode(&directory.encode()).map_err(|error| error.to_string())?;
//! let client = read.client("tv-app").ok_or("an unknown client")?;
//! assert_eq!((client.app.merchant_id, client.mode), (21, ClientMode::Live));
//! assert!(read.client("web-app").is_none());
//! # Ok::<(), String>(())
//! ```

use uuid::Uuid;

use super::{
    object::{FormatError, ObjectKind, body},
    schema::{ClientMode, LicenseState},
    sorted_map::SortedMap,
    wire::{Cursor, Put},
};

/// All small records that a check may need besides those of item and customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// UUIDs of the merchants by their numbers.
    pub merchants: SortedMap<i64, Uuid>,
    /// The apps, in the publisher's order.
    pub apps: Vec<AppEntry>,
    /// The licences by UUID.
    pub licenses: SortedMap<u128, LicenseEntry>,
    /// For each `client_id` the position of its app in `apps`, and its mode.
    clients: SortedMap<String, (usize, ClientMode)>,
}

/// An app of a merchant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppEntry {
    /// Identifier of the app.
    pub id: String,
    /// Number of the merchant that owns the app.
    pub merchant_id: i64,
    /// `plan_id` in answers of `/license`.
    pub plan_id: String,
    /// `client_id` and mode of each OAuth client.
    pub clients: Vec<(String, ClientMode)>,
}

/// A licence: a plan that unlocks items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseEntry {
    /// Position of its app in [`Directory::apps`].
    pub app: usize,
    /// Sort key of answers: licences are listed by descending rank.
    pub rank: i64,
    /// State of the licence itself, independent of subscriptions.
    pub state: LicenseState,
    /// Whether only test-mode clients see the licence.
    pub is_test_mode: bool,
    /// Name of the licence, for people.
    pub name: String,
    /// The `license` object of answers, with its braces.
    pub json: String,
}

impl LicenseEntry {
    /// Whether the licence unlocks items for its holders. Live licences are available to all, inactive ones
    /// only to those who already hold them.
    #[must_use]
    pub const fn is_for_holders(&self) -> bool {
        !self.is_test_mode && matches!(self.state, LicenseState::Live | LicenseState::Inactive)
    }
}

/// The app of an OAuth client that a token names.
#[derive(Clone, Copy, Debug)]
pub struct ClientApp<'a> {
    /// Position of the app in [`Directory::apps`].
    pub position: usize,
    /// The app.
    pub app: &'a AppEntry,
    /// The client's mode.
    pub mode: ClientMode,
}

impl Directory {
    /// Replaces the apps and indexes their clients.
    ///
    /// # Errors
    /// The id of a client that two apps have: which app it means would be a matter of chance.
    pub fn set_apps(&mut self, apps: Vec<AppEntry>) -> Result<(), String> {
        let mut clients = SortedMap::new();
        for (position, app) in apps.iter().enumerate() {
            for (client_id, mode) in &app.clients {
                if clients.insert(client_id.clone(), (position, *mode)).is_some() {
                    return Err(client_id.clone());
                }
            }
        }
        self.apps = apps;
        self.clients = clients;
        Ok(())
    }

    /// The app and the mode of a client, if the directory knows it.
    #[must_use]
    pub fn client(&self, client_id: &str) -> Option<ClientApp<'_>> {
        let (position, mode) = *self.clients.get(client_id)?;
        Some(ClientApp { position, app: self.apps.get(position)?, mode })
    }

    /// Decodes the object.
    ///
    /// # Errors
    /// The bytes are not a directory.
    pub fn decode(object: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(body(ObjectKind::Directory, object)?);
        let mut directory = Self::default();
        // Least length of a merchant: one byte of id and the UUID.
        for _ in 0..cursor.count(17)? {
            let id = cursor.signed()?;
            directory.merchants.insert(id, Uuid::from_u128(cursor.uuid()?));
        }
        let apps = (0..cursor.count(4)?).map(|_| read_app(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
        directory.set_apps(apps).map_err(|_| FormatError::Invalid("client of two apps"))?;
        for _ in 0..cursor.count(16)? {
            let id = cursor.uuid()?;
            let license = read_license(&mut cursor)?;
            if license.app >= directory.apps.len() {
                return Err(FormatError::Invalid("app of a licence"));
            }
            directory.licenses.insert(id, license);
        }
        if cursor.rest().is_empty() {
            Ok(directory)
        } else {
            Err(FormatError::Invalid("length of the directory"))
        }
    }

    /// Encodes the object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = ObjectKind::Directory.header().to_vec();
        out.put_varint(self.merchants.len() as u64);
        for (id, uuid) in &self.merchants {
            out.put_signed(*id);
            out.put_uuid(uuid.as_u128());
        }
        out.put_varint(self.apps.len() as u64);
        for app in &self.apps {
            out.put_text(&app.id);
            out.put_signed(app.merchant_id);
            out.put_text(&app.plan_id);
            out.put_varint(app.clients.len() as u64);
            for (client_id, mode) in &app.clients {
                out.put_text(client_id);
                out.push(match mode {
                    ClientMode::Live => 0,
                    ClientMode::Test => 1,
                });
            }
        }
        out.put_varint(self.licenses.len() as u64);
        for (id, license) in &self.licenses {
            out.put_uuid(*id);
            out.put_varint(license.app as u64);
            out.put_signed(license.rank);
            out.push(match license.state {
                LicenseState::Draft => 0,
                LicenseState::Pending => 1,
                LicenseState::Live => 2,
                LicenseState::Inactive => 3,
            });
            out.push(u8::from(license.is_test_mode));
            out.put_text(&license.name);
            out.put_text(&license.json);
        }
        out
    }
}

fn read_app(cursor: &mut Cursor<'_>) -> Result<AppEntry, FormatError> {
    Ok(AppEntry {
        id: cursor.text()?.to_owned(),
        merchant_id: cursor.signed()?,
        plan_id: cursor.text()?.to_owned(),
        clients: (0..cursor.count(2)?)
            .map(|_| {
                let client_id = cursor.text()?.to_owned();
                let mode = match cursor.u8()? {
                    0 => ClientMode::Live,
                    1 => ClientMode::Test,
                    _ => return Err(FormatError::Invalid("mode of a client")),
                };
                Ok((client_id, mode))
            })
            .collect::<Result<_, _>>()?,
    })
}

fn read_license(cursor: &mut Cursor<'_>) -> Result<LicenseEntry, FormatError> {
    Ok(LicenseEntry {
        app: usize::try_from(cursor.varint()?).map_err(|_| FormatError::Invalid("app of a licence"))?,
        rank: cursor.signed()?,
        state: match cursor.u8()? {
            0 => LicenseState::Draft,
            1 => LicenseState::Pending,
            2 => LicenseState::Live,
            3 => LicenseState::Inactive,
            _ => return Err(FormatError::Invalid("state of a licence")),
        },
        is_test_mode: match cursor.u8()? {
            0 => false,
            1 => true,
            _ => return Err(FormatError::Invalid("test mode of a licence")),
        },
        name: cursor.text()?.to_owned(),
        json: cursor.text()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Directory {
        let mut directory = Directory::default();
        directory.merchants.insert(21, Uuid::from_u128(1));
        let clients = vec![("c".to_owned(), ClientMode::Live), ("t".to_owned(), ClientMode::Test)];
        let app = AppEntry { id: "a".to_owned(), merchant_id: 21, plan_id: "p".to_owned(), clients };
        directory.set_apps(vec![app]).unwrap();
        let license = LicenseEntry {
            app: 0,
            rank: -1,
            state: LicenseState::Pending,
            is_test_mode: true,
            name: "n".to_owned(),
            json: "{}".to_owned(),
        };
        directory.licenses.insert(9, license);
        directory
    }

    /// Pins the layout of published directories: a change here changes the format and needs a migration plan.
    #[test]
    fn layout_is_pinned() {
        let mut expected = b"ADMR\x03\0\0\0".to_vec();
        expected.extend([1, 42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        expected.extend(b"\x01\x01a\x2a\x01p\x02\x01c\x00\x01t\x01");
        expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        expected.extend(b"\x00\x01\x01\x01\x01n\x02{}");
        assert_eq!(sample().encode(), expected);
        assert_eq!(Directory::decode(&expected), Ok(sample()));
    }

    #[test]
    fn clients_lead_to_their_app() {
        let directory = sample();
        let client = directory.client("t").unwrap();
        assert_eq!((client.position, client.app.merchant_id, client.mode), (0, 21, ClientMode::Test));
        assert!(directory.client("x").is_none());
    }

    #[test]
    fn a_client_of_two_apps_is_refused() {
        let app = sample().apps[0].clone();
        assert_eq!(Directory::default().set_apps(vec![app.clone(), app]), Err("c".to_owned()));
    }

    #[test]
    fn every_truncation_and_a_tail_are_errors() {
        let object = sample().encode();
        for len in 0..object.len() {
            assert!(Directory::decode(&object[..len]).is_err(), "{len}");
        }
        assert!(Directory::decode(&[object, vec![0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Directory::decode(&[ObjectKind::Directory.header().as_slice(), &bytes].concat());
        }
    }
}
