//! What an edge does when its store, its publisher's head or an issuer's keys are not as they should be.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says why")]

mod audit;
mod budget;
mod confirm;
mod denylist;
mod edge;
mod evidence;
mod forward;
mod freshness;
mod head;
mod keys;
mod lanes;
mod lease;
mod limited;
mod log;
mod measured;
mod min_seq;
mod objects;
mod origin;
mod publisher;
mod refusals;
mod refused_requests;
mod repeat;
mod rights;
mod strangers;
mod unconfirmed;
mod verdicts;
mod written;
