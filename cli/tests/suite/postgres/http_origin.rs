//! The kit's HTTP origin in Python, for those who want one. `cargo xtask test` names a Python with what it needs
//! in `ADMIT_POSTGRES_PYTHON`.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{
    access::{PASSWORD, guarded},
    shop::{Shop, kit, until},
};

const TOKEN: &str = "feed-secret-of-the-kit";

struct Origin {
    child: Child,
    url: String,
}

impl Origin {
    fn start(shop: &Shop) -> Self {
        Self::start_with(shop, &[])
    }

    /// With other variables. What it says of failures is in `origin.log`.
    fn start_with(shop: &Shop, variables: &[(&str, &str)]) -> Self {
        let python = env::var_os("ADMIT_POSTGRES_PYTHON")
            .unwrap_or_else(|| panic!("ADMIT_POSTGRES_PYTHON names a Python with pg8000"));
        let mut command = Command::new(python);
        command.arg(kit("origin.py")).arg("0").env("FEED_TOKEN", TOKEN).env("PGUSER", "admit_reader");
        command.env("PGHOST", shop.cluster.dir()).env("PGPORT", shop.cluster.port.to_string());
        let log = fs::File::create(shop.bench.dir.join("origin.log")).unwrap();
        command.env("PGDATABASE", "postgres").stdout(Stdio::piped()).stderr(log);
        command.current_dir(&shop.bench.dir).envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_suffix("/export").unwrap().to_owned();
        Self { child, url }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs PostgreSQL and pg8000: cargo xtask test"]
fn check_origin_passes_on_the_http_origin() {
    let shop = Shop::open("pg-http");
    let origin = Origin::start(&shop);
    let conforms = |failed: &[&str]| {
        let mut command = shop.bench.command(&["check-origin", &origin.url, "--json"]);
        let output = command.env("ADMIT_ORIGIN_TOKEN", TOKEN).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let outcome = |outcome: &str| -> Vec<String> {
            let checks = report["checks"].as_array().unwrap().iter();
            let checks = checks.filter(|check| check["outcome"] == outcome);
            checks.map(|check| check["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(outcome("fail"), failed, "{report}");
        assert!(outcome("pass").len() >= 18, "{report}");
    };
    conforms(&[]);
    for customer in 1..=3 {
        shop.pay(customer, &format!("order-{customer}"));
    }
    conforms(&[]);
    // A feed that has lost a change in its middle is found, and one that has lost its beginning is in order.
    shop.cluster.sql("DELETE FROM admit.feed WHERE seq = (SELECT max(seq) - 1 FROM admit.feed)");
    conforms(&["feed.order"]);
    shop.cluster.sql("SELECT admit.purge('0 days')");
    conforms(&[]);
}

#[test]
#[ignore = "needs PostgreSQL and pg8000: cargo xtask test"]
fn the_http_origin_is_followed_as_the_database_is() {
    let shop = Shop::open("pg-http-follow");
    let origin = Origin::start(&shop);
    let follower = shop.follow_at(&format!("{}/export", origin.url), &[("ADMIT_ORIGIN_TOKEN", TOKEN)]);
    for customer in 1..=3 {
        shop.pay(customer, &format!("order-{customer}"));
        until("the buyer has access", || shop.may_play(customer));
    }
    let feed = |after: u64| {
        let asked = ureq::get(format!("{}/export?after={after}", origin.url));
        let answer = asked.header("authorization", format!("Bearer {TOKEN}")).call().unwrap();
        answer.headers()["entitlement-seq"].to_str().unwrap().parse::<u64>().unwrap()
    };
    let counter = shop.counter();
    assert_eq!([feed(counter - 1), feed(counter)], [counter; 2], "how many changes there are");
    shop.is_what_the_database_has();
    drop(follower.stop());
}

/// What the origin answers to a reader of the export, or what it says if it breaks off.
fn exported(origin: &Origin, shop: &Shop) -> Result<String, String> {
    let mut asked = ureq::get(format!("{}/export", origin.url));
    asked = asked.header("authorization", format!("Bearer {TOKEN}"));
    let answer = asked.call().and_then(|mut answer| answer.body_mut().read_to_string());
    answer.map_err(|_| fs::read_to_string(shop.bench.dir.join("origin.log")).unwrap())
}

#[test]
#[ignore = "needs PostgreSQL and pg8000: cargo xtask test"]
fn the_http_origin_tells_its_password_to_its_database_only() {
    let shop = guarded("pg-http-tls");
    // In capitals it is a name as that of any machine, for which TLS is a must.
    let start = |host: &str, authority: &[(&str, &str)]| {
        let variables = [&[("PGHOST", host), ("PGPASSWORD", PASSWORD)], authority].concat();
        Origin::start_with(&shop, &variables)
    };
    let origin = start("LOCALHOST", &[("PGSSLROOTCERT", "ca.pem")]);
    let lines = exported(&origin, &shop).unwrap();
    assert!(lines.lines().count() > 200, "{lines}");
    // Another authority, none but those of this machine, and another name. The password is not asked for.
    for (host, authority, problem) in [
        ("LOCALHOST", &[("PGSSLROOTCERT", "other.pem")][..], "unable to get local issuer certificate"),
        ("LOCALHOST", &[], "unable to get local issuer certificate"),
        ("127.1", &[("PGSSLROOTCERT", "ca.pem")], "certificate is not valid for"),
    ] {
        let origin = start(host, authority);
        let said = exported(&origin, &shop).unwrap_err();
        assert!(said.contains("CERTIFICATE_VERIFY_FAILED") && said.contains(problem), "{host}: {said}");
    }
}
