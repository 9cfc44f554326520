//! The errors that only this origin has, beside those that it shares with the edge.

/// An error with a fixed status and message. docs/origin.md lists them, except those of sign-in and
/// [`BodyBrokeOff`](Self::BodyBrokeOff).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginError {
    /// The connection broke before the body was complete, or the body took too long.
    BodyBrokeOff,
    /// The query of the sign-in page exceeds its bound.
    QueryTooLong,
    /// A request does not come from the edge, and the origin answers only its edge. The status is not 403, on which
    /// clients sign their viewers out: an edge without the right secret is misconfigured, which says nothing about a
    /// viewer.
    EdgeOnly,
    /// The reader of the feed asks for changes that the log no longer has.
    HistoryGone,
    /// The item to delete does not exist.
    NoItemToDelete,
    /// The customer has no access of their own on the item.
    NoAccessToRemove,
    /// The amount of a fee is not a number, or negative.
    FeeAmount,
    /// A customer holds access bought by the fee.
    FeeInUse,
    /// The write would store more than the merchant's quota allows.
    StorageFull,
    /// The user name, password or secret is wrong.
    Credentials,
    /// The refresh token is unknown, expired or used.
    RefreshToken,
    /// Viewers may not register themselves.
    RegistrationClosed,
    /// The token for a new password is unknown, expired or used.
    PasswordToken,
    /// The address after a sign-out is not registered for the client.
    LogoutUri,
    /// The token's holder has no account or no customer here.
    NoAccount,
    /// Neither a merchant nor a client has this name.
    NoMerchant,
    /// The medium is not in the viewer's list.
    NoMedium,
}

impl OriginError {
    /// Every error.
    pub const ALL: [Self; 17] = [
        Self::BodyBrokeOff,
        Self::QueryTooLong,
        Self::EdgeOnly,
        Self::HistoryGone,
        Self::NoItemToDelete,
        Self::NoAccessToRemove,
        Self::FeeAmount,
        Self::FeeInUse,
        Self::StorageFull,
        Self::Credentials,
        Self::RefreshToken,
        Self::RegistrationClosed,
        Self::PasswordToken,
        Self::LogoutUri,
        Self::NoAccount,
        Self::NoMerchant,
        Self::NoMedium,
    ];

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// The `message` of the body.
    #[must_use]
    pub const fn message(self) -> &'static str {
        self.row().1
    }

    const fn row(self) -> (u16, &'static str) {
        match self {
            Self::BodyBrokeOff => (400, "The body broke off"),
            Self::QueryTooLong => (414, "The query is too long"),
            Self::EdgeOnly => (421, "This origin answers its edge only"),
            Self::HistoryGone => (410, "The history before is gone: read the export"),
            Self::NoItemToDelete => (400, "Item not found"),
            Self::NoAccessToRemove => (400, "Failed to remove item access"),
            Self::FeeAmount => (400, "Invalid fee amount"),
            Self::FeeInUse => (412, "Access fee is in use"),
            Self::StorageFull => (422, "The merchant's storage is full"),
            Self::Credentials => (401, "Invalid credentials"),
            Self::RefreshToken => (401, "Invalid refresh token"),
            Self::RegistrationClosed => (400, "Registration is closed"),
            Self::PasswordToken => (400, "Invalid password token"),
            Self::LogoutUri => (400, "Invalid logout address"),
            Self::NoAccount => (404, "Account not found"),
            Self::NoMerchant => (404, "Merchant not found"),
            Self::NoMedium => (404, "Media not found"),
        }
    }
}
