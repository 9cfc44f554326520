//! A peer of the benchmark: the check written as the documentation of workers-rs has it, with its router, its KV
//! reading JSON, and jwt-compact for tokens.

#![cfg(target_arch = "wasm32")]

use std::collections::HashMap;

use jwt_compact::{
    AlgorithmExt, Claims, UntrustedToken,
    alg::{Ed25519, Es256, Hs256, Hs256Key, Rsa},
    jwk::JsonWebKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use worker::{
    Context, Cors, Date, Env, Fetch, Headers, Method, Request, RequestInit, Response, Result, RouteContext,
    Router, event,
};

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    #[serde(flatten)]
    jwk: JsonWebKey<'static>,
}

#[derive(Clone, Deserialize)]
struct TokenClaims {
    iss: String,
    aud: String,
    sub: String,
}

#[derive(Deserialize)]
struct Customer {
    id: i64,
    uuid: String,
    merchant_id: i64,
    accesses: Vec<Access>,
}

#[derive(Deserialize)]
struct Access {
    id: i64,
    item_id: i64,
    created_at: i64,
    expires_at: i64,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: i64,
    account_id: i64,
    customer_id: i64,
    customer_uuid: &'a str,
    ip_address: &'a str,
    country_code: &'a str,
    created_at: i64,
    expires_at: i64,
    item: &'a Value,
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> Result<Response> {
    let cors = Cors::new().with_origins(["*"]).with_methods([Method::Get, Method::Head]);
    Router::new()
        .get_async("/items/:id/access", access)
        .post_async("/items/access", write)
        .run(request, env)
        .await?
        .with_cors(&cors)
}

/// To the origin and back, as the other peers' `forward.js`.
async fn write(mut request: Request, context: RouteContext<()>) -> Result<Response> {
    let headers = Headers::new();
    for name in ["authorization", "content-type", "idempotency-key"] {
        if let Some(value) = request.headers().get(name)? {
            headers.set(name, &value)?;
        }
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_headers(headers).with_body(Some(request.text().await?.into()));
    let url = format!("{}{}", context.var("ORIGIN_URL")?, request.path());
    Fetch::Request(Request::new_with_init(&url, &init)?).send().await
}

async fn access(request: Request, context: RouteContext<()>) -> Result<Response> {
    let authorization = request.headers().get("authorization")?.unwrap_or_default();
    let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
    let Some(claims) = verify(token, &context.var("JWKS")?.to_string()) else {
        let invalid =
            json!({ "code": 401, "message": "Invalid token", "errors": { "401": "Invalid token" } });
        return Ok(Response::from_json(&invalid)?.with_status(401));
    };
    let item_id = context.param("id").map(String::as_str).unwrap_or_default();
    let customer = context.kv("CUSTOMERS")?.get(&claims.sub).json::<Customer>().await?;
    let now = now();
    let access = customer.as_ref().and_then(|customer| {
        customer
            .accesses
            .iter()
            .find(|access| access.item_id.to_string() == item_id && access.expires_at > now)
    });
    let (Some(customer), Some(access)) = (&customer, access) else {
        let denied = json!({ "code": 402, "message": "No access", "errors": { "402": "No access" } });
        return Ok(Response::from_json(&denied)?.with_status(402));
    };
    let items: HashMap<String, Value> = serde_json::from_str(&context.var("ITEMS")?.to_string())?;
    let response = Response::from_json(&Answer {
        id: access.id,
        account_id: customer.merchant_id,
        customer_id: customer.id,
        customer_uuid: &customer.uuid,
        ip_address: &request.headers().get("cf-connecting-ip")?.unwrap_or_default(),
        country_code: &request.cf().and_then(worker::Cf::country).unwrap_or_else(|| "XX".to_owned()),
        created_at: access.created_at,
        expires_at: access.expires_at,
        item: items.get(item_id).unwrap_or(&Value::Null),
    })?;
    response.headers().set("cache-control", "private, no-store")?;
    Ok(response)
}

fn now() -> i64 {
    i64::try_from(Date::now().as_millis() / 1_000).unwrap_or(i64::MAX)
}

fn verify(token: &str, jwks: &str) -> Option<TokenClaims> {
    let keys: Keys = serde_json::from_str(jwks).ok()?;
    let token = UntrustedToken::new(token).ok()?;
    let kid = token.header().key_id.as_deref()?;
    let jwk = &keys.keys.iter().find(|key| key.kid == kid)?.jwk;
    let claims: Claims<TokenClaims> = match token.algorithm() {
        "HS256" => {
            let key = Hs256Key::try_from(jwk).ok()?;
            Hs256.validator(&key).validate(&token).ok()?.into_parts().1
        }
        "RS256" => {
            let key = jwk.try_into().ok()?;
            Rsa::rs256().validator(&key).validate(&token).ok()?.into_parts().1
        }
        "ES256" => Es256.validator(&jwk.try_into().ok()?).validate(&token).ok()?.into_parts().1,
        "EdDSA" => Ed25519.validator(&jwk.try_into().ok()?).validate(&token).ok()?.into_parts().1,
        _ => return None,
    };
    claims.expiration.filter(|expiration| expiration.timestamp() > now())?;
    let claims = claims.custom;
    (claims.iss == "https://id.example.com" && claims.aud == "tv").then_some(claims)
}
