//! Where the words of primitives lie: 64 bytes each, many in one piece of memory.
//!
//! A process makes a piece when it needs one, so that 100,000 locks cost two descriptors. It is large, but the kernel gives pages to what is used
//! alone. Its first place says what it is.
//!
//! A place is used again when its primitive is dropped by the process that made it, if no other process can know it: it was not handed to one, and
//! this process has not forked since. All others stay as they are: nobody can tell when the last process that knows one is gone. They go with their piece, when
//! all primitives in it are dropped, of which the kernel keeps the account, whoever is killed. Rejected: counting the processes that know a place,
//! each of which may be killed without giving up its count; a descriptor for each primitive.

use super::super::identity::Identity;
use super::super::memory::Memory;
use super::{Place, WORDS};
use crate::fork;
use crate::sync::atomic::AtomicU64;
use crate::word_lock::WordLock;
use rustix::time::{clock_gettime, ClockId};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

const PLACE: usize = WORDS * size_of::<u64>();
/// How many places a piece has, the first for itself.
const PLACES: u32 = 65_536;
const SIZE: usize = PLACES as usize * PLACE;

/// "plaitlck", and a version.
const MAGIC: u64 = u64::from_le_bytes(*b"plaitlk1");
const HEAD_MAGIC: usize = 0;
const HEAD_NAMESPACE: usize = 8;
/// Who made it, and when: together its name.
const HEAD_MAKER: usize = 16;
const HEAD_TIME: usize = 24;

/// A piece of memory with places for primitives.
pub struct Segment {
    memory: Memory,
    /// In which generation of processes it was made here; None: elsewhere.
    made_in: Option<u32>,
    /// The namespace of process ids of who made it.
    home: u64,
    free: WordLock<Free>,
}

/// Which places of a piece can be given out, by the process that made it.
struct Free {
    returned: Vec<u32>,
    next: u32,
}

impl Segment {
    fn new() -> io::Result<Segment> {
        let memory = Memory::among_kin("plait-locks", SIZE)?;
        memory.double_word(HEAD_NAMESPACE).store(Identity::namespace(), Ordering::Relaxed);
        memory.double_word(HEAD_MAKER).store(Identity::current().pack(), Ordering::Relaxed);
        let now = clock_gettime(ClockId::Boottime);
        let time = (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64);
        memory.double_word(HEAD_TIME).store(time, Ordering::Relaxed);
        memory.double_word(HEAD_MAGIC).store(MAGIC, Ordering::Release);
        Ok(Segment::of(memory, Some(fork::generation())))
    }

    /// One that another process made.
    ///
    /// # Errors
    ///
    /// InvalidInput: it is something else. Or what mapping it says.
    pub fn open(descriptor: OwnedFd) -> io::Result<Segment> {
        let memory = Memory::open_from_kin(descriptor)?;
        if memory.size() != SIZE || memory.double_word(HEAD_MAGIC).load(Ordering::Acquire) != MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "memory that has no locks in it"));
        }
        Ok(Segment::of(memory, None))
    }

    fn of(memory: Memory, made_in: Option<u32>) -> Segment {
        let home = memory.double_word(HEAD_NAMESPACE).load(Ordering::Relaxed);
        let free = WordLock::new(Free { returned: Vec::new(), next: 1 });
        Segment { home, memory, made_in, free }
    }

    /// What is handed to another process.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.memory.descriptor()
    }

    /// Its name, another one for each.
    pub fn name(&self) -> [u64; 3] {
        [HEAD_NAMESPACE, HEAD_MAKER, HEAD_TIME].map(|at| self.memory.double_word(at).load(Ordering::Relaxed))
    }

    fn is_ours(&self) -> bool {
        self.made_in == Some(fork::generation())
    }

    fn give_out(&self) -> Option<u32> {
        let mut free = self.free.lock();
        if let Some(index) = free.returned.pop() {
            return Some(index);
        }
        let index = free.next;
        (index < PLACES).then(|| {
            free.next += 1;
            index
        })
    }

    fn word(&self, place: u32, index: usize) -> &AtomicU64 {
        self.memory.double_word(place as usize * PLACE + index * size_of::<u64>())
    }

    /// A place that another process told of. None: there is no such place.
    pub fn slot(self: &Arc<Self>, index: u32) -> Option<Slot> {
        (1..PLACES).contains(&index).then(|| Slot::of(Arc::clone(self), index))
    }
}

/// A primitive's place.
pub struct Slot {
    segment: Arc<Segment>,
    index: u32,
    /// See `fork::attempts`.
    forks: u32,
    shown: AtomicBool,
}

impl Slot {
    fn of(segment: Arc<Segment>, index: u32) -> Slot {
        Slot { segment, index, forks: fork::attempts(), shown: AtomicBool::new(false) }
    }

    /// In which piece it lies, and as which of its places: for another process, which is about to be told.
    pub fn show(&self) -> (&Arc<Segment>, u32) {
        self.shown.store(true, Ordering::Relaxed);
        (&self.segment, self.index)
    }

    /// The same, to look at.
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl Place for Slot {
    #[inline]
    fn word(&self, index: usize) -> &AtomicU64 {
        debug_assert!(index < WORDS);
        self.segment.word(self.index, index)
    }

    fn knows_processes(&self) -> bool {
        // Asked each time: a child may live in another one than its parent.
        self.segment.home == Identity::namespace()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let known_elsewhere = *self.shown.get_mut() || self.forks != fork::attempts();
        if !known_elsewhere && self.segment.is_ours() {
            (0..WORDS).for_each(|index| self.word(index).store(0, Ordering::Relaxed));
            self.segment.free.lock().returned.push(self.index);
        }
    }
}

/// The pieces that this process has made.
#[derive(Default)]
pub struct Pool {
    /// Kept, so that a program that makes and drops one lock after the other does not make memory each time.
    newest: Option<Arc<Segment>>,
    older: Vec<Weak<Segment>>,
}

impl Pool {
    /// A place for a new primitive.
    ///
    /// # Errors
    ///
    /// What making memory says.
    pub fn slot(&mut self) -> io::Result<Slot> {
        let newest = self.newest.as_ref().filter(|segment| segment.is_ours());
        match newest.and_then(|segment| segment.give_out().map(|index| (segment, index))) {
            Some((segment, index)) => Ok(Slot::of(Arc::clone(segment), index)),
            None => self.slot_elsewhere(),
        }
    }

    /// In an older piece, in which there is room again; or in a new one.
    #[cold]
    fn slot_elsewhere(&mut self) -> io::Result<Slot> {
        self.older.retain(|segment| segment.upgrade().is_some_and(|segment| segment.is_ours()));
        for segment in self.older.iter().filter_map(Weak::upgrade) {
            if let Some(index) = segment.give_out() {
                return Ok(Slot::of(segment, index));
            }
        }
        let segment = Arc::new(Segment::new()?);
        if let Some(full) = self.newest.replace(Arc::clone(&segment)) {
            self.older.push(Arc::downgrade(&full));
        }
        let index = segment.give_out().unwrap_or(1);
        Ok(Slot::of(segment, index))
    }
}
