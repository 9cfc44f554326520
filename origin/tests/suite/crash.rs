//! The origin is killed in the middle of writes. After its restart, every answered write is present, every
//! unanswered write is present wholly or not at all, and `seq`, change log and data agree.

use std::{sync::Mutex, thread, time::Duration};

use serde_json::Value;

use crate::support::{Ask, CUSTOMER, CUSTOMER_SUBJECT, Dir, Process, merchant};

/// Grants until the origin is gone. Notes the `seq` and number of every answer.
fn grant_until_it_ends(url: &str, answered: &Mutex<Vec<(u64, i64)>>) {
    let form = format!("item_id=5101&consumer_id={CUSTOMER}&expires_at=2100-01-01T00:00:00Z");
    loop {
        let url = format!("{url}/items/access");
        let sent = std::panic::catch_unwind(|| Ask::new("POST", url).bearer(&merchant()).form(&form).send());
        let Ok(answer) = sent else { return };
        if answer.status != 201 {
            return;
        }
        answered.lock().unwrap().push((answer.seq(), answer.json()["id"].as_i64().unwrap()));
    }
}

#[test]
fn killed_in_the_middle_of_writes_everything_agrees() {
    let dir = Dir::new();
    let mut all_answered = Vec::new();
    for round in 0..5_u64 {
        let process = Process::start(&dir);
        let answered = Mutex::new(Vec::new());
        let url = process.url.clone();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| grant_until_it_ends(&url, &answered));
            }
            // Kills after some writes, at a moment that differs between rounds.
            while answered.lock().unwrap().len() < 5 {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(7 * round));
            process.kill();
        });
        all_answered.extend(answered.into_inner().unwrap());
    }
    let process = Process::start(&dir);
    let export = process.feed("/export");
    let seq = export[0]["seq"].as_u64().unwrap();
    let changes = process.feed("/changes?after=1");
    let seqs: Vec<_> = changes.iter().map(|change| change["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (2..=seq).collect::<Vec<_>>(), "one line for each change");
    let customer = export.iter().find(|line| line["subject"] == CUSTOMER_SUBJECT).unwrap();
    let ids = |customer: &Value| -> Vec<i64> {
        customer["accesses"].as_array().unwrap().iter().map(|access| access["id"].as_i64().unwrap()).collect()
    };
    let held = ids(customer);
    assert_eq!(held.len() as u64, seq - 1, "one access for each change");
    // The customer appears once, with the last change, wherever the reader starts.
    for count in 1..=changes.len() {
        let asked = process.feed(&format!("/changes?after={count}"));
        let puts: Vec<_> = asked.iter().flat_map(|change| change["put"].as_array().unwrap()).collect();
        assert_eq!(puts, [customer], "after {count}");
    }
    assert_eq!(changes.last().unwrap()["put"][0], *customer);
    // No answered write is lost, and every answer was correct.
    assert!(all_answered.len() >= 25, "{}", all_answered.len());
    for (seq, id) in all_answered {
        assert_eq!(held[usize::try_from(seq).unwrap() - 2], id, "{seq}");
    }
    process.kill();
    let connection = origin::db::open(&dir.db()).unwrap();
    // Each change has exactly one entry of the audit trail.
    let sql = "SELECT seq, object, outcome FROM audit WHERE action = 'access.grant' ORDER BY id";
    let entries: Vec<(u64, String, String)> = connection
        .prepare(sql)
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = (2..)
        .zip(&held)
        .map(|(seq, id)| (seq, format!("access:{id}"), "done".to_owned()))
        .collect::<Vec<_>>();
    assert_eq!(entries, expected);
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}
