//! The paths that the origin serves: those of the API that it shares with the edge, and [its own](crate::client::table)
//! for whole clients.

use admit::api::{
    contract::{self, Methods, Route, Server},
    error::ApiError,
};

use crate::client::{ClientPath, table};

/// A path that the origin serves by some method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A path of the contract of edge and origin.
    Api(Route<'a>),
    /// A path that only origins have.
    Client(ClientPath<'a>),
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task<'a> {
    /// An operation of the contract.
    Api(Route<'a>, &'static contract::Operation),
    /// An operation for clients.
    Client(ClientPath<'a>, &'static table::Operation),
}

impl<'a> Target<'a> {
    /// The target of a path, or `None` if the origin has no such path.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        let route = Server::Origin.route(path).map(Self::Api);
        route.or_else(|| ClientPath::parse(path).map(Self::Client))
    }

    /// The methods of the path: the header `Allow`.
    #[must_use]
    pub fn methods(self) -> Methods {
        match self {
            Self::Api(route) => route.methods(Server::Origin),
            Self::Client(path) => path.methods(),
        }
    }

    /// The route of the contract, for a path that has one.
    #[must_use]
    pub const fn route(self) -> Option<Route<'a>> {
        match self {
            Self::Api(route) => Some(route),
            Self::Client(_) => None,
        }
    }

    /// What `method` does here.
    #[must_use]
    pub fn task(self, method: &str) -> Option<Task<'a>> {
        match self {
            Self::Api(route) => {
                route.operation(method, Server::Origin).map(|operation| Task::Api(route, operation))
            }
            Self::Client(path) => path.operation(method).map(|operation| Task::Client(path, operation)),
        }
    }
}

/// What `method` does at `path`.
///
/// # Errors
/// 404 if the origin has no such path, 405 if the path has no such method.
pub fn find<'a>(method: &str, path: &'a str) -> Result<Task<'a>, ApiError> {
    let target = Target::parse(path).ok_or(ApiError::RouteNotFound)?;
    target.task(method).ok_or_else(|| ApiError::MethodNotAllowed(target.methods()))
}
