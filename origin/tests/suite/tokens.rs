//! Sign-in at `/accounts/authenticate`, and signing keys.

use base64ct::{Base64UrlUnpadded, Encoding};
use origin::tokens::keys;
use serde_json::{Value, json};

use crate::support::{
    CLIENT, CUSTOMER, CUSTOMER_SUBJECT, MERCHANT, MERCHANT_UUID, Origin, PASSWORD, authenticate, by_password,
    check, command, part, refresh, signed_in, with_account,
};

#[test]
fn a_customer_signs_in_buys_and_plays() {
    let origin = with_account();
    let answer = authenticate(&origin, &by_password(CLIENT, "ADA@example.com", PASSWORD)).expect(200);
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    let signed_in = answer.json();
    assert_eq!(signed_in["expires"], origin.now() + 3_600);
    let account = &signed_in["account"];
    assert_eq!((&account["id"], &account["email"]), (&json!(CUSTOMER), &json!("ada@example.com")));
    assert_eq!((&account["uuid"], &account["roles"]), (&json!(CUSTOMER_SUBJECT), &json!(["consumer"])));
    let header = part(&signed_in["access_token"], 0);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("at+jwt")));
    let claims = part(&signed_in["access_token"], 1);
    let expected = json!({
        "iss": "https://origin.example", "aud": "admit", "sub": CUSTOMER_SUBJECT, "iat": origin.now(),
        "exp": origin.now() + 3_600, "jti": claims["jti"], "mid": MERCHANT, "mui": MERCHANT_UUID, "aid": CUSTOMER,
        "ctx": ["consumer"], "client_id": CLIENT, "sid": claims["sid"],
    });
    assert_eq!(claims, expected);
    check(&origin, &signed_in["access_token"]).refused(402, "No access");
    origin.grant(5101).expect(201);
    check(&origin, &signed_in["access_token"]).expect(200);
    let license = origin.ask("GET", "/license").bearer(signed_in["access_token"].as_str().unwrap()).send();
    assert_eq!(license.expect(200).json()["client_id"], CLIENT);
    // A customer's token cannot write.
    let write = origin.ask("PATCH", "/v2/items/5101").bearer(signed_in["access_token"].as_str().unwrap());
    write.form("title=x").send().refused(403, "Invalid privileges");
    origin.advance(3_600 + 60);
    check(&origin, &signed_in["access_token"]).refused(401, "Invalid auth token");
}

#[test]
fn the_older_path_takes_the_merchants_uuid_as_client_and_json() {
    let origin = with_account();
    let json = json!({
        "client_id": MERCHANT_UUID.to_uppercase(), "grant_type": "password", "username": "ada@example.com",
        "password": PASSWORD,
    });
    let signed_in = origin.ask("POST", "/accounts/authenticate").json(&json).send().expect(200).json();
    assert_eq!(part(&signed_in["access_token"], 1).get("client_id"), None);
}

#[test]
fn wrong_credentials_reveal_nothing() {
    let origin = with_account();
    for form in [
        by_password(CLIENT, "ada@example.com", "wrong"),
        by_password(CLIENT, "ada@example.com", &format!("{PASSWORD}!")),
        by_password(CLIENT, "unknown@example.com", PASSWORD),
        // Another merchant's client, and an unknown one.
        by_password("1tg0r4ptidegatelive8820z", "ada@example.com", PASSWORD),
        by_password("none", "ada@example.com", PASSWORD),
        "client_id=none&grant_type=client_credentials&client_secret=x".to_owned(),
    ] {
        authenticate(&origin, &form).refused(401, "Invalid credentials");
    }
    let form = format!("client_id={CLIENT}&grant_type=refresh_token&refresh_token=x");
    authenticate(&origin, &form).refused(401, "Invalid refresh token");
}

#[test]
fn invalid_forms_name_their_fields() {
    let origin = Origin::start();
    for (form, fields) in [
        ("", vec!["client_id", "grant_type"]),
        ("client_id=x&grant_type=magic", vec!["grant_type"]),
        ("client_id=x&grant_type=password", vec!["password", "username"]),
        ("client_id=x&grant_type=client_credentials", vec!["client_secret"]),
        ("grant_type=refresh_token", vec!["client_id", "refresh_token"]),
        ("client_id=x&grant_type=password&username=ada&password=%FF", vec!["password"]),
    ] {
        let errors = authenticate(&origin, form).expect(400).json()["errors"].clone();
        let named: Vec<_> = errors.as_object().unwrap().keys().cloned().collect();
        // A missing field hides the fields that depend on it.
        assert!(fields.iter().any(|field| named.iter().any(|name| name == field)), "{form}: {named:?}");
        assert!(named.iter().all(|name| fields.contains(&name.as_str())), "{form}: {named:?}");
    }
    let ask = origin.ask("POST", "/accounts/authenticate");
    ask.body("text/plain", "x").send().refused(415, "Unsupported media type");
}

#[test]
fn a_program_signs_in_by_its_secret() {
    let origin = Origin::start();
    let set = |id: &str, more: &[&str]| {
        command(&origin, &[&["client", "set", "--client-id", id, "--merchant", "2101"], more].concat(), "")
            .unwrap()
    };
    let secret = set("shop", &["--role", "merchant"]);
    let form = |secret: &str| format!("client_id=shop&grant_type=client_credentials&client_secret={secret}");
    authenticate(&origin, &form("wrong")).refused(401, "Invalid credentials");
    let signed_in = authenticate(&origin, &form(&secret)).expect(200).json();
    assert_eq!(part(&signed_in["access_token"], 1)["ctx"], json!(["merchant"]));
    let patch = |token: &Value| {
        origin.ask("PATCH", "/v2/items/5101").bearer(token.as_str().unwrap()).form("title=x").send()
    };
    patch(&signed_in["access_token"]).expect(201);
    assert!(signed_in.get("refresh_token").is_none(), "it has its secret: {signed_in}");
    // With a new secret, the old one is refused.
    let other = set("shop", &["--role", "merchant"]);
    authenticate(&origin, &form(&secret)).refused(401, "Invalid credentials");
    authenticate(&origin, &form(&other)).expect(200);
    // Another merchant cannot take the program over, and a customer's subject cannot name a program.
    let set_as = |id: &str, merchant: &str| {
        command(&origin, &["client", "set", "--client-id", id, "--merchant", merchant], "")
    };
    let taken = set_as("shop", "3407").unwrap_err();
    assert!(taken.contains("another merchant's"), "{taken}");
    authenticate(&origin, &form(&other)).expect(200);
    let named = set_as(CUSTOMER_SUBJECT, "2101").unwrap_err();
    assert!(named.contains("a customer has the subject"), "{named}");
    let customer = ["customer", "add", "--customer", "vendor:shop", "--merchant", "2101"];
    assert!(command(&origin, &customer, "").unwrap_err().contains("a program has the client id"));
    // A program named like a customer by an earlier version does not sign in as the customer.
    let customer = "UPDATE customers SET subject = 'shop' WHERE id = 88005 AND namespace = 'vendor'";
    origin.connection().execute(customer, []).unwrap();
    authenticate(&origin, &form(&other)).refused(401, "Invalid credentials");
    let token = format!("client_id=shop&grant_type=client_credentials&client_secret={other}");
    origin.ask("POST", "/oauth2/token").form(&token).send().expect(401);
    // A program for the feed, through OAuth's own route.
    let secret = set("sync", &["--scope", "feed:read"]);
    let token = |more: &str| {
        let form = format!("client_id=sync&grant_type=client_credentials&client_secret={secret}{more}");
        origin.ask("POST", "/oauth2/token").form(&form).send().expect(200).json()
    };
    let feed = |token: &Value| origin.ask("GET", "/export").bearer(token.as_str().unwrap()).send();
    assert_eq!(token("")["scope"], "feed:read");
    feed(&token("")["access_token"]).expect(200);
    feed(&token("&scope=snapshot:publish")["access_token"]).refused(403, "Invalid privileges");
    patch(&token("")["access_token"]).refused(403, "Invalid privileges");
}

#[test]
fn keys_are_rotated_while_it_serves() {
    let origin = with_account();
    let sign_in = || signed_in(&origin);
    let jwks = || {
        let set = origin.ask("GET", "/.well-known/jwks.json").send().expect(200).json();
        let kids = set["keys"].as_array().unwrap().iter().map(|key| {
            assert_eq!((&key["kty"], &key["crv"], key.get("d")), (&json!("EC"), &json!("P-256"), None));
            key["kid"].as_str().unwrap().to_owned()
        });
        kids.collect::<Vec<_>>()
    };
    let old = sign_in()["access_token"].clone();
    let old_kid = part(&old, 0)["kid"].as_str().unwrap().to_owned();
    assert_eq!(jwks(), std::slice::from_ref(&old_kid));
    let kid = command(&origin, &["keys", "rotate"], "").unwrap();
    assert_eq!(jwks(), [kid.clone(), old_kid]);
    let new = sign_in()["access_token"].clone();
    assert_eq!(part(&new, 0)["kid"], json!(kid));
    // Both keys verify until the old one has ended.
    check(&origin, &old).refused(402, "No access");
    check(&origin, &new).refused(402, "No access");
    // One minute more than a token lives, and one for the command's clock, which is the machine's.
    origin.advance(3_600 + 120);
    assert_eq!(jwks(), [kid]);
    let new = sign_in()["access_token"].clone();
    check(&origin, &new).refused(402, "No access");
}

/// A thief of a key can sign any token at any time. The edge forgets a key with the JWKS; the origin must do
/// so by itself.
#[test]
fn a_key_that_has_ended_verifies_nothing_any_more() {
    let origin = with_account();
    let form = by_password(CLIENT, "ada@example.com", PASSWORD);
    let token = authenticate(&origin, &form).expect(200).json()["access_token"].clone();
    // As if its tokens lived for a minute, although this one lives for an hour.
    keys::rotate(&mut origin.connection(), origin.now(), 60).unwrap();
    check(&origin, &token).refused(402, "No access");
    origin.advance(121);
    for _ in 0..8 {
        check(&origin, &token).refused(401, "Invalid auth token");
    }
}

#[test]
fn keys_are_not_rotated_more_often_than_an_edge_can_follow() {
    let origin = Origin::start();
    // The answer shows that the server has generated its first key.
    origin.ask("GET", "/healthz").send().expect(200);
    let mut connection = origin.connection();
    for _ in 1..16 {
        keys::rotate(&mut connection, origin.now(), 3_600).unwrap();
    }
    assert!(keys::rotate(&mut connection, origin.now(), 3_600).is_err());
    // Tokens of all keys still verify.
    origin.grant(5101).expect(201);
    keys::rotate(&mut connection, origin.now() + 3_700, 3_600).unwrap();
}

#[test]
fn the_discovery_document_names_issuer_keys_and_pkce() {
    let origin = Origin::start();
    let document = origin.ask("GET", "/.well-known/openid-configuration").send().expect(200).json();
    assert_eq!(document["issuer"], "https://origin.example");
    assert_eq!(document["jwks_uri"], "https://origin.example/.well-known/jwks.json");
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
}

#[test]
fn invalid_accounts_are_refused() {
    let origin = with_account();
    let set = |more: &[&str], typed: &str| {
        command(&origin, &[&["account", "set", "--username", "ada@example.com"], more].concat(), typed)
    };
    assert!(set(&["--merchant", "2101"], "").unwrap_err().contains("standard input"));
    assert!(
        set(&["--merchant", "2101", "--customer", "vendor:unknown"], "x")
            .unwrap_err()
            .contains("unknown customer")
    );
    let customer = format!("vendor:{CUSTOMER_SUBJECT}");
    assert!(
        set(&["--merchant", "3407", "--customer", &customer], "x").unwrap_err().contains("another merchant")
    );
    assert!(set(&["--merchant", "2101"], PASSWORD).unwrap_err().contains("taken by another account"));
    let short = set(&["--merchant", "2101", "--customer", &customer], "7 chars").unwrap_err();
    assert!(short.contains("must have at least 8 characters, not 7"), "{short}");
    let long = set(&["--merchant", "2101", "--customer", &customer], &"x".repeat(2_001)).unwrap_err();
    assert!(long.contains("must have at most 2000 bytes"), "{long}");
    // Setting the account again replaces the password.
    set(&["--merchant", "2101", "--customer", &customer], "changed horse\n").unwrap();
    authenticate(&origin, &by_password(CLIENT, "ada@example.com", PASSWORD))
        .refused(401, "Invalid credentials");
    authenticate(&origin, &by_password(CLIENT, "ada@example.com", "changed horse")).expect(200);
}

#[test]
fn a_customer_of_another_issuer_does_not_sign_in_here() {
    // A token of this origin would name a different person with the same subject.
    let origin = Origin::start();
    let customer = "cognito:687701d2-7eef-4ae9-a1be-cd432fc3af69";
    let account =
        ["account", "set", "--merchant", "2101", "--username", "ada@example.com", "--customer", customer];
    command(&origin, &account, PASSWORD).unwrap();
    authenticate(&origin, &by_password(CLIENT, "ada@example.com", PASSWORD))
        .refused(401, "Invalid credentials");
}

#[test]
fn secrets_are_not_in_the_database_as_they_are() {
    let origin = with_account();
    let token = signed_in(&origin);
    let next = refresh(&origin, CLIENT, &token["refresh_token"]).expect(200).json();
    let secret = command(&origin, &["client", "set", "--client-id", "x", "--merchant", "2101"], "").unwrap();
    origin.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let bytes = std::fs::read(origin.dir.db()).unwrap();
    let [token, next] = [&token, &next].map(|token| token["refresh_token"].as_str().unwrap());
    let raw = Base64UrlUnpadded::decode_vec(next).unwrap();
    assert!(!bytes.windows(raw.len()).any(|window| window == raw));
    for text in [PASSWORD, token, next, &secret] {
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
}
