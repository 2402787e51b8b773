//! What is known of one stall.

use super::evidence::Evidence;
use crate::json;
use crate::observe::Place;
use std::time::{Duration, Instant};

#[derive(Clone)]
pub struct Stall {
    pub beat: u64,
    pub native_id: i32,
    /// For how long it was seen: from the first look that found it.
    pub length: Duration,
    /// When that was found out, and how much later a look would have come.
    pub looked: Instant,
    pub tick: Duration,
    pub evidence: Evidence,
    /// The innermost frame first; as it was when the threshold was passed.
    pub stack: Vec<Place>,
    pub still: bool,
}

impl Stall {
    /// It ended at that moment. The time since the last look counts, but for what nobody could look at: the process may have been stopped.
    pub fn ended(mut self, now: Instant) -> Stall {
        self.length += now.saturating_duration_since(self.looked).min(2 * self.tick);
        self
    }

    pub fn to_json(&self) -> String {
        let stack = json::list(self.stack.iter().map(Place::to_json));
        format!(
            r#"{{"seconds": {:.6}, "still": {}, "native_id": {}, "evidence": {}, "stack": {stack}}}"#,
            self.length.as_secs_f64(),
            self.still,
            self.native_id,
            self.evidence.to_json(),
        )
    }
}
