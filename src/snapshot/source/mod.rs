//! Reads lines of the publish schema and checks that they belong together.
//!
//! The catalogue is held whole. Customers are encoded as they are read, on all processors, and kept by
//! [`Spill`], which writes to disk what is too much for the memory; what they refer to is checked when the
//! snapshot is built from them.

mod catalogue;
mod check;
mod chunks;
mod customer;
pub(super) mod explain;
mod problems;
pub(super) mod spill;

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

pub(super) use self::catalogue::parse_uuid;
pub use self::{
    catalogue::{Catalogue, KnownMerchant, Taken},
    chunks::LINE_MAX_BYTES,
    customer::{References, encode as encode_customer, key as customer_key},
    problems::{KEPT_MAX, LineError, Listed, Located, Location, Problem, Problems},
    spill::{Entry, Spill, SpillPlan},
};
use self::{
    chunks::{Chunk, Chunks, Next},
    spill::SpillWriter,
};
use super::{
    schema::{Customer, Line},
    time::UnixSecs,
};

/// U+FEFF in UTF-8, which some editors and spreadsheets put before the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a customer's line begins that needs no look at its type: as `admit generate` and most serialisers write
/// it.
const CUSTOMER_START: &[u8] = br#"{"type":"customer","#;

/// When to stop reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// At the end, so that all errors are reported together.
    ReadOn,
    /// At the first line that is wrong.
    StopAtFirst,
}

/// The lines of a publish, in no particular order, and everything that is wrong with them.
#[derive(Debug)]
pub struct Source {
    now: UnixSecs,
    strictness: Strictness,
    files: Vec<Arc<str>>,
    /// All but customers.
    pub catalogue: Catalogue,
    /// What is wrong with the lines by themselves. References are checked when the snapshot is built.
    pub problems: Problems,
    /// The customers' records.
    pub(super) customers: Spill,
}

impl Source {
    /// Nothing has been read. What is published at `now` has its relative times resolved then.
    #[must_use]
    pub fn new(now: UnixSecs, strictness: Strictness, plan: SpillPlan) -> Self {
        Self {
            now,
            strictness,
            files: Vec::new(),
            catalogue: Catalogue::default(),
            problems: Problems::default(),
            customers: Spill::new(plan),
        }
    }

    /// Adds the lines of a file. Blank lines are passed over; every other line that cannot be read is an error.
    ///
    /// # Errors
    /// When the file itself cannot be read, or the temporary file cannot be written.
    pub fn read(&mut self, file: &str, reader: impl Read) -> io::Result<()> {
        if self.is_stopped() {
            return Ok(());
        }
        let file: Arc<str> = file.into();
        let number = u32::try_from(self.files.len()).map_err(io::Error::other)?;
        self.files.push(Arc::clone(&file));
        let parts = self.read_parts(&file, number, reader)?;
        let mut lines = Vec::new();
        for part in parts {
            self.problems.append(part.problems);
            self.catalogue.unreadable.extend(part.unreadable);
            lines.extend(part.lines);
        }
        // Of two lines with the same id the first counts, whichever thread was quicker.
        lines.sort_by_key(|(line, _)| *line);
        for (line, value) in lines {
            let at = Location { file: Arc::clone(&file), line };
            if let Err(problem) = self.catalogue.add(value, &at, self.now, Taken::Refuse) {
                self.problems.error(&at, problem);
            }
        }
        Ok(())
    }

    /// Whether nothing more need be read, because a line is wrong and that is to stop it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.strictness == Strictness::StopAtFirst && !self.problems.errors.is_empty()
    }

    /// Where a line stands.
    pub(super) fn location(&self, file: u32, line: u64) -> Location {
        let file = usize::try_from(file).ok().and_then(|file| self.files.get(file));
        Location { file: file.map_or_else(|| "?".into(), Arc::clone), line }
    }

    fn read_parts(&self, file: &Arc<str>, number: u32, reader: impl Read) -> io::Result<Vec<Part>> {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let stop = AtomicBool::new(false);
        let (chunks, receiver) = mpsc::sync_channel(2 * workers);
        let (spare, spares) = mpsc::channel();
        let receiver = Mutex::new(receiver);
        let work = |spare: Sender<Vec<u8>>| {
            let customers = SpillWriter::new(&self.customers, number);
            let (part, record) = (Part::default(), Vec::new());
            let mut parser = Parser { file, now: self.now, part, customers, record, stop: &stop };
            let mut outcome = Ok(());
            // Chunks come in order: all that lie before the first wrong line are read as well. Whoever cannot
            // go on still takes what the reader hands over, so that it does not wait for ever.
            while let Some(mut chunk) = receive(&receiver) {
                if outcome.is_ok() {
                    outcome = parser.chunk(&mut chunk, self.strictness);
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
            // A panic of ours goes on as one.
            let join = |thread: thread::ScopedJoinHandle<'_, io::Result<Part>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).chain([unread]).collect()
        })
    }

    /// Reads the file and hands its lines over.
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
                    if sender.send(chunk).is_err() {
                        break;
                    }
                }
                Next::TooLong(line) => {
                    let problem =
                        Problem::new("", format!("expected at most {LINE_MAX_BYTES} bytes in a line"));
                    part.problems.error(&Location { file: Arc::clone(file), line }, problem);
                    if self.strictness == Strictness::StopAtFirst {
                        break;
                    }
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
    lines: Vec<(u64, Line)>,
    unreadable: Vec<(String, String)>,
}

/// Reads chunks of lines.
struct Parser<'a> {
    file: &'a Arc<str>,
    now: UnixSecs,
    part: Part,
    customers: SpillWriter<'a>,
    /// A record that is being written.
    record: Vec<u8>,
    stop: &'a AtomicBool,
}

impl Parser<'_> {
    fn chunk(&mut self, chunk: &mut Chunk, strictness: Strictness) -> io::Result<()> {
        let mut at = Location { file: Arc::clone(self.file), line: chunk.first_line };
        for line in chunk.bytes.split_inclusive_mut(|byte| *byte == b'\n') {
            if let Err(problem) = self.line(line, &at)? {
                self.part.problems.error(&at, problem);
                if strictness == Strictness::StopAtFirst {
                    self.stop.store(true, Ordering::Relaxed);
                    break;
                }
            }
            at.line += 1;
        }
        Ok(())
    }

    fn line(&mut self, line: &mut [u8], at: &Location) -> io::Result<Result<(), Problem>> {
        if line.trim_ascii().is_empty() {
            return Ok(Ok(()));
        }
        if line.strip_suffix(b"\n").unwrap_or(line).len() > LINE_MAX_BYTES {
            return Ok(Err(Problem::new("", format!("expected at most {LINE_MAX_BYTES} bytes in a line"))));
        }
        if at.line == 1 && line.starts_with(BYTE_ORDER_MARK) {
            return Ok(Err(Problem::new("", "expected UTF-8 without a byte order mark")));
        }
        if let Some(customer) = quick_customer(line) {
            return self.customer(&customer, at);
        }
        match serde_json::from_slice(line) {
            Ok(Line::Customer(customer)) => self.customer(&customer, at),
            Ok(other) => {
                self.part.lines.push((at.line, other));
                Ok(Ok(()))
            }
            Err(error) => {
                let explained = explain::explain(line, &error);
                self.part.unreadable.extend(explained.identity);
                Ok(Err(explained.problem))
            }
        }
    }

    fn customer(&mut self, customer: &Customer, at: &Location) -> io::Result<Result<(), Problem>> {
        self.record.clear();
        let problems = &mut self.part.problems;
        match encode_customer(customer, at, self.now, problems, &mut self.record) {
            Ok(key) => self.customers.push(key, at.line, &self.record).map(Ok),
            Err(problem) => Ok(Err(problem)),
        }
    }
}

/// A customer of the usual form, without the detour that finding out a line's type takes: its fields are read
/// as those of an object that begins behind the type.
fn quick_customer(line: &mut [u8]) -> Option<Customer> {
    if !line.starts_with(CUSTOMER_START) {
        return None;
    }
    let fields = line.get_mut(CUSTOMER_START.len() - 1..)?;
    let comma = fields.first_mut()?;
    *comma = b'{';
    let customer = serde_json::from_slice(fields).ok();
    // An error is explained from the line as it was.
    *fields.first_mut()? = b',';
    customer
}

#[cfg(test)]
mod tests;
