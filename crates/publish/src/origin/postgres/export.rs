//! Reads the view of the export, by a cursor: memory does not grow with the number of customers.

use std::{
    io::{self, BufRead, Read},
    time::Duration,
};

use super::{
    CHANGES, EXPORT,
    session::{Rows, Session},
};
use crate::peer::Unheard;

/// How long one part may take. The first one may have to sort everything.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Rows in one part of the cursor: few round trips, and little that the database prepares in vain.
const PART_ROWS: usize = 1_000;

/// Bytes of lines that are handed on together.
const BUFFER_BYTES: usize = 64 * 1024;

/// The lines of an export, and the session that they come from. If the lines have no `snapshot` line, one is
/// added: the last count of the changes in the same transaction.
pub struct Export {
    session: Session,
    /// The part that is being read.
    part: Option<Rows>,
    part_rows: usize,
    /// The `snapshot` line to add, unless the view has its own.
    snapshot: Option<String>,
    buffer: Vec<u8>,
    at: usize,
    is_ended: bool,
}

impl Export {
    /// Begins to read.
    ///
    /// # Errors
    /// The view cannot be read.
    pub fn begin(session: Session) -> Result<Self, Unheard> {
        session.begin(LIMIT)?;
        // OFFSET 0 keeps the planner from making each line twice, once for each column.
        session.execute(&format!(
            "DECLARE admit NO SCROLL CURSOR FOR SELECT line::text, line ->> 'type' = 'snapshot' \
             FROM (SELECT line FROM {EXPORT} OFFSET 0) AS lines"
        ))?;
        let snapshot = snapshot_line(&session)?;
        let (part, buffer) = (None, Vec::with_capacity(2 * BUFFER_BYTES));
        let mut export = Self { session, part, part_rows: 0, snapshot, buffer, at: 0, is_ended: false };
        // A view that cannot be read is reported here, not in the middle of the lines.
        export.read_on()?;
        Ok(export)
    }

    /// Fills the empty buffer, unless the lines have ended.
    fn read_on(&mut self) -> Result<(), Unheard> {
        self.buffer.clear();
        self.at = 0;
        while !self.is_ended && self.buffer.len() < BUFFER_BYTES {
            let part = match &mut self.part {
                Some(part) => part,
                empty => {
                    self.part_rows = 0;
                    let fetch = format!("FETCH FORWARD {PART_ROWS} FROM admit");
                    empty.insert(Rows::begin(&self.session, LIMIT, &fetch)?)
                }
            };
            match part.next(&self.session)? {
                Some(row) => {
                    self.part_rows += 1;
                    if row.get(1) == Some("t") {
                        self.snapshot = None;
                    }
                    self.push(row.get(0).unwrap_or("null"));
                }
                None => {
                    self.part = None;
                    // Only the end of the rows gives fewer than were asked for.
                    if self.part_rows < PART_ROWS {
                        self.end()?;
                    }
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Unheard> {
        self.is_ended = true;
        if let Some(line) = self.snapshot.take() {
            self.push(&line);
        }
        self.session.commit()
    }

    fn push(&mut self, line: &str) {
        self.buffer.extend_from_slice(line.as_bytes());
        self.buffer.push(b'\n');
    }
}

/// The `snapshot` line of this moment. `None` if there are no changes, or no view of them: then the export
/// must have its own, or cannot be followed.
fn snapshot_line(session: &Session) -> Result<Option<String>, Unheard> {
    let exists = format!("SELECT to_regclass('{CHANGES}') IS NOT NULL");
    let exists = session.first(LIMIT, &exists)?;
    if exists.is_none_or(|row| row.get(0) != Some("t")) {
        return Ok(None);
    }
    let line = format!(
        "SELECT jsonb_build_object('type', 'snapshot', 'seq', max(seq), \
         'as_of', floor(extract(epoch FROM now()))::bigint)::text FROM {CHANGES} HAVING max(seq) IS NOT NULL"
    );
    Ok(session.first(LIMIT, &line)?.and_then(|row| row.get(0).map(str::to_owned)))
}

impl Read for Export {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let count = available.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Export {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.buffer.len() && !self.is_ended {
            self.read_on().map_err(io::Error::other)?;
        }
        Ok(self.buffer.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}
