//! How long the steps of a check take natively. `cargo bench -p micro-bench`.

use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use micro_bench::{Step, Subject};

fn steps(criterion: &mut Criterion) {
    let mut subject = match Subject::new() {
        Ok(subject) => subject,
        Err(error) => {
            eprintln!("error: {error:#}");
            return;
        }
    };
    for (name, step) in Step::ALL {
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let watch = now();
                let done = subject.repeat(step, usize::try_from(times).unwrap_or(usize::MAX));
                let elapsed = watch.elapsed();
                assert!(done.is_ok_and(|sum| sum > 0), "{name} came out wrong");
                elapsed
            });
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> Instant {
    Instant::now()
}

criterion_group!(benches, steps);
criterion_main!(benches);
