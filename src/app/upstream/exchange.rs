//! One request to the upstream.

use futures_util::{FutureExt as _, future::LocalBoxFuture};

use super::UpstreamTraffic;
use crate::{
    api::reply::Request,
    app::{Event, library::Library, limited::AddressLimits, problems::Problem},
    config::UpstreamConfig,
    limits::UPSTREAM_RETRY_MS,
    ports::{Platform, Upstream, UpstreamAnswer, UpstreamBody, UpstreamError, UpstreamRequest},
};

/// The stream of a platform's request bodies.
pub(in crate::app) type StreamOf<P> = <<P as Platform>::Upstream as Upstream>::Stream;

/// A client's request that the upstream takes part in.
pub(in crate::app) struct Exchange<'a, P: Platform> {
    pub platform: &'a P,
    pub config: &'a UpstreamConfig,
    pub upstream: &'a UpstreamTraffic,
    /// Learns how many changes the upstream has committed.
    pub library: &'a Library<P::Verifier>,
    pub limits: &'a AddressLimits,
    pub request: &'a Request<'a>,
    /// Names the request in the logs of both sides.
    pub request_id: &'a str,
}

impl<P: Platform> Exchange<'_, P> {
    /// Sends a request; with a second body, once more if the connection broke early enough.
    pub(super) fn send<'s>(
        &'s self,
        mut request: UpstreamRequest<'s>,
        first: UpstreamBody<'s, StreamOf<P>>,
        second: Option<UpstreamBody<'s, StreamOf<P>>>,
    ) -> LocalBoxFuture<'s, Result<UpstreamAnswer, UpstreamError>> {
        async move {
            let start_ms = self.platform.now_ms();
            let answer = self.platform.upstream().send(&request, first).await;
            let spent_ms = self.platform.now_ms().saturating_sub(start_ms);
            let broke = matches!(answer, Err(UpstreamError::Broken(_) | UpstreamError::Unreachable(_)));
            let (true, Some(second)) = (broke && spent_ms < request.timeout_ms / 2, second) else {
                return answer;
            };
            let jitter_ms = self.platform.entropy().random().first().copied().unwrap_or_default();
            self.platform.sleep(UPSTREAM_RETRY_MS + u64::from(jitter_ms)).await;
            let spent_ms = self.platform.now_ms().saturating_sub(start_ms);
            request.timeout_ms = request.timeout_ms.saturating_sub(spent_ms).max(1);
            self.platform.upstream().send(&request, second).await
        }
        .boxed_local()
    }

    /// Logs problems of an answer. A problem of the same kind as one of a moment ago is only counted.
    pub(super) fn log_problems(&self, problems: impl Iterator<Item = Problem>) {
        for problem in problems {
            let times = self.upstream.write().problems.count(&problem, self.platform.now_ms());
            if let Some(times) = times {
                let event = Event::Upstream { request_id: self.request_id, problem: &problem.text, times };
                event.log(self.platform.log());
            }
        }
    }
}
