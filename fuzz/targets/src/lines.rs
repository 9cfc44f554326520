//! Readers of lines from an origin: the publish schema and the change feed.

use admit::{
    fnv,
    limits::OBJECT_MAX_BYTES,
    snapshot::schema::{Change, Line},
};
use admit_publish::{
    build::{MemorySink, build_part},
    change::{self, Feed},
    source::{Source, SpillPlan, Strictness},
};

use crate::values::has_float;

const NOW: i64 = 1_800_000_000;

/// A feed, by the strict reader and by the lenient one, which leaves out unusable records.
pub fn feed(data: &[u8]) -> bool {
    let strict = changes(data, false);
    let lenient = changes(data, true);
    // The lenient reader must return the same changes, up to the first line that only it accepts.
    for (strict, (lenient, left_out)) in strict.iter().zip(&lenient) {
        let Some(change) = &strict.0 else { break };
        assert_eq!((lenient.as_ref(), *left_out), (Some(change), 0), "leniency changed a change");
        let json = serde_json::to_vec(change).unwrap_or_default();
        if serde_json::from_slice(&json).is_ok_and(|value| has_float(&value)) {
            continue;
        }
        assert_eq!(change::parse(&json).as_ref(), Ok(change), "a change that is not read as written");
    }
    assert_eq!(strict.len(), lenient.len(), "the two readers see other lines");
    strict.iter().any(|(change, _)| change.is_some())
}

/// The change of each line, if it is one, and how many records were left out of it.
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

/// An export: each line alone, and occasionally all lines by the reader of whole exports. That reader starts
/// a thread for each processor and takes a thousand times as long, so libFuzzer would do little else.
pub fn export(data: &[u8]) -> bool {
    let lines = data.split(|byte| *byte == b'\n').take(LINES_MAX);
    let accepted = lines.filter(|line| self::line(line)).count();
    // By a hash, so that the same input makes the same choice.
    if !cfg!(feature = "sampled") || fnv::hash(data.iter().copied()).is_multiple_of(WHOLE_ONE_IN) {
        whole(data);
    }
    accepted > 0
}

/// Lines of an export that are checked alone.
const LINES_MAX: usize = 8;

/// While fuzzing, one export in this number is read as a whole.
const WHOLE_ONE_IN: u64 = 512;

/// One line: read, written and read again, read as a record of a change, and built.
fn line(data: &[u8]) -> bool {
    let Ok(line) = serde_json::from_slice::<Line>(data) else { return false };
    let json = serde_json::to_vec(&line).unwrap_or_default();
    if serde_json::from_slice(&json).is_ok_and(|value| has_float(&value)) {
        return true;
    }
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
    true
}

/// A whole export, by the parallel reader, and the snapshot that is built from it.
fn whole(data: &[u8]) {
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
    // An export without errors gives the same snapshot in both modes.
    if let Some(Some(strict)) = strict {
        assert_eq!(lenient, Some(Some(strict)), "leniency changed a snapshot");
    }
}
