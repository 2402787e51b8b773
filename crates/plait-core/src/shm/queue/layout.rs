//! Where everything lies in the memory of a queue, and the two words that say what is in it.
//!
//! The ring is counted in units of eight bytes. A record is a header of one unit (how many bytes follow, and what they are) and its bytes. Each end of
//! the ring is one double word: its position, how many messages have passed it, and at the tail whether the last one is still incomplete. One operation
//! changes all of it, so that a process that is killed has done all or nothing.
//!
//! At the tail a message has passed when it counts: when it is in the ring, or before, when it waits outside and has its place for sure. So the difference of
//! the counts is how many there are, at any moment, and who adds one compares and exchanges the word that says that there is a place. Rejected: the
//! number of those outside in a word of its own, which two may find small enough at the same time, and which counts a message twice on its way in.
//!
//! What the processes write to most lies in cache lines of its own.

use super::lock::Lock;
use super::signal::Signal;
use crate::shm::identity::Identity;
use crate::shm::memory::Memory;
use crate::sync::atomic::{AtomicU32, AtomicU64};
use std::io;

/// Bytes of a unit.
pub const UNIT: usize = 8;

const MAGIC: u32 = 0x706c_7133;
const MAGIC_AT: usize = 0;
const MAXSIZE_AT: usize = 4;
const DONE_AT: usize = 12;
const ITEMS_WATCHED_AT: usize = 16;
const SLOTS_WATCHED_AT: usize = 20;
const NAMESPACE_AT: usize = 24;
const JOIN_AT: usize = 32;
const TAIL_AT: usize = 64;
const HEAD_AT: usize = 128;
const ITEMS_AT: usize = 192;
const SLOTS_AT: usize = 256;
const ROOM_AT: usize = 272;
const RING_AT: usize = 4096;

/// From the word of an end to its lock, and from that to the lock's signal.
const LOCK_AFTER: usize = 8;
const SIGNAL_AFTER: usize = 16;

const PARTIAL: u64 = 1 << 63;
const POSITIONS: u32 = 0x7fff_ffff;

/// One end of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// In units, counted on and on.
    pub position: u32,
    /// How many messages have passed; at the tail, with those that wait outside.
    pub count: u32,
    /// The last message is incomplete.
    pub partial: bool,
}

impl End {
    #[inline]
    pub fn from_word(word: u64) -> End {
        End { position: (word >> 32) as u32 & POSITIONS, count: word as u32, partial: word & PARTIAL != 0 }
    }

    #[inline]
    pub fn to_word(self) -> u64 {
        let partial = if self.partial { PARTIAL } else { 0 };
        partial | u64::from(self.position & POSITIONS) << 32 | u64::from(self.count)
    }

    /// The same, so many units on.
    #[inline]
    pub fn after(self, units: u32) -> End {
        End { position: self.position.wrapping_add(units) & POSITIONS, ..self }
    }
}

/// How many units lie between the ends. None: what the words say cannot be.
#[inline]
pub fn used(head: End, tail: End, capacity: u32) -> Option<u32> {
    let used = tail.position.wrapping_sub(head.position) & POSITIONS;
    (used <= capacity).then_some(used)
}

/// How many units that many bytes take.
#[inline]
pub fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

/// The memory of a queue, and names for its parts.
#[derive(Debug)]
pub struct Layout {
    memory: Memory,
    /// Of the ring, in units: a power of two.
    pub capacity: u32,
    /// 0: as many messages as there is room for.
    pub maxsize: u32,
    /// The namespace of process ids of who made it: see `lock`.
    home: u64,
}

impl Layout {
    pub fn create(maxsize: u32, capacity: u32) -> io::Result<Layout> {
        assert!(capacity.is_power_of_two() && capacity < POSITIONS / 2);
        let memory = Memory::among_kin("plait-queue", RING_AT + capacity as usize * UNIT)?;
        let home = Identity::namespace();
        memory.write(MAXSIZE_AT, &maxsize.to_ne_bytes());
        memory.write(NAMESPACE_AT, &home.to_ne_bytes());
        memory.write(MAGIC_AT, &MAGIC.to_ne_bytes());
        Ok(Layout { memory, capacity, maxsize, home })
    }

    pub fn open(memory: Memory) -> io::Result<Layout> {
        let refused = || io::Error::new(io::ErrorKind::InvalidData, "this memory is no queue");
        let ring = memory.size().checked_sub(RING_AT).ok_or_else(refused)?;
        let capacity = u32::try_from(ring / UNIT).map_err(|_| refused())?;
        let number = |offset| {
            let mut bytes = [0; 4];
            memory.read(offset, &mut bytes);
            u32::from_ne_bytes(bytes)
        };
        let (magic, maxsize) = (number(MAGIC_AT), number(MAXSIZE_AT));
        if magic != MAGIC || !capacity.is_power_of_two() || capacity >= POSITIONS / 2 {
            return Err(refused());
        }
        let mut home = [0; 8];
        memory.read(NAMESPACE_AT, &mut home);
        Ok(Layout { memory, capacity, maxsize, home: u64::from_ne_bytes(home) })
    }

    /// As if it had been made where process ids mean something else.
    #[cfg(test)]
    pub fn carry_elsewhere(&self) {
        self.memory.write(NAMESPACE_AT, &self.home.wrapping_add(1).to_ne_bytes());
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    #[inline]
    pub fn tail(&self) -> &AtomicU64 {
        self.memory.double_word(TAIL_AT)
    }

    #[inline]
    pub fn head(&self) -> &AtomicU64 {
        self.memory.double_word(HEAD_AT)
    }

    /// Whose turn it is to put.
    #[inline]
    pub fn tail_lock(&self) -> Lock<'_> {
        self.lock(TAIL_AT)
    }

    /// Whose turn it is to get.
    #[inline]
    pub fn head_lock(&self) -> Lock<'_> {
        self.lock(HEAD_AT)
    }

    #[inline]
    fn lock(&self, end: usize) -> Lock<'_> {
        Lock::new(self.memory.double_word(end + LOCK_AFTER), self.signal(end + SIGNAL_AFTER), self.home)
    }

    /// There is something to get.
    #[inline]
    pub fn items(&self) -> Signal<'_> {
        self.signal(ITEMS_AT)
    }

    /// There is one message less than `maxsize`.
    #[inline]
    pub fn slots(&self) -> Signal<'_> {
        self.signal(SLOTS_AT)
    }

    /// There are bytes free.
    #[inline]
    pub fn room(&self) -> Signal<'_> {
        self.signal(ROOM_AT)
    }

    /// All tasks are done.
    pub fn joined(&self) -> Signal<'_> {
        self.signal(JOIN_AT)
    }

    /// How many messages were said to be done.
    pub fn done(&self) -> &AtomicU32 {
        self.memory.word(DONE_AT)
    }

    /// Whether somebody watches the queue by a descriptor, for messages.
    #[inline]
    pub fn items_watched(&self) -> &AtomicU32 {
        self.memory.word(ITEMS_WATCHED_AT)
    }

    /// The same for free places.
    #[inline]
    pub fn slots_watched(&self) -> &AtomicU32 {
        self.memory.word(SLOTS_WATCHED_AT)
    }

    #[inline]
    fn signal(&self, offset: usize) -> Signal<'_> {
        let [event, announced, served] = [0, 4, 8].map(|after| self.memory.word(offset + after));
        Signal::new(event, announced, served)
    }

    /// Writes bytes so many units behind a position.
    #[inline]
    pub fn write(&self, position: u32, bytes: &[u8]) {
        let at = self.offset(position);
        let until_end = self.capacity as usize * UNIT - at;
        if bytes.len() <= until_end {
            self.memory.write(RING_AT + at, bytes);
        } else {
            let (first, rest) = bytes.split_at(until_end);
            self.memory.write(RING_AT + at, first);
            self.memory.write(RING_AT, rest);
        }
    }

    /// Reads what was written so.
    #[inline]
    pub fn read(&self, position: u32, into: &mut [u8]) {
        let at = self.offset(position);
        let until_end = self.capacity as usize * UNIT - at;
        if into.len() <= until_end {
            self.memory.read(RING_AT + at, into);
        } else {
            let (first, rest) = into.split_at_mut(until_end);
            self.memory.read(RING_AT + at, first);
            self.memory.read(RING_AT, rest);
        }
    }

    #[inline]
    fn offset(&self, position: u32) -> usize {
        (position & (self.capacity - 1)) as usize * UNIT
    }
}

/// What a record's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes that follow.
    pub length: u32,
    pub kind: u32,
}

/// A message begins with this record; it ends with it; or it will never be complete.
pub const FIRST: u32 = 1;
pub const LAST: u32 = 2;
pub const ABANDONED: u32 = 4;

impl Header {
    #[inline]
    pub fn to_bytes(self) -> [u8; UNIT] {
        (u64::from(self.kind) << 32 | u64::from(self.length)).to_ne_bytes()
    }

    #[inline]
    pub fn from_bytes(bytes: [u8; UNIT]) -> Header {
        let word = u64::from_ne_bytes(bytes);
        Header { length: word as u32, kind: (word >> 32) as u32 }
    }
}
