//! Leases and heads in a directory, with a clock that is set.
