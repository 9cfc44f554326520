//! The version of the snapshot that answers, and the one before.

use std::rc::Rc;

use crate::snapshot::{head::Head, time::UnixSecs, version::Version};

/// The versions at hand.
#[derive(Debug, Default)]
pub struct Versions {
    current: Option<Rc<Version>>,
    /// The version before. It answers while objects of the current one cannot be read.
    previous: Option<Rc<Version>>,
    /// `seq` and `as_of` of the head whose denylist is in use. The objects that this head names may not be readable yet.
    denied_by: Option<(u64, UnixSecs)>,
    /// Where the head of the current version was read first.
    source: HeadSource,
    /// Counts the versions that took over.
    epoch: u32,
}

/// Where a head was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadSource {
    /// In the store.
    #[default]
    Store,
    /// In the fresh lane.
    Lane,
}

impl HeadSource {
    /// Its name in answers and log lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "kv",
            Self::Lane => "lane",
        }
    }
}

impl Versions {
    /// The newest version.
    #[must_use]
    pub const fn current(&self) -> Option<&Rc<Version>> {
        self.current.as_ref()
    }

    /// The versions that may answer, newest first.
    pub fn all(&self) -> impl Iterator<Item = Rc<Version>> + use<> {
        [self.current.clone(), self.previous.clone()].into_iter().flatten()
    }

    /// Where the head of the current version was read first.
    #[must_use]
    pub const fn source(&self) -> HeadSource {
        self.source
    }

    /// Changes with each version that takes over.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether a head's denylist counts from now on, which is so unless a later head's does.
    pub fn denies_by(&mut self, head: &Head) -> bool {
        let order = Some((head.seq, head.as_of));
        let is_latest = order >= self.denied_by;
        if is_latest {
            self.denied_by = order;
        }
        is_latest
    }

    /// A version was read. It takes over unless another refresh was quicker: with a newer one still, or with the same,
    /// which must not push out the version before.
    pub fn install(&mut self, version: Version, source: HeadSource) {
        let is_newer = |current: &Rc<Version>| {
            (version.head.seq, version.head.as_of) >= (current.head.seq, current.head.as_of)
                && version.head != current.head
        };
        if !self.current.as_ref().is_none_or(is_newer) {
            return;
        }
        self.source = source;
        if self.current.as_ref().is_some_and(|current| current.head.says_the_same(&version.head)) {
            // A head that was renewed: the version before stays at hand, and kept answers stay right.
            self.current = Some(Rc::new(version));
            return;
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.previous = self.current.replace(Rc::new(version));
    }
}
