//! Cloudflare's REST API for Workers KV as a destination: without a Worker in between, and in bulk.
//!
//! What its documentation says, and what follows from it here:
//!
//! - `PUT …/bulk` takes 10,000 pairs and 100 megabytes at once, values in base64 if each says so. It names
//!   the keys that could not be written, which are sent again. `POST …/bulk/delete` takes 10,000 keys.
//! - `GET …/keys` gives at most 1,000 names at once, and a cursor.
//! - More than 1,200 calls in five minutes cause five minutes of 429. Reading back the 32,000 shards of ten
//!   million customers one by one would take over two hours, so they are looked up in the list of keys, and
//!   only a sample of them is read.
//! - A key takes one write a second; a second one is answered 429.
//! - KV is eventually consistent. A key that was requested before it was written may stay missing for a
//!   minute.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use admit_snapshot::{object::ObjectName, store_key::StoreKey};
use anyhow::{Context, Result, bail};
use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use ureq::http::{Method, StatusCode};

use super::{
    backend::{Backend, Batch, Checked, Object, deadline_of},
    http::{Call, Expected, Http, Reply, Service},
    percent_encoded,
};
use crate::{
    bearer::Bearer,
    parallel,
    peer::{Outside, retry::Patience},
};

/// The API's address, unless `CLOUDFLARE_API_BASE_URL` names another.
const API_URL: &str = "https://api.cloudflare.com/client/v4";

/// Pairs or keys in one call: the API's limit.
const BULK_MAX_KEYS: usize = 10_000;

/// Body of one call: a quarter of what the API takes. Up to four are in memory at once, and a smaller one is
/// sent again sooner after a failure.
const BULK_MAX_BYTES: u64 = 25_000_000;

/// Bytes around a value: `{"key":"directory/…","value":"…","base64":true},` with a digest of 64 digits.
const PAIR_OVERHEAD_BYTES: u64 = 128;

/// Names in one list: the API's limit.
const LIST_MAX_KEYS: usize = 1_000;

/// How many of the written objects are read back. If one in twenty were broken, the sample would show it with
/// a probability of 99 %. A larger sample would exceed the limit of calls; edges check every object anyway,
/// and `admit verify` reads all.
const SAMPLE_MAX: usize = 100;

/// Calls at the same time.
const THREADS: usize = 4;

/// The API's error code for a missing key.
const KEY_NOT_FOUND: i64 = 10_009;

const SERVICE: Service = Service {
    name: "Cloudflare",
    example: API_URL,
    // The largest body takes 200 s at 1 Mbit/s.
    call_timeout: Duration::from_secs(300),
    hint,
    is_own,
};

/// Whether an answer is the API's own: a JSON envelope, except for the values of keys.
fn is_own(expected: Expected, reply: &Reply) -> bool {
    match (reply.status.is_success(), expected) {
        (true, Expected::Value) => reply.status == StatusCode::OK && !reply.is_page(),
        (true, Expected::Done | Expected::Deleted | Expected::Report(_)) => {
            reply.object().is_some_and(|answer| answer.get("success") == Some(&Value::Bool(true)))
        }
        (false, _) => serde_json::from_slice::<Errors>(&reply.body).is_ok_and(|body| !body.errors.is_empty()),
    }
}

fn hint(status: StatusCode, _: Call<'_>) -> Cow<'static, str> {
    Cow::Borrowed(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            " (CLOUDFLARE_API_TOKEN needs the permission Workers KV Storage: Edit)"
        }
        StatusCode::NOT_FOUND => " (is kv:<account>/<namespace> right? `npx wrangler kv namespace list`)",
        _ => "",
    })
}

/// A KV namespace as a backend.
pub struct Kv {
    http: Http,
}

impl Kv {
    /// The namespace `place` of an account, with an API token. `api_url` replaces Cloudflare's address.
    ///
    /// # Errors
    /// An identifier or the address is invalid.
    pub fn new(place: &str, bearer: Bearer, api_url: Option<&str>, outside: &Outside) -> Result<Self> {
        let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let Some((account, namespace)) = place.split_once('/').filter(|(a, n)| is_id(a) && is_id(n)) else {
            bail!(
                "invalid store kv:{place}: expected kv:<account>/<namespace>, two identifiers of letters and digits"
            )
        };
        let api_url = api_url.unwrap_or(API_URL).trim_end_matches('/');
        let url = format!("{api_url}/accounts/{account}/storage/kv/namespaces/{namespace}");
        Ok(Self { http: Http::new(&url, bearer, SERVICE, outside)? })
    }

    fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<Envelope<T>> {
        let call = Call { expected: Expected::Done, ..call };
        let reply = self.http.call(call)?;
        if !reply.status.is_success() {
            return Err(self.http.refusal(call, &reply));
        }
        serde_json::from_slice(&reply.body).with_context(|| format!("{}: Cloudflare's answer", call.path))
    }

    /// Sends a body for some keys, and again for those that could not be written, until none is left.
    fn bulk(
        &self,
        method: &Method,
        path: &str,
        body: impl Fn(&HashSet<String>) -> Result<Vec<u8>>,
    ) -> Result<()> {
        let mut patience = Patience::for_calls();
        let mut left = HashSet::new();
        loop {
            let body = body(&left)?;
            let body = Some((body.as_slice(), "application/json"));
            let answer: Envelope<BulkResult> =
                self.call(Call { method: Some(method), path, body, ..Call::default() })?;
            // The next body contains only the keys that were not written.
            left = answer.result.unwrap_or_default().unsuccessful_keys.into_iter().collect();
            if left.is_empty() {
                return Ok(());
            }
            let Some(pause) = patience.next(None) else {
                let one = left.iter().next().map(String::as_str).unwrap_or_default();
                bail!("{method} {path}: Cloudflare did not take {} keys, {one} among them", left.len());
            };
            self.http.outside().time.sleep(pause);
        }
    }

    /// One page of the keys that begin with `prefix`.
    fn list(&self, prefix: &str, cursor: &str) -> Result<Envelope<Vec<Key>>> {
        let mut path = format!("/keys?limit={LIST_MAX_KEYS}&prefix={}", percent_encoded(prefix));
        if !cursor.is_empty() {
            path.push_str("&cursor=");
            path.push_str(&percent_encoded(cursor));
        }
        self.call(Call { path: &path, ..Call::default() })
    }

    /// Checks objects by reading them.
    fn read_all(&self, names: &[ObjectName], all: &Mutex<Checked>) -> Result<()> {
        parallel::for_each(names, THREADS, |name| {
            let is_sound = self.get(StoreKey::Object(*name))?.map(|object| name.check(&object).is_ok());
            all.lock().unwrap_or_else(PoisonError::into_inner).note(*name, is_sound);
            Ok(())
        })
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    result: Option<T>,
    result_info: Option<ResultInfo>,
}

#[derive(Default, Deserialize)]
struct ResultInfo {
    #[serde(default)]
    cursor: String,
}

#[derive(Default, Deserialize)]
struct BulkResult {
    #[serde(default)]
    unsuccessful_keys: Vec<String>,
}

#[derive(Deserialize)]
struct Key {
    name: String,
}

#[derive(Serialize)]
struct Pair {
    key: String,
    value: String,
    base64: bool,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<ErrorCode>,
}

#[derive(Deserialize)]
struct ErrorCode {
    code: i64,
}

/// Whether a 404 is about the key, not about the namespace or the account.
fn is_key_not_found(reply: &Reply) -> bool {
    reply.status == StatusCode::NOT_FOUND
        && serde_json::from_slice::<Errors>(&reply.body)
            .is_ok_and(|body| body.errors.iter().any(|error| error.code == KEY_NOT_FOUND))
}

impl Backend for Kv {
    fn get(&self, key: StoreKey) -> Result<Option<Vec<u8>>> {
        let path = path(key);
        let call = Call { path: &path, deadline: deadline_of(key), ..Call::default() };
        let reply = self.http.call(call)?;
        match reply.status {
            StatusCode::OK => Ok(Some(reply.body)),
            _ if is_key_not_found(&reply) => Ok(None),
            _ => Err(self.http.refusal(call, &reply)),
        }
    }

    fn put(&self, key: StoreKey, value: &[u8], _: Option<&str>) -> Result<()> {
        let path = path(key);
        let (body, deadline) = (Some((value, "application/octet-stream")), deadline_of(key));
        let call = Call { method: Some(&Method::PUT), path: &path, body, deadline, ..Call::default() };
        self.call::<serde::de::IgnoredAny>(call).map(drop)
    }

    fn delete(&self, key: StoreKey, _: Option<&str>) -> Result<()> {
        let path = path(key);
        let deadline = deadline_of(key);
        let expected = Expected::Done;
        let call = Call { method: Some(&Method::DELETE), path: &path, deadline, expected, ..Call::default() };
        let reply = self.http.call(call)?;
        if reply.status.is_success() || is_key_not_found(&reply) {
            return Ok(());
        }
        Err(self.http.refusal(call, &reply))
    }

    fn batch(&self) -> Batch {
        Batch {
            objects: BULK_MAX_KEYS,
            bytes: BULK_MAX_BYTES,
            overhead: PAIR_OVERHEAD_BYTES,
            bytes_of_three: 4,
        }
    }

    fn put_objects(&self, objects: &[Object], _: Option<&str>) -> Result<()> {
        self.bulk(&Method::PUT, "/bulk", |left| {
            let pairs = objects.iter().map(|(name, object)| (name.to_string(), object));
            let wanted = pairs.filter(|(key, _)| left.is_empty() || left.contains(key));
            let pairs: Vec<_> = wanted
                .map(|(key, object)| Pair { key, value: Base64::encode_string(object), base64: true })
                .collect();
            Ok(serde_json::to_vec(&pairs)?)
        })
    }

    fn delete_objects(
        &self,
        names: &[ObjectName],
        _: Option<&str>,
        deleted: &(dyn Fn(usize) + Sync),
    ) -> Result<()> {
        for names in names.chunks(BULK_MAX_KEYS) {
            self.bulk(&Method::POST, "/bulk/delete", |left| {
                let keys = names.iter().map(ToString::to_string);
                let keys: Vec<_> = keys.filter(|key| left.is_empty() || left.contains(key)).collect();
                Ok(serde_json::to_vec(&keys)?)
            })?;
            deleted(names.len());
        }
        Ok(())
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.list(prefix, &cursor)?;
            keys.extend(page.result.unwrap_or_default().into_iter().map(|key| key.name));
            // A page may be empty or partly filled without being the last one.
            let next = page.result_info.unwrap_or_default().cursor;
            if next.is_empty() {
                return Ok(keys);
            }
            if next == cursor {
                bail!("Cloudflare's list of the keys that begin with {prefix} does not end");
            }
            cursor = next;
        }
    }

    fn check(&self, names: &[ObjectName], checked: &(dyn Fn(usize) + Sync)) -> Result<Checked> {
        let all = Mutex::new(Checked::default());
        if names.len() <= SAMPLE_MAX {
            self.read_all(names, &all)?;
        } else {
            let kinds: HashSet<_> = names.iter().map(|name| name.kind).collect();
            let mut there = HashSet::new();
            for kind in kinds {
                let keys = self.keys(&format!("{}/", kind.prefix()))?;
                there.extend(keys.iter().filter_map(|key| ObjectName::parse(key)));
            }
            // Split by the list of keys, then read every n-th object so that at most `SAMPLE_MAX` are read.
            let (listed, missing): (Vec<_>, Vec<_>) = names.iter().partition(|name| there.contains(name));
            let sample: Vec<_> =
                listed.iter().copied().step_by(listed.len().div_ceil(SAMPLE_MAX).max(1)).collect();
            self.read_all(&sample, &all)?;
            all.lock().unwrap_or_else(PoisonError::into_inner).missing.extend(missing);
        }
        checked(names.len());
        Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

fn path(key: StoreKey) -> String {
    format!("/values/{}", percent_encoded(&key.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(place: &str) -> Result<Kv> {
        Kv::new(place, Bearer::new("t").unwrap(), None, &Outside::default())
    }

    #[test]
    fn only_identifiers_are_taken() {
        assert!(kv("023e105f4ecef8ad9ca31a8372d0c353/0f2ac74b498b48028cb68387c421e279").is_ok());
        for bad in ["", "a", "a/", "/b", "a/b/c", "a/../b", "a b/c", "a/b?c"] {
            assert!(kv(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_apis_own_words_count() {
        let is_own =
            |expected, status, media_type, body| is_own(expected, &Reply::new(status, media_type, body));
        let (value, report) = (Expected::Value, Expected::Report("result"));
        let error = r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}"#;
        for (expected, status, body) in
            [(value, 200, "bytes"), (report, 200, r#"{"success":true,"errors":[]}"#), (report, 403, error)]
        {
            assert!(is_own(expected, status, "", body), "{status} {body}");
        }
        let page = "<html>Attention required</html>";
        for (expected, status, media_type, body) in [
            (value, 200, "text/html; charset=UTF-8", page),
            (value, 404, "text/html", page),
            (report, 200, "", page),
            (report, 200, "", "{}"),
            (report, 200, "", r#"{"success":false}"#),
            (report, 403, "text/html", page),
            (report, 403, "", r#"{"success":false,"errors":[]}"#),
            (report, 302, "", ""),
        ] {
            assert!(!is_own(expected, status, media_type, body), "{status} {media_type} {body}");
        }
    }

    #[test]
    fn a_pair_takes_what_a_batch_counts_for_it() {
        let kv = kv("a/b").unwrap();
        for len in [0, 1, 2, 3, 100] {
            let pair = Pair {
                key: format!("directory/{}", "0".repeat(64)),
                value: Base64::encode_string(&vec![0; len]),
                base64: true,
            };
            let bytes = serde_json::to_vec(&pair).unwrap().len() as u64 + 1;
            assert!(bytes <= kv.batch().cost(len as u64), "{len}");
        }
    }
}
