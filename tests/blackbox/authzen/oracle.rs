//! Decisions and searches beside the oracle and the checks of `/items/{id}/access`.

use std::collections::BTreeSet;

use admit_testing::oracle::{self, Check, Viewer};
use serde_json::{Value, json};

use super::{EVALUATION, EVALUATIONS, HOLDER, NOBODY, Run, SEARCH, SERVICE, post, question};
use crate::{
    personas::{self, Persona},
    wire::Wire,
};

const FREE_PROBES: usize = 400;

fn id_of(persona: &Persona) -> String {
    format!("{}:{}", persona.issuer, persona.claim("sub").unwrap_or_default())
}

/// Decisions about many items by one token, in requests of two hundred.
fn decided(run: &mut Run<'_>, token: &str, customer: &str, items: &[i64]) -> Vec<Value> {
    let mut all = Vec::new();
    for items in items.chunks(200) {
        let evaluations: Vec<_> =
            items.iter().map(|id| json!({"resource": {"type": "item", "id": id.to_string()}})).collect();
        let body = json!({"subject": {"type": "customer", "id": customer}, "action": {"name": "play"}, "evaluations": evaluations});
        all.extend(run.ask(EVALUATIONS, &body, token)["evaluations"].as_array().unwrap().clone());
    }
    all
}

/// Every viewer by every item: a service gets what the oracle says, and a viewer what a check of the item says.
pub fn decisions(run: &mut Run<'_>) {
    let lines = &run.published.lines;
    let items: Vec<i64> = lines.items.keys().copied().chain([1, 999_999]).take(FREE_PROBES).collect();
    let (service, now) = (run.token(SERVICE), run.subject.now());
    let all = oracle::Oracle {
        items: lines.items.values().collect(),
        licenses: &lines.licenses,
        apps: &lines.apps,
        at: run.published.at,
    };
    for persona in personas::all().iter().filter(|persona| persona.is_signed_in()) {
        let id = id_of(persona);
        let customer =
            lines.customers.get(&(persona.issuer.clone(), persona.claim("sub").unwrap().to_owned()));
        let found = decided(run, &service, &id, &items);
        assert_eq!(found.len(), items.len());
        for (item, found) in items.iter().zip(&found) {
            let viewer = Viewer { customer, client_id: None, merchant_id: None };
            let expected = match all.check(&viewer, *item, now) {
                Check::Granted(end) => (json!(true), json!(end)),
                Check::Denied | Check::NotFound => (json!(false), Value::Null),
            };
            let at = format!("{} {item}: {found}", persona.name);
            assert_eq!((found["decision"].clone(), found["context"]["expires_at"].clone()), expected, "{at}");
            assert!(found["context"]["reason"].is_string() && found["context"]["seq"] == 1, "{at}");
        }
        let token = run.subject.token(&persona.name);
        let own = decided(run, &token, &id, &items);
        for (item, found) in items.iter().zip(&own).step_by(7) {
            let check = run.send(&Wire::get(&format!("/items/{item}/access")).bearer(&token));
            assert_eq!(found["decision"], check.status == 200, "{} {item}: {found}", persona.name);
            if check.status == 200 {
                assert_eq!(
                    found["context"]["expires_at"],
                    check.json()["expires_at"],
                    "{} {item}",
                    persona.name
                );
            }
        }
        let one = run.ask(EVALUATION, &question(&id, &persona.item_id.to_string()), &token);
        assert_eq!(one["decision"], persona.access == 200, "{}", persona.name);
    }
    // Many customers in one request.
    let (mut evaluations, mut expected) = (Vec::new(), Vec::new());
    for customer in lines.customers.values().take(100) {
        let item = 5101;
        let viewer = Viewer { customer: Some(customer), client_id: None, merchant_id: None };
        expected.push(matches!(all.check(&viewer, item, now), Check::Granted(_)));
        evaluations.push(json!({"subject": {"type": "customer", "id": format!("{}:{}", customer.namespace, customer.subject)}}));
    }
    let mut body = question(NOBODY, "5101");
    body["evaluations"] = evaluations.into();
    let found = run.ask(EVALUATIONS, &body, &service);
    let found: Vec<_> =
        found["evaluations"].as_array().unwrap().iter().map(|one| one["decision"] == true).collect();
    assert_eq!(found, expected);
    assert!(found.contains(&true) && found.contains(&false));
}

/// All results of a search, page by page.
fn found(run: &mut Run<'_>, token: &str, customer: &str, limit: usize, include_free: bool) -> Vec<i64> {
    let (mut all, mut next) = (Vec::new(), String::new());
    for _ in 0..1_000 {
        let mut body = json!({
            "subject": {"type": "customer", "id": customer}, "action": {"name": "play"}, "resource": {"type": "item"},
            "context": {"include_free": include_free}, "page": {"limit": limit},
        });
        if !next.is_empty() {
            body["page"]["token"] = json!(next);
        }
        let answer = run.ask(SEARCH, &body, token);
        let results = answer["results"].as_array().unwrap();
        assert!(results.len() <= limit);
        assert_eq!(answer["page"]["count"], results.len());
        all.extend(results.iter().map(|one| one["id"].as_str().unwrap().parse::<i64>().unwrap()));
        next = answer["page"]["next_token"].as_str().unwrap().to_owned();
        if next.is_empty() {
            return all;
        }
    }
    panic!("a search without end");
}

/// Every viewer: a search finds what evaluations permit, each item once, whatever the size of a page.
pub fn searches(run: &mut Run<'_>) {
    let items: Vec<i64> = run.published.lines.items.keys().copied().collect();
    let (mut with_results, mut paged) = (0, 0);
    for persona in personas::all().iter().filter(|persona| persona.is_signed_in()) {
        let (token, id) = (run.subject.token(&persona.name), id_of(persona));
        let permitted: BTreeSet<i64> = items
            .iter()
            .zip(decided(run, &token, &id, &items))
            .filter_map(|(item, found)| (found["decision"] == true).then_some(*item))
            .collect();
        let is_free = |item: &&i64| !run.published.lines.items[item].access_control_type.auth;
        let free: BTreeSet<i64> = permitted.iter().filter(is_free).copied().collect();
        for limit in [100, 3] {
            let all = found(run, &token, &id, limit, true);
            assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), permitted, "{}", persona.name);
            assert_eq!(all.len(), permitted.len(), "{}: an item twice", persona.name);
            let held = found(run, &token, &id, limit, false);
            let set: BTreeSet<i64> = held.iter().copied().collect();
            assert_eq!(held.len(), set.len(), "{}: an item twice", persona.name);
            // Free items may be held as well; all others are.
            assert!(set.is_subset(&permitted), "{}", persona.name);
            assert_eq!(&permitted - &free, &set - &free, "{}", persona.name);
            with_results += usize::from(!set.is_empty());
            paged += usize::from(set.len() > limit);
        }
    }
    assert!(with_results > 10 && paged > 3, "{with_results} {paged}");

    // A token belongs to its question.
    let (service, subscriber) = (run.token(SERVICE), "vendor:6fa04b30-448d-48ce-9362-f5f6039d98b4");
    let mut body = question(subscriber, "");
    body["page"] = json!({"limit": 2});
    let next = run.ask(SEARCH, &body, &service)["page"]["next_token"].clone();
    assert_ne!(next, "");
    // The standard's example repeats the token alone.
    body["page"] = json!({"token": next});
    assert_eq!(run.ask(SEARCH, &body, &service)["page"]["count"], 2);
    for (pointer, value) in [
        ("/page/limit", json!(3)),
        ("/context", json!({"include_free": true})),
        ("/subject/id", json!(HOLDER.0)),
        ("/page/token", json!("1.2.3.4")),
        ("/page/token", json!("guessed")),
    ] {
        let mut other = body.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        other.pointer_mut(parent).unwrap()[name] = value;
        let answer = run.send(&post(SEARCH, &other).bearer(&service));
        assert!(
            answer.status == 400 && answer.json()["errors"]["page"].is_string(),
            "{pointer}: {}",
            answer.text()
        );
    }
    body["page"] = json!({"limit": 0});
    let none = run.ask(SEARCH, &body, &service);
    assert!(none["results"] == json!([]) && none["page"]["next_token"] != "", "{none}");
}
