//! What an origin writes: lines of the publish schema and of the change feed.

use admit::{
    limits::OBJECT_MAX_BYTES,
    snapshot::{
        build::{MemorySink, build_part},
        change::{self, Feed},
        schema::{Change, Line},
        source::{Source, SpillPlan, Strictness},
    },
};

const NOW: i64 = 1_800_000_000;

/// A feed, by the strict reader and by the one that leaves out records which cannot be used.
pub fn feed(data: &[u8]) {
    let strict = changes(data, false);
    let lenient = changes(data, true);
    // What the strict reader takes, the lenient one takes as it is, up to the first line that the two read differently.
    for (strict, (lenient, left_out)) in strict.iter().zip(&lenient) {
        let Some(change) = &strict.0 else { break };
        assert_eq!((lenient.as_ref(), *left_out), (Some(change), 0), "leniency changed a change");
        let json = serde_json::to_vec(change).unwrap_or_default();
        assert_eq!(change::parse(&json).as_ref(), Ok(change), "a change that is not read as written");
    }
    assert_eq!(strict.len(), lenient.len(), "the two readers see other lines");
}

/// Each line's change, if it is one, and how many records were left out of it.
fn changes(data: &[u8], is_lenient: bool) -> Vec<(Option<Change>, usize)> {
    let mut feed = Feed::new("feed", data);
    if is_lenient {
        feed.leave_out_wrong_records();
    }
    let mut changes = Vec::new();
    while let Ok(Some(outcome)) = feed.next_change() {
        if let Err(error) = &outcome {
            assert!(!error.to_string().is_empty(), "an error that says nothing");
        }
        let (left_out, _) = feed.take_left_out();
        changes.push((outcome.ok(), left_out.len()));
    }
    changes
}

/// One line of an export: read, written and read again, read as a record of a change, and built.
pub fn line(data: &[u8]) {
    let Ok(line) = serde_json::from_slice::<Line>(data) else { return };
    let json = serde_json::to_vec(&line).unwrap_or_default();
    assert_eq!(
        serde_json::from_slice::<Line>(&json).ok(),
        Some(line.clone()),
        "a line that is not read as written"
    );
    if !matches!(line, Line::Snapshot(_)) {
        let change = [br#"{"seq":1,"put":["#, json.as_slice(), b"]}"].concat();
        let is_wrong_by_itself = |problem: &str| problem.starts_with("put[0]");
        match change::parse(&change) {
            Ok(change) => {
                assert_eq!(Line::from(change.put.into_iter().next().unwrap_or_else(|| unreachable!())), line)
            }
            Err(problem) => assert!(
                is_wrong_by_itself(&problem.field),
                "read as a line, and not in a change: {problem:?}"
            ),
        }
    }
    if let Ok(built) = build_part([line], NOW) {
        for (name, object) in &built.objects {
            assert_eq!(name.check(object), Ok(()));
            assert!(object.len() <= OBJECT_MAX_BYTES, "an object of {} bytes", object.len());
        }
    }
}

/// A whole export, by the parallel reader, and the snapshot that is built from it.
pub fn export(data: &[u8]) {
    let build = |strictness| {
        let mut source = Source::new(NOW, strictness, SpillPlan::default());
        source.read("export", data).ok()?;
        let sink = MemorySink::default();
        Some(
            source
                .build(None, &sink)
                .ok()?
                .built
                .map(|built| (built.index, built.directory, built.customers, built.items)),
        )
    };
    let (strict, lenient) = (build(Strictness::Refuse), build(Strictness::SetAside));
    // An export without an error gives the same snapshot either way.
    if let Some(Some(strict)) = strict {
        assert_eq!(lenient, Some(Some(strict)), "leniency changed a snapshot");
    }
}
