//! The end that answers show for a grant that renews.

use super::*;

/// A status of renewal, a renewal and an end; the end that is shown, and until when the decision stands.
type Case = (RenewStatus, Option<UnixSecs>, Option<UnixSecs>, UnixSecs, UnixSecs);

#[test]
fn a_renewal_that_lies_ahead_is_shown_and_decides_nothing() {
    let cases: [Case; 7] = [
        (RenewStatus::Renew, None, None, NEVER_EXPIRES, NEVER_EXPIRES),
        (RenewStatus::Renew, Some(NOW + 1), None, NOW + 1, NOW + 1),
        // A payment that is late: the grant goes on.
        (RenewStatus::Renew, Some(NOW), None, NEVER_EXPIRES, NEVER_EXPIRES),
        (RenewStatus::Renew, Some(i64::MAX), None, NEVER_EXPIRES, NEVER_EXPIRES),
        // Where there is an end, it is the end.
        (RenewStatus::Renew, Some(NOW + 1), Some(NOW + 9), NOW + 9, NOW + 9),
        (RenewStatus::Renew, Some(NOW + 9), Some(NOW + 1), NOW + 1, NOW + 1),
        (RenewStatus::Cancel, Some(NOW + 1), None, NEVER_EXPIRES, NEVER_EXPIRES),
    ];
    for (renew_status, renews_on, expires_at, shown, until) in cases {
        let renewal = renews_on.map(|at| Zoned { at, offset_mins: 60 });
        let license = HeldLicense {
            renew_status,
            renews_on: renewal,
            expires_at,
            ..held(LIVE, SubscriptionStatus::Active)
        };
        let by_license = scene().unlocked_by(&[LIVE]).holds(license);
        let grant = assert_allowed(by_license.decide(), Reason::License);
        assert_eq!((grant.shown_end(), by_license.until()), (shown, until), "{renews_on:?} {expires_at:?}");
        assert_eq!(grant.expires_at, expires_at.unwrap_or(NEVER_EXPIRES), "the grant's own end stays");
        if renew_status == RenewStatus::Renew {
            let by_access = scene().access(Access { renews_on, ..access(1, ITEM, None, expires_at) });
            let grant = assert_allowed(by_access.decide(), Reason::ItemAccess);
            assert_eq!(
                (grant.shown_end(), by_access.until()),
                (shown, until),
                "{renews_on:?} {expires_at:?}"
            );
        }
    }
}

#[test]
fn the_grant_that_lasts_longest_answers_whatever_it_shows() {
    let renewing = Access { renews_on: Some(NOW + 1), ..access(1, ITEM, None, None) };
    let ending = access(2, ITEM, None, Some(NOW + 100));
    let grant = assert_allowed(scene().access(renewing).access(ending).decide(), Reason::ItemAccess);
    assert_eq!((grant.access_id, grant.shown_end()), (1, NOW + 1));
}
