//! A queue of messages between any number of processes: byte strings of any length, first in, first out.
//!
//! The messages lie in one ring in shared memory. Who puts holds the tail's lock, who gets the head's, so that one of each may be at work at the same time;
//! a lock whose holder was killed is taken over (`lock`). What either end has done becomes true by the last store that it makes: a message is
//! in the queue or is not, and is out of it or is not (`layout`). Whoever finds nothing to do sleeps on a word, and nobody makes a system call for
//! somebody who does not sleep (`signal`).
//!
//! A message of more than half the ring goes in pieces, and keeps both ends for itself until it has passed. If its writer dies meanwhile, the
//! next one at the tail, or its reader, ends it as abandoned; if its reader dies, the next one skips the rest. So what a killed process held is lost,
//! and nothing else.
//!
//! Messages that are put where there is no room may wait in the process that puts them ([`backlog`]). They count as if they were in the ring ([`Queue::reserve`]).
//!
//! Rejected: a sequence number in each slot, with no lock at all: who is killed between taking a slot and filling it stops everybody; a memfd for each long
//! message, since a descriptor cannot be put into shared memory.
//!
//! Read `layout`, `signal`, `lock`, then `put` and `get`.

pub mod backlog;
mod bell;
mod get;
mod layout;
pub mod life;
mod lock;
mod put;
mod signal;
#[cfg(all(test, not(miri)))]
mod tests;

pub use get::{Got, Taker};
pub use put::{Put, Putter};
pub use signal::{Signal, Ticket, LONGEST_SLEEP};

use super::memory::Memory;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use bell::Bell;
use layout::{used, End, Layout};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// The ring's size in bytes: four of the standard library's pipes. The memory is there when it is first written to.
pub const CAPACITY: usize = 256 * 1024;

/// How often a reader tries to say that there is nothing more.
const MOST_TRIES: usize = 20;

/// The shared memory holds what no process of ours has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// Which end of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where messages are put.
    Tail,
    /// Where they are got.
    Head,
}

/// One process's view of the queue.
#[derive(Debug)]
pub struct Queue {
    layout: Layout,
    items_bell: Bell,
    /// Of a queue with a bound.
    slots_bell: Option<Bell>,
}

/// What a process needs to have a part in a queue, to be handed over by whatever means.
#[derive(Debug)]
pub struct Descriptors<D> {
    /// The memory.
    pub memory: D,
    /// What is readable while there are messages.
    pub items: D,
    /// What is readable while there are free places, of a queue with a bound.
    pub slots: Option<D>,
}

impl Queue {
    /// A new one. `maxsize`: how many messages it may hold; 0: any number.
    ///
    /// # Errors
    ///
    /// As [`Memory::among_kin`].
    pub fn new(maxsize: u32) -> io::Result<Queue> {
        Queue::with_capacity(maxsize, CAPACITY)
    }

    fn with_capacity(maxsize: u32, bytes: usize) -> io::Result<Queue> {
        Ok(Queue {
            layout: Layout::create(maxsize, (bytes / layout::UNIT) as u32)?,
            items_bell: Bell::new()?,
            slots_bell: (maxsize != 0).then(Bell::new).transpose()?,
        })
    }

    /// One that another process has made.
    ///
    /// # Errors
    ///
    /// InvalidData: it is no queue. Else as [`Memory::open_from_kin`].
    pub fn open(descriptors: Descriptors<OwnedFd>) -> io::Result<Queue> {
        Ok(Queue {
            layout: Layout::open(Memory::open_from_kin(descriptors.memory)?)?,
            items_bell: Bell::open(descriptors.items),
            slots_bell: descriptors.slots.map(Bell::open),
        })
    }

    /// What another process opens.
    pub fn descriptors(&self) -> Descriptors<BorrowedFd<'_>> {
        Descriptors {
            memory: self.layout.memory().descriptor(),
            items: self.items_bell.descriptor(),
            slots: self.slots_bell.as_ref().map(Bell::descriptor),
        }
    }

    /// How many messages it may hold; 0: any number.
    pub fn maxsize(&self) -> u32 {
        self.layout.maxsize
    }

    /// Whether a message of so many bytes goes in pieces, for which its writer may have to wait in the midst of it.
    #[inline]
    pub fn is_long(&self, bytes: usize) -> bool {
        layout::units(bytes) >= self.layout.capacity as usize / 2
    }

    fn ends(&self) -> (End, End) {
        // The head first: the tail is never behind a head that was seen before.
        let head = End::from_word(self.layout.head().load(SeqCst));
        (head, End::from_word(self.layout.tail().load(SeqCst)))
    }

    /// Whether there is nothing to get, not even a piece.
    #[inline]
    pub fn is_empty(&self) -> bool {
        let (head, tail) = self.ends();
        head.position == tail.position
    }

    /// How many messages there are, with those that wait outside of the ring.
    #[inline]
    pub fn len(&self) -> u32 {
        let (head, tail) = self.ends();
        let all = tail.count.wrapping_sub(head.count);
        // What a process had still to send when it was killed counts for ever. Less than none there is only in damaged memory.
        if all as i32 > 0 {
            all
        } else {
            0
        }
    }

    /// Whether there are as many as there may be.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.layout.maxsize != 0 && self.len() >= self.layout.maxsize
    }

    /// Counts a message as put that is not in the ring yet. False: there are as many as there may be.
    #[must_use]
    pub fn reserve(&self) -> bool {
        self.change_tail(|tail| {
            self.has_place(tail).then_some(End { count: tail.count.wrapping_add(1), ..tail })
        })
    }

    /// Whether one more may be put when that is the tail.
    #[inline]
    fn has_place(&self, tail: End) -> bool {
        let maxsize = self.layout.maxsize;
        // A head that has gone on since leaves one place more.
        let all = || tail.count.wrapping_sub(End::from_word(self.layout.head().load(SeqCst)).count);
        maxsize == 0 || (all() as i32) < maxsize as i32
    }

    /// False: it stays as it is, since there is nothing to change it to. Its position is changed by nobody but who holds the tail.
    #[inline]
    fn change_tail(&self, to: impl Fn(End) -> Option<End>) -> bool {
        let tail = self.layout.tail();
        let mut word = tail.load(Relaxed);
        while let Some(next) = to(End::from_word(word)) {
            // SeqCst: see `signal`. It also publishes what was written to the ring.
            match tail.compare_exchange_weak(word, next.to_word(), SeqCst, Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Takes the count of so many messages back that will never be in the ring.
    pub fn unreserve(&self, count: u32) {
        self.change_tail(|tail| Some(End { count: tail.count.wrapping_sub(count), ..tail }));
        if self.layout.maxsize != 0 {
            self.layout.slots().notify_all();
            self.ring_slots_bell();
        }
        self.mark_joined();
    }

    /// How many messages were put and not said to be done.
    pub fn unfinished(&self) -> u32 {
        self.unfinished_of(self.layout.done().load(SeqCst))
    }

    fn unfinished_of(&self, done: u32) -> u32 {
        End::from_word(self.layout.tail().load(SeqCst)).count.wrapping_sub(done)
    }

    /// To be called by whoever may have made an end of what was not done.
    fn mark_joined(&self) {
        if self.unfinished() == 0 {
            self.layout.joined().mark_all();
        }
    }

    /// Says that one message is done. False: all were already.
    #[must_use]
    pub fn task_done(&self) -> bool {
        let done = self.layout.done();
        let mut before = done.load(SeqCst);
        loop {
            if self.unfinished_of(before) as i32 <= 0 {
                return false;
            }
            match done.compare_exchange(before, before.wrapping_add(1), SeqCst, SeqCst) {
                Ok(_) => break,
                Err(now) => before = now,
            }
        }
        self.mark_joined();
        true
    }

    /// Who waits for all messages to be done announces himself here, and looks at [`Queue::unfinished`] then.
    pub fn joined(&self) -> Signal<'_> {
        self.layout.joined()
    }

    /// Who waits for a message.
    pub fn items(&self) -> Signal<'_> {
        self.layout.items()
    }

    /// Who could not put sleeps on this.
    ///
    /// # Panics
    ///
    /// It could.
    pub fn signal_after(&self, put: Put) -> Signal<'_> {
        match put {
            Put::Done => panic!("there is nothing to wait for"),
            Put::Full => self.layout.slots(),
            Put::NoRoom => self.layout.room(),
            Put::Busy => self.layout.tail_lock().signal(),
        }
    }

    /// Who could not get sleeps on this.
    ///
    /// # Panics
    ///
    /// It could.
    pub fn signal_unless(&self, got: Got) -> Signal<'_> {
        match got {
            Got::Message => panic!("there is nothing to wait for"),
            Got::Empty | Got::More => self.layout.items(),
            Got::Busy => self.layout.head_lock().signal(),
        }
    }

    /// Passes a wake-up on that its receiver had no use for.
    pub fn pass_on(&self) {
        if !self.is_empty() {
            self.layout.items().notify_one();
        }
        if self.layout.maxsize != 0 && !self.is_full() {
            self.layout.slots().notify_one();
        }
    }

    /// From now on its descriptor tells whether there are messages: it is readable then, until a reader has taken the last. To call it again rings again.
    pub fn watch_items(&self) -> BorrowedFd<'_> {
        self.layout.items_watched().store(1, SeqCst);
        if !self.is_empty() {
            self.items_bell.ring();
        }
        self.items_bell.descriptor()
    }

    /// The same for free places, of a queue with a bound.
    pub fn watch_slots(&self) -> Option<BorrowedFd<'_>> {
        let bell = self.slots_bell.as_ref()?;
        self.layout.slots_watched().store(1, SeqCst);
        if !self.is_full() {
            bell.ring();
        }
        Some(bell.descriptor())
    }

    /// To be called by whoever has the tail. Says whether somebody watches.
    #[inline]
    fn ring_items_bell(&self) -> bool {
        let watched = self.layout.items_watched().load(SeqCst) != 0;
        if watched {
            self.items_bell.ring();
        }
        watched
    }

    #[inline]
    fn ring_slots_bell(&self) {
        if let (true, Some(bell)) = (self.layout.slots_watched().load(SeqCst) != 0, &self.slots_bell) {
            bell.ring();
        }
    }

    /// To be called by whoever may have taken the last message.
    ///
    /// A writer rings while it has the tail. So whoever clears has it too: what was rung for is in the ring, and a program that gets when it is
    /// told so, as from a pipe, finds a message, and is not told twice of one.
    #[inline]
    fn clear_items_bell(&self) {
        if self.layout.items_watched().load(Relaxed) != 0 {
            self.clear_at_the_tail();
        }
    }

    #[cold]
    fn clear_at_the_tail(&self) {
        let lock = self.layout.tail_lock();
        // Who keeps the tail for long has a program's reasons, or puts a long message, which is not nothing.
        for _ in 0..MOST_TRIES {
            if !self.is_empty() {
                return;
            }
            if lock.try_soon() {
                if self.is_empty() {
                    self.items_bell.clear();
                }
                lock.release();
                return;
            }
        }
    }

    /// Who is killed before it rings again leaves those who watch without a word: they look again after a while ([`Queue::watch_slots`]). So it is with who is killed
    /// when it has just made a place.
    fn clear_slots_bell(&self) {
        if let (true, Some(bell)) = (self.layout.slots_watched().load(Relaxed) != 0, &self.slots_bell) {
            bell.clear();
            if !self.is_full() {
                bell.ring();
            }
        }
    }

    /// Takes one end away from everybody, until [`Queue::release_side`]. May return false early, when a signal comes.
    pub fn hold_side(&self, side: Side, timeout: Duration) -> bool {
        self.lock_of(side).take_within(timeout)
    }

    /// False: this process does not have it. (In another namespace of process ids than the queue was made in, the caller has to know that itself.)
    #[must_use]
    pub fn release_side(&self, side: Side) -> bool {
        let lock = self.lock_of(side);
        let mine = lock.is_mine();
        if mine {
            lock.release();
        }
        mine
    }

    fn lock_of(&self, side: Side) -> lock::Lock<'_> {
        match side {
            Side::Tail => self.layout.tail_lock(),
            Side::Head => self.layout.head_lock(),
        }
    }

    #[inline]
    fn used(&self, head: End, tail: End) -> Result<u32, Corrupt> {
        used(head, tail, self.layout.capacity).ok_or(Corrupt)
    }
}
