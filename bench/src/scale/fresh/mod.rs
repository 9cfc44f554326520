//! The fresh lane: how long a revocation takes, how long a check waits for its head, and what the lane costs.
//!
//! The lane is a Durable Object with the newest head, behind a cache in every point of presence that is purged when
//! something was taken away. [`assume`] has its numbers. [`revoked`] follows single revocations through isolates and caches,
//! with the limit on purges of [`purges`]. [`waits`] says how long checks wait, [`price`] what the lane costs, and
//! [`tables`] fills the results into `docs/scale.md`. [`bounds`] adds the limits up for `docs/freshness.md`.

pub mod assume;
pub mod bounds;
mod price;
mod purges;
mod revoked;
pub mod tables;
mod waits;
