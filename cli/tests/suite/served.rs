//! Every command against the service itself: publisher and Worker must understand each other.

mod canary;
mod check;
mod customers;
mod external_ids;
mod scopes;
mod versions;

use admit_snapshot::object::{ObjectKind, ObjectName};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::Value;

use crate::{
    bench::{Bench, Ended, catalogue},
    service::Service,
};

struct Subject {
    bench: Bench,
    service: Service,
    token: String,
}

impl Subject {
    fn new(test: &str) -> Self {
        Self::on(test, Service::start)
    }

    fn on(test: &str, start: impl FnOnce(&Bench) -> Service) -> Self {
        let bench = Bench::new(test);
        let service = start(&bench);
        let token = Service::token(&bench, "publisher", "sync");
        Self { bench, service, token }
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.bench.command(args).env("ADMIT_TOKEN", &self.token).output().unwrap().into()
    }

    fn publish(&self, text: &str, more: &[&str]) -> Ended {
        self.bench.write("all.ndjson", text);
        let args = ["publish", "--from", "all.ndjson", "--to", &self.service.url, "--key", "publisher.jwk"];
        self.run(&[&args, more].concat())
    }

    fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--from", &self.service.url, "--json"]].concat()).ok();
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// The status of a customer's check, as a player gets it.
    fn check(&self, subject: &str) -> u16 {
        let token = Service::token(&self.bench, "id", subject);
        self.request("GET", "/items/33/access", &token, &[]).0
    }

    fn request(&self, method: &str, path: &str, token: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent: ureq::Agent = config.into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.service.url))
            .header("authorization", format!("Bearer {token}"))
            .body(body)
            .unwrap();
        let mut response = agent.run(request).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_vec().unwrap())
    }
}

#[test]
fn versions_come_and_go() {
    let subject = Subject::new("service");
    subject.publish(&catalogue(3), &[]).ok();
    assert_eq!(["c1", "c3", "c4"].map(|customer| subject.check(customer)), [200, 200, 402]);
    let ended = subject.publish(&catalogue(5_000), &[]).ok();
    assert!(ended.stdout.contains("Published seq 2"), "{}", ended.stdout);
    assert_eq!(["c4", "c5000", "c5001"].map(|customer| subject.check(customer)), [200, 200, 402]);
    let ended = subject.run(&["verify", "--from", &subject.service.url, "--key", "publisher.jwk"]).ok();
    assert!(ended.stdout.contains("Customers  5,000"), "{}", ended.stdout);
    let shown = subject.json(&["inspect", "--key", "publisher.jwk"]);
    assert_eq!((&shown["history"]["versions_total"], &shown["history"]["lease"]), (&2.into(), &Value::Null));
    assert_eq!(subject.json(&["diff", "1", "head"])["customers"]["added"], 4_997);
    let roll_back = ["rollback", "--to", "1", "--from", &subject.service.url, "--key", "publisher.jwk"];
    subject.run(&roll_back).ok();
    assert_eq!(["c1", "c4"].map(|customer| subject.check(customer)), [200, 402]);
    subject.run(&roll_back).failed(1, "is already published, as seq 3");
    let report = subject.json(&["gc"]);
    assert_eq!((&report["newly_marked"], &report["versions_dropped"]), (&0.into(), &Value::Array(vec![])));
}

/// The private key of RFC 8037 A.1, which signs the example of the storage schema.
const EXAMPLES_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"publisher-1",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// The only fenced block of a language in the example.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    text.split_once(&format!("```{language}\n")).unwrap().1.split_once("\n```").unwrap().0
}

/// The objects of the example, each with its key.
fn examples_objects(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut objects = Vec::new();
    let parts: Vec<_> = text.split("```hex\n").collect();
    for pair in parts.windows(2) {
        let [before, dump] = pair else { continue };
        let (dump, _) = dump.split_once("\n```").unwrap();
        let mut object = Vec::new();
        for line in dump.lines() {
            match line.strip_prefix("| ") {
                Some(text) => object.extend(text.bytes()),
                None => {
                    let hex = line.split('#').next().unwrap_or_default().split_whitespace();
                    object.extend(hex.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
                }
            }
        }
        let introduction = before.trim_end().lines().last().unwrap();
        objects.push((introduction.split('`').nth(1).unwrap().to_owned(), object));
    }
    objects
}

/// The store of an earlier release, byte for byte: it is read, changed, published again and rolled back to.
#[test]
fn a_store_of_format_1_is_read_published_in_format_3_and_rolled_back_to() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/snapshot-format-1.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let subject = Subject::on("service-formats", |bench| {
        bench.write("publisher.jwk", EXAMPLES_KEY);
        Service::start(bench)
    });
    let put = |key: &str, body: &[u8]| {
        let (status, answer) = subject.request("PUT", &format!("/snapshot/{key}"), &subject.token, body);
        assert!((200..300).contains(&status), "{key}: {status} {}", String::from_utf8_lossy(&answer));
    };
    let objects = examples_objects(&text);
    assert_eq!(objects.len(), 8);
    objects.iter().for_each(|(key, object)| put(key, object));
    for key in ["version/8", "head"] {
        put(key, block(&text, "jws").as_bytes());
    }
    let head = || {
        let shown = subject.json(&["inspect", "--key", "publisher.jwk"]);
        (shown["head"]["format"].as_u64().unwrap(), shown["head"]["seq"].as_u64().unwrap())
    };
    let item = || subject.request("GET", "/items/33", "", &[]).0;
    let verified = || {
        let ended = subject.run(&["verify", "--from", &subject.service.url, "--key", "publisher.jwk"]);
        ended
            .stdout
            .lines()
            .filter(|line| line.starts_with("problem: "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // The head of the example counts the records including its delta.
    let miscounted = ["problem: head: it counts 0 customers in the shards, and 1 were found"];
    assert_eq!((head(), item(), subject.check("anna")), ((1, 8), 200, 402), "she has left");
    assert_eq!(verified(), miscounted);
    // A change without the catalogue: the index stays, and a reader of format 1 no longer accepts the head.
    let anna = block(&text, "ndjson").lines().last().unwrap();
    subject.bench.write("changes.ndjson", format!("{{\"seq\":9,\"put\":[{anna}]}}\n"));
    let changes = ["--changes", "changes.ndjson", "--to", &subject.service.url, "--key", "publisher.jwk"];
    subject.run(&[&["publish"], changes.as_slice()].concat()).ok();
    assert_eq!((head(), item(), subject.check("anna")), ((3, 9), 200, 200));
    assert_eq!(verified(), miscounted);
    // A full publish.
    let lines = block(&text, "ndjson").replace("\"seq\":7", "\"seq\":10");
    subject.publish(&lines, &[]).ok();
    assert_eq!((head(), item(), subject.check("anna")), ((3, 10), 200, 200));
    assert!(verified().is_empty());
    let differs = subject.json(&["diff", "8", "head"]);
    let count = |tree: &str| ["added", "removed", "changed"].map(|how| differs[tree][how].as_u64().unwrap());
    assert_eq!((count("items"), count("customers")), ([0, 0, 0], [1, 0, 0]), "{differs}");
    // Items that moved to another shard are not shown as changed.
    let shown = subject.run(&["inspect", "--from", &subject.service.url, "--json"]).ok().stdout;
    let (_, jws) = subject.request("GET", "/snapshot/head", &subject.token, &[]);
    let payload = String::from_utf8(jws).unwrap().split('.').nth(1).map(Base64UrlUnpadded::decode_vec);
    let named: Value = serde_json::from_slice(&payload.unwrap().unwrap()).unwrap();
    let index = format!("/snapshot/index/{}", named["index"].as_str().unwrap());
    let (status, index) = subject.request("GET", &index, &subject.token, &[]);
    let salt: String = index[8..24].iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(status == 200 && index[4] == 3 && index[8..24] != [0; 16] && !shown.contains(&salt));
    // The same lines again: the salt stays, and so does every object.
    let again = subject.publish(&lines.replace("\"seq\":10", "\"seq\":11"), &[]).ok();
    assert!(again.stdout.contains("uploaded   0 "), "{}", again.stdout);
    // Back to format 1, and forward again.
    let roll_back = ["rollback", "--to", "8", "--from", &subject.service.url, "--key", "publisher.jwk"];
    subject.run(&roll_back).ok();
    assert_eq!((head(), item(), subject.check("anna")), ((1, 12), 200, 402));
    assert_eq!(verified(), miscounted);
    subject.publish(&lines.replace("\"seq\":10", "\"seq\":13"), &[]).ok();
    assert_eq!((head(), item(), subject.check("anna")), ((3, 13), 200, 200));
}

#[test]
fn the_namespaces_of_the_issuers_are_asked_for() {
    let subject = Subject::new("service-namespaces");
    let ended = subject.publish(&catalogue(3).replace("\"vendor\"", "\"vendr\""), &[]);
    ended.failed(2, "no issuer of the Worker has the namespace \"vendr\" of 3 customers (first: all.ndjson:3; did you mean \"vendor\"?)");
    let ended = subject.publish(&catalogue(3), &[]).ok();
    assert!(!ended.stderr.contains("namespaces"), "{}", ended.stderr);
}

#[test]
fn many_objects_go_in_packs_and_are_checked_and_listed() {
    let subject = Subject::new("service-packs");
    subject.publish(&catalogue(50_000), &[]).ok();
    assert_eq!(["c1", "c50000", "c50001"].map(|customer| subject.check(customer)), [200, 200, 402]);
    subject.run(&["verify", "--from", &subject.service.url, "--key", "publisher.jwk"]).ok();
    // All of them are stored, and are found page by page.
    let ended = subject.publish(&catalogue(50_000), &["--repair"]).ok();
    assert!(ended.stdout.contains("uploaded   0 ("), "{}", ended.stdout);
}

/// The lease is taken and given back within a second, and the second publish puts its head within a second of
/// the first.
#[test]
fn a_store_that_takes_one_write_a_second_is_waited_for() {
    let subject = Subject::on("service-second", Service::with_limited_writes);
    subject.publish(&catalogue(3), &[]).ok();
    subject.publish(&catalogue(4), &[]).ok();
    assert_eq!(subject.check("c4"), 200);
    assert_eq!(subject.request("GET", "/snapshot/lease", &subject.token, &[]).0, 404);
}

#[test]
fn strays_are_collected() {
    let subject = Subject::new("service-gc");
    subject.publish(&catalogue(3), &[]).ok();
    let stray = ObjectKind::Delta.header();
    let stray_name = ObjectName::of(ObjectKind::Delta, &stray);
    let path = format!("/snapshot/{stray_name}");
    let ask = |method: &str, path: &str, body: &[u8]| subject.request(method, path, &subject.token, body).0;
    assert_eq!(ask("PUT", &path, &stray), 201);
    let garbage = format!(r#"{{"marked":[{{"at":1700000000,"objects":["{stray_name}"]}}]}}"#);
    assert_eq!(ask("PUT", "/snapshot/garbage", garbage.as_bytes()), 201);
    let report = subject.json(&["gc"]);
    assert_eq!((&report["deleted"], &report["marked"]), (&1.into(), &0.into()));
    assert_eq!(ask("GET", &path, &[]), 404);
    subject.run(&["verify", "--from", &subject.service.url, "--key", "publisher.jwk"]).ok();
}

#[test]
fn leases_keep_publishers_apart() {
    let subject = Subject::new("service-lease");
    subject.publish(&catalogue(3), &[]).ok();
    let until = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 100;
    let lease = format!(r#"{{"holder":"{}","host":"other:1","until":{until}}}"#, "0".repeat(32));
    assert_eq!(subject.request("PUT", "/snapshot/lease", &subject.token, lease.as_bytes()).0, 201);
    subject.publish(&catalogue(4), &[]).failed(1, "another publisher, other:1, holds the lease until 20");
    subject.run(&["gc", "--from", &subject.service.url]).failed(1, "other:1");
    assert_eq!(subject.check("c4"), 402);
    let ended = subject.publish(&catalogue(4), &["--force"]).ok();
    assert!(ended.stderr.contains("warning: taking over the lease of other:1"), "{}", ended.stderr);
    assert_eq!(subject.check("c4"), 200);
    assert_eq!(subject.request("GET", "/snapshot/lease", &subject.token, &[]).0, 404, "it was given back");
}

impl Subject {
    fn revoke(&self, more: &[&str]) -> Ended {
        self.run(&[&["revoke", "--in", &self.service.url, "--key", "publisher.jwk"], more].concat())
    }

    /// The status of a check with this token.
    fn play(&self, token: &str) -> u16 {
        self.request("GET", "/items/33/access", token, &[]).0
    }

    fn viewer(&self, jti: &str) -> String {
        let claims = format!(r#"{{"iss":"https://id.example","aud":"admit","sub":"c1","jti":"{jti}"}}"#);
        let args = ["token", "--key", "publisher.jwk", "--claims", &claims];
        self.bench.run(&args).ok().stdout.trim().to_owned()
    }
}

#[test]
fn a_token_is_revoked_beside_a_publisher_at_work_and_stays_so_until_it_is_lifted() {
    let subject = Subject::new("service-revoke");
    subject.publish(&catalogue(3), &["--audience", "production"]).ok();
    let (stolen, other) = (subject.viewer("stolen"), subject.viewer("other"));
    assert_eq!([&stolen, &other].map(|token| subject.play(token)), [200, 200]);
    // Another publisher follows an origin.
    let until = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 100;
    let lease = format!(r#"{{"holder":"{}","host":"other:1","until":{until}}}"#, "0".repeat(32));
    assert_eq!(subject.request("PUT", "/snapshot/lease", &subject.token, lease.as_bytes()).0, 201);
    subject.bench.write("stolen.jwt", &stolen);
    let ended = subject.revoke(&["--token", "@stolen.jwt", "--reason", "ticket 4711", "--watch", "0"]).ok();
    assert!(ended.stdout.starts_with("Revoked: token with SHA-256 "), "{}", ended.stdout);
    assert!(!ended.stdout.contains(stolen.rsplit('.').next().unwrap()), "{}", ended.stdout);
    assert_eq!([&stolen, &other].map(|token| subject.play(token)), [401, 200]);
    // A full publish, and a rollback to the previous version, keep the revocation.
    subject.publish(&catalogue(4), &["--force"]).ok();
    assert_eq!([&stolen, &other].map(|token| subject.play(token)), [401, 200]);
    subject.run(&["rollback", "--to", "1", "--from", &subject.service.url, "--key", "publisher.jwk"]).ok();
    assert_eq!([&stolen, &other].map(|token| subject.play(token)), [401, 200]);
    let shown = subject.json(&["revoke", "--list"]);
    let entry = &shown["denylist"][0];
    assert_eq!((&shown["aud"], &entry["state"]), (&"production".into(), &"revoked".into()));
    assert_eq!((shown["denylist"].as_array().unwrap().len(), &entry["reason"]), (1, &"ticket 4711".into()));
    subject.revoke(&["--token", "@stolen.jwt", "--lift"]).ok();
    assert_eq!([&stolen, &other].map(|token| subject.play(token)), [200, 200]);
    assert_eq!(subject.json(&["revoke", "--list"])["denylist"][0]["state"], "lifted");
    subject.revoke(&["--token", "never", "--lift"]).failed(1, "not revoked: jti \"never\"");
}

#[test]
fn a_customer_and_a_key_are_revoked_by_the_names_that_the_worker_knows() {
    let subject = Subject::new("service-revoke-names");
    subject
        .revoke(&["--customer", "vendor:c1", "--until", "2035-01-01"])
        .failed(1, "nothing is published yet");
    subject.publish(&catalogue(3), &[]).ok();
    let (one, other) = (subject.viewer("a"), Service::token(&subject.bench, "id", "c2"));
    subject.revoke(&["--customer", "vendr:c1", "--until", "2035-01-01"]).failed(
        1,
        "no issuer with the namespace \"vendr\" at this Worker, so no token would be refused: it has",
    );
    subject.revoke(&["--customer", "vendor:c1"]).failed(1, "--until is needed");
    subject.revoke(&["--customer", "vendor:c1", "--until", "2035-01-01"]).ok();
    assert_eq!([&one, &other].map(|token| subject.play(token)), [401, 200]);
    subject
        .revoke(&["--issuer-key", "https://nobody.example", "publisher", "--until", "2035-01-01"])
        .failed(1, "no issuer \"https://nobody.example\"");
    subject.revoke(&["--issuer-key", "https://id.example", "publisher", "--until", "2035-01-01"]).ok();
    assert_eq!(subject.play(&other), 401);
    // A key of the same name at another issuer still publishes.
    subject.publish(&catalogue(4), &[]).ok();
    let listed = subject.run(&["revoke", "--in", &subject.service.url, "--list"]).ok().stdout;
    assert!(listed.contains("key \"publisher\" of https://id.example\n  revoked, from "), "{listed}");
}

#[test]
fn a_store_with_a_name_takes_no_other_stores_heads() {
    let subject = Subject::new("service-audience");
    subject.publish(&catalogue(3), &["--audience", "production"]).ok();
    let refused = subject.publish(&catalogue(4), &["--audience", "staging"]);
    refused.failed(1, "it is for the store \"production\", and --audience says \"staging\"");
    subject.publish(&catalogue(4), &[]).ok();
    assert_eq!(subject.json(&["inspect", "--key", "publisher.jwk"])["head"]["aud"], "production");
    subject
        .publish(&catalogue(4), &["--audience", "my store"])
        .failed(1, "--audience: expected 1 to 128 letters");
    // On purpose.
    subject.publish(&catalogue(5), &["--audience", "staging", "--seq", "9"]).ok();
    assert_eq!(subject.json(&["inspect", "--key", "publisher.jwk"])["head"]["aud"], "staging");
}
