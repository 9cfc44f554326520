//! The problems of lines, with their places. Memory stays bounded, however many lines are wrong.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::set_aside::{About, SetAside};

/// Number of problems kept in a group, those of the first lines. Further ones are only counted, so that a
/// file of ten million wrong lines does not fill the memory.
pub const KEPT_MAX: usize = 1_000;

/// Number of groups that are told apart. All further problems form one group. With [`KEPT_MAX`] problems in
/// each, the groups take some 20 MiB.
const GROUPS_MAX: usize = 64;

/// The place of a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Name of the file as it was given.
    pub file: Arc<str>,
    /// Number of the line, counted from 1.
    pub line: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// A value with the place where it was written.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value itself.
    pub value: T,
    /// The place where it was written.
    pub at: Location,
}

/// A problem with a field of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field such as `fees[0].amount`. Empty if the whole line is concerned.
    pub field: String,
    /// The expected and the found value.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// A problem with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The record that the line concerns.
    pub about: About,
    /// The place of the line.
    pub at: Location,
    /// The field and its problem.
    pub problem: Problem,
}

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, problem: Problem { field, message }, .. } = self;
        if field.is_empty() {
            write!(formatter, "{at}: {message}")
        } else {
            write!(formatter, "{at}: {field}: {message}")
        }
    }
}

/// Problems of one kind: the same field in records of the same type, for the same reason.
#[derive(Clone, Debug, Default)]
pub struct Group {
    kept: Vec<LineError>,
    total: u64,
}

impl Group {
    /// The problems that were kept, those of the first lines, in the order of lines.
    #[must_use]
    pub fn kept(&self) -> &[LineError] {
        &self.kept
    }

    /// Number of problems, including those that were not kept.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    fn append(&mut self, mut other: Self) {
        self.total += other.total;
        self.kept.append(&mut other.kept);
        if self.kept.len() >= 2 * KEPT_MAX {
            self.settle();
        }
    }

    /// Sorts by line and drops the surplus. The sort is stable, so problems of one line stay in the order of
    /// its fields.
    fn settle(&mut self) {
        self.kept.sort_by(|left, right| left.at.cmp(&right.at));
        self.kept.truncate(KEPT_MAX);
    }
}

/// Problems in groups of the same field and reason.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    groups: BTreeMap<(usize, String), Group>,
    total: u64,
}

impl Listed {
    /// Adds a problem to its group.
    pub fn push(&mut self, error: LineError) {
        // Causes before consequences: unknown records first, then records in the order of `RecordKind`.
        let rank = error.about.kind().map_or(0, |kind| kind as usize + 1);
        let shape = (rank, shape(&error.problem));
        self.append_group(shape, Group { kept: vec![error], total: 1 });
    }

    /// The groups, causes before consequences. Within that order by line, once they have been settled.
    #[must_use]
    pub fn groups(&self) -> Vec<&Group> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        let first = |group: &Group| group.kept.first().map(|error| error.at.clone());
        groups.sort_by_cached_key(|((rank, _), group)| (*rank, first(group)));
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// The problems of the first lines over all groups, in the order of lines.
    #[must_use]
    pub fn kept(&self) -> Vec<&LineError> {
        let mut kept: Vec<_> = self.groups.values().flat_map(|group| &group.kept).collect();
        kept.sort_by(|left, right| left.at.cmp(&right.at));
        kept.truncate(KEPT_MAX);
        kept
    }

    /// Number of problems, including those that were not kept.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Whether no problem was added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn append(&mut self, other: Self) {
        for (shape, group) in other.groups {
            self.append_group(shape, group);
        }
    }

    fn append_group(&mut self, shape: (usize, String), group: Group) {
        self.total += group.total;
        let is_known = self.groups.contains_key(&shape) || self.groups.len() < GROUPS_MAX;
        let shape = if is_known { shape } else { (usize::MAX, String::new()) };
        self.groups.entry(shape).or_default().append(group);
    }

    fn settle(&mut self) {
        self.groups.values_mut().for_each(Group::settle);
    }
}

/// The common part of a group's problems: field and message, with numbers, names and positions replaced by
/// `#`.
fn shape(problem: &Problem) -> String {
    let Problem { field, message } = problem;
    let mut shape = String::with_capacity(field.len() + message.len() + 1);
    let mut is_quoted = false;
    for text in [field.as_str(), "\n", message.as_str()] {
        // Replace words with digits and everything between quotation marks by `#`.
        for word in text.split_inclusive([' ', '[', ']', '"', '(']) {
            let end = word.chars().last().unwrap_or_default();
            if is_quoted {
                shape.push('#');
            } else if word.bytes().any(|byte| byte.is_ascii_digit()) {
                shape.push('#');
                shape.push(end);
            } else {
                shape.push_str(word);
            }
            is_quoted ^= end == '"';
        }
    }
    shape
}

/// All errors and warnings about lines.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    /// Problems that make a record unusable.
    pub errors: Listed,
    /// Oddities that do no harm.
    pub warnings: Listed,
    /// The records that the errors concern.
    pub set_aside: SetAside,
}

impl Problems {
    /// Adds an error and sets its record aside.
    pub fn error(&mut self, at: &Location, about: About, problem: Problem) {
        self.add(LineError { about, at: at.clone(), problem });
    }

    /// Adds an error and sets its record aside.
    pub fn add(&mut self, error: LineError) {
        self.set_aside.add(&error);
        self.errors.push(error);
    }

    /// Adds a warning about a line.
    pub fn warn(&mut self, at: &Location, problem: Problem) {
        self.warnings.push(LineError { about: About::default(), at: at.clone(), problem });
    }

    /// Adds the problems of `other`.
    pub fn append(&mut self, other: Self) {
        self.errors.append(other.errors);
        self.warnings.append(other.warnings);
        self.set_aside.append(other.set_aside);
    }

    pub(crate) fn settle(&mut self) {
        self.errors.settle();
        self.warnings.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::set_aside::RecordKey;

    fn add(problems: &mut Problems, line: u64, field: &str, message: &str) {
        let at = Location { file: "f".into(), line };
        problems.error(&at, About::default(), Problem::new(field, message));
    }

    #[test]
    fn the_first_lines_are_kept_and_all_are_counted() {
        let mut problems = Problems::default();
        for line in (1..=5_000).rev() {
            add(&mut problems, line, "a", "first");
            add(&mut problems, line, "b", "second");
        }
        let mut all = Problems::default();
        all.append(problems);
        all.settle();
        assert_eq!(all.errors.total(), 10_000);
        assert_eq!(all.errors.kept().len(), KEPT_MAX);
        let shown: Vec<_> = all.errors.kept().iter().take(3).map(ToString::to_string).collect();
        assert_eq!(shown, ["f:1: a: first", "f:1: b: second", "f:2: a: first"]);
        assert!(all.warnings.is_empty() && !all.errors.is_empty());
    }

    #[test]
    fn the_same_reason_is_one_group_whatever_its_numbers_and_names() {
        let mut problems = Problems::default();
        for line in 1..=1_000 {
            let message = format!("unknown item {line}: access {} grants nothing", 7 * line);
            add(&mut problems, line, &format!("accesses[{line}].item_id"), &message);
            add(&mut problems, line, "uuid", &format!("expected a UUID, found \"a{line} b\""));
        }
        add(&mut problems, 2_000, "uuid", "expected this field, but it is missing");
        let totals: Vec<_> = problems.errors.groups().iter().map(|group| group.total()).collect();
        assert_eq!(totals, [1_000, 1_000, 1]);
    }

    #[test]
    fn a_cause_comes_before_its_consequences_wherever_it_stands() {
        let mut problems = Problems::default();
        for (line, key) in [(1, RecordKey::License(uuid::Uuid::nil())), (9, RecordKey::Item(1))] {
            let at = Location { file: "f".into(), line };
            problems.error(&at, About::key(key), Problem::new("item_ids[0]", "wrong"));
        }
        let first: Vec<_> = problems.errors.groups().iter().map(|group| group.kept()[0].at.line).collect();
        assert_eq!(first, [9, 1]);
    }

    #[test]
    fn groups_are_bounded() {
        let mut problems = Problems::default();
        for line in 0..500_u32 {
            let word: String = line.to_string().bytes().map(|digit| char::from(digit + 49)).collect();
            add(&mut problems, u64::from(line), &word, "wrong");
        }
        assert_eq!((problems.errors.groups().len(), problems.errors.total()), (GROUPS_MAX + 1, 500));
    }
}
