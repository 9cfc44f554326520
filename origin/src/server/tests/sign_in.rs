//! Sign-ins at the server: delays after wrong passwords, and bounds on size before a thread starts.

use super::*;
use crate::limits::{PASSWORD_WORKERS, TOKEN_WORKERS};

#[test]
fn wrong_passwords_delay_the_next_attempt_before_any_hashing() {
    let subject = Subject::new(|_| {});
    let here = [203, 0, 113, 9];
    for username in ["ada", "nobody"] {
        let mut wrong = 0;
        let delayed = loop {
            let answer = subject.sign_in(here, username, "wrong password");
            if answer.status != 401 {
                break answer;
            }
            assert_eq!(answer.json()["message"], "Invalid credentials");
            wrong += 1;
        };
        // An unknown account gives the same answers as an existing one.
        assert_eq!((wrong, delayed.status, delayed.header("retry-after")), (4, 429, Some("1")), "{username}");
        assert_eq!(delayed.json()["code"], 429);
    }
    let counts = &subject.server.shared.counts;
    assert_eq!((counts.of("401 wrong credentials"), counts.of("429 too many")), (8, 2));
    // The delay needs no thread: none is free now.
    let gates = subject.server.pools.of(Class::Password).stick(PASSWORD_WORKERS);
    for password in [PASSWORD, "wrong password"] {
        assert_eq!(subject.sign_in(here, "ada", password).status, 429);
    }
    assert_eq!(subject.sign_in(here, "grace", PASSWORD).status, 503);
    drop(gates);
    while subject.sign_in(here, "grace", PASSWORD).status == 503 {}
    // The owner at another address is not delayed, and neither are other accounts here.
    assert_eq!(subject.sign_in([198, 51, 100, 7], "ada", PASSWORD).status, 200);
    assert_eq!(subject.sign_in(here, "grace", PASSWORD).status, 200);
    // Here one second is enough; then the count is cleared.
    subject.clock.fetch_add(1, Ordering::SeqCst);
    assert_eq!(subject.sign_in(here, "ada", PASSWORD).status, 200);
    for _ in 0..4 {
        assert_eq!(subject.sign_in(here, "ada", "wrong password").status, 401);
    }
}

#[test]
fn the_sign_in_page_delays_as_well_and_says_for_how_long() {
    let subject = Subject::new(|settings| settings.edge_secrets = vec![EDGE_SECRET.to_owned()]);
    let sql = "UPDATE clients SET redirect_uris_json = '[\"https://tv.example/\"]' WHERE client_id = ?1";
    db::connect_to(&subject.server.shared.settings.db).unwrap().execute(sql, [CLIENT]).unwrap();
    let asked = format!(
        "response_type=code&client_id={CLIENT}&redirect_uri=https://tv.example/&code_challenge={}&code_challenge_method=S256&state=%22s%22",
        "x".repeat(43)
    );
    let post = |address, password: &str| {
        let form = format!("{asked}&username=ada&password={password}");
        subject.send(address, "POST", "/oauth2/authorize", &[FORM], &form)
    };
    let statuses: Vec<_> = (0..6).map(|_| post([203, 0, 113, 9], "wrong").status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    let delayed = post([203, 0, 113, 9], "correct+horse");
    assert_eq!((delayed.status, delayed.header("retry-after")), (429, Some("1")));
    assert!(delayed.text.contains("Try again in 1 seconds"), "{}", delayed.text);
    assert!(delayed.text.contains("value=\"&quot;s&quot;\""), "what was asked for is sent along");
    assert_eq!(delayed.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(delayed.header("content-security-policy").is_some());
    // 303 keeps the browser from posting the form to the app.
    let signed_in = post([198, 51, 100, 7], "correct+horse");
    assert_eq!(signed_in.status, 303);
    let location = signed_in.header("location").unwrap();
    assert!(
        location.contains("code=") && location.contains("iss=https%3A%2F%2Forigin.example"),
        "{location}"
    );
    // A sign-in without a user name is delayed as well.
    let form = format!("{asked}&password=x");
    let statuses: Vec<_> = (0..6)
        .map(|_| subject.send([203, 0, 113, 10], "POST", "/oauth2/authorize", &[FORM], &form).status)
        .collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
}

#[test]
fn one_address_that_tries_every_account_is_delayed_and_another_is_not() {
    let subject = Subject::new(|settings| settings.edge_secrets = vec![EDGE_SECRET.to_owned()]);
    let spray =
        |account: u32| subject.sign_in([203, 0, 113, 9], &format!("u{account}"), "wrong password").status;
    let statuses: Vec<_> = (0..40).map(spray).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 21);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 19);
    assert_eq!(subject.sign_in([203, 0, 113, 9], "ada", PASSWORD).status, 429);
    assert_eq!(subject.sign_in([203, 0, 113, 10], "ada", PASSWORD).status, 200);
    // A refresh checks no password and has no delay.
    let refresh = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token=x");
    assert_eq!(subject.ask("POST", "/oauth2/token", &[FORM], &refresh).status, 400);
}

#[test]
fn a_stranger_behind_a_proxy_on_this_machine_leaves_the_sign_in_open() {
    let subject = Subject::new(|settings| settings.edge_secrets = vec![EDGE_SECRET.to_owned()]);
    for account in 0..40 {
        assert_eq!(subject.sign_in([127, 0, 0, 1], &format!("u{account}"), "wrong password").status, 401);
    }
    assert_eq!(subject.sign_in([127, 0, 0, 1], "ada", PASSWORD).status, 200);
}

#[test]
fn sign_ins_through_the_edge_count_for_the_viewer_behind_it() {
    let subject = Subject::new(|settings| settings.edge_secrets = vec![EDGE_SECRET.to_owned()]);
    let form = format!("grant_type=password&client_id={CLIENT}&username=ada&password=");
    let by_edge = |viewer: &str, key: &str, password: &str| {
        let headers = [FORM, ("admit-edge-key", key), ("admit-viewer-address", viewer)];
        let form = [&form, password].concat();
        subject.send([192, 0, 2, 1], "POST", "/accounts/authenticate", &headers, &form).status
    };
    let statuses: Vec<_> = (0..6).map(|_| by_edge("203.0.113.9", EDGE_SECRET, "wrong")).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    assert_eq!(by_edge("203.0.113.10", EDGE_SECRET, "correct+horse"), 200);
    // A sender without the secret cannot claim another address.
    let statuses: Vec<_> = (0..6).map(|n| by_edge(&format!("198.51.100.{n}"), "a guess", "wrong")).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
}

#[test]
fn an_oversized_sign_in_is_refused_before_a_thread_starts_on_it() {
    let subject = Subject::new(|_| {});
    let gates = [
        subject.server.pools.of(Class::Password).stick(PASSWORD_WORKERS),
        subject.server.pools.of(Class::Token).stick(TOKEN_WORKERS),
    ];
    let query = |text: String| subject.ask("GET", &format!("/oauth2/authorize?{text}"), &[], "").status;
    assert_eq!(query("a[]&".repeat(SIGN_IN_MAX_FIELDS + 1)), 400);
    assert_eq!(query("x".repeat(SIGN_IN_MAX_BYTES + 1)), 414);
    // A request at the bounds waits for a thread, and none is free.
    assert_eq!(query("a[]&".repeat(SIGN_IN_MAX_FIELDS)), 503);
    drop(gates);
    let paths =
        ["/accounts/authenticate", "/v2/accounts/authenticate", "/oauth2/token", "/oauth2/authorization"];
    for path in paths.into_iter().chain(["/oauth2/authorize"]) {
        let status = |body: &str| subject.ask("POST", path, &[FORM], body).status;
        while status("") == 503 {}
        assert_eq!(status(&"x".repeat(SIGN_IN_MAX_BYTES + 1)), 413, "{path}");
        assert!([400, 422].contains(&status(&"a[]&".repeat(SIGN_IN_MAX_FIELDS + 1))), "{path}");
        assert!([400, 422].contains(&status(&"a[]&".repeat(20_000 / 5))), "{path}");
    }
    // A merchant's bulk change may be larger; its token decides.
    let bulk = "a[]&".repeat(20_000);
    assert_eq!(subject.ask("PATCH", "/v2/items/5101/access-fees/bulk", &[FORM], &bulk).status, 401);
}
