//! Components of the document: answers that operations share, and nothing that none refers to.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Makes a component of each answer that several operations have.
pub fn share(components: &mut Value, paths: &mut Map<String, Value>) {
    let answers = |paths: &mut Map<String, Value>, each: &mut dyn FnMut(&str, &mut Value)| {
        let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
        for operation in operations {
            let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
            responses.into_iter().flatten().for_each(|(status, answer)| each(status, answer));
        }
    };
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    answers(paths, &mut |_, answer| *seen.entry(answer.to_string()).or_default() += 1);
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let Some(responses) = components.get_mut("responses").and_then(Value::as_object_mut) else { return };
    answers(paths, &mut |status, answer| {
        let text = answer.to_string();
        if answer.get("$ref").is_some() || seen.get(&text).is_none_or(|count| *count < 2) {
            return;
        }
        let name = names.entry(text).or_insert_with(|| {
            let taken = |number: &usize| responses.contains_key(&format!("Shared{status}x{number}"));
            let number = (1..).find(|number| !taken(number)).unwrap_or_default();
            let name = format!("Shared{status}x{number}");
            responses.insert(name.clone(), answer.clone());
            name
        });
        *answer = json!({ "$ref": format!("#/components/responses/{name}") });
    });
}

/// The answer to one status is a component only if an operation has it alone.
pub fn drop_unused(components: &mut Value, paths: &Map<String, Value>) {
    let text = json!(paths).to_string();
    for kind in ["responses", "examples", "headers", "schemas"] {
        loop {
            let here = [text.as_str(), &components.to_string()].concat();
            let Some(named) = components.get_mut(kind).and_then(Value::as_object_mut) else { break };
            let unused: Vec<_> = named
                .keys()
                .filter(|name| !here.contains(&format!("\"#/components/{kind}/{name}\"")))
                .cloned()
                .collect();
            if unused.is_empty() {
                break;
            }
            for name in unused {
                named.remove(&name);
            }
        }
    }
}
