//! Whether a revocation stays while a publisher that has not seen it is at work.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use admit_publish::peer::time::Time;
use admit_snapshot::{lease::Lease, object::Digest};
use clap::Parser;

use super::*;

const NOW: UnixSecs = 1_700_000_000;

/// The key pair of RFC 8037, appendix A.1.
const JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"publisher","alg":"EdDSA",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

type OnSleep = Box<dyn FnMut(u64) + Send>;

/// Time that passes by sleeping, while others act.
struct Clock {
    elapsed: Mutex<Duration>,
    others: Mutex<OnSleep>,
}

impl Time for Clock {
    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap()
    }

    fn unix_secs(&self) -> Result<UnixSecs> {
        Ok(NOW + i64::try_from(self.elapsed().as_secs())?)
    }

    fn sleep(&self, pause: Duration) {
        *self.elapsed.lock().unwrap() += pause;
        (*self.others.lock().unwrap())(self.elapsed().as_secs());
    }
}

/// A directory with a published head, whose lease another publisher holds.
#[derive(Clone)]
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("admit-revoke-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("publisher.jwk"), JWK).unwrap();
        let place = Self(path);
        place.put(&head(NOW - 100));
        let (holder, host) = ("0".repeat(32), "other:1".to_owned());
        let lease = Lease { holder, host, until: NOW + 500, process: None };
        fs::write(place.0.join("lease"), serde_json::to_vec(&lease).unwrap()).unwrap();
        place
    }

    fn key(&self) -> PathBuf {
        self.0.join("publisher.jwk")
    }

    /// Publishes as a publisher does that does not take over revocations.
    fn put(&self, head: &Head) {
        let jws = HeadSigner::new(&self.key(), None).unwrap().sign(head).unwrap();
        fs::write(self.0.join("head"), jws).unwrap();
    }

    fn head(&self) -> Head {
        let jws = fs::read_to_string(self.0.join("head")).unwrap();
        match SignedHead::read(&jws, Some(&self.key())).unwrap() {
            SignedHead::Verified(head) => head,
            other => panic!("{other:?}"),
        }
    }

    /// Runs `admit revoke`. Returns its result, and the seconds that it took.
    fn revoke(&self, more: &[&str], others: impl FnMut(u64) + Send + 'static) -> (Result<()>, u64) {
        let (place, key) = (format!("dir:{}", self.0.display()), self.key());
        let start = ["admit", "--in", &place, "--key", key.to_str().unwrap()];
        let mut args = Cli::parse_from([&start, more].concat()).args;
        let clock = Arc::new(Clock { elapsed: Mutex::default(), others: Mutex::new(Box::new(others)) });
        args.outside.time = Arc::clone(&clock) as Arc<dyn Time>;
        let done = run(&args);
        (done, clock.elapsed().as_secs())
    }
}

fn head(as_of: UnixSecs) -> Head {
    Head::new(1, as_of, Digest([1; 32]), Digest([2; 32]))
}

const REVOKE: [&str; 4] = ["--token", "stolen", "--until", "2024-01-01"];

#[test]
fn a_revocation_that_stays_is_looked_at_for_as_long_as_a_store_may_lag() {
    let place = Place::new("stays");
    let (done, secs) = place.revoke(&REVOKE, |_| {});
    done.unwrap();
    assert_eq!((secs, place.head().denylist.in_force(NOW)), (LAG.as_secs(), 1));
    let (done, secs) = place.revoke(&[&REVOKE[..], &["--watch", "0"]].concat(), |_| {});
    done.unwrap();
    assert_eq!(secs, 0);
    let (done, _) = place.revoke(&[&REVOKE[..], &["--watch", "30"]].concat(), |_| {});
    assert!(done.unwrap_err().to_string().contains("--watch must be 0 or at least 90"));
}

#[test]
fn a_store_without_tokens_is_looked_at_whatever_key_is_revoked() {
    let place = Place::new("own");
    let own = ["--token-key", "gone.jwk", "--token-claims", r#"{"iss":"https://p.example"}"#];
    let key = ["--issuer-key", "https://p.example", "publisher", "--until", "2024-01-01"];
    let (done, secs) = place.revoke(&[&key[..], &own].concat(), |_| {});
    done.unwrap();
    assert_eq!(secs, LAG.as_secs());
}

#[test]
fn a_revocation_that_is_published_over_is_published_again_and_looked_at_anew() {
    for more in [&[][..], &["--lift"]] {
        let place = Place::new(&format!("over-{}", more.len()));
        place.revoke(&[&REVOKE[..], &["--watch", "0"]].concat(), |_| {}).0.unwrap();
        let args = if more.is_empty() { REVOKE.to_vec() } else { vec!["--token", "stolen", "--lift"] };
        let before = place.head();
        let others = {
            let place = place.clone();
            move |secs| {
                if [10, 80].contains(&secs) {
                    // The store shows the earlier revocation, and not the new one.
                    let denylist = if secs == 10 { before.denylist.clone() } else { Denylist::default() };
                    place.put(&Head { denylist, ..head(NOW + i64::try_from(secs).unwrap()) });
                }
            }
        };
        let (done, secs) = place.revoke(&args, others);
        done.unwrap();
        let denylist = place.head().denylist;
        assert_eq!(denylist.entries().first().map(|entry| entry.is_lifted), Some(!more.is_empty()));
        assert!((80 + LAG.as_secs()..=90 + LAG.as_secs()).contains(&secs), "{secs}");
    }
}

#[test]
fn a_revocation_that_does_not_stay_is_no_success() {
    let place = Place::new("lost");
    let others = {
        let place = place.clone();
        move |secs| place.put(&head(NOW + i64::try_from(secs).unwrap()))
    };
    let (done, secs) = place.revoke(&[&REVOKE[..], &["--watch", "100"]].concat(), others);
    assert!(done.unwrap_err().to_string().starts_with(UNCERTAIN));
    assert_eq!(secs, 100);
}

#[test]
fn a_store_that_shows_the_head_before_for_a_while_is_waited_for() {
    let place = Place::new("late");
    let others = {
        let (place, mut new) = (place.clone(), None);
        move |secs| match secs {
            5 => {
                new = Some(place.head());
                place.put(&head(NOW - 100));
            }
            40 => place.put(new.as_ref().unwrap()),
            _ => {}
        }
    };
    let (done, secs) = place.revoke(&REVOKE, others);
    done.unwrap();
    assert_eq!((secs, place.head().as_of), (40 + LAG.as_secs(), NOW - 99));
}

#[test]
fn a_customers_tokens_are_refused_as_far_as_clocks_may_differ() {
    for (as_of, latest) in [(NOW - 100, NOW), (NOW + 40, NOW + 40)] {
        let place = Place::new(&format!("since-{as_of}"));
        place.put(&head(as_of));
        let args = ["--customer", "vendor:c1", "--until", "2024-01-01", "--watch", "0"];
        place.revoke(&args, |_| {}).0.unwrap();
        let since = |place: &Place| place.head().denylist.entries().first().unwrap().since;
        assert_eq!(since(&place), latest + REVOKED_AHEAD_SECS);
        let denied = place.head().denylist.entries().first().unwrap().clone();
        assert!(report::done(&denied, &place.head()).contains("A new sign-in works from 2023-11-14T22:1"));
        // Lifted, and revoked again.
        place.revoke(&["--customer", "vendor:c1", "--lift", "--watch", "0"], |_| {}).0.unwrap();
        assert_eq!(since(&place), latest + REVOKED_AHEAD_SECS + 1);
    }
}
