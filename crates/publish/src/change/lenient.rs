//! Reads a change with unusable parts record by record, so that its good records are applied.

use std::collections::BTreeMap;

use admit_snapshot::schema::{Change, Record, Removal};
use serde_json::{Map, Value};

use super::{
    LeftOut, TYPES, check_name, check_record, explain,
    explain::{about, explain_as, explain_record, read_object, take_kind, unknown_kind, without_place},
    explain_removal,
    repeated::Unrepeated,
    text, within,
};
use crate::source::{About, LineError, Location, Problem, Problems, RecordKey};

/// Parses a line that cannot be parsed as a whole. Problems with single records are added to `left_out`.
///
/// # Errors
/// The unusable records cannot be identified. Then the effect of the change is unknown.
pub(super) fn parse(
    line: &[u8],
    at: &Location,
    problems: &mut Problems,
    left_out: &mut Vec<LeftOut>,
) -> Result<Change, Problem> {
    let repaired = text::repaired(line);
    let mut fields = read_object(repaired.as_deref().unwrap_or(line))?;
    let Unrepeated = serde_json::from_slice(repaired.as_deref().unwrap_or(line))
        .map_err(|error| Problem::new("", without_place(&error)))?;
    let mut list = |name: &str| match fields.remove(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(elements)) => Ok(elements),
        Some(_) => Err(Problem::new(name, "expected a list")),
    };
    let (put, remove) = (list("put")?, list("remove")?);
    let mut change = frame(fields, at, problems)?;
    let mut reader = Reader { seq: change.seq, at, problems, left_out, named: BTreeMap::new() };
    for (position, element) in put.into_iter().enumerate() {
        change.put.extend(reader.record(position, element, repaired.is_some())?);
    }
    for (position, element) in remove.into_iter().enumerate() {
        change.remove.extend(reader.removal(position, element)?);
    }
    // A record that is named more than once is left out altogether.
    let twice = reader.twice();
    change.put.retain(|record| !RecordKey::of(&record.name()).is_some_and(|key| twice.contains(&key)));
    change.remove.retain(|name| !RecordKey::of(name).is_some_and(|key| twice.contains(&key)));
    Ok(change)
}

/// The change without its records. `as_of` decides nothing, so an unreadable one is left out.
fn frame(mut fields: Map<String, Value>, at: &Location, problems: &mut Problems) -> Result<Change, Problem> {
    if let Some(as_of) = fields.get("as_of")
        && let Err(error) = serde_json::from_value::<Option<admit_snapshot::time::Timestamp>>(as_of.clone())
    {
        problems.warn(at, Problem::new("as_of", without_place(&error)));
        fields.remove("as_of");
    }
    let frame = Value::Object(fields);
    match serde_json::from_value(frame.clone()) {
        Ok(change) => Ok(change),
        Err(error) => {
            Err(explain_as::<Change>(frame).unwrap_or_else(|| Problem::new("", without_place(&error))))
        }
    }
}

struct Reader<'a> {
    seq: u64,
    at: &'a Location,
    problems: &'a mut Problems,
    left_out: &'a mut Vec<LeftOut>,
    /// For each record the place where it was named, and whether it was named again.
    named: BTreeMap<RecordKey, (String, bool)>,
}

impl Reader<'_> {
    /// Reads a record that was put. `None` if it cannot be used.
    fn record(
        &mut self,
        position: usize,
        element: Value,
        is_repaired: bool,
    ) -> Result<Option<Record>, Problem> {
        let (kind, fields, about) = identify("put", position, &element)?;
        let checked = if is_repaired { text::check_repaired(&element) } else { Ok(()) };
        if is_repaired && has_replacement(&element) && checked.is_ok() {
            let place = within("put", position, explain::repaired());
            self.problems.warn(self.at, place);
        }
        let read = checked.and_then(|()| {
            let read = serde_json::from_value::<Record>(element);
            read.map_err(|error| match explain_record(&kind, Value::Object(fields)) {
                Some(Some(problem)) => problem,
                Some(None) => Problem::new("", without_place(&error)),
                None => unknown_kind(&kind, TYPES),
            })
        });
        let record = read.and_then(|record| check_record(&record).map(|_| record));
        match record {
            Ok(record) => {
                self.name(&about, format!("put[{position}]"));
                Ok(Some(record))
            }
            // A name with broken text does not identify the record.
            Err(problem) if matches!(problem.field.as_str(), "id" | "namespace" | "subject") => {
                Err(within("put", position, problem))
            }
            Err(problem) => self.leave_out(about, "put", position, problem).map(|()| None),
        }
    }

    fn removal(&mut self, position: usize, element: Value) -> Result<Option<Removal>, Problem> {
        let (kind, fields, about) = identify("remove", position, &element)?;
        text::check_repaired(&element).map_err(|problem| within("remove", position, problem))?;
        let read = serde_json::from_value::<Removal>(element).map_err(|error| {
            match explain_removal(&kind, Value::Object(fields)) {
                Some(Some(problem)) => problem,
                Some(None) => Problem::new("", without_place(&error)),
                None => unknown_kind(&kind, TYPES),
            }
        });
        match read.and_then(check_name) {
            Ok(name) => {
                self.name(&about, format!("remove[{position}]"));
                Ok(Some(name))
            }
            Err(problem) => self.leave_out(about, "remove", position, problem).map(|()| None),
        }
    }

    fn leave_out(
        &mut self,
        about: About,
        list: &str,
        position: usize,
        problem: Problem,
    ) -> Result<(), Problem> {
        let problem = within(list, position, problem);
        if about.record_key().is_none() {
            return Err(problem);
        }
        let error = LineError { about, at: self.at.clone(), problem };
        self.left_out.push(LeftOut { seq: self.seq, error });
        Ok(())
    }

    fn name(&mut self, about: &About, field: String) {
        let Some(key) = about.record_key() else { return };
        if let Some((first, is_twice)) = self.named.get_mut(key) {
            *is_twice = true;
            let problem = Problem::new(field, format!("duplicate record; first: {first}"));
            let error = LineError { about: about.clone(), at: self.at.clone(), problem };
            self.left_out.push(LeftOut { seq: self.seq, error });
        } else {
            self.named.insert(key.clone(), (field, false));
        }
    }

    /// Records that are named twice, or once beside an unusable part. Which state holds would be a matter of
    /// chance.
    fn twice(&self) -> Vec<RecordKey> {
        let of_this = self.left_out.iter().filter(|left_out| left_out.seq == self.seq);
        of_this.filter_map(|left_out| left_out.error.about.record_key().cloned()).collect()
    }
}

/// The type of an element, its other fields, and the record that it concerns.
fn identify(
    list: &str,
    position: usize,
    element: &Value,
) -> Result<(String, Map<String, Value>, About), Problem> {
    let Value::Object(fields) = element else {
        return Err(Problem::new(format!("{list}[{position}]"), "expected a JSON object"));
    };
    let mut fields = fields.clone();
    let kind = take_kind(&mut fields, TYPES).map_err(|problem| within(list, position, problem))?;
    let about = about(&kind, &fields);
    Ok((kind, fields, about))
}

fn has_replacement(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(char::REPLACEMENT_CHARACTER),
        Value::Array(values) => values.iter().any(has_replacement),
        Value::Object(fields) => fields.values().any(has_replacement),
        _ => false,
    }
}
