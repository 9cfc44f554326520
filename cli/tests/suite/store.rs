//! Destinations (a KV namespace through a fake of Cloudflare's API, a directory), leases, versions, and garbage
//! collection.

mod destinations;
mod kv;
mod leases;
mod versions;
