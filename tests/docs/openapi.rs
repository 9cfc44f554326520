//! `docs/openapi.json` is made of the table of endpoints, and its examples are answers of the service. `cargo xtask docs`
//! writes it.

use std::{env, fs};

use admit_openapi::{Answered, Ask, Caller, document, sorted};
use serde_json::Value;

use super::{
    answers::{ask, authorization, service},
    read, root,
    tables::{COMMAND, WRITE},
};

const PATH: &str = "docs/openapi.json";

/// The answer of the service with the samples. Each example has a service of its own: the state of one is not that of
/// another.
fn answer(example: &Ask) -> Answered {
    let app = service();
    let authorization = match example.caller {
        Caller::Stranger => String::new(),
        Caller::Sample(name) => authorization(name),
        Caller::Variable(name) => panic!("{}: the service is not asked with ${name}", example.target),
    };
    let reply = ask(&app, example.method, example.target, &authorization, example.body.as_ref());
    assert!(reply.status < 500, "{} {}: {reply:?}", example.method, example.target);
    (reply.status, serde_json::from_slice(reply.body.as_bytes()).unwrap_or_default())
}

fn made() -> String {
    let document = document(&answer).unwrap_or_else(|lacks| panic!("{}", lacks.join("\n")));
    serde_json::to_string_pretty(&sorted(&document)).unwrap() + "\n"
}

#[test]
fn the_document_is_that_of_the_contract() {
    if env::var_os(WRITE).is_some() {
        fs::write(root().join(PATH), made()).unwrap();
    } else {
        assert!(read(PATH) == made(), "{PATH} is out of date. Run `{COMMAND}`");
    }
}

/// A command as one line, without the difference between two spellings of a line break.
fn one_line(command: &str) -> String {
    command.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_command_of_the_page_is_an_example() {
    let document: Value = serde_json::from_str(&made()).unwrap();
    let samples: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .flat_map(|operation| operation["x-codeSamples"].as_array().unwrap())
        .map(|sample| one_line(sample["source"].as_str().unwrap()))
        .collect();
    let page = read("docs/api.md");
    let mut found = 0;
    for block in super::blocks(&page, "sh") {
        // The commands of a block follow on its comments.
        let command = block.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        if command.starts_with("curl ") {
            found += 1;
            assert!(samples.contains(&one_line(&command)), "no operation has the example {command}");
        }
    }
    assert!(found > 6, "{found}");
}
