//! The Worker in workerd with the reference origin behind it: a viewer signs in, buys, watches, and loses
//! access again. `ADMIT_ORIGIN` names the origin's program.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};

use crate::{
    catalogue, issuers, personas,
    subject::Subject as _,
    wire::{Answer, Wire},
    workerd::Workerd,
    writes::{FORM, merchant, write},
};

/// The reference origin, which is an issuer too, and its process.
struct Reference {
    program: PathBuf,
    dir: PathBuf,
    child: Option<Child>,
    address: SocketAddr,
}

impl Reference {
    /// Starts it with the sample catalogue.
    fn start() -> Self {
        let program = env::var_os("ADMIT_ORIGIN").filter(|path| !path.is_empty());
        let program = program.expect("ADMIT_ORIGIN names the origin's program");
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("origin-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let address = ([127, 0, 0, 1], 0).into();
        let mut origin = Self { program: program.into(), dir, child: None, address };
        origin.serve();
        origin
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).env("ORIGIN_DB", self.dir.join("origin.db"));
        command.envs(issuers::variables());
        command.env("TRUSTED_ADDRESS_HEADER", "admit-viewer-address");
        command.env("TRUSTED_COUNTRY_HEADER", "admit-viewer-country");
        command
    }

    fn serve(&mut self) {
        let listen = self.address.to_string();
        let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/catalogue");
        let mut command =
            self.command(&["serve", "--allow-password-grant", "--listen", &listen, "--seed", samples]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the origin runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.address = line.trim().strip_prefix("http://").expect(&line).parse().unwrap();
        self.child = Some(child);
    }

    /// Kills it, as a power failure would.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The output of a sub-command.
    fn run(&self, args: &[&str], input: &str) -> String {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn send(&self, wire: &Wire) -> Answer {
        crate::client::send(self.address, "origin", wire, None).unwrap()
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.kill();
        if !thread::panicking() {
            let _removed = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A Worker with the origin's issuer beside the others, and with the sample catalogue.
fn edge(origin: &Reference) -> Workerd {
    let url = format!("http://{}", origin.address);
    let jwks_url = format!("{url}/.well-known/jwks.json");
    let issuer = json!({"issuer": url, "namespace": "vendor", "audience": {"any_of": ["admit"]},
        "may": ["view", "write"], "test_clients": true, "keys": {"jwks_url": jwks_url}});
    let mut variables = issuers::with_issuers(issuers::variables(), [issuer]);
    variables.push(("ORIGIN_URL".to_owned(), url));
    let worker = Workerd::start(&variables);
    catalogue::publish(&worker, 1);
    worker
}

fn check(token: &str, item_id: i64) -> Wire {
    Wire::get(&format!("/items/{item_id}/access")).bearer(token)
}

fn grant(token: &str, consumer_id: i64, item_id: i64) -> Wire {
    let form = format!("item_id={item_id}&consumer_id={consumer_id}&expires_at=4000000000");
    write("POST", "/items/access", FORM, &form).bearer(token)
}

/// Unusual client input reaches the origin unchanged, and its refusals reach the client.
fn inputs_are_read_as_the_origin_reads_them(worker: &Workerd, shop: &str) {
    let grant = |content_type: &str, body: &str| {
        let order = write("POST", "/items/access", content_type, body).bearer(shop);
        worker.send(&order.header("idempotency-key", "in-one-of-several-spellings"))
    };
    let until = "item_id=5106&consumer_id=88005&expires_at=2030-01-03T02:00:00+02:00";
    let first = grant(FORM, until);
    assert_eq!((first.status, &first.json()["expires_at"]), (201, &json!(1_893_628_800)), "{}", first.text());
    let json = r#"{"expires_at": "2030-01-03T02:00:00 02:00", "item_id": 5106, "consumer_id": "88005"}"#;
    for (content_type, body) in
        [("application/x-www-form-urlencoded; charset=utf-8", until), ("application/json", json)]
    {
        let again = grant(content_type, body);
        assert_eq!(
            (again.status, again.header("idempotency-replayed")),
            (201, Some("true")),
            "{}",
            again.text()
        );
    }
    for (method, target, content_type, body, status, named) in [
        (
            "POST",
            "/items/access",
            FORM,
            "item_id=5106&consumer_id=88005&expires_at=1893628800000",
            422,
            "expires_at",
        ),
        (
            "POST",
            "/items/access",
            FORM,
            "item_id=5106&consumer_id=88005&expires_at=2030-01-03T00:00",
            422,
            "expires_at",
        ),
        ("PATCH", "/v2/items/5106", FORM, "title=Caf%E9", 422, "title"),
        ("PATCH", "/v2/items/5106", "application/json", r#"{"title": "\ud83e"}"#, 422, "body"),
        ("PATCH", "/v2/items/5106", "application/json; charset=latin1", "{}", 415, "Content-Type"),
    ] {
        let answer = worker.send(&write(method, target, content_type, body).bearer(shop));
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.json()["errors"][named].is_string(), "{body}: {}", answer.text());
    }
    let answer = worker.send(&Wire::new("DELETE", "/items/5106/access").bearer(shop));
    assert_eq!(
        (answer.status, answer.json()["errors"]["consumer_id"].is_string()),
        (422, true),
        "{}",
        answer.text()
    );
    let revoke = Wire::new("DELETE", "/items/5106/access?consumer_id=88005").bearer(shop);
    assert_eq!(worker.send(&revoke).status, 204);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_viewer_signs_in_buys_watches_and_loses_it_again() {
    let mut origin = Reference::start();
    let worker = edge(&origin);

    // Every viewer with their item, at the edge and at the origin.
    let mut compared = 0;
    for persona in personas::all() {
        let wire = check(&worker.token(&persona.name), persona.item_id);
        let (at_edge, at_origin) = (worker.send(&wire), origin.send(&wire));
        assert_eq!(at_edge.status, at_origin.status, "{}: {}", persona.name, at_origin.text());
        assert_eq!(at_edge.status, persona.access, "{}", persona.name);
        let stable = |answer: &Answer| match answer.json() {
            Value::Object(mut body) if answer.status == 200 => {
                // Times that may be relative to the import, which was in another second, and the request's
                // own address.
                for name in ["created_at", "expires_at", "starts_at", "country_code", "ip_address"] {
                    body.remove(name);
                }
                let item = body["item"].as_object_mut().unwrap();
                for name in ["created_at", "updated_at"] {
                    assert!(item.remove(name).unwrap().is_i64());
                }
                Value::Object(body)
            }
            body => body,
        };
        assert_eq!(stable(&at_edge), stable(&at_origin), "{}", persona.name);
        compared += 1;
    }
    println!("{compared} viewers compared");

    // Sign in through the edge.
    let secret =
        origin.run(&["client", "set", "--client-id", "shop", "--merchant", "2101", "--role", "merchant"], "");
    origin.run(
        &[
            "account",
            "set",
            "--merchant",
            "2101",
            "--username",
            "ada@example.com",
            "--customer",
            "vendor:f6421bd1-fb4f-4718-80ed-c6da1d205fa5",
        ],
        "correct horse",
    );
    let sign_in = |form: &str| worker.send(&write("POST", "/accounts/authenticate", FORM, form));
    let answer = sign_in(&format!("grant_type=client_credentials&client_id=shop&client_secret={secret}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let shop = answer.json()["access_token"].as_str().unwrap().to_owned();
    let password = "grant_type=password&client_id=5hq2v8mfernhollowweb71c0&username=ada@example.com";
    assert_eq!(sign_in(&format!("{password}&password=wrong")).status, 401);
    let answer = sign_in(&format!("{password}&password=correct horse"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = format!("grant_type=refresh_token&client_id=5hq2v8mfernhollowweb71c0&refresh_token={refresh}");
    let answer = sign_in(&form);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let viewer = answer.json()["access_token"].as_str().unwrap().to_owned();
    let again = sign_in(&form);
    assert_eq!(again.status, 200, "the answer was lost: {}", again.text());
    assert_eq!(again.json()["refresh_token"], answer.json()["refresh_token"], "one session");
    // In the header, as in RFC 6749.
    let token = |credentials: &str| {
        let basic = format!("Basic {}", Base64::encode_string(credentials.as_bytes()));
        let form = write("POST", "/oauth2/token", FORM, "grant_type=client_credentials");
        worker.send(&form.header("authorization", basic))
    };
    let answer = token(&format!("shop:{secret}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = token("shop:wrong");
    assert_eq!(
        (answer.status, answer.header("www-authenticate").is_some_and(|it| it.starts_with("Basic "))),
        (401, true)
    );

    inputs_are_read_as_the_origin_reads_them(&worker, &shop);

    // Denied, bought, granted, revoked, denied: each change is seen by the very next check.
    for round in 0..3 {
        assert_eq!(worker.send(&check(&viewer, 5101)).status, 402, "{round}");
        let granted = worker.send(&grant(&shop, 88_005, 5101));
        assert_eq!(granted.status, 201, "{round}: {}", granted.text());
        let seq: u64 = granted.header("entitlement-seq").unwrap().parse().unwrap();
        let answer = worker.send(&check(&viewer, 5101));
        assert_eq!(answer.status, 200, "{round}: {}", answer.text());
        assert!(answer.header("entitlement-seq").unwrap().parse::<u64>().unwrap() >= seq);
        let revoke = Wire::new("DELETE", "/items/5101/access?consumer_id=88005").bearer(&shop);
        assert_eq!(worker.send(&revoke).status, 204, "{round}");
        assert_eq!(worker.send(&revoke).status, 400, "{round}");
    }
    assert_eq!(worker.send(&check(&viewer, 5101)).status, 402);

    // A hundred buyers in a row: every customer with every item that they do not have.
    let merchant = merchant(&worker);
    let mut bought = 0;
    'buyers: for persona in personas::all().iter().filter(|persona| persona.is_signed_in()) {
        let Some(aid) = persona.claims.get("aid").and_then(Value::as_i64) else { continue };
        if persona.claims.get("mid") != Some(&2101.into()) || persona.issuer != "vendor" {
            continue;
        }
        for item_id in 5101..5125 {
            let wire = check(&worker.token(&persona.name), item_id);
            if worker.send(&wire).status != 402 {
                continue;
            }
            let granted = worker.send(&grant(&merchant, aid, item_id));
            if matches!(granted.status, 404 | 422) {
                // The customer is unknown, or the item is not for sale.
                continue;
            }
            assert_eq!(granted.status, 201, "{} {item_id}: {}", persona.name, granted.text());
            let answer = worker.send(&wire);
            assert_eq!(answer.status, 200, "{} {item_id}: {}", persona.name, answer.text());
            bought += 1;
            if bought == 100 {
                break 'buyers;
            }
        }
    }
    assert_eq!(bought, 100);

    // A write is repeated with its key, and done once.
    let keyed = grant(&shop, 88_005, 5102).header("Idempotency-Key", "order-1005");
    let (first, again) = (worker.send(&keyed), worker.send(&keyed));
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.json(), again.json());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.header("entitlement-seq"), again.header("entitlement-seq"));

    // The origin's machine fails. Granted viewers play, denials stand, and nothing is written.
    origin.kill();
    let subscriber = worker.token("subscriber");
    assert_eq!(worker.send(&check(&subscriber, 5101)).status, 200);
    assert_eq!(worker.send(&check(&viewer, 5103)).status, 402);
    let keyed = grant(&shop, 88_005, 5103).header("Idempotency-Key", "order-1006");
    let answer = worker.send(&keyed);
    assert!(matches!(answer.status, 502 | 503), "{}", answer.text());
    origin.serve();
    // The origin returns, and the edge is not restarted.
    let is_back = (0..200).any(|_| {
        let answer = worker.send(&keyed);
        if answer.status != 201 {
            thread::sleep(Duration::from_millis(50));
        }
        answer.status == 201
    });
    assert!(is_back, "{}", worker.output());
    assert_eq!(worker.send(&check(&viewer, 5103)).status, 200);
    assert_eq!(worker.send(&check(&viewer, 5102)).status, 200);
}
