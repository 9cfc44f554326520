//! Nothing can be left out.

use super::*;

fn answer(_: &Ask) -> Answered {
    (200, json!({}))
}

/// What the document lacks after a change of its descriptions.
fn lacks(change: impl Fn(&mut Vec<Group>)) -> Vec<String> {
    let mut groups = operations::all();
    change(&mut groups);
    document_of(&groups, &answer).err().unwrap_or_default()
}

#[test]
fn every_operation_of_the_table_is_described() {
    assert_eq!(document(&answer).err(), None);
    let document = document(&answer).unwrap();
    for (endpoint, operations) in described() {
        for (pattern, (operation, summary)) in
            endpoint.patterns.iter().flat_map(|pattern| operations.iter().map(move |one| (pattern, one)))
        {
            let shown = &document["paths"][*pattern][method(operation.methods).to_ascii_lowercase()];
            assert_eq!(shown["summary"], *summary, "{pattern}");
        }
    }
}

#[test]
fn an_operation_without_a_description_is_named() {
    for (at, group) in operations::all().iter().enumerate() {
        for position in 0..group.operations.len() {
            let found = lacks(|groups| drop(groups[at].operations.remove(position)));
            let one = &group.operations[position];
            let name = format!("{} {} has no description", one.methods, one.endpoint.patterns[0]);
            assert!(found.iter().any(|lack| lack.starts_with(&name)), "{name}: {found:?}");
        }
    }
}

#[test]
fn a_description_without_text_answers_example_or_body_is_named() {
    let change = |change: fn(&mut Description)| {
        lacks(|groups| groups.iter_mut().flat_map(|group| &mut group.operations).for_each(change))
    };
    let count: usize = operations::all().iter().map(|group| group.operations.len()).sum();
    for (change_one, expected) in [
        ((|one| one.text = "") as fn(&mut Description), "has no text"),
        (|one| one.answers.clear(), "has no successful answer"),
        (|one| one.examples.clear(), "has no example"),
    ] {
        let found = change(change_one).into_iter().filter(|lack| lack.ends_with(expected)).count();
        assert_eq!(found, count, "{expected}");
    }
    let of_bodies = change(|one| one.bodies.clear());
    assert!(of_bodies.iter().any(|lack| lack.starts_with("POST /items/access has a body")), "{of_bodies:?}");
    let of_examples = change(|one| one.examples.iter_mut().for_each(|ask| ask.target = "/elsewhere"));
    assert!(
        of_examples.iter().any(|lack| lack.ends_with("/elsewhere, which is another path")),
        "{of_examples:?}"
    );
    let of_errors = change(|one| one.errors.clear());
    assert!(of_errors.iter().any(|lack| lack.starts_with("402 ")), "{of_errors:?}");
}

#[test]
fn operations_and_components_have_names_of_their_own() {
    let document = document(&answer).unwrap();
    let mut names = BTreeSet::new();
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(names.insert(id.clone()), "{id}");
        }
    }
    let all: Vec<_> = ApiError::all().map(errors::name).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
}
