//! What a timer costs: `cargo run --release -p plait-core --example timer_cost`.
//!
//! Prints nanoseconds per operation, best of several rounds, at several numbers of waiting timers.

use plait_core::timers::Timers;
use std::hint::black_box;
use std::time::Instant;

const OPERATIONS: u32 = 200_000;
const ROUNDS: usize = 7;

fn best_nanoseconds(mut round: impl FnMut()) -> f64 {
    let costs = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        round();
        start.elapsed().as_nanos() as f64 / f64::from(OPERATIONS)
    });
    costs.fold(f64::INFINITY, f64::min)
}

/// Evenly scattered numbers, the same in each run.
fn scatter(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 11) as f64 / (1u64 << 53) as f64
}

fn main() {
    println!("{:>9} {:>15} {:>15} {:>15}", "waiting", "cancel latest", "cancel random", "fire and renew");
    for waiting in [0u32, 10, 1_000, 100_000, 1_000_000] {
        let mut seed = 1;
        let mut timers = Timers::new();
        for n in 0..waiting {
            timers.insert(scatter(&mut seed), u64::from(n));
        }
        let latest = best_nanoseconds(|| {
            for n in 0..OPERATIONS {
                let key = timers.insert(2.0 + f64::from(n), u64::from(n));
                black_box(timers.remove(black_box(key)));
            }
        });
        let random = best_nanoseconds(|| {
            for n in 0..OPERATIONS {
                let key = timers.insert(scatter(&mut seed), u64::from(n));
                black_box(timers.remove(black_box(key)));
            }
        });
        let mut now = 1.0;
        let renew = best_nanoseconds(|| {
            for n in 0..OPERATIONS {
                black_box(timers.pop_due(f64::MAX));
                now += 1e-9;
                timers.insert(now + scatter(&mut seed), u64::from(n));
            }
        });
        println!("{waiting:>9} {latest:>15.1} {random:>15.1} {renew:>15.1}");
    }
}
