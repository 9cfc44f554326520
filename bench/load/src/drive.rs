//! Slices in rotation: each subject has its turn in every round, and another one begins each round.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use mio::{Events, Interest, Poll, Token};

use crate::{
    connection::Connection,
    cpu,
    plan::{self, Measured, Order, Plan, Request, Subject},
    stats::{index_float, quantile, ratio},
};

/// A subject that does not answer for so long hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// workerd closes what has been idle for 5 s.
const IDLE_LIMIT: Duration = Duration::from_secs(2);

/// A subject with its connections.
struct Driven<'a> {
    subject: &'a Subject,
    connections: Vec<Connection>,
    poll: Poll,
    used: Instant,
    next: usize,
    random: u64,
    /// Answers a second and CPU nanoseconds for an answer, by round; none where it had no turn.
    slices: Vec<Option<Slice>>,
    micros: Vec<f64>,
    by_status: BTreeMap<u16, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    requests: usize,
    per_second: f64,
    cpu_micros: Option<f64>,
}

/// Drives all subjects.
///
/// # Errors
/// A subject cannot be reached, hangs, or gives a wrong answer.
pub fn run(plan: &Plan) -> Result<Vec<Measured>> {
    let requests = plan::requests(plan)?;
    let mut driven =
        plan.subjects.iter().map(|subject| Driven::new(subject, plan)).collect::<Result<Vec<_>>>()?;
    let count = driven.len();
    for round in 0..plan.warm_up + plan.rounds {
        for turn in 0..count {
            let Some(driven) = driven.get_mut((round + turn) % count) else { continue };
            let name = &driven.subject.name;
            let at_least = if round == 0 && plan.warm_up > 0 { plan.warm_up_requests } else { 0 };
            let slice = driven.slice(plan, &requests, at_least).with_context(|| format!("subject {name}"))?;
            if round >= plan.warm_up {
                driven.slices.push(slice);
            } else {
                driven.micros.clear();
                driven.by_status.clear();
            }
        }
    }
    let Some(base) = driven.first().map(|base| base.slices.clone()) else { bail!("no subjects") };
    Ok(driven.into_iter().map(|driven| driven.measured(&base)).collect())
}

impl<'a> Driven<'a> {
    fn new(subject: &'a Subject, plan: &Plan) -> Result<Self> {
        let (connections, poll) = connect(subject, plan)?;
        Ok(Self {
            subject,
            connections,
            poll,
            used: now(),
            next: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            slices: Vec::new(),
            micros: Vec::new(),
            by_status: BTreeMap::new(),
        })
    }

    /// One turn, of `at_least` so many requests; `None` when the list has ended.
    fn slice(&mut self, plan: &Plan, requests: &[Request], at_least: usize) -> Result<Option<Slice>> {
        if self.used.elapsed() > IDLE_LIMIT {
            (self.connections, self.poll) = connect(self.subject, plan)?;
        }
        let slice = self.drive(plan, requests, at_least);
        self.used = now();
        slice
    }

    fn drive(&mut self, plan: &Plan, requests: &[Request], at_least: usize) -> Result<Option<Slice>> {
        let length = Duration::from_millis(plan.slice_ms);
        let cpu_before = cpu::nanos(plan.pid);
        let start = now();
        let mut under_way: Vec<Option<(usize, Instant)>> = vec![None; self.connections.len()];
        let mut open = 0;
        for (connection, slot) in under_way.iter_mut().enumerate() {
            let Some(request) = self.take(plan.order, requests) else { break };
            *slot = Some((request, now()));
            self.send(connection, requests, request)?;
            open += 1;
        }
        let mut answered = 0;
        let mut events = Events::with_capacity(self.connections.len());
        while open > 0 {
            self.poll.poll(&mut events, Some(ANSWER_LIMIT))?;
            if events.is_empty() {
                bail!("no answer for {} s", ANSWER_LIMIT.as_secs());
            }
            for event in &events {
                let Token(index) = event.token();
                let (Some(connection), Some(slot)) =
                    (self.connections.get_mut(index), under_way.get_mut(index))
                else {
                    continue;
                };
                connection.flush()?;
                let Some((request, since)) = *slot else { continue };
                let Some(answer) = connection.receive()? else { continue };
                let end = now();
                self.micros.push((end - since).as_secs_f64() * 1e6);
                answered += 1;
                let Some(expected) = requests.get(request) else { continue };
                self.subject.check(expected, answer.status, &answer.body)?;
                *self.by_status.entry(expected.status).or_default() += 1;
                *slot = None;
                open -= 1;
                if end - start >= length && answered + open >= at_least {
                    continue;
                }
                if let Some(request) = self.take(plan.order, requests) {
                    *slot = Some((request, now()));
                    self.send(index, requests, request)?;
                    open += 1;
                }
            }
        }
        if answered == 0 {
            return Ok(None);
        }
        let secs = start.elapsed().as_secs_f64();
        let cpu = cpu_before.zip(cpu::nanos(plan.pid)).map(|(before, after)| after.saturating_sub(before));
        let count = index_float(answered);
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a slice")]
        let cpu_micros = cpu.map(|nanos| nanos as f64 / 1e3 / count);
        Ok(Some(Slice { requests: answered, per_second: count / secs, cpu_micros }))
    }

    fn send(&mut self, connection: usize, requests: &[Request], request: usize) -> Result<()> {
        match (self.connections.get_mut(connection), requests.get(request)) {
            (Some(connection), Some(request)) => connection.send(&request.bytes),
            _ => Ok(()),
        }
    }

    /// The next request's place in the list.
    fn take(&mut self, order: Order, requests: &[Request]) -> Option<usize> {
        match order {
            Order::Cycle => {
                self.next = (self.next + 1) % requests.len();
                Some(self.next)
            }
            Order::Once => {
                self.next += 1;
                (self.next <= requests.len()).then_some(self.next - 1)
            }
            Order::Zipf => Some(self.zipf(requests.len())),
        }
    }

    /// A place that comes up as `1/(place + 1)` says: the exponential of a uniform number, near enough.
    fn zipf(&mut self, count: usize) -> usize {
        // xorshift64: the same requests for every subject.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
        let uniform = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to the count")]
        let place = (uniform * index_float(count + 1).ln()).exp() as usize;
        place.saturating_sub(1).min(count - 1)
    }

    fn measured(mut self, base: &[Option<Slice>]) -> Measured {
        let slices: Vec<_> = self.slices.iter().flatten().copied().collect();
        let pairs = || self.slices.iter().zip(base).filter_map(|(slice, base)| Some(((*slice)?, (*base)?)));
        let rate_ratio = ratio(pairs().map(|(slice, base)| slice.per_second / base.per_second).collect());
        let cpu_ratio =
            ratio(pairs().filter_map(|(slice, base)| Some(base.cpu_micros? / slice.cpu_micros?)).collect());
        let mut rates: Vec<_> = slices.iter().map(|slice| slice.per_second).collect();
        let mut cpu: Vec<_> = slices.iter().filter_map(|slice| slice.cpu_micros).collect();
        Measured {
            name: self.subject.name.clone(),
            requests: slices.iter().map(|slice| slice.requests as u64).sum(),
            by_status: self.by_status,
            per_second: quantile(&mut rates, 0.5),
            cpu_micros: (!cpu.is_empty()).then(|| quantile(&mut cpu, 0.5)),
            p50_micros: quantile(&mut self.micros, 0.5),
            p99_micros: quantile(&mut self.micros, 0.99),
            rate_ratio,
            cpu_ratio,
        }
    }
}

fn connect(subject: &Subject, plan: &Plan) -> Result<(Vec<Connection>, Poll)> {
    let poll = Poll::new()?;
    let mut connections = Vec::new();
    for index in 0..plan.connections {
        let mut connection = Connection::open(subject.port)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut connection.stream, Token(index), interest)?;
        connections.push(connection);
    }
    Ok((connections, poll))
}

impl Subject {
    /// A wrong answer is often a fast one, and no speed.
    fn check(&self, expected: &Request, status: u16, body: &[u8]) -> Result<()> {
        let (wanted_status, wanted) = match &self.fixed_body {
            Some(fixed) => (200, fixed.as_bytes()),
            None => (expected.status, expected.body.as_slice()),
        };
        if status == wanted_status && body == wanted {
            return Ok(());
        }
        bail!(
            "expected {wanted_status} {}\nbut the answer is {status} {}\nto {}",
            String::from_utf8_lossy(wanted),
            String::from_utf8_lossy(body),
            String::from_utf8_lossy(&expected.bytes)
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> Instant {
    Instant::now()
}
