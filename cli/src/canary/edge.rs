//! One edge, as the marker's viewer sees it.
//!
//! The question is `GET /items/access/customers`, the viewer's purchases: the edge answers it from the snapshot and never
//! asks the origin, so that the answer tells which head the isolate has. A check would be confirmed, and remembered.

use std::{io::Read as _, time::Duration};

use admit_publish::{
    bearer::Bearer,
    peer::{
        Outside,
        wire::{Limits, Request},
    },
};
use admit_snapshot::time::UnixSecs;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use ureq::http::{HeaderName, Method, header};

use super::Viewer;
use crate::check_origin::address;

/// How long an edge may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer that is read: a page of purchases has some 60 KiB.
const ANSWER_MAX_BYTES: u64 = 1024 * 1024;

/// Purchases on a page. A marker's viewer has fewer.
const PAGE: usize = 100;

/// What shows whether the marker is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The viewer's token is accepted.
    Token,
    /// The viewer has an active access to this item.
    Item(i64),
}

/// What an edge says about the marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is granted.
    Granted,
    /// It is taken away.
    Revoked,
    /// Neither: another answer, or none.
    Odd(String),
}

/// An access in the list of a viewer's purchases.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Purchase {
    /// The item.
    #[serde(rename = "item_id")]
    pub item: i64,
    /// The customer.
    #[serde(rename = "customer_id")]
    pub customer: i64,
}

#[derive(Deserialize)]
struct Purchases {
    total: usize,
    collection: Vec<Purchase>,
}

/// An answer, read to its end.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The status, with the edge's message.
    pub fn describe(&self) -> String {
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        match body.as_ref().and_then(|body| body.get("message")?.as_str()) {
            Some(message) => format!("{} ({message})", self.status),
            None => self.status.to_string(),
        }
    }
}

/// A running edge.
pub struct Edge {
    url: String,
    viewer: String,
    health: Option<Bearer>,
    probe: Probe,
    outside: Outside,
}

impl Edge {
    /// The edge at `url`.
    ///
    /// # Errors
    /// The URL cannot be used.
    pub fn new(
        url: &str,
        viewer: &Viewer,
        health: Option<Bearer>,
        probe: Probe,
        outside: &Outside,
    ) -> Result<Self> {
        address(url, "/healthz").context("--edge")?;
        let (url, viewer) = (url.to_owned(), viewer.header.clone());
        Ok(Self { url, viewer, health, probe, outside: outside.clone() })
    }

    /// The time by this machine's clock.
    ///
    /// # Errors
    /// The clock is set before 1970.
    pub fn now(&self) -> Result<UnixSecs> {
        self.outside.time.unix_secs()
    }

    /// Sends a request and reads the whole answer. The error says why there is none.
    pub fn send(
        &self,
        method: &Method,
        path: &str,
        headers: Vec<(HeaderName, String)>,
        body: Option<&[u8]>,
    ) -> Result<Reply, String> {
        let url = address(&self.url, path).map_err(|error| error.to_string())?;
        let limits = Limits { whole: Some(TIMEOUT), ..Limits::default() };
        let request = Request { method, url: &url, headers, body, limits };
        let problem = |error: &dyn std::fmt::Display| format!("{method} {url} had no answer: {error}");
        let response = self.outside.wire.send(&request).map_err(|error| problem(&error))?;
        let mut body = Vec::new();
        response.body.take(ANSWER_MAX_BYTES).read_to_end(&mut body).map_err(|error| problem(&error))?;
        Ok(Reply { status: response.status.as_u16(), body })
    }

    /// Whether the viewer has the marker.
    pub fn ask(&self) -> Said {
        match (self.probe, self.list(Some("active"))) {
            (_, Err(problem)) => Said::Odd(problem),
            (Probe::Token, Ok(Reply { status: 200, .. })) => Said::Granted,
            (Probe::Token, Ok(Reply { status: 401, .. })) => Said::Revoked,
            (Probe::Item(item), Ok(reply)) => match read(&reply) {
                Some(held) if held.collection.iter().any(|access| access.item == item) => Said::Granted,
                Some(_) => Said::Revoked,
                None => Said::Odd(reply.describe()),
            },
            (Probe::Token, Ok(reply)) => Said::Odd(reply.describe()),
        }
    }

    fn list(&self, status: Option<&str>) -> Result<Reply, String> {
        let status = status.map(|status| format!("&status={status}")).unwrap_or_default();
        let path = format!("/items/access/customers?size={PAGE}{status}");
        self.send(&Method::GET, &path, vec![(header::AUTHORIZATION, self.viewer.clone())], None)
    }

    /// All accesses of the viewer, as far as the snapshot knows them.
    ///
    /// # Errors
    /// The edge does not accept the viewer's token, does not answer, or the viewer has too many.
    pub fn purchases(&self, status: Option<&str>) -> Result<Vec<Purchase>> {
        let reply = self.list(status).map_err(anyhow::Error::msg)?;
        let Some(held) = read(&reply) else { return Err(self.refused(&reply.describe(), reply.status)) };
        if held.total > PAGE {
            bail!(
                "--viewer: the customer has {} accesses, of which {PAGE} can be looked at. Give a marker's own",
                held.total
            );
        }
        Ok(held.collection)
    }

    /// Checks that the edge answers, and that the marker is as it is at rest.
    ///
    /// # Errors
    /// It does not answer, or says something else.
    pub fn check(&self, is_granted: bool) -> Result<()> {
        let wanted = if is_granted { Said::Granted } else { Said::Revoked };
        match self.ask() {
            said if said == wanted => Ok(()),
            Said::Odd(problem) => Err(self.refused(&problem, 0)),
            Said::Revoked => Err(self.refused("401", 401)),
            Said::Granted => {
                bail!("{}: the marker is granted before the first round: run it again in a minute", self.url)
            }
        }
    }

    fn refused(&self, said: &str, status: u16) -> anyhow::Error {
        let hint = match status {
            401 => {
                ": it does not accept the token of --viewer, or has not seen yet that an earlier canary lifted it"
            }
            _ => "",
        };
        anyhow::anyhow!("{} answered the viewer's question with {said}{hint}", self.url)
    }

    /// Where the head in use was read, as `/healthz` says to an operator; `None` if it does not.
    pub fn head_from(&self) -> Option<String> {
        let bearer = self.health.as_ref()?.header().ok()?;
        let reply = self.send(&Method::GET, "/healthz", vec![(header::AUTHORIZATION, bearer)], None).ok()?;
        let body: Value = serde_json::from_slice(&reply.body).ok()?;
        Some(body.get("head_from")?.as_str()?.to_owned())
    }
}

fn read(reply: &Reply) -> Option<Purchases> {
    if reply.status == 200 { serde_json::from_slice(&reply.body).ok() } else { None }
}
