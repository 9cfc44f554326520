//! The Worker in workerd: the suite itself, and what only a runtime can show. `cargo xtask test` runs these.

mod bodies;
mod edge;
mod kept;
mod keys;
mod origin;
mod recovery;
mod reference;
mod suite;
