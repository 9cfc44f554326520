//! Customers that exceed the memory.

use super::*;

/// Many customers from several threads, most of them on disk: nothing is lost, and the first of two lines
/// with the same name counts.
#[test]
fn customers_on_disk_and_in_memory_give_the_same_result() {
    let customers: String = (0..4_000)
        .map(|number| {
            format!(
                "{}\n",
                CUSTOMER.replace("\"s\",\"id\":1", &format!("\"s{}\",\"id\":{number}", number % 3_999))
            )
        })
        .collect();
    let text = format!("{}\n{customers}", ALL[..7].join("\n"));
    let outcome = |memory_bytes| {
        let plan = SpillPlan { memory_bytes, ..SpillPlan::default() };
        let mut source = Source::new(NOW, Strictness::Refuse, plan);
        source.read("f", text.as_bytes()).unwrap();
        source.build(None, &MemorySink::default()).unwrap()
    };
    let (kept, spilled) = (outcome(usize::MAX), outcome(10_000));
    assert_eq!(kept.spilled_bytes, 0);
    assert!(spilled.spilled_bytes > 300_000, "{}", spilled.spilled_bytes);
    for outcome in [kept, spilled] {
        let errors: Vec<_> = outcome.problems.errors.kept().iter().map(ToString::to_string).collect();
        assert_eq!(errors, ["f:4007: subject: duplicate customer; first: f:8"]);
        assert!(outcome.built.is_none());
    }
}

#[test]
fn a_temporary_file_that_cannot_be_made_is_an_error() {
    let plan = SpillPlan { dir: "/nowhere/at/all".into(), memory_bytes: 0 };
    let error = Source::new(NOW, Strictness::Refuse, plan).read("f", CUSTOMER.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("temporary file in /nowhere/at/all"), "{error}");
}
