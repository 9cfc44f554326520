//! OAuth 2: authorization code with PKCE, refresh, and refusals.

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::support::{
    CHALLENGE, CLIENT, CUSTOMER_SUBJECT, Origin, PASSWORD, REDIRECT, Response, VERIFIER, command, part,
    with_account, with_account_by,
};

fn origin() -> Origin {
    let origin = with_account();
    command(&origin, &["client", "redirect", "--client-id", CLIENT, "--uri", REDIRECT], "").unwrap();
    origin
}

fn request() -> String {
    format!(
        "response_type=code&client_id={CLIENT}&redirect_uri={REDIRECT}&code_challenge={CHALLENGE}&code_challenge_method=S256\
         &scope=openid&state=a%26b&nonce=n-1"
    )
}

fn sign_in(origin: &Origin, request: &str, password: &str) -> Response {
    let form = format!("{request}&username=ada@example.com&password={}", password.replace(' ', "+"));
    origin.ask("POST", "/oauth2/authorize").form(&form).send()
}

/// The code in the redirect's address.
fn code(answer: &Response) -> String {
    let location = answer.header("location").unwrap();
    let query = location.strip_prefix(&format!("{REDIRECT}?")).unwrap();
    let find = |name: &str| {
        form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name).unwrap().1.into_owned()
    };
    assert_eq!((find("state"), find("iss")), ("a&b".to_owned(), "https://origin.example".to_owned()));
    find("code")
}

fn redeem(origin: &Origin, code: &str, verifier: &str) -> Response {
    let form = format!(
        "grant_type=authorization_code&client_id={CLIENT}&code={code}&code_verifier={verifier}&redirect_uri={REDIRECT}"
    );
    origin.ask("POST", "/oauth2/token").form(&form).send()
}

fn refresh(origin: &Origin, path: &str, token: &Value) -> Response {
    let token = token.as_str().unwrap();
    let form = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token={token}");
    origin.ask("POST", path).form(&form).send()
}

#[track_caller]
fn refused(answer: Response, status: u16, error: &str) {
    let answer = answer.expect(status);
    assert_eq!(answer.json()["error"], error);
    assert!(answer.json()["error_description"].is_string());
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
}

#[test]
fn from_the_page_to_a_token_and_on() {
    let origin = origin();
    let page = origin.ask("GET", &format!("/oauth2/authorize?{}", request())).send().expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    assert!(page.text.contains(r#"name="state" value="a&amp;b""#), "{}", page.text);
    let answer = sign_in(&origin, &request(), PASSWORD).expect(303);
    let tokens = redeem(&origin, &code(&answer), VERIFIER).expect(200).json();
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3_600)));
    let claims = part(&tokens["id_token"], 1);
    assert_eq!(
        (&claims["aud"], &claims["sub"], &claims["nonce"]),
        (&json!(CLIENT), &json!(CUSTOMER_SUBJECT), &json!("n-1"))
    );
    assert_eq!(claims["auth_time"], origin.now());
    assert_eq!(part(&tokens["access_token"], 1)["client_id"], CLIENT);
    let check =
        |token: &Value| origin.ask("GET", "/items/5101/access").bearer(token.as_str().unwrap()).send();
    check(&tokens["access_token"]).refused(402, "No access");
    // An `id_token` is for the client and not for an API.
    check(&tokens["id_token"]).refused(401, "Invalid auth token");
    let second = refresh(&origin, "/oauth2/token", &tokens["refresh_token"]).expect(200).json();
    let third = refresh(&origin, "/oauth2/authorization", &second["refresh_token"]).expect(200).json();
    check(&third["access_token"]).refused(402, "No access");
    // A client may ask again for a lost answer.
    let again = refresh(&origin, "/oauth2/token", &second["refresh_token"]).expect(200).json();
    assert_eq!(again["refresh_token"], third["refresh_token"]);
    origin.advance(30);
    refused(refresh(&origin, "/oauth2/token", &second["refresh_token"]), 400, "invalid_grant");
    refused(refresh(&origin, "/oauth2/token", &third["refresh_token"]), 400, "invalid_grant");
}

/// An address of the discovery document, without the issuer.
fn announced(origin: &Origin, name: &str) -> String {
    let document = origin.ask("GET", "/.well-known/openid-configuration").send().expect(200).json();
    document[name].as_str().unwrap().strip_prefix("https://origin.example").unwrap().to_owned()
}

#[test]
fn a_standard_client_signs_in_at_an_origin_that_answers_its_edge_only() {
    let origin = with_account_by(|settings| {
        settings.edge_secrets = vec!["edge-secret-edge-secret-edge-secret".to_owned()];
        settings.is_edge_only = true;
    });
    command(&origin, &["client", "redirect", "--client-id", CLIENT, "--uri", REDIRECT], "").unwrap();
    origin.ask("GET", "/items/5101").send().refused(421, "This origin answers its edge only");
    let page = announced(&origin, "authorization_endpoint");
    let form = format!("{}&username=ada@example.com&password={}", request(), PASSWORD.replace(' ', "+"));
    let answer = origin.ask("POST", &page).form(&form).send().expect(303);
    let form = format!(
        "grant_type=authorization_code&client_id={CLIENT}&code={}&code_verifier={VERIFIER}&redirect_uri={REDIRECT}",
        code(&answer)
    );
    let path = announced(&origin, "token_endpoint");
    let tokens = origin.ask("POST", &path).form(&form).send().expect(200).json();
    refresh(&origin, &path, &tokens["refresh_token"]).expect(200);
    origin.ask("GET", &announced(&origin, "jwks_uri")).send().expect(200);
}

#[test]
fn a_code_works_once_soon_and_for_its_client() {
    let origin = origin();
    let new_code = || code(&sign_in(&origin, &request(), PASSWORD).expect(303));
    let used = new_code();
    let tokens = redeem(&origin, &used, VERIFIER).expect(200).json();
    refused(redeem(&origin, &used, VERIFIER), 400, "invalid_grant");
    // The code came back, so the tokens made from it are refused.
    refused(refresh(&origin, "/oauth2/token", &tokens["refresh_token"]), 400, "invalid_grant");
    let wrong = new_code();
    refused(redeem(&origin, &wrong, &VERIFIER.replace('d', "e")), 400, "invalid_grant");
    refused(redeem(&origin, &wrong, VERIFIER), 400, "invalid_grant");
    let form = format!(
        "grant_type=authorization_code&client_id=5hq2v8mfernhollowtv0049x&code={}&code_verifier={VERIFIER}",
        new_code()
    );
    refused(origin.ask("POST", "/oauth2/token").form(&form).send(), 400, "invalid_grant");
    let form = format!(
        "grant_type=authorization_code&client_id={CLIENT}&code={}&code_verifier={VERIFIER}&redirect_uri=https://evil.example",
        new_code()
    );
    refused(origin.ask("POST", "/oauth2/token").form(&form).send(), 400, "invalid_grant");
    let late = new_code();
    origin.advance(60);
    refused(redeem(&origin, &late, VERIFIER), 400, "invalid_grant");
    refused(redeem(&origin, "made-up", VERIFIER), 400, "invalid_grant");
}

#[test]
fn the_page_never_redirects_to_an_unregistered_address() {
    let origin = origin();
    for request in [
        request().replace(REDIRECT, "https://evil.example/return"),
        request().replace(REDIRECT, "https://tv.example/return/"),
        request().replace(CLIENT, "none"),
        request().replace(CLIENT, "5hq2v8mfernhollowtv0049x"),
        String::new(),
    ] {
        let page = origin.ask("GET", &format!("/oauth2/authorize?{request}")).send().expect(400);
        assert_eq!((page.header("location"), page.text.contains("<form")), (None, false));
        assert_eq!(sign_in(&origin, &request, PASSWORD).expect(400).header("location"), None);
    }
    let wrong = sign_in(&origin, &request(), "wrong").expect(401);
    assert!(wrong.text.contains("Wrong user name or password") && wrong.header("location").is_none());
    for (from, to, error) in [
        ("response_type=code", "response_type=token", "unsupported_response_type"),
        ("code_challenge_method=S256", "code_challenge_method=plain", "invalid_request"),
        ("code_challenge=", "x=", "invalid_request"),
    ] {
        let answer = origin
            .ask("GET", &format!("/oauth2/authorize?{}", request().replace(from, to)))
            .send()
            .expect(302);
        let location = answer.header("location").unwrap();
        assert!(
            location.starts_with(&format!("{REDIRECT}?error={error}&")) && location.ends_with("&state=a%26b")
        );
        assert!(location.contains("&iss=https%3A%2F%2Forigin.example&"), "{location}");
    }
}

#[test]
fn a_clients_text_cannot_become_markup_of_the_page() {
    let origin = origin();
    let request = request().replace("n-1", "%22%3E%3Cscript%3E%27");
    let page = origin.ask("GET", &format!("/oauth2/authorize?{request}")).send().expect(200);
    assert!(page.text.contains("&quot;&gt;&lt;script&gt;&#39;") && !page.text.contains("<script"));
}

#[test]
fn invalid_token_requests_are_refused() {
    let origin = origin();
    let ask = |form: &str| origin.ask("POST", "/oauth2/token").form(form).send();
    for (form, status, error) in [
        ("", 400, "invalid_request"),
        ("client_id=x", 400, "invalid_request"),
        ("client_id=x&grant_type=password", 400, "unsupported_grant_type"),
        ("client_id=x&grant_type=authorization_code&code=y", 400, "invalid_request"),
        ("client_id=x&grant_type=refresh_token", 400, "invalid_request"),
        ("client_id=x&grant_type=client_credentials&client_secret=y", 401, "invalid_client"),
        ("client_id=x&grant_type=client_credentials", 401, "invalid_client"),
    ] {
        refused(ask(form), status, error);
    }
    origin.ask("POST", "/oauth2/token").body("text/plain", "x").send().refused(415, "Unsupported media type");
}

/// RFC 6749 §2.3.1.
#[test]
fn a_program_shows_its_secret_in_the_header_or_in_the_body() {
    let origin = Origin::start();
    let set = ["client", "set", "--client-id", "sh:op 1", "--merchant", "2101", "--scope", "feed:read"];
    let secret = command(&origin, &set, "").unwrap();
    let basic = |text: &str| format!("Basic {}", Base64::encode_string(text.as_bytes()));
    let ask = |authorization: &str, form: &str| {
        let ask = origin.ask("POST", "/oauth2/token").header("authorization", authorization);
        ask.form(&format!("grant_type=client_credentials{form}")).send()
    };
    let header = basic(&format!("sh%3Aop+1:{secret}"));
    for (authorization, form) in [
        (header.as_str(), ""),
        (&header.replace("Basic", "basic"), "&scope=feed:read"),
        (&header, "&client_id=sh:op+1"),
        // This endpoint ignores the viewer's bearer, which some apps send with every request.
        ("Bearer x.y.z", &format!("&client_id=sh:op+1&client_secret={secret}")),
    ] {
        let token = ask(authorization, form).expect(200).json();
        assert_eq!((&token["token_type"], &token["scope"]), (&json!("Bearer"), &json!("feed:read")));
    }
    for (authorization, form) in [
        (basic(&format!("sh%3Aop+1:{secret}x")), ""),
        (basic(&format!("other:{secret}")), ""),
        (basic("sh%3Aop+1:"), ""),
        (basic("sh%3Aop+1"), ""),
        ("Basic ???".to_owned(), ""),
        (String::new(), "&client_id=sh:op+1&client_secret=x"),
    ] {
        let answer = ask(&authorization, form).expect(401);
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        refused(answer, 401, "invalid_client");
    }
    refused(ask(&header, &format!("&client_secret={secret}")), 400, "invalid_request");
    refused(ask(&header, "&client_id=other"), 400, "invalid_request");
    let methods = origin.ask("GET", "/.well-known/openid-configuration").send().expect(200).json();
    let methods = methods["token_endpoint_auth_methods_supported"].as_array().unwrap().clone();
    assert!(methods.contains(&json!("client_secret_basic")), "{methods:?}");
}

/// A secret that is sent must be correct, even with a grant that needs none.
#[test]
fn an_app_has_no_secret() {
    let origin = origin();
    let code = code(&sign_in(&origin, &request(), PASSWORD).expect(303));
    let form = format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}");
    let ask = |text: &str| {
        let value = format!("Basic {}", Base64::encode_string(text.as_bytes()));
        origin.ask("POST", "/oauth2/token").header("authorization", &value).form(&form).send()
    };
    refused(ask(&format!("{CLIENT}:guessed")), 401, "invalid_client");
    // The refused request did not use the code up.
    ask(&format!("{CLIENT}:")).expect(200);
}

/// RFC 8252 §7.3: an app on the viewer's machine listens on any free port.
#[test]
fn a_native_app_is_returned_to_on_any_port_of_its_own_machine() {
    let origin = origin();
    let registered = "http://127.0.0.1/callback";
    command(&origin, &["client", "redirect", "--client-id", CLIENT, "--uri", registered], "").unwrap();
    let to = "http://127.0.0.1:53219/callback";
    let answer = sign_in(&origin, &request().replace(REDIRECT, to), PASSWORD).expect(303);
    let location = answer.header("location").unwrap();
    let query = location.strip_prefix(&format!("{to}?")).unwrap();
    let (_, code) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code").unwrap();
    let redeem = |redirect_uri: &str| {
        let form = format!(
            "grant_type=authorization_code&client_id={CLIENT}&code={code}&code_verifier={VERIFIER}&redirect_uri={redirect_uri}"
        );
        origin.ask("POST", "/oauth2/token").form(&form).send()
    };
    redeem(to).expect(200);
    for elsewhere in [
        "http://127.0.0.1:53219@evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:53219/other",
        "http://localhost:53219/callback",
    ] {
        let request = request().replace(REDIRECT, elsewhere);
        let page = origin.ask("GET", &format!("/oauth2/authorize?{request}")).send().expect(400);
        assert_eq!(page.header("location"), None, "{elsewhere}");
    }
}

#[test]
fn invalid_redirect_addresses_are_refused() {
    let origin = Origin::start();
    let add = |client: &str, uri: &str| {
        command(&origin, &["client", "redirect", "--client-id", client, "--uri", uri], "")
    };
    for uri in ["/return", "https://tv.example/#x", "javascript:alert(1)", "tv"] {
        assert!(add(CLIENT, uri).is_err(), "{uri}");
    }
    assert!(add("none", REDIRECT).unwrap_err().contains("no app"));
    add(CLIENT, "com.example.tv:/return").unwrap();
}

#[test]
fn a_state_that_is_too_long_is_not_left_out() {
    let origin = origin();
    let request = request().replace("state=a%26b", &format!("state={}", "x".repeat(2_001)));
    let answer = origin.ask("GET", &format!("/oauth2/authorize?{request}")).send().expect(302);
    assert!(
        answer.header("location").unwrap().contains("error=invalid_request"),
        "{:?}",
        answer.header("location")
    );
}
