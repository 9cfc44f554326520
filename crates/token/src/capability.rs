//! What an issuer's tokens may be used for (`may` in `ISSUERS`), and the scopes by which a token asks for a part of it.
//!
//! A token never decides by itself what it may do: `claims.rs` keeps of its roles and scopes those that its issuer has
//! the capability for, and no other code has to look at the issuer again (docs/adr/0022).

/// One thing that the tokens of an issuer may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// A viewer asks for themselves: `/items/{id}/access` and `/license`.
    View,
    /// A merchant's writes: grants, items, fees.
    Write,
    /// The snapshot is read, written or collected, as the token's scopes say.
    Publish,
    /// The origin's export and change feed are read.
    Feed,
    /// A back end asks about any viewer. No route needs it yet.
    Check,
    /// Support asks why a check ended as it did. So far it shows the counts of `/healthz`.
    Explain,
}

impl Capability {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 6] =
        [Self::View, Self::Write, Self::Publish, Self::Feed, Self::Check, Self::Explain];

    /// As `may` in `ISSUERS` spells it.
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

    /// The capability of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.name() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u8);

impl Capabilities {
    /// No capability.
    pub const NONE: Self = Self(0);
    /// What an issuer has whose configuration does not say: its tokens identify viewers.
    pub const DEFAULT: Self = Self(Capability::View.bit());

    /// The same and `capability`.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability.bit())
    }

    /// Whether `capability` is among them.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// Those in the set, in the order of [`Capability::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.has(*capability))
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::NONE, Self::with)
    }
}

/// A scope of a token. Names that are not listed here say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Read the snapshot, all of it.
    SnapshotRead,
    /// Store objects, versions and the head, and take the lease for it.
    SnapshotWrite,
    /// Delete objects and versions, and take the lease for it.
    SnapshotCollect,
    /// Read the origin's export and change feed.
    FeedRead,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::SnapshotRead, Self::SnapshotWrite, Self::SnapshotCollect, Self::FeedRead];

    /// The sum of all scopes of the snapshot, under one name.
    pub const PUBLISH: &str = "snapshot:publish";

    /// As tokens spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SnapshotRead => "snapshot:read",
            Self::SnapshotWrite => "snapshot:write",
            Self::SnapshotCollect => "snapshot:collect",
            Self::FeedRead => "feed:read",
        }
    }

    /// What the token's issuer must have for it.
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

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(0);

    /// Those that a token names and `may` allows. All of them concern every merchant's data, so that an issuer which
    /// speaks for some merchants only (`is_bound`) has none.
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
            .flat_map(|name| Scope::ALL.into_iter().filter(move |scope| named(*scope, name)))
            .filter(allowed)
            .fold(Self::NONE, Self::with)
    }

    /// The same and `scope`.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// Whether `scope` is among them.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether one of `scopes` is among them.
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
            // The data of other merchants would be among it.
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
