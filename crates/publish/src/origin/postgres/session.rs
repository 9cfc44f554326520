//! A session with a database: connects, runs statements with time limits, and waits for notifications.

use std::{future::Future, sync::Arc, time::Duration};

use admit_native::tls;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::{Builder, Runtime},
    sync::Notify,
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, NoTls, SimpleQueryMessage, SimpleQueryRow, config::SslMode,
    error::SqlState,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    CHANGES, EXPORT,
    target::{Security, Target},
};
use crate::peer::Unheard;

/// How long connecting to all addresses, TLS and authentication may take together.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a statement without rows may take, such as LISTEN.
const SHORT_TIMEOUT: Duration = Duration::from_secs(20);

/// How much longer than the database's own limit an answer is waited for. After that the other side is gone.
const GRACE: Duration = Duration::from_secs(15);

/// A connection, and the runtime that serves it while a statement is awaited.
pub struct Session {
    runtime: Runtime,
    client: Client,
    /// Woken by each notification, and by the end of the connection.
    woken: Arc<Notify>,
    shown: String,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// The database does not answer, refuses, or is not the one that its certificate should name.
    pub fn open(target: &Target) -> Result<Self, Unheard> {
        let shown = target.shown().to_owned();
        let unheard = |text: String| Unheard::new(format!("{shown}: {text}"));
        let config = target.config().map_err(unheard)?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| unheard(error.to_string()))?;
        let woken = Arc::new(Notify::new());
        let opened = runtime.block_on(async {
            match timeout(OPEN_TIMEOUT, connect(target.security(), config, &woken)).await {
                Ok(opened) => opened,
                Err(_) => Err(format!("no connection within {} s", OPEN_TIMEOUT.as_secs())),
            }
        });
        let client = opened.map_err(unheard)?;
        Ok(Self { runtime, client, woken, shown })
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Asks for notifications in `channel`.
    ///
    /// # Errors
    /// The database refuses, as a standby does, or the connection has ended.
    pub fn listen(&self, channel: &str) -> Result<(), Unheard> {
        self.execute(&format!("LISTEN {channel}"))
    }

    /// Waits for a notification, or for `pause`.
    pub fn wait(&self, pause: Duration) {
        // Either way the next statement tells what there is.
        let _timed_out = self.runtime.block_on(async { timeout(pause, self.woken.notified()).await });
    }

    /// Begins a transaction that reads one moment. The database ends each of its statements after `limit`.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn begin(&self, limit: Duration) -> Result<(), Unheard> {
        let limit_ms = limit.as_millis();
        // A cursor is read to its end. Times are written in one way whatever the role's settings. Views of JSON look
        // expensive to the planner, which would compile them for longer than they run.
        self.execute(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {limit_ms}; \
             SET LOCAL idle_in_transaction_session_timeout = {limit_ms}; SET LOCAL cursor_tuple_fraction = 1; \
             SET LOCAL jit = off; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'"
        ))
    }

    /// Ends the transaction.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn commit(&self) -> Result<(), Unheard> {
        self.execute("COMMIT")
    }

    /// Runs statements whose rows do not matter.
    ///
    /// # Errors
    /// The database refuses one, or the connection has ended.
    pub fn execute(&self, statements: &str) -> Result<(), Unheard> {
        self.within(SHORT_TIMEOUT, self.client.batch_execute(statements))
    }

    /// Runs a statement and returns its first row.
    ///
    /// # Errors
    /// The database refuses, or the connection has ended.
    pub fn first(&self, limit: Duration, statement: &str) -> Result<Option<SimpleQueryRow>, Unheard> {
        let messages = self.within(limit + GRACE, self.client.simple_query(statement))?;
        Ok(messages.into_iter().find_map(row))
    }

    /// Runs a statement, and gives its rows to `take` until that returns `false`.
    ///
    /// # Errors
    /// The database refuses, breaks off, or does not answer.
    pub fn rows(
        &self,
        limit: Duration,
        statement: &str,
        mut take: impl FnMut(&SimpleQueryRow) -> bool,
    ) -> Result<(), Unheard> {
        let mut rows = Rows::begin(self, limit, statement)?;
        while let Some(row) = rows.next(self)? {
            if !take(&row) {
                break;
            }
        }
        Ok(())
    }

    /// Awaits `work` for `limit` at most.
    fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Unheard> {
        let done = self.runtime.block_on(async { timeout(limit, work).await });
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.unheard(&text(&error))),
            Err(_) => Err(self.unheard(&format!("no answer within {} s", limit.as_secs()))),
        }
    }

    /// The error with the name of the database.
    pub fn unheard(&self, text: &str) -> Unheard {
        Unheard::new(format!("{}: {text}", self.shown))
    }
}

/// The rows of a statement, one after another: they need not fit into memory together.
pub struct Rows {
    stream: std::pin::Pin<Box<tokio_postgres::SimpleQueryStream>>,
    limit: Duration,
}

impl Rows {
    /// Runs `statement`, for which the database has the time `limit`.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn begin(session: &Session, limit: Duration, statement: &str) -> Result<Self, Unheard> {
        let limit = limit + GRACE;
        let stream = session.within(limit, session.client.simple_query_raw(statement))?;
        Ok(Self { stream: Box::pin(stream), limit })
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// The database refuses, breaks off, or does not answer.
    pub fn next(&mut self, session: &Session) -> Result<Option<SimpleQueryRow>, Unheard> {
        loop {
            let stream = &mut self.stream;
            let message = session.within(self.limit, async {
                // `futures_util::TryStreamExt::try_next` in one line.
                std::future::poll_fn(|cx| futures_util::Stream::poll_next(stream.as_mut(), cx))
                    .await
                    .transpose()
            })?;
            match message {
                None => return Ok(None),
                Some(message) => {
                    if let Some(row) = row(message) {
                        return Ok(Some(row));
                    }
                }
            }
        }
    }
}

fn row(message: SimpleQueryMessage) -> Option<SimpleQueryRow> {
    match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    }
}

/// Connects with the protection that the URL asks for, and leaves the connection to a task of the runtime.
async fn connect(security: &Security, mut config: Config, woken: &Arc<Notify>) -> Result<Client, String> {
    match security {
        Security::Plain => plain(&config, woken).await,
        Security::Verified(root_cert) => encrypted(&config, root_cert.as_deref(), woken).await,
        Security::Preferred(root_cert) => match encrypted(&config, root_cert.as_deref(), woken).await {
            Ok(client) => Ok(client),
            // Debian's own certificate is trusted by no machine. On the same one nothing is lost without TLS.
            Err(_) => plain(config.ssl_mode(SslMode::Disable), woken).await,
        },
    }
}

async fn plain(config: &Config, woken: &Arc<Notify>) -> Result<Client, String> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| text(&error))?;
    tokio::spawn(serve(connection, Arc::clone(woken)));
    Ok(client)
}

async fn encrypted(
    config: &Config,
    root_cert: Option<&std::path::Path>,
    woken: &Arc<Notify>,
) -> Result<Client, String> {
    let tls = tls::client_config(root_cert).map_err(|error| error.to_string())?;
    let connected = config.connect(MakeRustlsConnect::new(tls)).await;
    let (client, connection) = connected.map_err(|error| text(&error))?;
    tokio::spawn(serve(connection, Arc::clone(woken)));
    Ok(client)
}

/// Sends and receives for a client until the connection ends.
async fn serve<S, T>(mut connection: Connection<S, T>, woken: Arc<Notify>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        if matches!(message, AsyncMessage::Notification(_)) {
            woken.notify_one();
        }
    }
    woken.notify_one();
}

/// The error with its cause, and what to do about the usual ones.
pub fn text(error: &tokio_postgres::Error) -> String {
    let Some(database) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            // Some errors print their cause themselves.
            if !text.contains(&inner.to_string()) {
                text += &format!(": {inner}");
            }
            cause = inner.source();
        }
        return text;
    };
    let mut text = format!("{} ({})", database.message(), database.code().code());
    if let Some(detail) = database.detail() {
        text += &format!(": {detail}");
    }
    let code = database.code();
    let hint = if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::UNDEFINED_COLUMN {
        format!(
            "expected the views {EXPORT}(line jsonb) and {CHANGES}(seq bigint, line jsonb) in the role's search_path"
        )
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        format!("GRANT SELECT ON {EXPORT}, {CHANGES} to the role, and USAGE on their schema")
    } else if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        "expected the role's password in PGPASSWORD, or in the file that PGPASSFILE names".to_owned()
    } else if *code == SqlState::QUERY_CANCELED {
        "the view takes too long, or waits for a lock".to_owned()
    } else {
        return text;
    };
    format!("{text}: {hint}")
}
