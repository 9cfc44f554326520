use super::*;
use crate::{
    denylist::{Denied, Target},
    lease::HOLDER_DIGITS,
    object::Digest,
};

const NOW: UnixSecs = 1_700_000_000;

fn head(seq: u64, as_of: UnixSecs, revoked: &[&str]) -> Head {
    let mut head = Head::new(seq, as_of, Digest([1; 32]), Digest([2; 32]));
    for name in revoked {
        let target = Target::TokenId((*name).to_owned());
        let (since, until, reason) = (NOW - 5, NOW + 100, String::new());
        head.denylist.add(Denied { target, since, until, is_lifted: false, reason });
    }
    head
}

/// A publisher's lease, and the answers to the same heads from it and from another publisher.
#[test]
fn a_head_is_published_by_the_holder_or_only_revokes() {
    let published = head(5, NOW - 60, &["a"]);
    let (ours, theirs) = ("0".repeat(HOLDER_DIGITS), "f".repeat(HOLDER_DIGITS));
    let lease = Lease { holder: ours.clone(), host: "build-7".to_owned(), until: NOW + 20, process: None };
    let other_data = Head { index: Digest([9; 32]), ..head(6, NOW, &["a"]) };
    for (head, as_holder, as_another) in [
        (head(6, NOW, &["a"]), Ok(()), Err(Refused::LeaseHeld(&lease))),
        (head(5, NOW - 59, &["a", "b"]), Ok(()), Ok(())),
        (head(5, NOW - 60, &["a", "b"]), Ok(()), Ok(())),
        (head(5, NOW - 59, &["b"]), Err(Refused::Forgets), Err(Refused::LeaseHeld(&lease))),
        (head(5, NOW - 61, &["a"]), Err(older(5)), Err(Refused::LeaseHeld(&lease))),
        (head(4, NOW, &["a", "b"]), Err(older(4)), Err(Refused::RevokesBehind)),
        (other_data, Ok(()), Err(Refused::LeaseHeld(&lease))),
    ] {
        let stored = Stored { newest: Some(&published), lease: Some(&lease), holder: Some(&ours), now: NOW };
        assert_eq!(stored.may_be_replaced_by(&head), as_holder, "{head:?}");
        for holder in [None, Some(theirs.as_str())] {
            assert_eq!(Stored { holder, ..stored }.may_be_replaced_by(&head), as_another, "{head:?}");
        }
        // An ended lease, and none, keep no publisher away.
        for stored in [Stored { now: NOW + 20, holder: None, ..stored }, Stored { lease: None, ..stored }] {
            assert_eq!(stored.may_be_replaced_by(&head), as_holder, "{head:?}");
        }
    }
}

const fn older(seq: u64) -> Refused<'static> {
    Refused::Head(HeadError::Older { seq, current: 5 })
}

#[test]
fn the_first_head_needs_only_its_own_form() {
    let first = Stored { newest: None, lease: None, holder: None, now: NOW };
    assert_eq!(first.may_be_replaced_by(&head(1, NOW, &[])), Ok(()));
    let early = head(1, NOW + HEAD_SKEW_SECS + 1, &[]);
    assert_eq!(first.may_be_replaced_by(&early), Err(Refused::Head(HeadError::FromTheFuture)));
}
