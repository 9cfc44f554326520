//! Lines as other systems write them.

use super::*;

#[test]
fn byte_order_marks_are_passed_over_wherever_files_were_joined() {
    let lines = read(format!("\u{feff}{MERCHANT}\r\n\u{feff}{OTHER_MERCHANT}\n\u{feff}"));
    assert_eq!((lines.errors.len(), lines.catalogue.merchants.len()), (0, 2));
}

#[test]
fn a_binary_file_is_reported_once() {
    for (start, name) in
        [(&b"\x1f\x8b\x08\0"[..], "gzip"), (b"\xff\xfe{\0", "UTF-16"), (b"PK\x03\x04", "ZIP")]
    {
        let bytes = [start, &b"\n".repeat(3)].concat();
        let error = source(Strictness::Refuse).read("f", bytes.as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn text_that_is_passed_on_is_repaired_and_names_are_not() {
    for (of, from, to) in [
        (ITEM, "\"title\":\"t\"", r#""title":"t\ud83d""#),
        (ITEM, "\"title\":\"t\"", "\"title\":\"t\t\""),
        (LICENSE, "\"name\":\"n\"", r#""name":"\udc00n""#),
        (CUSTOMER, "\"name\":\"n\"", r#""name":"\ud83d""#),
    ] {
        let (errors, warnings) = after(of, from, to);
        assert!(errors.is_empty(), "{to}: {errors:?}");
        assert!(warnings.len() == 1 && warnings[0].contains("was repaired"), "{to}: {warnings:?}");
    }
    for (of, from, to, field) in [
        (CUSTOMER, "\"subject\":\"s\"", r#""subject":"s\ud83d""#, "subject"),
        (APP, "\"client_id\":\"c\"", r#""client_id":"\ud83d""#, "clients[0].client_id"),
        (LICENSE, "\"internal_id\":\"x\"", r#""internal_id":"\ud83d""#, "internal_id"),
    ] {
        let (errors, _) = after(of, from, to);
        assert!(errors[0].contains(&format!(": {field}: expected Unicode text")), "{to}: {errors:?}");
    }
    let latin1: Vec<u8> =
        ITEM.replace("\"t\"", "\"caf?\"").bytes().map(|it| if it == b'?' { 0xe9 } else { it }).collect();
    let lines = read([MERCHANT.as_bytes(), ACCESS_TYPE.as_bytes(), &latin1].join(&b'\n'));
    assert_eq!((lines.errors.len(), lines.warnings.len()), (0, 1));
    assert_eq!(lines.catalogue.items[&33].value.title, "caf\u{fffd}");
}
