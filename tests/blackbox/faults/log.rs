//! Client input in the log is bounded.

use crate::faults::edge::{Business, Edge, START};

#[test]
fn a_path_does_not_fill_the_log() {
    let edge = Edge::started();
    Business::new(1, Some(START + 1_000)).publish(edge.platform());
    let path = format!("/items/{}/access", "é\n".repeat(5_000));
    assert_eq!(edge.get(&path, "no token").status, 401);
    let lines = edge.platform().memory_log().take();
    let line = lines.last().unwrap();
    assert!(line.len() < 700 && !line.contains('\n'), "{} bytes", line.len());
    let logged: serde_json::Value = serde_json::from_str(line).unwrap();
    let logged = logged["path"].as_str().unwrap();
    assert!(path.starts_with(logged) && logged.starts_with("/items/"), "{logged}");
}
