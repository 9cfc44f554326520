//! The Worker in workerd: the suite itself, and tests that need a runtime. Run by `cargo xtask test`.

mod bodies;
mod console;
mod edge;
mod fresh;
mod keys;
mod known;
mod origin;
mod pass_through;
mod playback;
mod points;
mod recovery;
mod reference;
mod rpc;
mod suite;
