//! Flow control: when a writer is told to pause, and when to go on.
//!
//! asyncio's rules, so that a protocol sees the same calls: pause when the buffer has grown beyond
//! the high mark, resume when it has shrunk to the low mark or below. This only decides; the caller
//! makes the call into Python after it has let go of its locks.

use std::fmt;

const DEFAULT_HIGH: usize = 64 * 1024;

/// Two marks and whether the writer is paused.
#[derive(Clone, Debug)]
pub struct FlowControl {
    high: usize,
    low: usize,
    paused: bool,
}

/// The low mark lies above the high one. Says so in asyncio's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitsError {
    /// The high mark asked for.
    pub high: usize,
    /// The low mark asked for.
    pub low: usize,
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "high ({}) must be >= low ({}) must be >= 0", self.high, self.low)
    }
}

impl std::error::Error for LimitsError {}

impl Default for FlowControl {
    fn default() -> Self {
        Self::new()
    }
}

impl FlowControl {
    /// asyncio's default marks, 64 KiB and a quarter of it; not paused.
    pub const fn new() -> Self {
        Self { high: DEFAULT_HIGH, low: DEFAULT_HIGH / 4, paused: false }
    }

    /// Sets the marks. Without `high` it is 64 KiB, or four times `low`; without `low` it is a
    /// quarter of `high`. asyncio then looks whether to pause: call [`FlowControl::on_grow`]
    /// with the present length.
    pub fn set_limits(&mut self, high: Option<usize>, low: Option<usize>) -> Result<(), LimitsError> {
        let high = high.unwrap_or_else(|| low.map_or(DEFAULT_HIGH, |low| low.saturating_mul(4)));
        let low = low.unwrap_or(high / 4);
        if high < low {
            return Err(LimitsError { high, low });
        }
        self.high = high;
        self.low = low;
        Ok(())
    }

    /// The marks, `(low, high)` as in `get_write_buffer_limits`.
    pub const fn limits(&self) -> (usize, usize) {
        (self.low, self.high)
    }

    /// Whether the writer was told to pause, and not to resume since.
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// The buffer has grown to `len`. True if the writer is to be paused now.
    #[inline]
    pub fn on_grow(&mut self, len: usize) -> bool {
        let pause = !self.paused && len > self.high;
        self.paused |= pause;
        pause
    }

    /// The buffer has shrunk to `len`. True if the writer is to be resumed now.
    #[inline]
    pub fn on_shrink(&mut self, len: usize) -> bool {
        let resume = self.paused && len <= self.low;
        self.paused &= !resume;
        resume
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_asyncios() {
        let mut flow = FlowControl::new();
        assert_eq!(flow.limits(), (16 * 1024, 64 * 1024));
        flow.set_limits(Some(100), None).unwrap();
        assert_eq!(flow.limits(), (25, 100));
        flow.set_limits(None, Some(100)).unwrap();
        assert_eq!(flow.limits(), (100, 400));
        flow.set_limits(Some(7), Some(7)).unwrap();
        assert_eq!(flow.limits(), (7, 7));
        flow.set_limits(None, None).unwrap();
        assert_eq!(flow.limits(), FlowControl::new().limits());
        flow.set_limits(None, Some(usize::MAX)).unwrap();
        assert_eq!(flow.limits(), (usize::MAX, usize::MAX));
    }

    #[test]
    fn a_low_mark_above_the_high_one_changes_nothing() {
        let mut flow = FlowControl::new();
        let error = flow.set_limits(Some(1), Some(2)).unwrap_err();
        assert_eq!(error.to_string(), "high (1) must be >= low (2) must be >= 0");
        assert_eq!(flow.limits(), FlowControl::new().limits());
    }

    #[test]
    fn pauses_once_above_the_high_mark_and_resumes_once_at_the_low_one() {
        let mut flow = FlowControl::new();
        flow.set_limits(Some(10), Some(4)).unwrap();
        assert!(!flow.on_grow(10));
        assert!(flow.on_grow(11));
        assert!(!flow.on_grow(50));
        assert!(flow.paused);
        assert!(!flow.on_shrink(5));
        assert!(flow.on_shrink(4));
        assert!(!flow.on_shrink(0));
        assert!(!flow.paused);
        assert!(flow.on_grow(11), "and again");
    }

    #[test]
    fn marks_of_zero_pause_at_the_first_byte() {
        let mut flow = FlowControl::new();
        flow.set_limits(Some(0), None).unwrap();
        assert!(!flow.on_grow(0));
        assert!(flow.on_grow(1));
        assert!(flow.on_shrink(0));
    }
}
