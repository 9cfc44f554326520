//! A request's plan: route, method and parameters, parsed once. Nothing in it depends on memory, so that it holds for as
//! long as the request loads and waits; the token is verified again after each load, which may have brought newer keys
//! or a denylist.

use std::{borrow::Cow, cell::OnceCell, rc::Rc};

use uuid::Uuid;

use super::{
    Permission, finish,
    publish::Transfer,
    read::{PublicRead, PurchasePage},
};
use crate::{
    api::{
        authzen::{Api, Asked},
        contract::{Effect, Id, Input, Kind, Methods, Route, Server},
        error::ApiError,
        pass_through::{self, PassThrough},
        playback::{self, PlaybackForm},
        query,
        reply::{Reply, Request},
        support::{Find, Look, Presented},
    },
    limits::{PAGE_DEFAULT_ITEMS, PAGE_MAX_ITEMS},
};

/// What a request asks for. Invalid parameters are a part of the plan: a client without a valid token learns nothing
/// about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// A read, answered from memory.
    Read(ReadPlan),
    /// Checks of several items, answered from memory.
    Checks,
    /// A write or a sign-in, which the upstream gets.
    Write(WritePlan),
    /// A request that the edge cannot answer, and that the upstream gets as it is.
    PassThrough(PassThroughPlan),
    /// A question in the form of AuthZEN.
    Authzen(AuthzenPlan),
    /// A question of support staff.
    Support(SupportPlan),
    /// A request of the publish API.
    Publish(PublishPlan),
}

/// A read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadPlan {
    /// A check of an item; `None` if its number is invalid.
    Access(Option<i64>),
    License,
    /// Whether the trial of an item was used.
    UsedTrial(Result<i64, ApiError>),
    /// A page of the customer's accesses.
    Purchases(Result<PurchasePage, ApiError>),
    /// The plans that the viewer holds.
    Entitlements,
    Playback(Result<PlaybackPlan, ApiError>),
    Health,
    /// Where the AuthZEN endpoints are.
    Metadata,
    Public(Result<PublicRead, ApiError>),
}

/// A question for something signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlaybackPlan {
    pub form: PlaybackForm,
    /// The item; `None` if the query names it by the id of its media.
    pub item_id: Option<i64>,
}

/// A write or a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WritePlan {
    /// What its token must permit; nothing for a sign-in, which has no token yet.
    pub permission: Option<Permission>,
    /// Whether it has a body.
    pub has_body: bool,
    /// Whether its body may ask to refresh a session.
    pub may_refresh: bool,
    /// What it can open for viewers.
    pub effect: Effect,
    /// Whether the numbers in the path are numbers.
    pub numbers: Result<(), ApiError>,
}

/// A request that is passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PassThroughPlan {
    /// The position of the prefix that covers its path.
    pub prefix: usize,
    /// Whether its method says that it changes nothing: `GET` or `HEAD`. The upstream may see that in another way.
    pub is_read: bool,
}

/// A question in the form of AuthZEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AuthzenPlan {
    pub api: Api,
    /// The body, from when it was read on. It is read once the token has been verified.
    pub asked: OnceCell<Rc<Asked>>,
}

/// A question of support staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SupportPlan {
    /// Who is the customer that the path names, and what do they hold?
    Customer(Result<Look, ApiError>),
    /// Which customers have a number or a UUID?
    Find(Result<Find, ApiError>),
    /// Which rule does the token in the body break? Empty until the body is read, after the request's own token was
    /// verified.
    Token(OnceCell<Rc<Presented>>),
}

/// A request of the publish API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PublishPlan {
    pub transfer: Transfer,
    /// What its token must permit.
    pub permission: Permission,
}

impl Plan {
    /// The plan of a request other than `OPTIONS` to `server`.
    ///
    /// # Errors
    /// The server does not have the path, or the path does not have the method.
    pub fn of(request: &Request<'_>, server: Server) -> Result<Self, ApiError> {
        let (route, operation) = server.find(request.method, request.path)?;
        let (permission, has_body) = (Permission::of(operation.auth), operation.input != Input::None);
        Ok(match operation.kind {
            Kind::Read => Self::Read(ReadPlan::of(route.as_read(), request.query)),
            Kind::Playback => Self::Read(ReadPlan::Playback(PlaybackPlan::of(route, request.query))),
            Kind::Checks => Self::Checks,
            Kind::Health => Self::Read(ReadPlan::Health),
            Kind::Authzen | Kind::Evaluation => match route {
                Route::Authzen(api) => Self::Authzen(AuthzenPlan { api, asked: OnceCell::new() }),
                _ => Self::Read(ReadPlan::Metadata),
            },
            Kind::Support => Self::Support(match route {
                Route::Customers => SupportPlan::Find(Find::of(request.query)),
                Route::Customer(_) => SupportPlan::Customer(Look::of(request.query)),
                _ => SupportPlan::Token(OnceCell::new()),
            }),
            Kind::Write(action) => Self::Write(WritePlan {
                permission,
                has_body,
                may_refresh: false,
                effect: action.effect(),
                numbers: route.check_numbers(),
            }),
            Kind::SignIn { may_refresh } => Self::Write(WritePlan {
                permission,
                has_body,
                may_refresh,
                effect: Effect::OpensNothing,
                numbers: Ok(()),
            }),
            Kind::Publish => Self::Publish(PublishPlan {
                transfer: transfer(route, request.method)?,
                permission: permission.ok_or(ApiError::Internal)?,
            }),
            Kind::SignInPage | Kind::Discovery | Kind::Feed => return Err(ApiError::RouteNotFound),
        })
    }

    /// The plan of a request that [`of`](Self::of) has none for, if a prefix covers its path.
    ///
    /// # Errors
    /// The method does not pass.
    pub fn passed_through(request: &Request<'_>, prefixes: &PassThrough) -> Option<Result<Self, ApiError>> {
        let prefix = prefixes.admits(request.path)?;
        let method = Methods::named(request.method);
        if !pass_through::METHODS.intersects(method) {
            let allowed = pass_through::METHODS.and(Methods::OPTIONS);
            return Some(Err(ApiError::MethodNotAllowed(allowed)));
        }
        let is_read = Methods::READ.intersects(method);
        Some(Ok(Self::PassThrough(PassThroughPlan { prefix, is_read })))
    }

    /// Whether it is a read that any client may send without a token, and so is counted by address.
    pub const fn is_anonymous(&self) -> bool {
        matches!(self, Self::Read(ReadPlan::Public(Ok(_))))
    }

    /// Whether its answer needs many records, and has room to say which of them it does without.
    pub const fn is_many(&self) -> bool {
        matches!(self, Self::Checks)
    }

    /// Whether its answer needs both a token and the snapshot.
    pub const fn is_check(&self) -> bool {
        matches!(
            self,
            Self::Checks
                | Self::Authzen(_)
                | Self::Support(_)
                | Self::Read(
                    ReadPlan::Access(_)
                        | ReadPlan::License
                        | ReadPlan::UsedTrial(_)
                        | ReadPlan::Purchases(_)
                        | ReadPlan::Entitlements
                        | ReadPlan::Playback(_)
                )
        )
    }
}

impl ReadPlan {
    fn of(route: Route<'_>, query: &str) -> Self {
        match route {
            Route::Access(id) => Self::Access(id.number()),
            Route::License => Self::License,
            Route::UsedTrial(id) => Self::UsedTrial(id.number().ok_or(ApiError::INVALID_ID)),
            Route::Purchases => Self::Purchases(PurchasePage::of(query)),
            Route::Entitlements(_) => Self::Entitlements,
            route => Self::Public(public_read(route, query)),
        }
    }
}

impl PlaybackPlan {
    fn of(route: Route<'_>, query: &str) -> Result<Self, ApiError> {
        let item =
            |form, id: Id<'_>| Ok(Self { form, item_id: Some(id.number().ok_or(ApiError::INVALID_ID)?) });
        match route {
            Route::Playback(id) => item(PlaybackForm::Sources, id),
            Route::SignedUrl(id) => {
                let plan = item(PlaybackForm::SignedUrl, id)?;
                playback::asked_url(query).map(|_| plan).ok_or(ApiError::INVALID_MEDIA_URL)
            }
            Route::MediaToken => {
                playback::media_id(query).ok_or(ApiError::INVALID_MEDIA_ID)?;
                Ok(Self { form: PlaybackForm::MediaToken, item_id: None })
            }
            _ => Err(ApiError::RouteNotFound),
        }
    }
}

/// The transfer that a request of the publish API asks for.
#[inline(never)]
fn transfer(route: Route<'_>, method: &str) -> Result<Transfer, ApiError> {
    Ok(match route {
        Route::Stored(key) => match method {
            "PUT" => Transfer::Store(key),
            "DELETE" => Transfer::Delete(key),
            _ => Transfer::Send(key),
        },
        Route::Pack => Transfer::Pack,
        Route::Check => Transfer::Check,
        Route::Keys => Transfer::Keys,
        Route::Issuers => Transfer::Issuers,
        Route::Report => Transfer::Report,
        Route::Diff => Transfer::Diff,
        _ => return Err(ApiError::RouteNotFound),
    })
}

/// A read of the catalogue; other routes are not one.
fn public_read(route: Route<'_>, query: &str) -> Result<PublicRead, ApiError> {
    let number = |id: Id<'_>| id.number().ok_or(ApiError::INVALID_ID);
    Ok(match route {
        Route::Item(id) => PublicRead::Item { item_id: number(id)?, merchant: None },
        Route::MerchantItem(merchant, id) => {
            PublicRead::Item { item_id: number(id)?, merchant: Some(merchant) }
        }
        Route::ExternalItem(name) => {
            name.decoded().ok_or(ApiError::INVALID_EXTERNAL_ID)?;
            PublicRead::ExternalItem { merchant: merchant_uuid(query)? }
        }
        Route::Fees(id) | Route::FeesV2(id) => PublicRead::Fees { item_id: number(id)? },
        Route::Fee(id, fee_id) => {
            PublicRead::Fee { item_id: number(id)?, fee_id: fee_id.number().ok_or(ApiError::INVALID_FEE_ID)? }
        }
        Route::Plans(_) => PublicRead::Plans,
        Route::Package(id) => PublicRead::Package { item_id: number(id)? },
        Route::PackageItems(id) => {
            let (page, limit) = page_and_limit(query)?;
            PublicRead::PackageItems { item_id: number(id)?, page, limit }
        }
        _ => return Err(ApiError::RouteNotFound),
    })
}

/// The merchant that a query names by `merchant_uuid`, with hyphens. An empty one counts as absent: the vendor's SDK sends
/// none by default.
///
/// # Errors
/// 422 for an invalid UUID.
pub fn merchant_uuid(query: &str) -> Result<Option<Uuid>, ApiError> {
    let uuid = |text: &str| Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    match query::last(query, "merchant_uuid") {
        None => Ok(None),
        Some(Some(text)) if text.is_empty() => Ok(None),
        Some(text) => text.and_then(|text| uuid(&text)).map(Some).ok_or(ApiError::INVALID_MERCHANT_UUID),
    }
}

/// The answer to `OPTIONS`. A preflight carries no token, and the page that sends it must learn of a 404 as well: every
/// path has one.
#[inline(never)]
pub(super) fn preflight(request: &Request<'_>, server: Server, prefixes: &PassThrough) -> Reply {
    let mut reply = finish::preflight(request);
    let mut methods = server.route(request.path).map_or(Methods::NONE, |route| route.methods(server));
    if prefixes.admits(request.path).is_some() {
        methods = methods.and(pass_through::METHODS).and(Methods::OPTIONS);
    }
    if !methods.is_empty() {
        reply.headers.push(("allow", Cow::Owned(methods.to_string())));
    }
    reply
}

/// `page` (from 1) and `limit`. Parameters with other names are ignored: native SDKs send some.
#[inline(never)]
pub(super) fn page_and_limit(query: &str) -> Result<(u32, usize), ApiError> {
    let number = |name, error| match query::last(query, name) {
        None => Ok(None),
        // Not as `usize`, which the Worker has 32 bits of and other machines 64.
        Some(value) => value.and_then(|value| query::positive(&value)).map(Some).ok_or(error),
    };
    let page = number("page", ApiError::INVALID_PAGE)?.unwrap_or(1);
    let limit = number("limit", ApiError::INVALID_LIMIT)?.map_or(Some(PAGE_DEFAULT_ITEMS), |limit| {
        usize::try_from(limit).ok().filter(|limit| *limit <= PAGE_MAX_ITEMS)
    });
    Ok((page, limit.ok_or(ApiError::INVALID_LIMIT)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::contract::{Auth, ENDPOINTS, Methods, table};

    #[test]
    fn every_operation_of_an_edge_has_a_plan_that_asks_for_the_token_of_the_table() {
        for endpoint in ENDPOINTS {
            let path = match endpoint {
                endpoint if *endpoint == &table::MERCHANT_ITEM => {
                    endpoint.path(&["3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934", "33"])
                }
                endpoint if *endpoint == &table::OBJECT => endpoint.path(&["shard", &"0".repeat(64)]),
                endpoint => endpoint.path(&["33", "5"]),
            };
            for operation in endpoint.operations.iter().filter(|it| it.kind.is_served_by(Server::Edge)) {
                for (_, method) in Methods::NAMES.iter().filter(|(it, _)| operation.methods.intersects(*it)) {
                    let request = Request { method, path: &path, ..Request::default() };
                    let plan = Plan::of(&request, Server::Edge).unwrap();
                    let is_anonymous = operation.kind == Kind::Read && operation.auth == Auth::None;
                    assert_eq!(plan.is_anonymous(), is_anonymous, "{method} {path}");
                    let is_check = matches!(operation.auth, Auth::Viewer | Auth::Asker | Auth::Explainer);
                    assert_eq!(plan.is_check(), is_check, "{method} {path}");
                }
            }
        }
    }
}
