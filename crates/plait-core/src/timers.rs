//! The one timer structure: what is to happen later, earliest first.
//!
//! A 4-ary min-heap says who is next; a slab holds the values and knows where in the heap each of
//! them stands, so that cancelling takes the entry out at once. A heap entry is 16 bytes, so four
//! children are 64, next to each other, and comparing them never leaves the heap; only an entry
//! that moves is noted in its slot. Two and eight children were measured too: slower to fire and
//! renew, from ten waiting timers to a million.
//!
//! Rejected:
//! - marking cancelled timers and sweeping later, as asyncio does: a server cancels nearly all of
//!   its time-outs, so the heap would be mostly corpses, each keeping a Python object alive;
//! - a timer wheel: constant time, but it rounds deadlines to ticks, while asyncio's rules are
//!   about exact floats;
//! - a balanced tree: more memory per timer, and its nodes lie scattered.
//!
//! Equal deadlines fire in the order of insertion. Each entry therefore carries a 32-bit sequence
//! number; when these run out the heap is renumbered in order, which a sorted array survives
//! because it is a heap.
//!
//! A key names a slot and the generation it was given out under. Generations count insertions over
//! the whole structure, not per slot: the slab may then give slots back to the allocator and make
//! them anew without an old key ever matching.

/// Children per entry.
const ARITY: usize = 4;
/// Ends the chain of vacant slots.
const NO_SLOT: u32 = u32::MAX;
/// Below this many slots memory is not worth tidying.
const SMALL: usize = 1024;

/// Names one timer, for [`Timers::remove`]. Stays harmless after the timer has fired or been
/// removed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerKey {
    index: u32,
    generation: u32,
}

/// Timers, each with a deadline in seconds and a value.
///
/// A NaN deadline counts as minus infinity, due at once; a deadline of infinity never comes.
#[derive(Debug)]
pub struct Timers<T> {
    heap: Vec<Entry>,
    slots: Vec<Slot<T>>,
    first_free: u32,
    next_sequence: u32,
    next_generation: u32,
    /// Tidy up when fewer timers than this are left.
    trim_below: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    when: OrderedTime,
    sequence: u32,
    slot: u32,
}

impl Entry {
    /// Orders entries: by time, then by insertion. One wide integer compares without a branch.
    #[inline]
    fn rank(&self) -> u128 {
        (u128::from(self.when.0) << 32) | u128::from(self.sequence)
    }
}

#[derive(Debug)]
struct Slot<T> {
    /// None in a vacant slot.
    value: Option<T>,
    generation: u32,
    /// Where the entry stands in the heap; in a vacant slot, the next vacant one.
    link: u32,
}

/// A time as an integer that sorts as the time does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct OrderedTime(u64);

impl OrderedTime {
    const SIGN: u64 = 1 << 63;

    #[inline]
    fn new(seconds: f64) -> Self {
        // Adding zero turns -0.0 into 0.0: they are the same moment.
        let seconds = if seconds.is_nan() { f64::NEG_INFINITY } else { seconds + 0.0 };
        let bits = seconds.to_bits();
        Self(if bits & Self::SIGN == 0 { bits | Self::SIGN } else { !bits })
    }

    #[inline]
    fn seconds(self) -> f64 {
        f64::from_bits(if self.0 & Self::SIGN != 0 { self.0 & !Self::SIGN } else { !self.0 })
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Timers<T> {
    /// No timers. Allocates nothing.
    pub const fn new() -> Self {
        Self {
            heap: Vec::new(),
            slots: Vec::new(),
            first_free: NO_SLOT,
            next_sequence: 0,
            next_generation: 0,
            trim_below: 0,
        }
    }

    /// How many timers wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Adds a timer.
    ///
    /// # Panics
    /// When four billion timers wait already.
    #[inline]
    pub fn insert(&mut self, when: f64, value: T) -> TimerKey {
        let sequence = self.take_sequence();
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let index = self.occupy(value, generation);
        let position = self.heap.len();
        self.heap.push(Entry { when: OrderedTime::new(when), sequence, slot: index });
        self.sift_up(position);
        TimerKey { index, generation }
    }

    /// Takes a timer out; None if it has fired or was removed before.
    #[inline]
    pub fn remove(&mut self, key: TimerKey) -> Option<T> {
        let slot = self.slots.get(key.index as usize)?;
        if slot.generation != key.generation || slot.value.is_none() {
            return None;
        }
        self.remove_at(slot.link as usize)
    }

    /// The earliest deadline.
    #[inline]
    pub fn next_when(&self) -> Option<f64> {
        self.heap.first().map(|entry| entry.when.seconds())
    }

    /// Takes out the earliest timer if its deadline lies before `end`. Strictly before, as in
    /// asyncio.
    #[inline]
    pub fn pop_due(&mut self, end: f64) -> Option<T> {
        if self.heap.first()?.when < OrderedTime::new(end) {
            self.remove_at(0)
        } else {
            None
        }
    }

    /// All timers with their deadlines, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (f64, &T)> {
        self.heap.iter().filter_map(|entry| {
            let value = self.slots[entry.slot as usize].value.as_ref()?;
            Some((entry.when.seconds(), value))
        })
    }

    /// Takes out everything, in no particular order. Keys given out before stay stale for ever.
    pub fn drain(&mut self) -> Vec<T> {
        let slots = std::mem::take(&mut self.slots);
        *self = Self { next_generation: self.next_generation, ..Self::new() };
        slots.into_iter().filter_map(|slot| slot.value).collect()
    }

    fn take_sequence(&mut self) -> u32 {
        if self.heap.is_empty() {
            self.next_sequence = 0;
        } else if self.next_sequence == u32::MAX {
            self.renumber();
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        sequence
    }

    #[cold]
    fn renumber(&mut self) {
        self.heap.sort_unstable_by_key(Entry::rank);
        for (position, entry) in (0u32..).zip(&mut self.heap) {
            entry.sequence = position;
            self.slots[entry.slot as usize].link = position;
        }
        self.next_sequence = self.heap.len() as u32;
    }

    #[inline]
    fn occupy(&mut self, value: T, generation: u32) -> u32 {
        let index = self.first_free;
        if let Some(slot) = self.slots.get_mut(index as usize) {
            self.first_free = slot.link;
            slot.value = Some(value);
            slot.generation = generation;
            return index;
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(NO_SLOT);
        assert!(index != NO_SLOT, "too many timers");
        self.slots.push(Slot { value: Some(value), generation, link: NO_SLOT });
        if self.slots.len() > SMALL {
            self.trim_below = self.slots.len() / 4;
        }
        index
    }

    #[inline]
    fn remove_at(&mut self, position: usize) -> Option<T> {
        let removed = self.heap[position].slot;
        let last = self.heap.pop()?;
        if position < self.heap.len() {
            let rises = position > 0 && last.rank() < self.heap[(position - 1) / ARITY].rank();
            self.heap[position] = last;
            if rises {
                self.sift_up(position);
            } else {
                self.sift_down(position);
            }
        }
        let slot = &mut self.slots[removed as usize];
        let value = slot.value.take();
        slot.link = self.first_free;
        self.first_free = removed;
        if self.heap.len() < self.trim_below {
            self.trim();
        }
        value
    }

    #[inline]
    fn place(&mut self, position: usize, entry: Entry) {
        self.heap[position] = entry;
        self.slots[entry.slot as usize].link = position as u32;
    }

    #[inline]
    fn sift_up(&mut self, mut position: usize) {
        let entry = self.heap[position];
        while position > 0 {
            let parent = (position - 1) / ARITY;
            if self.heap[parent].rank() <= entry.rank() {
                break;
            }
            self.place(position, self.heap[parent]);
            position = parent;
        }
        self.place(position, entry);
    }

    fn sift_down(&mut self, mut position: usize) {
        let entry = self.heap[position];
        loop {
            let first = position * ARITY + 1;
            let end = self.heap.len().min(first + ARITY);
            let children = self.heap.get(first..end).unwrap_or_default();
            let Some((nth, child)) = children.iter().enumerate().min_by_key(|(_, e)| e.rank()) else {
                break;
            };
            if entry.rank() <= child.rank() {
                break;
            }
            self.place(position, *child);
            position = first + nth;
        }
        self.place(position, entry);
    }

    /// Gives memory back after a burst: the vacant slots at the end, and what both vectors hold in
    /// reserve.
    ///
    /// A slot cannot move, because its key is out there, so one late timer in the last slot keeps
    /// the slab long until it goes. Vacant slots are then chained from the lowest, which lets
    /// the end run dry. Each scan is paid for: the next comes when half of the remaining timers
    /// are gone, or after the slab has grown.
    #[cold]
    fn trim(&mut self) {
        while self.slots.last().is_some_and(|slot| slot.value.is_none()) {
            self.slots.pop();
        }
        self.first_free = NO_SLOT;
        for (index, slot) in self.slots.iter_mut().enumerate().rev() {
            if slot.value.is_none() {
                slot.link = self.first_free;
                self.first_free = index as u32;
            }
        }
        self.slots.shrink_to(2 * self.slots.len());
        self.heap.shrink_to(2 * self.heap.len());
        self.trim_below =
            if self.slots.len() > SMALL { (self.heap.len() / 2).clamp(1, self.slots.len() / 4) } else { 0 };
    }
}

#[cfg(test)]
mod tests;
