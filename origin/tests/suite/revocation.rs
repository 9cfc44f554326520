//! Keys, tokens and secrets that are refused at once.

use serde_json::{Value, json};

use crate::support::{CUSTOMER_SUBJECT, FEED_SECRET, MERCHANT_UUID, Origin, PASSWORD, by_password, command};

fn kids(origin: &Origin) -> Vec<Value> {
    let jwks = origin.ask("GET", "/.well-known/jwks.json").send().expect(200).json();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
}

/// Signs one of the merchant's users in. Returns access token and refresh token.
fn editor(origin: &Origin) -> (String, String) {
    command(origin, &["account", "set", "--merchant", "2101", "--username", "ed"], PASSWORD).unwrap();
    let form = by_password(MERCHANT_UUID, "ed", PASSWORD);
    let answer = origin.ask("POST", "/accounts/authenticate").form(&form).send().expect(200).json();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

fn refresh(origin: &Origin, token: &str) -> crate::support::Response {
    let form = format!("grant_type=refresh_token&client_id={MERCHANT_UUID}&refresh_token={token}");
    origin.ask("POST", "/accounts/authenticate").form(&form).send()
}

fn change(origin: &Origin, token: &str) -> u16 {
    origin.ask("PATCH", "/v2/items/5101").bearer(token).form("title=T").send().status
}

#[test]
fn a_revoked_key_is_gone_at_once_and_its_tokens_with_it() {
    let origin = Origin::start();
    let (token, session) = editor(&origin);
    assert_eq!(change(&origin, &token), 201);
    let leaked = kids(&origin);
    let kid = leaked[0].as_str().unwrap();
    // The signing key: a new one is generated.
    let signs = command(&origin, &["keys", "revoke", kid], "").unwrap();
    assert_eq!(kids(&origin), [json!(signs.trim())]);
    assert_eq!(change(&origin, &token), 401);
    // Sign-ins go on, with the new key.
    let answer = refresh(&origin, &session).expect(200).json();
    assert_eq!(change(&origin, answer["access_token"].as_str().unwrap()), 201);
    // A retired key: the signing key stays.
    let second = command(&origin, &["keys", "rotate"], "").unwrap();
    assert_eq!(kids(&origin).len(), 2);
    let still = command(&origin, &["keys", "revoke", signs.trim()], "").unwrap();
    assert_eq!((still.trim(), kids(&origin)), (second.trim(), vec![json!(second.trim())]));
    assert_eq!(change(&origin, answer["access_token"].as_str().unwrap()), 401);
    let listed = command(&origin, &["keys", "list"], "").unwrap();
    assert_eq!(listed.trim(), format!("{} signs", second.trim()));
    // With `--end-sessions`, every viewer types the password again.
    let session = answer["refresh_token"].as_str().unwrap();
    command(&origin, &["keys", "revoke", second.trim(), "--end-sessions"], "").unwrap();
    refresh(&origin, session).expect(401);
}

#[test]
fn tokens_of_a_removed_customer_are_refused() {
    let origin = Origin::start();
    let token = origin.token(json!({"sub": CUSTOMER_SUBJECT, "ctx": ["consumer"], "iat": origin.now()}));
    let check = |token: &str, item: u32| {
        origin.ask("GET", &format!("/items/{item}/access")).bearer(token).send().status
    };
    assert_eq!(check(&token, 5101), 402);
    let name = format!("vendor:{CUSTOMER_SUBJECT}");
    command(&origin, &["customer", "remove", "--customer", &name], "").unwrap();
    assert_eq!(check(&token, 5101), 401);
    assert_eq!(check(&origin.customer(), 5101), 401, "nor one that does not say when it was issued");
    // Tokens of other customers are accepted.
    assert_eq!(check(&origin.token(json!({"sub": "another", "ctx": ["consumer"]})), 5101), 402);
    origin.ask("GET", "/items/5101").send().expect(200);
    // After the customer is added again, new tokens are accepted.
    let arguments = ["customer", "add", "--merchant", "2101", "--customer", &name];
    command(&origin, &arguments, "").unwrap();
    let later = json!({"sub": CUSTOMER_SUBJECT, "ctx": ["consumer"], "iat": origin.now() + 2});
    origin.advance(5);
    assert_eq!((check(&token, 5101), check(&origin.token(later), 5101)), (401, 402));
}

#[test]
fn one_token_is_refused_for_reads_writes_and_the_feed() {
    let origin = Origin::with(|settings| {
        let issuers = settings.variables.get_mut("ISSUERS").unwrap();
        *issuers = issuers.replace(r#"["publish"]"#, r#"["feed"]"#);
    });
    let editor = |jti: &str| json!({"sub": "editor", "mid": 2101, "ctx": ["merchant"], "jti": jti});
    let (stolen, other) = (origin.token(editor("a")), origin.token(editor("b")));
    assert_eq!(change(&origin, &stolen), 201);
    let follower = origin.token_of(
        "https://publisher.dev.admit.example",
        json!({"sub": "f", "scope": "feed:read", "jti": "c"}),
    );
    origin.ask("GET", "/export").bearer(&follower).send().expect(200);
    for jti in ["a", "c"] {
        command(&origin, &["revoke", "--token", jti], "").unwrap();
    }
    assert_eq!((change(&origin, &stolen), change(&origin, &other)), (401, 201));
    origin.ask("GET", "/items/5101/access").bearer(&stolen).send().refused(401, "Invalid auth token");
    origin.ask("GET", "/export").bearer(&follower).send().expect(401);
    origin.feed("/export").expect(200);
}

#[test]
fn the_feed_has_two_secrets_while_one_is_replaced() {
    let new = "another-secret-another-secret-another";
    let origin = Origin::with(|settings| {
        settings.feed_secret = Some(new.to_owned());
        settings.feed_secret_previous = Some(FEED_SECRET.to_owned());
    });
    for (secret, status) in [(new, 200), (FEED_SECRET, 200), ("a-third-secret-a-third-secret-a-third", 401)] {
        assert_eq!(origin.ask("GET", "/export").bearer(secret).send().status, status, "{secret}");
    }
}
