//! Which of the calls that were sent to a worker have begun.
//!
//! Calls are sent ahead, so that a worker need not wait for the next one. But when it dies, those that it had not begun are to go to another, and so they are
//! when it takes too long over one of them. So each call is claimed before it begins: one word says how many have begun and how many may. The worker
//! counts the first up, the parent takes the second back, both by compare-and-swap of the whole word: a call either begins or is taken back.
//!
//! Calls are numbered as they are sent. Those that were taken back still lie in the ring: the worker comes to them, cannot claim them, and says so. Before it
//! has said so of all of them, nothing more is sent to it.
//!
//! Rejected: a message that asks for them (the worker is busy with a call and does not read), a lock (who holds it may be killed).

use crate::sync::atomic::{AtomicU64, Ordering};

/// The word, seen by both sides.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a>(&'a AtomicU64);

fn pack(begun: u32, limit: u32) -> u64 {
    u64::from(begun) << 32 | u64::from(limit)
}

#[allow(clippy::cast_possible_truncation)] // the two halves
fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

impl<'a> Claims<'a> {
    /// The claims that lie in this word.
    pub fn new(word: &'a AtomicU64) -> Claims<'a> {
        Claims(word)
    }

    /// The parent's, where the worker has nothing to do: the next call has this number, and may begin.
    pub fn restart(self, number: u32) {
        self.0.store(pack(number, number.wrapping_add(1)), Ordering::Release);
    }

    /// The parent's: the call of this number, the next after those that may begin, may begin too. Not after a [`Claims::revoke`].
    pub fn allow(self, number: u32) {
        self.change(|begun, _| Some((begun, number.wrapping_add(1))));
    }

    /// The parent's: what has not begun will not. Returns the number of the first of those.
    pub fn revoke(self) -> u32 {
        unpack(self.change(|begun, _| Some((begun, begun)))).0
    }

    /// The number of the first call that has not begun.
    pub fn first_not_begun(self) -> u32 {
        unpack(self.0.load(Ordering::Acquire)).0
    }

    /// The worker's: the call of this number is to begin. False: it was taken back.
    pub fn claim(self, number: u32) -> bool {
        let may = |begun: u32, limit: u32| begun == number && begun != limit;
        let before = self.change(|begun, limit| may(begun, limit).then(|| (begun.wrapping_add(1), limit)));
        let (begun, limit) = unpack(before);
        may(begun, limit)
    }

    /// Returns what the word was before.
    fn change(self, to: impl Fn(u32, u32) -> Option<(u32, u32)>) -> u64 {
        let changed = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let (begun, limit) = unpack(word);
            to(begun, limit).map(|(begun, limit)| pack(begun, limit))
        });
        changed.unwrap_or_else(|word| word)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn calls_begin_in_turn_until_they_are_taken_back() {
        let word = AtomicU64::new(0);
        let claims = Claims::new(&word);
        claims.restart(u32::MAX);
        claims.allow(0);
        claims.allow(1);
        assert!(!claims.claim(0));
        assert!(claims.claim(u32::MAX));
        assert!(!claims.claim(u32::MAX));
        assert_eq!(claims.first_not_begun(), 0);
        assert_eq!(claims.revoke(), 0);
        assert!(!claims.claim(0) && !claims.claim(1));
        claims.restart(2);
        assert!(claims.claim(2) && !claims.claim(3));
    }
}
