//! Limits by address: what is asked of the platform before a stranger's request costs anything.

use super::App;
use crate::{
    api::{
        error::ApiError,
        reply::{Reply, Request},
        viewer::Network,
    },
    ports::{Limit, Platform, RateLimits as _},
};

impl<P: Platform> App<P> {
    /// The refusal of a request whose address has sent too many. A request of an unknown address is not limited, and nor
    /// is any as long as the platform does not say.
    pub(super) async fn refused_by_limit(&self, limit: Limit, request: &Request<'_>) -> Option<Reply> {
        let limits = self.platform.limits();
        let network = Network::of(request.ip_address).filter(|_| limits.has(limit))?;
        match limits.allows(limit, &network.to_string()).await {
            Ok(true) => None,
            Ok(false) => Some(
                Reply::error(ApiError::TooManyRequests, "limited").with_detail(limit.binding().to_owned()),
            ),
            Err(error) => {
                self.log_limit_problem(limit, &error.to_string());
                None
            }
        }
    }

    /// Whether a read that needs no token has to be counted before it is answered.
    pub(super) fn counts_reads(&self, request: &Request<'_>) -> bool {
        !request.ip_address.is_empty() && self.platform.limits().has(Limit::AnonymousRead)
    }
}
