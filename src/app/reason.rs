//! The service's own words for why it answered, for logs. The others come from the decision
//! ([`entitlement::Reason`](crate::entitlement::Reason)), the token ([`TokenError`](crate::token::TokenError)) and the
//! permission ([`Permission`](super::Permission)).

/// Why the service answered as it did, where neither decision nor token says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceReason {
    /// A read of the snapshot succeeded.
    Ok,
    /// Some of the items of a question are not granted.
    SomeDenied,
    /// The upstream's answer was passed back.
    Upstream,
    /// The snapshot does not have the item.
    UnknownItem,
    /// The snapshot does not have the media id.
    UnknownMedia,
    /// The snapshot has an earlier format, which does not know external ids.
    NoExternalIds,
    /// The URL that a client wants signed is not the item's media.
    ForeignMedia,
    /// No signer of `PLAYBACK` serves the question.
    NoSigner,
    /// The signers of `PLAYBACK` cannot sign the item's media, or not for this viewer.
    NotSigned,
    /// The platform failed to sign.
    SigningFailed,
    /// The answer would be longer than the budget of an answer.
    TooLarge,
    /// This isolate has not read a snapshot yet.
    NoSnapshot,
    /// An object of the snapshot could not be read, or is invalid.
    Unreadable,
    /// The request needed more rounds of loading than any request should.
    LoadRounds,
    /// An issuer's keys could not be fetched.
    KeysUnavailable,
    /// Too many bytes of uploads are in memory.
    TransfersBusy,
    /// The address has sent too many requests.
    Limited,
}

impl ServiceReason {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::SomeDenied,
        Self::Upstream,
        Self::UnknownItem,
        Self::UnknownMedia,
        Self::NoExternalIds,
        Self::ForeignMedia,
        Self::NoSigner,
        Self::NotSigned,
        Self::SigningFailed,
        Self::TooLarge,
        Self::NoSnapshot,
        Self::Unreadable,
        Self::LoadRounds,
        Self::KeysUnavailable,
        Self::TransfersBusy,
        Self::Limited,
    ];

    /// A stable name for logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::SomeDenied => "some_denied",
            Self::Upstream => "origin",
            Self::UnknownItem => "unknown_item",
            Self::UnknownMedia => "unknown_media",
            Self::NoExternalIds => "no_external_ids",
            Self::ForeignMedia => "foreign_media",
            Self::NoSigner => "no_signer",
            Self::NotSigned => "not_signed",
            Self::SigningFailed => "signing_failed",
            Self::TooLarge => "too_large",
            Self::NoSnapshot => "no_snapshot",
            Self::Unreadable => "unreadable",
            Self::LoadRounds => "load_rounds",
            Self::KeysUnavailable => "keys_unavailable",
            Self::TransfersBusy => "transfers_busy",
            Self::Limited => "limited",
        }
    }
}
