//! `admit generate`, and `admit publish --dry-run` of its output.

use std::collections::BTreeSet;

use admit_snapshot::object::Digest;
use serde_json::Value;

use crate::bench::Bench;

fn generate(bench: &Bench, customers: &str, more: &[&str]) -> String {
    bench.run(&[&["generate", "--customers", customers], more].concat()).ok().stdout
}

fn customers(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with(r#"{"type":"customer""#)).collect()
}

/// The output has every form that a publisher may get, without an error or a warning.
#[test]
fn publish_accepts_it_without_a_warning() {
    let bench = Bench::new("generate-dry");
    let cases: [(&str, &[&str]); 6] = [
        ("0", &[]),
        ("1", &["--items", "1", "--merchants", "1", "--packages", "0", "--licenses", "0"]),
        ("500", &["--seed", "18446744073709551615", "--zipf", "0"]),
        ("500", &["--items", "7", "--merchants", "3", "--packages", "40", "--licenses", "30"]),
        ("500", &["--churn", "1", "--after", "1"]),
        ("300", &["--churn", "0.5", "--after", "1501", "--grants-per-customer", "0"]),
    ];
    for (count, more) in cases {
        let text = generate(&bench, count, more);
        assert!(text.starts_with(r#"{"type":"snapshot","seq":"#));
        bench.write("all.ndjson", &text);
        let ended = bench.run(&["publish", "--from", "all.ndjson", "--dry-run"]).ok();
        assert_eq!(ended.stderr, "", "{more:?}");
        assert!(ended.stdout.contains(&format!("customers  {count}\n")), "{}", ended.stdout);
    }
}

/// Benchmarks compare data that was generated at different times: a change here makes them incomparable.
#[test]
fn the_same_arguments_give_the_same_bytes() {
    let bench = Bench::new("generate-same");
    let text = generate(&bench, "200", &[]);
    assert_eq!(text, generate(&bench, "200", &[]));
    bench.run(&["generate", "--customers", "200", "--out", "all.ndjson"]).ok();
    assert_eq!(text, std::fs::read_to_string(bench.dir.join("all.ndjson")).unwrap());
    assert_ne!(text, generate(&bench, "200", &["--seed", "2"]));
    assert_eq!(
        Digest::of(text.as_bytes()).to_string(),
        "729a5bb5f0b4dd9b46893f4878eaeef96012aa3d2f45e6922ec6e0916f6793dc"
    );
}

#[test]
fn a_day_changes_just_its_share_and_the_next_day_goes_on_from_it() {
    let bench = Bench::new("generate-churn");
    let texts = [
        generate(&bench, "1000", &[]),
        generate(&bench, "1000", &["--churn", "0.05", "--after", "1"]),
        generate(&bench, "1000", &["--churn", "0.05", "--after", "51"]),
    ];
    let seqs = texts.each_ref().map(|text| {
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        first["seq"].as_u64().unwrap()
    });
    assert_eq!(seqs, [1, 51, 101]);
    for (old, new) in [(&texts[0], &texts[1]), (&texts[1], &texts[2])] {
        let (old, new) = (customers(old), customers(new));
        let changed = old.iter().zip(&new).filter(|(old, new)| old != new).count();
        assert_eq!((old.len(), new.len(), changed), (1_000, 1_000, 50));
    }
    let ended = bench.run(&["generate", "--customers", "1000", "--churn", "0.05", "--after", "7"]);
    ended.failed(1, "days end at seq 1, 51, 101 and so on");
    bench.run(&["generate", "--customers", "9", "--items", "1"]).failed(1, "--items must be at least 2");
}

#[test]
fn there_is_something_of_everything() {
    let bench = Bench::new("generate-mix");
    let text = generate(&bench, "2000", &[]);
    for part in [
        r#""status":"draft""#,
        r#""status":"pending""#,
        r#""status":"live""#,
        r#""status":"inactive""#,
        r#""status":"ACTIVE""#,
        r#""status":"OVERDUE""#,
        r#""status":"CANCELLED""#,
        r#""namespace":"cognito""#,
        r#""is_active":false"#,
        r#""auth":false"#,
    ] {
        assert!(text.contains(part), "{part}");
    }
    let (mut subjects, mut accesses, mut kinds) = (BTreeSet::new(), 0, [0; 4]);
    for line in customers(&text) {
        let customer: Value = serde_json::from_str(line).unwrap();
        assert!(subjects.insert(customer["subject"].as_str().unwrap().to_owned()));
        for access in customer["accesses"].as_array().unwrap() {
            accesses += 1;
            let (starts_at, expires_at) = (access["starts_at"].as_i64(), access["expires_at"].as_i64());
            kinds[match (starts_at, expires_at) {
                (_, None) => 0,
                (_, Some(end)) if end <= 1_767_225_600 => 1,
                (Some(start), _) if start > 1_767_225_600 => 2,
                _ => 3,
            }] += 1;
        }
    }
    assert!((15_000..17_000).contains(&accesses), "{accesses}");
    let shares = kinds.map(|kind| kind * 100 / accesses);
    assert!(matches!(shares, [23..=27, 28..=32, 3..=6, 37..=43]), "{shares:?}");
}

/// As in `admit generate | head -1`.
#[test]
fn a_reader_that_goes_away_ends_it_silently() {
    use std::io::Read;
    let bench = Bench::new("generate-reader");
    for args in [&["generate", "--customers", "1000000"][..], &["schema"]] {
        let mut child = bench.command(args).spawn().unwrap();
        let mut byte = [0];
        child.stdout.take().unwrap().read_exact(&mut byte).unwrap();
        let ended = child.wait_with_output().unwrap();
        // The output may fit into the pipe's buffer.
        let code = ended.status.code().unwrap();
        assert!(code == 141 || (code == 0 && args == ["schema"]), "{args:?}: {code}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{args:?}");
    }
    // Only the report is lost: the exit code is that of the work.
    bench.write("wrangler.toml", "");
    for (args, code) in [
        (&["check-config"][..], 2),
        (&["check-origin", "http://127.0.0.1:1", "--json"], 1),
        (&["keygen", "--public", "publisher.jwk"], 0),
        (&["token", "--key", "publisher.jwk"], 0),
    ] {
        let mut child = bench.command(args).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{args:?}");
    }
}
