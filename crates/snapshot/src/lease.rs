//! The lease: who may publish, and until when.
//!
//! A store without compare-and-swap cannot make the lease exclusive. It keeps two publishers that run by
//! mistake from working against each other. The data itself is protected by other rules: heads never go back,
//! and objects are named by their content.
//!
//! ```
//! use admit_snapshot::lease::{Lease, LeaseError};
//!
//! let holder = "0123456789abcdef0123456789abcdef";
//! let json = format!(r#"{{"holder":"{holder}","host":"publisher-1","until":1000}}"#);
//! let lease = Lease::parse(json.as_bytes())?;
//!
//! assert_eq!(lease.check(900), Ok(()));
//! assert!(lease.excludes(None, 999), "others wait until it ends");
//! assert!(!lease.excludes(Some(holder), 999) && !lease.excludes(None, 1000));
//! assert_eq!(Lease::parse(b"{}"), Err(LeaseError::Malformed));
//! # Ok::<(), LeaseError>(())
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::time::UnixSecs;
use crate::limits::{HEAD_SKEW_SECS, LEASE_MAX_BYTES, LEASE_MAX_SECS};

/// Request header in which a publisher names the lease that it holds, in lower case.
pub const HOLDER_HEADER: &str = "admit-holder";

/// Number of hexadecimal digits of a holder: 128 random bits.
pub const HOLDER_DIGITS: usize = 32;

/// Longest host name in bytes: the limit of DNS.
pub const HOST_MAX_BYTES: usize = 253;

/// Longest identification of a process in bytes: ids of boot and namespace, a number, and a time.
pub const PROCESS_MAX_BYTES: usize = 128;

/// The right to publish until a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The holder: [`HOLDER_DIGITS`] lower-case hexadecimal digits, drawn for each run.
    pub holder: String,
    /// The machine on which the holder runs, for people. Not secret: other publishers see it.
    pub host: String,
    /// When the lease ends, unix seconds. Workers judge it by their own clock.
    pub until: UnixSecs,
    /// Identifies the holder's process to other publishers on the same machine, which can tell from it that
    /// the process has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
}

/// Why a lease may not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The text is not a lease.
    #[error("not a lease")]
    Malformed,
    /// The holder does not have the expected form.
    #[error("invalid holder, expected {HOLDER_DIGITS} lower-case hexadecimal digits")]
    Holder,
    /// The host's name is missing, too long, or has invalid characters.
    #[error("invalid host, expected 1 to {HOST_MAX_BYTES} visible ASCII characters")]
    Host,
    /// The lease has ended already, or would end too late.
    #[error("invalid until, expected at most {LEASE_MAX_SECS} s from now")]
    Until,
}

impl Lease {
    /// Parses a lease that is stored, or that a publisher sends.
    ///
    /// # Errors
    /// The text is not JSON with the three required members, or holder or host is invalid.
    pub fn parse(json: &[u8]) -> Result<Self, LeaseError> {
        if json.len() > LEASE_MAX_BYTES {
            return Err(LeaseError::Malformed);
        }
        let lease = Self::from_members(json).ok_or(LeaseError::Malformed)?;
        if !is_holder(&lease.holder) {
            return Err(LeaseError::Holder);
        }
        let is_host = matches!(lease.host.len(), 1..=HOST_MAX_BYTES) && is_visible(&lease.host);
        if is_host { Ok(lease) } else { Err(LeaseError::Host) }
    }

    /// Reads the members by way of `Value`, for which the Worker has a parser anyway; a derived reader for
    /// one more struct would be more code.
    fn from_members(json: &[u8]) -> Option<Self> {
        let lease: Value = serde_json::from_slice(json).ok()?;
        let text = |name: &str| Some(lease.get(name)?.as_str()?.to_owned());
        // Only the holder's own machine uses this member, so an invalid one is dropped instead of refusing
        // the lease.
        let process =
            text("process").filter(|process| process.len() <= PROCESS_MAX_BYTES && is_visible(process));
        let (holder, host) = (text("holder")?, text("host")?);
        Some(Self { holder, host, until: lease.get("until")?.as_i64()?, process })
    }

    /// Checks that the lease may be taken or renewed at `now`.
    ///
    /// # Errors
    /// The lease has ended, or ends more than [`LEASE_MAX_SECS`] after `now`.
    pub const fn check(&self, now: UnixSecs) -> Result<(), LeaseError> {
        if self.until > now && self.until <= now.saturating_add(LEASE_MAX_SECS) {
            Ok(())
        } else {
            Err(LeaseError::Until)
        }
    }

    /// Whether the lease keeps others away at `now`. A lease that ends later than one could that was taken
    /// under the largest tolerated clock difference was not taken by a publisher, and is ignored.
    #[must_use]
    pub const fn is_held(&self, now: UnixSecs) -> bool {
        self.until > now && self.until <= now.saturating_add(LEASE_MAX_SECS + HEAD_SKEW_SECS)
    }

    /// Whether the lease keeps `holder` away at `now`. `None` stands for a publisher without a lease.
    #[must_use]
    pub fn excludes(&self, holder: Option<&str>, now: UnixSecs) -> bool {
        self.is_held(now) && holder != Some(self.holder.as_str())
    }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `text` has the form of a holder.
#[must_use]
pub fn is_holder(text: &str) -> bool {
    text.len() == HOLDER_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOLDER: &str = "0123456789abcdef0123456789abcdef";

    fn lease(until: UnixSecs) -> Lease {
        Lease { holder: HOLDER.to_owned(), host: "build-7".to_owned(), until, process: None }
    }

    /// Pins the JSON of stored leases: a change here changes the format.
    #[test]
    fn json_is_pinned() {
        let json = format!(r#"{{"holder":"{HOLDER}","host":"build-7","until":1000}}"#);
        assert_eq!(serde_json::to_string(&lease(1_000)).unwrap(), json);
        assert_eq!(Lease::parse(json.as_bytes()), Ok(lease(1_000)));
        let named = Lease { process: Some("boot/pid:[1]/7/9".to_owned()), ..lease(1_000) };
        let more = json.replace('}', r#","process":"boot/pid:[1]/7/9"}"#);
        assert_eq!(serde_json::to_string(&named).unwrap(), more);
        assert_eq!(Lease::parse(more.as_bytes()), Ok(named));
        for odd in ["7", "null", r#""a b""#, &format!("\"{}\"", "x".repeat(PROCESS_MAX_BYTES + 1))] {
            let odd = json.replace('}', &format!(r#","process":{odd}}}"#));
            assert_eq!(Lease::parse(odd.as_bytes()), Ok(lease(1_000)), "{odd}");
        }
    }

    #[test]
    fn invalid_leases_are_refused() {
        let with = |holder: &str, host: &str, until: &str| {
            Lease::parse(format!(r#"{{"holder":"{holder}","host":"{host}","until":{until}}}"#).as_bytes())
        };
        assert!(with(HOLDER, "h", "1").is_ok());
        for holder in ["", "me", &HOLDER[1..], &HOLDER.to_uppercase(), &format!("{HOLDER}0")] {
            assert_eq!(with(holder, "h", "1"), Err(LeaseError::Holder), "{holder}");
        }
        for host in ["", "a b", "é", r"a\nb", &"h".repeat(HOST_MAX_BYTES + 1)] {
            assert_eq!(with(HOLDER, host, "1"), Err(LeaseError::Host), "{host}");
        }
        for until in ["null", "1.5", "\"1\"", "9223372036854775808"] {
            assert_eq!(with(HOLDER, "h", until), Err(LeaseError::Malformed), "{until}");
        }
        for text in [&b""[..], b"{}", b"[]", b"null", b"\xff", &[b' '; LEASE_MAX_BYTES + 1]] {
            assert_eq!(Lease::parse(text), Err(LeaseError::Malformed));
        }
    }

    #[test]
    fn taken_for_ten_minutes_at_most() {
        for (until, is_right) in [(1_000, false), (1_001, true), (1_600, true), (1_601, false)] {
            assert_eq!(lease(until).check(1_000).is_ok(), is_right, "{until}");
        }
    }

    #[test]
    fn others_are_kept_away_until_it_ends() {
        let other = "f".repeat(HOLDER_DIGITS);
        for (now, is_held) in [(99, false), (100, true), (999, true), (1_000, false), (1_001, false)] {
            let lease = lease(1_000);
            assert_eq!(lease.is_held(now), is_held, "{now}");
            assert_eq!(lease.excludes(None, now), is_held, "{now}");
            assert_eq!(lease.excludes(Some(&other), now), is_held, "{now}");
            assert!(!lease.excludes(Some(HOLDER), now), "{now}");
        }
        assert!(!lease(UnixSecs::MAX).is_held(1_000));
        assert!(!lease(UnixSecs::MIN).is_held(1_000));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), now in any::<i64>()) {
            if let Ok(lease) = Lease::parse(&bytes) {
                let _ = lease.check(now);
            }
            let _ = lease(now).is_held(now);
            let _ = lease(i64::MAX).check(now);
        }
    }
}
