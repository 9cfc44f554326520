//! Load for Workers that run side by side in one workerd, in short slices of equal share, every answer checked. One
//! thread: a second core is workerd's.
//!
//! Slices rotate: each subject has its turn in every round, and another one begins each round.

use std::{
    collections::BTreeMap,
    fs,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use mio::{Events, Interest, Poll, Token};

use super::{
    connection::Connection,
    measured::{Measured, Ratio, quantile},
    requests::{Request, is_right},
};

/// Kept-alive connections to each subject.
const CONNECTIONS: usize = 16;

/// A subject that does not answer for this long hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// workerd closes connections after 5 s without a request.
const IDLE_LIMIT: Duration = Duration::from_secs(2);

/// How requests are taken from the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the first to the last, and again.
    Cycle,
    /// Each once for every subject: a scenario ends when the list does.
    Once,
    /// The popular ones more often: the n-th as often as `1/n` says (Zipf with exponent 1).
    Zipf,
}

/// How subjects are driven.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The process of all subjects, whose CPU time is counted.
    pub pid: u32,
    /// How long a subject is driven at a time.
    pub slice: Duration,
    /// How often each subject has its turn.
    pub rounds: u64,
    /// How many rounds before these are thrown away.
    pub warm_up: u64,
    /// Fewest requests of the first of those rounds, for each subject.
    pub warm_up_requests: u64,
    /// The order of requests.
    pub order: Order,
}

#[derive(Clone, Debug)]
pub struct Driven {
    pub name: String,
    /// Where it answers, on this machine.
    pub port: u16,
    /// The requests that it gets.
    pub requests: Rc<[Request]>,
    /// Its answer to everything, with status 200; `None` if it answers as the list says.
    pub fixed_body: Option<String>,
}

/// Drives all subjects; the first is the base of ratios.
pub fn run(plan: &Plan, subjects: &[Driven]) -> Result<Vec<Measured>> {
    let mut drivers =
        subjects.iter().map(|subject| Driver::new(subject, plan)).collect::<Result<Vec<_>>>()?;
    let count = drivers.len();
    for round in 0..plan.warm_up + plan.rounds {
        for turn in 0..count {
            let Some(driver) = drivers.get_mut((round as usize + turn) % count) else { continue };
            let at_least = if round == 0 && plan.warm_up > 0 { plan.warm_up_requests } else { 0 };
            let slice = driver.slice(at_least).with_context(|| format!("subject {}", driver.subject.name))?;
            if round >= plan.warm_up {
                driver.slices.push(slice);
            } else {
                driver.micros.clear();
                driver.by_status.clear();
            }
        }
    }
    let base = drivers.first().map(|base| base.slices.clone()).context("no subjects")?;
    Ok(drivers.into_iter().map(|driver| driver.measured(&base)).collect())
}

/// A subject with its connections.
struct Driver<'a> {
    plan: &'a Plan,
    subject: &'a Driven,
    connections: Vec<Connection>,
    poll: Poll,
    used: Instant,
    next: usize,
    random: u64,
    /// By round; `None` where the list had ended.
    slices: Vec<Option<Slice>>,
    micros: Vec<f64>,
    by_status: BTreeMap<u16, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    requests: u64,
    per_second: f64,
    cpu_micros: Option<f64>,
}

impl<'a> Driver<'a> {
    fn new(subject: &'a Driven, plan: &'a Plan) -> Result<Self> {
        let (connections, poll) = connect(subject.port)?;
        let random = 0x9e37_79b9_7f4a_7c15;
        let (slices, micros, by_status) = Default::default();
        Ok(Self { plan, subject, connections, poll, used: now(), next: 0, random, slices, micros, by_status })
    }

    /// One turn, of `at_least` this number of requests; `None` when the list has ended.
    fn slice(&mut self, at_least: u64) -> Result<Option<Slice>> {
        if self.used.elapsed() > IDLE_LIMIT {
            (self.connections, self.poll) = connect(self.subject.port)?;
        }
        let slice = self.drive(at_least);
        self.used = now();
        slice
    }

    fn drive(&mut self, at_least: u64) -> Result<Option<Slice>> {
        let requests = &*self.subject.requests;
        let cpu_before = cpu_nanos(self.plan.pid);
        let start = now();
        // The request under way on each connection, and since when.
        let mut under_way: Vec<Option<(usize, Instant)>> = vec![None; self.connections.len()];
        let (mut open, mut answered) = (0, 0);
        for (connection, slot) in under_way.iter_mut().enumerate() {
            if self.begin(connection, slot, requests)? {
                open += 1;
            }
        }
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
                let is_over = end - start >= self.plan.slice && answered + open >= at_least;
                if !is_over && self.begin(index, slot, requests)? {
                    open += 1;
                }
            }
        }
        if answered == 0 {
            return Ok(None);
        }
        let secs = start.elapsed().as_secs_f64();
        let cpu =
            cpu_before.zip(cpu_nanos(self.plan.pid)).map(|(before, after)| after.saturating_sub(before));
        let cpu_micros = cpu.map(|nanos| nanos as f64 / 1e3 / answered as f64);
        Ok(Some(Slice { requests: answered, per_second: answered as f64 / secs, cpu_micros }))
    }

    /// Sends the next request of the list; says whether there is one.
    fn begin(
        &mut self,
        connection: usize,
        slot: &mut Option<(usize, Instant)>,
        requests: &[Request],
    ) -> Result<bool> {
        let Some(next) = self.take(requests.len()) else { return Ok(false) };
        *slot = Some((next, now()));
        if let (Some(connection), Some(request)) = (self.connections.get_mut(connection), requests.get(next))
        {
            connection.send(&request.bytes)?;
        }
        Ok(true)
    }

    /// The next request's place in the list.
    fn take(&mut self, count: usize) -> Option<usize> {
        match self.plan.order {
            Order::Cycle => {
                self.next = (self.next + 1) % count;
                Some(self.next)
            }
            Order::Once => {
                self.next += 1;
                (self.next <= count).then_some(self.next - 1)
            }
            Order::Zipf => Some(self.zipf(count)),
        }
    }

    /// A place that comes up as `1/(place + 1)` says: the exponential of a uniform number, near enough.
    fn zipf(&mut self, count: usize) -> usize {
        // xorshift64: the same requests for every subject.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let uniform = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        let place = (uniform * ((count + 1) as f64).ln()).exp() as usize;
        place.saturating_sub(1).min(count - 1)
    }

    fn measured(mut self, base: &[Option<Slice>]) -> Measured {
        let slices: Vec<_> = self.slices.iter().flatten().copied().collect();
        let pairs = || self.slices.iter().zip(base).filter_map(|(slice, base)| Some(((*slice)?, (*base)?)));
        let cpu_ratio = |(slice, base): (Slice, Slice)| Some(base.cpu_micros? / slice.cpu_micros?);
        let (rate_ratio, cpu_ratio) = (
            Ratio::of(pairs().map(|(slice, base)| slice.per_second / base.per_second).collect()),
            Ratio::of(pairs().filter_map(cpu_ratio).collect()),
        );
        let mut rates: Vec<_> = slices.iter().map(|slice| slice.per_second).collect();
        let mut cpu: Vec<_> = slices.iter().filter_map(|slice| slice.cpu_micros).collect();
        Measured {
            name: self.subject.name.clone(),
            requests: slices.iter().map(|slice| slice.requests).sum(),
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

fn connect(port: u16) -> Result<(Vec<Connection>, Poll)> {
    let poll = Poll::new()?;
    let mut connections = Vec::new();
    for index in 0..CONNECTIONS {
        let mut connection = Connection::open(port)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut connection.stream, Token(index), interest)?;
        connections.push(connection);
    }
    Ok((connections, poll))
}

impl Driven {
    /// Fails on a wrong answer: those are often the fastest.
    fn check(&self, expected: &Request, status: u16, body: &[u8]) -> Result<()> {
        let (wanted_status, wanted) = match &self.fixed_body {
            Some(fixed) => (200, fixed.as_bytes()),
            None => (expected.status, expected.body.as_slice()),
        };
        if status == wanted_status && is_right(wanted, body) {
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

/// CPU time of all threads of a process, by the kernel's own account; `None` without one. `stat`
/// counts in ticks of 10 ms, too coarse for a slice.
fn cpu_nanos(pid: u32) -> Option<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // A thread may have ended meanwhile.
        let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        sum += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(sum)
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> Instant {
    Instant::now()
}
