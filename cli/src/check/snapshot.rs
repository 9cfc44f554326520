//! Answers from a published snapshot.

use std::{collections::BTreeMap, path::Path};

use admit_publish::published::Published;
use admit_snapshot::time::UnixSecs;
use anyhow::{Context, Result};

use super::{answers::Answer, questions::Question};
use crate::inspect::{self, CheckReport, Issuers, Sought, Unverified, Who};

/// Customers that are remembered, each with a record of up to some 100 KB: the customers of a list are usually together.
const CUSTOMERS_MAX: usize = 256;

/// The note of a customer whose namespace exists, and who has no record.
const NO_RECORD: &str = "not in the snapshot: owns nothing";

/// A snapshot that is asked.
pub struct Asked {
    published: Published,
    issuers: Issuers,
    client: Option<String>,
    at: UnixSecs,
    /// The customers of late by their names, or why there is none.
    customers: BTreeMap<String, Result<Known, String>>,
}

struct Known {
    sought: Sought,
    token: Option<Unverified>,
}

impl Asked {
    /// Asks `published` about the moment `at`.
    ///
    /// # Errors
    /// The store does not answer or refuses, or `config` cannot be read.
    pub fn new(
        published: Published,
        config: Option<&Path>,
        client: Option<String>,
        at: UnixSecs,
    ) -> Result<Self> {
        let issuers = Issuers::of(&published, config)?;
        Ok(Self { published, issuers, client, at, customers: BTreeMap::new() })
    }

    /// The answer to a question. A customer whose name leads nowhere costs only its own questions.
    ///
    /// # Errors
    /// An object cannot be read.
    pub fn answer(&mut self, question: &Question, explains: bool) -> Result<Answer> {
        let name = question.customer.as_deref().context("a question without a customer")?;
        if !self.customers.contains_key(name) {
            if self.customers.len() >= CUSTOMERS_MAX {
                self.customers.clear();
            }
            let found = find(&mut self.published, &self.issuers, name).map_err(|error| format!("{error:#}"));
            self.customers.insert(name.to_owned(), found);
        }
        let shown = Question { customer: shown(name), ..question.clone() };
        let known = match self.customers.get(name) {
            Some(Ok(known)) => known,
            Some(Err(problem)) => return Ok(Answer::unknown(&shown, problem.clone())),
            None => return Ok(Answer::unknown(&shown, "unknown customer".to_owned())),
        };
        let Known { sought, token } = known;
        let viewer = inspect::viewer(sought, token.as_ref(), self.client.as_deref());
        let known = sought.known.as_ref();
        let report = inspect::check(&mut self.published, &viewer, None, known, question.item_id, self.at)?;
        // Without a record, a denial may also mean that the name was misspelt.
        let note = known.is_none().then(|| sought.note.clone().unwrap_or_else(|| NO_RECORD.to_owned()));
        Ok(Answer { note, ..of(shown.customer, report, explains) })
    }
}

/// The customer as output shows them: a token is a secret.
fn shown(name: &str) -> Option<String> {
    match Who::parse(name) {
        Ok(Who::Token(_)) if !name.starts_with('@') => Some("a token".to_owned()),
        _ => Some(name.to_owned()),
    }
}

fn find(published: &mut Published, issuers: &Issuers, name: &str) -> Result<Known> {
    let who = Who::parse(name)?;
    let sought = inspect::find(published, issuers, &who)?;
    let token = match who {
        Who::Token(token) => Some(*token),
        _ => None,
    };
    Ok(Known { sought, token })
}

fn of(customer: Option<String>, report: CheckReport, explains: bool) -> Answer {
    let CheckReport { item_id, status, is_allowed, reason, expires_at, grants, .. } = report;
    Answer {
        customer,
        item_id,
        is_allowed: Some(is_allowed),
        status: Some(status),
        reason: Some(reason),
        expires_at,
        note: None,
        problem: None,
        grants: explains.then_some(grants),
    }
}
