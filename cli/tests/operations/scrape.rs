//! Metrics as a scraper reads them.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// All samples, by name and labels.
#[derive(Clone, Debug, Default)]
pub struct Scrape(pub BTreeMap<String, f64>);

impl Scrape {
    /// Scrapes an address; `None` if nothing answers there.
    pub fn of(address: &str) -> Option<Self> {
        let (status, text) = get(&format!("http://{address}/metrics"))?;
        assert_eq!(status, 200, "{text}");
        Some(Self::parse(&text))
    }

    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        Self(
            samples
                .map(|sample| {
                    let (series, value) = sample.rsplit_once(' ').unwrap();
                    (series.to_owned(), value.parse().unwrap())
                })
                .collect(),
        )
    }

    /// A value; 0 for a series that is not there.
    pub fn value(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or(0.0)
    }

    /// The sum over all labels.
    pub fn sum(&self, name: &str) -> f64 {
        self.0.iter().filter(|(series, _)| name_of(series) == name).map(|(_, value)| value).sum()
    }
}

/// The metric's name in a series.
pub fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap()
}

/// Status and body; `None` if nothing answers.
pub fn get(url: &str) -> Option<(u16, String)> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let mut answer = ureq::Agent::new_with_config(config).get(url).call().ok()?;
    Some((answer.status().as_u16(), answer.body_mut().read_to_string().unwrap()))
}

/// Scrapes until `is_so`.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test waits for other processes")]
pub fn wait_for(address: &str, what: &str, is_so: impl Fn(&Scrape) -> bool) -> Scrape {
    let started = Instant::now();
    loop {
        let found = Scrape::of(address);
        if let Some(found) = found.filter(&is_so) {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: {:?}", Scrape::of(address));
        thread::sleep(Duration::from_millis(100));
    }
}
