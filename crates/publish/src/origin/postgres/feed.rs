//! Reads the view of the changes.

use std::{io::Cursor, time::Duration};

use super::{
    super::{Changes, FeedAnswer},
    CHANGES,
    session::Session,
};
use crate::peer::Unheard;

/// How long a statement may take. The view is read by an index, so this is for locks and for busy databases.
const LIMIT: Duration = Duration::from_secs(60);

/// How many bytes of lines an answer has, but for its last line. More come with the next answer.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The most rows of one answer. A row beyond [`ANSWER_BYTES`] is read and dropped, and all of them have to come within
/// the time of a statement, whatever a view makes of them.
const ROWS_MAX: usize = 1_000;

/// Why the silence of a standby says nothing.
const STANDBY: &str = "a standby answered, which may be behind its primary";

/// What the view has beside a count `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Around {
    /// The last count up to `after`.
    before: Option<u64>,
    /// The first count above `after`.
    next: Option<u64>,
}

/// What a view says of the changes after a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// No change has happened.
    Quiet,
    /// There are rows to read.
    Rows,
    /// Changes are missing, or the count lies ahead of the database.
    Gone,
}

impl Around {
    /// Judges by the rows beside `after`.
    ///
    /// Changes are purged from the oldest on, and the newest one stays, so a view without a row up to `after`
    /// has lost what follows it. A hole between two rows is no purge: the lines show the gap.
    const fn standing(self, after: u64) -> Standing {
        match (self.before, self.next) {
            (_, Some(next)) if next == after.saturating_add(1) => Standing::Rows,
            (None, Some(_)) => Standing::Gone,
            (Some(_), Some(_)) => Standing::Rows,
            (Some(before), None) if before == after => Standing::Quiet,
            (None, None) if after == 0 => Standing::Quiet,
            (_, None) => Standing::Gone,
        }
    }
}

/// The changes that were found.
#[derive(Debug)]
pub struct Found {
    standing: Standing,
    /// The newest change of the view.
    newest: Option<u64>,
    /// Whether the database is a standby, which may be behind without end.
    is_standby: bool,
    lines: Vec<u8>,
}

impl Found {
    /// Whether there is no need to wait.
    pub const fn is_answer(&self) -> bool {
        !matches!(self.standing, Standing::Quiet)
    }

    /// The answer about the changes after `after`. The database itself has given it, so that only a standby is in doubt.
    pub fn into_answer(self, after: u64) -> FeedAnswer {
        match self.standing {
            Standing::Gone => FeedAnswer::Gone,
            Standing::Quiet | Standing::Rows => FeedAnswer::Changes(Changes {
                lines: Box::new(Cursor::new(self.lines)),
                first_line: after,
                doubt: self.is_standby.then(|| STANDBY.to_owned()),
                seq: self.newest,
            }),
        }
    }
}

/// Reads the changes after `after`, in one transaction.
///
/// # Errors
/// The view cannot be read.
pub fn read(session: &Session, after: u64) -> Result<Found, Unheard> {
    session.begin(LIMIT)?;
    let around = session.first(
        LIMIT,
        &format!(
            "SELECT (SELECT seq FROM {CHANGES} WHERE seq <= {after} ORDER BY seq DESC LIMIT 1), \
             (SELECT seq FROM {CHANGES} WHERE seq > {after} ORDER BY seq LIMIT 1), \
             (SELECT seq FROM {CHANGES} ORDER BY seq DESC LIMIT 1), pg_is_in_recovery()"
        ),
    )?;
    let around = around.ok_or_else(|| session.unheard("a SELECT without FROM has no row"))?;
    let number = |column: usize| around.get(column).and_then(|text| text.parse().ok());
    let standing = Around { before: number(0), next: number(1) }.standing(after);
    let mut lines = Vec::new();
    if standing == Standing::Rows {
        // The column counts: it is what the rows were chosen by. Another value than an object becomes a line
        // that is not a change, which leads to the export.
        let select = format!(
            "SELECT (CASE WHEN jsonb_typeof(line) = 'object' THEN line || jsonb_build_object('seq', seq) \
             ELSE jsonb_build_object('seq', seq, 'line', line) END)::text \
             FROM (SELECT seq, line FROM {CHANGES} WHERE seq > {after} ORDER BY seq LIMIT {ROWS_MAX}) AS changes \
             ORDER BY seq"
        );
        session.rows(LIMIT, &select, |row| {
            lines.extend_from_slice(row.get(0).unwrap_or("null").as_bytes());
            lines.push(b'\n');
            lines.len() < ANSWER_BYTES
        })?;
    }
    session.commit()?;
    let is_standby = around.get(3) != Some("f");
    Ok(Found { standing, newest: number(2), is_standby, lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_beside_a_count_tell_what_became_of_its_changes() {
        for (before, next, after, expected) in [
            (None, None, 0, Standing::Quiet),
            (Some(7), None, 7, Standing::Quiet),
            (Some(7), Some(8), 7, Standing::Rows),
            (None, Some(1), 0, Standing::Rows),
            // Purged up to just here.
            (None, Some(8), 7, Standing::Rows),
            // Purged beyond.
            (None, Some(9), 7, Standing::Gone),
            (None, Some(5), 0, Standing::Gone),
            // Purged to the last row, which should have stayed.
            (None, None, 7, Standing::Gone),
            // The database is behind: restored from a backup, or a standby that lags.
            (Some(5), None, 7, Standing::Gone),
            // A hole is for the reader of lines to report.
            (Some(7), Some(9), 7, Standing::Rows),
            (Some(5), Some(9), 7, Standing::Rows),
        ] {
            assert_eq!(Around { before, next }.standing(after), expected, "{before:?} {next:?} {after}");
        }
    }
}
