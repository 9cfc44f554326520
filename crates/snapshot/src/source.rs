//! Where a record was found.

/// Where a record of a version was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a shard.
    Shard,
    /// In the delta: it changed since the shards were written.
    Delta,
    /// In the directory, which has no records of its own.
    Directory,
}

impl Source {
    /// Its name in reports and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shard => "shard",
            Self::Delta => "delta",
            Self::Directory => "directory",
        }
    }
}
