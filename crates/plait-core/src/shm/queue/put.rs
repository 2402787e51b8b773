//! How a message gets into the ring.

use super::layout::{units, End, Header, ABANDONED, FIRST, LAST, UNIT};
use super::lock::Lock;
use super::{Corrupt, Queue};
use crate::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::time::Duration;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is in the queue.
    Done,
    /// There are as many messages as there may be.
    Full,
    /// There is too little room in the ring.
    NoRoom,
    /// Another one is putting a long message, or was just faster.
    Busy,
}

/// One message on its way.
///
/// A long one holds the tail from its first piece on; to drop it then abandons the message.
#[derive(Debug)]
pub struct Putter<'q, 'm> {
    queue: &'q Queue,
    message: &'m [u8],
    sent: usize,
    /// The queue counts it already.
    reserved: bool,
    held: bool,
    /// The tail is not this writer's to release.
    lent: bool,
}

/// Always free but for the record that ends an abandoned message.
const SPARE: u32 = 1;

impl<'q, 'm> Putter<'q, 'm> {
    /// `reserved`: [`Queue::reserve`] has counted it. (If there is a bound and a long message is not reserved, others may put while it passes, and it is one too many.)
    #[inline]
    pub fn new(queue: &'q Queue, message: &'m [u8], reserved: bool) -> Putter<'q, 'm> {
        Putter { queue, message, sent: 0, reserved, held: false, lent: false }
    }

    /// For whoever has the tail by [`Queue::hold_side`], keeps it, and is the only one who uses it so.
    pub fn of_holder(queue: &'q Queue, message: &'m [u8]) -> Putter<'q, 'm> {
        Putter { queue, message, sent: 0, reserved: false, held: true, lent: true }
    }

    /// Goes on as far as that is possible without waiting.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    #[inline]
    pub fn step(&mut self) -> Result<Put, Corrupt> {
        if !self.held {
            if !self.lock().try_soon() {
                return Ok(Put::Busy);
            }
            self.held = true;
        }
        let done = self.at_the_tail();
        if (self.sent == 0 || done != Ok(Put::NoRoom)) && !self.lent {
            self.held = false;
            self.lock().release();
        }
        done
    }

    /// The same, and if it has to wait, it sleeps once, for at most that time: until it may be worth while to try again, or a signal comes. In between
    /// it has tried again, so that what comes back is to be looked at.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    pub fn step_or_sleep(&mut self, timeout: Duration) -> Result<Put, Corrupt> {
        let put = self.step()?;
        if put == Put::Done {
            return Ok(put);
        }
        let signal = self.queue.signal_after(put);
        let ticket = signal.announce();
        let again = self.step()?;
        if again == put {
            signal.sleep(ticket, timeout);
        }
        Ok(again)
    }

    fn lock(&self) -> Lock<'q> {
        self.queue.layout.tail_lock()
    }

    #[inline]
    fn at_the_tail(&mut self) -> Result<Put, Corrupt> {
        let queue = self.queue;
        // Relaxed: whoever had the lock before has written it.
        let mut tail = End::from_word(queue.layout.tail().load(Relaxed));
        if tail.partial && self.sent == 0 {
            queue.abandon(tail)?;
            tail = End::from_word(queue.layout.tail().load(Relaxed));
        }
        if self.sent == 0 && !self.reserved && queue.is_full() {
            queue.clear_slots_bell();
            return Ok(Put::Full);
        }
        if !queue.is_long(self.message.len()) {
            let header = Header { length: self.message.len() as u32, kind: FIRST | LAST };
            return self.record(tail, header, self.message);
        }
        self.pieces(tail, queue.layout.capacity / 4)
    }

    /// Goes on with a long message, by pieces of at most so many units.
    fn pieces(&mut self, mut tail: End, most: u32) -> Result<Put, Corrupt> {
        loop {
            let rest = &self.message[self.sent..];
            let piece = &rest[..rest.len().min(most as usize * UNIT)];
            let first = if self.sent == 0 { FIRST } else { 0 };
            let last = if piece.len() == rest.len() { LAST } else { 0 };
            let header = Header { length: piece.len() as u32, kind: first | last };
            let done = self.record(tail, header, piece)?;
            if done != Put::Done || last != 0 {
                return Ok(done);
            }
            self.sent += piece.len();
            tail = End::from_word(self.queue.layout.tail().load(Relaxed));
        }
    }

    #[inline]
    fn record(&self, tail: End, header: Header, bytes: &[u8]) -> Result<Put, Corrupt> {
        let layout = &self.queue.layout;
        let need = 1 + units(bytes.len()) as u32;
        // Acquire: the reader has read what lay there.
        let head = End::from_word(layout.head().load(Acquire));
        let free = layout.capacity - self.queue.used(head, tail)?;
        if free < need + SPARE {
            return Ok(Put::NoRoom);
        }
        layout.write(tail.position, &header.to_bytes());
        layout.write(tail.after(1).position, bytes);
        let whole = header.kind & LAST != 0;
        let counts = whole && !self.reserved;
        // Before the message is there: whoever is killed in between has rung in vain, and nobody is left asleep beside a message.
        let rung = self.queue.ring_items_bell();
        let advanced = self.queue.change_tail(|now| {
            // Somebody may just have reserved the last place. A long message has looked at its beginning.
            let refused = counts && self.sent == 0 && !self.queue.has_place(now);
            let count = now.count.wrapping_add(u32::from(counts));
            (!refused).then_some(End { count, partial: !whole, ..now.after(need) })
        });
        if !advanced {
            return Ok(Put::Full);
        }
        if header.kind == FIRST | LAST {
            layout.items().notify_one();
        } else {
            // Its reader may be one of several who sleep.
            layout.items().notify_all();
        }
        if !rung {
            // SeqCst: either it is seen now that somebody watches, or he has seen the message.
            self.queue.ring_items_bell();
        }
        Ok(Put::Done)
    }
}

impl Drop for Putter<'_, '_> {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let tail = End::from_word(self.queue.layout.tail().load(Relaxed));
        if tail.partial {
            // Corrupt: there is nothing that could be mended.
            let _ = self.queue.abandon(tail);
        }
        if !self.lent {
            self.lock().release();
        }
    }
}

impl Queue {
    /// Ends a message whose writer has gone. To be called by whoever holds the tail.
    fn abandon(&self, tail: End) -> Result<(), Corrupt> {
        let head = End::from_word(self.layout.head().load(SeqCst));
        if self.used(head, tail)? + SPARE > self.layout.capacity {
            return Err(Corrupt);
        }
        self.layout.write(tail.position, &Header { length: 0, kind: ABANDONED }.to_bytes());
        self.change_tail(|now| Some(End { partial: false, ..now.after(1) }));
        self.layout.items().notify_all();
        self.ring_items_bell();
        Ok(())
    }

    /// The same by a reader who waits for the rest, if nobody is writing it any more.
    pub(super) fn abandon_if_left(&self) {
        let lock = self.layout.tail_lock();
        if lock.try_soon() {
            let tail = End::from_word(self.layout.tail().load(Relaxed));
            if tail.partial {
                let _ = self.abandon(tail);
            }
            lock.release();
        }
    }
}
