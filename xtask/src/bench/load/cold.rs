//! From the start of a process to its first answer.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    super::numbers::median,
    peers::Subject,
    report::Outcome,
    scenarios::COLD,
    server::{Server, Setting},
};
use crate::{job::Stopwatch, paths::Paths};

/// Starts each subject alone, `times` times, in turn.
///
/// # Errors
/// One does not start, or does not answer.
pub fn run(
    paths: &Paths,
    dir: &Path,
    subjects: &[Subject],
    setting: Setting,
    times: usize,
) -> Result<Outcome> {
    eprintln!("  {COLD} ...");
    let (path, token, body) = request(dir)?;
    let mut millis: Vec<Vec<f64>> = vec![Vec::new(); subjects.len()];
    for _ in 0..times {
        for (subject, millis) in subjects.iter().zip(&mut millis) {
            let watch = Stopwatch::start();
            let server = Server::start(paths, dir, std::slice::from_ref(subject), setting)?;
            let url = format!("http://127.0.0.1:{}{path}", server.port(subject.name)?);
            let request = ureq::get(&url).header("authorization", format!("Bearer {token}"));
            let answer =
                request.header("cf-connecting-ip", "203.0.113.7").call()?.body_mut().read_to_string()?;
            millis.push(watch.elapsed().as_secs_f64() * 1e3);
            if !subject.is_floor() && answer != body {
                bail!("{} answered {answer}", subject.name);
            }
            server.stop();
        }
    }
    let base = millis.first().and_then(|millis| median(millis)).context("no cold starts")?;
    let rows = subjects.iter().zip(&millis).filter_map(|(subject, millis)| {
        let median = median(millis)?;
        let low = millis.iter().copied().fold(f64::INFINITY, f64::min);
        let high = millis.iter().copied().fold(0.0, f64::max);
        Some(json!({
            "name": subject.name, "requests": millis.len(), "p50_micros": median * 1e3,
            "low_micros": low * 1e3, "high_micros": high * 1e3, "more_than_floor_micros": (median - base) * 1e3,
        }))
    });
    let measured = Value::Array(rows.collect());
    let about = "From the start of workerd to the first answer";
    Ok(Outcome { scenario: COLD.to_owned(), about, growth: None, measured })
}

/// Path, token and body of a check that is granted.
fn request(dir: &Path) -> Result<(String, String, String)> {
    let list = fs::read_to_string(dir.join(format!("{COLD}.tsv")))?;
    let fields: Vec<_> = list.trim_end().splitn(6, '\t').collect();
    let [_, path, token, _, _, body] = fields.as_slice() else { bail!("{COLD}.tsv has no request") };
    Ok(((*path).to_owned(), (*token).to_owned(), (*body).to_owned()))
}
