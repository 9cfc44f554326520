//! Capabilities: what an issuer's tokens may be used for (`may` in `ISSUERS`), and the scopes by which a
//! token asks for a part of them.
//!
//! A token cannot extend its own rights. `claims.rs` keeps only the roles and scopes that the issuer has a
//! capability for, so no other code has to look at the issuer again (docs/adr/0022).
//!
//! ```
//! use admit_token::{Capabilities, Capability, Scope, Scopes};
//!
//! let may: Capabilities = [Capability::View, Capability::Publish].into_iter().collect();
//! assert!(may.has(Capability::Publish) && !may.has(Capability::Write));
//! assert_eq!(Capability::from_name("publish"), Some(Capability::Publish));
//!
//! let scopes = Scopes::NONE.with(Scope::SnapshotRead);
//! assert!(scopes.has_any(&[Scope::SnapshotRead, Scope::FeedRead]));
//! assert_eq!(Scope::FeedRead.capability(), Capability::Feed);
//! ```

/// One use that the tokens of an issuer may be put to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Viewers ask for themselves: `/items/{id}/access`, `/license`, and AuthZEN about their own customer.
    View,
    /// Merchants write: grants, items, fees.
    Write,
    /// Publishers read, write or collect the snapshot, as the token's scopes say.
    Publish,
    /// Publishers read the origin's export and change feed.
    Feed,
    /// Back ends ask about any customer, by AuthZEN.
    Check,
    /// Support asks why a question ended as it did, beside [`View`](Self::View) or [`Check`](Self::Check). It also shows
    /// the counts of `/healthz`.
    Explain,
}

impl Capability {
    /// All capabilities, in the order in which they are documented.
    pub const ALL: [Self; 6] =
        [Self::View, Self::Write, Self::Publish, Self::Feed, Self::Check, Self::Explain];

    /// The name as `may` in `ISSUERS` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Write => "write",
            Self::Publish => "publish",
            Self::Feed => "feed",
            Self::Check => "check",
            Self::Explain => "explain",
        }
    }

    /// The capability with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.name() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u8);

impl Capabilities {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// The capabilities of an issuer without `may`: its tokens identify viewers.
    pub const DEFAULT: Self = Self(Capability::View.bit());

    /// This set with `capability` added.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability.bit())
    }

    /// Whether the set contains `capability`.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// The members of the set, in the order of [`Capability::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.has(*capability))
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::NONE, Self::with)
    }
}

/// A scope of a token. Unknown names are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Read the whole snapshot.
    SnapshotRead,
    /// Store objects, versions and the head, and take the lease to do so.
    SnapshotWrite,
    /// Delete objects and versions, and take the lease to do so.
    SnapshotCollect,
    /// Read the origin's export and change feed.
    FeedRead,
}

impl Scope {
    /// All scopes, in the order in which they are documented.
    pub const ALL: [Self; 4] =
        [Self::SnapshotRead, Self::SnapshotWrite, Self::SnapshotCollect, Self::FeedRead];

    /// One name for all scopes of the snapshot together.
    pub const PUBLISH: &str = "snapshot:publish";

    /// The name as tokens spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SnapshotRead => "snapshot:read",
            Self::SnapshotWrite => "snapshot:write",
            Self::SnapshotCollect => "snapshot:collect",
            Self::FeedRead => "feed:read",
        }
    }

    /// The capability that the token's issuer needs for this scope.
    #[must_use]
    pub const fn capability(self) -> Capability {
        match self {
            Self::SnapshotRead | Self::SnapshotWrite | Self::SnapshotCollect => Capability::Publish,
            Self::FeedRead => Capability::Feed,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// The scopes that a token names and `may` allows. Every scope gives access to the data of all merchants,
    /// so an issuer that is bound to some merchants (`is_bound`) gets none.
    pub(super) fn granted<'a>(
        names: impl Iterator<Item = &'a str>,
        may: Capabilities,
        is_bound: bool,
    ) -> Self {
        let named = |scope: Scope, name: &str| {
            name == scope.name() || (name == Scope::PUBLISH && scope.capability() == Capability::Publish)
        };
        let allowed = |scope: &Scope| !is_bound && may.has(scope.capability());
        names
            // One name may stand for several scopes (`snapshot:publish`); unknown names stand for none.
            .flat_map(|name| Scope::ALL.into_iter().filter(move |scope| named(*scope, name)))
            .filter(allowed)
            .fold(Self::NONE, Self::with)
    }

    /// This set with `scope` added.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// Whether the set contains `scope`.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether the set contains at least one of `scopes`.
    #[must_use]
    pub fn has_any(self, scopes: &[Scope]) -> bool {
        scopes.iter().any(|scope| self.has(*scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for capability in Capability::ALL {
            assert_eq!(Capability::from_name(capability.name()), Some(capability));
            assert_eq!(Capabilities::NONE.with(capability).iter().collect::<Vec<_>>(), [capability]);
        }
        for unknown in ["", "View", "views", "admin", "*"] {
            assert_eq!(Capability::from_name(unknown), None, "{unknown}");
        }
        assert_eq!(Capabilities::DEFAULT.iter().collect::<Vec<_>>(), [Capability::View]);
    }

    #[test]
    fn publishing_is_the_sum_of_the_snapshots_scopes() {
        use Capability::{Feed, Publish};
        use Scope::{FeedRead, SnapshotCollect, SnapshotRead, SnapshotWrite};
        let both = Capabilities::NONE.with(Publish).with(Feed);
        for (names, may, is_bound, expected) in [
            (&["snapshot:publish"][..], both, false, &[SnapshotRead, SnapshotWrite, SnapshotCollect][..]),
            (&["snapshot:read"], both, false, &[SnapshotRead]),
            (&["snapshot:write", "feed:read", "openid"], both, false, &[SnapshotWrite, FeedRead]),
            (&["snapshot:collect"], both, false, &[SnapshotCollect]),
            (&["snapshot:publish", "feed:read"], Capabilities::NONE.with(Feed), false, &[FeedRead]),
            (&["snapshot:publish", "feed:read"], Capabilities::DEFAULT, false, &[]),
            // The scope would include other merchants' data.
            (&["snapshot:publish", "feed:read"], both, true, &[]),
            (&["snapshot:", "snapshot:publisher", "snapshot", "SNAPSHOT:READ", ""], both, false, &[]),
        ] {
            let granted = Scopes::granted(names.iter().copied(), may, is_bound);
            assert_eq!(
                granted,
                expected.iter().fold(Scopes::NONE, |all, scope| all.with(*scope)),
                "{names:?}"
            );
        }
    }
}
