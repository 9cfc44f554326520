//! Reads lines of the publish schema and checks that they belong together.
//!
//! ```text
//! file ─► Chunks (whole lines) ─► threads: parse ─┬─► Catalogue (in memory)
//!                                                 └─► customers: encode ─► Spill (memory, then disk)
//! ```
//!
//! The catalogue is kept in memory as a whole. Customers are encoded as they are read, on all processors, and
//! kept by [`Spill`], which writes to disk what exceeds its memory. References of customers are checked when
//! the snapshot is built from them.
//!
//! ```
//! use admit_publish::source::{SpillPlan, Source, Strictness};
//!
//! let mut source = Source::new(1_900_000_000, Strictness::Refuse, SpillPlan::default());
//! let lines = concat!(
//!     r#"{"type":"merchant","id":21,"uuid":"3b39b5ab-b5fc-4ba3-b770-73155d20e61f"}"#, "\n",
//!     r#"{"type":"merchant","id":22}"#, "\n",
//! );
//! source.read("all.ndjson", lines.as_bytes())?;
//!
//! assert!(source.catalogue.merchants.contains_key(&21));
//! let errors = source.problems.errors.kept();
//! assert_eq!(errors[0].to_string(), "all.ndjson:2: uuid: expected this field, but it is missing");
//! # Ok::<(), std::io::Error>(())
//! ```

mod budget;
mod catalogue;
mod check;
mod chunks;
mod crowded;
mod customer;
pub(super) mod explain;
mod namespaces;
mod problems;
mod set_aside;
mod settle;
mod size;
pub(super) mod spill;
pub(super) mod text;

use std::{
    io::{self, Read},
    num::NonZero,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
};

use admit_snapshot::{
    schema::{Customer, Line},
    time::UnixSecs,
};

pub(super) use self::{
    catalogue::parse_uuid,
    settle::{History, Input},
};
pub use self::{
    catalogue::{Added, Catalogue, KnownMerchant, Taken},
    chunks::LINE_MAX_BYTES,
    customer::{References, encode as encode_customer, key as customer_key},
    namespaces::{Namespace, Namespaces},
    problems::{Group, KEPT_MAX, LineError, Listed, Located, Location, Problem, Problems},
    set_aside::{About, RecordKey, RecordKind, SET_ASIDE_MAX, SetAside, Standing},
    spill::{Entry, Spill, SpillPlan},
};
use self::{
    chunks::{Chunk, Chunks, Next},
    explain::Explained,
    spill::SpillWriter,
};

/// The start of a customer's line in its usual form, as `admit generate` and most serialisers write it. Such
/// a line needs no separate look at its type.
const CUSTOMER_START: &[u8] = br#"{"type":"customer","#;

/// How to treat records that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Refuse the whole input.
    Refuse,
    /// Set them aside: their last good state stays, and everything else is built.
    SetAside,
}

/// The lines of a publish in any order, and all problems found in them.
#[derive(Debug)]
pub struct Source {
    pub(super) now: UnixSecs,
    pub(super) strictness: Strictness,
    files: Vec<Arc<str>>,
    /// All records except customers.
    pub catalogue: Catalogue,
    /// The namespaces of customers, with the number of customers and the first line of each. Only the first
    /// few are told apart.
    pub namespaces: Namespaces,
    /// The problems of single lines. References are checked when the snapshot is built.
    pub problems: Problems,
    /// The encoded customers.
    pub(super) customers: Spill,
}

impl Source {
    /// An empty source. Relative times are resolved at `now`, the time of publishing.
    #[must_use]
    pub fn new(now: UnixSecs, strictness: Strictness, plan: SpillPlan) -> Self {
        Self {
            now,
            strictness,
            files: Vec::new(),
            catalogue: Catalogue::default(),
            namespaces: Namespaces::default(),
            problems: Problems::default(),
            customers: Spill::new(plan),
        }
    }

    /// Adds the lines of a file. Blank lines are skipped; any other unreadable line is a problem.
    ///
    /// # Errors
    /// The file cannot be read or is not UTF-8 text (`InvalidData`), or the temporary file cannot be written.
    pub fn read(&mut self, file: &str, reader: impl Read) -> io::Result<()> {
        let file: Arc<str> = file.into();
        let number = u32::try_from(self.files.len()).map_err(io::Error::other)?;
        self.files.push(Arc::clone(&file));
        let parts = self.read_parts(&file, number, reader)?;
        let mut lines = Vec::new();
        for part in parts {
            self.problems.append(part.problems);
            self.namespaces.append(&file, part.namespaces);
            lines.extend(part.lines);
        }
        // The first of two lines with the same id counts, whichever thread was faster.
        // Threads finish in any order, so restore the order of the file.
        lines.sort_by_key(|(line, _)| *line);
        for (line, value) in lines {
            let at = Location { file: Arc::clone(&file), line };
            let name = value.name();
            match self.catalogue.add(value, &at, self.now, Taken::Refuse) {
                Ok(Added::Repeated(first)) => {
                    self.problems.warn(&at, Problem::new("", format!("duplicate line; first: {first}")));
                }
                Ok(Added::Taken | Added::Customer(_)) => {}
                Err(problem) => {
                    let about = name
                        .map_or(About::kind_only(Some(RecordKind::Snapshot)), |name| About::record(&name));
                    self.problems.error(&at, about, problem);
                }
            }
        }
        Ok(())
    }

    /// The same source, with any invalid record refused.
    #[must_use]
    pub fn strictly(self) -> Self {
        Self { strictness: Strictness::Refuse, ..self }
    }

    /// Whether no record at all could be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Catalogue { merchants, apps, licenses, access_types, items, .. } = &self.catalogue;
        let is_empty = merchants.is_empty() && apps.is_empty() && licenses.is_empty();
        is_empty && access_types.is_empty() && items.is_empty() && self.customers.sizes().total() == 0
    }

    /// Whether one invalid record prevents the whole build.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.strictness == Strictness::Refuse
    }

    /// The place of a line.
    pub(super) fn location(&self, file: u32, line: u64) -> Location {
        let file = usize::try_from(file).ok().and_then(|file| self.files.get(file));
        Location { file: file.map_or_else(|| "?".into(), Arc::clone), line }
    }

    fn read_parts(&self, file: &Arc<str>, number: u32, reader: impl Read) -> io::Result<Vec<Part>> {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let stop = AtomicBool::new(false);
        // A bounded channel: the reader waits instead of filling the memory when parsing is slower.
        let (chunks, receiver) = mpsc::sync_channel(2 * workers);
        // Parsed chunks return their buffers to the reader.
        let (spare, spares) = mpsc::channel();
        let receiver = Mutex::new(receiver);
        let work = |spare: Sender<Vec<u8>>| {
            let customers = SpillWriter::new(&self.customers, number);
            let (part, record) = (Part::default(), Vec::new());
            let mut parser = Parser { file, now: self.now, part, customers, record };
            let mut outcome = Ok(());
            // After an error the thread goes on receiving chunks, so that the reader never blocks on a full
            // channel.
            while let Some(mut chunk) = receive(&receiver) {
                if outcome.is_ok() {
                    outcome = parser.chunk(&mut chunk);
                    if outcome.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                let _done_reading = spare.send(chunk.bytes);
            }
            outcome.and_then(|()| parser.customers.finish()).map(|()| parser.part)
        };
        thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = (0..workers)
                .map(|_| {
                    let spare = spare.clone();
                    scope.spawn(move || work(spare))
                })
                .collect();
            let unread = self.send_chunks(file, reader, chunks, &spares, &stop);
            // Pass a panic of a thread on to the caller.
            let join = |thread: thread::ScopedJoinHandle<'_, io::Result<Part>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).chain([unread]).collect()
        })
    }

    /// Reads the file and sends its lines to the threads.
    fn send_chunks(
        &self,
        file: &Arc<str>,
        reader: impl Read,
        sender: SyncSender<Chunk>,
        spares: &Receiver<Vec<u8>>,
        stop: &AtomicBool,
    ) -> io::Result<Part> {
        let mut part = Part::default();
        let mut chunks = Chunks::new(reader);
        while !stop.load(Ordering::Relaxed) {
            match chunks.next(spares.try_recv().unwrap_or_default())? {
                Next::Lines(chunk) => {
                    if chunk.first_line == 1
                        && let Some(found) = text::other_format(&chunk.bytes)
                    {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, found));
                    }
                    if sender.send(chunk).is_err() {
                        break;
                    }
                }
                Next::TooLong(line) => {
                    let problem =
                        Problem::new("", format!("expected at most {LINE_MAX_BYTES} bytes in a line"));
                    part.problems.error(
                        &Location { file: Arc::clone(file), line },
                        About::default(),
                        problem,
                    );
                }
                Next::End => break,
            }
        }
        Ok(part)
    }
}

fn receive(receiver: &Mutex<Receiver<Chunk>>) -> Option<Chunk> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// What one thread has read.
#[derive(Debug, Default)]
struct Part {
    problems: Problems,
    namespaces: namespaces::Lines,
    lines: Vec<(u64, Line)>,
}

/// Parses the lines of chunks.
struct Parser<'a> {
    file: &'a Arc<str>,
    now: UnixSecs,
    part: Part,
    customers: SpillWriter<'a>,
    /// Buffer for the record that is being encoded.
    record: Vec<u8>,
}

/// A problem with a line, and the record that it concerns.
type Wrong = (About, Problem);

impl Parser<'_> {
    fn chunk(&mut self, chunk: &mut Chunk) -> io::Result<()> {
        let mut at = Location { file: Arc::clone(self.file), line: chunk.first_line };
        for line in chunk.bytes.split_inclusive_mut(|byte| *byte == b'\n') {
            if let Err((about, problem)) = self.line(line, &at)? {
                self.part.problems.error(&at, about, problem);
            }
            at.line += 1;
        }
        Ok(())
    }

    fn line(&mut self, line: &mut [u8], at: &Location) -> io::Result<Result<(), Wrong>> {
        let line = text::without_mark(line);
        if line.trim_ascii().is_empty() {
            return Ok(Ok(()));
        }
        if line.strip_suffix(b"\n").unwrap_or(line).len() > LINE_MAX_BYTES {
            let problem = Problem::new("", format!("expected at most {LINE_MAX_BYTES} bytes in a line"));
            return Ok(Err((About::default(), problem)));
        }
        if let Some(customer) = quick_customer(line) {
            return self.customer(&customer, at);
        }
        let error = match serde_json::from_slice(line) {
            Ok(line) => return self.take(line, at),
            Err(error) => error,
        };
        // A line that fails may have damaged text: repair it and try again before explaining the error.
        match explain::repair(line) {
            Some(Ok(line)) => {
                self.part.problems.warn(at, explain::repaired());
                self.take(line, at)
            }
            Some(Err(Explained { about, problem })) => Ok(Err((about, problem))),
            None => {
                let Explained { about, problem } = explain::explain(line, &error);
                Ok(Err((about, problem)))
            }
        }
    }

    fn take(&mut self, line: Line, at: &Location) -> io::Result<Result<(), Wrong>> {
        match line {
            Line::Customer(customer) => self.customer(&customer, at),
            other => {
                self.part.lines.push((at.line, other));
                Ok(Ok(()))
            }
        }
    }

    fn customer(&mut self, customer: &Customer, at: &Location) -> io::Result<Result<(), Wrong>> {
        self.record.clear();
        let problems = &mut self.part.problems;
        match encode_customer(customer, at, self.now, problems, &mut self.record) {
            Ok(key) => {
                self.part.namespaces.add(&customer.namespace, at.line);
                self.customers.push(key, at.line, &self.record).map(Ok)
            }
            Err(problem) => Ok(Err((customer::about(customer), problem))),
        }
    }
}

/// Parses a customer's line of the usual form. Its fields are read as those of an object that begins after
/// the type, which avoids buffering the line to find out its type.
fn quick_customer(line: &mut [u8]) -> Option<Customer> {
    if !line.starts_with(CUSTOMER_START) {
        return None;
    }
    let fields = line.get_mut(CUSTOMER_START.len() - 1..)?;
    let comma = fields.first_mut()?;
    *comma = b'{';
    let customer = serde_json::from_slice(fields).ok();
    // Restore the line: an error is explained from its original text.
    *fields.first_mut()? = b',';
    customer
}

#[cfg(test)]
mod tests;
