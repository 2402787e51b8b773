//! Who waits for a notification. The lock beside it is the caller's affair, and lies elsewhere.
//!
//! Waiters come in *groups*, with consecutive numbers. One group is being notified, its members by *tokens*, which any of them may take;
//! the next one is open to whoever comes; those before have been notified to the last member. When all of the one that is being
//! notified have been, it is over, and the open one takes its place. So a notification never goes to somebody who came after it, and needs
//! no memory of each waiter.
//!
//! ```text
//!     STATE = number of the group that is being notified << 20 | tokens
//!     BELLS = two words, for even and odd groups: times rung << 1 | SLEEPERS
//!     LEFT, OPEN = how many of that group have not been notified, how many are in the open one: of the lock's holder
//! ```
//!
//! Coming, notifying and leaving without a notification are done by the holder of the lock; taking tokens is done by anybody.
//! Within a process the members of one group are served in the order of their coming. There are two groups at most with members that have not been
//! notified, an even and an odd one, and each has a lane, since those of one are notified when those of the other are not. A member of a group that is over
//! goes on at once, whoever sleeps in its lane.
//!
//! A waiter whose process was killed still counts: a notification may be spent on it.
//!
//! Rejected: the standard library's, in which the notifier waits for those whom it has woken, and for ever if they are killed.

use super::super::futex;
use super::{Place, Rest, Shared};
use crate::sync::atomic::{AtomicU64, Ordering};

/// See the room's text.
#[derive(Debug)]
pub struct Condition<P> {
    /// Where it lies.
    pub place: P,
}

const STATE: usize = 0;
const BELLS: usize = 1;
const LEFT: usize = 3;
const OPEN: usize = 4;

const TOKENS: u32 = 20;
const MOST_TOKENS: u64 = (1 << TOKENS) - 1;
const SLEEPERS: u64 = 1;

fn group_of(state: u64) -> u64 {
    state >> TOKENS
}

fn tokens_of(state: u64) -> u64 {
    state & MOST_TOKENS
}

/// Whether a member of a group can go on.
fn is_ready(state: u64, group: u64) -> bool {
    group < group_of(state) || (group == group_of(state) && tokens_of(state) > 0)
}

impl<P: Place> Condition<P> {
    fn word(&self, index: usize) -> &AtomicU64 {
        self.place.word(index)
    }

    /// A waiter comes; it is told its group. For the holder of the lock.
    pub fn enter(&self) -> u64 {
        let group = group_of(self.word(STATE).load(Ordering::Relaxed)) + 1;
        self.word(OPEN).fetch_add(1, Ordering::Relaxed);
        group
    }

    /// A waiter goes away. Says whether it had been notified. For the holder of the lock.
    pub fn withdraw(&self, group: u64) -> bool {
        if self.take(group, false).is_some() {
            return true;
        }
        // It is not in one that is over, and nobody begins another one now.
        let current = group_of(self.word(STATE).load(Ordering::Relaxed)) == group;
        let count = self.word(if current { LEFT } else { OPEN });
        count.store(count.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        false
    }

    /// Notifies up to `count` waiters. For the holder of the lock.
    pub fn notify(&self, mut count: u64) {
        while count > 0 {
            let left = self.word(LEFT).load(Ordering::Relaxed);
            if count < left {
                self.word(LEFT).store(left - count, Ordering::Relaxed);
                self.hand_out(count);
                return;
            }
            count -= left;
            if left == 0 && self.word(OPEN).load(Ordering::Relaxed) == 0 {
                return;
            }
            self.close_group();
        }
    }

    /// Gives tokens to members of the group that is being notified.
    fn hand_out(&self, count: u64) {
        let state = self.word(STATE);
        let now = state.load(Ordering::Relaxed);
        let count = count.min(MOST_TOKENS - tokens_of(now));
        state.fetch_add(count, Ordering::AcqRel);
        let bell = self.bell(group_of(now));
        // Release: who hears it sees the tokens.
        if bell.fetch_add(2, Ordering::AcqRel) & SLEEPERS != 0 {
            futex::wake_low(bell, count as u32);
        }
    }

    /// All of that group are notified, and the open one is the next.
    fn close_group(&self) {
        let open = self.word(OPEN).swap(0, Ordering::Relaxed);
        self.word(LEFT).store(open, Ordering::Relaxed);
        let state = self.word(STATE);
        let mut now = state.load(Ordering::Relaxed);
        while let Err(changed) = state.compare_exchange_weak(
            now,
            (group_of(now) + 1) << TOKENS,
            Ordering::AcqRel,
            Ordering::Relaxed,
        ) {
            now = changed;
        }
        self.ring_for_all(self.bell(group_of(now)));
    }

    fn ring_for_all(&self, bell: &AtomicU64) {
        let mut rung = bell.load(Ordering::Relaxed);
        while let Err(changed) =
            bell.compare_exchange_weak(rung, (rung + 2) & !SLEEPERS, Ordering::AcqRel, Ordering::Relaxed)
        {
            rung = changed;
        }
        if rung & SLEEPERS != 0 {
            futex::wake_low(bell, u32::MAX);
        }
    }

    fn bell(&self, group: u64) -> &AtomicU64 {
        self.word(BELLS + (group & 1) as usize)
    }

    /// How many have not been notified, and how many have and do not know it yet. (What is to be shown: exact for the lock's holder alone.)
    pub fn waiting(&self) -> (u64, u64) {
        let waiting = self.word(LEFT).load(Ordering::Relaxed) + self.word(OPEN).load(Ordering::Relaxed);
        (waiting, tokens_of(self.word(STATE).load(Ordering::Relaxed)))
    }
}

impl<P: Place> Shared for Condition<P> {
    type Mark = u64;
    type Gain = ();
    const IN_TURN: bool = true;

    fn lane(&self, group: u64) -> usize {
        (group & 1) as usize
    }

    /// The open group is notified when the one before it is over, which rings for that one.
    fn order(&self, group: u64) -> u64 {
        group
    }

    fn take(&self, group: u64, _slept: bool) -> Option<()> {
        let state = self.word(STATE);
        let mut now = state.load(Ordering::Acquire);
        while is_ready(now, group) {
            if group < group_of(now) {
                return Some(());
            }
            match state.compare_exchange_weak(now, now - 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(()),
                Err(changed) => now = changed,
            }
        }
        None
    }

    fn take_from_nobody(&self, group: u64) -> Option<()> {
        (group < group_of(self.word(STATE).load(Ordering::Acquire))).then_some(())
    }

    fn rest(&self, group: u64) -> Option<Rest<'_>> {
        let bell = self.bell(group);
        // Acquire, and before the look at the state: who has heard an earlier ring sees what it was for, and a later one changes the word.
        let value = bell.fetch_or(SLEEPERS, Ordering::AcqRel) | SLEEPERS;
        match is_ready(self.word(STATE).load(Ordering::Acquire), group) {
            true => None,
            false => Some(Rest { word: bell, value: value as u32 }),
        }
    }

    /// A wake-up that it has had goes to another member, if there is a token for one.
    fn leave(&self, group: u64) {
        if is_ready(self.word(STATE).load(Ordering::Acquire), group) {
            futex::wake_low(self.bell(group), 1);
        }
    }

    /// Somebody else of its group may have it. Where all others have been notified, there is nobody for it.
    fn give_back(&self, group: u64, (): ()) {
        let state = self.word(STATE);
        let mut now = state.load(Ordering::Relaxed);
        while group == group_of(now) && tokens_of(now) < MOST_TOKENS {
            match state.compare_exchange_weak(now, now + 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    self.bell(group).fetch_add(2, Ordering::AcqRel);
                    futex::wake_low(self.bell(group), 1);
                    return;
                }
                Err(changed) => now = changed,
            }
        }
    }
}
