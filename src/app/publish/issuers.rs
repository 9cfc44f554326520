//! Which issuers this edge has, for publishers and support: a customer is found by an issuer's namespace.

use crate::{
    api::{
        json::json,
        reply::{Caching, Reply},
    },
    app::Tokens,
    ports::SignatureVerifier,
    token::{Capability, IssuerConfig},
};

/// The issuers' names and rights, how their customers are found, and the names of the keys that the configuration has.
/// Never the keys.
pub(super) fn list<V: SignatureVerifier>(issuers: &[IssuerConfig], tokens: &Tokens<V>) -> Reply {
    let mut body = r#"{"issuers":["#.to_owned();
    for (position, issuer) in issuers.iter().enumerate() {
        if position > 0 {
            body.push(',');
        }
        let parts = [
            (r#"{"issuer":"#, json(&issuer.issuer)),
            (r#","namespace":"#, json(&issuer.namespace)),
            (r#","customer_claim":"#, json(&issuer.customer_claim)),
            (r#","merchants":"#, json(&issuer.merchants.as_deref())),
            (r#","may":"#, json(&issuer.may.iter().map(Capability::name).collect::<Vec<_>>())),
            (r#","test_clients":"#, json(&issuer.test_clients)),
            (r#","kids":"#, json(&tokens.fixed_key_names(position))),
        ];
        for (name, value) in parts {
            body.push_str(name);
            body.push_str(&value);
        }
        body.push('}');
    }
    body.push_str("]}");
    Reply::ok(body, Caching::Private)
}
