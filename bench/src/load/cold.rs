//! From the start of a process to its first answer.

use std::{fs, path::Path, slice};

use anyhow::{Result, bail};
use serde::Serialize;
use xtask::{job::Stopwatch, paths::Paths};

use super::{
    requests::fields,
    scenarios::COLD,
    server::{Server, Setting, V8},
    subjects::{Subject, label},
};
use crate::{numbers::median, report::Section, table::table};

/// The starts of a subject, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Cold {
    name: String,
    requests: usize,
    p50_micros: f64,
    low_micros: f64,
    high_micros: f64,
    more_than_floor_micros: f64,
}

impl Cold {
    pub const ABOUT: &str = "From the start of workerd to the first answer";

    /// The table of all starts.
    pub fn section(all: &[Self]) -> Section {
        let row = |it: &Self| {
            let figures = [it.p50_micros, it.low_micros, it.high_micros, it.more_than_floor_micros];
            let figures = figures.map(|micros| format!("{:.1} ms", micros / 1e3));
            [label(&it.name)].into_iter().chain(figures).collect()
        };
        let head = ["subject", "median", "least", "most", "more than the floor"];
        let table = table(&head, &all.iter().map(row).collect::<Vec<_>>());
        Section { title: Self::ABOUT.to_owned(), note: format!("`{COLD}`"), table }
    }
}

/// The check that a new process answers.
pub struct FirstCheck {
    path: String,
    token: String,
    body: String,
}

impl FirstCheck {
    /// From its list in `dir`.
    pub fn read(dir: &Path) -> Result<Self> {
        let list = fs::read_to_string(dir.join(format!("{COLD}.tsv")))?;
        let [_, path, token, _, _, body] = fields(list.trim_end())?;
        Ok(Self { path: path.to_owned(), token: token.to_owned(), body: body.to_owned() })
    }

    /// Asks `subject`.
    ///
    /// # Errors
    /// Any but the right answer.
    pub fn ask(&self, server: &Server, subject: &Subject) -> Result<()> {
        let url = format!("http://127.0.0.1:{}{}", server.port(subject.name)?, self.path);
        let request = ureq::get(&url).header("authorization", format!("Bearer {}", self.token));
        let mut answer = request.header("cf-connecting-ip", "203.0.113.7").call()?;
        let answer = answer.body_mut().read_to_string()?;
        if !subject.is_floor() && answer != self.body {
            bail!("{} answered {answer}", subject.name);
        }
        Ok(())
    }
}

/// Starts each subject alone, `times` times, in turn; the first is the base.
pub fn run(
    paths: &Paths,
    dir: &Path,
    subjects: &[Subject],
    setting: Setting,
    times: usize,
) -> Result<Vec<Cold>> {
    eprintln!("  {COLD} ...");
    let check = FirstCheck::read(dir)?;
    let mut micros: Vec<Vec<f64>> = vec![Vec::new(); subjects.len()];
    for _ in 0..times {
        for (subject, micros) in subjects.iter().zip(&mut micros) {
            let watch = Stopwatch::start();
            let server = Server::start(paths, dir, slice::from_ref(subject), setting, V8::Silent)?;
            check.ask(&server, subject)?;
            micros.push(watch.elapsed().as_secs_f64() * 1e6);
        }
    }
    let base = micros.first().cloned().unwrap_or_default();
    let cold = |(subject, micros): (&Subject, &Vec<f64>)| {
        // Compare starts that follow each other: the machine is not always equally busy.
        let more: Vec<_> = micros.iter().zip(&base).map(|(micros, base)| micros - base).collect();
        Some(Cold {
            name: subject.name.to_owned(),
            requests: micros.len(),
            p50_micros: median(micros)?,
            low_micros: micros.iter().copied().fold(f64::INFINITY, f64::min),
            high_micros: micros.iter().copied().fold(0.0, f64::max),
            more_than_floor_micros: median(&more)?,
        })
    };
    Ok(subjects.iter().zip(&micros).filter_map(cold).collect())
}
