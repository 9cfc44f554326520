//! Reads the bodies of requests. Members that the standard or this service does not know are ignored; a member of a wrong
//! type is an error (§10.1.1 of the standard). The readers are bounded by the length of the body, and nesting by serde_json.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::{Api, Asked, AskedTime, Evaluation, PageToken, Search, Semantic, Unknown};
use crate::{
    api::{contract::Id, error::ApiError},
    limits::{AUTHZEN_EVALUATIONS_MAX, AUTHZEN_PAGE_MAX_ITEMS},
    snapshot::instant,
};

type Object = Map<String, Value>;

impl Api {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// 400, naming the member that is missing or wrong. A wrong member of one of several evaluations is the error of that
    /// evaluation alone.
    pub fn read(self, body: &[u8]) -> Result<Asked, ApiError> {
        let body: Value = serde_json::from_slice(body).map_err(|_| ApiError::NOT_JSON)?;
        let body = body.as_object().ok_or(ApiError::NOT_JSON)?;
        match self {
            Self::Evaluation => Parts::default().with(body)?.evaluation().map(Asked::One),
            Self::Evaluations => several(body),
            Self::ResourceSearch => search(body).map(Asked::Search),
        }
    }
}

/// The members of a question that were read so far: the defaults, and what an evaluation has instead.
#[derive(Clone, Default)]
struct Parts {
    /// The subject's id; nothing within for another type than `customer`.
    customer: Option<Option<Rc<str>>>,
    is_play: Option<bool>,
    item: Option<Result<i64, Unknown>>,
    time: AskedTime,
    asks_origin: bool,
}

impl Parts {
    /// These parts, replaced by those that `object` has.
    fn with(&self, object: &Object) -> Result<Self, ApiError> {
        let mut parts = self.clone();
        if let Some(subject) = object.get("subject") {
            parts.customer = Some(customer(subject)?);
        }
        if let Some(action) = object.get("action") {
            parts.is_play = Some(is_play(action)?);
        }
        if let Some(resource) = object.get("resource") {
            let (resource, is_item) = typed(resource, "item").ok_or(ApiError::INVALID_RESOURCE)?;
            let id = text(resource, "id").ok_or(ApiError::INVALID_RESOURCE)?;
            parts.item = Some(match Id::from(id).number() {
                _ if !is_item => Err(Unknown::ResourceType),
                Some(number) => Ok(number),
                None => Err(Unknown::Item),
            });
        }
        if let Some(context) = object.get("context") {
            let context = context.as_object().ok_or(ApiError::INVALID_CONTEXT)?;
            parts.time = time(context);
            parts.asks_origin = context.get("origin") == Some(&Value::Bool(true));
        }
        Ok(parts)
    }

    fn evaluation(self) -> Result<Evaluation, ApiError> {
        let customer = self.customer.ok_or(ApiError::INVALID_SUBJECT)?;
        let is_play = self.is_play.ok_or(ApiError::INVALID_ACTION)?;
        let item = self.item.ok_or(ApiError::INVALID_RESOURCE)?;
        let item = match unknown(customer.as_ref(), is_play) {
            Some(unknown) => Err(unknown),
            None => item,
        };
        Ok(Evaluation { customer, item, time: self.time, asks_origin: self.asks_origin })
    }
}

/// Why subject and action mean nothing here.
fn unknown(customer: Option<&Rc<str>>, is_play: bool) -> Option<Unknown> {
    match customer {
        None => Some(Unknown::SubjectType),
        Some(_) if !is_play => Some(Unknown::Action),
        Some(_) => None,
    }
}

fn several(body: &Object) -> Result<Asked, ApiError> {
    let defaults = Parts::default().with(body)?;
    let semantic = match body.get("options") {
        Some(options) => semantic(options).ok_or(ApiError::INVALID_OPTIONS)?,
        None => Semantic::default(),
    };
    let evaluations = match body.get("evaluations") {
        None => return defaults.evaluation().map(Asked::One),
        Some(evaluations) => evaluations.as_array().ok_or(ApiError::INVALID_EVALUATIONS)?,
    };
    match evaluations.len() {
        0 => return defaults.evaluation().map(Asked::One),
        1..=AUTHZEN_EVALUATIONS_MAX => {}
        _ => return Err(ApiError::INVALID_EVALUATIONS),
    }
    let one = |value: &Value| {
        let object = value.as_object().ok_or(ApiError::INVALID_EVALUATIONS)?;
        defaults.with(object)?.evaluation()
    };
    Ok(Asked::Several(semantic, evaluations.iter().map(one).collect()))
}

fn semantic(options: &Value) -> Option<Semantic> {
    match options.as_object()?.get("evaluations_semantic") {
        None => Some(Semantic::default()),
        Some(name) => Some(match name.as_str()? {
            "execute_all" => Semantic::ExecuteAll,
            "deny_on_first_deny" => Semantic::DenyOnFirstDeny,
            "permit_on_first_permit" => Semantic::PermitOnFirstPermit,
            _ => return None,
        }),
    }
}

fn search(body: &Object) -> Result<Search, ApiError> {
    let customer = customer(body.get("subject").unwrap_or(&Value::Null))?;
    let is_play = is_play(body.get("action").unwrap_or(&Value::Null))?;
    // Its id is ignored, as the standard says.
    let resource = body.get("resource").and_then(|resource| typed(resource, "item"));
    let (_, is_item) = resource.ok_or(ApiError::INVALID_RESOURCE)?;
    let unknown = unknown(customer.as_ref(), is_play).or_else(|| (!is_item).then_some(Unknown::ResourceType));
    let (mut time_asked, mut include_free) = (None, false);
    if let Some(context) = body.get("context") {
        let context = context.as_object().ok_or(ApiError::INVALID_CONTEXT)?;
        time_asked = time(context);
        include_free = match context.get("include_free") {
            None => false,
            Some(include) => include.as_bool().ok_or(ApiError::INVALID_CONTEXT)?,
        };
    }
    let (token, limit) = match body.get("page") {
        None => (None, None),
        Some(page) => page_of(page).ok_or(ApiError::INVALID_PAGE_OBJECT)?,
    };
    Ok(Search { customer, unknown, time: time_asked, include_free, limit, token })
}

/// Token and limit of a page. A larger limit than [`AUTHZEN_PAGE_MAX_ITEMS`] is taken for it: it is a maximum.
fn page_of(page: &Value) -> Option<(Option<PageToken>, Option<usize>)> {
    let page = page.as_object().filter(|page| page.get("properties").is_none_or(Value::is_object))?;
    let limit = match page.get("limit") {
        None => None,
        Some(limit) => {
            Some(usize::try_from(limit.as_u64()?).unwrap_or(usize::MAX).min(AUTHZEN_PAGE_MAX_ITEMS))
        }
    };
    let token = match page.get("token") {
        None => None,
        Some(token) => match token.as_str()? {
            "" => None,
            token => Some(PageToken::parse(token)?),
        },
    };
    Some((token, limit))
}

/// The id of a subject; nothing for another type than `customer`.
fn customer(subject: &Value) -> Result<Option<Rc<str>>, ApiError> {
    let (subject, is_customer) = typed(subject, "customer").ok_or(ApiError::INVALID_SUBJECT)?;
    let id = text(subject, "id").ok_or(ApiError::INVALID_SUBJECT)?;
    Ok(is_customer.then(|| Rc::from(id)))
}

fn is_play(action: &Value) -> Result<bool, ApiError> {
    let action = object(action).ok_or(ApiError::INVALID_ACTION)?;
    Ok(text(action, "name").ok_or(ApiError::INVALID_ACTION)? == "play")
}

/// An entity, and whether its type is `expected`.
fn typed<'a>(entity: &'a Value, expected: &str) -> Option<(&'a Object, bool)> {
    let entity = object(entity)?;
    Some((entity, text(entity, "type")? == expected))
}

/// An entity's members. Its properties say nothing here, but must be an object.
fn object(entity: &Value) -> Option<&Object> {
    entity.as_object().filter(|entity| entity.get("properties").is_none_or(Value::is_object))
}

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

fn time(context: &Object) -> AskedTime {
    let time = instant::from_json(context.get("time")?);
    Some(time.map(|time| time.at).map_err(|_| ApiError::INVALID_TIME))
}
