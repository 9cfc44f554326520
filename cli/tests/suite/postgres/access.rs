//! Who may connect, and how: TLS, passwords, rights.

use std::process::Stdio;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::{
    cluster::Cluster,
    shop::{Shop, until},
};
use crate::bench::Bench;

/// Of `admit_reader`.
pub const PASSWORD: &str = "hunter2";

/// A shop behind TLS and passwords, as `localhost`. `ca.pem` has its authority, `other.pem` another one.
pub fn guarded(test: &str) -> Shop {
    // OpenSSL takes a certificate for self-signed whose name is that of its authority.
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        // Newer Pythons ask for these.
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (params, key, pem)
    };
    let (ca, ca_key, ca_pem) = authority("the shop's authority");
    let key = KeyPair::generate().unwrap();
    let mut certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    certificate.use_authority_key_identifier_extension = true;
    let certificate = certificate.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    let cluster = Cluster::with_tls(&certificate.pem(), &key.serialize_pem());
    let shop = Shop { cluster, bench: Bench::new(test) };
    shop.install();
    shop.cluster.sql(&format!("ALTER ROLE admit_reader PASSWORD '{PASSWORD}'"));
    shop.bench.write("ca.pem", ca_pem);
    shop.bench.write("other.pem", authority("another one").2);
    shop
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn tls_verifies_who_answers() {
    let shop = guarded("pg-tls");
    let port = shop.cluster.port;
    let rehearse = |host: &str, parameters: &str| {
        let url = format!("postgres://admit_reader@{host}:{port}/postgres?{parameters}");
        let mut command = shop.bench.command(&["publish", "--from", &url, "--dry-run"]);
        crate::bench::Ended::from(command.env("PGPASSWORD", PASSWORD).output().unwrap())
    };
    for good in
        ["sslrootcert=ca.pem", "sslmode=verify-full&sslrootcert=ca.pem", "sslmode=require&sslrootcert=ca.pem"]
    {
        rehearse("localhost", good).ok();
    }
    // A certificate of another authority, of one that this machine does not know, and for another name.
    rehearse("localhost", "sslmode=verify-full&sslrootcert=other.pem").failed(1, "invalid peer certificate");
    rehearse("localhost", "sslmode=require").failed(1, "invalid peer certificate");
    rehearse("127.0.0.1", "sslmode=require&sslrootcert=ca.pem").failed(1, "invalid peer certificate");
    rehearse("localhost", "sslrootcert=absent.pem").failed(1, "absent.pem");
    // On this machine alone.
    rehearse("localhost", "sslmode=disable").ok();
    rehearse("localhost", "sslmode=prefer").ok();
    rehearse("192.0.2.1", "sslmode=prefer").failed(1, "verify-full");
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_follower_listens_over_tls_with_a_password_file() {
    let shop = guarded("pg-follow-tls");
    let port = shop.cluster.port;
    shop.bench.write("pgpass", format!("localhost:{port}:postgres:admit_reader:{PASSWORD}\n"));
    let url = format!("postgres://admit_reader@localhost:{port}/postgres?sslrootcert=ca.pem&passfile=pgpass");
    let follower = shop.follow_at(&url, &[]);
    until("the session is encrypted", || {
        let sessions = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'admit_reader'";
        shop.cluster.sql(sessions) == "t"
    });
    shop.pay(1, "a");
    until("the buyer has access", || shop.may_play(1));
    let ended = follower.stop();
    assert!(ended.stderr.contains("chmod 600 pgpass"), "{}", ended.stderr);
    assert!(![&ended.stdout, &ended.stderr].iter().any(|text| text.contains(PASSWORD)), "{}", ended.stderr);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_password_is_in_no_argument_and_in_no_message() {
    let shop = guarded("pg-password");
    let port = shop.cluster.port;
    let url = format!("postgres://admit_reader@localhost:{port}/postgres");
    let run = |url: &str, password: &str| {
        let mut command = shop.bench.command(&["publish", "--from", url, "--dry-run"]);
        crate::bench::Ended::from(command.env("PGPASSWORD", password).output().unwrap())
    };
    run(&url, PASSWORD).ok();
    for ended in [
        run(&url, "wrong-hunter2").failed(1, "PGPASSWORD"),
        run(&url, "").failed(1, "password"),
        run(&url.replace('@', ":hunter2@"), PASSWORD).failed(1, "PGPASSWORD"),
        run(&format!("{url}?password=hunter2"), PASSWORD).failed(1, "PGPASSWORD"),
    ] {
        assert!(!ended.stderr.contains(PASSWORD) && !ended.stdout.contains(PASSWORD), "{}", ended.stderr);
    }
    // Nor is it among the arguments, or in the database's list of sessions, while it runs.
    let follower = shop.follow_at(&url, &[("PGPASSWORD", PASSWORD)]);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", follower.id())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&arguments).contains(PASSWORD));
    let session = "SELECT application_name || query FROM pg_stat_activity WHERE usename = 'admit_reader'";
    until("the session is listed", || shop.cluster.sql(session).contains("admit publish"));
    assert!(!shop.cluster.sql(session).contains(PASSWORD));
    drop(follower.stop());
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn the_readers_role_reads_two_views_and_nothing_else() {
    let shop = Shop::open("pg-rights");
    shop.cluster
        .sql_as("admit_reader", "SELECT count(*) FROM admit_export; SELECT count(*) FROM admit_changes");
    for refused in [
        "SELECT * FROM shop.customers",
        "SELECT * FROM admit.feed",
        "SELECT * FROM admit.customers",
        "SELECT admit.touch('item', '33')",
        "SELECT admit.purge('0 days')",
        "SELECT shop.pay('11a7ed90-65d3-4ee2-9d91-000000000001', 7, 'a')",
        "SET default_transaction_read_only = off; UPDATE admit.feed_counter SET seq = 0",
    ] {
        shop.cluster.try_sql("admit_reader", refused).failed(3, "permission denied");
    }
    // The service that hears of payments reads and changes nothing by itself.
    for refused in [
        "SELECT * FROM shop.customers",
        "INSERT INTO admit.feed VALUES (9)",
        "SELECT * FROM admit.admit_export",
    ] {
        shop.cluster.try_sql("shop_payments", refused).failed(3, "permission denied");
    }
    shop.cluster.sql("REVOKE SELECT ON admit.admit_export FROM admit_reader");
    shop.publish(&[]).failed(1, "GRANT SELECT ON admit_export, admit_changes");
    shop.cluster.sql("DROP VIEW admit.admit_export");
    shop.publish(&[]).failed(1, "expected the views admit_export(line jsonb)");
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_view_that_takes_too_long_is_given_up() {
    let shop = Shop::open("pg-slow");
    // The role's own limit is below that of the command, which sets its own: so the test holds a lock.
    shop.cluster.sql("GRANT SELECT ON shop.products TO admit_reader");
    let mut locker = shop.cluster.client("psql", &["-X", "-U", "postgres", "postgres"]);
    let mut locker = locker.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lock = "BEGIN; LOCK TABLE shop.products IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600);\n";
    std::io::Write::write_all(locker.stdin.as_mut().unwrap(), lock.as_bytes()).unwrap();
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'shop.products'::regclass";
    until("the table is locked", || shop.cluster.sql(locked) == "1");
    let waiting =
        "SELECT pid FROM pg_stat_activity WHERE usename = 'admit_reader' AND wait_event_type = 'Lock'";
    std::thread::scope(|scope| {
        let publish = scope.spawn(|| shop.publish(&[]));
        until("the publisher waits for the lock", || !shop.cluster.sql(waiting).is_empty());
        shop.cluster.sql(&format!("SELECT pg_cancel_backend(({waiting}))"));
        publish.join().unwrap().failed(1, "takes too long, or waits for a lock");
    });
    locker.kill().unwrap();
    locker.wait().unwrap();
}
