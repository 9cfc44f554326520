//! Answers of a running edge, as a player gets them.

use std::{sync::Arc, time::Duration};

use admit::limits::CHECKS_MAX_ITEMS;
use admit_publish::{
    bearer::{Bearer, Credentials},
    peer::time::Machine,
};
use admit_snapshot::{instant, time::UnixSecs};
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{answers::Answer, questions::Question};
use crate::{
    check_origin::{Ask, OriginAnswer, OriginClient, address},
    inspect::date,
};

/// How long the edge may take: twice as long as it waits for the origin.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The body of `GET /access`.
#[derive(Deserialize)]
struct Body {
    items: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: i64,
    access: bool,
    expires_at: Option<UnixSecs>,
    code: Option<u16>,
}

/// Asks the edge at `base` each question, with the token of `credentials`.
///
/// # Errors
/// `base` is not a URL, there is no usable token, or an answer cannot be printed.
pub fn ask(
    base: &str,
    credentials: &Credentials,
    questions: &[Question],
    print: &mut dyn FnMut(Answer) -> Result<()>,
) -> Result<()> {
    let bearer = credentials.bearer(&(Arc::new(Machine::default()) as _))?;
    let bearer =
        bearer.context("--url needs the viewer's token: give --token, or --token-key with --token-claims")?;
    address(base, "/access").context("--url")?;
    let edge = Edge { base, bearer, client: OriginClient::new(TIMEOUT)? };
    let mut knows_many = true;
    let mut rest = questions;
    while let Some(first) = rest.first() {
        // The route takes positive numbers of items only. Any other one is asked alone, and the edge names the error.
        let count = rest.iter().take(CHECKS_MAX_ITEMS).take_while(|question| question.item_id > 0).count();
        let (asked, later) = rest.split_at(count.max(1));
        rest = later;
        let many = if knows_many && first.item_id > 0 { edge.ask_many(asked)? } else { Many::Unknown };
        match many {
            Many::Answers(answers) => answers.into_iter().try_for_each(&mut *print)?,
            Many::Unknown => {
                knows_many &= first.item_id <= 0;
                for question in asked {
                    print(edge.ask_one(question)?)?;
                }
            }
        }
    }
    Ok(())
}

/// What an edge says to several questions.
enum Many {
    Answers(Vec<Answer>),
    /// An edge of an earlier release, which has no `/access`.
    Unknown,
}

struct Edge<'a> {
    base: &'a str,
    bearer: Bearer,
    client: OriginClient,
}

impl Edge<'_> {
    fn get(&self, path: &str) -> Result<Result<OriginAnswer, String>> {
        let url = address(self.base, path)?;
        let header = self.bearer.header().context("--token")?;
        Ok(self.client.send(Ask::get(&url).bearer(header.strip_prefix("Bearer "))))
    }

    fn ask_many(&self, questions: &[Question]) -> Result<Many> {
        let items: Vec<_> = questions.iter().map(|question| question.item_id.to_string()).collect();
        let all = |status, problem: &str| {
            let unknown = |question| Answer { status, ..Answer::unknown(question, problem.to_owned()) };
            Ok(Many::Answers(questions.iter().map(unknown).collect()))
        };
        let answer = match self.get(&format!("/access?items={}", items.join(",")))? {
            Ok(answer) => answer,
            Err(problem) => return all(None, &problem),
        };
        if answer.status == 404 {
            return Ok(Many::Unknown);
        }
        let is_whole = answer.other_than(&[200]).is_none();
        let body = is_whole.then(|| serde_json::from_slice::<Body>(&answer.body).ok()).flatten();
        let Some(body) = body else { return all(Some(answer.status), &problem(&answer)) };
        let answers = questions.iter().map(|question| {
            match body.items.iter().find(|entry| entry.id == question.item_id) {
                Some(Entry { access: true, expires_at, .. }) => granted(question, *expires_at),
                Some(Entry { code, .. }) => refused(question, *code, None),
                None => Answer::unknown(question, "the answer does not have the item".to_owned()),
            }
        });
        Ok(Many::Answers(answers.collect()))
    }

    fn ask_one(&self, question: &Question) -> Result<Answer> {
        let answer = match self.get(&format!("/items/{}/access", question.item_id))? {
            Ok(answer) => answer,
            Err(problem) => return Ok(Answer::unknown(question, problem)),
        };
        let body = answer.json().unwrap_or_default();
        let end = body.get("expires_at").and_then(Value::as_i64);
        Ok(match answer.status {
            200 if answer.broken.is_none() && body.get("item").is_some() => granted(question, end),
            200 => Answer {
                status: Some(200),
                ..Answer::unknown(question, "not an answer of an edge".to_owned())
            },
            status => refused(question, Some(status), Some(problem(&answer))),
        })
    }
}

fn granted(question: &Question, expires_at: Option<UnixSecs>) -> Answer {
    let Question { customer, item_id } = question.clone();
    let expires_at = date(expires_at.filter(|end| *end < instant::LATEST));
    Answer { customer, item_id, is_allowed: Some(true), status: Some(200), expires_at, ..Answer::default() }
}

/// The answer for a status other than 200. Only 402 and 404 say that the viewer may not play the item.
fn refused(question: &Question, status: Option<u16>, problem: Option<String>) -> Answer {
    let Question { customer, item_id } = question.clone();
    if matches!(status, Some(402 | 404)) {
        return Answer { customer, item_id, is_allowed: Some(false), status, ..Answer::default() };
    }
    let problem = problem.unwrap_or_else(|| "the edge cannot tell".to_owned());
    Answer { status, ..Answer::unknown(question, problem) }
}

/// Why an answer tells nothing: its status, and the edge's message.
fn problem(answer: &OriginAnswer) -> String {
    let message = answer.json().and_then(|body| Some(body.get("message")?.as_str()?.to_owned()));
    match message {
        Some(message) => format!("status {}: {message}", answer.status),
        None => format!("status {}", answer.describe()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_402_and_404_are_denials() {
        let question = Question { customer: None, item_id: 33 };
        for (status, is_allowed) in [
            (Some(402), Some(false)),
            (Some(404), Some(false)),
            (Some(401), None),
            (Some(503), None),
            (None, None),
        ] {
            let answer = refused(&question, status, None);
            assert_eq!((answer.is_allowed, answer.problem.is_some()), (is_allowed, is_allowed.is_none()));
        }
    }
}
