//! Chooses the `seq` of a publish, and the origin's count that it stands for. Neither may fall: an edge does
//! not accept an older version than it has, and an export that is older than the published version would undo
//! changes.

use admit_snapshot::{head::Head, time::UnixSecs};
use anyhow::{Result, bail};

/// What a `seq` is chosen from.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// `--seq`.
    pub asked: Option<u64>,
    /// The `snapshot` line.
    pub from_file: Option<u64>,
    /// The time of the data.
    pub as_of: UnixSecs,
}

/// The numbers of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seq {
    /// The version.
    pub version: u64,
    /// The origin's count of changes; [`NO_COUNT`] if it is unknown.
    pub origin: u64,
}

/// The origin's count in a version that was published without one. A made-up number could later equal a real
/// count, and changes would count as published.
pub const NO_COUNT: u64 = 0;

impl Seq {
    /// Sets the numbers of a head.
    #[must_use]
    pub fn of(self, head: Head) -> Head {
        Head { seq: self.version, origin_seq: (self.origin != self.version).then_some(self.origin), ..head }
    }

    /// The numbers after `published`, with the origin's count `origin`.
    #[must_use]
    pub fn after(published: &Head, origin: u64) -> Self {
        // Usually the version is the origin's count. After a rollback it is larger.
        Self { version: origin.max(published.seq.saturating_add(1)), origin }
    }
}

/// Chooses the numbers of a full publish.
///
/// # Errors
/// The numbers would not come after the published ones.
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
            "{says} says {origin}, but the published version already reflects the origin's change {reflected}: an \
             older export would undo changes. If it comes from a cache or a replica, wait until it has caught up"
        );
    }
    if origin > reflected || published.seq > reflected {
        return Ok(Seq::after(published, origin));
    }
    // Publishing the same count again, for example after a mistake in the export, needs a later time, so that
    // edges accept it.
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
        // Any count of the origin can follow.
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
            error.contains(
                "the snapshot line says 6, but the published version already reflects the origin's change 7"
            ),
            "{error}"
        );
        let error = choose(wanted(Some(7), None), Some(&head(7, 100))).unwrap_err().to_string();
        assert!(error.contains("as_of must be later"), "{error}");
        assert_eq!(choose(wanted(Some(7), None), Some(&head(7, 99))).unwrap(), same(7));
    }

    /// After a rollback to the origin's change 3 under version 9, the origin continues with its own count.
    #[test]
    fn after_a_rollback_the_version_runs_ahead_of_the_origin() {
        let published = Head { origin_seq: Some(3), ..head(9, 50) };
        let error = choose(wanted(None, Some(2)), Some(&published)).unwrap_err().to_string();
        assert!(
            error.contains("says 2, but the published version already reflects the origin's change 3"),
            "{error}"
        );
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
