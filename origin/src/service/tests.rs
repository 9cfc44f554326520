//! The engine by itself, on a database that is busy or full.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicI64, Ordering},
};

use super::*;
use crate::{
    clock::Clock,
    db::import::import,
    wire::{Body, Budget, Payload},
};

fn ask(engine: &mut Engine, method: &str, path: &str, bearer: &str, body: &str) -> Reply {
    let payload = Payload {
        content_type: "application/x-www-form-urlencoded".to_owned(),
        body: Body::Whole(body.as_bytes().to_vec()),
        budget: Budget::WRITE,
        ..Payload::default()
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let authorization = format!("Bearer {bearer}");
    let incoming = Incoming { method, path, authorization, payload, ..Incoming::default() };
    let Delivery::Reply(reply) = engine.answer(&incoming) else { panic!("no reply") };
    reply
}

const SECRET: &str = "a program's secret";

/// An origin with the sample catalogue and a program: its directory, its clock, and one engine.
fn shop() -> (PathBuf, Arc<AtomicI64>, Engine) {
    let dir = std::env::temp_dir().join(format!("origin-engine-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&dir).unwrap();
    let clock = Arc::new(AtomicI64::new(1_795_000_000));
    let mut settings = Settings::new(dir.join("origin.db"), "https://origin.example".to_owned());
    settings.clock = Clock::set(Arc::clone(&clock));
    settings.variables.insert("LOG_CHECKS".to_owned(), "none".to_owned());
    let mut connection = db::open(&settings.db).unwrap();
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/catalogue");
    import(&mut connection, &samples, settings.clock.now()).unwrap();
    keys::Signer::current(&connection, settings.clock.now()).unwrap();
    let sql = "INSERT INTO machines VALUES ('shop', 2101, ?1, 1, '', 0)";
    connection.execute(sql, [tokens::secret::hash(SECRET)]).unwrap();
    let engine = Engine::new(Shared::new(settings).unwrap()).unwrap();
    (dir, clock, engine)
}

/// While another process holds the database for a long write, requests that need no write are answered.
#[test]
fn checks_and_invented_tokens_wait_for_no_write() {
    let (dir, clock, mut engine) = shop();
    engine.connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let other = db::connect_to(&engine.shared.settings.db).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let token = "grant_type=refresh_token&client_id=x&refresh_token=y";
    let code = "grant_type=authorization_code&client_id=x&code=y&code_verifier=z";
    for (path, form, status) in
        [("/accounts/authenticate", token, 401), ("/oauth2/token", token, 400), ("/oauth2/token", code, 400)]
    {
        let reply = ask(&mut engine, "POST", path, "", form);
        assert_eq!(reply.status, status, "{path} {form}");
    }
    clock.fetch_add(61, Ordering::SeqCst);
    ask(&mut engine, "GET", "/items/5101/access", "x", "");
    let settle = |engine: &mut Engine, method: &str| {
        engine.settle(&Incoming { method: method.to_owned(), ..Incoming::default() });
        engine.shared.counts.are_due(engine.now())
    };
    assert!(settle(&mut engine, "GET"), "a check stores no counts");
    // Counts that could not be stored are tried again a minute later.
    assert!(!settle(&mut engine, "POST"));
    clock.fetch_add(61, Ordering::SeqCst);
    other.execute_batch("COMMIT").unwrap();
    assert!(settle(&mut engine, "GET"));
    assert!(!settle(&mut engine, "POST"));
    let sql = "SELECT sum(count) FROM audit_counts";
    assert_eq!(engine.connection.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap(), 3);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The database may not grow, as on a full disk; later it may again.
#[test]
fn the_health_reports_a_full_database_until_a_write_succeeds() {
    let (dir, clock, mut engine) = shop();
    let form = format!("grant_type=client_credentials&client_id=shop&client_secret={SECRET}");
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
    // Without further writes, the health endpoint finds out by a try of its own.
    assert_eq!(health(&mut engine), degraded);
    clock.fetch_add(60, Ordering::SeqCst);
    assert_eq!(health(&mut engine), ("ok".to_owned(), None));
    // A successful write also ends it.
    let pages: i64 = engine.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    bound(&engine, pages);
    while write(&mut engine).status == 201 {}
    assert_eq!(health(&mut engine), degraded);
    bound(&engine, 1_000_000);
    assert_eq!(write(&mut engine).status, 201);
    assert_eq!(health(&mut engine), ("ok".to_owned(), None));
    std::fs::remove_dir_all(&dir).unwrap();
}
