//! Writes through the edge, and the requests that reach the origin behind it.

use serde_json::{Map, Value, json};

use super::{
    check::error_body,
    issuers,
    origin::{Origin, Seen},
    subject::Subject,
    wire::{Answer, Payload, Wire},
};

pub const FORM: &str = "application/x-www-form-urlencoded";

/// The longest body of a write.
const LIMIT_BYTES: usize = 512 * 1024;
/// The longest body of a sign-in.
const SIGN_IN_LIMIT_BYTES: usize = 16 * 1024;

/// Every write of the contract, with the status of the origin in these tests.
pub const WRITES: [(&str, &str, u16); 15] = [
    ("POST", "/v2/items", 201),
    ("PUT", "/v2/items/33", 201),
    ("PATCH", "/v2/items/33", 201),
    ("DELETE", "/v2/items/33", 201),
    ("POST", "/v2/items/33/access-fees", 201),
    ("PUT", "/v2/items/33/access-fees/5", 201),
    ("DELETE", "/v2/items/33/access-fees/5", 204),
    ("PATCH", "/v2/items/33/access-fees/bulk", 201),
    ("PATCH", "/v2/items/packages/33/bulk", 201),
    ("POST", "/items/access", 201),
    ("DELETE", "/items/33/access?consumer_id=9", 204),
    ("POST", "/accounts/authenticate", 200),
    ("POST", "/v2/accounts/authenticate", 200),
    ("POST", "/oauth2/token", 200),
    ("POST", "/oauth2/authorization", 200),
];

/// The only headers that may reach the origin, besides those that frame a message.
const ALLOWED: [&str; 9] = [
    "accept",
    "accept-language",
    "admit-viewer-address",
    "admit-viewer-country",
    "authorization",
    "content-type",
    "idempotency-key",
    "user-agent",
    "x-request-id",
];
const FRAMING: [&str; 7] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "accept-encoding",
    // Set by the runtime, so that no cache answers.
    "cache-control",
    "pragma",
];

pub fn token(subject: &dyn Subject, claims: &Value) -> String {
    let claims: &Map<String, Value> = claims.as_object().unwrap();
    issuers::token("vendor", claims, subject.now() + 3_600)
}

pub fn merchant(subject: &dyn Subject) -> String {
    token(subject, &json!({"sub": "shop", "mid": 2101, "ctx": ["merchant"]}))
}

pub fn customer(subject: &dyn Subject, name: &str) -> String {
    token(subject, &json!({"sub": name, "mid": 2101, "ctx": ["consumer"]}))
}

fn is_sign_in(target: &str) -> bool {
    target.contains("auth")
}

/// A write with a body, if its method has one.
pub fn write(method: &str, target: &str, content_type: &str, body: &str) -> Wire {
    let wire = Wire::new(method, target);
    if method == "DELETE" {
        return wire;
    }
    let wire = if content_type.is_empty() { wire } else { wire.header("Content-Type", content_type) };
    Wire { body: Payload::Whole(body.as_bytes().to_vec()), ..wire }
}

/// The rules that an answer to a write breaks, whatever it says.
pub fn problems(answer: &Answer) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |is_right: bool, what: &str| {
        if !is_right {
            problems.push(what.to_owned());
        }
    };
    for (position, (name, _)) in answer.headers.iter().enumerate() {
        let again = answer.headers[..position].iter().any(|(before, _)| before == name);
        check(!again, &format!("{name} twice"));
    }
    let header = |name| answer.header(name);
    check(header("access-control-allow-origin") == Some("*"), "pages cannot read it");
    check(header("cache-control") == Some("private, no-store"), "it may be kept");
    check(header("x-content-type-options") == Some("nosniff"), "no nosniff");
    check(header("x-request-id").is_some(), "no x-request-id");
    check(header("set-cookie").is_none(), "a cookie of the origin's");
    check(header("location").is_none(), "a place of the origin's");
    check(header("x-powered-by").is_none(), "a header of the origin's");
    let has_retry = header("retry-after").is_some();
    check(has_retry || !matches!(answer.status, 429 | 502..=504), "no retry-after");
    if answer.status == 204 {
        check(answer.body.is_empty() && header("content-type").is_none(), "a 204 with a body");
    } else {
        check(header("content-type") == Some("application/json"), "content-type is not application/json");
        check(!answer.json().is_null(), "no JSON");
    }
    problems
}

/// The spoofed headers that the origin has seen.
pub fn spoofed(seen: &Seen) -> Vec<String> {
    let is_known = |name: &str| ALLOWED.contains(&name) || FRAMING.contains(&name);
    seen.headers
        .iter()
        .filter(|(name, _)| !is_known(name))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

struct Run<'a> {
    subject: &'a dyn Subject,
    origin: &'a Origin,
    sent: usize,
}

impl Run<'_> {
    /// Sends a request that the edge must refuse: nothing reaches the origin.
    fn refused(&mut self, wire: &Wire, status: u16, message: &str, field: Option<&str>) -> Answer {
        let answer = self.send(wire);
        let at = format!("{} -> {} {}", wire.describe(), answer.status, answer.text());
        assert_eq!(answer.status, status, "{at}");
        assert_eq!(answer.json(), error_body(status, message, field), "{at}");
        assert_eq!(self.origin.take_seen(), [], "{at}");
        answer
    }

    /// Sends a request that the edge must pass on once.
    fn passed(&mut self, wire: &Wire, status: u16) -> (Answer, Seen) {
        let answer = self.send(wire);
        let at = format!("{} -> {} {}", wire.describe(), answer.status, answer.text());
        assert_eq!(answer.status, status, "{at}");
        let mut seen = self.origin.take_seen();
        assert_eq!(seen.len(), 1, "{at}");
        let seen = seen.remove(0);
        assert_eq!(spoofed(&seen), [""; 0], "{at}");
        assert_eq!((seen.method.as_str(), seen.target.as_bytes()), (&*wire.method, &*wire.target), "{at}");
        assert_eq!(seen.header("x-request-id"), answer.header("x-request-id"), "{at}");
        (answer, seen)
    }

    fn send(&mut self, wire: &Wire) -> Answer {
        self.sent += 1;
        let answer = self.subject.send(wire);
        let at = format!("{} -> {} {}", wire.describe(), answer.status, answer.text());
        assert_eq!(problems(&answer), [""; 0], "{at}");
        answer
    }
}

/// Runs every write, valid and invalid. Returns the number of requests.
pub fn run(subject: &dyn Subject, origin: &Origin) -> usize {
    let mut run = Run { subject, origin, sent: 0 };
    origin.take_seen();
    let merchant = merchant(subject);
    for (method, target, status) in WRITES {
        let with_token = |wire: Wire| if is_sign_in(target) { wire } else { wire.bearer(&merchant) };
        let bearer = (!is_sign_in(target)).then(|| format!("Bearer {merchant}"));
        let form = with_token(write(method, target, FORM, "item_id=33&consumer_id=9"));

        // A valid write: the origin's answer comes back, and the origin has seen the same request.
        let (answer, seen) =
            run.passed(&form.clone().header("Idempotency-Key", format!("{method} {target}")), status);
        assert_eq!(seen.header("authorization"), bearer.as_deref(), "{method} {target}");
        assert_eq!(seen.header("idempotency-key"), Some(&*format!("{method} {target}")));
        assert!(answer.header("entitlement-seq").is_some(), "{method} {target}");
        if status == 201 && target.starts_with("/v2") {
            assert_eq!(answer.json(), json!({"id": 33, "title": "Ünïcode “quotes”"}));
        }
        if method != "DELETE" {
            assert_eq!(seen.body, b"item_id=33&consumer_id=9", "{method} {target}");
            bodies(&mut run, method, target, status, &with_token);
            if !target.starts_with("/items") {
                let refused = with_token(write(method, target, FORM, "title=refused"));
                let (answer, _) = run.passed(&refused, 422);
                assert_eq!(answer.json(), error_body(422, "The title is taken", None));
            }
        }
        // A token without `Bearer` reaches the origin as a bearer.
        if let Some(bearer) = &bearer {
            let bare = write(method, target, FORM, "item_id=33").header("Authorization", merchant.as_str());
            assert_eq!(run.passed(&bare, status).1.header("authorization"), Some(&**bearer));
        }
        tokens(&mut run, method, target, status);
        methods(&mut run, target);
    }
    numbers(&mut run, &merchant);
    run.sent
}

fn bodies(run: &mut Run<'_>, method: &str, target: &str, status: u16, with_token: &dyn Fn(Wire) -> Wire) {
    let json_body = with_token(write(method, target, "application/json; charset=utf-8", r#"{"title":"ü"}"#));
    let (_, seen) = run.passed(&json_body, status);
    assert_eq!(seen.body, r#"{"title":"ü"}"#.as_bytes());
    assert_eq!(seen.header("content-type"), Some("application/json; charset=utf-8"));
    for content_type in ["text/plain", "multipart/form-data; boundary=x", "application/xml", ""] {
        let wire = with_token(write(method, target, content_type, "title=x"));
        run.refused(&wire, 415, "Unsupported media type", None);
    }
    let latin1 = with_token(write(method, target, "application/json; charset=ISO-8859-1", "{}"));
    let told = "The charset of the Content-Type must be UTF-8: application/json; charset=ISO-8859-1";
    run.refused(&latin1, 415, told, Some("Content-Type"));
    for coding in ["gzip", "br", "deflate, identity"] {
        let wire = with_token(write(method, target, FORM, "title=x").header("Content-Encoding", coding));
        let told = format!("The body must be sent without a Content-Encoding: {coding}");
        run.refused(&wire, 415, &told, Some("Content-Encoding"));
    }
    for content_type in ["APPLICATION/JSON; Charset=\"UTF-8\"", "application/vnd.api+json"] {
        let wire =
            with_token(write(method, target, content_type, "{}").header("Content-Encoding", "identity"));
        let (_, seen) = run.passed(&wire, status);
        assert_eq!(
            (seen.header("content-type"), seen.header("content-encoding")),
            (Some(content_type), None)
        );
    }
    // A sign-in has no token yet, and a short body.
    let limit_bytes = if is_sign_in(target) { SIGN_IN_LIMIT_BYTES } else { LIMIT_BYTES };
    let longest = "x".repeat(limit_bytes);
    let too_long = with_token(write(method, target, FORM, &(longest.clone() + "x")));
    run.refused(&too_long, 413, "Body too large", None);
    let chunked = |bytes: Vec<u8>| {
        let wire = with_token(write(method, target, FORM, ""));
        Wire { body: Payload::Chunked(bytes), ..wire }
    };
    run.refused(&chunked([longest.as_bytes(), b"x"].concat()), 413, "Body too large", None);
    let (_, seen) = run.passed(&chunked(b"title=in+chunks".to_vec()), status);
    assert_eq!(seen.body, b"title=in+chunks", "{method} {target}");
    // The longest body arrives complete and in order.
    let end = if is_sign_in(target) { '.' } else { '&' };
    let whole: String = (0..limit_bytes / 8).map(|number| format!("{number:07}{end}")).collect();
    let (_, seen) = run.passed(&with_token(write(method, target, FORM, &whole)), status);
    assert!(seen.body == whole.as_bytes(), "{method} {target}: {} bytes", seen.body.len());
    if is_sign_in(target) {
        let told = "A sign-in must have at most 32 fields";
        let fields = |count: usize| write(method, target, FORM, &vec!["a[]"; count].join("&"));
        run.passed(&fields(32), status);
        run.refused(&fields(33), 422, told, Some("body"));
        let query = write(method, &format!("{target}?{}", "a[]&".repeat(33)), FORM, "");
        run.refused(&query, 422, told, Some("body"));
    }
    let empty = with_token(write(method, target, FORM, ""));
    assert_eq!(run.passed(&empty, status).1.body, b"", "{method} {target}");
}

fn tokens(run: &mut Run<'_>, method: &str, target: &str, status: u16) {
    let wire = || write(method, target, FORM, "item_id=33");
    let expired = issuers::token(
        "vendor",
        json!({"sub": "shop", "mid": 2101, "ctx": ["merchant"]}).as_object().unwrap(),
        run.subject.now() - 3_600,
    );
    let consumer = customer(run.subject, "ada");
    if is_sign_in(target) {
        // A leftover token is neither looked at nor passed on.
        for token in [&expired, &consumer, "x", ""] {
            let (_, seen) = run.passed(&wire().bearer(token), status);
            assert_eq!(seen.header("authorization"), None, "{method} {target}");
        }
        let (_, seen) = run.passed(&wire().header("Authorization", "Basic c2hvcDpzZWNyZXQ="), status);
        assert_eq!(seen.header("authorization"), Some("Basic c2hvcDpzZWNyZXQ="));
        return;
    }
    run.refused(&wire(), 401, "Invalid auth token", None);
    for token in [&expired, "x", ""] {
        run.refused(&wire().bearer(token), 401, "Invalid auth token", None);
    }
    for claims in [
        json!({"sub": "ada", "mid": 2101, "ctx": ["consumer"]}),
        json!({"sub": "ada", "mid": 2101}),
        json!({"sub": "ada", "mid": 2101, "ctx": ["consumer"], "scope": "merchant snapshot:publish"}),
    ] {
        let token = token(run.subject, &claims);
        run.refused(&wire().bearer(&token), 403, "Invalid privileges", None);
    }
}

fn methods(run: &mut Run<'_>, target: &str) {
    let path = target.split('?').next().unwrap();
    let answer = run.subject.send(&Wire::new("OPTIONS", path));
    let allow = answer.header("allow").unwrap_or_default().to_owned();
    assert_eq!(answer.status, 204, "{path}");
    for method in ["POST", "PUT", "PATCH", "DELETE", "PURGE"] {
        let is_allowed = allow.split(", ").any(|allowed| allowed == method);
        let is_write = WRITES
            .iter()
            .any(|(known, target, _)| *known == method && target.split('?').next() == Some(path));
        assert_eq!(is_allowed, is_write, "{method} {path}: {allow}");
        if !is_allowed {
            let wire = Wire::new(method, path).bearer(&merchant(run.subject));
            let answer = run.refused(&wire, 405, "Method not allowed", None);
            assert_eq!(answer.header("allow"), Some(&*allow), "{path}");
        }
    }
}

/// Invalid numbers and unknown routes never reach the origin.
fn numbers(run: &mut Run<'_>, merchant: &str) {
    let id = "The id must be a positive integer";
    for (method, path, field) in [
        ("PUT", "/v2/items/x", "id"),
        ("PATCH", "/v2/items/0", "id"),
        ("DELETE", "/v2/items/1%2F2", "id"),
        ("DELETE", "/items/1;2/access", "id"),
        ("POST", "/v2/items/9223372036854775808/access-fees", "id"),
        ("PATCH", "/v2/items/packages/-1/bulk", "id"),
        ("PUT", "/v2/items/1/access-fees/x", "fee_id"),
    ] {
        let wire = write(method, path, FORM, "title=x").bearer(merchant);
        let message = if field == "id" { id } else { "The fee_id must be a positive integer" };
        run.refused(&wire, 422, message, Some(field));
    }
    for (method, path) in [
        ("POST", "/v2/items/1/2/3"),
        ("POST", "/changes"),
        ("DELETE", "/export"),
        ("POST", "/oauth2/authorize"),
        ("POST", "/v2/oauth2/token"),
        ("POST", "/items/access/"),
        ("POST", "/%76%32/items"),
    ] {
        let wire = write(method, path, FORM, "title=x").bearer(merchant);
        run.refused(&wire, 404, "Route not found", None);
    }
}

/// Headers by which clients try to pass for another client or to hide a second request.
pub const SPOOFS: [&[(&str, &str)]; 12] = [
    &[("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "http")],
    &[("Forwarded", "for=1.1.1.1"), ("X-Real-IP", "1.1.1.1"), ("Via", "1.1 evil")],
    &[("CF-IPCountry", "XX"), ("CF-Ray", "x"), ("CF-Worker", "evil"), ("CDN-Loop", "x")],
    &[("Admit-Viewer-Address", "1.1.1.1"), ("Admit-Edge-Key", "x"), ("Admit-Holder", "x")],
    &[("X-Request-Id", "forged"), ("Entitlement-Seq", "99"), ("Entitlement-Min-Seq", "99")],
    &[("Connection", "authorization")],
    &[("Connection", "x-forwarded-for, idempotency-key"), ("X-Forwarded-For", "1.1.1.1")],
    &[("Proxy-Authorization", "Basic x"), ("TE", "trailers"), ("Keep-Alive", "timeout=9")],
    &[("Cookie", "session=x"), ("Origin", "https://evil.example"), ("Referer", "https://evil.example/")],
    &[("X-HTTP-Method-Override", "DELETE"), ("X-Original-URL", "/export"), ("X-Rewrite-URL", "/export")],
    &[("Host", "evil.example")],
    &[("Expect", "100-continue"), ("Trailer", "Authorization"), ("Range", "bytes=0-1")],
];

/// [`SPOOFS`] with writes.
pub fn spoofing(subject: &dyn Subject, origin: &Origin) {
    let merchant = merchant(subject);
    for headers in SPOOFS {
        let wire = write("POST", "/v2/items", FORM, "title=x");
        if let Some(seen) = spoof(subject, origin, wire, &merchant, headers, 201) {
            assert_eq!(seen.body, b"title=x", "{headers:?}");
        }
    }
}

/// Sends a request with the headers of one of [`SPOOFS`]. Whatever the runtime lets through, the origin sees one request
/// with only the allowed headers, which is returned. `None` if the runtime rejects the request.
pub fn spoof(
    subject: &dyn Subject,
    origin: &Origin,
    wire: Wire,
    bearer: &str,
    headers: &[(&str, &str)],
    status: u16,
) -> Option<Seen> {
    origin.take_seen();
    let wire = headers.iter().fold(wire.bearer(bearer), |wire, (name, value)| wire.header(name, *value));
    let answer = subject.send(&wire);
    let mut all = origin.take_seen();
    if answer.status == 400 || answer.status == 417 {
        // The runtime rejects two Host headers.
        assert_eq!(all, [], "{headers:?}");
        return None;
    }
    assert_eq!((answer.status, all.len()), (status, 1), "{headers:?}");
    let seen = all.remove(0);
    assert_eq!(spoofed(&seen), [""; 0], "{headers:?}");
    assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {bearer}")), "{headers:?}");
    assert_eq!(seen.header("x-request-id"), answer.header("x-request-id"), "{headers:?}");
    for name in ["admit-viewer-address", "host", "content-length"] {
        let value = seen.header(name).unwrap_or_default();
        assert!(!value.contains("1.1.1.1") && !value.contains("evil"), "{headers:?}: {name}: {value}");
    }
    Some(seen)
}

/// Framings that servers read in different ways, with a body that hides a request.
pub fn smuggled(hidden: &str) -> Vec<(Vec<(&'static str, &'static str)>, String)> {
    let chunked = format!("0\r\n\r\n{hidden}");
    [
        (vec![("Content-Length", "5"), ("Transfer-Encoding", "chunked")], &*chunked),
        (vec![("Transfer-Encoding", "chunked"), ("Content-Length", "5")], &chunked),
        (vec![("Transfer-Encoding", "chunked, identity")], &chunked),
        (vec![("Transfer-Encoding", "identity"), ("Transfer-Encoding", "chunked")], &chunked),
        (vec![("Transfer-Encoding", "xchunked"), ("Content-Length", "7")], hidden),
        (vec![("Content-Length", "7"), ("Content-Length", "9")], hidden),
        (vec![("Content-Length", "+7")], hidden),
        (vec![("Content-Length", "7, 7")], hidden),
        (vec![("Content-Length", "0")], hidden),
    ]
    .map(|(headers, body)| (headers, body.to_owned()))
    .into()
}

/// A hundred customers are denied, buy, and ask again, one after another; half of them buy through the edge.
pub fn buyers(subject: &dyn Subject, origin: &Origin) {
    let merchant = merchant(subject);
    for buyer in 0..100 {
        let name = format!("buyer-{buyer}");
        let check = Wire::get("/items/5101/access").bearer(&customer(subject, &name));
        assert_eq!(subject.send(&check).status, 402, "{name}");
        if buyer % 2 == 0 {
            origin.grant(&name, 5101);
        } else {
            let form = format!("item_id=5101&consumer_id={name}");
            let grant = write("POST", "/items/access", FORM, &form).bearer(&merchant);
            assert_eq!(subject.send(&grant).status, 201, "{name}");
        }
        let answer = subject.send(&check);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let body = answer.json();
        assert_eq!(body["item"]["content"], "of the origin", "{name}");
        assert!(body["country_code"] != "ZZ" && body["ip_address"] != "10.0.0.1", "{name}: {body}");
    }
}
