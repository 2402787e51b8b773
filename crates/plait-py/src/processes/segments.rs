//! The memory in which long parts of messages cross, and the leases on it.
//!
//! Who sends copies them into a segment; who receives maps that privately and writable: it may change what it got, and nobody else sees it, least of all a
//! retry of the same call. As long as the receiver has the mapping, the segment is leased, and is not written to. A word in the memory of the link says so:
//! the sender sets it before it sends, the receiver clears it when the last view of the mapping is gone. A worker's end ends its leases, since its link goes too.
//!
//! A segment that is free again is warm: its pages are there, and mapped. Each sender keeps a bounded number of them, whose pages are given
//! back when nothing is sent for a while; the descriptor was handed over once, and a message names its place in a table. What
//! finds no place, because everything is leased, crosses in memory that is used once.
//!
//! A mapping that was there when its process forked lives on in the child, of which nobody hears: such a lease never ends, and the sender lets go of the segment.
//!
//! Rejected: a message for each lease that ends (a system call, and who is to read it may be busy with a call), a count of users in the memory itself (who is killed does not
//! count down).

use super::descriptors;
use memmap2::MmapMut;
use plait_core::fork;
use plait_core::shm::frame::SegmentName;
use plait_core::shm::memory::{private_copy, Memory};
use std::io::{Error, ErrorKind, Result};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Places in the table.
pub const SLOTS: usize = 16;
/// Parts of at least so many bytes go into a segment.
pub const LONG: usize = 64 * 1024;
/// A sender keeps at most so many bytes warm.
const MOST_WARM: usize = 256 * 1024 * 1024;

const FREE: u32 = 0;
const LEASED: u32 = 1;
/// It never ends: see above.
const LOST: u32 = 2;

/// The words of one direction.
#[derive(Clone)]
pub struct Leases {
    memory: Arc<Memory>,
    at: usize,
}

impl Leases {
    pub fn new(memory: Arc<Memory>, at: usize) -> Leases {
        Leases { memory, at }
    }

    fn get(&self, slot: usize) -> u32 {
        // Acquire: the receiver is through with the segment.
        self.memory.word(self.at + 4 * slot).load(Ordering::Acquire)
    }

    fn set(&self, slot: usize, value: u32) {
        self.memory.word(self.at + 4 * slot).store(value, Ordering::Release);
    }
}

/// Memory of the sender's. Whoever has a reference to it may read it.
pub struct Segment {
    pub memory: Memory,
    name: SegmentName,
    /// Its pages are not there.
    cold: AtomicBool,
}

impl Segment {
    /// Copies parts in, each at its offset.
    pub fn fill<'a>(&self, parts: impl Iterator<Item = (usize, &'a [u8])>) -> Result<()> {
        let cold = self.cold.swap(false, Ordering::Relaxed);
        for (offset, part) in parts {
            match cold {
                true => self.memory.write_first(offset, part)?,
                false => self.memory.write(offset, part),
            }
        }
        Ok(())
    }
}

/// The segments of one sender.
pub struct Warm {
    leases: Leases,
    slots: [Option<Arc<Segment>>; SLOTS],
    generation: u32,
}

impl Warm {
    pub fn new(leases: Leases) -> Warm {
        Warm { leases, slots: Default::default(), generation: 0 }
    }

    /// One of at least this size, leased to the receiver, who has its descriptor. To be written to now.
    pub fn lend(&mut self, size: usize, socket: BorrowedFd<'_>) -> Result<(Arc<Segment>, SegmentName)> {
        self.forget_lost();
        let fits = |segment: &Segment| (size..=size.saturating_mul(4)).contains(&segment.memory.size());
        let free = |slot: &usize| self.free(*slot).is_some_and(fits);
        if let Some(slot) = (0..SLOTS).filter(free).min_by_key(|slot| self.size_of(*slot)) {
            self.leases.set(slot, LEASED);
            if let Some(segment) = &self.slots[slot] {
                return Ok((Arc::clone(segment), segment.name));
            }
        }
        let slot = self.place_for(size);
        self.generation = self.generation.wrapping_add(1);
        let name = SegmentName {
            slot: slot.and_then(|slot| u32::try_from(slot).ok()).unwrap_or(SegmentName::ONCE),
            generation: self.generation,
        };
        let memory = Memory::new("plait-segment", rounded(size))?;
        memory.prefer_large_pages();
        descriptors::send(socket, (name.slot, name.generation), memory.descriptor())?;
        let segment = Arc::new(Segment { memory, name, cold: AtomicBool::new(true) });
        if let Some(slot) = slot {
            self.leases.set(slot, LEASED);
            self.slots[slot] = Some(Arc::clone(&segment));
        }
        Ok((segment, name))
    }

    /// What was lent is not sent after all.
    pub fn take_back(&mut self, name: SegmentName) {
        if let Some(slot) = usize::try_from(name.slot).ok().filter(|slot| *slot < SLOTS) {
            self.leases.set(slot, FREE);
            self.slots[slot] = None;
        }
    }

    /// Gives the pages of what nobody uses back to the system.
    pub fn trim(&self) {
        for segment in (0..SLOTS).filter_map(|slot| self.free(slot)) {
            // Not to be had back: then it stays warm.
            if segment.memory.discard().is_ok() {
                segment.cold.store(true, Ordering::Relaxed);
            }
        }
    }

    /// How many bytes of memory are kept.
    pub fn bytes(&self) -> usize {
        (0..SLOTS).map(|slot| self.size_of(slot)).sum()
    }

    pub fn descriptors(&self, into: &mut Vec<i32>) {
        into.extend(self.slots.iter().flatten().map(|segment| segment.memory.descriptor().as_raw_fd()));
    }

    fn free(&self, slot: usize) -> Option<&Segment> {
        let segment = self.slots[slot].as_ref()?;
        let unused = Arc::strong_count(segment) == 1 && self.leases.get(slot) == FREE;
        unused.then_some(segment)
    }

    fn size_of(&self, slot: usize) -> usize {
        self.slots[slot].as_ref().map_or(0, |segment| segment.memory.size())
    }

    fn forget_lost(&mut self) {
        for slot in 0..SLOTS {
            if self.leases.get(slot) == LOST {
                self.slots[slot] = None;
                self.leases.set(slot, FREE);
            }
        }
    }

    /// Where a new one may be kept; what is there and free makes room. None: nowhere.
    fn place_for(&mut self, size: usize) -> Option<usize> {
        if size > MOST_WARM {
            return None;
        }
        for slot in 0..SLOTS {
            let enough = self.bytes() + rounded(size) <= MOST_WARM;
            if enough && self.slots.iter().any(Option::is_none) {
                break;
            }
            if self.free(slot).is_some() {
                self.slots[slot] = None;
            }
        }
        let enough = self.bytes() + rounded(size) <= MOST_WARM;
        self.slots.iter().position(Option::is_none).filter(|_| enough)
    }
}

/// A little more than asked for, so that the next one, a little longer, fits too.
fn rounded(size: usize) -> usize {
    let step = (size / 8).next_power_of_two().max(4096);
    size.next_multiple_of(step)
}

/// What a receiver has of the other side's segments.
pub struct Known {
    leases: Leases,
    slots: [Option<(u32, OwnedFd)>; SLOTS],
}

impl Known {
    pub fn new(leases: Leases) -> Known {
        Known { leases, slots: Default::default() }
    }

    pub fn descriptors(&self, into: &mut Vec<i32>) {
        into.extend(self.slots.iter().flatten().map(|(_, descriptor)| descriptor.as_raw_fd()));
    }

    /// Maps it, privately. `used`: so many bytes are in it.
    pub fn map(&mut self, name: SegmentName, used: usize, socket: BorrowedFd<'_>) -> Result<Arc<Lease>> {
        let slot = usize::try_from(name.slot).ok().filter(|slot| *slot < SLOTS);
        let lease = match slot {
            None => {
                let descriptor = handed_over(socket, name)?;
                Lease::new(private_copy(descriptor)?, None)
            }
            Some(slot) => {
                if self.slots[slot].as_ref().is_none_or(|(generation, _)| *generation != name.generation) {
                    self.slots[slot] = Some((name.generation, handed_over(socket, name)?));
                }
                let Some((_, descriptor)) = &self.slots[slot] else { return Err(nonsense()) };
                Lease::new(private_copy(descriptor.try_clone()?)?, Some((self.leases.clone(), slot)))
            }
        };
        if lease.map.len() < used {
            return Err(nonsense());
        }
        Ok(Arc::new(lease))
    }
}

fn handed_over(socket: BorrowedFd<'_>, name: SegmentName) -> Result<OwnedFd> {
    let (tag, descriptor) = descriptors::receive(socket)?;
    match tag == (name.slot, name.generation) {
        true => Ok(descriptor),
        false => Err(nonsense()),
    }
}

/// What came from another process cannot be.
pub fn nonsense() -> Error {
    Error::new(ErrorKind::InvalidData, "what another process has sent makes no sense")
}

/// A receiver's mapping of a segment. The lease ends with it.
pub struct Lease {
    map: ManuallyDrop<MmapMut>,
    of: Option<(Leases, usize)>,
    generation: u32,
    forks: u32,
}

impl Lease {
    fn new(map: MmapMut, of: Option<(Leases, usize)>) -> Lease {
        Lease { map: ManuallyDrop::new(map), of, generation: fork::generation(), forks: fork::attempts() }
    }
}

impl Lease {
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // SAFETY: it is not used any more, here or by anybody else. It has to be gone before the lease is.
        unsafe { ManuallyDrop::drop(&mut self.map) };
        // A child's copy of the mapping says nothing of its parent's.
        if let Some((leases, slot)) = self.of.take().filter(|_| self.generation == fork::generation()) {
            leases.set(slot, if self.forks == fork::attempts() { FREE } else { LOST });
        }
    }
}
