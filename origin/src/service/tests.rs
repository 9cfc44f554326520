//! The engine by itself, on a database that fails.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::{clock::Clock, db::import::import, wire::Budget};

fn ask(engine: &mut Engine, method: &str, path: &str, bearer: &str, body: &str) -> Reply {
    let payload = Payload {
        content_type: "application/x-www-form-urlencoded".to_owned(),
        body: wire::Body::Whole(body.as_bytes().to_vec()),
        budget: Budget::WRITE,
        ..Payload::default()
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let authorization = format!("Bearer {bearer}");
    let incoming = Incoming { method, path, authorization, payload, ..Incoming::default() };
    let Outcome::Reply(reply) = engine.answer(&incoming) else { panic!("no reply") };
    reply
}

/// The database may not grow, as on a full disk, and then it may again.
#[test]
fn a_full_database_is_said_until_a_write_succeeds() {
    let dir = std::env::temp_dir().join(format!("origin-full-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&dir).unwrap();
    let clock = Arc::new(AtomicI64::new(1_795_000_000));
    let mut settings = Settings::new(dir.join("origin.db"), "https://origin.example".to_owned());
    settings.clock = Clock::set(Arc::clone(&clock));
    settings.variables.insert("LOG_CHECKS".to_owned(), "none".to_owned());
    let mut connection = db::open(&settings.db).unwrap();
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/catalogue");
    import(&mut connection, &samples, settings.clock.now()).unwrap();
    keys::Signer::current(&connection, settings.clock.now()).unwrap();
    let secret = "a program's secret";
    let sql = "INSERT INTO machines VALUES ('shop', 2101, ?1, 1, '', 0)";
    connection.execute(sql, [tokens::secret::hash(secret)]).unwrap();
    let mut engine = Engine::new(Shared::new(settings)).unwrap();
    let form = format!("grant_type=client_credentials&client_id=shop&client_secret={secret}");
    let signed_in = ask(&mut engine, "POST", "/accounts/authenticate", "", &form);
    let signed_in: serde_json::Value = serde_json::from_slice(signed_in.body.as_bytes()).unwrap();
    let token = signed_in["access_token"].as_str().unwrap().to_owned();
    let item = format!("item_type=jw_asset&title=x&content={}", "x".repeat(40_000));
    let health = |engine: &mut Engine| {
        let reply = ask(engine, "GET", "/healthz", "", "");
        let body: serde_json::Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
        (body["status"].as_str().unwrap().to_owned(), body["writes"].as_str().map(str::to_owned))
    };
    let pages: i64 = engine.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let bound = |engine: &Engine, pages: i64| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        engine.connection.query_row(&sql, [], |_| Ok(())).unwrap();
    };
    assert_eq!(health(&mut engine), ("ok".to_owned(), None));
    bound(&engine, pages);
    let seq = db::seq(&engine.connection).unwrap();
    let write = |engine: &mut Engine| ask(engine, "POST", "/v2/items", &token, &item);
    let refused = write(&mut engine);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")));
    assert!(String::from_utf8_lossy(refused.body.as_bytes()).contains("not applied"));
    assert_eq!(db::seq(&engine.connection).unwrap(), seq);
    let degraded = ("degraded".to_owned(), Some("full".to_owned()));
    assert_eq!(health(&mut engine), degraded);
    bound(&engine, 1_000_000);
    // Nobody writes: after a while the health finds out for itself.
    assert_eq!(health(&mut engine), degraded);
    clock.fetch_add(60, Ordering::SeqCst);
    assert_eq!(health(&mut engine), ("ok".to_owned(), None));
    // Or a write succeeds.
    let pages: i64 = engine.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    bound(&engine, pages);
    while write(&mut engine).status == 201 {}
    assert_eq!(health(&mut engine), degraded);
    bound(&engine, 1_000_000);
    assert_eq!(write(&mut engine).status, 201);
    assert_eq!(health(&mut engine), ("ok".to_owned(), None));
    std::fs::remove_dir_all(&dir).unwrap();
}
