//! The result of a publish: as text while it runs, and with `--json` at its end.

use admit_snapshot::{head::Head, time::UnixSecs};
use anyhow::Result;
use serde::Serialize;

use super::upload::Uploaded;
use crate::{
    build::Built,
    run::Settings,
    source::{LineError, Problems, SetAside, Standing},
};

/// How many records and how many errors are listed.
const LISTED_MAX: usize = 100;

/// The result of a publish.
#[derive(Debug, Default, Serialize)]
pub struct PublishReport {
    #[serde(skip)]
    is_json: bool,
    /// Whether edges serve it now.
    published: bool,
    /// Why it was refused, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    seq: Option<u64>,
    origin_seq: Option<u64>,
    as_of: Option<UnixSecs>,
    customers: Option<u64>,
    items: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded_objects: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded_bytes: Option<u64>,
    warnings: u64,
    /// The number of errors, if nothing was published because of them.
    errors: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wrong: Vec<Wrong>,
    set_aside: SetAsideReport,
}

#[derive(Debug, Default, Serialize)]
struct SetAsideReport {
    /// Records and lines in all.
    total: u64,
    /// Records of which the last usable state is published.
    last_good: u64,
    /// Lines that cannot be attributed to a record.
    unattributed: u64,
    /// Records missing from the input that stay published, because of such lines or because other records
    /// need them.
    kept_missing: u64,
    /// References to records of which nothing is published.
    dependents: u64,
    /// The first ones.
    records: Vec<Wrong>,
}

#[derive(Debug, Serialize)]
struct Wrong {
    r#type: Option<&'static str>,
    id: Option<String>,
    file: String,
    line: u64,
    field: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<&'static str>,
}

impl Wrong {
    fn new(error: &LineError, standing: Option<Standing>) -> Self {
        Self {
            r#type: error.about.kind().map(crate::source::RecordKind::name),
            id: Some(error.about.id().to_owned()).filter(|id| !id.is_empty()),
            file: error.at.file.to_string(),
            line: error.at.line,
            field: error.problem.field.clone(),
            reason: error.problem.message.clone(),
            published: standing.map(|standing| match standing {
                Standing::LastGood => "last_good",
                Standing::Absent => "nothing",
            }),
        }
    }
}

impl PublishReport {
    /// An empty report.
    pub fn new(settings: &Settings) -> Self {
        Self { is_json: settings.json, ..Self::default() }
    }

    /// Prints a line for people, unless JSON is wanted.
    pub fn say(&self, text: &str) {
        if !self.is_json {
            println!("{text}");
        }
    }

    /// Notes that a snapshot was built.
    pub fn built(&mut self, built: &Built<u64>, problems: &Problems) {
        (self.customers, self.items) = (Some(built.customers), Some(built.items));
        self.set_aside(&problems.set_aside, problems);
    }

    /// Notes the records that were set aside, according to `problems`.
    pub fn set_aside(&mut self, set_aside: &SetAside, problems: &Problems) {
        self.warnings = problems.warnings.total();
        let unattributed =
            problems.errors.kept().into_iter().filter(|error| error.about.record_key().is_none());
        let records = set_aside.reasons().map(|(error, standing)| Wrong::new(error, Some(standing)));
        self.set_aside = SetAsideReport {
            total: set_aside.total(),
            last_good: set_aside.last_good(),
            unattributed: set_aside.unattributed(),
            kept_missing: set_aside.kept_missing(),
            dependents: set_aside.dependents(),
            records: unattributed
                .map(|error| Wrong::new(error, None))
                .chain(records)
                .take(LISTED_MAX)
                .collect(),
        };
    }

    /// Notes how many changes were applied.
    pub const fn changed(&mut self, changes: u64) {
        self.changes = Some(changes);
    }

    /// Notes the upload.
    pub const fn uploaded(&mut self, uploaded: &Uploaded) {
        self.uploaded_objects = Some(uploaded.objects as u64);
        self.uploaded_bytes = Some(uploaded.bytes);
    }

    /// Notes the head that is published, or would be.
    ///
    /// # Errors
    /// Does not happen for this report.
    pub fn published(&mut self, head: &Head, is_published: bool) -> Result<()> {
        (self.published, self.seq, self.as_of) = (is_published, Some(head.seq), Some(head.as_of));
        self.origin_seq = Some(head.origin_seq());
        self.end()
    }

    /// Notes that the lines cannot be published.
    ///
    /// # Errors
    /// Does not happen for this report.
    pub fn rejected(&mut self, problems: &Problems) -> Result<()> {
        (self.errors, self.warnings) = (problems.errors.total(), problems.warnings.total());
        let kept = problems.errors.kept().into_iter();
        self.wrong = kept.take(LISTED_MAX).map(|error| Wrong::new(error, None)).collect();
        self.refused = Some("records cannot be used".to_owned());
        self.end()
    }

    /// Tells that nothing is published, and why.
    ///
    /// # Errors
    /// Does not happen for this report.
    pub fn refused(&mut self, reason: &str) -> Result<()> {
        eprintln!("error: {reason}");
        eprintln!("admit: nothing was published");
        self.refused = Some(reason.to_owned());
        self.end()
    }

    /// Prints the report, if JSON is wanted.
    ///
    /// # Errors
    /// Does not happen for this report.
    pub fn end(&self) -> Result<()> {
        if self.is_json {
            println!("{}", serde_json::to_string_pretty(self)?);
        }
        Ok(())
    }
}
