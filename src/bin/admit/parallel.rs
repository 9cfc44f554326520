//! The same work on many things, a few at a time.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use anyhow::Result;

/// Runs `work` on each of `things`, on `threads` threads, in about their order.
///
/// # Errors
/// The first that occurs; what has not begun by then is left undone.
pub fn for_each<T: Sync>(things: &[T], threads: usize, work: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let first_error = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(things.len()) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed)
                    && let Some(thing) = things.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if let Err(error) = work(thing) {
                        stop.store(true, Ordering::Relaxed);
                        first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
        }
    });
    match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn everything_is_done_once() {
        let things: Vec<usize> = (1..=100).collect();
        for threads in [1, 4, 200] {
            let sum = AtomicUsize::new(0);
            for_each(&things, threads, |thing| {
                sum.fetch_add(*thing, Ordering::Relaxed);
                Ok(())
            })
            .unwrap();
            assert_eq!(sum.into_inner(), 5_050);
        }
        for_each(&[] as &[u8], 4, |_| bail!("nothing to do")).unwrap();
    }

    #[test]
    fn an_error_stops_the_rest() {
        let done = AtomicUsize::new(0);
        let outcome = for_each(&[0; 1_000], 1, |_| {
            if done.fetch_add(1, Ordering::Relaxed) == 9 { bail!("enough") } else { Ok(()) }
        });
        assert_eq!(outcome.unwrap_err().to_string(), "enough");
        assert_eq!(done.into_inner(), 10);
    }
}
