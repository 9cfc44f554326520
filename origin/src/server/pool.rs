//! A pool of threads that answer requests; a request waits for the first free thread.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
};

use anyhow::{Result, anyhow};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    db::{DbError, changes::Feed},
    metrics::PoolMetrics,
    request::Incoming,
    service::{Delivery, Engine},
    state::Shared,
};

struct Job {
    task: Task,
    arrived_at: Instant,
}

enum Task {
    Answer(Box<Incoming>, oneshot::Sender<Delivery>),
    Changes(u64, oneshot::Sender<Result<Feed, DbError>>),
    /// Occupies a thread until the other end of the gate is dropped. Signals first that the thread is
    /// occupied.
    #[cfg(test)]
    Stuck(mpsc::Sender<()>, Receiver<()>),
}

/// A pool of threads, which end when the pool is dropped.
#[derive(Clone, Debug)]
pub struct Pool {
    jobs: SyncSender<Job>,
    metrics: PoolMetrics,
}

/// The queue is full, or the threads have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

impl Pool {
    /// Starts `threads` threads called `name`, with room for `queue_max` waiting requests.
    ///
    /// # Errors
    /// If a thread cannot open the database.
    pub fn start(shared: &Arc<Shared>, name: &str, threads: usize, queue_max: usize) -> Result<Self> {
        let (jobs, receiver) = mpsc::sync_channel(queue_max);
        let receiver = Arc::new(Mutex::new(receiver));
        let metrics = shared.metrics.pool(name, threads);
        for number in 0..threads {
            let (shared, receiver, metrics) = (Arc::clone(shared), Arc::clone(&receiver), metrics.clone());
            // Each thread reports whether its engine could be made, so that a broken database is an error of
            // `start`.
            let (ready, is_ready) = mpsc::channel();
            thread::Builder::new().name(format!("{name}-{number}")).spawn(move || {
                // An engine is not `Send`: it is made on the thread that uses it.
                match Engine::new(shared) {
                    Ok(engine) => {
                        let _ = ready.send(Ok(()));
                        work(engine, &receiver, &metrics);
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            })?;
            is_ready.recv().map_err(|_| anyhow!("a thread ended at its start"))??;
        }
        Ok(Self { jobs, metrics })
    }

    /// Answers a request on a thread of the pool.
    ///
    /// # Errors
    /// If the queue is full.
    pub async fn answer(&self, incoming: Incoming) -> Result<Delivery, Overloaded> {
        let (sender, answer) = oneshot::channel();
        self.send(Task::Answer(Box::new(incoming), sender))?;
        answer.await.map_err(|_| Overloaded)
    }

    /// Reads the changes after `after` on a thread of the pool.
    ///
    /// # Errors
    /// If the queue is full.
    pub async fn changes(&self, after: u64) -> Result<Result<Feed, DbError>, Overloaded> {
        let (sender, answer) = oneshot::channel();
        self.send(Task::Changes(after, sender))?;
        answer.await.map_err(|_| Overloaded)
    }

    /// Occupies all `threads` threads and fills the queue, until the returned gates are dropped.
    #[cfg(test)]
    pub fn stick(&self, threads: usize) -> Vec<mpsc::Sender<()>> {
        let stuck = || {
            let ((ready, is_ready), (gate, opened)) = (mpsc::channel(), mpsc::channel());
            self.send(Task::Stuck(ready, opened)).map(|()| (gate, is_ready))
        };
        // Requests that came before may have to be answered first.
        let taken = (0..threads).map(|_| {
            loop {
                match stuck() {
                    Ok(taken) => break taken,
                    Err(Overloaded) => thread::yield_now(),
                }
            }
        });
        let taken: Vec<_> = taken.collect();
        let mut gates = Vec::new();
        for (gate, is_ready) in taken {
            is_ready.recv().unwrap();
            gates.push(gate);
        }
        // Fills the queue: no thread takes a job now.
        while let Ok((gate, _)) = stuck() {
            gates.push(gate);
        }
        gates
    }

    fn send(&self, task: Task) -> Result<(), Overloaded> {
        // Before the job can be taken, so that the gauge does not go below 0.
        self.metrics.queued.inc();
        // Never waits: a full queue is answered with 503 at once.
        self.jobs.try_send(Job { task, arrived_at: Instant::now() }).map_err(|error| {
            self.metrics.queued.dec();
            self.metrics.overloaded.inc();
            match error {
                TrySendError::Full(_) | TrySendError::Disconnected(_) => Overloaded,
            }
        })
    }
}

fn work(mut engine: Engine, jobs: &Mutex<Receiver<Job>>, metrics: &PoolMetrics) {
    loop {
        // One thread at a time holds the lock while it waits for a job; the others wait for the lock.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        // All senders are gone: the pool was dropped.
        let Ok(Job { task, arrived_at }) = job else { return };
        metrics.queued.dec();
        metrics.wait.observe(arrived_at.elapsed().as_secs_f64());
        metrics.busy.inc();
        match task {
            // The client may have gone; a write is made all the same, and the send fails harmlessly.
            Task::Answer(incoming, answer) => {
                drop(answer.send(engine.answer(&incoming)));
                // After the answer has gone out, so that the client does not wait for it.
                engine.settle(&incoming);
            }
            Task::Changes(after, answer) => drop(answer.send(engine.changes(after))),
            #[cfg(test)]
            Task::Stuck(ready, gate) => {
                let _ = ready.send(());
                let _ = gate.recv();
            }
        }
        metrics.busy.dec();
    }
}
