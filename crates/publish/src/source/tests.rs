use super::*;
use crate::build::{BuildOutcome, MemorySink};

mod spelling;
mod spilled;
mod text;

const NOW: i64 = 1_800_000_000;
const UUID: &str = "e5ac2013-8d10-42ba-abb5-291c5201cea8";
const MERCHANT: &str = r#"{"type":"merchant","id":21,"uuid":"e5ac2013-8d10-42ba-abb5-291c5201cea8"}"#;
const OTHER_MERCHANT: &str = r#"{"type":"merchant","id":22,"uuid":"e5ac2013-8d10-42ba-abb5-291c5201cea9"}"#;
const APP: &str =
    r#"{"type":"app","id":"a","merchant_id":21,"plan_id":"p","clients":[{"client_id":"c","mode":"live"}]}"#;
const LICENSE: &str = r#"{"type":"license","id":"b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12","internal_id":"x","app_id":"a","name":"n","status":"live","item_ids":[33]}"#;
const ACCESS_TYPE: &str = r#"{"type":"access_type","id":1,"account_id":21,"name":"ppv","quantity":1,"period":"day","created_at":0,"updated_at":0}"#;
const ITEM: &str = r#"{"type":"item","id":33,"merchant_id":21,"title":"t","is_active":true,"access_control_type":{"id":4,"name":"Paid","auth":true},"item_type":{"id":44,"name":"jw_asset","content_type":"ovp","host":"h","description":"d"},"fees":[{"id":7,"amount":4.99,"currency":"EUR","description":"d","access_type_id":1,"geo_restriction":{"id":1,"country_iso":"CH","type":"whitelist"},"created_at":0,"updated_at":0}],"created_at":0,"updated_at":0}"#;
const PACKAGE: &str = r#"{"type":"item","id":40,"merchant_id":21,"title":"t","is_active":true,"access_control_type":{"id":4,"name":"Paid","auth":true},"item_type":{"id":10,"name":"package","content_type":"package","host":"h","description":"d"},"item_ids":[33],"created_at":0,"updated_at":0}"#;
const CUSTOMER: &str = r#"{"type":"customer","namespace":"v","subject":"s","id":1,"uuid":"e5ac2013-8d10-42ba-abb5-291c5201cea8","merchant_id":21,"accesses":[{"id":1,"item_id":33,"created_at":0}],"licenses":[{"license_id":"b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12","license_type":"SINGLE","name":"n","status":"ACTIVE","renew_status":"RENEW","interval_length":1,"interval_unit":"MONTHS","date_added":0}]}"#;
const ALL: [&str; 8] = [MERCHANT, OTHER_MERCHANT, APP, LICENSE, ACCESS_TYPE, ITEM, PACKAGE, CUSTOMER];

/// Everything found in a set of lines.
struct Found {
    catalogue: Catalogue,
    customers: u64,
    errors: Vec<LineError>,
    warnings: Vec<LineError>,
}

fn source(strictness: Strictness) -> Source {
    Source::new(NOW, strictness, SpillPlan::default())
}

fn found(source: Source) -> Found {
    let customers: usize = (0..256).map(|bucket| entry_count(&source, bucket)).sum();
    let BuildOutcome { problems, catalogue, .. } = source.build(None, &MemorySink::default()).unwrap();
    Found {
        catalogue,
        customers: customers as u64,
        errors: problems.errors.kept().into_iter().cloned().collect(),
        warnings: problems.warnings.kept().into_iter().cloned().collect(),
    }
}

fn entry_count(source: &Source, bucket: usize) -> usize {
    spill::entries(&source.customers.bucket(bucket).unwrap()).count()
}

fn read(bytes: impl AsRef<[u8]>) -> Found {
    let mut source = source(Strictness::Refuse);
    source.read("f", bytes.as_ref()).unwrap();
    found(source)
}

/// The problems of the whole catalogue after replacing `from` by `to` in the line that begins like `of`.
fn after(of: &str, from: &str, to: &str) -> (Vec<String>, Vec<String>) {
    assert!(of.contains(from), "{from} is not in {of}");
    let lines =
        read(ALL.map(|line| if line == of { line.replace(from, to) } else { line.to_owned() }).join("\n"));
    let texts = |all: &[LineError]| all.iter().map(ToString::to_string).collect();
    (texts(&lines.errors), texts(&lines.warnings))
}

fn error_after(of: &str, from: &str, to: &str) -> String {
    let (errors, warnings) = after(of, from, to);
    assert!(errors.len() == 1 && warnings.is_empty(), "{errors:?} {warnings:?}");
    errors.concat()
}

fn warning_after(of: &str, from: &str, to: &str) -> String {
    let (errors, warnings) = after(of, from, to);
    assert!(errors.is_empty() && warnings.len() == 1, "{errors:?} {warnings:?}");
    warnings.concat()
}

#[test]
fn a_whole_catalogue_is_read_in_any_order() {
    for lines in [ALL.join("\n"), ALL.iter().rev().copied().collect::<Vec<_>>().join("\n")] {
        let lines = read(lines);
        assert_eq!((lines.errors.as_slice(), lines.warnings.as_slice()), (&[][..], &[][..]));
        let counts = (
            lines.catalogue.merchants.len(),
            lines.catalogue.apps.len(),
            lines.catalogue.licenses.len(),
            lines.catalogue.access_types.len(),
        );
        assert_eq!((counts, lines.catalogue.items.len(), lines.customers), ((2, 1, 1, 1), 2, 1));
        assert!(lines.catalogue.snapshot.is_none());
    }
}

#[test]
fn files_of_other_systems_are_read_too() {
    for text in [
        format!("{MERCHANT}\r\n{OTHER_MERCHANT}\r\n"),
        format!("\n\n{MERCHANT}\n \t\r\n\n{OTHER_MERCHANT}"),
        format!("  {MERCHANT}  \n{OTHER_MERCHANT}\n\n\n"),
    ] {
        let lines = read(&text);
        assert_eq!((lines.errors.len(), lines.catalogue.merchants.len()), (0, 2), "{text:?}");
    }
    let lines = read("");
    assert!(lines.errors.is_empty() && lines.catalogue.merchants.is_empty());
    assert_eq!(read(format!("\n\r\n{MERCHANT}")).catalogue.merchants[&21].at.to_string(), "f:3");
}

#[test]
fn invalid_lines_are_reported_with_their_place() {
    let cases: [(&[u8], &str); 10] = [
        (b"nonsense", "f:1: expected a JSON object; column 2: expected ident"),
        (b"{\"type\":\"app\"", "f:1: expected a JSON object; column 13: EOF while parsing an object"),
        (b"{} {}", "f:1: expected a JSON object; column 4: trailing characters"),
        (b"[]", "f:1: expected a JSON object"),
        (b"null", "f:1: expected a JSON object"),
        (b"{}", "f:1: type: expected snapshot, merchant, app, license, access_type, item or customer"),
        (
            b"{\"type\":3}",
            "f:1: type: expected snapshot, merchant, app, license, access_type, item or customer",
        ),
        (
            b"{\"type\":\"Item\"}",
            "f:1: type: expected snapshot, merchant, app, license, access_type, item or customer, found \"Item\"",
        ),
        (b"{\"type\":\"snapshot\",\"seq\":-1}", "f:1: seq: invalid value: integer `-1`, expected u64"),
        (b"{\"type\":\"snapshot\",\"seq\":1,\"seq\":1}", "f:1: duplicate field `seq`"),
    ];
    for (bytes, expected) in cases {
        let lines = read(bytes);
        assert_eq!(lines.errors.len(), 1, "{expected}");
        assert_eq!(lines.errors[0].to_string(), expected);
    }
}

#[test]
fn every_error_has_its_line() {
    let text = format!("{{}}\n{MERCHANT}\n[]\n\n{OTHER_MERCHANT}\nx");
    let lines = read(&text);
    let at: Vec<u64> = lines.errors.iter().map(|error| error.at.line).collect();
    assert_eq!((at, lines.catalogue.merchants.len()), (vec![1, 3, 6], 2));
}

#[test]
fn an_endless_line_is_not_kept_in_memory() {
    let head = format!("{MERCHANT}\n");
    let head = head.as_bytes();
    let tail = format!("\n{OTHER_MERCHANT}\n").into_bytes();
    let endless = io::repeat(b' ').take(LINE_MAX_BYTES as u64 * 3);
    let mut lines = source(Strictness::Refuse);
    lines.read("f", head.chain(endless).chain(tail.as_slice())).unwrap();
    let lines = found(lines);
    assert_eq!(lines.errors[0].to_string(), "f:2: expected at most 16777216 bytes in a line");
    assert_eq!((lines.errors.len(), lines.catalogue.merchants.len()), (1, 2));
    // The longest allowed line, with and without its line end.
    let longest = format!("{MERCHANT}{}", " ".repeat(LINE_MAX_BYTES - MERCHANT.len()));
    assert!(read(&longest).errors.is_empty());
    assert!(read(format!("{longest}\n{OTHER_MERCHANT}")).errors.is_empty());
    assert_eq!(read(format!("{longest} \n{OTHER_MERCHANT}")).errors.len(), 1);
}

#[test]
fn a_reader_that_fails_is_an_error_of_the_file() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk"))
        }
    }
    let outcome = source(Strictness::Refuse).read("f", Failing);
    assert_eq!(outcome.unwrap_err().to_string(), "disk");
}

#[test]
fn the_field_that_is_wrong_is_named() {
    for (of, from, to, expected) in [
        (
            MERCHANT,
            "\"id\":21",
            "\"id\":21,\"nmae\":1",
            "f:1: nmae: unknown field `nmae`, expected one of `id`, `uuid`, `name`",
        ),
        (
            CUSTOMER,
            "\"id\":1,\"item",
            "\"item",
            "f:8: accesses[0].id: expected this field, but it is missing",
        ),
        (CUSTOMER, "\"namespace\":\"v\",", "", "f:8: namespace: expected this field, but it is missing"),
        (
            CUSTOMER,
            "\"created_at\":0",
            "\"created_at\":\"x\"",
            "f:8: accesses[0].created_at: invalid value: string \"x\", expected unix seconds, a time such as 2030-01-03T00:00:00Z, or one relative to publishing such as \"now+1d\"",
        ),
        (
            CUSTOMER,
            "ACTIVE",
            "active",
            "f:8: licenses[0].status: unknown variant `active`, expected one of `ACTIVE`, `OVERDUE`, `CANCELLED`",
        ),
        (
            CUSTOMER,
            "\"date_added\":0",
            "\"date_added\":null",
            "f:8: licenses[0].date_added: invalid type: null, expected unix seconds, a time such as 2030-01-03T00:00:00Z, or one relative to publishing such as \"now+1d\"",
        ),
        (
            CUSTOMER,
            "\"date_added\":0",
            "\"date_added\":999999999999",
            "f:8: licenses[0].date_added: the time looks like milliseconds (999999999999): unix seconds are expected, at most 253402300799",
        ),
        (CUSTOMER, UUID, "x", "f:8: uuid: expected a UUID, found \"x\""),
        (PACKAGE, "\"id\":40", "\"id\":0", "f:7: id: expected a number from 1 to 9007199254740991, found 0"),
        (
            ITEM,
            "\"id\":7",
            "\"id\":9007199254740992",
            "f:6: fees[0].id: expected a number from 1 to 9007199254740991, found 9007199254740992",
        ),
        (
            CUSTOMER,
            "b90831a7",
            "x90831a7",
            "f:8: licenses[0].license_id: expected a UUID, found \"x90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12\"",
        ),
        (CUSTOMER, "\"v\"", "\"\"", "f:8: namespace: expected 1 to 256 bytes, none of them zero"),
        (CUSTOMER, "\"s\"", "\"s\\u0000\"", "f:8: subject: expected 1 to 256 bytes, none of them zero"),
        (
            ITEM,
            "\"amount\":4.99",
            "\"amount\":\"4.99\"",
            "f:6: fees[0].amount: invalid type: string \"4.99\", expected a JSON number",
        ),
        (
            ITEM,
            "\"country_iso\":\"CH\",",
            "",
            "f:6: fees[0].geo_restriction: expected either country_iso or country_set_id, found neither",
        ),
        (
            ITEM,
            "\"country_iso\":\"CH\",",
            "\"country_iso\":\"CH\",\"country_set_id\":3,",
            "f:6: fees[0].geo_restriction: expected either country_iso or country_set_id, found both",
        ),
        (APP, "\"c\"", "\"\"", "f:3: clients[0].client_id: expected text, found an empty text"),
    ] {
        assert_eq!(error_after(of, from, to), expected);
    }
    let (errors, _) = after(MERCHANT, UUID, "x");
    assert_eq!(errors, ["f:1: uuid: expected a UUID, found \"x\""]);
}

#[test]
fn references_that_lead_nowhere_are_errors() {
    for (of, from, to, expected) in [
        (APP, "\"merchant_id\":21", "\"merchant_id\":9", "f:3: merchant_id: unknown merchant 9"),
        (LICENSE, "\"app_id\":\"a\"", "\"app_id\":\"b\"", "f:4: app_id: unknown app \"b\""),
        (LICENSE, "[33]", "[33,34]", "f:4: item_ids[1]: unknown item 34"),
        (LICENSE, "[33]", "[33,33]", "f:4: item_ids[1]: duplicate 33 in this list"),
        (PACKAGE, "[33]", "[34]", "f:7: item_ids[0]: unknown item 34"),
        (PACKAGE, "[33]", "[33,33]", "f:7: item_ids[1]: duplicate 33 in this list"),
        (
            PACKAGE,
            "[33]",
            "[40]",
            "f:7: item_ids[0]: expected an item that is not a package, but item 40 is one",
        ),
        (
            PACKAGE,
            "\"package\",\"content",
            "\"bundle\",\"content",
            "f:7: item_ids: only a package may have members, and this is a \"bundle\"",
        ),
        (
            ITEM,
            "\"access_type_id\":1",
            "\"access_type_id\":2",
            "f:6: fees[0].access_type_id: unknown access type 2",
        ),
        (
            ACCESS_TYPE,
            "\"account_id\":21",
            "\"account_id\":22",
            "f:6: fees[0].access_type_id: expected an access type of the same merchant, but access type 1 is merchant 22's",
        ),
    ] {
        assert_eq!(error_after(of, from, to), expected);
    }
    let (errors, _) = after(ACCESS_TYPE, "\"account_id\":21", "\"account_id\":9");
    assert_eq!(errors[0], "f:5: account_id: unknown merchant 9");
    let (errors, _) = after(PACKAGE, "\"merchant_id\":21", "\"merchant_id\":22");
    assert_eq!(
        errors,
        ["f:7: item_ids[0]: expected an item of the same merchant, but item 33 is merchant 21's"]
    );
    let (errors, warnings) = after(APP, "\"merchant_id\":21", "\"merchant_id\":22");
    assert_eq!(
        errors,
        ["f:4: item_ids[0]: expected an item of the same merchant, but item 33 is merchant 21's"]
    );
    assert_eq!(warnings.len(), 1, "the customer's licence: {warnings:?}");
}

#[test]
fn a_grant_without_effect_is_a_warning() {
    for (of, from, to, expected) in [
        (
            CUSTOMER,
            "{\"id\":1,\"item_id\":33,\"created_at\":0}",
            "{\"id\":1,\"item_id\":33,\"created_at\":0},{\"id\":1,\"item_id\":40,\"created_at\":0}",
            "f:8: accesses[1].id: duplicate 1 in this list",
        ),
        (
            CUSTOMER,
            "\"item_id\":33",
            "\"item_id\":9",
            "f:8: accesses[].item_id: unknown item 9: access 1 grants nothing",
        ),
        (
            CUSTOMER,
            "b90831a7",
            "a90831a7",
            "f:8: licenses[0].license_id: unknown licence a90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12: this grants nothing",
        ),
        (
            CUSTOMER,
            "33,",
            "33,\"starts_at\":9,\"expires_at\":9,",
            "f:8: accesses[0].expires_at: not after starts_at: this grants nothing",
        ),
        (
            CUSTOMER,
            "33,",
            "33,\"starts_at\":\"now\",\"expires_at\":5,",
            "f:8: accesses[0].expires_at: not after starts_at: this grants nothing",
        ),
        (
            CUSTOMER,
            "\"date_added\":0",
            "\"date_added\":0,\"starts_at\":9,\"expires_at\":8",
            "f:8: licenses[0].expires_at: not after starts_at: this grants nothing",
        ),
        (
            ITEM,
            "\"id\":7,",
            "\"id\":7,\"starts_at\":9,\"expires_at\":8,",
            "f:6: fees[0].expires_at: not after starts_at: this is never sold",
        ),
    ] {
        assert_eq!(warning_after(of, from, to), expected);
    }
    let (errors, warnings) = after(CUSTOMER, "\"merchant_id\":21", "\"merchant_id\":22");
    assert!(errors.is_empty());
    assert_eq!(
        warnings[0],
        "f:8: accesses[].item_id: item 33 is another merchant's: access 1 grants nothing"
    );
    assert!(warnings[1].contains("is another merchant's"), "{warnings:?}");
    let (errors, warnings) = after(CUSTOMER, "33,", "33,\"starts_at\":8,\"expires_at\":9,");
    assert!(errors.is_empty() && warnings.is_empty());
}

#[test]
fn nothing_comes_twice() {
    for (line, from, to) in [
        (MERCHANT, "cea8", "cea7"),
        (APP, "\"p\"", "\"q\""),
        (LICENSE, "\"x\"", "\"y\""),
        (ACCESS_TYPE, "\"quantity\":1", "\"quantity\":2"),
        (ITEM, "\"t\"", "\"u\""),
        (PACKAGE, "\"t\"", "\"u\""),
        (CUSTOMER, "\"id\":1", "\"id\":2"),
    ] {
        // A repetition of the same line has only one meaning.
        let lines = read([ALL.as_slice(), &[line]].concat().join("\n"));
        assert_eq!((lines.errors.len(), lines.warnings.len()), (0, 1), "{line}: {:?}", lines.errors);
        assert!(lines.warnings[0].to_string().starts_with("f:9: duplicate line; first: f:"));
        let lines = read([ALL.as_slice(), &[&line.replacen(from, to, 1)]].concat().join("\n"));
        assert_eq!(lines.errors.len(), 1, "{line}: {:?}", lines.errors);
        let text = lines.errors[0].to_string();
        assert!(
            text.starts_with("f:9: ") && text.contains("; first: f:") && text.contains("duplicate "),
            "{text}"
        );
    }
    let lines = read("{\"type\":\"snapshot\",\"seq\":1}\n{\"type\":\"snapshot\",\"seq\":1}");
    assert_eq!(lines.errors[0].to_string(), "f:2: type: a second snapshot line; first: f:1");
    assert_eq!(
        error_after(OTHER_MERCHANT, "cea9", "CEA8"),
        format!("f:2: uuid: duplicate UUID {UUID}, which merchant 21 has")
    );
    let twice = "[{\"client_id\":\"c\",\"mode\":\"test\"},{\"client_id\":\"c\",\"mode\":\"live\"}]";
    let error = error_after(APP, "[{\"client_id\":\"c\",\"mode\":\"live\"}]", twice);
    assert_eq!(error, "f:3: clients[1].client_id: duplicate client \"c\", which app \"a\" has");
    let (fee, other) = ITEM.split_once("\"fees\":[").map(|(_, rest)| rest.split_once("],").unwrap()).unwrap();
    assert!(!other.is_empty());
    let error = error_after(ITEM, fee, &format!("{fee},{fee}"));
    assert_eq!(error, "f:6: fees[1].id: duplicate 7 in this list");
}

/// One mistake is one error: a line that refers to an unreadable one is not wrong itself.
#[test]
fn a_wrong_line_makes_no_other_line_wrong() {
    for (of, from, to) in [
        (MERCHANT, "\"type\"", "\"x\":1,\"type\""),
        (MERCHANT, UUID, "not-one"),
        (APP, "\"plan_id\":\"p\",", ""),
        (LICENSE, "\"live\"", "\"dead\""),
        (ACCESS_TYPE, "\"quantity\":1", "\"quantity\":\"one\""),
        (ITEM, "\"is_active\":true", "\"is_active\":1"),
    ] {
        let (errors, warnings) = after(of, from, to);
        assert!(errors.len() == 1 && warnings.is_empty(), "{errors:?} {warnings:?}");
    }
}

#[test]
fn errors_are_in_the_order_of_lines() {
    let text = [CUSTOMER, PACKAGE, "x", LICENSE, "y"].join("\n");
    let at: Vec<u64> = read(text).errors.iter().map(|error| error.at.line).collect();
    assert_eq!(at, [1, 2, 2, 3, 4, 4, 5]);
}

/// Both ways of reading a customer's line give the same messages.
#[test]
fn a_customer_is_read_alike_in_whatever_order_its_fields_are() {
    let moved = CUSTOMER.replace("{\"type\":\"customer\",", "{").replace("]}", "],\"type\":\"customer\"}");
    let spaced = CUSTOMER.replace("{\"type\":\"customer\",", "{ \"type\": \"customer\", ");
    let records = |line: &str| {
        let mut source = source(Strictness::Refuse);
        source.read("f", line.as_bytes()).unwrap();
        assert!(source.problems.errors.is_empty(), "{line}");
        (0..256).map(|bucket| source.customers.bucket(bucket).unwrap()).collect::<Vec<_>>()
    };
    let expected = records(CUSTOMER);
    assert_eq!(expected.iter().filter(|bucket| !bucket.is_empty()).count(), 1);
    assert_eq!(records(&moved), expected);
    assert_eq!(records(&spaced), expected);
    for (from, to) in [
        ("\"id\":1,\"uuid\"", "\"uuid\""),
        ("\"id\":1", "\"id\":\"x\""),
        ("\"subject\":\"s\"", "\"subject\":\"\""),
    ] {
        let error = |line: &str| read(line.replace(from, to)).errors[0].to_string();
        assert_eq!(error(CUSTOMER), error(&moved), "{from}");
    }
}
