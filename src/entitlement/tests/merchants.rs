//! Whose viewer asks, and which merchants' items an issuer may open.

use super::*;

/// The merchant comes from the record, else from `mid`, else from `mui`, else from the client's app.
#[test]
fn the_customers_merchant_is_found() {
    const OWN_UUID: &str = "00000000-0000-0000-0000-000000000021";
    const OTHER_UUID: &str = "00000000-0000-0000-0000-000000000022";
    let denied = Err(Reason::OtherMerchant);
    let free = Ok(Reason::FreeItem);
    for (record, mid, mui, client, expected) in [
        (Some(MERCHANT), Some(OTHER_MERCHANT), Some(OTHER_UUID), Some(OTHER_MERCHANTS_TEST_CLIENT), free),
        (Some(OTHER_MERCHANT), Some(MERCHANT), Some(OWN_UUID), Some(LIVE_CLIENT), denied),
        (None, Some(MERCHANT), Some(OTHER_UUID), Some(OTHER_MERCHANTS_TEST_CLIENT), free),
        (None, Some(OTHER_MERCHANT), Some(OWN_UUID), Some(LIVE_CLIENT), denied),
        (None, None, Some(OWN_UUID), Some(OTHER_MERCHANTS_TEST_CLIENT), free),
        (None, None, Some("000000000000000000000000000000 21"), None, denied),
        (None, None, Some("00000000000000000000000000000021"), None, free),
        (None, None, Some(OTHER_UUID), Some(LIVE_CLIENT), denied),
        (None, None, Some("not a UUID"), Some(LIVE_CLIENT), denied),
        (None, None, None, Some(OTHER_MERCHANTS_TEST_CLIENT), denied),
        (None, None, None, Some(LIVE_CLIENT), free),
        (None, None, None, Some("unknown"), free),
        (None, None, None, None, free),
    ] {
        let mut scene = scene();
        scene.item.is_free = true;
        scene.customer =
            record.map(|merchant_id| NewCustomer { merchant_id, ..scene.customer.clone().unwrap() });
        scene.principal.merchant_id = mid;
        scene.principal.merchant_uuid = mui.map(str::to_owned);
        scene.principal.client_id = client.map(str::to_owned);
        let found = match scene.decide() {
            Decision::Allow(grant) => Ok(grant.reason),
            Decision::Deny(reason) => Err(reason),
        };
        assert_eq!(found, expected, "{record:?} {mid:?} {mui:?} {client:?}");
    }
}

#[test]
fn a_merchant_that_the_snapshot_does_not_know_is_another_one() {
    let mut scene = scene();
    scene.item = NewItem { is_free: true, merchant_id: 1, ..scene.item };
    scene.customer = None;
    scene.principal.merchant_uuid = Some(Uuid::from_u128(0x21).to_string());
    assert_eq!(scene.decide(), Decision::Deny(Reason::OtherMerchant));
}

#[test]
fn an_issuer_opens_nothing_of_merchants_for_whom_it_does_not_speak() {
    let speaks_for = |merchants: &[i64]| Some(std::rc::Rc::from(merchants));
    let free = NewItem { is_free: true, ..scene().item };
    let free = Scene { item: free, ..scene() };
    for (merchants, allowed) in [
        (None, true),
        (speaks_for(&[MERCHANT]), true),
        (speaks_for(&[MERCHANT + 1, MERCHANT]), true),
        (speaks_for(&[MERCHANT + 1]), false),
        (speaks_for(&[]), false),
    ] {
        let principal = Principal { merchants, merchant_id: Some(MERCHANT), ..principal() };
        let decision = Scene { principal, ..free.clone() }.decide();
        let expected = if allowed { Reason::FreeItem } else { Reason::OtherMerchant };
        let reason = match decision {
            Decision::Allow(grant) => grant.reason,
            Decision::Deny(reason) => reason,
        };
        assert_eq!(reason, expected);
    }
}
