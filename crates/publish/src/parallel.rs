//! Runs the same work on many values with a bounded number of threads. Native only.

use std::io;

use rayon::{
    ThreadPoolBuilder,
    iter::{IntoParallelRefIterator as _, ParallelIterator as _},
};

/// Runs `work` on each of `things` on at most `threads` threads. The results are in the order of the things.
///
/// # Errors
/// One of the errors that occurred, or threads could not be started. Work that has not begun by then is
/// skipped.
pub fn try_map<T: Sync, R: Send, E: Send + From<io::Error>>(
    things: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let pool = ThreadPoolBuilder::new().num_threads(threads.min(things.len()).max(1)).build();
    pool.map_err(io::Error::other)?.install(|| things.par_iter().map(&work).collect())
}

/// As [`try_map`], for work without results.
///
/// # Errors
/// As for [`try_map`].
pub fn for_each<T: Sync>(
    things: &[T],
    threads: usize,
    work: impl Fn(&T) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    try_map(things, threads, work).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn everything_is_done_once_and_in_order() {
        let things: Vec<usize> = (1..=100).collect();
        for threads in [0, 1, 4, 200] {
            let doubled: Result<_, io::Error> = try_map(&things, threads, |thing| Ok(thing * 2));
            assert_eq!(doubled.unwrap(), (1..=100).map(|thing| thing * 2).collect::<Vec<_>>());
        }
        for_each(&[] as &[u8], 4, |_| anyhow::bail!("nothing to do")).unwrap();
    }

    #[test]
    fn an_error_stops_the_rest() {
        let done = AtomicUsize::new(0);
        let outcome = for_each(&[0; 1_000], 1, |_| {
            if done.fetch_add(1, Ordering::Relaxed) == 9 { anyhow::bail!("enough") } else { Ok(()) }
        });
        assert_eq!(outcome.unwrap_err().to_string(), "enough");
        assert_eq!(done.into_inner(), 10);
    }
}
