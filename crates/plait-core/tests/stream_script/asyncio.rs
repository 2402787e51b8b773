//! How asyncio reads a stream (`StreamReader` of CPython 3.13), without its waiting and raising. Slow and plain.

use plait_core::net::{Counted, Sought};

/// What a `StreamReader` consists of.
pub struct Asyncio {
    pub bytes: Vec<u8>,
    pub limit: usize,
    pub ended: bool,
}

/// What a call of `readuntil` keeps to itself while it waits.
#[derive(Debug)]
pub struct Search {
    /// Shortest first.
    pub separators: Vec<Vec<u8>>,
    /// Before it no separator begins.
    offset: usize,
}

impl Search {
    pub fn new(mut separators: Vec<Vec<u8>>) -> Self {
        separators.sort_by_key(Vec::len);
        Self { separators, offset: 0 }
    }
}

impl Asyncio {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether `feed_data` pauses the transport.
    pub fn pauses(&self) -> bool {
        self.bytes.len() as u128 > 2 * self.limit as u128
    }

    /// Whether `_maybe_resume_transport` lets it go on.
    pub fn resumes(&self) -> bool {
        self.bytes.len() <= self.limit
    }

    /// One turn of the loop of `readexactly`.
    pub fn count(&self, count: usize) -> Counted {
        if self.bytes.len() < count {
            return if self.ended { Counted::Ended } else { Counted::NotYet };
        }
        Counted::Enough
    }

    /// One turn of the loop of `readuntil`.
    pub fn seek(&self, search: &mut Search) -> Sought {
        let shortest = search.separators.first().expect("a search has separators").len();
        let longest = search.separators.last().expect("a search has separators").len();
        if self.bytes.len() - search.offset >= shortest {
            let mut matched: Option<(usize, usize)> = None;
            for separator in &search.separators {
                if let Some(start) = self.find(separator, search.offset) {
                    let end = start + separator.len();
                    if matched.is_none_or(|(_, best)| end < best) {
                        matched = Some((start, end));
                    }
                }
            }
            if let Some((start, end)) = matched {
                return if start > self.limit { Sought::FoundTooFar(start) } else { Sought::Found(end) };
            }
            search.offset = (self.bytes.len() + 1).saturating_sub(longest);
            if search.offset > self.limit {
                return Sought::NotFound(search.offset);
            }
        }
        if self.ended {
            Sought::Ended
        } else {
            Sought::NotYet
        }
    }

    /// `bytearray.find`.
    fn find(&self, separator: &[u8], offset: usize) -> Option<usize> {
        (offset..self.bytes.len()).find(|start| self.bytes[*start..].starts_with(separator))
    }
}
