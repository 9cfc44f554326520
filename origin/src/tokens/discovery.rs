//! The discovery document of OpenID Connect (OpenID Connect Discovery 1.0 §3).

use serde_json::{Value, json};

use crate::settings::Settings;

/// The body of `/.well-known/openid-configuration`.
pub fn document(settings: &Settings) -> Value {
    let issuer = settings.issuer.trim_end_matches('/');
    json!({
        // Must equal `iss` in tokens exactly.
        "issuer": settings.issuer,
        "authorization_endpoint": format!("{issuer}/oauth2/authorize"),
        "token_endpoint": format!("{issuer}/oauth2/token"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        // RFC 9207.
        "authorization_response_iss_parameter_supported": true,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "scopes_supported": ["openid"],
        "claims_supported": ["iss", "aud", "sub", "exp", "iat", "auth_time", "nonce", "mid", "mui"],
    })
}
