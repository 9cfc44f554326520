//! Which `seq` a publish has, and which count of the origin's it stands for. Neither falls: an edge does not
//! accept an older version than it has, and an export that is older than what is published would undo changes.

use admit_snapshot::{head::Head, time::UnixSecs};
use anyhow::{Result, bail};

/// Where a `seq` comes from.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// `--seq`.
    pub asked: Option<u64>,
    /// The `snapshot` line.
    pub from_file: Option<u64>,
    /// When the data was true.
    pub as_of: UnixSecs,
}

/// What a head says of where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seq {
    /// The version.
    pub version: u64,
    /// The origin's count of changes; [`NO_COUNT`] if nobody said it.
    pub origin: u64,
}

/// What a version stands for that was published without the origin's count. A number that was made up would
/// pass for the origin's one day, and changes would be taken for published.
pub const NO_COUNT: u64 = 0;

impl Seq {
    /// Writes it into a head.
    #[must_use]
    pub fn of(self, head: Head) -> Head {
        Head { seq: self.version, origin_seq: (self.origin != self.version).then_some(self.origin), ..head }
    }

    /// What comes after `published` and stands for the origin's count `origin`.
    #[must_use]
    pub fn after(published: &Head, origin: u64) -> Self {
        // As a rule the version is the origin's count; after a rollback it has run ahead.
        Self { version: origin.max(published.seq.saturating_add(1)), origin }
    }
}

/// The `seq` to publish the whole under.
///
/// # Errors
/// It would not come after the published one.
pub fn choose(wanted: Wanted, published: Option<&Head>) -> Result<Seq> {
    let Wanted { asked, from_file, as_of } = wanted;
    let Some(origin) = asked.or(from_file) else {
        let version = published.map_or(1, |published| published.seq.saturating_add(1));
        return Ok(Seq { version, origin: NO_COUNT });
    };
    let Some(published) = published else { return Ok(Seq { version: origin, origin }) };
    let says = if asked.is_some() { "--seq" } else { "the snapshot line" };
    let reflected = published.origin_seq();
    if origin < reflected {
        bail!(
            "{says} says {origin}, but what is published reflects the origin's change {reflected} already: an \
             older export would undo changes. If it comes from a cache or a replica, wait until it has caught up"
        );
    }
    if origin > reflected || published.seq > reflected {
        return Ok(Seq::after(published, origin));
    }
    // The same again, such as after a mistake in the export: later, so that edges take it.
    if as_of <= published.as_of {
        bail!(
            "seq {origin} is published already, as of {}; to publish it again, as_of must be later, and it is {as_of}",
            published.as_of
        );
    }
    Ok(Seq { version: published.seq, origin })
}

#[cfg(test)]
mod tests {
    use admit_snapshot::object::Digest;

    use super::*;

    fn head(seq: u64, as_of: UnixSecs) -> Head {
        let digest = Digest([0; 32]);
        Head::new(seq, as_of, digest, digest)
    }

    const fn wanted(asked: Option<u64>, from_file: Option<u64>) -> Wanted {
        Wanted { asked, from_file, as_of: 100 }
    }

    const fn same(seq: u64) -> Seq {
        Seq { version: seq, origin: seq }
    }

    #[test]
    fn the_option_comes_before_the_file_and_the_file_before_counting() {
        assert_eq!(choose(wanted(None, None), None).unwrap(), Seq { version: 1, origin: NO_COUNT });
        let uncounted = Seq { version: 8, origin: NO_COUNT };
        assert_eq!(choose(wanted(None, None), Some(&head(7, 50))).unwrap(), uncounted);
        // Whatever the origin's count is, it can be followed from there.
        let published = uncounted.of(head(7, 50));
        assert_eq!(choose(wanted(None, Some(3)), Some(&published)).unwrap(), Seq { version: 9, origin: 3 });
        assert_eq!(choose(wanted(None, Some(20)), Some(&head(7, 50))).unwrap(), same(20));
        assert_eq!(choose(wanted(Some(30), Some(20)), Some(&head(7, 50))).unwrap(), same(30));
        assert_eq!(choose(wanted(None, Some(20)), None).unwrap(), same(20));
    }

    #[test]
    fn it_never_falls_and_the_same_again_must_be_later() {
        let error = choose(wanted(None, Some(6)), Some(&head(7, 50))).unwrap_err().to_string();
        assert!(
            error.contains("the snapshot line says 6, but what is published reflects the origin's change 7"),
            "{error}"
        );
        let error = choose(wanted(Some(7), None), Some(&head(7, 100))).unwrap_err().to_string();
        assert!(error.contains("as_of must be later"), "{error}");
        assert_eq!(choose(wanted(Some(7), None), Some(&head(7, 99))).unwrap(), same(7));
    }

    /// Rolled back to what the origin's change 3 left, under version 9: the origin goes on from where it is.
    #[test]
    fn after_a_rollback_the_version_runs_ahead_of_the_origin() {
        let published = Head { origin_seq: Some(3), ..head(9, 50) };
        let error = choose(wanted(None, Some(2)), Some(&published)).unwrap_err().to_string();
        assert!(error.contains("says 2, but what is published reflects the origin's change 3"), "{error}");
        for (origin, version) in [(3, 10), (8, 10), (9, 10), (11, 11)] {
            let seq = choose(wanted(None, Some(origin)), Some(&published)).unwrap();
            assert_eq!(seq, Seq { version, origin });
            let next = seq.of(published.clone());
            assert_eq!((next.seq, next.origin_seq()), (version, origin));
            assert_eq!(next.origin_seq.is_none(), version == origin);
        }
        assert_eq!(Seq::after(&published, 4), Seq { version: 10, origin: 4 });
    }
}
