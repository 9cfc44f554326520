//! Which customers a caller may ask about, what a service of one merchant learns, and what callers who may explain see.

use serde_json::{Value, json};

use super::{
    BOUND, CURIOUS, EVALUATION, EVALUATIONS, EXPLAINER, HOLDER, MERCHANT, NOBODY, OTHER_MERCHANT, Run,
    SEARCH, SERVICE, SUPPORT, WRITER, post, question,
};
use crate::{check::error_body, issuers};

/// The matrix: about itself, about another customer, about an unknown one.
pub fn who_may_ask_about_whom(run: &mut Run<'_>) {
    let now = run.subject.now();
    let own_subject = HOLDER.0.split_once(':').unwrap().1;
    let curious = issuers::token_by(CURIOUS, &json!({"sub": own_subject, "mid": MERCHANT}), now + 3_600);
    let viewer = run.subject.token("item-buyer");
    let other = "vendor:6fa04b30-448d-48ce-9362-f5f6039d98b4";
    // Status of: itself (or the holder, for services), another customer, an unknown one.
    for (name, token, expected) in [
        ("a viewer", viewer, [200, 403, 403]),
        ("a viewer who may explain", curious, [200, 403, 403]),
        ("a service", run.token(SERVICE), [200, 200, 200]),
        ("a service of the merchant", run.token(BOUND), [200, 200, 200]),
        ("support", run.token(SUPPORT), [200, 200, 200]),
        ("a writer", run.token(WRITER), [403; 3]),
        ("an issuer that may explain and not ask", run.token(EXPLAINER), [403; 3]),
        ("the publisher", issuers::publisher_token(now + 3_600), [403; 3]),
        ("nobody", String::new(), [401; 3]),
    ] {
        for (customer, status) in [HOLDER.0, other, NOBODY].into_iter().zip(expected) {
            let body = question(customer, HOLDER.1);
            for target in [EVALUATION, EVALUATIONS, SEARCH] {
                let wire = post(target, &body);
                let wire = if token.is_empty() { wire } else { wire.bearer(&token) };
                let answer = run.send(&wire);
                assert_eq!(answer.status, status, "{name} {customer} {target}: {}", answer.text());
            }
            if token.is_empty() {
                continue;
            }
            // Among several, the question that is not the caller's is an error by itself.
            let several = json!({"subject": body["subject"], "action": body["action"], "evaluations": [{"resource": body["resource"]}]});
            let answer = run.send(&post(EVALUATIONS, &several).bearer(&token));
            match (status, name) {
                (200, _) => assert_eq!(answer.status, 200),
                (_, "a viewer" | "a viewer who may explain") => {
                    let error = &answer.json()["evaluations"][0]["context"]["error"];
                    assert_eq!((answer.status, &error["status"]), (200, &json!(403)), "{}", answer.text());
                }
                _ => assert_eq!(answer.status, 403, "{name}"),
            }
        }
    }
    let refused = post(EVALUATION, &question(other, HOLDER.1)).bearer(&run.subject.token("item-buyer"));
    let message = "Invalid privileges: the token may ask about its own customer only";
    assert_eq!(run.send(&refused).json(), error_body(403, message, None));
    // Ids that are nearly the viewer's own.
    for id in [
        own_subject,
        &format!("vendor:{own_subject} "),
        &format!("Vendor:{own_subject}"),
        &format!("vendor::{own_subject}"),
        "vendor:",
        "",
    ] {
        let wire = post(EVALUATION, &question(id, HOLDER.1)).bearer(&run.subject.token("item-buyer"));
        assert_eq!(run.send(&wire).status, 403, "{id:?}");
    }
}

/// A service that speaks for one merchant: nothing of the others is known.
pub fn merchants(run: &mut Run<'_>) {
    let token = run.token(BOUND);
    let lines = &run.published.lines;
    let others: Vec<_> =
        lines.customers.values().filter(|customer| customer.merchant_id == OTHER_MERCHANT).collect();
    let items: Vec<_> = lines.items.values().filter(|item| item.is_active).take(60).collect();
    assert!(!others.is_empty());
    for customer in others.iter().take(5) {
        let ask = |run: &mut Run<'_>, id: &str| {
            let evaluations: Vec<_> = items
                .iter()
                .map(|item| json!({"resource": {"type": "item", "id": item.id.to_string()}}))
                .collect();
            let body = json!({"subject": {"type": "customer", "id": id}, "action": {"name": "play"}, "evaluations": evaluations});
            run.ask(EVALUATIONS, &body, &token)
        };
        // Another merchant's customer is answered as one that does not exist.
        let known = ask(run, &format!("{}:{}", customer.namespace, customer.subject));
        assert_eq!(known, ask(run, NOBODY));
        let evaluations = known["evaluations"].as_array().unwrap();
        for (item, found) in items.iter().zip(evaluations) {
            if item.merchant_id != MERCHANT {
                assert_eq!(
                    (&found["decision"], &found["context"]["reason"]),
                    (&json!(false), &json!("unknown_item"))
                );
            }
        }
        let body = question(&format!("{}:{}", customer.namespace, customer.subject), "x");
        let found = run.ask(SEARCH, &body, &token);
        assert_eq!(
            (&found["results"], &found["context"]["reason"]),
            (&json!([]), &json!("unknown_customer"))
        );
    }
}

/// Callers who may explain see every grant that was looked at, and ask about another moment.
pub fn explained(run: &mut Run<'_>) {
    let (support, service) = (run.token(SUPPORT), run.token(SERVICE));
    let expired = "vendor:41c10c51-d774-4376-8e27-116411ee50c3";
    let mut body = question(expired, "5110");
    let found = run.ask(EVALUATION, &body, &support);
    let context = &found["context"];
    assert_eq!((&found["decision"], &context["reason"]), (&json!(false), &json!("expired")), "{found}");
    assert_eq!((&context["seq"], context["as_of"].as_i64()), (&json!(1), Some(run.published.at)), "{found}");
    let considered = context["considered"].as_array().unwrap();
    assert_eq!((considered.len(), &considered[0]["obstacle"]), (1, &json!("expired")), "{found}");
    assert_eq!(
        (&considered[0]["source"], &considered[0]["found_in"]),
        (&json!("item_access"), &json!("shard"))
    );
    assert!(considered[0]["access_id"].is_i64() && considered[0]["expires_at"].is_i64(), "{found}");
    assert!(run.ask(EVALUATION, &body, &service)["context"].get("considered").is_none());
    // Four days ago it was granted.
    let then = run.published.at - 4 * 86_400;
    body["context"] = json!({"time": then, "country": "DE"});
    let found = run.ask(EVALUATION, &body, &support);
    assert_eq!(
        (&found["decision"], &found["context"]["considered"][0]["obstacle"]),
        (&json!(true), &Value::Null),
        "{found}"
    );
    assert_eq!(run.ask(EVALUATION, &body, &service)["decision"], false, "others ask about the present");
    body["context"] = json!({"time": "tomorrow"});
    assert_eq!(run.send(&post(EVALUATION, &body).bearer(&support)).status, 400);
    assert_eq!(
        run.ask(EVALUATION, &body, &service)["decision"],
        false,
        "and what they say of the time is ignored"
    );
    // An inactive item is an unknown one, but for support.
    let inactive = run.published.lines.items.values().find(|item| !item.is_active).unwrap().id.to_string();
    let body = question(HOLDER.0, &inactive);
    assert_eq!(run.ask(EVALUATION, &body, &service)["context"]["reason"], "unknown_item");
    assert_eq!(run.ask(EVALUATION, &body, &support)["context"]["reason"], "item_inactive");
}
