//! The contract of the API: every endpoint of edge and origin, once.
//!
//! [`table`] is the one place that says which paths there are, what their methods do, what a request must show and
//! what kind of request it is. Everything else follows from it: which writes an edge forwards, `Allow`, OPTIONS, the
//! origin's routes, the token and the body that a request needs, and the tables in the pages. The only code beside it that spells paths is
//! [`Route::parse`]; tests compare it with the table, path by path.
//!
//! ```
//! use admit::api::contract::{Kind, Route, Server, WriteAction};
//!
//! let (route, operation) = Server::Edge.find("DELETE", "/items/33/access")?;
//! assert_eq!(route, Route::Access("33".into()));
//! assert_eq!(operation.kind, Kind::Write(WriteAction::Revoke));
//!
//! // An edge without an upstream forwards nothing.
//! let refused = Server::LoneEdge.find("DELETE", "/items/33/access").unwrap_err();
//! assert_eq!(refused.status(), 405);
//! # Ok::<(), admit::api::error::ApiError>(())
//! ```

mod endpoint;
mod methods;
mod route;
pub mod table;

pub use self::{
    endpoint::{Auth, Effect, Endpoint, Input, Kind, Operation, Server, WriteAction},
    methods::Methods,
    route::{Id, Route},
    table::ENDPOINTS,
};
use super::error::ApiError;

impl Server {
    /// The edge, with or without an upstream.
    #[must_use]
    pub const fn edge(has_upstream: bool) -> Self {
        if has_upstream { Self::Edge } else { Self::LoneEdge }
    }

    /// The route of a path, if this server serves it by any method.
    #[must_use]
    pub fn route(self, path: &str) -> Option<Route<'_>> {
        Route::parse(path).filter(|route| !route.methods(self).is_empty())
    }

    /// What `method` does at `path`.
    ///
    /// # Errors
    /// 404 if this server has no such path, 405 if the path has no such method.
    pub fn find<'a>(self, method: &str, path: &'a str) -> Result<(Route<'a>, &'static Operation), ApiError> {
        let route = Route::parse(path).ok_or(ApiError::RouteNotFound)?;
        if let Some(operation) = route.operation(method, self) {
            return Ok((route, operation));
        }
        let methods = route.methods(self);
        Err(if methods.is_empty() { ApiError::RouteNotFound } else { ApiError::MethodNotAllowed(methods) })
    }
}

#[cfg(test)]
mod tests;
