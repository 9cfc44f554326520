//! The publisher's own lease: taken before the first write, renewed behind the work, given back at the end.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use admit_snapshot::{
    lease::{HOST_MAX_BYTES, Lease},
    store_key::StoreKey,
    time::{UnixSecs, iso8601},
};
use anyhow::{Context, Result, anyhow, bail};

use super::{Shared, process};
use crate::{peer::retry::Patience, progress::now};

/// How long a lease lasts unless it is renewed: how long a publisher that was killed keeps those on other machines
/// away, and so for how long no revocation is published. Two renewals may fail before it ends.
pub const LEASE_SECS: i64 = 30;

/// Between two renewals. KV takes one write a second to a key.
pub const RENEW_EVERY: Duration = Duration::from_secs(LEASE_SECS.unsigned_abs() / 3);

/// How long a renewal that is under way is waited for before the lease is given back. One that came after that
/// would take it again.
const RENEWAL_WAIT: Duration = Duration::from_secs(5);

/// A colon and the longest number of a process.
const PID_MAX_BYTES: usize = 11;

/// Another publisher may publish now.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct LeaseHeld {
    text: String,
    /// How many seconds from then the lease ends unless it is renewed, if that is known.
    pub ends_in_secs: Option<u64>,
}

impl LeaseHeld {
    /// Somebody else's lease, as it stands at `now`.
    pub fn new(lease: &Lease, now: UnixSecs) -> Self {
        let (host, until, left) = (&lease.host, iso8601(lease.until, 0), lease.until.saturating_sub(now));
        let ends_in_secs = u64::try_from(left).ok();
        let text = format!(
            "another publisher, {host}, holds the lease until {until}, {left} s from now, and longer if it \
             renews it. If it has ended, wait until then, or take over with --force"
        );
        Self { text, ends_in_secs }
    }

    /// A store's own words.
    pub fn refused(error: &anyhow::Error) -> Self {
        Self { text: format!("{error:#}"), ends_in_secs: None }
    }
}

/// Who holds a lease, made up once for a run. A run whose answer was lost, so that it cannot tell whether it has the
/// lease, takes it again under the same name.
#[derive(Clone, Debug)]
pub struct Holder(String);

impl Holder {
    /// A new one.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new() -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).context("cannot make up who holds the lease")?;
        Ok(Self(format!("{:032x}", u128::from_le_bytes(random))))
    }
}

/// A lease as long as it is wanted.
pub struct Tenure {
    holder: String,
    host: String,
    state: Mutex<State>,
    is_over: Condvar,
}

#[derive(Default)]
struct State {
    until: UnixSecs,
    /// Why it could not be renewed the last time.
    failure: Option<anyhow::Error>,
    /// Somebody else has it.
    lost_to: Option<String>,
    is_over: bool,
}

impl Tenure {
    /// Who holds it, for the store.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Whether a write may still be made at `now`.
    ///
    /// # Errors
    /// Somebody else has taken the lease, or it could not be renewed in time.
    pub fn check(&self, now: UnixSecs) -> Result<()> {
        let state = self.state();
        if let Some(other) = &state.lost_to {
            return Err(anyhow!("this publisher has lost its lease, so it writes nothing more: {other}"));
        }
        if now < state.until {
            return Ok(());
        }
        let ended = iso8601(state.until, 0);
        let why = match &state.failure {
            Some(failure) => format!(": {failure:#}"),
            None => ", as if this machine had slept".to_owned(),
        };
        Err(anyhow!(
            "this publisher's lease ended at {ended} without being renewed{why}. Others may publish now, so it \
             writes nothing more; run it again"
        ))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the lease, or notes why that did not go.
    fn renew(&self, shared: &Shared) {
        let renewed = (shared.clock)().and_then(|now| {
            // Too late is too late: somebody may have had it, and given it back, in between.
            self.check(now)?;
            let until = now.saturating_add(LEASE_SECS);
            shared.write_lease(&self.lease(until), now).map(|()| until)
        });
        let mut state = self.state();
        match renewed {
            Ok(until) => (state.until, state.failure) = (until, None),
            Err(error) if error.is::<LeaseHeld>() => state.lost_to = Some(error.to_string()),
            Err(error) => state.failure = Some(error),
        }
    }

    fn lease(&self, until: UnixSecs) -> Lease {
        Lease { holder: self.holder.clone(), host: self.host.clone(), until, process: process::this() }
    }
}

/// The lease of this run. Given back when it is dropped; if that fails it ends by itself.
pub struct Guard {
    shared: Arc<Shared>,
    tenure: Arc<Tenure>,
    renewal: Option<JoinHandle<()>>,
}

impl Guard {
    /// Takes the lease as `holder`; from a publisher on this machine that has ended, and with `force` from any.
    ///
    /// # Errors
    /// Another publisher holds it, or the store does not answer.
    pub fn take(shared: Arc<Shared>, holder: &Holder, force: bool) -> Result<Self> {
        let tenure = Tenure {
            holder: holder.0.clone(),
            host: host(),
            state: Mutex::default(),
            is_over: Condvar::new(),
        };
        let mut patience = Patience::for_objects();
        let until = loop {
            let now = (shared.clock)()?;
            let until = now.saturating_add(LEASE_SECS);
            let error = match shared.write_lease(&tenure.lease(until), now) {
                Ok(()) => break until,
                Err(error) => error,
            };
            if !error.is::<LeaseHeld>() {
                return Err(error);
            }
            // Who shows the other's name may end the other's lease.
            match shared.lease()? {
                Some(lease) if is_left_behind(&lease) => {
                    eprintln!("warning: {} ended without giving its lease back: taking it over", lease.host);
                    shared.backend.delete(StoreKey::Lease, Some(&lease.holder))?;
                }
                _ if !force => return Err(error),
                Some(lease) => {
                    eprintln!("warning: taking over the lease of {}", lease.host);
                    shared.backend.delete(StoreKey::Lease, Some(&lease.holder))?;
                }
                None => {}
            }
            // KV may go on showing it for a minute.
            match patience.next(None) {
                Some(pause) if shared.backend.has_rules() => std::thread::sleep(pause),
                Some(_) => {}
                None => return Err(error),
            }
        };
        tenure.state().until = until;
        let tenure = Arc::new(tenure);
        shared.set_tenure(Some(Arc::clone(&tenure)));
        let renewal = {
            let (shared, tenure) = (Arc::clone(&shared), Arc::clone(&tenure));
            std::thread::spawn(move || renew_until_it_is_over(&shared, &tenure))
        };
        Ok(Self { shared, tenure, renewal: Some(renewal) })
    }

    /// Renews it now, as is done every [`RENEW_EVERY`].
    #[cfg(test)]
    pub fn renew(&self) {
        self.tenure.renew(&self.shared);
    }

    fn end(&mut self) -> Result<()> {
        self.tenure.state().is_over = true;
        self.tenure.is_over.notify_all();
        self.shared.set_tenure(None);
        if let Some(renewal) = self.renewal.take() {
            let started = now();
            while !renewal.is_finished() {
                if started.elapsed() > RENEWAL_WAIT {
                    bail!("the store does not answer its renewal");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        if self.tenure.check((self.shared.clock)()?).is_err() {
            return Ok(());
        }
        self.shared.end_lease(self.tenure.holder())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("warning: the lease could not be given back, and ends in {LEASE_SECS} s: {error:#}");
        }
    }
}

fn renew_until_it_is_over(shared: &Shared, tenure: &Tenure) {
    let mut state = tenure.state();
    while !state.is_over && state.lost_to.is_none() {
        let waited = tenure.is_over.wait_timeout(state, RENEW_EVERY);
        let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state = woken;
        if timeout.timed_out() && !state.is_over {
            drop(state);
            tenure.renew(shared);
            state = tenure.state();
        }
    }
}

/// Whether a publisher on this machine has ended without giving its lease back.
fn is_left_behind(lease: &Lease) -> bool {
    let is_here = lease.host.rsplit_once(':').is_some_and(|(name, _)| name == machine());
    is_here && lease.process.as_deref().is_some_and(process::is_gone)
}

/// This machine's name: visible ASCII, and short enough for a process to follow.
fn machine() -> String {
    let name = gethostname::gethostname();
    let name: String = name.to_string_lossy().chars().filter(char::is_ascii_graphic).collect();
    let name = if name.is_empty() { "unknown" } else { &name };
    // ASCII only, so that any place is one to cut at.
    name.get(..HOST_MAX_BYTES - PID_MAX_BYTES).unwrap_or(name).to_owned()
}

/// This machine and this process, for people.
pub fn host() -> String {
    format!("{}:{}", machine(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name_that_a_lease_may_have() {
        let lease = Lease { holder: "0".repeat(32), host: host(), until: 1, process: process::this() };
        assert_eq!(Lease::parse(&serde_json::to_vec(&lease).unwrap()), Ok(lease));
    }

    #[test]
    fn who_is_in_the_way_and_how_long_is_said() {
        let (holder, host) = ("0".repeat(32), "build-7:4711".to_owned());
        let lease = Lease { holder, host, until: 1_700_000_060, process: None };
        let text = LeaseHeld::new(&lease, 1_700_000_013).to_string();
        assert!(text.contains("build-7:4711") && text.contains("47 s from now"), "{text}");
        assert!(text.contains("2023-11-14T22:14:20+00:00") && text.contains("--force"), "{text}");
    }
}
