//! A fixed number of parties wait for each other, again and again.
//!
//! ```text
//!     word = how many are inside << 32 | times that it changed << 4 | SLEEPERS << 3 | phase
//! ```
//!
//! The phases are those of `primitives::barrier`, which are those of the standard library. Each step from one to the next is one operation on the word,
//! and wakes all who sleep: those at the door, who wait for the crowd before to leave, and those inside.
//!
//! A party that was killed inside still counts there, as with the standard library: the crowd cannot leave, until it is aborted, and another barrier is
//! made.

use super::super::futex;
use super::{Place, Rest, Shared};
use crate::primitives::barrier::{Passage, Phase};
use crate::sync::atomic::{AtomicU64, Ordering};

/// See the room's text.
#[derive(Debug)]
pub struct Barrier<P> {
    /// Where it lies.
    pub place: P,
    /// For how many it is, at least one.
    pub parties: u32,
    /// Whether the last that comes has something to do before all go on.
    pub acts: bool,
}

/// Where a party stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It has not come in.
    Door,
    /// It has this number.
    Inside(usize),
}

/// What a party gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It came in with this number, and is to wait inside.
    Entered(usize),
    /// It goes on.
    Passed(Passage),
}

const PHASE: u64 = 7;
const SLEEPERS: u64 = 8;
const TIMES: u32 = 4;
const INSIDE: u32 = 32;

const PHASES: [Phase; 5] = [Phase::Filling, Phase::Acting, Phase::Draining, Phase::Resetting, Phase::Broken];

fn phase_of(word: u64) -> Phase {
    // A number that is none of them was not written by us.
    PHASES.get((word & PHASE) as usize).copied().unwrap_or(Phase::Broken)
}

fn inside_of(word: u64) -> u64 {
    word >> INSIDE
}

/// The word in another phase, with nobody asleep.
fn turned(word: u64, phase: Phase) -> u64 {
    let times = ((word as u32 >> TIMES) + 1) << TIMES;
    inside_of(word) << INSIDE | u64::from(times) | phase as u64
}

const ONE_INSIDE: u64 = 1 << INSIDE;

impl<P: Place> Barrier<P> {
    fn word(&self) -> &AtomicU64 {
        self.place.word(0)
    }

    /// Changes the word as `step` says, until that succeeds or says None; wakes all if the phase is another.
    fn change<T>(&self, step: impl Fn(u64) -> Option<(u64, T)>) -> Option<T> {
        let word = self.word();
        let mut now = word.load(Ordering::Acquire);
        loop {
            let (next, result) = step(now)?;
            match word.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if next as u32 != now as u32 && now & SLEEPERS != 0 {
                        futex::wake_low(word, u32::MAX);
                    }
                    return Some(result);
                }
                Err(changed) => now = changed,
            }
        }
    }

    fn enter(&self, now: u64) -> Option<(u64, Step)> {
        let number = inside_of(now) as usize;
        let last = number + 1 >= self.parties as usize;
        match phase_of(now) {
            Phase::Broken => Some((now, Step::Passed(Passage::Refused))),
            Phase::Filling if !last => Some((now + ONE_INSIDE, Step::Entered(number))),
            Phase::Filling if self.acts => {
                Some((turned(now + ONE_INSIDE, Phase::Acting), Step::Passed(Passage::Act(number))))
            }
            Phase::Filling => {
                // It comes in and leaves at once.
                let phase = if number == 0 { Phase::Filling } else { Phase::Draining };
                Some((turned(now, phase), Step::Passed(Passage::Through(number))))
            }
            Phase::Acting | Phase::Draining | Phase::Resetting => None,
        }
    }

    /// One less inside; after the last one it is as new.
    fn without_one(now: u64) -> u64 {
        let left = if inside_of(now) == 0 { now } else { now - ONE_INSIDE };
        match phase_of(left) {
            Phase::Draining | Phase::Resetting if inside_of(left) == 0 => turned(left, Phase::Filling),
            _ => left,
        }
    }

    /// A party that is inside goes away, as if it had not come.
    pub fn leave_inside(&self) {
        self.change(|now| Some((Self::without_one(now), ())));
    }

    /// The last party has acted, well (its passage says) or not; it leaves, and the others may.
    pub fn acted(&self, passage: Passage) -> Passage {
        let step = |now: u64| {
            let turned = match (passage, phase_of(now)) {
                (Passage::Broken, _) => turned(now, Phase::Broken),
                // Unless it was broken or reset meanwhile.
                (_, Phase::Acting) => turned(now, Phase::Draining),
                _ => now,
            };
            Some((Self::without_one(turned), ()))
        };
        self.change(step);
        passage
    }

    /// The time of a party that is inside is up: breaks it, and leaves. None: somebody acts, which stops the clock; it is to wait on.
    pub fn time_out(&self, number: usize) -> Option<Passage> {
        self.change(|now| match phase_of(now) {
            Phase::Acting => None,
            Phase::Draining => Some((Self::without_one(now), Passage::Through(number))),
            _ => Some((Self::without_one(turned(now, Phase::Broken)), Passage::Broken)),
        })
    }

    /// Back to the beginning; those inside leave with an error. A crowd that is leaving already does so undisturbed.
    pub fn reset(&self) {
        self.change(|now| match (inside_of(now), phase_of(now)) {
            (0, Phase::Filling) | (1.., Phase::Draining | Phase::Resetting) => None,
            (0, _) => Some((turned(now, Phase::Filling), ())),
            _ => Some((turned(now, Phase::Resetting), ())),
        });
    }

    /// Breaks it: whoever is inside, at the door, or comes gets an error.
    pub fn abort(&self) {
        self.change(|now| match phase_of(now) {
            Phase::Broken => None,
            _ => Some((turned(now, Phase::Broken), ())),
        });
    }

    /// How many are inside.
    pub fn inside(&self) -> usize {
        inside_of(self.word().load(Ordering::Acquire)) as usize
    }

    /// What goes on.
    pub fn phase(&self) -> Phase {
        phase_of(self.word().load(Ordering::Acquire))
    }
}

impl<P: Place> Shared for Barrier<P> {
    type Mark = Stand;
    type Gain = Step;
    const IN_TURN: bool = false;

    /// Who waits at the door is not to stand before who is inside.
    fn lane(&self, stand: Stand) -> usize {
        usize::from(stand != Stand::Door)
    }

    fn take(&self, stand: Stand, _slept: bool) -> Option<Step> {
        match stand {
            Stand::Door => self.change(|now| self.enter(now)),
            Stand::Inside(number) => self.change(|now| {
                let passage = match phase_of(now) {
                    Phase::Filling | Phase::Acting => return None,
                    Phase::Draining => Passage::Through(number),
                    Phase::Resetting | Phase::Broken => Passage::Broken,
                };
                Some((Self::without_one(now), Step::Passed(passage)))
            }),
        }
    }

    fn rest(&self, stand: Stand) -> Option<Rest<'_>> {
        let word = self.word();
        let mut now = word.load(Ordering::Acquire);
        loop {
            let waits = match phase_of(now) {
                Phase::Acting => true,
                Phase::Filling => stand != Stand::Door,
                Phase::Draining | Phase::Resetting => stand == Stand::Door,
                Phase::Broken => false,
            };
            if !waits {
                return None;
            }
            if now & SLEEPERS != 0 {
                return Some(Rest { word, value: now as u32 });
            }
            match word.compare_exchange_weak(now, now | SLEEPERS, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => now |= SLEEPERS,
                Err(changed) => now = changed,
            }
        }
    }

    /// All are woken, always.
    fn leave(&self, _stand: Stand) {}

    fn give_back(&self, _stand: Stand, step: Step) {
        match step {
            Step::Entered(_) => self.leave_inside(),
            // Nobody acts, so nobody may go on.
            Step::Passed(Passage::Act(_)) => {
                self.acted(Passage::Broken);
            }
            Step::Passed(_) => {}
        }
    }
}
