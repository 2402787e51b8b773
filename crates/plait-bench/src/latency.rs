//! How long requests took: a histogram of fixed size.
//!
//! Each power of two is cut into 64 equal buckets, so that a quantile is at most a sixty-fourth too high, however long the run
//! and whatever the unit. Rejected: keeping every sample, which for a hundred million requests is more memory than a small
//! machine has; and a mean, which hides what users wait for.

const BITS: u32 = 6;
const PER_POWER: usize = 1 << BITS;
const BUCKETS: usize = PER_POWER * (u64::BITS - BITS + 1) as usize;

/// Counts of durations, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice(), total: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    #[inline]
    pub fn record(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
        self.max = self.max.max(nanoseconds);
    }

    /// The longest duration, exactly; 0 if there is none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// How many durations were counted.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether none was counted.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// What `percent` of all durations did not exceed (nearest rank); up to 1.6 % too high, 0 if there is none.
    pub fn percentile(&self, percent: f64) -> u64 {
        let rank = ((self.total as f64 * percent / 100.0).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest(index).min(self.max);
            }
        }
        self.max
    }
}

#[inline]
fn bucket(value: u64) -> usize {
    // The values below 128 have a bucket each; the top bits above that choose one.
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    shift as usize * PER_POWER + (value >> shift) as usize
}

/// The largest value of a bucket.
fn highest(index: usize) -> u64 {
    let shift = (index / PER_POWER).saturating_sub(1) as u32;
    let top = (index - shift as usize * PER_POWER) as u64;
    ((top + 1) << shift).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_meet_without_gap_or_overlap() {
        let mut next = 0;
        for index in 0..BUCKETS {
            assert_eq!(bucket(next), index);
            assert_eq!(bucket(highest(index)), index);
            next = highest(index).wrapping_add(1);
        }
        assert_eq!(next, 0, "the last bucket ends with the largest number");
    }

    #[test]
    fn percentiles_agree_with_a_sorted_list() {
        let mut histogram = Histogram::default();
        let mut samples: Vec<u64> = (0..10_000u64).map(|i| (i * 7919 % 10_007) * (i % 97 + 1)).collect();
        samples.iter().for_each(|sample| histogram.record(*sample));
        samples.sort_unstable();
        for percent in [0.0, 1.0, 50.0, 90.0, 99.0, 99.99, 100.0] {
            let rank = ((samples.len() as f64 * percent / 100.0).ceil() as usize).max(1);
            let (exact, found) = (samples[rank - 1], histogram.percentile(percent));
            assert!(found >= exact && found <= exact + exact / 64, "{percent} %: {found}, not {exact}");
        }
        assert_eq!(histogram.max(), *samples.last().unwrap());
        assert_eq!(histogram.len(), 10_000);
    }

    #[test]
    fn holds_the_extremes() {
        let mut histogram = Histogram::default();
        assert!(histogram.is_empty());
        assert_eq!(histogram.percentile(50.0), 0);
        histogram.record(0);
        histogram.record(u64::MAX);
        assert_eq!(histogram.percentile(50.0), 0);
        assert_eq!(histogram.percentile(100.0), u64::MAX);
    }
}
