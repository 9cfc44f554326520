//! Rights of a sign-in by client: test-mode clients, and the merchant's users.

use serde_json::{Value, json};

use crate::support::{
    CHALLENGE, CLIENT, CUSTOMER_SUBJECT, MERCHANT_UUID, Origin, PASSWORD, REDIRECT, VERIFIER, authenticate,
    by_password, command, part, refresh, with_account,
};

const TEST_CLIENT: &str = "5hq2v8mfernhollowtest3e8";

fn set_account(origin: &Origin, username: &str, more: &[&str]) {
    let account = ["account", "set", "--merchant", "2101", "--username", username];
    command(origin, &[&account[..], more].concat(), PASSWORD).unwrap();
}

fn set_ada(origin: &Origin, more: &[&str]) {
    let customer = format!("vendor:{CUSTOMER_SUBJECT}");
    set_account(origin, "ada@example.com", &[&["--customer", &customer], more].concat());
}

/// Signs in on the page through a client. Returns the status, and the code if there is one.
fn authorize(origin: &Origin, client_id: &str, username: &str) -> (u16, Option<String>) {
    let form = format!(
        "response_type=code&client_id={client_id}&redirect_uri={REDIRECT}&code_challenge={CHALLENGE}\
         &code_challenge_method=S256&username={username}&password={}",
        PASSWORD.replace(' ', "+")
    );
    let answer = origin.ask("POST", "/oauth2/authorize").form(&form).send();
    let code = answer.header("location").and_then(|location| {
        let query = location.split_once('?')?.1;
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "code")
            .map(|(_, code)| code.into_owned())
    });
    (answer.status, code)
}

fn licenses(origin: &Origin, token: &Value) -> usize {
    let answer = origin.ask("GET", "/license").bearer(token.as_str().unwrap()).send().expect(200);
    answer.json()["items"].as_array().unwrap().len()
}

#[test]
fn a_test_client_takes_testers_only() {
    let origin = with_account();
    let by_test_client = by_password(TEST_CLIENT, "ada@example.com", PASSWORD);
    authenticate(&origin, &by_test_client).refused(401, "Invalid credentials");
    // The same account signs in through a live client.
    authenticate(&origin, &by_password(CLIENT, "ada@example.com", PASSWORD)).expect(200);
    command(&origin, &["client", "redirect", "--client-id", TEST_CLIENT, "--uri", REDIRECT], "").unwrap();
    assert_eq!(authorize(&origin, TEST_CLIENT, "ada@example.com"), (401, None));

    set_ada(&origin, &["--tester"]);
    let signed_in = authenticate(&origin, &by_test_client).expect(200).json();
    assert!(licenses(&origin, &signed_in["access_token"]) > 0, "pending test licences");
    let again = refresh(&origin, TEST_CLIENT, &signed_in["refresh_token"]).expect(200).json();
    assert_eq!(authorize(&origin, TEST_CLIENT, "ada@example.com").0, 303);

    // After the account stops being a tester's, neither a new sign-in nor a refresh succeeds.
    origin.connection().execute("UPDATE accounts SET is_tester = 0", []).unwrap();
    authenticate(&origin, &by_test_client).refused(401, "Invalid credentials");
    refresh(&origin, TEST_CLIENT, &again["refresh_token"]).refused(401, "Invalid refresh token");
    // The command marks the account again, and unmarks it without the option.
    set_ada(&origin, &["--tester"]);
    authenticate(&origin, &by_test_client).expect(200);
    set_ada(&origin, &[]);
    authenticate(&origin, &by_test_client).refused(401, "Invalid credentials");
}

/// A client with a secret is not open to everyone who knows its id.
#[test]
fn a_test_client_with_a_secret_takes_every_account() {
    let origin = with_account();
    command(&origin, &["client", "redirect", "--client-id", TEST_CLIENT, "--uri", REDIRECT], "").unwrap();
    let secret =
        command(&origin, &["client", "set", "--client-id", TEST_CLIENT, "--merchant", "2101"], "").unwrap();
    let redeem = |secret: Option<&str>| {
        let (status, code) = authorize(&origin, TEST_CLIENT, "ada@example.com");
        assert_eq!(status, 303);
        let mut form = format!(
            "grant_type=authorization_code&client_id={TEST_CLIENT}&code={}&code_verifier={VERIFIER}",
            code.unwrap()
        );
        if let Some(secret) = secret {
            form.push_str(&format!("&client_secret={secret}"));
        }
        origin.ask("POST", "/oauth2/token").form(&form).send()
    };
    let tokens = redeem(Some(&secret)).expect(200).json();
    assert!(licenses(&origin, &tokens["access_token"]) > 0, "pending test licences");
    for (answer, error) in
        [(redeem(None).expect(400), "invalid_grant"), (redeem(Some("wrong")).expect(401), "invalid_client")]
    {
        assert_eq!(answer.json()["error"], error);
    }
    // The older SDKs' sign-in cannot send a client secret beside a password.
    authenticate(&origin, &by_password(TEST_CLIENT, "ada@example.com", PASSWORD))
        .refused(401, "Invalid credentials");
}

#[test]
fn merchants_users_write_only_by_the_merchants_clients() {
    let origin = Origin::start();
    set_account(&origin, "editor@example.com", &[]);
    let sign_in = |client_id: &str| {
        let form = by_password(client_id, "editor@example.com", PASSWORD);
        authenticate(&origin, &form).expect(200).json()
    };
    let writes = |signed_in: &Value| {
        let token = signed_in["access_token"].as_str().unwrap();
        origin.ask("PATCH", "/v2/items/5101").bearer(token).form("title=x").send().status
    };
    let by_app = sign_in(CLIENT);
    assert_eq!(part(&by_app["access_token"], 1)["ctx"], json!([]));
    assert_eq!((&by_app["account"]["roles"], writes(&by_app)), (&json!([]), 403));
    // A refreshed token has no more rights.
    let again = refresh(&origin, CLIENT, &by_app["refresh_token"]).expect(200).json();
    assert_eq!(writes(&again), 403);
    command(&origin, &["client", "redirect", "--client-id", CLIENT, "--uri", REDIRECT], "").unwrap();
    let by_code = || {
        let code = authorize(&origin, CLIENT, "editor@example.com").1.unwrap();
        let form =
            format!("grant_type=authorization_code&client_id={CLIENT}&code={code}&code_verifier={VERIFIER}");
        origin.ask("POST", "/oauth2/token").form(&form).send().expect(200).json()
    };
    assert_eq!(writes(&by_code()), 403);

    let by_merchant = sign_in(MERCHANT_UUID);
    assert_eq!((&by_merchant["account"]["roles"], writes(&by_merchant)), (&json!(["merchant"]), 201));

    let mark = |of: &str| command(&origin, &["client", "mark", "--client-id", CLIENT, "--for", of], "");
    mark("merchant").unwrap();
    assert_eq!((writes(&sign_in(CLIENT)), writes(&by_code())), (201, 201));
    mark("customers").unwrap();
    assert_eq!(writes(&sign_in(CLIENT)), 403);
    let unknown = command(&origin, &["client", "mark", "--client-id", "none", "--for", "merchant"], "");
    assert!(unknown.unwrap_err().contains("no app has the client \"none\""));
}

#[test]
fn a_program_of_one_merchant_does_not_read_the_feed_of_all() {
    let origin = Origin::start();
    let set = [
        "client",
        "set",
        "--client-id",
        "shop",
        "--merchant",
        "2101",
        "--role",
        "merchant",
        "--scope",
        "feed:read",
    ];
    let error = command(&origin, &set, "").unwrap_err();
    assert!(error.contains("set two programs"), "{error}");
    // A client that an earlier version set up.
    let secret = command(&origin, &set[..8], "").unwrap();
    origin.connection().execute("UPDATE machines SET scopes = 'feed:read'", []).unwrap();
    let form = format!("client_id=shop&grant_type=client_credentials&client_secret={secret}");
    let token = authenticate(&origin, &form).expect(200).json()["access_token"].clone();
    assert_eq!(part(&token, 1)["scope"], "feed:read");
    origin.ask("GET", "/export").bearer(token.as_str().unwrap()).send().refused(403, "Invalid privileges");
    origin.ask("PATCH", "/v2/items/5101").bearer(token.as_str().unwrap()).form("title=x").send().expect(201);
}

/// A program gets a new secret after its old one leaked, and keeps its rights.
#[test]
fn a_program_keeps_its_rights_with_another_secret() {
    let origin = Origin::start();
    let set = |more: &[&str]| {
        let client = ["client", "set", "--client-id", "shop", "--merchant", "2101"];
        command(&origin, &[&client[..], more].concat(), "").unwrap()
    };
    let token = |secret: &str| {
        let form = format!("client_id=shop&grant_type=client_credentials&client_secret={secret}");
        authenticate(&origin, &form)
    };
    let write = |secret: &str| {
        let token = token(secret).expect(200).json()["access_token"].clone();
        let scope = part(&token, 1)["scope"].clone();
        let token = token.as_str().unwrap();
        (origin.ask("PATCH", "/v2/items/5101").bearer(token).form("title=x").send().status, scope)
    };
    let first = set(&["--role", "merchant", "--scope", "a:b", "--scope", "c:d"]);
    let second = set(&[]);
    token(&first).refused(401, "Invalid credentials");
    assert_eq!(write(&second), (201, json!("a:b c:d")));
    assert_eq!(write(&set(&["--scope", "e:f"])), (201, json!("e:f")));
    assert_eq!(write(&set(&["--scope", ""])).0, 201);
    assert_eq!(write(&set(&["--role", "none"])).0, 403);
    let trail = command(&origin, &["audit", "--object", "client:shop"], "").unwrap();
    for object in [
        "client:shop role=merchant scopes=a:b+c:d",
        "client:shop role=merchant scopes=e:f",
        "client:shop role=none scopes=",
    ] {
        assert!(trail.contains(object), "{object} is not in {trail}");
    }
}
