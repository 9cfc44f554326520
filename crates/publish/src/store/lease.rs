//! The publisher's own lease: taken before the first write, renewed in the background, given back at the end.

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
use crate::{clock::now, peer::retry::Patience};

/// How long a lease lasts unless it is renewed, in seconds. A killed publisher keeps other machines from
/// publishing for this long, and revocations with them. Two renewals may fail before it ends.
pub const LEASE_SECS: i64 = 30;

/// Between two renewals. KV takes one write a second to a key.
pub const RENEW_EVERY: Duration = Duration::from_secs(LEASE_SECS.unsigned_abs() / 3);

/// How long giving back waits for a renewal under way. A renewal that came after it would take the lease
/// again.
const RENEWAL_WAIT: Duration = Duration::from_secs(5);

/// The length of a colon and the longest process id.
const PID_MAX_BYTES: usize = 11;

/// Another publisher holds the lease.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct LeaseHeld {
    text: String,
    /// Seconds until the lease ends unless it is renewed, if known.
    pub ends_in_secs: Option<u64>,
}

impl LeaseHeld {
    /// The lease of another publisher, as it stands at `now`.
    pub fn new(lease: &Lease, now: UnixSecs) -> Self {
        let (host, until, left) = (&lease.host, iso8601(lease.until, 0), lease.until.saturating_sub(now));
        let ends_in_secs = u64::try_from(left).ok();
        let text = format!(
            "another publisher, {host}, holds the lease until {until}, {left} s from now, and longer if it \
             renews it. If it has ended, wait until then, or take over with --force"
        );
        Self { text, ends_in_secs }
    }

    /// A refusal in the store's own words.
    pub fn refused(error: &anyhow::Error) -> Self {
        Self { text: format!("{error:#}"), ends_in_secs: None }
    }
}

/// The name of the holder of a lease, made up once for a run. A run whose answer was lost, and that cannot
/// know whether it has the lease, takes it again under the same name.
#[derive(Clone, Debug)]
pub struct Holder(String);

impl Holder {
    /// A new random name.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new() -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).context("cannot make up who holds the lease")?;
        Ok(Self(format!("{:032x}", u128::from_le_bytes(random))))
    }
}

/// The lease while a run needs it.
pub struct Tenure {
    holder: String,
    host: String,
    state: Mutex<State>,
    is_over: Condvar,
}

#[derive(Default)]
struct State {
    until: UnixSecs,
    /// Why the last renewal failed.
    failure: Option<anyhow::Error>,
    /// Who has taken the lease over.
    lost_to: Option<String>,
    is_over: bool,
}

impl Tenure {
    /// The holder's name, as the store gets it.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// When the lease ends unless it is renewed.
    pub fn until(&self) -> UnixSecs {
        self.state().until
    }

    /// Checks that a write may still be made at `now`.
    ///
    /// # Errors
    /// Another publisher has taken the lease, or it could not be renewed in time.
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
            None => ", perhaps because this machine slept".to_owned(),
        };
        Err(anyhow!(
            "this publisher's lease ended at {ended} without being renewed{why}. Others may publish now, so it \
             writes nothing more; run it again"
        ))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the lease, or records why that failed.
    fn renew(&self, shared: &Shared) {
        let renewed = (shared.clock)().and_then(|now| {
            // Even if the lease is free again, another publisher may have held it in between.
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

/// Holds the lease of this run. Dropping it gives the lease back; if that fails the lease ends by itself.
pub struct Guard {
    shared: Arc<Shared>,
    tenure: Arc<Tenure>,
    renewal: Option<JoinHandle<()>>,
}

impl Guard {
    /// Takes the lease as `holder`: also from a publisher on this machine that has ended, and with `force`
    /// from any.
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
            // Sending the other holder's name ends that holder's lease.
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
            // KV may show the old lease for another minute.
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

    /// Renews now, as the background thread does every [`RENEW_EVERY`].
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

/// Whether the holder was a publisher on this machine that ended without giving its lease back.
fn is_left_behind(lease: &Lease) -> bool {
    let is_here = lease.host.rsplit_once(':').is_some_and(|(name, _)| name == machine());
    is_here && lease.process.as_deref().is_some_and(process::is_gone)
}

/// This machine's name: visible ASCII, short enough to append a process id.
fn machine() -> String {
    let name = gethostname::gethostname();
    let name: String = name.to_string_lossy().chars().filter(char::is_ascii_graphic).collect();
    let name = if name.is_empty() { "unknown" } else { &name };
    // ASCII only, so that it can be cut anywhere.
    name.get(..HOST_MAX_BYTES - PID_MAX_BYTES).unwrap_or(name).to_owned()
}

/// This machine and process, for messages.
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
