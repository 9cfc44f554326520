//! Numbers and names in the spellings of real exports.

use super::*;

/// Exports write numbers as floats where a column has a gap, and in quotes; names made of digits come as
/// numbers.
#[test]
fn numbers_and_names_are_read_in_every_spelling() {
    for (of, from, to) in [
        (MERCHANT, "\"id\":21", "\"id\":\"21\""),
        (ACCESS_TYPE, "\"quantity\":1", "\"quantity\":1.0"),
        (ITEM, "\"merchant_id\":21", "\"merchant_id\":21.0"),
        (ITEM, "\"id\":33", "\"id\":\"33\""),
        (CUSTOMER, "\"item_id\":33", "\"item_id\":33.0"),
        (CUSTOMER, "\"subject\":\"s\"", "\"subject\":88005"),
        (CUSTOMER, "\"subject\":\"s\"", "\"subject\":88005.0"),
    ] {
        let (errors, warnings) = after(of, from, to);
        assert!(errors.is_empty() && warnings.is_empty(), "{to}: {errors:?} {warnings:?}");
    }
    let key = |subject: &str| {
        let customer = CUSTOMER.replace("\"subject\":\"s\"", &format!("\"subject\":{subject}"));
        let mut source = source(Strictness::Refuse);
        source.read("f", customer.as_bytes()).unwrap();
        (0..256).map(|bucket| source.customers.bucket(bucket).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(key("88005"), key("\"88005\""));
    assert_eq!(key("88005.0"), key("\"88005\""));
}

/// While the record of a line is unknown, everything that the export lacks is kept.
#[test]
fn a_wrong_line_is_attributed_whatever_the_spelling_of_its_name() {
    for (of, from, to, id) in [
        (ITEM, "\"id\":33", "\"id\":\"33\",\"x\":1", "33"),
        (ITEM, "\"id\":33", "\"id\":33.0,\"x\":1", "33"),
        (CUSTOMER, "\"subject\":\"s\"", "\"subject\":88005,\"x\":1", "v:88005"),
    ] {
        assert!(of.contains(from), "{of}");
        let lines = read(of.replacen(from, to, 1));
        assert_eq!(lines.errors[0].about.id(), id, "{}", lines.errors[0]);
    }
}
