//! Strangers harm only themselves: silent connections, endless bodies, guessed passwords. Also a full disk,
//! which is not their doing but looks alike from outside.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{net::TcpSocket, runtime::Runtime};

use crate::support::{
    Ask, CLIENT, CUSTOMER, Dir, FEED_SECRET, Origin, PASSWORD, Process, authenticate, by_password, merchant,
    samples, variables,
};

/// Longer than any answer takes, and shorter than every timeout of the origin.
const PATIENCE: Duration = Duration::from_secs(8);

fn address(origin: &Origin) -> SocketAddr {
    origin.url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Opens silent connections from one of this machine's addresses.
fn silent(runtime: &Runtime, from: [u8; 4], to: SocketAddr, count: usize) -> Vec<TcpStream> {
    runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..count {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from((from, 0))).unwrap();
            let stream = socket.connect(to).await.unwrap().into_std().unwrap();
            stream.set_nonblocking(false).unwrap();
            streams.push(stream);
        }
        streams
    })
}

/// The answer to a request on a connection; `None` if it was closed.
fn ask_on(stream: &mut TcpStream, request: &str) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut line = String::new();
    let read = BufReader::new(stream).read_line(&mut line);
    read.ok().filter(|bytes| *bytes > 0).map(|_| line)
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

#[test]
fn silent_connections_of_one_address_leave_the_others_theirs() {
    const PER_ADDRESS: usize = 8;
    let origin = Origin::with(|settings| settings.connections_per_address = PER_ADDRESS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let to = address(&origin);
    let mut crowd = silent(&runtime, [127, 0, 0, 2], to, 100);
    // Another address is served, with its own bound.
    origin.grant(5101).expect(201);
    let mut others = silent(&runtime, [127, 0, 0, 3], to, PER_ADDRESS);
    assert!(others.iter_mut().all(|stream| ask_on(stream, HEALTH).is_some()));
    let open = crowd.iter_mut().filter_map(|stream| ask_on(stream, HEALTH)).count();
    assert_eq!(open, PER_ADDRESS);
    // When some of them end, the address can open others.
    drop(crowd);
    let served = (0..1_000).any(|_| {
        let mut again = silent(&runtime, [127, 0, 0, 2], to, 1);
        ask_on(&mut again[0], HEALTH).is_some()
    });
    assert!(served);
}

#[test]
fn the_edge_may_have_as_many_connections_as_it_needs() {
    const SECRET: &str = "edge-secret-edge-secret-edge-secret";
    const PER_ADDRESS: usize = 4;
    let origin = Origin::with(|settings| {
        settings.edge_secrets = vec![SECRET.to_owned()];
        settings.connections_per_address = PER_ADDRESS;
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let health = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nadmit-edge-key: {SECRET}\r\n\r\n");
    let mut kept = Vec::new();
    for _ in 0..10 * PER_ADDRESS {
        let mut stream = silent(&runtime, [127, 0, 0, 4], address(&origin), 1).remove(0);
        assert!(ask_on(&mut stream, &health).unwrap().contains("200"));
        kept.push(stream);
    }
}

#[test]
fn a_body_declared_too_long_is_refused_without_waiting() {
    let origin = Origin::start();
    let token = origin.merchant();
    for (path, length, is_written) in [
        // The body is never sent: an origin that waited for it would not answer.
        ("/items/access", 1_000_000_000, false),
        ("/items/access", 512 * 1024 + 1, false),
        ("/oauth2/token", 16 * 1024 + 1, false),
        // A client that sends the whole body before it reads also gets the answer.
        ("/items/access", 4 * 1024 * 1024, true),
    ] {
        let mut stream = TcpStream::connect(address(&origin)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        if is_written {
            stream.write_all(&vec![b'x'; length]).unwrap();
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path} {length}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
    // Without a token, the token is the problem, and the body is not awaited either.
    let head = "POST /items/access HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n";
    let mut stream = TcpStream::connect(address(&origin)).unwrap();
    assert!(ask_on(&mut stream, head).unwrap().contains(" 401 "));
    // The origin still works.
    origin.grant(5101).expect(201);
}

#[test]
fn passwords_from_apps_are_accepted_only_if_the_operator_allows() {
    let origin = Origin::with(|settings| settings.allows_password_grant = false);
    let answer = authenticate(&origin, &by_password(CLIENT, "ada@example.com", PASSWORD)).expect(400);
    let problem = answer.json()["errors"]["grant_type"].as_str().unwrap().to_owned();
    assert!(problem.contains("/oauth2/authorize") && problem.contains("--allow-password-grant"), "{problem}");
}

/// The lines of a process's log for an event, after the process has ended.
fn events(mut process: Process, event: &str) -> Vec<Value> {
    let log = process.stderr();
    process.kill();
    let lines = BufReader::new(log).lines().map(Result::unwrap);
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    lines.filter(|line| line["event"] == event).collect()
}

#[test]
fn switches_are_on_by_any_usual_word() {
    let dir = Dir::new();
    let secret = "edge-secret-edge-secret-edge-secret";
    let serve = |edge_only: &str, password_grant: &str, secret: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_origin"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--db"]).arg(dir.db());
        command.env("ORIGIN_EDGE_ONLY", edge_only).env("ORIGIN_ALLOW_PASSWORD_GRANT", password_grant);
        if secret.is_empty() {
            command.env_remove("ORIGIN_SECRET")
        } else {
            command.env("ORIGIN_SECRET", secret)
        };
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for (edge_only, password_grant, secret, stranger) in
        [("1", "yes", secret, 421), ("on", "1", secret, 421), ("0", "", "", 404), ("off", "no", secret, 404)]
    {
        let mut child = serve(edge_only, password_grant, secret);
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("http://"), "{edge_only:?} {password_grant:?}: {}", failure(child));
        let status = Ask::new("GET", format!("{}/items/1", url.trim())).send().status;
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(status, stranger, "{edge_only:?}");
    }
    let refused = failure(serve("1", "0", ""));
    assert!(refused.contains("--edge-only (ORIGIN_EDGE_ONLY): needs ORIGIN_SECRET"), "{refused}");
    let refused = failure(serve("0", "ture", ""));
    assert!(refused.contains("expected 1, true, yes or on"), "{refused}");
}

/// The output of a command that ends by itself.
fn failure(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_log_reports_sign_ins_and_stolen_tokens() {
    let dir = Dir::new();
    let secret = "edge-secret-edge-secret-edge-secret";
    let variables = [("ORIGIN_SECRET", secret), ("ORIGIN_ALLOW_PASSWORD_GRANT", "true")];
    let process = Process::with(&dir, &variables, Stdio::piped());
    let set = [
        "account",
        "set",
        "--db",
        dir.db().to_str().unwrap(),
        "--merchant",
        "2101",
        "--username",
        "ada@example.com",
        "--customer",
        "vendor:f6421bd1-fb4f-4718-80ed-c6da1d205fa5",
    ]
    .map(str::to_owned);
    let mut child = Command::new(env!("CARGO_BIN_EXE_origin"))
        .args(set)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let post = |form: &str, key: &str| {
        let ask = Ask::new("POST", format!("{}/accounts/authenticate", process.url)).form(form);
        ask.header("admit-edge-key", key).header("admit-viewer-address", "203.0.113.9").send()
    };
    // The clock is the machine's, so its speed decides how many attempts come before the first delay.
    let wrong = (0..50).take_while(|_| {
        let answer = post(&by_password(CLIENT, "ada@example.com", "wrong password"), secret);
        assert!(matches!(answer.status, 401 | 429), "{}", answer.text);
        answer.status == 401
    });
    let wrong = wrong.count();
    assert!((4..50).contains(&wrong), "{wrong}");
    post(&by_password(CLIENT, "unknown", PASSWORD), "not the secret").expect(401);
    let token = post(&by_password(CLIENT, "Ada@example.com", PASSWORD), "not the secret").expect(200).json();
    let refresh = |token: &Value| {
        let token = token["refresh_token"].as_str().unwrap();
        post(&format!("client_id={CLIENT}&grant_type=refresh_token&refresh_token={token}"), secret)
    };
    let next = refresh(&token).expect(200).json();
    refresh(&next).expect(200);
    // Two clients have the token.
    refresh(&token).expect(401);
    refresh(&token).expect(401);
    let lines = events(process, "sign_in");
    let told = |member: &str| {
        let of = |line: &Value| line[member].as_str().unwrap_or("-").to_owned();
        let mut told: Vec<_> = lines.iter().map(of).collect();
        let rest = told.split_off(wrong);
        (told, rest)
    };
    let (first, rest) = told("outcome");
    assert!(first.iter().all(|outcome| outcome == "refused"), "{first:?}");
    assert_eq!(rest, ["delayed", "refused", "granted", "refused", "refused"]);
    let (first, rest) = told("address");
    assert!(first.iter().all(|address| address == "203.0.113.9"), "{first:?}");
    // A sender without the edge's secret is identified by its connection.
    assert_eq!(rest, ["203.0.113.9", "127.0.0.1", "127.0.0.1", "203.0.113.9", "203.0.113.9"]);
    let (first, rest) = told("user");
    assert_eq!((&first[0], rest[3].as_str()), (&rest[2], "-"));
    assert_eq!(told("grant").1, ["password", "password", "password", "refresh_token", "refresh_token"]);
    assert!(lines.iter().all(|line| line["client"] == CLIENT), "{lines:?}");
    let text = format!("{lines:?}");
    assert!(!text.contains("ada") && !text.contains("password horse") && !text.contains("wrong"), "{text}");
}

#[test]
fn a_stolen_token_is_reported_once() {
    let dir = Dir::new();
    let process = Process::with(&dir, &[("ORIGIN_ALLOW_PASSWORD_GRANT", "true")], Stdio::piped());
    let family = "INSERT INTO refresh_tokens (hash, family, client_id, account_id, machine, scope, expires_at, used_at,
                  signed_in_at) VALUES (?1, 'f', 'shop', NULL, 'shop', '', 4000000000, 1, 7)";
    let connection = origin::db::connect_to(&dir.db()).unwrap();
    connection.execute("INSERT INTO machines VALUES ('shop', 2101, x'00', 0, '', 0)", []).unwrap();
    connection.execute(family, [origin::tokens::secret::hash("used")]).unwrap();
    for _ in 0..2 {
        let form = "client_id=shop&grant_type=refresh_token&refresh_token=used";
        Ask::new("POST", format!("{}/oauth2/token", process.url)).form(form).send().expect(400);
    }
    let mut thefts = events(process, "token_theft");
    for theft in &mut thefts {
        // The audit entry is found by this id.
        assert_eq!(theft["request_id"].take().as_str().unwrap().len(), 32);
    }
    let expected = json!({
        "event": "token_theft", "level": "warning", "what": "refresh_token", "client": "shop", "account": null,
        "program": "shop", "signed_in_at": 7, "request_id": null, "address": "127.0.0.1",
    });
    assert_eq!(thefts, [expected]);
}

/// An origin whose files cannot grow, as on a full disk.
struct Full {
    child: Child,
    url: String,
}

impl Full {
    fn start(dir: &Dir) -> Self {
        // Writes beyond the limit fail, as on a full disk. The shell ignores the signal that comes with it,
        // for programs that do not check their writes.
        let script = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
        let mut child = Command::new("sh")
            .args([
                "-c",
                script,
                "sh",
                "2048",
                env!("CARGO_BIN_EXE_origin"),
                "serve",
                "--listen",
                "127.0.0.1:0",
            ])
            .arg("--db")
            .arg(dir.db())
            .arg("--seed")
            .arg(samples("catalogue"))
            .envs(variables())
            .env("ORIGIN_FEED_SECRET", FEED_SECRET)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_full_disk_is_reported_and_leaves_no_partial_write() {
    let dir = Dir::new();
    let full = Full::start(&dir);
    let ask = |method, path: &str| Ask::new(method, format!("{}{path}", full.url));
    assert_eq!(ask("GET", "/healthz").send().expect(200).json()["status"], "ok");
    // 60 KB each, twice: the write-ahead log has them, too.
    let form = format!("item_type=jw_asset&title=x&content={}", "x".repeat(60_000));
    let (mut written, mut refused) = (0_u64, None);
    for _ in 0..100 {
        let answer = ask("POST", "/v2/items").bearer(&merchant()).form(&form).send();
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
        written += 1;
    }
    let refused = refused.expect("the bound is reached").expect(503);
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert!(refused.text.contains("not applied"), "{}", refused.text);
    let health = ask("GET", "/healthz").send().expect(200).json();
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(health["seq"], 1 + written, "nothing of the refused write is there");
    // Reads and the feed go on, and a sign-in gets the same error as a write.
    ask("GET", "/items/5101").send().expect(200);
    let export = ask("GET", "/export").bearer(FEED_SECRET).send().expect(200);
    assert_eq!(export.lines().iter().filter(|line| line["title"] == "x").count() as u64, written);
    let grant = format!("item_id=5101&consumer_id={CUSTOMER}&expires_at=2100-01-01T00:00:00Z");
    let answer = ask("POST", "/items/access").bearer(&merchant()).form(&grant).send();
    assert!(matches!(answer.status, 201 | 503), "{}", answer.text);
}
