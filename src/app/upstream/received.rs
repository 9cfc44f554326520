//! Reads what the upstream answered: which answers are the API's own, and what they say. What cannot be read is
//! [`Unreadable`], with the place and the reason, and never taken for a denial.

use std::{borrow::Cow, fmt, rc::Rc};

use serde_json::{Map, Value};

use super::Verdict;
use crate::{
    api::{
        error::ApiError, json::json, media_type::MediaType, query, reply::Body, retry_after,
        upstream_error as error,
    },
    app::problems::Problem,
    instant::{self, LATEST, UnixSecs},
    number,
    ports::UpstreamAnswer,
};

/// Why an answer, or a part of it, cannot be used. Written as a sentence: "expires_at must be …, not a list".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The member of the body, the header, or `status`.
    pub place: &'static str,
    /// The value that was found and the expected one, as the rest of the sentence.
    pub problem: Cow<'static, str>,
}

impl Unreadable {
    pub(super) fn new(place: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { place, problem: problem.into() }
    }

    pub(super) fn status(answer: &UpstreamAnswer) -> Self {
        let status = answer.status;
        let problem = match status {
            300..=399 => {
                format!("is {status}: redirects are not followed, so ORIGIN_URL must lead there itself")
            }
            _ => format!("is {status}"),
        };
        Self::new("status", problem)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.problem)
    }
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        let text = unreadable.to_string();
        let kind = if unreadable.place == "status" { text.clone() } else { unreadable.place.to_owned() };
        Self::new(&kind, text)
    }
}

/// The JSON text of an answer, without a byte order mark. The text has not been parsed.
fn json_text(answer: &UpstreamAnswer) -> Result<&str, Unreadable> {
    let content_type = answer.header("content-type");
    // RFC 9110 §8.3: without a type, the receiver may look at the body.
    let is_json = content_type.is_empty() || MediaType::parse(content_type).is_some_and(MediaType::is_json);
    if !is_json {
        return Err(Unreadable::new("Content-Type", format!("is {content_type:?}, which is not JSON")));
    }
    let text = std::str::from_utf8(&answer.body).map_err(|_| not_text(answer))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if content_type.is_empty() && !text.trim_start().starts_with(['{', '[']) {
        return Err(Unreadable::new("Content-Type", "is missing"));
    }
    Ok(text)
}

/// Runtimes decode what they know of; other codings arrive as they were sent.
fn not_text(answer: &UpstreamAnswer) -> Unreadable {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let coding = answer.header("content-encoding");
    if !coding.is_empty() {
        return Unreadable::new(
            "Content-Encoding",
            format!("is {coding:?}, and the body could not be decoded"),
        );
    }
    let problem = if answer.body.starts_with(&GZIP) {
        "is compressed, and no Content-Encoding says so"
    } else {
        "is not UTF-8"
    };
    Unreadable::new("body", problem)
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn not_json(error: serde_json::Error) -> Unreadable {
    Unreadable::new("body", format!("is not JSON: {error}"))
}

pub fn json_value(answer: &UpstreamAnswer) -> Result<Value, Unreadable> {
    // From bytes, as all JSON in the Worker is read: another reader would be more code.
    serde_json::from_slice(json_text(answer)?.as_bytes()).map_err(not_json)
}

/// The JSON text of an answer, found to be whole.
fn whole_json(answer: &UpstreamAnswer) -> Result<&str, Unreadable> {
    json_value(answer)?;
    json_text(answer)
}

/// The JSON text of a success. Frameworks send JSON under their default type, `text/html` in PHP: a body that is a
/// whole object or list is JSON under any type, as no page and no text is.
fn success_json(answer: &UpstreamAnswer) -> Result<&str, Unreadable> {
    whole_json(answer).or_else(|unreadable| {
        let text = std::str::from_utf8(&answer.body).unwrap_or_default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let is_structured = text.trim_start().starts_with(['{', '['])
            && serde_json::from_slice::<Value>(text.as_bytes()).is_ok();
        is_structured.then_some(text).ok_or(unreadable)
    })
}

/// Whether an answer to a read tells that the upstream works: it is the API's own, and not a failure.
pub fn is_well(answer: &UpstreamAnswer) -> bool {
    match answer.status {
        // Limiters need no body to say that it was too much.
        200..=299 | 429 => answer.body.is_empty() || json_text(answer).is_ok(),
        400..=499 => !answer.body.is_empty() && json_text(answer).is_ok(),
        _ => false,
    }
}

/// What an answer to a check says. Only the API's own word counts: a 200 of a server in front of the upstream does not
/// grant access, a 404 of one does not remove an item, and a 401 does not sign the viewer out, because the edge has
/// verified the token. `merchants` are those that the token's issuer speaks for, if its configuration names them.
///
/// # Errors
/// The answer says neither yes nor no.
pub fn verdict(
    answer: &UpstreamAnswer,
    item_id: i64,
    merchants: Option<&[i64]>,
    now: UnixSecs,
) -> Result<Verdict, Unreadable> {
    match answer.status {
        200 => granted(json_value(answer)?, item_id, merchants, now),
        402 => denied(&json_value(answer)?),
        404 => match not_found(&json_value(answer)?)? {
            ApiError::ItemNotFound => Ok(Verdict::NoItem),
            _ => Err(Unreadable::status(answer)),
        },
        _ => Err(Unreadable::status(answer)),
    }
}

/// Reads a denial: the API's `code`, or its message. Hosting providers and gateways answer 402 as well, to the operator
/// who has not paid them, and theirs must neither be remembered as a denial nor turn a 503 into one.
fn denied(body: &Value) -> Result<Verdict, Unreadable> {
    let is_own = body.get("code").and_then(number::whole) == Some(402)
        || error::message_of(body).is_some_and(|message| message.trim() == ApiError::NoAccess.message());
    let not_own =
        || Unreadable::new("body", "of the 402 has neither the code 402 nor the message \"No access\"");
    is_own.then_some(Verdict::Denied).ok_or_else(not_own)
}

/// Reads a granted access, and brings it into the form that clients decode: numbers where they expect numbers.
fn granted(
    body: Value,
    item_id: i64,
    merchants: Option<&[i64]>,
    now: UnixSecs,
) -> Result<Verdict, Unreadable> {
    let Value::Object(mut access) = body else {
        return Err(Unreadable::new("body", "must be an object"));
    };
    let expires_at = end_of(&access, item_id, merchants, now)?;
    if access.get("starts_at").is_some_and(Value::is_null) {
        access.remove("starts_at");
    }
    rewrite(&mut access, &["starts_at"], moment_of, now);
    access.insert("expires_at".to_owned(), expires_at.into());
    if let Some(item) = access.get_mut("item").and_then(Value::as_object_mut) {
        rewrite(item, &["id", "merchant_id"], number::whole, 0);
        rewrite(item, &["created_at", "updated_at"], moment_of, now);
        // PHP writes a map without members as a list.
        if let Some(metahash) = item.get_mut("metahash").filter(|value| **value == Value::Array(Vec::new())) {
            *metahash = Value::Object(Map::new());
        }
    }
    rewrite(&mut access, &["id", "account_id", "customer_id"], number::whole, 0);
    rewrite(&mut access, &["created_at"], moment_of, now);
    Ok(Verdict::Granted(Rc::from(json(&access)), expires_at))
}

/// When a granted access ends: it has begun, is not over, and is of this item and of a merchant that the token's issuer
/// speaks for.
///
/// # Errors
/// It is not certain that the grant is one, or is of this item.
pub(super) fn end_of(
    access: &Map<String, Value>,
    item_id: i64,
    merchants: Option<&[i64]>,
    now: UnixSecs,
) -> Result<UnixSecs, Unreadable> {
    let expires_at = match access.get("expires_at") {
        None => return Err(Unreadable::new("expires_at", "is missing")),
        Some(Value::Null) => LATEST,
        Some(value) => moment("expires_at", value)?,
    };
    if expires_at <= now {
        return Err(Unreadable::new("expires_at", format!("is over ({expires_at}): do the clocks differ?")));
    }
    if let Some(value) = access.get("starts_at").filter(|value| !value.is_null()) {
        let starts_at = moment("starts_at", value)?;
        if starts_at > now {
            let problem = format!("has not come ({starts_at}): do the clocks differ?");
            return Err(Unreadable::new("starts_at", problem));
        }
    }
    let item = access.get("item").and_then(Value::as_object);
    let item = item.ok_or_else(|| Unreadable::new("item", "must be an object"))?;
    let found = item.get("id").and_then(number::whole);
    if found != Some(item_id) {
        let found = item.get("id").map_or_else(|| "nothing".to_owned(), shown);
        return Err(Unreadable::new("item.id", format!("must be {item_id}, not {found}")));
    }
    // An issuer that speaks for some merchants opens nothing of others, here as in the snapshot.
    if let Some(merchants) = merchants {
        let merchant_id = item.get("merchant_id").and_then(number::whole);
        if !merchant_id.is_some_and(|merchant_id| merchants.contains(&merchant_id)) {
            let problem = "must be one of the merchants of the token's issuer";
            return Err(Unreadable::new("item.merchant_id", problem));
        }
    }
    Ok(expires_at)
}

/// Writes members that only inform as the numbers that clients decode; `otherwise` if one cannot be read.
fn rewrite(
    members: &mut Map<String, Value>,
    names: &[&str],
    read: fn(&Value) -> Option<i64>,
    otherwise: i64,
) {
    for name in names {
        if let Some(value) = members.get_mut(*name) {
            *value = read(value).unwrap_or(otherwise).into();
        }
    }
}

fn moment_of(value: &Value) -> Option<UnixSecs> {
    instant::from_json(value).ok().map(|moment| moment.at)
}

fn moment(place: &'static str, value: &Value) -> Result<UnixSecs, Unreadable> {
    let moment = instant::from_json(value);
    moment.map(|moment| moment.at).map_err(|error| Unreadable::new(place, error.to_string()))
}

/// A value for the log: a number as it is, others by their kind.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// The problem with the headers that the edge reads, if they have one. The answer counts without them.
pub fn header_problem(answer: &UpstreamAnswer, now: UnixSecs) -> Option<Unreadable> {
    let (seq, wait) = (answer.header("entitlement-seq"), answer.header("retry-after"));
    if !seq.is_empty() && query::seq(seq).is_none() {
        return Some(Unreadable::new("Entitlement-Seq", format!("must be a whole number, not {seq:?}")));
    }
    if !wait.is_empty() && retry_after::seconds(wait, now).is_none() {
        return Some(Unreadable::new("Retry-After", format!("must be seconds or a date, not {wait:?}")));
    }
    None
}

/// Which of the API's records an error says is not there.
fn not_found(body: &Value) -> Result<ApiError, Unreadable> {
    let message = error::message_of(body).unwrap_or_default();
    let known = [ApiError::ItemNotFound, ApiError::FeeNotFound];
    let found = known.into_iter().find(|error| error.message() == message);
    found.ok_or_else(|| Unreadable::new("message", "is not one of the API's for the status 404"))
}

/// Reads the answer to another read: the body, or the 404 that it is.
///
/// # Errors
/// The answer is not the API's own.
pub fn read(answer: &UpstreamAnswer) -> Result<Result<String, ApiError>, Unreadable> {
    match answer.status {
        200 => whole_json(answer).map(|text| Ok(text.to_owned())),
        404 => not_found(&json_value(answer)?).map(Err),
        _ => Err(Unreadable::status(answer)),
    }
}

/// What an answer to a write is for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The API's own answer. An error that has another form than the API's is in the API's form now.
    Own(Body),
    /// A 4xx that is not JSON: the write was not applied, and whether the upstream or a server in front of it
    /// refused it is not known. The body is in the API's form.
    Refused(Body, Unreadable),
    /// A refusal whose status would sign a person out, and which the API has not given, or a redirect: the write was
    /// not applied.
    Blocked(Unreadable),
    /// Not an answer of the API: the write may have been applied.
    Unusable(Unreadable),
}

/// Reads the answer to a write. `is_signed` is whether the write needed a token.
pub fn written(answer: &UpstreamAnswer, is_signed: bool) -> Written {
    let status = answer.status;
    match status {
        200..=299 if answer.body.is_empty() => Written::Own(Body::Empty),
        200..=299 => match success_json(answer) {
            Ok(text) => Written::Own(Body::Json(text.to_owned())),
            Err(unreadable) => Written::Unusable(unreadable),
        },
        // Elsewhere is not here: the request went to a server that sends it on, such as one for http that wants
        // https. 303 is another matter: it names the result of the write (RFC 9110 §15.4.4).
        301 | 302 | 307 | 308 => Written::Blocked(Unreadable::status(answer)),
        429 if answer.body.is_empty() => Written::Own(Body::Json(ApiError::TooManyRequests.body())),
        400..=599 => match json_value(answer) {
            Ok(error) if signs_out(status, is_signed) && !is_own_refusal(&error) => {
                let problem = "has neither the API's code and message nor OAuth's error";
                Written::Blocked(with_status(status, &Unreadable::new("body", problem)))
            }
            Ok(error) => Written::Own(Body::Json(own_error(answer, &error, is_signed))),
            Err(unreadable) if status >= 500 => Written::Unusable(with_status(status, &unreadable)),
            Err(unreadable) if signs_out(status, is_signed) => {
                Written::Blocked(with_status(status, &unreadable))
            }
            Err(unreadable) => {
                let is_plain =
                    MediaType::parse(answer.header("content-type")).is_some_and(MediaType::is_plain_text);
                let text = error::plain_text(is_plain, &answer.body);
                let body = Body::Json(error::of_text(status, text.as_deref()));
                Written::Refused(body, with_status(status, &unreadable))
            }
        },
        _ => Written::Unusable(Unreadable::status(answer)),
    }
}

/// Whether a client may take a status for the end of its credentials. A person who signs in holds credentials that
/// clients delete on 401 and 403; 407 is for a proxy of the client.
const fn signs_out(status: u16, is_signed: bool) -> bool {
    status == 407 || (!is_signed && matches!(status, 401 | 403))
}

/// Whether a refusal in JSON is the API's own, or OAuth's (RFC 6749 §5.2). Gateways refuse in JSON too:
/// `{"message":"Forbidden"}`.
pub fn is_own_refusal(error: &Value) -> bool {
    let is_of_the_api = error.get("code").and_then(number::whole).is_some()
        && error.get("message").is_some_and(Value::is_string);
    is_of_the_api || error.get("error").is_some_and(Value::is_string)
}

fn with_status(status: u16, unreadable: &Unreadable) -> Unreadable {
    Unreadable::new("status", format!("is {status}, and {unreadable}"))
}

/// An error of the API as clients decode it. Sign-ins have another form of error (RFC 6749 §5.2), which stays.
fn own_error(answer: &UpstreamAnswer, error: &Value, is_signed: bool) -> String {
    let is_oauth = !is_signed && error.get("error").is_some_and(Value::is_string);
    let wrapped = if is_oauth { None } else { error::in_api_form(answer.status, error) };
    wrapped.unwrap_or_else(|| json_text(answer).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests;
