//! An origin in memory that fails on demand.

use std::cell::{Cell, RefCell};

use admit::ports::{Upstream, UpstreamAnswer, UpstreamBody, UpstreamError, UpstreamRequest};

use super::{MemoryBody, MemoryClock, yield_once};

/// A fault of the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginFault {
    /// Connections are refused.
    Refuses,
    /// The connection breaks before the origin has read the request.
    BreaksBefore,
    /// The connection breaks after the origin has done the request.
    BreaksAfter,
    /// The origin does the request and never answers.
    HangsAfter,
    /// The answer is longer than allowed; the request was done.
    TooLong,
    /// The future never ends, as if the client had gone.
    Never,
}

/// A request as the origin got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenRequest {
    /// In capitals.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// All headers.
    pub headers: Vec<(&'static str, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl SeenRequest {
    /// The value of a header, or an empty string.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

type Service = Box<dyn Fn(&SeenRequest) -> UpstreamAnswer>;

/// An origin in memory. It answers as it is told, counts the requests that it has done, and recognises
/// idempotency keys.
#[derive(Default)]
pub struct MemoryOrigin {
    clock: MemoryClock,
    service: RefCell<Option<Service>>,
    faults: RefCell<Vec<(OriginFault, u32)>>,
    seen: RefCell<Vec<SeenRequest>>,
    done: RefCell<Vec<SeenRequest>>,
    keys: RefCell<Vec<(String, UpstreamAnswer)>>,
    latency_ms: Cell<u64>,
}

impl std::fmt::Debug for MemoryOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryOrigin").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl MemoryOrigin {
    /// An origin with the clock `clock`. It cannot be reached until it is told how to answer.
    #[must_use]
    pub fn new(clock: MemoryClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Answers with `service` from now on.
    pub fn serve(&self, service: impl Fn(&SeenRequest) -> UpstreamAnswer + 'static) {
        *self.service.borrow_mut() = Some(Box::new(service));
    }

    /// Applies `fault` to the next `times` requests.
    pub fn break_times(&self, fault: OriginFault, times: u32) {
        self.faults.borrow_mut().push((fault, times));
    }

    /// Ends all faults.
    pub fn mend(&self) {
        self.faults.borrow_mut().clear();
    }

    /// Sets how far each request advances the clock.
    pub fn set_latency_ms(&self, latency_ms: u64) {
        self.latency_ms.set(latency_ms);
    }

    /// Every request that arrived.
    #[must_use]
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.seen.borrow().clone()
    }

    /// Every request that was done, in order. A write with a known idempotency key is not done again.
    #[must_use]
    pub fn done(&self) -> Vec<SeenRequest> {
        self.done.borrow().clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.seen.borrow_mut().clear();
        self.done.borrow_mut().clear();
    }

    fn fault(&self) -> Option<OriginFault> {
        let mut faults = self.faults.borrow_mut();
        let (fault, times) = faults.iter_mut().find(|(_, times)| *times > 0)?;
        *times -= 1;
        Some(*fault)
    }

    fn answer(&self, seen: SeenRequest) -> Option<UpstreamAnswer> {
        let key = seen.header("idempotency-key").to_owned();
        if let Some((_, answer)) =
            self.keys.borrow().iter().find(|(known, _)| !key.is_empty() && *known == key)
        {
            return Some(answer.clone());
        }
        let answer = self.service.borrow().as_ref().map(|service| service(&seen))?;
        self.done.borrow_mut().push(seen);
        if !key.is_empty() {
            self.keys.borrow_mut().push((key, answer.clone()));
        }
        Some(answer)
    }
}

impl Upstream for MemoryOrigin {
    type Stream = MemoryBody;

    async fn send(
        &self,
        request: &UpstreamRequest<'_>,
        body: UpstreamBody<'_, MemoryBody>,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let broken = |how: &str| UpstreamError::Broken(how.to_owned());
        let fault = self.fault();
        // Lets other futures run before the answer arrives.
        yield_once().await;
        self.clock.advance_ms(self.latency_ms.get());
        let (body, is_interrupted) = match body {
            UpstreamBody::Empty => (Vec::new(), false),
            UpstreamBody::Whole(bytes) => (bytes.to_vec(), false),
            UpstreamBody::Stream(MemoryBody { bytes, is_interrupted, .. }) => (bytes, is_interrupted),
        };
        match fault {
            Some(OriginFault::Refuses) => {
                return Err(UpstreamError::Unreachable("refused on cue".to_owned()));
            }
            Some(OriginFault::BreaksBefore) => return Err(broken("broken on cue")),
            Some(OriginFault::Never) => std::future::pending().await,
            _ => {}
        }
        let headers = request.headers.iter().map(|(name, value)| (*name, value.to_string()));
        let (method, url) = (request.method.to_owned(), request.url.to_owned());
        let seen = SeenRequest { method, url, headers: headers.collect(), body };
        self.seen.borrow_mut().push(seen.clone());
        if is_interrupted {
            return Err(broken("the body ended early"));
        }
        let mut answer =
            self.answer(seen).ok_or_else(|| UpstreamError::Unreachable("not started".to_owned()))?;
        answer.headers.retain(|(name, _)| request.answer_headers.contains(name));
        match fault {
            Some(OriginFault::BreaksAfter) => Err(broken("broken on cue")),
            Some(OriginFault::HangsAfter) => {
                self.clock.advance_ms(request.timeout_ms);
                Err(UpstreamError::TimedOut)
            }
            Some(OriginFault::TooLong) => Err(UpstreamError::TooLarge),
            _ if answer.body.len() > request.limit_bytes => Err(UpstreamError::TooLarge),
            _ if self.latency_ms.get() > request.timeout_ms => Err(UpstreamError::TimedOut),
            _ => Ok(answer),
        }
    }
}
