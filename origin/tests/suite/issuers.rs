//! Issuers whose keys are fetched over HTTP.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Es256, SigningKey as _},
    jwk::JsonWebKey,
};
use serde_json::{Value, json};

use crate::support::{MERCHANT, Origin, Response};

type Key = <Es256 as Algorithm>::SigningKey;

/// An issuer that answers with a settable status and document, and counts requests.
struct Issuer {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<Mutex<usize>>,
}

impl Issuer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new((503, String::new())));
        let asked = Arc::new(Mutex::new(0));
        let (answers, counted) = (Arc::clone(&answer), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4_096]);
                *counted.lock().unwrap() += 1;
                let (status, body) = answers.lock().unwrap().clone();
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        Self { url, answer, asked }
    }

    fn answers(&self, status: u16, body: &Value) {
        *self.answer.lock().unwrap() = (status, body.to_string());
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

fn jwks(keys: &[(&str, &Key)]) -> Value {
    let keys = keys.iter().map(|(kid, key)| {
        let mut jwk = serde_json::to_value(JsonWebKey::from(&Key::to_verifying_key(key))).unwrap();
        jwk["kid"] = json!(kid);
        jwk
    });
    json!({"keys": keys.collect::<Vec<_>>()})
}

fn write(origin: &Origin, kid: &str, key: &Key) -> Response {
    let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let claims = json!({
        "iss": "https://fetched.example", "sub": "m", "mid": MERCHANT, "ctx": ["merchant"], "exp": origin.now() + 86_400,
    });
    let head = format!("{}.{}", part(&json!({"alg": "ES256", "kid": kid})), part(&claims));
    let signature = Es256.sign(key, head.as_bytes());
    let token = format!("{head}.{}", Base64UrlUnpadded::encode_string(&signature.as_bytes()));
    origin.ask("PATCH", "/v2/items/5101").bearer(&token).form("title=x").send()
}

#[test]
fn keys_are_fetched_kept_and_fetched_again_when_one_is_new() {
    let issuer = Issuer::start();
    let origin = Origin::with(|settings| {
        let issuers = json!([
            {"issuer": "https://fetched.example", "namespace": "f", "audience": "none_required", "may": ["write"], "keys": {"jwks_url": issuer.url}},
            // The edge's list also names this origin.
            {"issuer": settings.issuer, "namespace": "vendor", "audience": "none_required", "keys": {"jwks_url": issuer.url}},
        ]);
        settings.variables.insert("ISSUERS".to_owned(), issuers.to_string());
    });
    let [first, second] = [[1; 32], [2; 32]].map(|scalar| Key::from_slice(&scalar).unwrap());
    let answer = write(&origin, "1", &first).refused(503, "Service unavailable");
    assert!(answer.header("retry-after").is_some());
    issuer.answers(200, &jwks(&[("1", &first)]));
    // Each thread fetches for itself, and only some time after a failure.
    origin.advance(10);
    for _ in 0..20 {
        write(&origin, "1", &first).expect(201);
    }
    let asked = issuer.asked();
    assert!((2..=8).contains(&asked), "{asked}");
    // The issuer may have rotated since: only a fetch that starts later can tell.
    let answer = write(&origin, "1", &second).refused(503, "Service unavailable");
    assert!(answer.header("retry-after").is_some());
    origin.advance(30);
    write(&origin, "1", &second).refused(401, "Invalid auth token");
    issuer.answers(200, &jwks(&[("1", &first), ("2", &second)]));
    origin.advance(30);
    write(&origin, "2", &second).expect(201);
    // The issuer stays down: each thread keeps its last keys.
    issuer.answers(500, &json!({}));
    origin.advance(3_600);
    for _ in 0..8 {
        write(&origin, "1", &first).expect(201);
    }
    assert!(issuer.asked() > asked);
}
