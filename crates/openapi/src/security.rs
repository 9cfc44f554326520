//! Tokens and other credentials.

use admit::api::contract::Auth;
use serde_json::{Value, json};

const VIEWER: &str = "viewer";
const SERVICE: &str = "service";
const EXPLAINER: &str = "explainer";
const MERCHANT: &str = "merchant";
const PUBLISHER: &str = "publisher";
const FEED: &str = "feed";

/// The schemes.
pub fn schemes() -> Value {
    let bearer = |text: &str| json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": text });
    json!({
        VIEWER: bearer("A customer's token, of an issuer with the capability `view`. Locally: `cargo xtask token item-buyer`"),
        SERVICE: bearer("A back end's token, of an issuer with the capability `check`: it asks about any customer"),
        EXPLAINER: bearer("Support staff's token, of an issuer with the capability `explain` beside `check` or `view`. Locally: `cargo xtask token support`"),
        MERCHANT: bearer("A token with `merchant` in `ctx`, of an issuer with the capability `write`"),
        PUBLISHER: bearer("A token of an issuer with the capability `publish`; its `scope` must have one of the listed scopes. Locally: `cargo xtask token operator`"),
        FEED: { "type": "http", "scheme": "bearer", "description": "The feed secret, or a token with the scope `feed:read`" },
    })
}

/// The alternatives of which a request needs one; none for a public operation.
pub fn of(auth: Auth) -> Vec<Value> {
    let scheme = |name: &str| json!({ name: [] });
    match auth {
        Auth::None => Vec::new(),
        Auth::Viewer => vec![scheme(VIEWER)],
        Auth::Asker => vec![scheme(VIEWER), scheme(SERVICE)],
        Auth::Explainer => vec![scheme(EXPLAINER)],
        Auth::Merchant => vec![scheme(MERCHANT)],
        Auth::Scopes(scopes) => scopes.iter().map(|scope| json!({ PUBLISHER: [scope.name()] })).collect(),
        Auth::Feed => vec![scheme(FEED)],
    }
}

/// The tokens that open the numbers of `/healthz`.
pub fn health() -> Vec<Value> {
    vec![json!({ PUBLISHER: ["snapshot:read"] })]
}
