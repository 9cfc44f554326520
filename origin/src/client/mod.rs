//! The routes of whole clients beside the API of the edge: accounts, sessions, lists of media, and purchases.
//!
//! ```text
//! service ─► token verified ─► answer ─┬─ account, registration, password    accounts and their sessions
//!                                      ├─ sign_out                           one session ends
//!                                      ├─ data                               export, erase
//!                                      ├─ media                              favourites, watch history
//!                                      └─ purchases                          subscriptions, payments
//! ```
//!
//! [`table`] has the routes. Only [`Action::Register`] and [`Action::Erase`] change what edges answer from, and so make
//! a change in the log.

mod account;
mod data;
mod media;
mod password;
mod path;
mod purchases;
mod registration;
mod sign_out;
pub mod table;
mod viewer;

use std::borrow::Cow;

use admit::{
    api::reply::{Caching, Reply},
    snapshot::time::UnixSecs,
    token::VerifiedToken,
};
use rusqlite::Connection;
use serde_json::{Value, json};

pub use self::path::ClientPath;
use crate::{
    db::{
        DbError,
        audit::{Actor, TokenNames},
    },
    guessing::{Ending, Guesser},
    request::Incoming,
    state::Shared,
    wire::Refused,
};

/// What a request for a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is an operation of the table, which says what it does")]
pub enum Action {
    Account,
    ChangeAccount,
    Register,
    SignOut,
    SignOutPage,
    RegisterFields,
    SocialSignIns,
    ForgotPassword,
    NewPassword,
    ChangePassword,
    Export,
    Erase,
    Profiles,
    Favorites,
    AddFavorite,
    Favorite,
    RemoveFavorite,
    WatchHistory,
    Watch,
    Watched,
    RemoveWatched,
    Subscriptions,
    PaymentHistory,
    PaymentMethods,
}

/// What a request for a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// The database is read.
    Read,
    /// The database is written, by one thread at a time.
    Write,
    /// A password is hashed, which takes tens of milliseconds.
    Hash,
}

impl Action {
    /// What its request waits for.
    #[must_use]
    pub const fn cost(self) -> Cost {
        match self {
            Self::Register | Self::NewPassword | Self::ChangePassword | Self::Export | Self::Erase => {
                Cost::Hash
            }
            Self::ChangeAccount
            | Self::SignOut
            | Self::SignOutPage
            | Self::ForgotPassword
            | Self::AddFavorite
            | Self::RemoveFavorite
            | Self::Watch
            | Self::RemoveWatched => Cost::Write,
            Self::Account
            | Self::RegisterFields
            | Self::SocialSignIns
            | Self::Profiles
            | Self::Favorites
            | Self::Favorite
            | Self::WatchHistory
            | Self::Watched
            | Self::Subscriptions
            | Self::PaymentHistory
            | Self::PaymentMethods => Cost::Read,
        }
    }
}

/// A request for a client, with everything that its answer depends on.
pub struct Job<'a> {
    /// State that all threads share.
    pub shared: &'a Shared,
    /// The connection of this thread.
    pub connection: &'a mut Connection,
    /// The path, with its parameter.
    pub path: ClientPath<'a>,
    /// The whole request.
    pub incoming: &'a Incoming,
    /// The verified token. Requests that need none may lack one.
    pub token: Option<Bearer<'a>>,
    /// The moment of the request.
    pub now: UnixSecs,
}

/// The token of a request.
#[derive(Clone, Copy)]
pub struct Bearer<'a> {
    /// What verification found.
    pub verified: &'a VerifiedToken,
    /// The `iss` of its issuer.
    pub issuer: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl Bearer<'_> {
    /// Its name and its session's name.
    fn names(&self) -> TokenNames {
        TokenNames::of(self.text)
    }
}

/// An answer, and the change of the log that the request made, if it made one.
pub struct Answered {
    /// The reply; the caller completes its headers.
    pub reply: Reply,
    /// The `seq` of the change.
    pub seq: Option<u64>,
}

impl From<Reply> for Answered {
    fn from(reply: Reply) -> Self {
        Self { reply, seq: None }
    }
}

/// Answers a request for a client.
///
/// # Errors
/// If the request is refused, or the database fails.
pub fn answer(job: &mut Job<'_>, action: Action) -> Result<Answered, Refused> {
    match action {
        Action::Account => account::show(job).map(Into::into),
        Action::ChangeAccount => account::change(job).map(Into::into),
        Action::Register => registration::register(job),
        Action::RegisterFields => registration::fields(job).map(Into::into),
        Action::SignOut => sign_out::sign_out(job).map(Into::into),
        Action::SignOutPage => sign_out::page(job).map(Into::into),
        Action::ForgotPassword => password::forgot(job).map(Into::into),
        Action::NewPassword => password::set_by_token(job).map(Into::into),
        Action::ChangePassword => password::change(job).map(Into::into),
        Action::Export => data::export(job).map(Into::into),
        Action::Erase => data::erase(job),
        Action::Favorites => media::favorites(job).map(Into::into),
        Action::AddFavorite => media::add_favorite(job).map(Into::into),
        Action::Favorite => media::favorite(job).map(Into::into),
        Action::RemoveFavorite => media::remove_favorite(job).map(Into::into),
        Action::WatchHistory => media::watch_history(job).map(Into::into),
        Action::Watch => media::watch(job).map(Into::into),
        Action::Watched => media::watched(job).map(Into::into),
        Action::RemoveWatched => media::remove_watched(job).map(Into::into),
        Action::Subscriptions => purchases::subscriptions(job).map(Into::into),
        Action::PaymentHistory => purchases::payment_history(job).map(Into::into),
        Action::PaymentMethods => Ok(ok(&json!([])).into()),
        // Not the bare list of the SDK's types: ott-web-app then offers no profiles, where an empty list would make it
        // ask its viewers to create one.
        Action::Profiles => Ok(ok(&json!({"collection": []})).into()),
        Action::SocialSignIns => Ok(ok(&json!({"code": 200, "social_urls": []})).into()),
    }
}

impl Job<'_> {
    /// Runs `check` on a password within the limits on guesses. All guesses at an account count together, whether they
    /// come with a sign-in or here.
    ///
    /// # Errors
    /// 429 during a delay, or the error of `check`.
    fn guess(&self, username: &str, check: impl FnOnce() -> Result<bool, DbError>) -> Result<bool, Refused> {
        let guesser = Guesser { username, from: self.incoming.from };
        let attempt = self.shared.guessing.attempt(guesser, self.now);
        let attempt = attempt.map_err(|retry_after_secs| Refused::TooMany { retry_after_secs })?;
        let outcome = check();
        let ending = match outcome {
            Ok(true) => Ending::Right,
            Ok(false) => Ending::Wrong,
            Err(_) => Ending::Unknown,
        };
        self.shared.guessing.settle(attempt, ending);
        Ok(outcome?)
    }

    /// Counts a request of a stranger about an address like a wrong password: it succeeds, and further ones are
    /// delayed.
    ///
    /// # Errors
    /// 429 during a delay.
    fn count(&self, what: &str, address: &str) -> Result<(), Refused> {
        // The prefix keeps these counts apart from those of sign-ins: user names cannot contain a zero byte.
        self.guess(&format!("{what}\0{address}"), || Ok(false)).map(drop)
    }

    /// The actor of audit entries, acting for a merchant.
    fn actor(&self, merchant_id: i64) -> Actor {
        match &self.token {
            Some(Bearer { verified, issuer, text }) => {
                let via = self.incoming.via();
                Actor { merchant_id, ..Actor::of_token(issuer, &verified.principal, text, via) }
            }
            None => self.anonymous(merchant_id, "a stranger"),
        }
    }

    /// The actor of audit entries about a request that no token accounts for; `name` says what does.
    fn anonymous(&self, merchant_id: i64, name: &str) -> Actor {
        Actor { merchant_id, ..Actor::new(&self.shared.settings.issuer, name, self.incoming.via()) }
    }
}

/// A 200 with this JSON.
fn ok(body: &Value) -> Reply {
    Reply::ok(body.to_string(), Caching::Private)
}

/// A 201 with this JSON.
fn created(body: &Value) -> Reply {
    Reply { status: 201, reason: Cow::Borrowed("created"), ..ok(body) }
}

/// A 200 whose body names the completed action. SDKs fail on a 204.
fn done(message: &str) -> Reply {
    ok(&json!({"code": 200, "message": message}))
}
