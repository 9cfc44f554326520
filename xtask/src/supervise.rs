//! Keeps a server running: notices that it ended or hangs, says why, and starts it again.
//!
//! A [`Part`] is a small state machine that [`Part::tick`] moves on; nothing in it waits, so that one loop looks
//! after all parts.

use std::{
    mem,
    path::PathBuf,
    sync::mpsc::{self, Receiver, TryRecvError},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{
    crew::Crew,
    guarded::Guarded,
    job::{self, Stopwatch},
    server, step,
};

/// The pause before the first start after an end. It doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause: a part that cannot run must not fill its log and the terminal.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A part that ran for this time has recovered: the next pause is the shortest again.
const STEADY: Duration = Duration::from_secs(60);

/// A part starts in seconds on an idle machine. A busy one gets much more before it is called stuck, because wrangler
/// builds the Worker first if a source file has changed.
pub const START_LIMIT: Duration = Duration::from_secs(5 * 60);

/// How often a part is asked whether it answers, and how long it may take: while it starts, while it runs, and for a
/// while after it lost a process of its own. A machine that compiles on all processors may take seconds.
const START_PROBES: (Duration, Duration) = (job::POLL, Duration::from_secs(10));
const PROBES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
const CLOSE_PROBES: (Duration, Duration) = (job::POLL, Duration::from_secs(3));

/// How long after such a loss: wrangler replaces a workerd within seconds.
const SUSPICION: Duration = Duration::from_secs(30);

/// Probes in a row without an answer that mean that a part hangs.
const MISSES_MAX: u32 = 3;

/// Lines of its log that are shown of a part that ended.
const TAIL_LINES: usize = 6;

/// Failures in a row for which they are shown; further ones are a line each.
const TAILS_MAX: u32 = 2;

type Start<'a> = Box<dyn Fn() -> Result<Guarded> + 'a>;

/// A server that is kept running. Dropping it stops it.
pub struct Part<'a> {
    name: &'static str,
    start: Start<'a>,
    log: PathBuf,
    health_url: Option<String>,
    stopped_while: Option<PathBuf>,
    crew: Option<&'static str>,
    state: State,
    failures: u32,
}

enum State {
    Starting {
        process: Guarded,
        since: Stopwatch,
        probe: Probe,
    },
    Running {
        process: Guarded,
        since: Stopwatch,
        crew: Option<Crew>,
        suspected: Option<Stopwatch>,
        probe: Probe,
        misses: u32,
    },
    Pausing {
        since: Stopwatch,
        pause: Duration,
    },
    /// Stopped by `cargo xtask origin --stop`, until it may start again.
    Stopped,
}

impl State {
    fn starting(process: Guarded) -> Self {
        Self::Starting { process, since: Stopwatch::start(), probe: Probe::default() }
    }

    fn running(process: Guarded, crew: Option<&'static str>) -> Self {
        Self::Running {
            process,
            since: Stopwatch::start(),
            crew: crew.map(Crew::new),
            suspected: None,
            probe: Probe::default(),
            misses: 0,
        }
    }
}

impl<'a> Part<'a> {
    /// Starts a part whose output goes to `log`.
    pub fn start(name: &'static str, log: PathBuf, start: impl Fn() -> Result<Guarded> + 'a) -> Result<Self> {
        let state = State::starting(start()?);
        let start = Box::new(start);
        Ok(Self { name, start, log, health_url: None, stopped_while: None, crew: None, state, failures: 0 })
    }

    /// It runs once a GET of `url` is answered, with whatever status, and hangs when that stops.
    pub fn answering_at(mut self, url: String) -> Self {
        self.health_url = Some(url);
        self
    }

    /// It is looked at more closely when one of its own processes called `name` is gone.
    pub const fn needing(mut self, name: &'static str) -> Self {
        self.crew = Some(name);
        self
    }

    /// It is not started again while the file `marker` exists.
    pub fn stopped_while(mut self, marker: PathBuf) -> Self {
        self.stopped_while = Some(marker);
        self
    }

    /// Waits until it runs for the first time.
    pub fn wait(&mut self) -> Result<()> {
        loop {
            match &mut self.state {
                State::Running { .. } => return Ok(()),
                State::Starting { process, .. } => process.check_alive()?,
                State::Pausing { .. } | State::Stopped => {
                    bail!("{} does not start. {}", self.name, self.log_tail());
                }
            }
            if job::interrupted() {
                bail!("interrupted");
            }
            self.tick()?;
            thread::sleep(job::POLL);
        }
    }

    /// Looks at it once, acts, and tells events on standard error.
    pub fn tick(&mut self) -> Result<()> {
        match &mut self.state {
            State::Starting { process, since, probe } => {
                if process.has_ended()? {
                    self.has_failed("ended while it started");
                } else if self
                    .health_url
                    .as_ref()
                    .is_none_or(|url| probe.poll(url, START_PROBES.0, START_PROBES.1) == Some(true))
                {
                    self.runs();
                } else if since.elapsed() > START_LIMIT {
                    self.has_failed("does not answer");
                }
            }
            State::Running { process, since, crew, suspected, probe, misses } => {
                if since.elapsed() > STEADY {
                    self.failures = 0;
                }
                if crew.as_mut().is_some_and(|crew| crew.has_lost_one(process.id())) {
                    *suspected = Some(Stopwatch::start());
                }
                let is_suspected = suspected.is_some_and(|since| since.elapsed() < SUSPICION);
                let (every, limit) = if is_suspected { CLOSE_PROBES } else { PROBES };
                if let Some(url) = &self.health_url
                    && let Some(has_answered) = probe.poll(url, every, limit)
                {
                    *misses = if has_answered { 0 } else { *misses + 1 };
                }
                if process.has_ended()? {
                    self.has_failed("ended");
                } else if *misses >= MISSES_MAX {
                    self.has_failed("runs, but does not answer any more");
                }
            }
            State::Pausing { since, pause } => {
                let is_over = since.elapsed() >= *pause;
                if self.is_to_stay_stopped() {
                    self.state = State::Stopped;
                } else if is_over {
                    self.start_again();
                }
            }
            State::Stopped => {
                if !self.is_to_stay_stopped() {
                    self.start_again();
                }
            }
        }
        Ok(())
    }

    fn runs(&mut self) {
        let State::Starting { process, .. } = mem::replace(&mut self.state, State::Stopped) else { return };
        self.state = State::running(process, self.crew);
        if self.failures > 0 {
            let how = if self.health_url.is_some() { "answers again" } else { "was started again" };
            eprintln!("[{}] {how}", self.name);
        }
    }

    fn is_to_stay_stopped(&self) -> bool {
        self.stopped_while.as_ref().is_some_and(|marker| marker.exists())
    }

    fn start_again(&mut self) {
        match (self.start)() {
            Ok(process) => self.state = State::starting(process),
            Err(error) => self.has_failed(&format!("cannot be started: {error:#}")),
        }
    }

    /// Ends the rest of it, and tells why and when it starts again.
    fn has_failed(&mut self, how: &str) {
        self.state = State::Stopped;
        if self.is_to_stay_stopped() {
            eprintln!("[{}] is stopped", self.name);
            // A stop on request is not a failure, but the next start is worth a line.
            self.failures = 1;
            return;
        }
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(8)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        if self.failures <= TAILS_MAX {
            eprintln!("\n[{}] {how}. {}", self.name, self.log_tail());
        } else {
            let (log, last) = (self.log.display(), self.last_words());
            eprintln!("[{}] {how}, {} times in a row ({log}): {last}", self.name, self.failures);
        }
        eprintln!("[{}] starts again in {} s", self.name, pause.as_secs());
        self.state = State::Pausing { since: Stopwatch::start(), pause };
    }

    /// The last line of its own in its log.
    fn last_words(&self) -> String {
        let tail = step::tail(&self.log, TAIL_LINES);
        let own = tail.lines().rfind(|line| !line.starts_with("guard: "));
        own.unwrap_or_default().to_owned()
    }

    fn log_tail(&self) -> String {
        let tail = step::tail(&self.log, TAIL_LINES);
        let lines: String = tail.lines().map(|line| format!("\n  {line}")).collect();
        format!("The end of {}:{lines}", self.log.display())
    }
}

/// Asks a server now and then whether it answers, without waiting for it.
struct Probe {
    since: Stopwatch,
    asked: Option<Receiver<bool>>,
}

impl Default for Probe {
    fn default() -> Self {
        Self { since: Stopwatch::start(), asked: None }
    }
}

impl Probe {
    /// Whether `url` was answered within `limit`, if a question has just ended. The next one begins `every` after the
    /// last.
    fn poll(&mut self, url: &str, every: Duration, limit: Duration) -> Option<bool> {
        let Some(asked) = &self.asked else {
            if self.since.elapsed() >= every {
                let (sender, receiver) = mpsc::channel();
                let url = url.to_owned();
                thread::spawn(move || sender.send(server::get(&url, None, limit).is_ok()));
                (self.asked, self.since) = (Some(receiver), Stopwatch::start());
            }
            return None;
        };
        let has_answered = match asked.try_recv() {
            Ok(has_answered) => has_answered,
            Err(TryRecvError::Disconnected) => false,
            Err(TryRecvError::Empty) => return None,
        };
        self.asked = None;
        Some(has_answered)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, env, fs, os::unix::fs::PermissionsExt as _, path::Path, process};

    use super::*;
    use crate::paths::Paths;

    /// Paths in an empty directory, with a guard that runs the command and nothing else.
    fn paths(test: &str) -> Paths {
        let root = env::temp_dir().join(format!("admit-xtask-{test}-{}", process::id()));
        let _absent = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        let exe = root.join("guard");
        fs::write(&exe, "#!/bin/sh\nshift 2\nexec \"$@\"\n").unwrap();
        fs::set_permissions(&exe, fs::Permissions::from_mode(0o755)).unwrap();
        Paths { target: root.join("target"), cache: root.join("cache"), exe, root }
    }

    /// A shell as a server, which runs the script of each start in turn, the last one again and again.
    fn shell<'a>(paths: &'a Paths, starts: &'a Cell<usize>, scripts: &'a [&'a str]) -> Part<'a> {
        let log = paths.root.join("part.log");
        Part::start("shell", log.clone(), move || {
            let script = scripts[starts.get().min(scripts.len() - 1)];
            starts.set(starts.get() + 1);
            Guarded::start(paths, "the shell", Path::new("/bin/sh"), log.clone(), |command| {
                command.args(["-c", script]);
                Ok(())
            })
        })
        .unwrap()
    }

    /// Looks after a part until it is as it should be.
    fn tick_until(part: &mut Part<'_>, mut is_so: impl FnMut(&State) -> bool) {
        for _ in 0..1_200 {
            part.tick().unwrap();
            if is_so(&part.state) {
                return;
            }
            thread::sleep(job::POLL);
        }
        panic!("it is not so after a minute");
    }

    #[test]
    fn what_ends_is_started_again_after_growing_pauses() {
        let (paths, starts) = (paths("restart"), Cell::new(0));
        let mut part = shell(&paths, &starts, &["echo first; exit 3", "echo second; exit 3", "sleep 600"]);
        let mut pauses = Vec::new();
        tick_until(&mut part, |state| {
            if let State::Pausing { pause, .. } = state
                && pauses.last() != Some(pause)
            {
                pauses.push(*pause);
            }
            starts.get() == 3 && matches!(state, State::Running { .. })
        });
        assert_eq!(pauses, [PAUSE_MIN, PAUSE_MIN * 2]);
        assert_eq!(
            fs::read_to_string(&part.log).unwrap(),
            "first\nsecond\n",
            "the log of an earlier start is kept"
        );
        drop(part);
        fs::remove_dir_all(&paths.root).unwrap();
    }

    #[test]
    fn what_was_stopped_stays_so_until_it_may_start() {
        let (paths, starts) = (paths("stopped"), Cell::new(0));
        let marker = paths.root.join("stopped");
        fs::write(&marker, "").unwrap();
        let part = shell(&paths, &starts, &["exit 0", "sleep 600"]);
        let mut part = part.stopped_while(marker.clone());
        tick_until(&mut part, |state| matches!(state, State::Stopped));
        part.tick().unwrap();
        assert_eq!(starts.get(), 1);
        fs::remove_file(&marker).unwrap();
        tick_until(&mut part, |state| matches!(state, State::Running { .. }));
        assert_eq!(starts.get(), 2);
        drop(part);
        fs::remove_dir_all(&paths.root).unwrap();
    }
}
