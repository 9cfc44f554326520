//! The rules that a token is held to, for people who ask which one it breaks. The verifier finds the error; a rule is where
//! in its order that error stands.
//!
//! ```
//! use admit_token::{BearerError, Rejection, Rule, TokenError, VerifyError};
//!
//! let error = TokenError::Bearer(BearerError::TooLong);
//! let refused = VerifyError::Rejected(Rejection { error, detail: error.to_string() });
//! assert_eq!(refused.rule(), Some(Rule::Form));
//! assert!(Rule::Form < Rule::Signature, "the form is checked first");
//! ```

use admit_snapshot::every_variant;

use super::error::{ClaimsError, JwsError, TokenError, UndecidedCause, VerifyError};

/// A rule for tokens, in the order in which they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Three segments of base64url; header and claims are JSON objects without extensions.
    Form,
    /// The algorithm is one that this service knows.
    Algorithm,
    /// The header names no other kind of token.
    Type,
    /// `iss` is a configured issuer.
    Issuer,
    /// The issuer has a usable key of this name for this algorithm.
    Key,
    /// The key made the signature.
    Signature,
    /// `exp`, `nbf` and `iat` are times.
    Dates,
    /// `exp` has not passed.
    Expiry,
    /// `nbf` and `iat` have come.
    NotBefore,
    /// `aud` names this service.
    Audience,
    /// The claim that names the customer does.
    Customer,
    /// The other claims have the right types.
    Claims,
    /// The denylist has neither the token nor its customer nor its key.
    Denylist,
}

every_variant!(Rule: Form, Algorithm, Type, Issuer, Key, Signature, Dates, Expiry, NotBefore, Audience, Customer, Claims,
    Denylist);

impl Rule {
    /// A short name. Names stay the same between versions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::Issuer => "issuer",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Dates => "dates",
            Self::Expiry => "exp",
            Self::NotBefore => "nbf",
            Self::Audience => "aud",
            Self::Customer => "customer",
            Self::Claims => "claims",
            Self::Denylist => "denylist",
        }
    }

    fn of(error: TokenError) -> Self {
        match error {
            TokenError::Bearer(_)
            | TokenError::Jws(
                JwsError::TooLong | JwsError::Malformed | JwsError::Extension | JwsError::Payload,
            ) => Self::Form,
            TokenError::Jws(JwsError::UnsupportedAlgorithm) => Self::Algorithm,
            TokenError::Jws(JwsError::WrongType) => Self::Type,
            TokenError::UnknownIssuer => Self::Issuer,
            TokenError::Jws(JwsError::UnknownKey | JwsError::AmbiguousKey | JwsError::AlgorithmMismatch) => {
                Self::Key
            }
            TokenError::Jws(JwsError::BadSignature) => Self::Signature,
            TokenError::Claims(ClaimsError::Malformed("exp" | "nbf" | "iat")) => Self::Dates,
            TokenError::Claims(ClaimsError::NoExpiry | ClaimsError::Expired) => Self::Expiry,
            TokenError::Claims(ClaimsError::NotYetValid | ClaimsError::IssuedInFuture) => Self::NotBefore,
            TokenError::Claims(ClaimsError::Audience | ClaimsError::Malformed("aud")) => Self::Audience,
            TokenError::Claims(ClaimsError::Customer) => Self::Customer,
            TokenError::Claims(ClaimsError::Malformed(_)) => Self::Claims,
            TokenError::Revoked => Self::Denylist,
        }
    }
}

impl VerifyError {
    /// The rule that the token breaks, or that cannot be checked now. `None` while the issuer's keys must be fetched
    /// first: the check has not ended.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Rejected(rejection) => Some(Rule::of(rejection.error)),
            Self::Undecided(undecided) => Some(match undecided.cause {
                UndecidedCause::ClockDiffers => Rule::NotBefore,
                UndecidedCause::KeyPending | UndecidedCause::KeyLeftOut | UndecidedCause::AmbiguousKey => {
                    Rule::Key
                }
            }),
            Self::KeysUnavailable { .. } => Some(Rule::Key),
            Self::NeedKeys(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rules_are_listed_in_their_order_under_their_own_names() {
        assert!(Rule::ALL.is_sorted());
        let names: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
    }

    #[test]
    fn every_rule_can_be_broken() {
        let claims = ["exp", "aud", "mid"].map(|name| TokenError::Claims(ClaimsError::Malformed(name)));
        let broken: BTreeSet<_> = TokenError::all().chain(claims).map(Rule::of).collect();
        assert_eq!(broken, Rule::ALL.iter().copied().collect());
    }
}
