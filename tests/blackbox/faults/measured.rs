//! How long confirmed denials may be remembered, measured with the check patterns of known players. This
//! prints the table of `docs/adr/0007`:
//! `cargo test -p admit --test blackbox measured -- --nocapture`

use std::fs;

use crate::faults::{edge::CUSTOMER, origin::Pair};

/// The times of each player's checks, in milliseconds from its first check.
fn patterns() -> [(&'static str, Vec<u64>); 5] {
    [
        ("ott-web-app: every 3 s, five times", vec![0, 3_000, 6_000, 9_000, 12_000, 15_000]),
        ("Applicaster: after 1, 2, 4, 8, 16 s", vec![0, 1_000, 3_000, 7_000, 15_000, 31_000]),
        ("a page that checks twice, every 3 s", (0..6).flat_map(|n| [n * 3_000, n * 3_000 + 5]).collect()),
        ("one check a second", (0..20).map(|n| n * 1_000).collect()),
        ("a loop without a pause, 50 ms", (0..200).map(|n| n * 50).collect()),
    ]
}

/// For purchases at every 250 ms between the first and the last check: how many were followed by a denial,
/// how late the last denial was in the worst case, and how many checks asked the origin.
fn measured(denied_ms: u64, checks_at_ms: &[u64]) -> String {
    let (mut moments, mut stale, mut worst_ms) = (0, 0, 0);
    let last = *checks_at_ms.last().unwrap();
    for bought_at in (1..last).step_by(250) {
        let pair = Pair::new(&[("CONFIRM_DENIED_MS", &denied_ms.to_string())]);
        let (mut now, mut is_bought, mut denied) = (0, false, None);
        for at in checks_at_ms {
            if !is_bought && bought_at <= *at {
                pair.bought(CUSTOMER, 1);
                is_bought = true;
            }
            pair.edge.platform().clock().advance_ms(at - now);
            now = *at;
            if pair.status(1) == 402 && is_bought {
                denied = Some(at - bought_at);
            }
        }
        moments += 1;
        stale += u64::from(denied.is_some());
        worst_ms = worst_ms.max(denied.unwrap_or(0));
    }
    let pair = Pair::new(&[("CONFIRM_DENIED_MS", &denied_ms.to_string())]);
    let mut now = 0;
    for at in checks_at_ms {
        pair.edge.platform().clock().advance_ms(at - now);
        now = *at;
        pair.status(1);
    }
    format!(
        "{} of {} | {} % | {worst_ms} ms",
        pair.asked(),
        checks_at_ms.len(),
        (stale * 100 + moments / 2) / moments,
    )
}

#[test]
fn the_table_of_the_decision() {
    let adr =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/adr/0007-denials-are-confirmed.md"));
    let adr = adr.unwrap();
    let mut missing = Vec::new();
    for denied_ms in [0, 500, 1_000, 2_000, 5_000] {
        for (name, checks_at_ms) in patterns() {
            let row = format!("| {denied_ms} ms | {name} | {} |", measured(denied_ms, &checks_at_ms));
            println!("{row}");
            if !adr.contains(&row) {
                missing.push(row);
            }
        }
    }
    assert!(missing.is_empty(), "not in the decision:\n{}", missing.join("\n"));
}
