//! Which `seq` a publish has. It never falls: an edge does not accept an older snapshot than it has.

use admit::snapshot::{head::Head, time::UnixSecs};
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

/// The `seq` to publish under.
///
/// # Errors
/// It would not come after the published one.
pub fn choose(wanted: Wanted, published: Option<&Head>) -> Result<u64> {
    let Wanted { asked, from_file, as_of } = wanted;
    let seq = match (asked.or(from_file), published) {
        (Some(seq), _) => seq,
        (None, Some(published)) => published.seq.saturating_add(1),
        (None, None) => 1,
    };
    let Some(published) = published else { return Ok(seq) };
    let origin = if asked.is_some() { "--seq" } else { "the snapshot line" };
    if seq < published.seq {
        bail!("{origin} says {seq}, but seq {} is published, and seq never falls", published.seq);
    }
    if seq == published.seq && as_of <= published.as_of {
        bail!(
            "seq {seq} is published already, as of {}; to publish it again, as_of must be later, and it is {as_of}",
            published.as_of
        );
    }
    Ok(seq)
}

#[cfg(test)]
mod tests {
    use admit::snapshot::object::Digest;

    use super::*;

    fn head(seq: u64, as_of: UnixSecs) -> Head {
        let digest = Digest([0; 32]);
        Head::new(seq, as_of, digest, digest)
    }

    const fn wanted(asked: Option<u64>, from_file: Option<u64>) -> Wanted {
        Wanted { asked, from_file, as_of: 100 }
    }

    #[test]
    fn the_option_comes_before_the_file_and_the_file_before_counting() {
        assert_eq!(choose(wanted(None, None), None).unwrap(), 1);
        assert_eq!(choose(wanted(None, None), Some(&head(7, 50))).unwrap(), 8);
        assert_eq!(choose(wanted(None, Some(20)), Some(&head(7, 50))).unwrap(), 20);
        assert_eq!(choose(wanted(Some(30), Some(20)), Some(&head(7, 50))).unwrap(), 30);
        assert_eq!(choose(wanted(Some(0), None), None).unwrap(), 0);
    }

    #[test]
    fn seq_never_falls_and_repeats_only_for_later_data() {
        let refused = |wanted, published: Head| choose(wanted, Some(&published)).unwrap_err().to_string();
        assert!(refused(wanted(Some(6), None), head(7, 50)).contains("--seq says 6, but seq 7"));
        assert!(refused(wanted(None, Some(6)), head(7, 50)).contains("the snapshot line says 6"));
        assert!(refused(wanted(Some(7), None), head(7, 100)).contains("as_of must be later"));
        assert_eq!(choose(wanted(Some(7), None), Some(&head(7, 99))).unwrap(), 7);
    }
}
