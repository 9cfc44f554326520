//! How an edge behaves when its store, its head, its issuers' keys or its origin misbehave. `edge.rs` and
//! `origin.rs` set the scene; each other module is about one part.

mod audit;
mod authzen;
mod budget;
mod calls;
mod confirm;
mod denylist;
mod edge;
mod evidence;
mod external_ids;
mod forward;
mod freshness;
mod head;
mod keys;
mod lanes;
mod lease;
mod limited;
mod log;
mod many;
mod measured;
mod min_seq;
mod objects;
mod origin;
mod pass_through;
mod playback;
mod publisher;
mod refusals;
mod refused_requests;
mod repeat;
mod rights;
mod strangers;
mod unconfirmed;
mod verdicts;
mod versions;
mod written;
