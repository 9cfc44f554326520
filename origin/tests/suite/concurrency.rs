//! Many requests at once.

use std::{collections::BTreeSet, thread};

use origin::db::customers;
use serde_json::json;

use crate::support::Origin;

#[test]
fn writes_at_once_each_have_their_own_seq_and_number() {
    let origin = Origin::start();
    let first = origin.seq();
    let answers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..10).map(|_| origin.grant(5101).expect(201)).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let seqs: BTreeSet<_> = answers.iter().map(crate::support::Response::seq).collect();
    assert_eq!(seqs, (first + 1..=first + 80).collect());
    let ids: BTreeSet<_> = answers.iter().map(|answer| answer.json()["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 80);
    let changes = origin.feed(&format!("/changes?after={first}")).expect(200).lines();
    assert_eq!(changes.len(), 80);
    assert_eq!(changes[79]["put"][0]["accesses"].as_array().unwrap().len(), 80);
}

#[test]
fn a_hundred_buyers_in_a_row_and_at_once_with_not_one_stale_denial() {
    let origin = Origin::start();
    let until = origin.now() + 3_600;
    thread::scope(|scope| {
        for part in 0..4 {
            let origin = &origin;
            scope.spawn(move || {
                for number in part * 25..(part + 1) * 25 {
                    let subject = format!("buyer-{number}");
                    let mut connection = origin.connection();
                    let customer =
                        customers::add(&mut connection, 2101, "vendor", &subject, origin.now()).unwrap();
                    let id = customer.id;
                    let token = origin.token(json!({"sub": subject, "mid": 2101}));
                    let check = || origin.ask("GET", "/items/5101/access").bearer(&token).send();
                    check().refused(402, "No access");
                    let grant = format!("item_id=5101&consumer_id={id}&expires_at={until}");
                    origin.write("POST", "/items/access", &grant).expect(201);
                    check().expect(200);
                }
            });
        }
    });
}

#[test]
fn readers_see_all_of_a_write_or_nothing() {
    let origin = Origin::start();
    let path = "/v2/items/5101/access-fees/bulk";
    let fee = |index: usize, id: &serde_json::Value, amount: usize| {
        format!(
            "access_fees[{index}][id]={id}&access_fees[{index}][access_type_id]=101&access_fees[{index}][amount]={amount}\
             &access_fees[{index}][currency]=EUR&access_fees[{index}][description]=x"
        )
    };
    let zero = json!(0);
    let fees =
        origin.write("PATCH", path, &[fee(0, &zero, 0), fee(1, &zero, 0)].join("&")).expect(201).json();
    thread::scope(|scope| {
        scope.spawn(|| {
            for amount in 1..40 {
                let form = [fee(0, &fees[0]["id"], amount), fee(1, &fees[1]["id"], amount)].join("&");
                origin.write("PATCH", path, &form).expect(201);
            }
        });
        for _ in 0..40 {
            let fees = origin.ask("GET", "/items/5101/access-fees").send().expect(200).json();
            assert_eq!(fees[1]["amount"], fees[2]["amount"]);
        }
    });
}
