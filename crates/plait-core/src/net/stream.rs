//! The rules of reading a stream: where a message ends, when it is too long, what the end of the stream means.
//!
//! asyncio's rules (`StreamReader`), to the byte: which offset an over-long message reports, what stays in the
//! buffer after an error, above which length the transport is paused. Waiting, waking and raising are the
//! caller's; so all of this can be fuzzed.

use super::read_buffer::{find, ReadBuffer};

/// A buffer, the limit of a message's length, and whether the stream has ended.
#[derive(Debug)]
pub struct Stream<C> {
    buffer: ReadBuffer<C>,
    limit: usize,
    ended: bool,
    /// No separator begins before this offset, as the search that waits has found. Only one that goes on writes it down,
    /// since a new one cannot know whether another waits, for other separators (asyncio refuses it only when it, too,
    /// has to wait). So the first bytes that a search waited for are looked at twice, and none after them.
    scanned: usize,
}

/// What a search for a separator came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sought {
    /// The message with its separator is that long.
    Found(usize),
    /// More has to arrive.
    NotYet,
    /// The stream has ended before a separator.
    Ended,
    /// A separator is there, but the message before it is longer than the limit: that long.
    FoundTooFar(usize),
    /// No separator begins within so many bytes, which is beyond the limit.
    NotFound(usize),
}

/// Whether a number of bytes is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// It is.
    Enough,
    /// More has to arrive.
    NotYet,
    /// The stream has ended before.
    Ended,
}

impl<C: AsRef<[u8]>> Stream<C> {
    /// An empty stream.
    pub fn new(limit: usize) -> Self {
        Self { buffer: ReadBuffer::new(), limit, ended: false, scanned: 0 }
    }

    /// The longest message, without its separator.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Sets the limit for searches and arrivals from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether the end was announced; bytes may still wait.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Announces the end, or takes that back.
    pub fn set_ended(&mut self, ended: bool) {
        self.ended = ended;
    }

    /// What waits.
    #[inline]
    pub fn buffer(&self) -> &ReadBuffer<C> {
        &self.buffer
    }

    /// Adds a chunk as it is. It comes back when its bytes have to be copied ([`Stream::extend`]).
    #[inline]
    pub fn fill(&mut self, chunk: C) -> Result<(), C> {
        self.buffer.fill(chunk)
    }

    /// Adds bytes. Returns a chunk to drop.
    pub fn extend(&mut self, bytes: &[u8]) -> Option<C> {
        self.buffer.extend(bytes)
    }

    /// Takes the first bytes away. Returns a chunk to drop.
    #[inline]
    pub fn consume(&mut self, count: usize) -> Option<C> {
        self.scanned = 0;
        self.buffer.consume(count)
    }

    /// Takes out all that waits, without a copy, if that can be done and is not more than `most` bytes.
    #[inline]
    pub fn take_chunk(&mut self, most: usize) -> Option<C> {
        self.scanned = 0;
        self.buffer.take_chunk(most)
    }

    /// More waits than twice the limit: the transport should be paused.
    #[inline]
    pub fn is_over_mark(&self) -> bool {
        self.buffer.len() > self.limit.saturating_mul(2)
    }

    /// No more waits than the limit: a paused transport may go on.
    #[inline]
    pub fn is_under_mark(&self) -> bool {
        self.buffer.len() <= self.limit
    }

    /// Whether `count` bytes are there.
    #[inline]
    pub fn count(&self, count: usize) -> Counted {
        match self.buffer.len() >= count {
            true => Counted::Enough,
            false if self.ended => Counted::Ended,
            false => Counted::NotYet,
        }
    }

    /// Looks for the separator whose end comes first. `separators` are sorted by length, none is empty; `resumed` says that the
    /// same search has waited, and goes on.
    #[inline]
    pub fn seek<S: AsRef<[u8]>>(&mut self, separators: &[S], resumed: bool) -> Sought {
        let (Some(shortest), Some(longest)) = (separators.first(), separators.last()) else {
            return Sought::NotYet;
        };
        let bytes = self.buffer.as_slice();
        let mut offset = if resumed { self.scanned } else { 0 };
        let unseen = bytes.get(offset..).unwrap_or_default();
        if unseen.len() >= shortest.as_ref().len() {
            if let Some((start, end)) = first_to_end(unseen, separators) {
                let (start, end) = (offset + start, offset + end);
                return if start > self.limit { Sought::FoundTooFar(start) } else { Sought::Found(end) };
            }
            // The last bytes may be the beginning of a separator.
            offset = (bytes.len() + 1).saturating_sub(longest.as_ref().len());
            if offset > self.limit {
                return Sought::NotFound(offset);
            }
        }
        self.scanned = if resumed { offset } else { 0 };
        // Only now: the last bytes that arrived may have completed a message.
        if self.ended {
            Sought::Ended
        } else {
            Sought::NotYet
        }
    }
}

/// Start and end of the separator that ends first; of those that end together, the first in the list.
#[inline]
fn first_to_end<S: AsRef<[u8]>>(bytes: &[u8], separators: &[S]) -> Option<(usize, usize)> {
    let mut best = None;
    let mut window = bytes;
    for separator in separators {
        let separator = separator.as_ref();
        if let Some(start) = find(window, separator) {
            let end = start + separator.len();
            best = Some((start, end));
            window = &bytes[..end - 1]; // a better one ends before
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(bytes: &[u8], limit: usize) -> Stream<Vec<u8>> {
        let mut stream = Stream::new(limit);
        assert_eq!(stream.fill(bytes.to_vec()), Ok(()));
        stream
    }

    #[test]
    fn the_separator_that_ends_first_wins() {
        let mut stream = stream(b"abcdXefgh", 100);
        assert_eq!(stream.seek(&[&b"X"[..], &b"abc"[..]], false), Sought::Found(3));
        assert_eq!(stream.seek(&[&b"d"[..], &b"cd"[..]], false), Sought::Found(4));
    }

    #[test]
    fn a_search_goes_on_where_it_stopped() {
        let mut stream = stream(b"aaSEPARATO", 100);
        assert_eq!(stream.seek(&[b"SEPARATOR"], false), Sought::NotYet);
        stream.extend(b"X");
        assert_eq!(stream.seek(&[b"SEPARATOR"], true), Sought::NotYet);
        assert_eq!(stream.scanned, 3);
        stream.extend(b"aSEPARATORb");
        assert_eq!(stream.seek(&[b"SEPARATOR"], true), Sought::Found(21));
    }

    #[test]
    fn what_is_too_long_says_how_long() {
        assert_eq!(stream(b"123456\n", 5).seek(&[b"\n"], false), Sought::FoundTooFar(6));
        assert_eq!(stream(b"123456", 5).seek(&[b"\n"], false), Sought::NotFound(6));
        assert_eq!(stream(b"12345\n", 5).seek(&[b"\n"], false), Sought::Found(6));
    }

    #[test]
    fn the_end_comes_after_what_is_complete() {
        let mut stream = stream(b"line\nrest", 100);
        stream.set_ended(true);
        assert_eq!(stream.seek(&[b"\n"], false), Sought::Found(5));
        assert!(stream.consume(5).is_none());
        assert_eq!(stream.seek(&[b"\n"], false), Sought::Ended);
        assert_eq!((stream.count(4), stream.count(5)), (Counted::Enough, Counted::Ended));
        assert!(stream.consume(4).is_some());
        assert!(stream.buffer().is_empty());
    }

    #[test]
    fn a_chunk_that_came_whole_goes_whole() {
        let mut whole = stream(b"message", 100);
        assert_eq!(whole.take_chunk(6), None);
        assert_eq!(whole.take_chunk(7), Some(b"message".to_vec()));
        let mut pieces = stream(b"mess", 100);
        assert_eq!(pieces.fill(b"age".to_vec()), Err(b"age".to_vec()));
        assert_eq!(pieces.extend(b"age"), Some(b"mess".to_vec()));
        assert_eq!(pieces.take_chunk(100), None);
        assert_eq!(pieces.buffer().as_slice(), b"message");
    }
}
