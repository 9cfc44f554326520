//! A Worker as a destination, through its publish API.

use std::{
    borrow::Cow,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use admit::{
    api::{contract::Server, error::ApiError},
    limits::CHECK_MAX_OBJECTS,
};
use admit_snapshot::{
    head_value::HeadValue,
    lease::Lease,
    limits::{PACK_MAX_BYTES, PACK_MAX_OBJECTS},
    object::ObjectName,
    pack::Pack,
    store_key::StoreKey,
};
use admit_token::Scope;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use ureq::http::{Method, StatusCode};

use super::{
    backend::{Backend, Batch, Checked, Issuer, Object, deadline_of},
    http::{Call, Expected, Http, Reply, Service},
    lease::LeaseHeld,
    percent_encoded,
};
use crate::{bearer::Bearer, parallel, peer::Outside};

/// Calls at the same time: enough to hide the latency to the edge, few enough for any rate limit.
const THREADS: usize = 4;

const SERVICE: Service = Service {
    name: "the Worker",
    example: "https://api.example.com",
    // The largest object, 8 MiB, takes 67 s at 1 Mbit/s.
    call_timeout: Duration::from_secs(120),
    hint,
    is_own,
};

/// Whether an answer is a Worker's own: errors are in the API's own words, successes have the form of the request.
/// A challenge page is neither, whatever its status; nor is a gateway's error in JSON, nor an empty answer to
/// an upload.
fn is_own(expected: Expected, reply: &Reply) -> bool {
    let has = |member| reply.object().is_some_and(|report| report.contains_key(member));
    match (reply.status, expected) {
        (StatusCode::OK, Expected::Value) => reply.is_value() && !reply.is_page(),
        (StatusCode::NO_CONTENT, Expected::Deleted) => true,
        (StatusCode::CREATED, Expected::Done) => has("stored"),
        (StatusCode::OK | StatusCode::CREATED, Expected::Report(member)) => has(member),
        (status, _) if status.is_client_error() => {
            reply.object().is_some_and(|error| ApiError::is_body(status.as_u16(), &error))
        }
        _ => false,
    }
}

fn hint(status: StatusCode, call: Call<'_>) -> Cow<'static, str> {
    Cow::Borrowed(match status {
        StatusCode::UNAUTHORIZED => " (the token is missing, wrong or expired: `admit token` makes one)",
        StatusCode::FORBIDDEN => return Cow::Owned(missing_scope(call)),
        StatusCode::CONFLICT => " (another publisher was faster, or --seq is too low)",
        StatusCode::NOT_FOUND => " (is this the address of an Admit Worker of this release?)",
        _ => "",
    })
}

/// The scope that a token lacks for the call, as far as the call tells.
fn missing_scope(call: Call<'_>) -> String {
    let path = call.path.split('?').next().unwrap_or_default();
    // Every edge serves the publish API, whether it forwards writes or not.
    let operation = Server::LoneEdge.find(call.method().as_str(), path);
    let scopes = operation.map_or(&[][..], |(_, operation)| operation.auth.scopes());
    let names: Vec<_> = scopes.iter().map(|scope| scope.name()).chain([Scope::PUBLISH]).collect();
    format!(
        " (the token needs the scope {}, of an issuer that has \"publish\" in its `may` and no `merchants`; the Worker's \
         log says which is missing)",
        names.join(" or ")
    )
}

/// A Worker as a backend.
pub struct Worker {
    http: Http,
}

impl Worker {
    /// The Worker at `base_url`, with tokens from `bearer`.
    ///
    /// # Errors
    /// `base_url` is not an HTTP address.
    pub fn new(base_url: &str, bearer: Bearer, outside: &Outside) -> Result<Self> {
        Ok(Self { http: Http::new(base_url, bearer, SERVICE, outside)? })
    }

    /// Makes a call and turns every refusal into an error.
    fn expect(&self, call: Call<'_>) -> Result<Reply> {
        let reply = self.http.call(call)?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        let refusal = self.http.refusal(call, &reply);
        if !reply.says(ApiError::LeaseHeld) {
            return Err(refusal);
        }
        match self.lease_that_excludes(call.holder) {
            Some(held) => Err(held.into()),
            // The Worker may have seen another lease than this command: both read through caches.
            None if call.path == path(StoreKey::Lease) => Err(LeaseHeld::refused(&refusal).into()),
            None => Err(refusal),
        }
    }

    /// The lease that is in the way, if a lease is.
    fn lease_that_excludes(&self, holder: Option<&str>) -> Option<LeaseHeld> {
        let lease = Lease::parse(&self.get(StoreKey::Lease).ok()??).ok()?;
        let now = self.http.outside().time.unix_secs().ok()?;
        lease.excludes(holder, now).then(|| LeaseHeld::new(&lease, now))
    }

    fn post<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        body: &[u8],
        media_type: &'static str,
        member: &'static str,
    ) -> Result<T> {
        let (body, expected) = (Some((body, media_type)), Expected::Report(member));
        let call = Call { method: Some(&Method::POST), path, body, expected, ..Call::default() };
        let reply = self.expect(call)?;
        serde_json::from_slice(&reply.body).with_context(|| format!("POST {path}: the Worker's answer"))
    }
}

#[derive(Deserialize)]
struct StoredPack {
    stored: usize,
}

#[derive(Deserialize)]
struct CheckedNames {
    missing: Vec<String>,
    broken: Vec<String>,
}

#[derive(Deserialize)]
struct KeysPage {
    keys: Vec<String>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct IssuerList {
    issuers: Vec<Issuer>,
}

impl Backend for Worker {
    fn get(&self, key: StoreKey) -> Result<Option<Vec<u8>>> {
        let path = path(key);
        let call = Call { path: &path, deadline: deadline_of(key), ..Call::default() };
        let reply = self.http.call(call)?;
        match reply.status {
            StatusCode::OK => Ok(Some(reply.body)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.http.refusal(call, &reply)),
        }
    }

    fn put(&self, key: StoreKey, value: &[u8], holder: Option<&str>) -> Result<()> {
        let path = path(key);
        let media_type = match HeadValue::split(value).delta {
            Some(_) if key == StoreKey::Head => "application/octet-stream",
            _ => media_type(key),
        };
        let (body, deadline) = (Some((value, media_type)), deadline_of(key));
        let (method, expected) = (Some(&Method::PUT), Expected::Done);
        self.expect(Call { method, path: &path, body, holder, deadline, expected }).map(drop)
    }

    fn delete(&self, key: StoreKey, holder: Option<&str>) -> Result<()> {
        let path = path(key);
        let deadline = deadline_of(key);
        let expected = Expected::Deleted;
        let call =
            Call { method: Some(&Method::DELETE), path: &path, body: None, holder, deadline, expected };
        self.expect(call).map(drop)
    }

    fn batch(&self) -> Batch {
        // In a pack each object is preceded by its length.
        Batch { objects: PACK_MAX_OBJECTS, bytes: PACK_MAX_BYTES as u64, overhead: 4 + 2, bytes_of_three: 3 }
    }

    fn put_objects(&self, objects: &[Object], holder: Option<&str>) -> Result<()> {
        if let [(name, object)] = objects {
            return self.put(StoreKey::Object(*name), object, holder);
        }
        let mut pack = Pack::default();
        for (name, object) in objects {
            if !pack.push(object) {
                bail!("{name} does not fit into its pack");
            }
        }
        let stored: StoredPack =
            self.post("/snapshot/pack", &pack.into_bytes(), "application/octet-stream", "stored")?;
        if stored.stored != objects.len() {
            bail!("the Worker stored {} of a pack of {} objects", stored.stored, objects.len());
        }
        Ok(())
    }

    fn delete_objects(
        &self,
        names: &[ObjectName],
        holder: Option<&str>,
        deleted: &(dyn Fn(usize) + Sync),
    ) -> Result<()> {
        parallel::for_each(names, THREADS, |name| {
            self.delete(StoreKey::Object(*name), holder)?;
            deleted(1);
            Ok(())
        })
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut path = format!("/snapshot/keys?prefix={}", percent_encoded(prefix));
            if let Some(cursor) = &cursor {
                path.push_str("&cursor=");
                path.push_str(&percent_encoded(cursor));
            }
            let reply =
                self.expect(Call { path: &path, expected: Expected::Report("keys"), ..Call::default() })?;
            let page: KeysPage = serde_json::from_slice(&reply.body).context("the Worker's list of keys")?;
            keys.extend(page.keys);
            if page.cursor.is_none() {
                return Ok(keys);
            }
            if page.cursor == cursor {
                bail!("GET {path}: the Worker's list of keys does not end");
            }
            cursor = page.cursor;
        }
    }

    fn check(&self, names: &[ObjectName], checked: &(dyn Fn(usize) + Sync)) -> Result<Checked> {
        let all = Mutex::new(Checked::default());
        let parts: Vec<_> = names.chunks(CHECK_MAX_OBJECTS).collect();
        parallel::for_each(&parts, THREADS, |names| {
            let body: String = names.iter().map(|name| format!("{name}\n")).collect();
            let part: CheckedNames =
                self.post("/snapshot/check", body.trim_end().as_bytes(), "text/plain", "missing")?;
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.missing.extend(part.missing.iter().filter_map(|name| ObjectName::parse(name)));
            all.broken.extend(part.broken.iter().filter_map(|name| ObjectName::parse(name)));
            checked(names.len());
            Ok(())
        })?;
        Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn issuers(&self) -> Result<Option<Vec<Issuer>>> {
        let expected = Expected::Report("issuers");
        let call = Call { path: "/snapshot/issuers", expected, ..Call::default() };
        let reply = self.http.call(call)?;
        match reply.status {
            StatusCode::OK => {
                let list: IssuerList =
                    serde_json::from_slice(&reply.body).context("the Worker's list of issuers")?;
                Ok(Some(list.issuers))
            }
            // A Worker of an earlier release does not have this route.
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.http.refusal(call, &reply)),
        }
    }

    fn has_rules(&self) -> bool {
        true
    }
}

fn path(key: StoreKey) -> String {
    format!("/snapshot/{key}")
}

const fn media_type(key: StoreKey) -> &'static str {
    match key {
        StoreKey::Head | StoreKey::Version(_) => "application/jose",
        StoreKey::Object(_) | StoreKey::Start => "application/octet-stream",
        StoreKey::Lease | StoreKey::Garbage => "application/json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<!DOCTYPE html><title>Just a moment...</title>";

    #[test]
    fn only_the_workers_own_words_count() {
        let is_own =
            |expected, status, media_type, body| is_own(expected, &Reply::new(status, media_type, body));
        let (value, done, report) = (Expected::Value, Expected::Done, Expected::Report("missing"));
        let error = &ApiError::InvalidPrivileges.body();
        let deleted = Expected::Deleted;
        for (expected, status, media_type, body) in [
            (value, 200, "application/octet-stream", "\u{0}bytes"),
            (value, 200, "", "bytes of a release that named no type"),
            (value, 200, "application/octet-stream", ""),
            (done, 201, "application/json", r#"{"stored":"head"}"#),
            (deleted, 204, "", ""),
            (report, 200, "application/json", r#"{"missing":[],"broken":[]}"#),
            (report, 403, "application/json", error),
            (value, 403, "", error),
        ] {
            assert!(is_own(expected, status, media_type, body), "{status} {media_type} {body}");
        }
        for (expected, status, media_type, body) in [
            (value, 200, "text/html", PAGE),
            (value, 200, "", PAGE),
            (value, 200, "text/plain", "OK"),
            (value, 200, "application/json", r#"{"error":"sign in"}"#),
            (value, 200, "", ""),
            (value, 204, "", ""),
            (value, 302, "", ""),
            (value, 404, "", "404 page not found"),
            (value, 404, "text/html", PAGE),
            (done, 200, "text/html", PAGE),
            (done, 200, "application/json", r#"{"error":"sign in"}"#),
            (done, 201, "application/json", r#"{"error":"sign in"}"#),
            (done, 200, "", ""),
            (done, 201, "", ""),
            (done, 204, "", ""),
            (deleted, 200, "", ""),
            (report, 200, "application/json", r#"{"error":"sign in"}"#),
            (report, 204, "", ""),
            (report, 403, "text/html", PAGE),
            (report, 403, "application/json", r#"{"message":"Forbidden"}"#),
            (done, 403, "application/json", r#"{"code":403,"message":"Forbidden"}"#),
            (report, 401, "application/json", r#"{"code":401,"message":"Unauthorized","errors":{}}"#),
            (report, 403, "application/json", r#"{"code":1020,"message":"Access denied"}"#),
            (report, 401, "application/json", error),
        ] {
            assert!(!is_own(expected, status, media_type, body), "{status} {media_type} {body}");
        }
    }
}
