//! Which issuers this edge has, for publishers and support: a customer is found by an issuer's namespace.

use super::App;
use crate::{
    api::{
        json::json,
        reply::{Caching, Reply},
    },
    ports::Platform,
    token::Capability,
};

impl<P: Platform> App<P> {
    /// What the issuers are called, what they may do, and how their customers are found. Never their keys.
    pub(super) fn list_issuers(&self) -> Reply {
        let mut body = r#"{"issuers":["#.to_owned();
        for (position, issuer) in self.config.issuers.iter().enumerate() {
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
}
