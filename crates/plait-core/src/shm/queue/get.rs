//! How a message gets out of the ring.

use super::layout::{units, used, End, Header, ABANDONED, FIRST, LAST, UNIT};
use super::lock::Lock;
use super::{Corrupt, Queue};
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// It is in the buffer.
    Message,
    /// There is none.
    Empty,
    /// There is one, of which more is to come: this reader keeps the head until then.
    More,
    /// Another one is getting a long message, or was just faster.
    Busy,
}

/// One reader. To drop it in the midst of a long message loses the message.
#[derive(Debug)]
pub struct Taker<'q> {
    queue: &'q Queue,
    held: bool,
    /// The head is not this reader's to release.
    lent: bool,
    /// The beginning of a message is in the buffer.
    inside: bool,
}

impl<'q> Taker<'q> {
    #[inline]
    #[allow(missing_docs)]
    pub fn new(queue: &'q Queue) -> Taker<'q> {
        Taker { queue, held: false, lent: false, inside: false }
    }

    /// For whoever has the head by [`Queue::hold_side`], keeps it, and is the only one who uses it so.
    pub fn of_holder(queue: &'q Queue) -> Taker<'q> {
        Taker { queue, held: true, lent: true, inside: false }
    }

    /// Goes on as far as that is possible without waiting. The buffer is the same each time, and nobody else's between.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    #[inline]
    pub fn step(&mut self, buffer: &mut Vec<u8>) -> Result<Got, Corrupt> {
        if !self.held {
            if self.queue.is_empty() {
                self.queue.clear_items_bell();
                // The bell is rung for a message that is just coming: who was told so finds it.
                if self.queue.is_empty() {
                    return Ok(Got::Empty);
                }
            }
            if !self.lock().try_soon() {
                return Ok(Got::Busy);
            }
            self.held = true;
        }
        let got = self.at_the_head(buffer);
        if got != Ok(Got::More) {
            if !self.lent {
                self.held = false;
                self.lock().release();
            }
            self.queue.clear_items_bell();
        }
        got
    }

    /// The same, and if it has to wait, it sleeps once, for at most that time: until it may be worth while to try again, or a signal comes. In between
    /// it has tried again, so that what comes back is to be looked at.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    pub fn step_or_sleep(&mut self, buffer: &mut Vec<u8>, timeout: Duration) -> Result<Got, Corrupt> {
        let got = self.step(buffer)?;
        if got == Got::Message {
            return Ok(got);
        }
        let signal = self.queue.signal_unless(got);
        let ticket = signal.announce();
        let again = self.step(buffer)?;
        if again == got {
            signal.sleep(ticket, timeout);
            if got == Got::More && !signal.has_come(ticket) {
                // Perhaps the writer is dead.
                self.queue.abandon_if_left();
            }
        }
        Ok(again)
    }

    fn lock(&self) -> Lock<'q> {
        self.queue.layout.head_lock()
    }

    #[inline]
    fn at_the_head(&mut self, buffer: &mut Vec<u8>) -> Result<Got, Corrupt> {
        let layout = &self.queue.layout;
        loop {
            // Relaxed: whoever had the lock before has written it.
            let head = End::from_word(layout.head().load(Relaxed));
            let tail = End::from_word(layout.tail().load(SeqCst));
            let used = self.queue.used(head, tail)?;
            if used == 0 {
                return Ok(if self.inside { Got::More } else { Got::Empty });
            }
            let mut bytes = [0; UNIT];
            layout.read(head.position, &mut bytes);
            let header = Header::from_bytes(bytes);
            let need = 1 + units(header.length as usize);
            if need > used as usize {
                return Err(Corrupt);
            }
            let is_first = header.kind & FIRST != 0;
            if is_first {
                buffer.clear();
            }
            self.inside = (self.inside || is_first) && header.kind != ABANDONED;
            if self.inside {
                let before = buffer.len();
                buffer.resize(before + header.length as usize, 0);
                layout.read(head.after(1).position, &mut buffer[before..]);
            }
            let is_last = header.kind & LAST != 0;
            let count = head.count.wrapping_add(u32::from(is_last));
            self.advance_head(End { count, ..head.after(need as u32) }, tail, is_last);
            if is_last && self.inside {
                self.inside = false;
                return Ok(Got::Message);
            }
        }
    }

    #[inline]
    fn advance_head(&self, head: End, tail: End, whole: bool) {
        let layout = &self.queue.layout;
        // SeqCst: see `signal`. Writers may use the room from now on.
        layout.head().store(head.to_word(), SeqCst);
        if whole && layout.maxsize != 0 {
            layout.slots().notify_one();
            self.queue.ring_slots_bell();
        }
        // Not before half of the ring is free, where whatever goes in one piece finds room: so writers are woken seldom.
        if used(head, tail, layout.capacity).is_some_and(|used| used <= layout.capacity / 2) {
            layout.room().notify_all();
        }
    }
}

impl Drop for Taker<'_> {
    fn drop(&mut self) {
        if self.held && !self.lent {
            self.lock().release();
        }
    }
}
