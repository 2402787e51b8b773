//! The timers, against a list that is kept sorted.
//!
//! The property tests of the engine do the same with a look inside; here only what callers see is compared, in longer scripts, and
//! with bursts, since the structure gives memory back after one.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use plait_core::timers::{TimerKey, Timers};
use std::cmp::Ordering;

/// More timers than this are not added: bursts of them make a script slow.
const MOST: usize = 6000;

#[derive(Debug)]
enum Step {
    Insert(f64),
    /// Timers with this deadline and the following ones.
    Burst {
        first: f64,
        count: usize,
    },
    /// By one of the keys ever given out, stale ones included.
    Remove(usize),
    /// By that many keys in a row.
    RemoveMany {
        first: usize,
        count: usize,
    },
    PopDue(f64),
    PopAllDue(f64),
    Drain,
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match input.int_in_range(0..=15)? {
            0..=5 => Self::Insert(time(input)?),
            6..=9 => Self::Remove(input.arbitrary()?),
            10 | 11 => Self::PopDue(time(input)?),
            12 => Self::PopAllDue(time(input)?),
            13 => Self::Burst { first: time(input)?, count: input.int_in_range(1..=3000)? },
            14 => Self::RemoveMany { first: input.arbitrary()?, count: input.int_in_range(1..=3000)? },
            _ => Self::Drain,
        })
    }
}

/// Few different ones, so that deadlines meet; or any at all, not-a-number included.
fn time(input: &mut Unstructured) -> Result<f64> {
    if input.ratio(3, 4)? {
        return input.int_in_range(-4..=4).map(|whole: i8| f64::from(whole) / 2.0);
    }
    input.arbitrary()
}

/// The moment that a deadline means.
fn moment(when: f64) -> f64 {
    if when.is_nan() {
        f64::NEG_INFINITY
    } else {
        when
    }
}

#[derive(Default)]
struct Comparison {
    timers: Timers<usize>,
    /// Deadlines and numbers of the timers that wait, earliest first, equal ones in the order of insertion. A
    /// timer's number is its value.
    sorted: Vec<(f64, usize)>,
    /// By number.
    keys: Vec<TimerKey>,
}

impl Comparison {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Insert(when) => self.insert(when),
            Step::Burst { first, count } => (0..count).for_each(|n| self.insert(first + n as f64)),
            Step::Remove(number) => self.remove(number),
            Step::RemoveMany { first, count } => {
                (0..count).for_each(|n| self.remove(first.wrapping_add(n)));
            }
            Step::PopDue(end) => {
                self.pop_due(end);
            }
            Step::PopAllDue(end) => while self.pop_due(end) {},
            Step::Drain => self.drain(),
        }
    }

    fn insert(&mut self, when: f64) {
        if self.keys.len() < MOST {
            let number = self.keys.len();
            let place = self.sorted.partition_point(|(other, _)| *other <= moment(when));
            self.sorted.insert(place, (moment(when), number));
            self.keys.push(self.timers.insert(when, number));
        }
    }

    fn remove(&mut self, number: usize) {
        let Some(number) = number.checked_rem(self.keys.len()) else {
            return;
        };
        let place = self.sorted.iter().position(|(_, other)| *other == number);
        let expected = place.map(|place| self.sorted.remove(place).1);
        assert_eq!(self.timers.remove(self.keys[number]), expected);
    }

    fn pop_due(&mut self, end: f64) -> bool {
        let due = self.sorted.first().is_some_and(|(when, _)| *when < moment(end));
        let expected = due.then(|| self.sorted.remove(0).1);
        assert_eq!(self.timers.pop_due(end), expected);
        due
    }

    fn drain(&mut self) {
        let mut drained = self.timers.drain();
        drained.sort_unstable();
        let mut expected: Vec<_> = self.sorted.drain(..).map(|(_, number)| number).collect();
        expected.sort_unstable();
        assert_eq!(drained, expected);
    }

    fn compare(&self) {
        assert_eq!(self.timers.len(), self.sorted.len());
        assert_eq!(self.timers.is_empty(), self.sorted.is_empty());
        assert_eq!(self.timers.next_when(), self.sorted.first().map(|(when, _)| *when));
    }

    /// What is left comes out in order, and no key of old works any more.
    fn finish(mut self) {
        let mut all: Vec<_> = self.timers.iter().map(|(when, number)| (when, *number)).collect();
        all.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1)));
        assert_eq!(all, self.sorted);
        while self.pop_due(f64::INFINITY) {}
        assert!(self.sorted.iter().all(|(when, _)| *when == f64::INFINITY), "only these never come");
        self.drain();
        assert!(self.keys.iter().all(|key| self.timers.remove(*key).is_none()));
    }
}

fuzz_target!(|script: Vec<Step>| {
    let mut comparison = Comparison::default();
    for step in &script {
        comparison.apply(step);
        comparison.compare();
    }
    comparison.finish();
});
