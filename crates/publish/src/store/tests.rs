//! Leases and heads in a directory whose clock is set by the test.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use super::*;

const START: UnixSecs = 1_700_000_000;

/// A directory and its clock.
struct Place {
    path: PathBuf,
    now: Arc<AtomicI64>,
}

impl Place {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("admit-store-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self { path, now: Arc::new(AtomicI64::new(START)) }
    }

    fn store(&self) -> Store {
        let now = Arc::clone(&self.now);
        Store::in_dir(&self.path, Arc::new(move || Ok(now.load(Ordering::Relaxed))))
    }

    fn pass(&self, secs: i64) {
        self.now.fetch_add(secs, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[test]
fn one_publisher_at_a_time() {
    let place = Place::new("one");
    let (first, second) = (place.store(), place.store());
    let lease = first.lock(false).unwrap();
    first.put_version(1, "x").unwrap();
    for error in [second.lock(false).err(), second.put_version(2, "y").err(), second.delete_version(1).err()]
    {
        assert!(error.unwrap().to_string().contains("holds the lease until 2023-11-14T22:13:50+00:00, 30 s"));
    }
    drop(lease);
    assert_eq!(first.lease().unwrap(), None);
    let _lease = second.lock(false).unwrap();
    second.put_version(2, "y").unwrap();
    assert_eq!(second.versions().unwrap(), [1, 2]);
}

#[test]
fn a_lease_that_was_not_renewed_in_time_is_lost() {
    let place = Place::new("slept");
    let (first, second) = (place.store(), place.store());
    let lease = first.lock(false).unwrap();
    place.pass(lease::LEASE_SECS - 1);
    first.put_version(1, "x").unwrap();
    place.pass(1);
    let error = first.put_version(2, "x").unwrap_err().to_string();
    assert!(error.contains("ended at 2023-11-14T22:13:50+00:00 without being renewed"), "{error}");
    // The other publisher needs no --force, and the first one must not give back a lease that is now the
    // other's.
    let _other = second.lock(false).unwrap();
    drop(lease);
    second.put_version(2, "y").unwrap();
}

#[test]
fn a_lease_lasts_as_long_as_it_is_renewed() {
    let place = Place::new("renewed");
    let (first, second) = (place.store(), place.store());
    let lease = first.lock(false).unwrap();
    for _ in 0..5 {
        place.pass(20);
        lease.renew();
        assert_eq!(second.lease().unwrap().unwrap().until, first.now().unwrap() + lease::LEASE_SECS);
        assert!(second.lock(false).is_err());
        first.put_version(1, "x").unwrap();
    }
    // The lease has ended, even if no other publisher has taken it.
    place.pass(lease::LEASE_SECS);
    lease.renew();
    let error = first.put_version(2, "x").unwrap_err().to_string();
    assert!(error.contains("without being renewed"), "{error}");
}

#[test]
fn a_renewal_that_is_refused_ends_the_writing() {
    let place = Place::new("refused");
    let first = place.store();
    let lease = first.lock(false).unwrap();
    let other = place.store();
    let _other = other.lock(true).unwrap();
    lease.renew();
    let error = first.put_objects(&[]).unwrap_err().to_string();
    assert!(error.contains("has lost its lease") && error.contains("writes nothing more"), "{error}");
}

#[test]
fn a_lease_that_was_taken_over_is_noticed_at_the_next_write() {
    let place = Place::new("forced");
    let (first, second) = (place.store(), place.store());
    let lease = first.lock(false).unwrap();
    let other = second.lock(true).unwrap();
    let error = first.put_version(1, "x").unwrap_err().to_string();
    assert!(error.contains("another publisher"), "{error}");
    drop(lease);
    assert!(second.lease().unwrap().is_some(), "it was not the first one's to give back");
    drop(other);
    assert_eq!(second.lease().unwrap(), None);
}

/// The key pair of RFC 8037, appendix A.1.
const JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"publisher","alg":"EdDSA",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// A follower without `--audience` uses the store's name in the head that it follows, later in its own.
#[test]
fn a_head_of_another_store_gives_a_publisher_without_an_audience_no_other_name() {
    use admit_snapshot::object::Digest;

    for aud in [Some("production"), None] {
        for staging_seq in [1, 9] {
            for is_first in [true, false] {
                let place = Place::new(&format!("aud-{}-{staging_seq}-{is_first}", aud.is_some()));
                fs::create_dir_all(&place.path).unwrap();
                let key = place.path.join("publisher.jwk");
                fs::write(&key, JWK).unwrap();
                let signer = HeadSigner::new(&key, None).unwrap();
                let head = |aud: Option<&str>, seq| Head {
                    aud: aud.map(str::to_owned),
                    ..Head::new(seq, START, Digest([1; 32]), Digest([2; 32]))
                };
                let put =
                    |head: &Head| fs::write(place.path.join("head"), signer.sign(head).unwrap()).unwrap();
                let mut follows = head(aud, 5);
                put(&follows);
                if !is_first {
                    let renewed = follows.renewed(START + 1);
                    let new = NewHead {
                        head: &renewed,
                        follows: Some(&follows),
                        takes_away: false,
                        signer: &signer,
                    };
                    follows = place.store().put_head(new).unwrap();
                }
                let staging = head(Some("staging"), staging_seq);
                put(&staging);
                assert_eq!(signer.is_foreign(&staging), !is_first, "it has published, or not yet");
                let renewed = follows.renewed(START + 60);
                let new =
                    NewHead { head: &renewed, follows: Some(&follows), takes_away: false, signer: &signer };
                let published = place.store().put_head(new).unwrap();
                assert_eq!((published.aud.as_deref(), published.seq), (aud, 5), "{staging_seq} {is_first}");
                assert!(signer.is_foreign(&staging) && signer.foreign(&staging).contains("\"staging\""));
                assert!(!signer.is_foreign(&published));
            }
        }
    }
}

/// What edges learn of the haste of a publish, through one head after the other.
#[test]
fn a_head_names_the_last_one_that_took_something_away() {
    use admit_snapshot::{
        denylist::{Denied, Target},
        head::TakenAway,
        object::Digest,
    };

    let place = Place::new("taken");
    fs::create_dir_all(&place.path).unwrap();
    let key = place.path.join("publisher.jwk");
    fs::write(&key, JWK).unwrap();
    let signer = HeadSigner::new(&key, None).unwrap();
    let put = |head: &Head, follows: Option<&Head>, takes_away| {
        let published =
            place.store().put_head(NewHead { head, follows, takes_away, signer: &signer }).unwrap();
        let taken = published.taken_away;
        (published, taken)
    };
    let own = |head: &Head| Some(TakenAway { seq: head.seq, as_of: head.as_of });
    // A publisher of an earlier release has published the first head: it says nothing, so that the next one counts.
    let first = Head::new(1, START, Digest([1; 32]), Digest([2; 32]));
    fs::write(place.path.join("head"), signer.sign(&first).unwrap()).unwrap();
    let (second, taken) = put(&first.renewed(START + 1), Some(&first), false);
    assert_eq!(taken, own(&second));
    let given = Head { seq: 2, as_of: START + 2, ..second.clone() };
    let (third, taken) = put(&given, Some(&second), false);
    assert_eq!(taken, own(&second), "it takes nothing away");
    let (fourth, taken) = put(&Head { seq: 3, ..third.clone() }, Some(&third), true);
    assert_eq!(taken, own(&fourth));
    // A revocation in the denylist, and its end.
    let denied = |is_lifted| Denied {
        target: Target::TokenId("t".to_owned()),
        since: START + i64::from(is_lifted),
        until: START + 9_000,
        is_lifted,
        reason: String::new(),
    };
    let mut revoking = fourth.renewed(fourth.as_of + 1);
    revoking.denylist.add(denied(false));
    let (fifth, taken) = put(&revoking, Some(&fourth), false);
    assert_eq!(taken, own(&fifth));
    let mut lifting = fifth.renewed(fifth.as_of + 1);
    lifting.denylist.add(denied(true));
    let (sixth, taken) = put(&lifting, Some(&fifth), false);
    assert_eq!(taken, own(&fifth), "what is given back has time");
    // A publisher that works from an older head than the stored one has not seen the revocation; it is kept.
    let (seventh, taken) = put(&Head { seq: 4, ..fourth.clone() }, Some(&sixth), false);
    assert_eq!((taken, seventh.denylist.entries().len()), (own(&fifth), 1));
}
