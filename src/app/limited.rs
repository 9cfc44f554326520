//! Limits by address: the platform counts a stranger's request before it costs anything.

use std::cell::RefCell;

use super::{
    Event, ServiceReason,
    problems::{Problem, Problems},
};
use crate::{
    api::{
        error::ApiError,
        reply::{Reply, Request},
        viewer::Network,
    },
    ports::{Limit, Platform, RateLimits as _},
};

/// The limits, and the problems of the platform that counts.
#[derive(Debug, Default)]
pub(super) struct AddressLimits {
    problems: RefCell<Problems>,
}

impl AddressLimits {
    /// Counts a request by its address. A request of an unknown address is not limited, and neither is any other while
    /// the platform does not answer.
    ///
    /// # Errors
    /// With the refusal of one request too many.
    pub async fn count<P: Platform>(
        &self,
        limit: Limit,
        request: &Request<'_>,
        platform: &P,
    ) -> Result<(), Reply> {
        let limits = platform.limits();
        let Some(network) = Network::of(request.ip_address).filter(|_| limits.has(limit)) else {
            return Ok(());
        };
        match limits.allows(limit, &network.to_string()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Reply::error(ApiError::TooManyRequests, ServiceReason::Limited.code())
                .with_detail(limit.binding().to_owned())),
            Err(error) => {
                self.log_problem(limit, &error.to_string(), platform);
                Ok(())
            }
        }
    }

    /// Whether reads without a token are counted before they are answered.
    pub fn counts_reads<P: Platform>(request: &Request<'_>, platform: &P) -> bool {
        !request.ip_address.is_empty() && platform.limits().has(Limit::AnonymousRead)
    }

    /// Logs that requests cannot be counted, the first time at once and repetitions as a count.
    fn log_problem<P: Platform>(&self, limit: Limit, problem: &str, platform: &P) {
        let binding = limit.binding();
        let known = Problem::new(binding, String::new());
        if let Some(times) = self.problems.borrow_mut().count(&known, platform.now_ms()) {
            Event::Limit { binding, problem, times }.log(platform.log());
        }
    }
}
