//! The timers against a model that is too simple to be wrong: a sorted map from (deadline,
//! insertion) to value.

use super::{OrderedTime, TimerKey, Timers, NO_SLOT, SMALL};
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A float in a total order of its own making, so that the model does not share the code under
/// test.
#[derive(Clone, Copy, Debug)]
struct Deadline(f64);

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.partial_cmp(&other.0).expect("the model holds no NaN")
    }
}
impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Deadline {}

fn deadline(when: f64) -> Deadline {
    Deadline(if when.is_nan() { f64::NEG_INFINITY } else { when })
}

#[derive(Clone, Debug)]
enum Step {
    Insert(f64),
    /// Removes by one of the keys ever given out, stale ones included.
    Remove(prop::sample::Index),
    PopDue(f64),
    Drain,
}

fn any_time() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (0..8i32).prop_map(f64::from),
        4 => prop::num::f64::ANY,
        1 => Just(f64::NAN),
        1 => Just(-f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(0.0),
        1 => Just(-0.0),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => any_time().prop_map(Step::Insert),
        10 => any::<prop::sample::Index>().prop_map(Step::Remove),
        10 => any_time().prop_map(Step::PopDue),
        1 => Just(Step::Drain),
    ]
}

#[derive(Default)]
struct Model {
    /// Deadline and serial number of each waiting timer. The serial number is also its value.
    waiting: BTreeMap<(Deadline, usize), ()>,
    keys: Vec<(TimerKey, Deadline)>,
}

impl Model {
    fn apply(&mut self, timers: &mut Timers<usize>, step: &Step) {
        match step {
            Step::Insert(when) => {
                let serial = self.keys.len();
                self.waiting.insert((deadline(*when), serial), ());
                self.keys.push((timers.insert(*when, serial), deadline(*when)));
            }
            Step::Remove(index) if !self.keys.is_empty() => {
                let serial = index.index(self.keys.len());
                let (key, when) = self.keys[serial];
                let expected = self.waiting.remove(&(when, serial)).map(|()| serial);
                assert_eq!(timers.remove(key), expected);
            }
            Step::Remove(_) => {}
            Step::PopDue(end) => {
                let first = self.waiting.first_key_value().map(|(key, ())| *key);
                let due = first.filter(|(when, _)| *when < deadline(*end));
                assert_eq!(timers.pop_due(*end), due.map(|(_, serial)| serial));
                due.and_then(|key| self.waiting.remove(&key));
            }
            Step::Drain => {
                let mut drained = timers.drain();
                drained.sort_unstable();
                assert_eq!(drained, self.serials());
                self.waiting.clear();
            }
        }
    }

    fn serials(&self) -> Vec<usize> {
        let mut serials: Vec<_> = self.waiting.keys().map(|(_, serial)| *serial).collect();
        serials.sort_unstable();
        serials
    }

    fn compare(&self, timers: &Timers<usize>) {
        assert_eq!(timers.len(), self.waiting.len());
        assert_eq!(timers.is_empty(), self.waiting.is_empty());
        let next = self.waiting.first_key_value().map(|((when, _), ())| when.0);
        assert_eq!(timers.next_when(), next);
        let mut seen: Vec<_> = timers.iter().map(|(when, serial)| (deadline(when), *serial)).collect();
        seen.sort_unstable();
        let expected: Vec<_> = self.waiting.keys().copied().collect();
        assert_eq!(seen, expected);
    }
}

/// The heap is a heap, each slot knows its place, and every vacant slot is on the free list once.
fn check_structure<T>(timers: &Timers<T>) {
    for (position, entry) in timers.heap.iter().enumerate() {
        let parent = &timers.heap[position.saturating_sub(1) / super::ARITY];
        assert!(parent.rank() <= entry.rank());
        let slot = &timers.slots[entry.slot as usize];
        assert!(slot.value.is_some());
        assert_eq!(slot.link as usize, position);
    }
    let mut vacant = 0;
    let mut index = timers.first_free;
    while index != NO_SLOT {
        let slot = &timers.slots[index as usize];
        assert!(slot.value.is_none());
        vacant += 1;
        index = slot.link;
    }
    assert_eq!(vacant + timers.heap.len(), timers.slots.len());
}

proptest! {
    #[test]
    fn behaves_as_the_model(steps in prop::collection::vec(any_step(), 0..300)) {
        let mut timers = Timers::new();
        let mut model = Model::default();
        for step in &steps {
            model.apply(&mut timers, step);
            model.compare(&timers);
            check_structure(&timers);
        }
    }

    #[test]
    fn running_out_of_sequence_numbers_changes_nothing(
        before in 0u32..40,
        steps in prop::collection::vec(any_step(), 40..200),
    ) {
        let mut timers = Timers::new();
        let mut model = Model::default();
        for step in &steps {
            // An empty heap starts again from zero, so keep it near the edge.
            timers.next_sequence = timers.next_sequence.max(u32::MAX - before);
            model.apply(&mut timers, step);
            model.compare(&timers);
            check_structure(&timers);
        }
    }

    #[test]
    fn large_bursts_keep_their_structure(
        count in SMALL..4 * SMALL,
        survivors in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        more in 0..2 * SMALL,
    ) {
        let mut timers = Timers::new();
        let keys: Vec<_> = (0..count).map(|n| timers.insert((n % 97) as f64, n)).collect();
        let survivors: Vec<_> = survivors.iter().map(|index| index.index(count)).collect();
        for (n, key) in keys.iter().enumerate().filter(|(n, _)| !survivors.contains(n)) {
            prop_assert_eq!(timers.remove(*key), Some(n));
        }
        check_structure(&timers);
        let fresh: Vec<_> = (0..more).map(|n| timers.insert(0.0, count + n)).collect();
        check_structure(&timers);
        for (n, key) in keys.iter().enumerate() {
            prop_assert_eq!(timers.remove(*key), survivors.contains(&n).then_some(n));
        }
        for (n, key) in fresh.into_iter().enumerate() {
            prop_assert_eq!(timers.remove(key), Some(count + n));
        }
        prop_assert!(timers.is_empty());
        check_structure(&timers);
    }

    #[test]
    fn times_survive_the_encoding(when in any_time()) {
        let decoded = OrderedTime::new(when).seconds();
        prop_assert_eq!(decoded, deadline(when).0);
    }

    #[test]
    fn the_encoding_sorts_as_the_times_do(a in any_time(), b in any_time()) {
        let encoded = OrderedTime::new(a).cmp(&OrderedTime::new(b));
        prop_assert_eq!(encoded, deadline(a).cmp(&deadline(b)));
    }
}

#[test]
fn equal_deadlines_fire_in_order_of_insertion() {
    let mut timers = Timers::new();
    for n in 0..100 {
        timers.insert(if n % 2 == 0 { 0.0 } else { -0.0 }, n);
    }
    let fired: Vec<_> = std::iter::from_fn(|| timers.pop_due(1.0)).collect();
    assert_eq!(fired, (0..100).collect::<Vec<_>>());
}

#[test]
fn due_means_strictly_before() {
    let mut timers = Timers::new();
    timers.insert(1.0, ());
    assert_eq!(timers.pop_due(1.0), None);
    assert_eq!(timers.pop_due(f64::NAN), None);
    assert_eq!(timers.pop_due(1.0 + f64::EPSILON), Some(()));
}

#[test]
fn not_a_number_is_due_and_infinity_never() {
    let mut timers = Timers::new();
    timers.insert(f64::INFINITY, "never");
    timers.insert(f64::MIN, "early");
    timers.insert(f64::NAN, "at once");
    assert_eq!(timers.next_when(), Some(f64::NEG_INFINITY));
    assert_eq!(timers.pop_due(f64::MIN), Some("at once"));
    assert_eq!(timers.pop_due(f64::INFINITY), Some("early"));
    assert_eq!(timers.pop_due(f64::INFINITY), None);
    assert_eq!(timers.len(), 1);
}

#[test]
fn a_timer_takes_32_bytes_and_its_key_8() {
    assert_eq!(size_of::<TimerKey>(), 8);
    assert_eq!(size_of::<super::Entry>(), 16);
    assert_eq!(size_of::<super::Slot<Box<()>>>(), 16);
}

#[test]
fn a_burst_gives_its_memory_back() {
    let mut timers = Timers::new();
    let first = timers.insert(0.0, 0);
    let keys: Vec<_> = (1..100_000).map(|n| timers.insert(f64::from(n), n)).collect();
    for key in &keys {
        assert!(timers.remove(*key).is_some());
    }
    assert_eq!(timers.len(), 1);
    assert!(timers.slots.capacity() <= 2 * SMALL, "{} slots kept", timers.slots.capacity());
    assert!(timers.heap.capacity() <= 2 * SMALL, "{} entries kept", timers.heap.capacity());
    // The slots of the burst are made anew for other timers; its keys must not reach them.
    for n in 0..100_000 {
        timers.insert(0.5, n);
    }
    assert!(keys.iter().all(|key| timers.remove(*key).is_none()));
    assert_eq!(timers.remove(first), Some(0));
}

#[test]
fn a_late_timer_in_the_last_slot_holds_the_slab_until_it_goes() {
    let mut timers = Timers::new();
    let keys: Vec<_> = (0..50_000).map(|n| timers.insert(f64::from(n), n)).collect();
    for key in &keys[..49_999] {
        assert!(timers.remove(*key).is_some());
    }
    check_structure(&timers);
    assert_eq!(timers.slots.len(), 50_000);
    assert_eq!(timers.remove(keys[49_999]), Some(49_999));
    assert_eq!(timers.slots.len(), 0);
    assert_eq!(timers.slots.capacity(), 0);
}

#[test]
fn draining_leaves_old_keys_stale() {
    let mut timers = Timers::new();
    let old = timers.insert(1.0, "old");
    assert_eq!(timers.drain(), ["old"]);
    let new = timers.insert(1.0, "new");
    assert_ne!(old, new);
    assert_eq!(timers.remove(old), None);
    assert_eq!(timers.remove(new), Some("new"));
}
