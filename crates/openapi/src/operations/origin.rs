//! What only the origin has.

use admit::api::contract::{Methods, table};
use serde_json::{Value, json};

use super::Group;
use crate::{
    describe::{Ask, Caller, Description, Shape},
    headers,
    parameters::query,
    schema::{named, text},
};

const FEED: Caller = Caller::Variable("ORIGIN_FEED_SECRET");
const PAGE: &str = "/oauth2/authorize?response_type=code&client_id=5hq2v8mfernhollowweb71c0&redirect_uri=https://tv.example.com/callback&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

pub fn group() -> Group {
    let page = Description::of(
        &table::AUTHORIZE,
        Methods::READ,
        "OAuth 2 with PKCE (RFC 6749, RFC 7636). Without a registered app and address the page says what is wrong; another error goes to the app.",
    )
    .parameter(query("response_type", text(), "`code`"))
    .parameter(query("client_id", text(), "The app"))
    .parameter(query("redirect_uri", text(), "The app's registered address, character by character"))
    .parameter(query("code_challenge", text(), "Of the app's `code_verifier`"))
    .parameter(query("code_challenge_method", text(), "`S256`"))
    .parameter(query("scope", text(), "The scopes that the app wants"))
    .parameter(query("state", text(), "Comes back to the app"))
    .parameter(query("nonce", text(), "Comes back in the id token"))
    .answer("200", "The page", Shape::Bytes("text/html"))
    .answer("303", "To the app, with an error", Shape::Nothing)
    .answer("400", "A page that says what is wrong", Shape::Bytes("text/html"))
    .example(Ask::new("an app", Caller::Stranger, PAGE).shows(200, Value::Null));
    let typed = Description::of(
        &table::AUTHORIZE,
        Methods::POST,
        "The parameters of the page, with `username` and `password`. Wrong credentials show the page again.",
    )
    .body("application/x-www-form-urlencoded", named("Credentials"))
    .answer("200", "The page again, with what is wrong", Shape::Bytes("text/html"))
    .answer("303", "To the app, with a code or an error", Shape::Nothing)
    .answer("400", "A page that says what is wrong", Shape::Bytes("text/html"))
    .answer("401", "The page again, after wrong credentials", Shape::Bytes("text/html"))
    .answer("429", "The page again, after too many attempts", Shape::Bytes("text/html"))
    .example(Ask::new("credentials", Caller::Stranger, PAGE).by("POST").shows(303, Value::Null));
    let keys = Description::of(&table::JWKS, Methods::READ, "A JWK set (RFC 7517) of the keys that verify the origin's tokens.")
        .answers("The keys", named("JwkSet"))
        .example(Ask::new("one key", Caller::Stranger, "/.well-known/jwks.json").shows(
            200,
            json!({ "keys": [{ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }] }),
        ));
    let configuration = Description::of(&table::OPENID_CONFIGURATION, Methods::READ, "OpenID Connect Discovery 1.0.")
        .answers("The provider", named("OpenIdConfiguration"))
        .example(Ask::new("a provider", Caller::Stranger, "/.well-known/openid-configuration").shows(
            200,
            json!({ "issuer": "http://127.0.0.1:8790", "jwks_uri": "http://127.0.0.1:8790/.well-known/jwks.json" }),
        ));
    let feed = Description::of(
        &table::FEED,
        Methods::GET,
        "Without `after` an export in the publish schema: docs/publish-schema.json. With it the changes that were committed after `after`: docs/change-schema.json. HEAD is not answered.",
    )
    .parameter(query("after", json!({ "type": "integer", "minimum": 0 }), "The `seq` that the reader has"))
    .parameter(headers::prefer())
    .answer("200", "Lines of JSON", Shape::Bytes("application/x-ndjson"))
    .answer("422", "`after` is not the `seq` of a change", Shape::Json(named("Error")))
    .answer("410", "The log does not go back that far: read the export", Shape::Json(named("Error")))
    .example(Ask::new("changes", FEED, "/changes?after=1").shows(200, Value::Null));
    Group {
        name: "Origin",
        text: "What only the origin has: the sign-in page, its keys, export and changes. Clients' further routes, which an edge may pass through, are in docs/accounts.md",
        operations: vec![page, typed, keys, configuration, feed],
    }
}
