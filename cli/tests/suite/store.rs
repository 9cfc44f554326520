//! The destinations of the built command: a KV namespace through a stand-in for Cloudflare's API, and a
//! directory; the lease; versions; the collection of garbage.

mod destinations;
mod kv;
mod leases;
mod versions;
