//! How often something may be done.

/// A token bucket. New ones are full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Tokens that were taken and have not come back yet, in thousandths.
    spent: u64,
    at_ms: u64,
}

impl Bucket {
    /// Takes one, if there is one: `per_sec` come back in a second, `burst` are there at most.
    pub fn take(&mut self, now_ms: u64, per_sec: u64, burst: u64) -> bool {
        self.take_and_leave(now_ms, per_sec, burst, 0)
    }

    /// The same, if at least `left` remain for others.
    pub fn take_and_leave(&mut self, now_ms: u64, per_sec: u64, burst: u64, left: u64) -> bool {
        self.spent = self.spent(now_ms, per_sec);
        self.at_ms = now_ms;
        let spent = self.spent.saturating_add(1_000);
        let is_there = spent <= burst.saturating_sub(left).saturating_mul(1_000);
        if is_there {
            self.spent = spent;
        }
        is_there
    }

    /// Tokens that were taken and have not come back by `now_ms`, in thousandths.
    pub const fn spent(&self, now_ms: u64, per_sec: u64) -> u64 {
        self.spent.saturating_sub(now_ms.saturating_sub(self.at_ms).saturating_mul(per_sec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let mut bucket = Bucket::default();
        let mut taken = |now_ms| (0..100).filter(|_| bucket.take(now_ms, 20, 40)).count();
        assert_eq!(taken(1_000_000), 40);
        assert_eq!(taken(1_000_049), 0);
        assert_eq!(taken(1_000_050), 1);
        assert_eq!(taken(1_001_050), 20);
        assert_eq!(taken(9_000_000), 40);
        // A clock that goes back gives nothing and takes nothing.
        assert_eq!(taken(1_000_000), 0);
    }

    #[test]
    fn some_leave_what_others_may_take() {
        let mut bucket = Bucket::default();
        let taken = |bucket: &mut Bucket, left| {
            (0..100).filter(|_| bucket.take_and_leave(1_000, 20, 40, left)).count()
        };
        assert_eq!((taken(&mut bucket, 10), taken(&mut bucket, 10)), (30, 0));
        assert_eq!(taken(&mut bucket, 0), 10);
        assert_eq!(taken(&mut Bucket::default(), 41), 0);
    }

    #[test]
    fn none_is_none() {
        assert!(!Bucket::default().take(u64::MAX, 0, 0));
    }

    #[test]
    fn a_flood_gets_its_rate_whatever_its_pace() {
        for step_ms in [1, 7, 100] {
            let mut bucket = Bucket::default();
            let taken = (0..60_000).step_by(step_ms).filter(|at| bucket.take(*at, 5, 10)).count();
            assert!((305..=310).contains(&taken), "{taken} in a minute, every {step_ms} ms");
        }
    }
}
