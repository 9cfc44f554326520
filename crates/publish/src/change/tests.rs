use admit_snapshot::{schema::Line, time::Timestamp};

use super::*;

const UUID: &str = "e5ac2013-8d10-42ba-abb5-291c5201cea8";
const CUSTOMER: &str = r#"{"type":"customer","namespace":"v","subject":"s","id":1,"uuid":"e5ac2013-8d10-42ba-abb5-291c5201cea8","merchant_id":21,"accesses":[{"id":1,"item_id":33,"created_at":0}]}"#;
const LICENSE: &str = r#"{"type":"license","id":"b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12","internal_id":"x","app_id":"a","name":"n","status":"live"}"#;

fn change(put: &str, remove: &str) -> String {
    format!(r#"{{"seq":9,"as_of":1700000000,"put":[{put}],"remove":[{remove}]}}"#)
}

/// The problem with a line, as people see it.
fn problem(line: &str) -> String {
    let Problem { field, message } = parse(line.as_bytes()).unwrap_err();
    format!("{field}: {message}")
}

#[test]
fn a_change_with_everything() {
    let removals = format!(
        r#"{{"type":"customer","namespace":"v","subject":"t"}},{{"type":"item","id":7}},{{"type":"merchant","id":1}},
        {{"type":"app","id":"a"}},{{"type":"license","id":"{UUID}"}},{{"type":"access_type","id":3}}"#
    );
    let read = parse(change(&format!("{CUSTOMER},{LICENSE}"), &removals).as_bytes()).unwrap();
    assert_eq!((read.seq, read.as_of), (9, Some(Timestamp::At(1_700_000_000))));
    let lines: Vec<Line> = read.put.iter().cloned().map(Line::from).collect();
    assert_eq!(lines[0], serde_json::from_str(CUSTOMER).unwrap());
    assert_eq!(lines[1], serde_json::from_str(LICENSE).unwrap());
    assert_eq!(read.remove[0], Removal::Customer { namespace: "v".to_owned(), subject: "t".to_owned() });
    assert_eq!(read.remove[4], Removal::License { id: UUID.to_owned() });
    assert_eq!((read.remove.len(), &read.remove[5]), (6, &Removal::AccessType { id: 3 }));
    assert_eq!(parse(&serde_json::to_vec(&read).unwrap()), Ok(read));
}

#[test]
fn a_change_that_does_not_concern_the_edge_has_its_line_too() {
    let read = parse(br#"{"seq":10}"#).unwrap();
    assert_eq!(read, Change { seq: 10, as_of: None, put: Vec::new(), remove: Vec::new() });
    assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"seq":10}"#);
}

#[test]
fn errors_name_the_field_and_what_was_expected() {
    let put = |record: &str| change(record, "");
    let remove = |removal: &str| change("", removal);
    let cases = [
        ("[]".to_owned(), ": expected a JSON object"),
        (r#"{"seq":1,"#.to_owned(), ": expected a JSON object; column 9: EOF"),
        (r#"{"put":[]}"#.to_owned(), "seq: expected this field, but it is missing"),
        (r#"{"seq":-1}"#.to_owned(), "seq: invalid value: integer `-1`, expected u64"),
        (r#"{"seq":1,"seq":2}"#.to_owned(), ": duplicate field `seq`"),
        (r#"{"seq":1,"as_of":"soon"}"#.to_owned(), "as_of: invalid value: string \"soon\", expected unix"),
        (r#"{"seq":1,"puts":[]}"#.to_owned(), "puts: unknown field `puts`, expected one of `seq`"),
        (r#"{"seq":1,"put":{}}"#.to_owned(), "put: invalid type: map, expected a sequence"),
        (r#"{"seq":1,"remove":null}"#.to_owned(), "remove: invalid type: null, expected a sequence"),
        (put("7"), "put[0]: expected a JSON object"),
        (put("{}"), "put[0].type: expected merchant, app"),
        (put(r#"{"type":"snapshot","seq":1}"#), "put[0].type: expected merchant, app"),
        (
            put(&format!("{LICENSE},{}", CUSTOMER.replace("\"created_at\"", "\"creatd_at\""))),
            "put[1].accesses[0].creatd_at: unknown field",
        ),
        (
            put(&CUSTOMER.replace("\"id\":1,\"item_id\":33", "\"id\":1,\"item_id\":\"x\"")),
            "put[0].accesses[0].item_id: invalid type: string",
        ),
        (put(&CUSTOMER.replace(",\"merchant_id\":21", "")), "put[0].merchant_id: expected this field"),
        (put(&CUSTOMER.replace(UUID, "u")), "put[0].uuid: expected a UUID, found \"u\""),
        (put(&CUSTOMER.replace("\"s\"", "\"\"")), "put[0].subject: expected 1 to 256 bytes"),
        (put(&LICENSE.replace("\"live\"", "\"Live\"")), "put[0].status: unknown variant `Live`"),
        (put(&LICENSE.replace("b90831a7-", "")), "put[0].id: expected a UUID"),
        (remove(r#"{"type":"snapshot"}"#), "remove[0].type: expected merchant, app"),
        (remove(r#"{"type":"item","id":"x"}"#), "remove[0].id: invalid type: string \"x\", expected i64"),
        (
            remove(r#"{"type":"app","id":true}"#),
            "remove[0].id: invalid type: boolean `true`, expected a string",
        ),
        (remove(r#"{"type":"item"}"#), "remove[0].id: expected this field"),
        (remove(r#"{"type":"item","id":7,"title":"t"}"#), "remove[0].title: unknown field"),
        (
            remove(r#"{"type":"customer","id":7}"#),
            "remove[0].id: unknown field `id`, expected `namespace` or `subject`",
        ),
        (remove(r#"{"type":"customer","namespace":"v"}"#), "remove[0].subject: expected this field"),
        (
            remove(r#"{"type":"customer","namespace":"v","subject":"a\u0000"}"#),
            "remove[0].subject: expected 1 to 256 bytes",
        ),
        (remove(r#"{"type":"license","id":"7"}"#), "remove[0].id: expected a UUID"),
        (
            remove(r#"{"type":"item","id":7},{"type":"item","id":7}"#),
            "remove[1]: duplicate record; first: remove[0]",
        ),
    ];
    for (line, expected) in cases {
        let problem = problem(&line);
        assert!(problem.starts_with(expected), "{line}\n  gave {problem}\n  expected {expected}");
    }
}

#[test]
fn a_record_comes_once_however_it_is_written() {
    let upper = LICENSE.replace("b90831a7", "B90831A7");
    assert!(problem(&change(&format!("{LICENSE},{upper}"), "")).starts_with("put[1]: duplicate record"));
    let gone = r#"{"type":"license","id":"B90831A72F6D4C3E8A410D5E7F9B6C12"}"#;
    assert_eq!(problem(&change(LICENSE, gone)), "remove[0]: duplicate record; first: put[0]");
    // Ids of records of different types are independent.
    let others = r#"{"type":"item","id":7},{"type":"merchant","id":7},{"type":"access_type","id":7}"#;
    assert_eq!(parse(change("", others).as_bytes()).unwrap().remove.len(), 3);
}

/// The `seq` values that a feed yields, and the places of its wrong lines.
fn read(feed: &[u8]) -> (Vec<u64>, Vec<String>) {
    let mut feed = Feed::new("f", feed);
    let (mut seqs, mut errors) = (Vec::new(), Vec::new());
    while let Some(outcome) = feed.next_change().unwrap() {
        match outcome {
            Ok(change) => seqs.push(change.seq),
            Err(error) => errors.push(error.to_string()),
        }
    }
    (seqs, errors)
}

#[test]
fn lines_are_read_as_other_systems_write_them() {
    assert_eq!(read(b""), (vec![], vec![]));
    assert_eq!(read(b"\n {\"seq\":1}\r\n\r\n{\"seq\":2}"), (vec![1, 2], vec![]));
    let (seqs, errors) = read(b"{\"seq\":1}\n{\"seq\":\"x\"}\n{\"seq\":\"3\"}\n{\"seq\":4.0}\n");
    assert_eq!((seqs, errors.len()), (vec![1, 3, 4], 1));
    assert!(errors[0].starts_with("f:2: seq: invalid type: string"), "{errors:?}");
    let (seqs, errors) = read(b"\xef\xbb\xbf{\"seq\":1}\n");
    assert_eq!((seqs.len(), errors.len()), (1, 0));
    let (_, errors) = read(b"\x1f\x8b\x08\0\n");
    assert!(errors[0].ends_with("found a file compressed with gzip"), "{errors:?}");
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let mut feed = vec![b' '; LINE_MAX_BYTES + 10];
    feed.extend(b"{\"seq\":1}\n{\"seq\":2}\n");
    let (seqs, errors) = read(&feed);
    assert_eq!((seqs, errors.len()), (vec![2], 1));
    assert!(errors[0].starts_with("f:1: expected at most"));
}

/// Text that is not JSON is an error, wherever the feed ends.
#[test]
fn an_invalid_last_line_is_an_error_not_an_interruption() {
    for last in ["nonsense", "{\"seq\":1}}", "{seq", "{\"seq\":\"x\"}"] {
        assert_eq!(read(last.as_bytes()).1.len(), 1, "{last}");
    }
}

/// Wherever a feed is cut, the whole lines before the cut are changes, without an error.
#[test]
fn a_feed_may_end_anywhere() {
    let text = "\"\u{fc}\\u00fc\\ud83d\\ude00\"";
    let customer = CUSTOMER
        .replace("\"v\"", text)
        .replace(":33", ":-33")
        .replace("\"created_at\":0", "\"created_at\":\"now-1d\"");
    let feed = format!("{{\"seq\":7}}\n{{\"seq\":8}}\n{}", change(&customer, r#"{"type":"item","id":-7}"#));
    let feed = feed.as_bytes();
    for len in 0..feed.len() {
        let (seqs, errors) = read(&feed[..len]);
        assert!(errors.is_empty() && [7, 8].starts_with(&seqs), "{len}: {seqs:?} {errors:?}");
    }
    assert_eq!(read(feed).0, [7, 8, 9]);
}

/// The lenient reading of a line: the change, the records left out, and the warnings.
fn read_leniently(line: &str) -> Result<(Change, Vec<String>, Vec<String>), String> {
    let mut feed = Feed::new("f", line.as_bytes());
    feed.leave_out_wrong_records();
    let change = feed.next_change().unwrap().unwrap().map_err(|error| error.to_string())?;
    let (left_out, problems) = feed.take_left_out();
    let left_out = left_out.into_iter();
    let left_out = left_out.map(|LeftOut { seq, error }| format!("{seq}: {}: {error}", error.about));
    let warnings = problems.warnings.kept().into_iter().map(ToString::to_string).collect();
    Ok((change, left_out.collect(), warnings))
}

const APP: &str = r#"{"type":"app","id":"a","merchant_id":21,"plan_id":"p"}"#;

fn put(record: &str) -> String {
    format!(r#"{{"seq":5,"put":[{record},{APP}]}}"#)
}

#[test]
fn a_wrong_record_is_left_out_of_its_change() {
    for (record, expected) in [
        (
            r#"{"type":"app","id":"b","merchant_id":"x","plan_id":"p"}"#,
            "5: app b: f:1: put[0].merchant_id: invalid type: string \"x\", expected i64",
        ),
        (
            r#"{"type":"customer","namespace":"v","subject":"s","id":1,"uuid":"x","merchant_id":21}"#,
            "5: customer v:s: f:1: put[0].uuid: expected a UUID, found \"x\"",
        ),
        (
            r#"{"type":"access_type","id":1,"account_id":21,"name":"ppv","quantity":1,"period":"day","created_at":1700000000000,"updated_at":0}"#,
            "5: access_type 1: f:1: put[0].created_at: the time looks like milliseconds (1700000000000): unix seconds are expected, at most 253402300799",
        ),
        (
            r#"{"type":"app","id":"b","merchant_id":21,"plan_id":"p\ud83d"}"#,
            "5: app b: f:1: put[0].plan_id: expected Unicode text, found half a surrogate pair or bytes that are not UTF-8",
        ),
    ] {
        let (change, left_out, warnings) = read_leniently(&put(record)).unwrap();
        assert_eq!((change.seq, change.put.len(), left_out.as_slice()), (5, 1, &[expected.to_owned()][..]));
        assert!(warnings.is_empty(), "{warnings:?}");
    }
    // The strict reader still refuses it.
    assert!(parse(put(r#"{"type":"app","id":"b","merchant_id":"x","plan_id":"p"}"#).as_bytes()).is_err());
    let (change, left_out, _) =
        read_leniently(r#"{"seq":5,"remove":[{"type":"item","id":7,"why":"x"},{"type":"item","id":8}]}"#)
            .unwrap();
    assert_eq!((change.remove.len(), left_out.len()), (1, 1));
}

#[test]
fn a_record_that_a_change_names_twice_is_left_out() {
    for twice in [
        format!(r#"{{"seq":5,"put":[{APP}],"remove":[{{"type":"app","id":"a"}}]}}"#),
        format!(r#"{{"seq":5,"put":[{APP},{}]}}"#, APP.replace("21", "\"x\"")),
    ] {
        let (change, left_out, _) = read_leniently(&twice).unwrap();
        assert_eq!((change.put.len(), change.remove.len(), left_out.len()), (0, 0, 1), "{twice}");
        assert!(left_out[0].starts_with("5: app a: "), "{left_out:?}");
    }
}

#[test]
fn text_of_a_change_is_repaired_and_its_time_is_not_needed() {
    let named = APP.replace("\"plan_id\"", r#""name":"\ude00","plan_id""#);
    let (change, left_out, warnings) = read_leniently(&put(&named.replace("\"a\"", "\"b\""))).unwrap();
    assert_eq!((change.put.len(), left_out.len()), (2, 0));
    assert!(warnings.len() == 1 && warnings[0].starts_with("f:1: put[0]: invalid Unicode was repaired"));
    let (change, _, warnings) = read_leniently(r#"{"seq":5,"as_of":1700000000000}"#).unwrap();
    assert_eq!((change.seq, change.as_of), (5, None));
    assert!(warnings[0].contains("as_of: the time looks like milliseconds"), "{warnings:?}");
}

#[test]
fn a_part_of_an_unknown_record_makes_the_whole_change_unusable() {
    for line in [
        "nonsense".to_owned(),
        r#"{"put":[]}"#.to_owned(),
        r#"{"seq":5,"putt":[]}"#.to_owned(),
        r#"{"seq":5,"put":{}}"#.to_owned(),
        put("3"),
        put(r#"{"type":"voucher","id":1}"#),
        put(r#"{"type":"item"}"#),
        put(r#"{"type":"item","id":1,"id":2}"#),
        put(r#"{"type":"license","id":"x"}"#),
        put(
            r#"{"type":"customer","namespace":"v","subject":"s\ud83d","id":1,"uuid":"11a7ed90-65d3-4ee2-9d91-4e1409678576","merchant_id":21}"#,
        ),
        r#"{"seq":5,"remove":[{"type":"item","id":"x"}]}"#.to_owned(),
    ] {
        assert!(read_leniently(&line).is_err(), "{line}");
    }
}
