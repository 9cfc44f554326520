//! From a path to a route. Paths are compared byte by byte, without percent-decoding and without folding slashes: the
//! path that is checked is the path that was sent.

use std::borrow::Cow;

use uuid::Uuid;

use super::{Endpoint, Kind, Methods, Operation, Server, table};
use crate::{
    api::{authzen::Api, error::ApiError, query},
    snapshot::{external_id::is_external_id, store_key::StoreKey},
};

/// A path of edge or origin, with the values of its parameters. [`endpoint`](Self::endpoint) is its row of the
/// [table](super::table), which has the paths and what can be done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is a row of the table, which says what it is for")]
pub enum Route<'a> {
    Access(Id<'a>),
    Accesses,
    Playback(Id<'a>),
    SignedUrl(Id<'a>),
    MediaToken,
    Authzen(Api),
    AuthzenConfiguration,
    Customers,
    Customer(&'a str),
    TokenInspection,
    License,
    UsedTrial(Id<'a>),
    Purchases,
    Entitlements(&'a str),
    Plans(&'a str),
    Item(Id<'a>),
    MerchantItem(Uuid, Id<'a>),
    ExternalItem(ExternalName<'a>),
    Fees(Id<'a>),
    FeesV2(Id<'a>),
    BulkFees(Id<'a>),
    Fee(Id<'a>, Id<'a>),
    Package(Id<'a>),
    PackageItems(Id<'a>),
    Health,
    Grant,
    ItemsV2,
    ItemV2(Id<'a>),
    BulkPackage(Id<'a>),
    Authenticate,
    Token,
    LegacyToken,
    Authorize,
    Jwks,
    OpenIdConfiguration,
    Feed,
    Stored(StoreKey),
    Pack,
    Check,
    Keys,
    Issuers,
    Report,
    Diff,
}

/// A number in a path, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id<'a>(&'a str);

impl<'a> From<&'a str> for Id<'a> {
    fn from(text: &'a str) -> Self {
        Self(text)
    }
}

impl Id<'_> {
    /// The number: 1 to 2^63-1, in decimal digits.
    #[must_use]
    pub fn number(self) -> Option<i64> {
        // `parse` alone would accept a sign.
        if !self.0.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0.parse().ok().filter(|id| *id > 0)
    }
}

/// Item type and external id in a path, as they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalName<'a> {
    item_type: &'a str,
    id: &'a str,
}

impl<'a> ExternalName<'a> {
    /// The item type, and the external id without its percent-encoding. `None` if they cannot name an item. A `.` or
    /// `..` is refused, because proxies take it for a step in the path.
    #[must_use]
    pub fn decoded(self) -> Option<(&'a str, Cow<'a, str>)> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let id =
            query::decoded(self.id).filter(|id| is_external_id(id) && !matches!(id.as_ref(), "." | ".."))?;
        (!self.item_type.is_empty() && self.item_type.bytes().all(is_word)).then_some((self.item_type, id))
    }
}

impl<'a> Route<'a> {
    /// The route of a path, or `None` if neither edge nor origin has it.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        let [first, second, third, fourth, fifth] = segments(path)?;
        // The first arm that matches wins: a word comes before a parameter in the same place.
        Some(match (first?, second, third, fourth, fifth) {
            ("items", Some("access"), None, None, None) => Self::Grant,
            ("items", Some("access"), Some("customers"), None, None) => Self::Purchases,
            ("items", Some("packages"), None, None, None) => return None,
            ("items", Some("packages"), Some(id), None, None) => Self::Package(Id(id)),
            ("items", Some("packages"), Some(id), Some("items"), None) => Self::PackageItems(Id(id)),
            ("items", Some("assets"), Some("external"), Some(item_type), Some(id)) => {
                Self::ExternalItem(ExternalName { item_type, id })
            }
            ("items", Some("used-trial-period"), Some(id), None, None) => Self::UsedTrial(Id(id)),
            ("items", Some(id), None, None, None) => Self::Item(Id(id)),
            ("items", Some(id), Some("access"), None, None) => Self::Access(Id(id)),
            ("items", Some(id), Some("access"), Some("cloudfront"), None) => Self::SignedUrl(Id(id)),
            ("items", Some(id), Some("playback"), None, None) => Self::Playback(Id(id)),
            ("items", Some(id), Some("access-fees"), None, None) => Self::Fees(Id(id)),
            ("access", None, None, None, None) => Self::Accesses,
            ("v2", Some("items"), None, None, None) => Self::ItemsV2,
            ("v2", Some("items"), Some(id), None, None) => Self::ItemV2(Id(id)),
            ("v2", Some("items"), Some("packages"), Some(id), Some("bulk")) => Self::BulkPackage(Id(id)),
            ("v2", Some("items"), Some("jw-media"), Some("token"), None) => Self::MediaToken,
            ("v2", Some("items"), Some(id), Some("access-fees"), None) => Self::FeesV2(Id(id)),
            ("v2", Some("items"), Some(id), Some("access-fees"), Some("bulk")) => Self::BulkFees(Id(id)),
            ("v2", Some("items"), Some(id), Some("access-fees"), Some(fee)) => Self::Fee(Id(id), Id(fee)),
            ("items", Some(merchant), Some(id), None, None)
            | ("v2", Some("items"), Some(merchant), Some(id), None) => {
                Self::MerchantItem(uuid(merchant)?, Id(id))
            }
            ("customers", None, None, None, None) => Self::Customers,
            ("customers", Some(who), None, None, None) => Self::Customer(who),
            ("tokens", Some("inspect"), None, None, None) => Self::TokenInspection,
            ("license" | "licenses", None, None, None, None)
            | ("v1", Some("licenses" | "subscriptions"), None, None, None) => Self::License,
            ("v3", Some("sites"), Some(site), Some("entitlements"), None) => Self::Entitlements(site),
            ("v3", Some("sites"), Some(site), Some("plans"), None) => Self::Plans(site),
            ("healthz", None, None, None, None) => Self::Health,
            ("accounts", Some("authenticate"), None, None, None)
            | ("v2", Some("accounts"), Some("authenticate"), None, None) => Self::Authenticate,
            ("oauth2", Some("token"), None, None, None) => Self::Token,
            ("oauth2", Some("authorization"), None, None, None) => Self::LegacyToken,
            ("oauth2", Some("authorize"), None, None, None) => Self::Authorize,
            ("access", Some("v1"), Some("evaluation"), None, None) => Self::Authzen(Api::Evaluation),
            ("access", Some("v1"), Some("evaluations"), None, None) => Self::Authzen(Api::Evaluations),
            ("access", Some("v1"), Some("search"), Some("resource"), None) => {
                Self::Authzen(Api::ResourceSearch)
            }
            (".well-known", Some("authzen-configuration"), None, None, None) => Self::AuthzenConfiguration,
            (".well-known", Some("jwks.json"), None, None, None) => Self::Jwks,
            (".well-known", Some("openid-configuration"), None, None, None) => Self::OpenIdConfiguration,
            ("export" | "changes", None, None, None, None) => Self::Feed,
            ("snapshot", Some("pack"), None, None, None) => Self::Pack,
            ("snapshot", Some("check"), None, None, None) => Self::Check,
            ("snapshot", Some("keys"), None, None, None) => Self::Keys,
            ("snapshot", Some("issuers"), None, None, None) => Self::Issuers,
            ("snapshot", Some("report"), None, None, None) => Self::Report,
            ("snapshot", Some("diff"), None, None, None) => Self::Diff,
            ("snapshot", Some(_), _, None, None) => {
                Self::Stored(StoreKey::parse(path.strip_prefix("/snapshot/")?)?)
            }
            _ => return None,
        })
    }

    /// Its row of the table.
    #[must_use]
    pub const fn endpoint(self) -> &'static Endpoint {
        match self {
            Self::Access(_) => &table::ACCESS,
            Self::Accesses => &table::ACCESSES,
            Self::Playback(_) => &table::PLAYBACK,
            Self::SignedUrl(_) => &table::SIGNED_URL,
            Self::MediaToken => &table::MEDIA_TOKEN,
            Self::Authzen(Api::Evaluation) => &table::EVALUATION,
            Self::Authzen(Api::Evaluations) => &table::EVALUATIONS,
            Self::Authzen(Api::ResourceSearch) => &table::RESOURCE_SEARCH,
            Self::AuthzenConfiguration => &table::AUTHZEN_CONFIGURATION,
            Self::Customers => &table::CUSTOMERS,
            Self::Customer(_) => &table::CUSTOMER,
            Self::TokenInspection => &table::TOKEN_INSPECTION,
            Self::License => &table::LICENSE,
            Self::UsedTrial(_) => &table::USED_TRIAL,
            Self::Purchases => &table::PURCHASES,
            Self::Entitlements(_) => &table::ENTITLEMENTS,
            Self::Plans(_) => &table::PLANS,
            Self::Item(_) => &table::ITEM,
            Self::MerchantItem(..) => &table::MERCHANT_ITEM,
            Self::ExternalItem(_) => &table::EXTERNAL_ITEM,
            Self::Fees(_) => &table::FEES,
            Self::FeesV2(_) => &table::FEES_V2,
            Self::BulkFees(_) => &table::BULK_FEES,
            Self::Fee(..) => &table::FEE,
            Self::Package(_) => &table::PACKAGE,
            Self::PackageItems(_) => &table::PACKAGE_ITEMS,
            Self::Health => &table::HEALTH,
            Self::Grant => &table::GRANT,
            Self::ItemsV2 => &table::ITEMS_V2,
            Self::ItemV2(_) => &table::ITEM_V2,
            Self::BulkPackage(_) => &table::BULK_PACKAGE,
            Self::Authenticate => &table::AUTHENTICATE,
            Self::Token => &table::TOKEN,
            Self::LegacyToken => &table::LEGACY_TOKEN,
            Self::Authorize => &table::AUTHORIZE,
            Self::Jwks => &table::JWKS,
            Self::OpenIdConfiguration => &table::OPENID_CONFIGURATION,
            Self::Feed => &table::FEED,
            Self::Stored(StoreKey::Head) => &table::HEAD,
            Self::Stored(StoreKey::Object(_)) => &table::OBJECT,
            Self::Stored(StoreKey::Version(_)) => &table::VERSION,
            Self::Stored(StoreKey::Lease) => &table::LEASE,
            Self::Stored(StoreKey::Garbage) => &table::GARBAGE,
            Self::Stored(StoreKey::Start) => &table::START,
            Self::Pack => &table::PACK,
            Self::Check => &table::CHECK,
            Self::Keys => &table::KEYS,
            Self::Issuers => &table::ISSUERS,
            Self::Report => &table::REPORT,
            Self::Diff => &table::DIFF,
        }
    }

    /// The route whose reads answer this path. A word that only writes know stands where reads expect a number, so GET
    /// is answered 422 like any other invalid number, and belongs to `Allow`.
    #[must_use]
    pub const fn as_read(self) -> Self {
        match self {
            Self::Grant => Self::Item(Id("access")),
            Self::BulkFees(id) => Self::Fee(id, Id("bulk")),
            route => route,
        }
    }

    /// What `method` does here at `server`.
    #[must_use]
    pub fn operation(self, method: &str, server: Server) -> Option<&'static Operation> {
        let method = Methods::named(method);
        let read =
            || self.as_read().endpoint().operation(method, server).filter(|read| read.kind == Kind::Read);
        self.endpoint().operation(method, server).or_else(read)
    }

    /// The methods that `server` has here, `OPTIONS` included: the header `Allow`. Empty if it does not serve the path.
    #[must_use]
    pub fn methods(self, server: Server) -> Methods {
        let mut methods = self.endpoint().methods(server);
        if self.as_read() != self {
            methods = methods.and(Methods::READ);
        }
        if methods.is_empty() { methods } else { methods.and(Methods::OPTIONS) }
    }

    /// Checks the numbers of a path that is forwarded, so that the upstream sees nothing but digits in their place.
    ///
    /// # Errors
    /// 422, naming the first parameter that is not a number.
    pub fn check_numbers(self) -> Result<(), ApiError> {
        let (id, fee_id) = match self {
            Self::Fee(id, fee_id) => (id, Some(fee_id)),
            Self::Access(id)
            | Self::UsedTrial(id)
            | Self::Item(id)
            | Self::MerchantItem(_, id)
            | Self::Fees(id)
            | Self::FeesV2(id)
            | Self::BulkFees(id)
            | Self::Package(id)
            | Self::PackageItems(id)
            | Self::ItemV2(id)
            | Self::BulkPackage(id) => (id, None),
            _ => return Ok(()),
        };
        id.number().ok_or(ApiError::INVALID_ID)?;
        if let Some(fee_id) = fee_id {
            fee_id.number().ok_or(ApiError::INVALID_FEE_ID)?;
        }
        Ok(())
    }
}

/// The segments of a path. No route has more than five.
fn segments(path: &str) -> Option<[Option<&str>; 5]> {
    if path.contains("//") || path.ends_with('/') {
        return None;
    }
    let mut segments = path.strip_prefix('/')?.split('/');
    let all = std::array::from_fn(|_| segments.next());
    segments.next().is_none().then_some(all)
}

/// A UUID with its hyphens, in either case: 36 characters, so that a number is never taken for one.
fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

#[cfg(test)]
mod tests;
