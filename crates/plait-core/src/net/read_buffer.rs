//! What was received and nobody has read yet.
//!
//! Mostly a message comes in whole and is read whole. So the buffer holds one chunk as it came, to be handed
//! on without a copy; only when more arrives before the chunk was read does it become one run of bytes.
//! Rejected: a queue of chunks, in which every search for a separator has to look across borders, and a ring,
//! whose contents are not one slice. An empty buffer owns no memory: most connections are idle most of
//! the time.
//!
//! A chunk may own a Python object, so it is never dropped here: the caller gets it back and drops it where no
//! lock is held.

use memchr::{memchr, memmem};

/// Bytes waiting to be read, first in, first out, as one slice.
#[derive(Debug)]
pub struct ReadBuffer<C> {
    held: Held<C>,
    /// How many bytes of what is held were read already.
    start: usize,
}

#[derive(Debug)]
enum Held<C> {
    Nothing,
    Chunk(C),
    Bytes(Vec<u8>),
}

impl<C> Default for ReadBuffer<C> {
    fn default() -> Self {
        Self { held: Held::Nothing, start: 0 }
    }
}

impl<C: AsRef<[u8]>> ReadBuffer<C> {
    /// An empty buffer. Allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// All that waits.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        let all = match &self.held {
            Held::Nothing => &[],
            Held::Chunk(chunk) => chunk.as_ref(),
            Held::Bytes(bytes) => bytes.as_slice(),
        };
        all.get(self.start..).unwrap_or_default()
    }

    /// How many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether no byte waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self.held, Held::Nothing)
    }

    /// Puts a chunk into an empty buffer as it is. A chunk without a byte, or one for which there is no room, comes
    /// back: then its bytes are to be copied ([`ReadBuffer::extend`]).
    #[inline]
    pub fn fill(&mut self, chunk: C) -> Result<(), C> {
        if !self.is_empty() || chunk.as_ref().is_empty() {
            return Err(chunk);
        }
        self.held = Held::Chunk(chunk);
        Ok(())
    }

    /// Copies bytes behind what waits. Returns the chunk that was held before, for the caller to drop.
    pub fn extend(&mut self, more: &[u8]) -> Option<C> {
        if more.is_empty() {
            return None;
        }
        if let Held::Bytes(bytes) = &mut self.held {
            // Room is made at the front when no more bytes have to be moved for it than were read since the last time:
            // so each is moved once on average, and never does more than half of what is used lie idle. Sooner, only
            // because the vector is full, would mean to move all for each byte that goes and comes.
            if self.start >= bytes.len() - self.start {
                bytes.drain(..self.start);
                self.start = 0;
            }
            bytes.extend_from_slice(more);
            return None;
        }
        let mut bytes = Vec::with_capacity(self.len() + more.len());
        bytes.extend_from_slice(self.as_slice());
        bytes.extend_from_slice(more);
        self.start = 0;
        match std::mem::replace(&mut self.held, Held::Bytes(bytes)) {
            Held::Chunk(chunk) => Some(chunk),
            Held::Nothing | Held::Bytes(_) => None,
        }
    }

    /// Takes the first `count` bytes away; all when there are fewer. Returns a chunk that was read to its end.
    #[inline]
    pub fn consume(&mut self, count: usize) -> Option<C> {
        if count < self.len() {
            self.start += count;
            return None;
        }
        self.clear()
    }

    /// Takes everything away.
    pub fn clear(&mut self) -> Option<C> {
        self.start = 0;
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Chunk(chunk) => Some(chunk),
            Held::Nothing | Held::Bytes(_) => None,
        }
    }

    /// Takes all that waits out as the chunk as which it came, if it came as one and is not longer than `most`.
    #[inline]
    pub fn take_chunk(&mut self, most: usize) -> Option<C> {
        match &self.held {
            Held::Chunk(chunk) if self.start == 0 && chunk.as_ref().len() <= most => self.clear(),
            _ => None,
        }
    }

    /// The chunk that is held, to look at.
    pub fn chunk(&self) -> Option<&C> {
        match &self.held {
            Held::Chunk(chunk) => Some(chunk),
            Held::Nothing | Held::Bytes(_) => None,
        }
    }
}

/// How many places are looked at one by one before a searcher is made.
const FEW: usize = 16;

/// Where `needle` begins in `bytes`.
#[inline]
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    match needle {
        [] => Some(0),
        [only] => memchr(*only, bytes),
        [first, ..] => find_longer(bytes, *first, needle),
    }
}

/// To make a searcher costs more than most searches: a separator's first byte is seldom anywhere else. Where it is
/// everywhere, the searcher sees to it that the search stays linear.
#[inline]
fn find_longer(bytes: &[u8], first: u8, needle: &[u8]) -> Option<usize> {
    let mut start = 0;
    for _ in 0..FEW {
        start += memchr(first, &bytes[start..])?;
        if bytes[start..].starts_with(needle) {
            return Some(start);
        }
        start += 1;
    }
    memmem::find(&bytes[start..], needle).map(|found| start + found)
}
