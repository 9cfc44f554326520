//! Classes of requests. Each class has its own threads and its own queue, so that a slow or flooded class
//! does not affect the others.

use std::sync::Arc;

use admit::api::contract::{Auth, Kind};
use anyhow::Result;

use super::pool::Pool;
use crate::{
    client::Cost,
    limits::{
        ACCOUNT_PASSWORD_WORKERS, ACCOUNT_WORKERS, ACCOUNT_WRITE_WORKERS, CHECK_WORKERS, DOCUMENT_WORKERS,
        FEED_WORKERS, PASSWORD_QUEUE_MAX, PASSWORD_WORKERS, QUEUE_MAX, READ_WORKERS, TOKEN_WORKERS,
        WRITE_WORKERS,
    },
    request::Incoming,
    state::Shared,
    target::{Target, Task},
    tokens::attempt::Attempt,
};

/// The class of a request: the set of requests that it shares threads with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Checks and lists of licences: they need a token, and a viewer waits.
    Check,
    /// Writes of merchants.
    Write,
    /// Reads without a token.
    Read,
    /// Export and change feed.
    Feed,
    /// Sign-ins with a password, whose hash takes tens of milliseconds.
    Password,
    /// Other steps of a sign-in.
    Token,
    /// Reads of viewers' own data: an app that starts waits for them.
    Account,
    /// Changes of viewers' own data, and sign-outs. Players send many, which wait for the lock of writes.
    AccountWrite,
    /// Registrations, and passwords of signed-in viewers.
    AccountPassword,
    /// Small public documents, and errors.
    Document,
}

impl Class {
    /// The class of a request. `attempt` is the sign-in that it makes, if it makes one.
    #[must_use]
    pub fn of(target: Option<Target<'_>>, incoming: &Incoming, attempt: Option<&Attempt>) -> Self {
        let operation = match target.and_then(|target| target.task(&incoming.method)) {
            Some(Task::Api(_, operation)) => operation,
            Some(Task::Client(_, operation)) => {
                return match operation.action.cost() {
                    Cost::Read => Self::Account,
                    Cost::Write => Self::AccountWrite,
                    Cost::Hash => Self::AccountPassword,
                };
            }
            None => return Self::Document,
        };
        match operation.kind {
            Kind::Health
            | Kind::Discovery
            | Kind::Publish
            | Kind::Playback
            | Kind::Checks
            | Kind::Authzen
            | Kind::Support => Self::Document,
            Kind::Feed => Self::Feed,
            Kind::SignIn { .. } | Kind::SignInPage => match attempt {
                Some(attempt) if attempt.grant.has_password() => Self::Password,
                _ => Self::Token,
            },
            Kind::Write(_) => Self::Write,
            Kind::Evaluation => Self::Check,
            Kind::Read if operation.auth == Auth::Viewer => Self::Check,
            Kind::Read => Self::Read,
        }
    }
}

impl Class {
    /// Its name, as metrics and threads have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Write => "write",
            Self::Read => "read",
            Self::Feed => "feed",
            Self::Password => "password",
            Self::Token => "token",
            Self::Account => "account",
            Self::AccountWrite => "account_write",
            Self::AccountPassword => "account_password",
            Self::Document => "document",
        }
    }
}

/// One pool of threads per class.
#[derive(Clone, Debug)]
pub struct Pools {
    checks: Pool,
    writes: Pool,
    reads: Pool,
    feed: Pool,
    passwords: Pool,
    tokens: Pool,
    accounts: Pool,
    account_writes: Pool,
    account_passwords: Pool,
    documents: Pool,
}

impl Pools {
    /// Starts the threads of all classes.
    ///
    /// # Errors
    /// If a thread cannot open the database.
    pub fn start(shared: &Arc<Shared>) -> Result<Self> {
        let start = |class: Class, threads, queue_max| Pool::start(shared, class.name(), threads, queue_max);
        let pool = |class, threads| start(class, threads, QUEUE_MAX);
        Ok(Self {
            checks: pool(Class::Check, CHECK_WORKERS)?,
            writes: pool(Class::Write, WRITE_WORKERS)?,
            reads: pool(Class::Read, READ_WORKERS)?,
            feed: pool(Class::Feed, FEED_WORKERS)?,
            passwords: start(Class::Password, PASSWORD_WORKERS, PASSWORD_QUEUE_MAX)?,
            tokens: pool(Class::Token, TOKEN_WORKERS)?,
            accounts: pool(Class::Account, ACCOUNT_WORKERS)?,
            account_writes: pool(Class::AccountWrite, ACCOUNT_WRITE_WORKERS)?,
            account_passwords: start(Class::AccountPassword, ACCOUNT_PASSWORD_WORKERS, PASSWORD_QUEUE_MAX)?,
            documents: pool(Class::Document, DOCUMENT_WORKERS)?,
        })
    }

    /// The pool of a class.
    #[must_use]
    pub const fn of(&self, class: Class) -> &Pool {
        match class {
            Class::Check => &self.checks,
            Class::Write => &self.writes,
            Class::Read => &self.reads,
            Class::Feed => &self.feed,
            Class::Password => &self.passwords,
            Class::Token => &self.tokens,
            Class::Account => &self.accounts,
            Class::AccountWrite => &self.account_writes,
            Class::AccountPassword => &self.account_passwords,
            Class::Document => &self.documents,
        }
    }
}
