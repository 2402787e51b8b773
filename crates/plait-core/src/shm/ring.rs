//! Messages from one process to another: a ring of bytes in a [`Memory`], one that writes and one that reads.
//!
//! A message is its length, in four bytes, and its bytes. One that fits into the ring is shown to the reader as a whole, when all of it is there: a writer
//! that is killed leaves no half of it. A longer one is written in pieces while the reader takes them out. Nobody waits in here: who finds no room, or nothing to
//! read, sleeps at a [`Bell`](super::bell::Bell); the writer's lies in the ring itself.

use super::bell::Bell;
use super::memory::Memory;
use super::positions::{filled, room, show, Damaged};
use crate::sync::Arc;

const WRITTEN: usize = 0;
const READ: usize = 64;
const SPACE: usize = 128;
const DATA: usize = 192;
const LENGTH: usize = 4;

/// What the two counters and the bell take, apart from the bytes.
pub const OVERHEAD: usize = DATA;
/// The longest message.
pub const LONGEST: usize = 1 << 30;

/// Where in a memory a ring lies.
#[derive(Clone, Debug)]
struct Place {
    memory: Arc<Memory>,
    at: usize,
    capacity: usize,
}

impl Place {
    /// Of `size` bytes at `at`, a multiple of 64.
    fn new(memory: Arc<Memory>, at: usize, size: usize) -> Place {
        let fits = at.checked_add(size).is_some_and(|end| end <= memory.size());
        assert!(fits && at % 64 == 0 && size > DATA + LENGTH, "no room for a ring");
        Place { memory, at, capacity: size - DATA }
    }

    fn bell(&self) -> Bell<'_> {
        Bell::new(self.memory.word(self.at + SPACE))
    }

    /// The two pieces, of which the second begins where the ring does, that bytes at this position lie in: offset and length of the first.
    #[allow(clippy::cast_possible_truncation)] // less than the capacity
    fn piece(&self, position: u64, length: usize) -> (usize, usize) {
        let offset = (position % self.capacity as u64) as usize;
        (self.at + DATA + offset, length.min(self.capacity - offset))
    }

    fn put(&self, position: u64, bytes: &[u8]) {
        let (offset, first) = self.piece(position, bytes.len());
        self.memory.write(offset, &bytes[..first]);
        self.memory.write(self.at + DATA, &bytes[first..]);
    }

    fn get(&self, position: u64, into: &mut [u8]) {
        let (offset, first) = self.piece(position, into.len());
        let (head, tail) = into.split_at_mut(first);
        self.memory.read(offset, head);
        self.memory.read(self.at + DATA, tail);
    }
}

/// The one that writes.
#[derive(Debug)]
pub struct Writer {
    place: Place,
    position: u64,
}

/// How far a message is that is being written.
#[derive(Debug, Default)]
pub struct Progress(usize);

impl Progress {
    /// Whether a part of it was shown to the reader, who waits for the rest.
    pub fn has_begun(&self) -> bool {
        self.0 > 0
    }
}

impl Writer {
    /// Of the ring that lies there, all zero so far.
    pub fn new(memory: Arc<Memory>, at: usize, size: usize) -> Writer {
        Writer { place: Place::new(memory, at, size), position: 0 }
    }

    /// Writes what there is room for. True: all of it. The parts come one after the other.
    ///
    /// # Errors
    ///
    /// The reader's counter makes no sense.
    ///
    /// # Panics
    ///
    /// The message is longer than [`LONGEST`].
    pub fn write(&mut self, parts: &[&[u8]], progress: &mut Progress) -> Result<bool, Damaged> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        assert!(length <= LONGEST, "a message of {length} bytes");
        let prefix = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let total = length + LENGTH;
        let room = self.room()?;
        if room < total.min(self.place.capacity) && !progress.has_begun() && total <= self.place.capacity {
            return Ok(false);
        }
        let mut left = room;
        let mut before = 0;
        for part in std::iter::once(&prefix[..]).chain(parts.iter().copied()) {
            let skipped = progress.0.saturating_sub(before).min(part.len());
            before += part.len();
            let now = &part[skipped..][..left.min(part.len() - skipped)];
            self.place.put(self.position, now);
            self.position += now.len() as u64;
            progress.0 += now.len();
            left -= now.len();
        }
        show(self.place.memory.double_word(self.place.at + WRITTEN), self.position);
        Ok(progress.0 == total)
    }

    /// How many bytes there is room for.
    #[allow(clippy::cast_possible_truncation)] // at most the capacity
    fn room(&self) -> Result<usize, Damaged> {
        let read = self.place.memory.double_word(self.place.at + READ);
        room(self.position, read, self.place.capacity as u64).map(|room| room as usize)
    }

    /// Whether a message of so many bytes would go in now, or more of one that is longer than the ring.
    pub fn has_room(&self, length: usize) -> bool {
        let whole = length.saturating_add(LENGTH);
        // One that fits goes in as a whole or not at all: who is told of room for half of it would ask again and again.
        let wanted = if whole <= self.place.capacity { whole } else { self.place.capacity / 2 };
        // A broken counter is found by who writes.
        self.room().map_or(true, |room| room >= wanted)
    }

    /// Where the writer sleeps until there is more room.
    pub fn bell(&self) -> Bell<'_> {
        self.place.bell()
    }
}

/// The one that reads.
#[derive(Debug)]
pub struct Reader {
    place: Place,
    position: u64,
    /// Of a message longer than the ring, what has come, and its length.
    partial: Option<(Vec<u8>, usize)>,
}

impl Reader {
    /// Of the ring that lies there, all zero so far.
    pub fn new(memory: Arc<Memory>, at: usize, size: usize) -> Reader {
        Reader { place: Place::new(memory, at, size), position: 0, partial: None }
    }

    /// Whether there is something to read.
    #[inline]
    pub fn has_come(&self) -> bool {
        self.filled() != Ok(0)
    }

    #[allow(clippy::cast_possible_truncation)] // at most the capacity
    fn filled(&self) -> Result<usize, Damaged> {
        let written = self.place.memory.double_word(self.place.at + WRITTEN);
        filled(self.position, written, self.place.capacity as u64).map(|filled| filled as usize)
    }

    /// The next message, if all of it is there.
    ///
    /// # Errors
    ///
    /// What the writer has left there makes no sense.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, Damaged> {
        let mut filled = self.filled()?;
        if self.partial.is_none() {
            if filled < LENGTH {
                return Ok(None);
            }
            let mut prefix = [0; LENGTH];
            self.place.get(self.position, &mut prefix);
            let length = u32::from_le_bytes(prefix) as usize;
            if length > LONGEST || (length + LENGTH <= self.place.capacity && length + LENGTH > filled) {
                return Err(Damaged);
            }
            self.position += LENGTH as u64;
            filled -= LENGTH;
            // Only as much as has come: a length alone does not take a gigabyte.
            self.partial = Some((Vec::with_capacity(length.min(self.place.capacity)), length));
        }
        Ok(self.take(filled))
    }

    fn take(&mut self, filled: usize) -> Option<Vec<u8>> {
        let (message, length) = self.partial.as_mut()?;
        let before = message.len();
        let now = filled.min(*length - before);
        message.resize(before + now, 0);
        self.place.get(self.position, &mut message[before..]);
        let complete = message.len() == *length;
        self.position += now as u64;
        show(self.place.memory.double_word(self.place.at + READ), self.position);
        // A writer is never one that polls.
        let _ = self.place.bell().ring();
        match complete {
            true => self.partial.take().map(|(message, _)| message),
            false => None,
        }
    }
}

#[cfg(all(test, not(miri)))]
#[path = "ring_tests.rs"]
mod tests;
