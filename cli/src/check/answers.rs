//! The answers, as a table and as JSON.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::questions::Question;
use crate::inspect::{GrantReport, grant_line};

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Expected {
    /// The customer may play the item.
    Access,
    /// The customer may not play the item.
    Denied,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// For programs: one object a line.
    Json,
}

/// What the snapshot or the edge says to one question.
#[derive(Debug, Default, Serialize)]
pub struct Answer {
    /// The customer as they were named; absent for the owner of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The item.
    pub item_id: i64,
    /// Whether the customer may play the item; `None` if that is unknown.
    pub is_allowed: Option<bool>,
    /// The status that the edge answers with, if it is known.
    pub status: Option<u16>,
    /// The reason, as logs name it. An edge does not tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// When the access ends, if it does.
    pub expires_at: Option<String>,
    /// What could not be determined about the customer, or that there is no such record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why the question has no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Every grant for the item, valid or not, with `--explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<GrantReport>>,
}

impl Answer {
    /// No answer, because of `problem`.
    pub fn unknown(question: &Question, problem: String) -> Self {
        let Question { customer, item_id } = question.clone();
        Self { customer, item_id, problem: Some(problem), ..Self::default() }
    }
}

/// Prints answers as they come, and counts them.
pub struct Printer {
    form: Form,
    expected: Option<Expected>,
    /// Width of the columns with customers and items.
    widths: (usize, usize),
    unanswered: usize,
    unexpected: usize,
}

impl Printer {
    pub fn new(form: Form, expected: Option<Expected>, questions: &[Question]) -> Self {
        let names = questions.iter().filter_map(|question| question.customer.as_deref());
        let customer = names.map(|name| name.chars().count()).max().unwrap_or_default();
        let item = questions.iter().map(|question| question.item_id.to_string().len()).max();
        Self { form, expected, widths: (customer, item.unwrap_or_default()), unanswered: 0, unexpected: 0 }
    }

    /// Prints an answer.
    ///
    /// # Errors
    /// It is not valid JSON.
    pub fn print(&mut self, answer: &Answer) -> Result<()> {
        match (answer.is_allowed, &self.expected) {
            (None, _) => self.unanswered += 1,
            (Some(true), Some(Expected::Denied)) | (Some(false), Some(Expected::Access)) => {
                self.unexpected += 1
            }
            _ => {}
        }
        match self.form {
            Form::Json => println!("{}", serde_json::to_string(answer)?),
            Form::Table => print!("{}", self.lines(answer)),
        }
        Ok(())
    }

    fn lines(&self, answer: &Answer) -> String {
        let (customer_width, item_width) = self.widths;
        let customer = match &answer.customer {
            // A token, which is long and secret, is not repeated.
            Some(customer) => format!("{customer:<customer_width$}  "),
            None => String::new(),
        };
        let verdict = match answer.is_allowed {
            Some(true) => "access ",
            Some(false) => "denied ",
            None => "unknown",
        };
        let status = answer.status.map_or_else(|| "   ".to_owned(), |status| status.to_string());
        let mut said: Vec<String> = answer.reason.map(str::to_owned).into_iter().collect();
        match (answer.is_allowed, &answer.expires_at) {
            (Some(true), Some(end)) => said.push(format!("until {end}")),
            (Some(true), None) => said.push("for ever".to_owned()),
            _ => {}
        }
        said.extend(answer.problem.clone());
        said.extend(answer.note.as_ref().map(|note| format!("({note})")));
        let line =
            format!("{customer}{:>item_width$}  {verdict}  {status}  {}", answer.item_id, said.join(", "));
        let mut out = format!("{}\n", line.trim_end());
        for grant in answer.grants.iter().flatten() {
            out += &format!("    {}\n", grant_line(grant));
        }
        out
    }

    /// The exit code; says on standard error how many answers are missing or unexpected.
    pub fn finish(self) -> ExitCode {
        let checks = |count: usize| if count == 1 { "1 check".to_owned() } else { format!("{count} checks") };
        if self.unanswered > 0 {
            eprintln!("admit: {} without an answer", checks(self.unanswered));
        }
        if self.unexpected > 0 {
            let found = if self.expected == Some(Expected::Access) { "denied" } else { "granted" };
            eprintln!("admit: {} {found}, against --expect", checks(self.unexpected));
        }
        if self.unanswered + self.unexpected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_is_known() {
        let question = |customer: &str, item_id| Question { customer: Some(customer.to_owned()), item_id };
        let questions = [question("vendor:ada", 5101), question("vendor:bo", 33)];
        let printer = Printer::new(Form::Table, None, &questions);
        let allowed = Answer {
            customer: Some("vendor:bo".to_owned()),
            item_id: 33,
            is_allowed: Some(true),
            status: Some(200),
            reason: Some("item_access"),
            ..Answer::default()
        };
        assert_eq!(printer.lines(&allowed), "vendor:bo     33  access   200  item_access, for ever\n");
        let unknown = Answer::unknown(&questions[0], "no answer".to_owned());
        assert_eq!(printer.lines(&unknown), "vendor:ada  5101  unknown       no answer\n");
        let denied = Answer { item_id: 33, is_allowed: Some(false), status: Some(402), ..Answer::default() };
        assert_eq!(printer.lines(&denied), "  33  denied   402\n");
    }
}
