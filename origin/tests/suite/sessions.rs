//! Sessions that end: by sign-out, by a new password, by a command.

use std::{io::Read as _, process::Stdio};

use serde_json::{Value, json};

use crate::support::{
    Ask, CLIENT, CUSTOMER_SUBJECT, Dir, MERCHANT_UUID, Origin, PASSWORD, Process, REDIRECT, REGISTERED,
    authenticate, bearer, by_password, command, open_origin, part, refresh, register, signed_in,
    with_account, with_account_by,
};

/// The status of `GET /accounts`.
fn account(origin: &Origin, signed_in: &Value) -> u16 {
    origin.ask("GET", "/accounts").bearer(&bearer(signed_in)).send().status
}

#[test]
fn a_sign_out_ends_its_session_and_no_other() {
    let origin = with_account();
    let [one, other] = [(); 2].map(|()| signed_in(&origin));
    // The session's later tokens end as well.
    let later = refresh(&origin, CLIENT, &one["refresh_token"]).expect(200).json();
    assert_eq!(part(&later["access_token"], 1)["sid"], part(&one["access_token"], 1)["sid"]);
    let answer = origin.ask("GET", "/accounts/logout").bearer(&bearer(&one)).send().expect(200);
    assert_eq!(answer.json(), json!({"code": 200, "message": "Signed out"}));
    assert_eq!([&one, &later, &other].map(|token| account(&origin, token)), [401, 401, 200]);
    // Every other route refuses the token as well.
    origin.ask("GET", "/items/5101/access").bearer(&bearer(&one)).send().refused(401, "Invalid auth token");
    origin.ask("GET", "/accounts/logout").bearer(&bearer(&one)).send().expect(401);
    // Players send the old bearer along: public reads and the next sign-in ignore it.
    origin.ask("GET", "/items/5101").bearer(&bearer(&one)).send().expect(200);
    let again = by_password(CLIENT, "ada@example.com", PASSWORD);
    origin.ask("POST", "/accounts/authenticate").bearer(&bearer(&one)).form(&again).send().expect(200);
    refresh(&origin, CLIENT, &later["refresh_token"]).refused(401, "Invalid refresh token");
    refresh(&origin, CLIENT, &other["refresh_token"]).expect(200);
    origin.ask("HEAD", "/accounts/logout").bearer(&bearer(&other)).send().expect(405);
    assert_eq!(account(&origin, &other), 200);
    origin.ask("GET", "/accounts/logout").send().refused(401, "Invalid auth token");
}

#[test]
fn a_token_of_another_issuer_is_signed_out_by_its_name() {
    let origin = with_account();
    let token = |jti: &str| origin.token(json!({"sub": CUSTOMER_SUBJECT, "jti": jti, "sid": "foreign"}));
    let status = |jti: &str| origin.ask("GET", "/accounts").bearer(&token(jti)).send().status;
    assert_eq!((status("a"), status("b")), (200, 200));
    origin.ask("GET", "/accounts/logout").bearer(&token("a")).send().expect(200);
    assert_eq!((status("a"), status("b")), (401, 200));
}

/// A `jti` is unique for its issuer alone: another issuer's token may have the same.
#[test]
fn a_sign_out_leaves_the_tokens_of_other_issuers() {
    let origin = with_account();
    let chosen = json!({"sub": "stranger", "jti": "a"});
    let foreign = origin.token_of("https://cognito.dev.admit.example/pool", chosen);
    let token = origin.token(json!({"sub": CUSTOMER_SUBJECT, "jti": "a"}));
    let status = |token: &str| origin.ask("GET", "/license").bearer(token).send().status;
    origin.ask("GET", "/accounts/logout").bearer(&foreign).send().expect(200);
    assert_eq!((status(&foreign), status(&token)), (401, 200));
    // An operator names a token without its issuer.
    command(&origin, &["revoke", "--token", "a"], "").unwrap();
    assert_eq!((status(&foreign), status(&token)), (401, 401));
}

#[test]
fn a_page_signs_out_and_gets_its_viewer_back() {
    let origin = with_account();
    command(&origin, &["client", "redirect", "--client-id", CLIENT, "--uri", REDIRECT], "").unwrap();
    let path = |client: &str, uri: &str| format!("/logout?client_id={client}&logout_uri={uri}");
    let answer = origin.ask("GET", &path(CLIENT, "https%3A%2F%2Ftv.example%2Freturn")).send().expect(302);
    assert_eq!(answer.header("location"), Some(REDIRECT));
    // With a token its session ends; one that is not good any more changes nothing.
    let signed_in = signed_in(&origin);
    for _ in 0..2 {
        let answer =
            origin.ask("GET", &path(CLIENT, REDIRECT)).bearer(&bearer(&signed_in)).send().expect(302);
        assert_eq!(answer.header("location"), Some(REDIRECT));
        assert_eq!(account(&origin, &signed_in), 401);
    }
    origin.ask("GET", &path(CLIENT, "https://evil.example/")).send().refused(400, "Invalid logout address");
    origin.ask("GET", &path("unknown", REDIRECT)).send().refused(400, "Invalid logout address");
    let missing = origin.ask("GET", "/logout?client_id=x").send().expect(400).json();
    assert_eq!(missing["errors"]["logout_uri"], "The logout_uri is required");
}

#[test]
fn a_changed_password_ends_the_other_sessions() {
    let origin = with_account();
    let [this, other] = [(); 2].map(|()| signed_in(&origin));
    let change =
        |form: &str| origin.ask("POST", "/accounts/change-password").bearer(&bearer(&this)).form(form).send();
    let old = PASSWORD.replace(' ', "+");
    change("").invalid(&["old_password", "password"]);
    change(&format!("old_password={old}&password=short")).invalid(&["password"]);
    change(&format!("old_password={old}&password=long+enough&password_confirmation=x"))
        .invalid(&["password_confirmation"]);
    change("old_password=wrong&password=long+enough").invalid(&["old_password"]);
    assert_eq!([&this, &other].map(|token| account(&origin, token)), [200, 200]);
    let new = "password=long+enough&password_confirmation=long+enough&branding_id=1";
    assert_eq!(change(&format!("old_password={old}&{new}")).expect(200).json()["code"], 200);
    assert_eq!([&this, &other].map(|token| account(&origin, token)), [200, 401]);
    refresh(&origin, CLIENT, &this["refresh_token"]).expect(200);
    refresh(&origin, CLIENT, &other["refresh_token"]).expect(401);
    authenticate(&origin, &by_password(CLIENT, "ada@example.com", PASSWORD)).expect(401);
    authenticate(&origin, &by_password(CLIENT, "ada@example.com", "long enough")).expect(200);
    origin.ask("POST", "/accounts/change-password").form(new).send().refused(401, "Invalid auth token");
    let trail = command(&origin, &["audit", "--action", "account.password"], "").unwrap();
    assert_eq!(trail.lines().count(), 1, "{trail}");
}

#[test]
fn guesses_at_the_old_password_count_with_those_of_sign_ins() {
    let origin = with_account();
    let token = bearer(&signed_in(&origin));
    let change = || {
        let form = "old_password=wrong&password=long+enough";
        origin.ask("POST", "/accounts/change-password").bearer(&token).form(form).send().status
    };
    assert_eq!([(); 5].map(|()| change()), [422, 422, 422, 422, 429]);
    authenticate(&origin, &by_password(CLIENT, "ada@example.com", PASSWORD)).expect(429);
    // Reads of the account go on.
    origin.ask("GET", "/accounts").bearer(&token).send().expect(200);
}

#[test]
fn a_forgotten_password_is_answered_alike_for_every_address() {
    let dir = Dir::new();
    let more = [("ORIGIN_ALLOW_REGISTRATION", "true"), ("ORIGIN_LOG_PASSWORD_TOKENS", "true")];
    let mut process = Process::with(&dir, &more, Stdio::piped());
    let ask = |method: &'static str, path: &str, form: &str| {
        Ask::new(method, format!("{}{path}", process.url)).form(form).send()
    };
    let password = REGISTERED.replace(' ', "+");
    let form = format!("username=new@example.com&password={password}&client_id={CLIENT}&full_name=N");
    let signed_in = ask("POST", "/accounts", &form).expect(200).json();
    let forgot = |email: &str, merchant: &str| {
        ask(
            "POST",
            "/accounts/forgot-password",
            &format!("email={email}&merchant_uuid={merchant}&branding_id=0"),
        )
    };
    let known = forgot("new@example.com", MERCHANT_UUID).expect(200);
    assert_eq!(forgot("unknown@example.com", MERCHANT_UUID).expect(200).text, known.text);
    assert_eq!(forgot("new@example.com", "unknown").expect(200).text, known.text);
    ask("POST", "/accounts/forgot-password", "").invalid(&["email", "merchant_uuid"]);
    // Several requests for one address are delayed, whether or not it has an account.
    for email in ["new@example.com", "unknown@example.com"] {
        let statuses: Vec<_> = (0..4).map(|_| forgot(email, CLIENT).status).collect();
        assert!(statuses.contains(&429), "{email}: {statuses:?}");
    }
    let put = |token: &str, form: &str| ask("PUT", &format!("/accounts/forgot-password/{token}"), form);
    put("unknown", "password=long+enough").refused(400, "Invalid password token");
    put("unknown", "").invalid(&["password"]);
    let token_log = {
        let mut log = process.stderr();
        // The log ends when the process does, so the requests below go to a second one on the same database.
        process.kill();
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        text
    };
    let events: Vec<Value> = token_log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let tokens: Vec<_> = events.iter().filter(|event| event["event"] == "password_token").collect();
    assert!(!tokens.is_empty(), "{token_log}");
    let token = tokens[0]["token"].as_str().unwrap();
    let process = Process::with(&dir, &more, Stdio::null());
    let put = |form: &str| {
        Ask::new("PUT", format!("{}/accounts/forgot-password/{token}", process.url)).form(form).send()
    };
    put("password=short").invalid(&["password"]);
    // Players send the old bearer along, which proves nothing here and does not count as the actor.
    let form = "password=long+enough&password_confirmation=long+enough&branding_id=0";
    Ask::new("PUT", format!("{}/accounts/forgot-password/{token}", process.url))
        .bearer(&bearer(&signed_in))
        .form(form)
        .send()
        .expect(200);
    let sql = "SELECT actor FROM audit WHERE action = 'account.password'";
    let actor: String =
        origin::db::connect_to(&dir.db()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(actor, "the holder of a password token");
    // The token works once, and every session has ended.
    put("password=long+enough").refused(400, "Invalid password token");
    let account = Ask::new("GET", format!("{}/accounts", process.url)).bearer(&bearer(&signed_in)).send();
    account.refused(401, "Invalid auth token");
    let authenticate = |password: &str| {
        let form = by_password(CLIENT, "new@example.com", password);
        Ask::new("POST", format!("{}/accounts/authenticate", process.url)).form(&form).send().status
    };
    assert_eq!((authenticate(REGISTERED), authenticate("long enough")), (401, 200));
}

#[test]
fn without_the_development_log_no_token_is_made() {
    let origin = open_origin();
    register(&origin, "new@example.com").expect(200);
    let form = format!("email=new@example.com&merchant_uuid={MERCHANT_UUID}");
    origin.ask("POST", "/accounts/forgot-password").form(&form).send().expect(200);
    let sql = "SELECT count(*) FROM password_tokens";
    assert_eq!(origin.connection().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn commands_end_sessions_with_their_access_tokens() {
    let origin = with_account();
    let set = ["account", "set", "--merchant", "2101", "--username", "ada@example.com"];
    let customer = format!("vendor:{CUSTOMER_SUBJECT}");
    let one = signed_in(&origin);
    command(&origin, &[&set[..], &["--customer", &customer]].concat(), PASSWORD).unwrap();
    assert_eq!(account(&origin, &one), 401);
    let one = signed_in(&origin);
    command(&origin, &["revoke", "--customer", &customer], "").unwrap();
    assert_eq!(account(&origin, &one), 401);
}

#[test]
fn viewers_of_older_sdks_may_have_long_tokens() {
    let days_30 = 30 * 86_400;
    let origin = with_account_by(|settings| settings.sdk_access_ttl_secs = days_30);
    let viewer = signed_in(&origin);
    assert_eq!(viewer["expires"], origin.now() + days_30);
    assert_eq!(part(&viewer["access_token"], 1)["exp"], origin.now() + days_30);
    // Tokens that can write keep the usual hour.
    command(&origin, &["account", "set", "--merchant", "2101", "--username", "ed"], PASSWORD).unwrap();
    let editor = authenticate(&origin, &by_password(MERCHANT_UUID, "ed", PASSWORD)).expect(200).json();
    assert_eq!(editor["expires"], origin.now() + 3_600);
    // A rotation of keys knows how long tokens live.
    command(&origin, &["keys", "rotate"], "").unwrap();
    origin.advance(29 * 86_400);
    assert_eq!((account(&origin, &viewer), account(&origin, &editor)), (200, 401));
    // A sign-in long after does not remove sessions whose tokens still live.
    signed_in(&origin);
    assert_eq!(account(&origin, &viewer), 200);
}
