//! Checks of many items at once, as the edge asks them (docs/adr/0051).

use std::collections::BTreeMap;

use admit::{
    api::contract::table,
    app::{Unreadable, Verdict, verdict, verdicts},
};
use serde_json::{Value, json};
use ureq::http::Method;

use super::{
    access::{Api, Asker, NO_ITEM},
    checks::{
        EVALUATIONS_AGREES, EVALUATIONS_ANSWER, EVALUATIONS_COUNT, EVALUATIONS_ORDER, EVALUATIONS_STRANGERS,
    },
    client::{Ask, OriginAnswer},
    report::ConformanceReport,
    strangers::GARBAGE,
};
use crate::inspect::Unverified;

const GROUP: &str = "evaluations.";

/// Asks for each customer about all of the customer's items, and one that does not exist. Without the route, and without
/// `namespace`, the checks are skipped with a note.
pub fn check(
    report: &mut ConformanceReport,
    api: &mut Api<'_>,
    namespace: Option<&str>,
    granted: &[Asker],
    denied: &[Asker],
) {
    let mut customers = BTreeMap::<&str, Vec<i64>>::new();
    for Asker { token, item } in granted.iter().chain(denied) {
        customers.entry(token).or_default().push(*item);
    }
    if customers.is_empty() {
        return report.skip_rest(GROUP, "neither --granted nor --denied");
    }
    for (token, mut item_ids) in customers {
        item_ids.push(NO_ITEM);
        item_ids.dedup();
        let subject = Unverified::read(token).ok().and_then(|claims| claims.name_of("sub"));
        let (namespace, subject) = (namespace.zip(subject.as_deref()), subject.as_deref());
        let id = namespace.map_or_else(
            || subject.unwrap_or("unknown").to_owned(),
            |(namespace, subject)| format!("{namespace}:{subject}"),
        );
        let answer = match ask(api, Some(token), &id, &item_ids) {
            Ok(answer) => answer,
            Err(problem) => {
                report.fail(&EVALUATIONS_ANSWER, problem);
                return report.skip_rest(GROUP, "many checks are not answered");
            }
        };
        if matches!(answer.status, 404 | 405 | 501) {
            let note =
                "the edge confirms at most eight denials of an answer about many items, by single checks";
            return report.skip_rest(GROUP, &format!("{}: {note}", answer.status));
        }
        if namespace.is_none() {
            let missing = if subject.is_some() { "no --namespace" } else { "a token without sub" };
            return report.skip_rest(GROUP, missing);
        }
        judge(report, api, &answer, token, &item_ids);
        check_strangers(report, api, token, &id, &item_ids);
    }
    report.skip_rest(GROUP, "many checks are not answered as questions of this kind are");
}

fn ask(api: &mut Api<'_>, token: Option<&str>, id: &str, item_ids: &[i64]) -> Result<OriginAnswer, String> {
    let path = table::EVALUATIONS.path(&[]);
    let url = format!("{}{path}", api.base.trim_end_matches('/'));
    let item = |id: &i64| json!({"resource": {"type": "item", "id": id.to_string()}});
    let body = json!({
        "subject": {"type": "customer", "id": id}, "action": {"name": "play"},
        "evaluations": item_ids.iter().map(item).collect::<Vec<_>>(),
    });
    let ask = Ask::new(Method::POST, &url).bearer(token).body("application/json", body.to_string());
    api.client.send(ask)
}

/// Reads an answer as the edge does, and compares it with the single checks.
fn judge(
    report: &mut ConformanceReport,
    api: &mut Api<'_>,
    answer: &OriginAnswer,
    token: &str,
    item_ids: &[i64],
) {
    let problem = answer.other_than(&[200]);
    let is_answered = problem.is_none();
    report.judge(&EVALUATIONS_ANSWER, problem, format!("{} items: 200", item_ids.len()));
    if !is_answered {
        return;
    }
    let each = match verdicts(&answer.at_the_edge(), item_ids, None, api.now) {
        Ok(each) => each,
        Err(unreadable) => {
            let check = match unreadable.place {
                "evaluations" => &EVALUATIONS_COUNT,
                "context.item.id" => &EVALUATIONS_ORDER,
                _ => &EVALUATIONS_ANSWER,
            };
            return report.fail(check, unreadable.to_string());
        }
    };
    report.pass(&EVALUATIONS_COUNT, format!("{} decisions", each.len()));
    report.pass(&EVALUATIONS_ORDER, "each names its item");
    let mut problems = Vec::new();
    for (found, item_id) in each.iter().zip(item_ids) {
        let single = match api.access(Some(token), *item_id) {
            Ok(answer) => shown(&verdict(&answer.at_the_edge(), *item_id, None, api.now)),
            Err(problem) => problem,
        };
        let found = shown(found);
        if found != single {
            problems.push(format!("item {item_id}: {found}, and the single check: {single}"));
        }
    }
    let problems = (!problems.is_empty()).then(|| problems.join("; "));
    report.judge(&EVALUATIONS_AGREES, problems, format!("{} items as single checks", item_ids.len()));
}

/// A verdict as far as both kinds of checks have it.
fn shown(verdict: &Result<Verdict, Unreadable>) -> String {
    match verdict {
        Ok(Verdict::Granted(_, end) | Verdict::Permitted(end)) => format!("granted until {end}"),
        Ok(Verdict::Denied) => "denied".to_owned(),
        Ok(Verdict::NoItem) => "no such item".to_owned(),
        Ok(Verdict::CannotTell) => "it cannot tell".to_owned(),
        Err(unreadable) => unreadable.to_string(),
    }
}

fn check_strangers(
    report: &mut ConformanceReport,
    api: &mut Api<'_>,
    token: &str,
    id: &str,
    item_ids: &[i64],
) {
    for (who, token) in [("without a token", None), ("with a wrong token", Some(GARBAGE))] {
        let problem = match ask(api, token, id, item_ids) {
            Ok(answer) => answer.other_than(&[401]),
            Err(problem) => Some(problem),
        };
        if let Some(problem) = problem {
            return report.fail(&EVALUATIONS_STRANGERS, format!("{who}: {problem}"));
        }
    }
    let other = format!("{id}-another");
    let problem = match ask(api, Some(token), &other, item_ids) {
        Ok(answer) if matches!(answer.status, 401 | 403) => None,
        Ok(answer) if answer.status == 200 => {
            let body = answer.json().unwrap_or_default();
            let is_decided = |entry: &Value| entry.pointer("/context/error").is_none();
            let entries = body.get("evaluations").and_then(Value::as_array);
            entries
                .is_none_or(|entries| entries.iter().any(is_decided))
                .then(|| "about another customer: 200, without an error in each place".to_owned())
        }
        Ok(answer) => Some(format!("about another customer: {}", answer.describe())),
        Err(problem) => Some(problem),
    };
    report.judge(&EVALUATIONS_STRANGERS, problem, "they are refused");
}
