//! What the first check of an isolate compiles: V8 compiles a function of Wasm when it is called first, from its body, and
//! the check waits for it.

use std::{collections::BTreeMap, fs, slice};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::json;
use xtask::{shrink, size::FIRST_CHECK_MAX_BYTES};

use super::{
    Bench, cold,
    server::{Server, Setting, V8},
    subjects::Subject,
};
use crate::{
    report::{Report, Section},
    table::table,
};

/// How many modules of Rust the table has.
const ROWS: usize = 30;

/// The functions that the first check compiles.
#[derive(Clone, Debug, Serialize)]
pub struct Compiled {
    functions: usize,
    body_bytes: usize,
    /// What V8 says that it took. It rounds to microseconds.
    micros: u64,
    by_module: Vec<Module>,
}

/// The functions of a module of Rust.
#[derive(Clone, Debug, Default, Serialize)]
struct Module {
    name: String,
    functions: usize,
    body_bytes: usize,
}

/// A line of V8.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    function: usize,
    micros: u64,
    body_bytes: usize,
}

impl Compiled {
    /// Lets Admit answer one check in a new process.
    ///
    /// # Errors
    /// Also if the functions weigh more than their budget.
    pub fn of(bench: &Bench<'_>, subjects: &[Subject], setting: Setting) -> Result<Self> {
        let admit = subjects.iter().find(|subject| subject.name == "admit").context("no Admit")?;
        let server = Server::start(bench.paths, bench.dir(), slice::from_ref(admit), setting, V8::Traced)?;
        cold::FirstCheck::read(bench.dir())?.ask(&server, admit)?;
        let mut lines: Vec<_> = server.log().lines().filter_map(Line::parse).collect();
        // Two threads may compile one function at a time.
        lines.sort_by_key(|line| line.function);
        lines.dedup_by_key(|line| line.function);
        if lines.is_empty() {
            bail!("V8 says nothing about what it compiles: has its flag another name?");
        }
        let symbols = shrink::symbols(bench.paths);
        let symbols =
            fs::read_to_string(&symbols).with_context(|| format!("cannot read {}", symbols.display()))?;
        let compiled = Self::sum(&lines, &symbols);
        if compiled.body_bytes > FIRST_CHECK_MAX_BYTES {
            bail!(
                "the first check compiles functions of {} bytes, {} above their budget of \
                 {FIRST_CHECK_MAX_BYTES}:\n{}",
                compiled.body_bytes,
                compiled.body_bytes - FIRST_CHECK_MAX_BYTES,
                compiled.section().table
            );
        }
        Ok(compiled)
    }

    fn sum(lines: &[Line], symbols: &str) -> Self {
        let names: BTreeMap<usize, &str> = symbols
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter_map(|(number, name)| Some((number.parse().ok()?, name)))
            .collect();
        let mut modules = BTreeMap::<String, Module>::new();
        for line in lines {
            let name = module(names.get(&line.function).copied().unwrap_or("unknown"));
            let module = modules.entry(name).or_default();
            module.functions += 1;
            module.body_bytes += line.body_bytes;
        }
        let mut by_module: Vec<_> =
            modules.into_iter().map(|(name, module)| Module { name, ..module }).collect();
        by_module.sort_by_key(|module| std::cmp::Reverse(module.body_bytes));
        Self {
            functions: lines.len(),
            body_bytes: lines.iter().map(|line| line.body_bytes).sum(),
            micros: lines.iter().map(|line| line.micros).sum(),
            by_module,
        }
    }

    /// The table.
    pub fn section(&self) -> Section {
        let kib = |bytes: usize| format!("{:.1}", bytes as f64 / 1024.0);
        let row =
            |name: &str, functions: usize, bytes| vec![name.to_owned(), functions.to_string(), kib(bytes)];
        let (shown, others) = self.by_module.split_at(ROWS.min(self.by_module.len()));
        let sum = |of: fn(&Module) -> usize| others.iter().map(of).sum();
        let mut rows = vec![row("all", self.functions, self.body_bytes)];
        rows.extend(shown.iter().map(|it| row(&format!("`{}`", it.name), it.functions, it.body_bytes)));
        rows.push(row("others", sum(|it| it.functions), sum(|it| it.body_bytes)));
        Section {
            title: "What the first check of an isolate compiles".to_owned(),
            note: format!(
                "Functions of Wasm by module, and their bodies. At most {} KiB; here V8 took {:.1} ms for them.",
                FIRST_CHECK_MAX_BYTES / 1024,
                self.micros as f64 / 1e3
            ),
            table: table(&["module", "functions", "KiB"], &rows),
        }
    }

    /// The report of `cargo xtask bench compiled`.
    pub fn report(&self) -> Report {
        Report {
            name: "compiled",
            command: "cargo xtask bench compiled".to_owned(),
            notes: Vec::new(),
            sections: vec![self.section()],
            json: ("compiled", json!(self)),
            plots: Vec::new(),
        }
    }
}

impl Line {
    /// Reads `Compiled function 0x1243#115 using Liftoff, took 75 μs and 16392 bytes; bodysize 72 codesize 508`. Lines
    /// of another compiler are left out: it compiles functions again behind the answer, to make them faster.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.strip_prefix("Compiled function ")?.split_once('#')?;
        let (function, rest) = rest.split_once(" using Liftoff, took ")?;
        let (micros, rest) = rest.split_once(' ')?;
        let (_, rest) = rest.split_once("bodysize ")?;
        let (body, _) = rest.split_once(' ')?;
        Some(Self {
            function: function.parse().ok()?,
            micros: micros.parse().ok()?,
            body_bytes: body.parse().ok()?,
        })
    }
}

/// Crate and module of a function's name.
fn module(name: &str) -> String {
    let name = name.trim_start_matches(['<', '&', '_', ' ', '(']);
    let name = name.split(" as ").next().unwrap_or(name);
    let mut path =
        name.split(['<', '>', '[', ' ']).next().unwrap_or(name).split("::").filter(|it| !it.is_empty());
    match (path.next(), path.next(), path.next()) {
        // A function of the crate itself has its hash behind it.
        (Some(first), Some(second), Some(_)) => format!("{first}::{second}"),
        (Some(first), ..) => first.to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_v8_are_read() {
        let text = "Compiled function 0x12437fd29518#115 using Liftoff, took 75 μs and 16392 bytes; bodysize 72 codesize 508";
        assert_eq!(Line::parse(text), Some(Line { function: 115, micros: 75, body_bytes: 72 }));
        assert_eq!(Line::parse(&text.replace("Liftoff", "TurboFan")), None);
        assert_eq!(Line::parse("starting"), None);
    }

    #[test]
    fn functions_are_summed_by_module() {
        let line = |function, body_bytes| Line { function, micros: 5, body_bytes };
        let symbols = "1:admit::app::answer::run::h6c55a72723a2824b\n2:<admit::app::App as core::fmt::Display>::fmt\n\
                       3:memcpy\n";
        let compiled = Compiled::sum(&[line(1, 10), line(2, 30), line(3, 20), line(4, 1)], symbols);
        let modules: Vec<_> = compiled.by_module.iter().map(|it| (it.name.as_str(), it.body_bytes)).collect();
        assert_eq!(modules, [("admit::app", 40), ("memcpy", 20), ("unknown", 1)]);
        assert_eq!((compiled.functions, compiled.body_bytes, compiled.micros), (4, 61, 20));
    }
}
