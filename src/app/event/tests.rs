use super::*;

#[test]
fn every_kind_is_listed_once() {
    assert_eq!(EventKind::ALL.len(), EventKind::NoEntropy as usize + 1);
    for (position, kind) in EventKind::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, position);
    }
}

#[test]
fn lines_are_whole_json_whatever_a_client_sends() {
    let hostile = "/a\"},{\"event\":\"audit\"\n\u{1}ü";
    let event = Event::Request {
        request_id: "0-1",
        method: "GET",
        path: hostile,
        status: 404,
        reason: "no route",
        detail: "",
        trace_id: "",
    };
    let line = event.to_string();
    assert!(!line.contains('\n'));
    let members: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((members["event"].as_str(), members["path"].as_str()), (Some("request"), Some(hostile)));
    assert_eq!(
        Event::KeysKept { issuer: 1, problem: None }.to_string(),
        r#"{"event":"keys_kept","issuer":1,"problem":null}"#
    );
    assert_eq!(Event::NoEntropy.to_string(), r#"{"event":"no_entropy"}"#);
}
