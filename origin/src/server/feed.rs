//! Sends the export and the change feed.

use std::{
    io::{self, Write},
    sync::Arc,
    thread,
    time::Duration,
};

use admit::api::reply::Reply;
use axum::{body::Body, response::Response};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{ReplyContext, Server, class::Class, overloaded, pool::Overloaded, set_headers};
use crate::{
    db::{self, changes::Feed, export},
    event::{self, Event},
    limits::{EXPORT_CHUNK_BYTES, EXPORT_STALL, EXPORT_TIMEOUT, EXPORTS_MAX, FEED_POLL, WAIT_MAX_SECS},
    settings::Settings,
    wire::{OriginError, Refused},
};

const NDJSON: &str = "application/x-ndjson";

/// Sends the changes after `after`. If the request asks to wait, it waits for the first change.
pub async fn changes(
    server: &Server,
    context: &ReplyContext,
    after: u64,
    wait: Option<Duration>,
    reply: Reply,
) -> Response {
    // A reader with new changes is answered at once. Otherwise it waits, and reads again after a commit in this
    // process, after the next poll of the database, when the server stops, or at its own deadline.
    let (mut committed, mut ending) = (server.shared.seq.subscribe(), server.ending.clone());
    let wait = wait.map(|wait| wait.min(Duration::from_secs(WAIT_MAX_SECS)));
    let until = Instant::now() + wait.unwrap_or_default();
    let (lines, seq) = loop {
        // Before the read, so that a commit during the read wakes the wait below.
        committed.mark_unchanged();
        match server.pools.of(Class::Feed).changes(after).await {
            Ok(Ok(Feed::Lines { text, seq })) => {
                if !text.is_empty() || Instant::now() >= until || *ending.borrow() {
                    break (text, seq);
                }
            }
            Ok(Ok(Feed::Gone)) => {
                return server.plain(context, Refused::Own(OriginError::HistoryGone).reply());
            }
            Ok(Err(error)) => {
                event::log(Event::Database(&error));
                server.shared.metrics.database_failed(&error);
                return server.plain(context, Refused::Db(error).reply());
            }
            Err(Overloaded) => return server.plain(context, overloaded()),
        }
        tokio::select! {
            _ = committed.changed() => {}
            _ = ending.changed() => {}
            // Other processes also change the database, so it is polled.
            () = sleep_until(until.min(Instant::now() + FEED_POLL)) => {}
        }
    };
    let mut answer = ndjson(reply, Body::from(lines));
    // A reader that is behind learns by how much: an answer has a bounded number of changes.
    answer.headers_mut().insert("entitlement-seq", seq.into());
    if let Some(wait) = wait
        && let Ok(applied) = format!("wait={}", wait.as_secs()).parse()
    {
        answer.headers_mut().insert("preference-applied", applied);
    }
    answer
}

fn ndjson(mut reply: Reply, body: Body) -> Response {
    // The lines have the `seq` that they reflect.
    reply.headers.retain(|(name, _)| *name != "entitlement-seq");
    reply.headers.insert(0, ("content-type", NDJSON.into()));
    let mut answer = Response::new(body);
    set_headers(&mut answer, &reply.headers);
    answer
}

/// The exports in progress, which are limited in number.
#[derive(Debug)]
pub struct Exports(Arc<Semaphore>);

impl Default for Exports {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(EXPORTS_MAX)))
    }
}

impl Exports {
    /// Streams the export. An export that cannot be completed breaks the connection, so that its reader does
    /// not take it for complete.
    pub async fn stream(&self, server: &Server, context: &ReplyContext, reply: Reply) -> Response {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            return server.plain(context, overloaded());
        };
        // The bounded channel is the back-pressure: the exporting thread blocks when the reader is slow.
        let (chunks, receiver) = mpsc::channel(4);
        let (settings, runtime) = (server.shared.settings.clone(), Handle::current());
        let spawned = thread::Builder::new().name("export".to_owned()).spawn(move || {
            // Held until the export has ended.
            let _permit = permit;
            let (buffer, until) = (Vec::with_capacity(EXPORT_CHUNK_BYTES), Instant::now() + EXPORT_TIMEOUT);
            let mut out = Chunks { chunks, runtime, buffer, until };
            if let Err(error) = write(&settings, &mut out) {
                event::log(Event::ExportBroken { error: &error });
                let _ = out.send(Err(io::Error::other("broken off")));
            }
        });
        if spawned.is_err() {
            return server.plain(context, overloaded());
        }
        ndjson(reply, Body::from_stream(ReceiverStream::new(receiver)))
    }
}

fn write(settings: &Settings, out: &mut Chunks) -> Result<(), String> {
    let connection = db::connect_to(&settings.db).map_err(|error| error.to_string())?;
    export::export(&connection, settings.clock.now(), out).map_err(|error| error.to_string())?;
    out.flush().map_err(|error| error.to_string())
}

/// Sends the export's bytes in chunks, no faster than the reader takes them.
struct Chunks {
    chunks: mpsc::Sender<io::Result<Vec<u8>>>,
    runtime: Handle,
    buffer: Vec<u8>,
    /// The deadline of the whole export.
    until: Instant,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= EXPORT_CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(EXPORT_CHUNK_BYTES));
        self.send(Ok(chunk))
    }
}

impl Chunks {
    fn send(&self, chunk: io::Result<Vec<u8>>) -> io::Result<()> {
        // A timer can only be made inside the runtime, so `timeout_at` is called in the async block.
        let until = self.until.min(Instant::now() + EXPORT_STALL);
        match self.runtime.block_on(async { timeout_at(until, self.chunks.send(chunk)).await }) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that takes a little now and then would otherwise hold the read transaction for ever.
    #[test]
    fn an_export_that_goes_on_for_too_long_is_broken_off() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let send = |until| {
            let (chunks, _reader) = mpsc::channel(1);
            let out = Chunks { chunks, runtime: runtime.handle().clone(), buffer: Vec::new(), until };
            out.send(Ok(vec![1])).unwrap();
            out.send(Ok(vec![2])).map_err(|error| error.kind())
        };
        assert_eq!(send(Instant::now()), Err(io::ErrorKind::TimedOut));
    }
}
