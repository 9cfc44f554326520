//! The marker that measures the whole way: an access at the origin, granted and taken away through the edge's write
//! routes.

use std::time::Duration;

use admit_publish::bearer::Bearer;
use admit_snapshot::time::UnixSecs;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::http::{HeaderName, Method, header};

use super::{
    Marker,
    edge::{Edge, Reply},
};

/// An access of one customer to one item.
pub struct Access<'a> {
    edge: &'a Edge,
    merchant: Bearer,
    item: i64,
    consumer: i64,
    lasts: Duration,
}

impl<'a> Access<'a> {
    /// The access of `consumer` to `item`, through `edge`; each grant ends after `lasts`.
    ///
    /// # Errors
    /// The viewer has an access to the item already, or cannot be asked about.
    pub fn new(
        edge: &'a Edge,
        merchant: Bearer,
        (item, consumer): (i64, i64),
        lasts: Duration,
    ) -> Result<Self> {
        let held = edge.purchases(None)?;
        if held.iter().any(|access| access.item == item) {
            bail!(
                "--item {item}: the viewer has, or had, an access to it, which the canary would take away. Give another \
                 item or another viewer"
            );
        }
        if let Some(other) = held.iter().find(|access| access.customer != consumer) {
            bail!("--consumer {consumer}: --viewer is the token of customer {}", other.customer);
        }
        Ok(Self { edge, merchant, item, consumer, lasts })
    }

    fn write(&self, method: &Method, path: &str, body: Option<String>) -> Result<Reply> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let key = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
        let mut headers: Vec<(HeaderName, String)> = vec![
            (header::AUTHORIZATION, self.merchant.header().context("--merchant")?),
            (HeaderName::from_static("idempotency-key"), key),
        ];
        if body.is_some() {
            headers.push((header::CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned()));
        }
        let reply = self.edge.send(method, path, headers, body.as_deref().map(str::as_bytes));
        reply.map_err(anyhow::Error::msg)
    }

    /// What a refused write means.
    fn refused(what: &str, reply: &Reply) -> anyhow::Error {
        let hint = match reply.status {
            401 => "the edge does not accept the token of --merchant",
            403 => {
                "the token of --merchant lacks the right: it needs `ctx` with `merchant`, and `mid` of the item's merchant"
            }
            404 | 405 => {
                "the edge passes no writes on (ORIGIN_URL), or the origin does not know the item or the customer"
            }
            _ => "",
        };
        let hint = if hint.is_empty() { String::new() } else { format!(": {hint}") };
        anyhow::anyhow!("{what} was refused with {}{hint}", reply.describe())
    }
}

impl Marker for Access<'_> {
    fn name(&self) -> String {
        format!("the access of customer {} to item {}", self.consumer, self.item)
    }

    fn set(&mut self, is_granted: bool) -> Result<()> {
        let Self { item, consumer, .. } = self;
        if is_granted {
            let lasts = UnixSecs::try_from(self.lasts.as_secs()).unwrap_or(UnixSecs::MAX);
            let expires_at = self.edge.now()?.saturating_add(lasts);
            let form = format!("item_id={item}&consumer_id={consumer}&expires_at={expires_at}");
            let reply = self.write(&Method::POST, "/items/access", Some(form))?;
            let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
            match (reply.status, body) {
                (200 | 201, Some(_)) => Ok(()),
                _ => Err(Self::refused("the grant", &reply)),
            }
        } else {
            let path = format!("/items/{item}/access?consumer_id={consumer}");
            let reply = self.write(&Method::DELETE, &path, None)?;
            // 404 while putting back: there is nothing to take away.
            if matches!(reply.status, 200 | 204 | 404) {
                Ok(())
            } else {
                Err(Self::refused("the revocation", &reply))
            }
        }
    }

    fn is_granted_at_rest(&self) -> bool {
        false
    }
}
