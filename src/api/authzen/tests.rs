use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::limits::AUTHZEN_EVALUATIONS_MAX;

fn question() -> Value {
    json!({
        "subject": {"type": "customer", "id": "vendor:anna"},
        "action": {"name": "play"},
        "resource": {"type": "item", "id": "5101"},
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut question = question();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    question.pointer_mut(parent).unwrap()[name] = value;
    question
}

fn read(api: Api, body: &Value) -> Result<Asked, ApiError> {
    api.read(body.to_string().as_bytes())
}

fn one(body: &Value) -> Result<Evaluation, ApiError> {
    match read(Api::Evaluation, body)? {
        Asked::One(evaluation) => Ok(evaluation),
        other => panic!("{other:?}"),
    }
}

fn many(body: &Value) -> (Semantic, Vec<Result<Evaluation, ApiError>>) {
    match read(Api::Evaluations, body).unwrap() {
        Asked::Several(semantic, evaluations) => (semantic, evaluations),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_of_a_wrong_type_is_refused_and_named() {
    let wrong = || [json!(null), json!(true), json!(5), json!("text"), json!([]), json!({})];
    let texts = || [json!(null), json!(true), json!(5), json!([]), json!({})];
    for (pointer, field, values) in [
        ("/subject", "subject", wrong().to_vec()),
        ("/action", "action", wrong().to_vec()),
        ("/resource", "resource", wrong().to_vec()),
        ("/subject/type", "subject", texts().to_vec()),
        ("/subject/id", "subject", texts().to_vec()),
        ("/action/name", "action", texts().to_vec()),
        ("/resource/type", "resource", texts().to_vec()),
        ("/resource/id", "resource", texts().to_vec()),
        ("/subject/properties", "subject", vec![json!(null), json!([]), json!("x")]),
        ("/action/properties", "action", vec![json!(1)]),
        ("/resource/properties", "resource", vec![json!(false)]),
        ("/context", "context", vec![json!(null), json!([]), json!("x")]),
    ] {
        for value in values {
            let refused = one(&with(pointer, value.clone())).unwrap_err();
            assert_eq!((refused.status(), refused.field()), (400, Some(field)), "{pointer} {value}");
        }
    }
    for (missing, field) in [("subject", "subject"), ("action", "action"), ("resource", "resource")] {
        let mut body = question();
        body.as_object_mut().unwrap().remove(missing);
        assert_eq!(one(&body).unwrap_err().field(), Some(field));
    }
    for body in ["", "{", "[]", "null", "5", "\"x\"", "{\"subject\":\"\\ud800\"}", "\u{feff}{}"] {
        assert_eq!(Api::Evaluation.read(body.as_bytes()), Err(ApiError::NOT_JSON), "{body:?}");
    }
    assert_eq!(Api::Evaluation.read(b"{\"a\":\"\xff\"}"), Err(ApiError::NOT_JSON));
}

#[test]
fn deep_nesting_is_refused() {
    let deep = ["{\"subject\":", &"[".repeat(100_000), &"]".repeat(100_000), "}"].concat();
    assert_eq!(Api::Evaluations.read(deep.as_bytes()), Err(ApiError::NOT_JSON));
}

#[test]
fn unknown_members_are_ignored_and_unknown_values_are_denied() {
    let plain = one(&question()).unwrap();
    assert_eq!(plain.item, Ok(5101));
    for (pointer, value) in [
        ("/foo", json!({"nested": [1, null]})),
        ("/subject/properties", json!({"role": "admin"})),
        ("/action/properties", json!({"method": "GET"})),
        ("/resource/owner", json!("bob")),
        ("/context", json!({"ip": "192.0.2.1"})),
        ("/evaluations", json!("of another endpoint")),
    ] {
        assert_eq!(one(&with(pointer, value)).unwrap(), plain, "{pointer}");
    }
    for (pointer, value, unknown) in [
        ("/subject/type", "user", Unknown::SubjectType),
        ("/subject/type", "Customer", Unknown::SubjectType),
        ("/action/name", "download", Unknown::Action),
        ("/resource/type", "package", Unknown::ResourceType),
        ("/resource/id", "x", Unknown::Item),
        ("/resource/id", "", Unknown::Item),
        ("/resource/id", "+5101", Unknown::Item),
        ("/resource/id", "9223372036854775808", Unknown::Item),
    ] {
        let evaluation = one(&with(pointer, json!(value))).unwrap();
        assert_eq!(evaluation.item, Err(unknown), "{pointer} {value}");
        assert_eq!(evaluation.customer.is_none(), unknown == Unknown::SubjectType);
    }
}

#[test]
fn times_as_the_standard_writes_them() {
    let time = |value: Value| one(&with("/context", json!({"time": value}))).unwrap().time;
    assert_eq!(time(json!("2024-05-31T15:22-07:00")), Some(Ok(1_717_194_120)));
    assert_eq!(time(json!(1_717_194_120)), Some(Ok(1_717_194_120)));
    assert_eq!(time(json!("tomorrow")), Some(Err(ApiError::INVALID_TIME)));
    assert_eq!(one(&question()).unwrap().time, None);
}

#[test]
fn defaults_fill_what_an_evaluation_lacks() {
    let mut body = question();
    body["context"] = json!({"time": 1});
    body["evaluations"] = json!([
        {},
        {"resource": {"type": "item", "id": "7"}},
        {"subject": {"type": "customer", "id": "vendor:bob"}, "context": {}},
        {"action": {"name": "download"}},
        {"resource": {"type": "item"}},
        5,
    ]);
    let (semantic, evaluations) = many(&body);
    assert_eq!((semantic, evaluations.len()), (Semantic::ExecuteAll, 6));
    let shown = |at: usize| {
        let evaluation = evaluations[at].as_ref().unwrap();
        (evaluation.customer.as_deref().unwrap(), evaluation.item, evaluation.time)
    };
    assert_eq!(shown(0), ("vendor:anna", Ok(5101), Some(Ok(1))));
    assert_eq!(shown(1), ("vendor:anna", Ok(7), Some(Ok(1))));
    assert_eq!(shown(2), ("vendor:bob", Ok(5101), None));
    assert_eq!(shown(3), ("vendor:anna", Err(Unknown::Action), Some(Ok(1))));
    assert_eq!(evaluations[4], Err(ApiError::INVALID_RESOURCE));
    assert_eq!(evaluations[5], Err(ApiError::INVALID_EVALUATIONS));

    // A member that neither has, is missing from that evaluation alone.
    let (_, evaluations) = many(&json!({
        "subject": body["subject"], "action": body["action"], "evaluations": [{"resource": body["resource"]}, {}],
    }));
    assert!(evaluations[0].is_ok());
    assert_eq!(evaluations[1], Err(ApiError::INVALID_RESOURCE));
}

#[test]
fn requests_with_several_evaluations() {
    for (evaluations, options, status) in [
        (json!(vec![json!({}); AUTHZEN_EVALUATIONS_MAX]), json!({}), 200),
        (json!(vec![json!({}); AUTHZEN_EVALUATIONS_MAX + 1]), json!({}), 400),
        (json!({}), json!({}), 400),
        (json!("x"), json!({}), 400),
        (json!(null), json!({}), 400),
        (json!([{}]), json!({"evaluations_semantic": "execute_all"}), 200),
        (json!([{}]), json!({"evaluations_semantic": "deny_on_first_deny", "other": 1}), 200),
        (json!([{}]), json!({"evaluations_semantic": "permit_on_first_permit"}), 200),
        (json!([{}]), json!({"evaluations_semantic": "all"}), 400),
        (json!([{}]), json!({"evaluations_semantic": null}), 400),
        (json!([{}]), json!([]), 400),
    ] {
        let mut body = question();
        (body["evaluations"], body["options"]) = (evaluations, options.clone());
        let found = read(Api::Evaluations, &body).map_or_else(ApiError::status, |_| 200);
        assert_eq!(found, status, "{options}");
    }
    // Without evaluations it is a single one, which needs all members.
    for evaluations in [None, Some(json!([]))] {
        let mut body = question();
        if let Some(evaluations) = evaluations {
            body["evaluations"] = evaluations;
        }
        assert!(matches!(read(Api::Evaluations, &body), Ok(Asked::One(_))));
        body.as_object_mut().unwrap().remove("action");
        assert_eq!(read(Api::Evaluations, &body), Err(ApiError::INVALID_ACTION));
    }
    // A wrong default is an error of the whole.
    let mut body = with("/subject", json!("anna"));
    body["evaluations"] = json!([question()]);
    assert_eq!(read(Api::Evaluations, &body), Err(ApiError::INVALID_SUBJECT));
}

#[test]
fn semantics_end_as_the_standard_says() {
    for (semantic, denial, permit) in [
        (Semantic::ExecuteAll, false, false),
        (Semantic::DenyOnFirstDeny, true, false),
        (Semantic::PermitOnFirstPermit, false, true),
    ] {
        assert_eq!((semantic.ends_with(false), semantic.ends_with(true)), (denial, permit), "{semantic:?}");
    }
}

#[test]
fn searches() {
    let search = |body: &Value| match read(Api::ResourceSearch, body) {
        Ok(Asked::Search(search)) => Ok(search),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    let plain = search(&question()).unwrap();
    assert_eq!((plain.unknown, plain.limit, plain.token), (None, None, None));
    // The resource's id is ignored.
    for id in [json!(5), json!(null), json!("x")] {
        assert_eq!(search(&with("/resource/id", id)).unwrap(), plain);
    }
    let token = PageToken { question: 1, limit: 2, cursor: Cursor(3, 4) };
    for (page, expected) in [
        (json!({}), Ok((None, None))),
        (json!({"limit": 2, "properties": {}, "other": 1}), Ok((Some(2), None))),
        (json!({"limit": 0}), Ok((Some(0), None))),
        (json!({"limit": 18_446_744_073_709_551_615_u64}), Ok((Some(100), None))),
        (json!({"token": ""}), Ok((None, None))),
        (json!({"token": token.text(), "limit": 2}), Ok((Some(2), Some(token)))),
        (json!({"limit": -1}), Err(())),
        (json!({"limit": 1.5}), Err(())),
        (json!({"limit": "2"}), Err(())),
        (json!({"token": 5}), Err(())),
        (json!({"token": "guessed"}), Err(())),
        (json!({"properties": []}), Err(())),
        (json!([]), Err(())),
    ] {
        let found = search(&with("/page", page.clone())).map(|search| (search.limit, search.token));
        assert_eq!(found, expected.map_err(|()| ApiError::INVALID_PAGE_OBJECT), "{page}");
    }
    let free = |context: Value| search(&with("/context", context)).map(|search| search.include_free);
    assert_eq!((free(json!({})), free(json!({"include_free": true}))), (Ok(false), Ok(true)));
    assert_eq!(free(json!({"include_free": "yes"})), Err(ApiError::INVALID_CONTEXT));
    for (pointer, value, unknown) in [
        ("/subject/type", "user", Unknown::SubjectType),
        ("/action/name", "download", Unknown::Action),
        ("/resource/type", "film", Unknown::ResourceType),
    ] {
        assert_eq!(search(&with(pointer, json!(value))).unwrap().unknown, Some(unknown));
    }
    for missing in ["subject", "action", "resource"] {
        let mut body = question();
        body.as_object_mut().unwrap().remove(missing);
        assert_eq!(search(&body).unwrap_err().field(), Some(missing));
    }
}

#[test]
fn headers_of_a_request() {
    for (content_type, coding, expected) in [
        ("application/json", "", None),
        ("Application/JSON; charset=UTF-8", "identity", None),
        ("", "", Some(400)),
        ("text/json", "", Some(400)),
        ("application/problem+json", "", Some(400)),
        ("application/json; charset=latin1", "", Some(400)),
        ("application/x-www-form-urlencoded", "", Some(400)),
        ("application/json", "gzip", Some(415)),
    ] {
        let found = check_headers(content_type, coding).err().map(ApiError::status);
        assert_eq!(found, expected, "{content_type} {coding}");
    }
}

#[test]
fn bodies_of_answers() {
    let (reason, explained) = ("item_access", String::new());
    let granted = Verdict::Decided { decision: true, reason, expires_at: Some(9), seq: Some(7), explained };
    assert_eq!(
        decision(&granted),
        r#"{"decision":true,"context":{"reason":"item_access","expires_at":9,"seq":7}}"#
    );
    let failed = Verdict::of(ApiError::INVALID_CONTEXT);
    let body: Value = serde_json::from_str(&evaluations(&[granted, failed])).unwrap();
    assert_eq!(body["evaluations"][0]["decision"], true);
    assert_eq!(
        body["evaluations"][1],
        json!({"decision": false, "context": {"error": {"status": 400, "message": ApiError::INVALID_CONTEXT.message()}}})
    );
    assert_eq!(
        search(&[5, 6], "a.b", r#""seq":1"#),
        r#"{"page":{"next_token":"a.b","count":2},"context":{"seq":1},"results":[{"type":"item","id":"5"},{"type":"item","id":"6"}]}"#
    );
    let body: Value = serde_json::from_str(&metadata("https://edge.example")).unwrap();
    assert_eq!(body["policy_decision_point"], "https://edge.example");
    assert_eq!(body["access_evaluation_endpoint"], "https://edge.example/access/v1/evaluation");
    assert_eq!(body["access_evaluations_endpoint"], "https://edge.example/access/v1/evaluations");
    assert_eq!(body["search_resource_endpoint"], "https://edge.example/access/v1/search/resource");
    assert_eq!(body.as_object().unwrap().len(), 4);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, odd in r#"[{}\[\]":,a-z0-9 ]{0,80}"#) {
        for api in [Api::Evaluation, Api::Evaluations, Api::ResourceSearch] {
            let _ = api.read(&bytes);
            let _ = api.read(odd.as_bytes());
        }
    }
}
