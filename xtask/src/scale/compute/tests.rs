use super::*;
use crate::scale::{
    cache::{Expiring, Memory},
    shape::Layout,
    simulate,
};

#[test]
fn a_value_that_is_read_at_random_moments_hits_as_renewal_theory_says() {
    // With an even day the ratio is known: rate × life / (1 + rate × life). The profile is not even, but for
    // a value that is read rarely only the mean matters while it is kept for whole days.
    for reads_per_day in [0.01, 0.05] {
        let expected = reads_per_day * 2.0 / (1.0 + reads_per_day * 2.0);
        let found = hit_ratio(reads_per_day, 2.0 * DAY_SECS, 0.0);
        assert!((found / expected - 1.0).abs() < 0.02, "{reads_per_day}: {found} {expected}");
    }
    // Read all the time, it is fetched anew every five minutes.
    let reads_per_day = 1e6;
    assert!((1.0 - hit_ratio(reads_per_day, 300.0, 0.0) - 288.0 / reads_per_day).abs() < 1e-5);
}

#[test]
fn the_equation_agrees_with_a_simulated_value_that_also_changes() {
    let (ttl_secs, changes_per_sec, reads_per_day) = (20_000.0, 1.0 / 30_000.0, 12.0);
    let mut random = Random::new(7, 7);
    let mut value = Expiring::new(1, ttl_secs);
    let (mut hits, mut reads) = (0.0, 0.0);
    // Days of their own, so that f32 holds the time. The first hours of each are not counted.
    for _ in 0..4_000 {
        let mut change_at = random.exponential(changes_per_sec);
        let mut now = 0.0;
        while now < 3.0 * DAY_SECS {
            let rate = reads_per_day * intensity(now) / DAY_SECS;
            let next = now + random.exponential(rate);
            let next_hour = (libm::floor(now / 3_600.0) + 1.0) * 3_600.0;
            now = next.min(next_hour);
            if next >= next_hour {
                continue;
            }
            if change_at <= now {
                value = Expiring::new(1, ttl_secs);
                change_at = now + random.exponential(changes_per_sec);
            }
            let hit = value.read(0, now);
            if now >= 2.0 * DAY_SECS {
                reads += 1.0;
                hits += f64::from(hit);
            }
        }
        value = Expiring::new(1, ttl_secs);
    }
    let computed = hit_ratio(reads_per_day, ttl_secs, changes_per_sec);
    assert!((hits / reads - computed).abs() < 0.01, "{} {computed}", hits / reads);
}

#[test]
fn ches_approximation_agrees_with_a_simulated_memory() {
    // 2,000 objects of 1 byte, a tenth of them nine times as busy; room for 400.
    let classes = [
        Class { objects: 200.0, reads_per_day: 9.0, bytes: 1.0 },
        Class { objects: 1_800.0, reads_per_day: 1.0, bytes: 1.0 },
    ];
    let drop = drop_days(&classes, 400.0);
    let ratio = |reads: f64| -libm::expm1(-reads * drop);
    let computed = 0.5 * ratio(9.0) + 0.5 * ratio(1.0);
    let (mut memory, mut random) = (Memory::new(400.0), Random::new(3, 3));
    let mut hits = 0.0;
    for read in 0..220_000 {
        let number = if random.below(2) == 0 { random.below(200) } else { 200 + random.below(1_800) };
        let hit = memory.use_object(number, 1.0);
        hits += f64::from(hit && read >= 20_000);
    }
    assert!((hits / 200_000.0 - computed).abs() < 0.01, "{} {computed}", hits / 200_000.0);
}

/// The two agree where both can be had. Large enough that chance plays no part, small enough to be quick.
#[test]
fn formulas_and_simulation_agree() {
    for layout in [Layout::KeyPerCustomer, Layout::Shards(4 << 10), Layout::Shards(64 << 10)] {
        let shape = Shape::new(500_000, layout);
        let ttls = [300.0, DAY_SECS];
        for (ttl_secs, simulated) in ttls.into_iter().zip(simulate::day(&shape, ttls)) {
            let computed = day(&shape, ttl_secs, 0.0);
            for (name, left, right) in [
                ("hit", simulated.hit_ratio(), computed.hit_ratio()),
                ("head", simulated.head_ratio(), computed.head_ratio()),
                ("memory", simulated.memory_ratio(), computed.memory_ratio()),
            ] {
                assert!((left - right).abs() < 0.015, "{layout:?} {ttl_secs} {name}: {left} {right}");
            }
        }
    }
}

#[test]
fn changes_make_shards_cold() {
    let shape = Shape::new(10_000_000, Layout::Shards(64 << 10));
    let cold = |change_rate| day(&shape, DAY_SECS, change_rate).cold_reads();
    assert!(cold(0.0) < cold(0.01));
    assert!(cold(0.01) < cold(0.1));
}
