//! A script that a stream plays, checked step by step against asyncio's own way of reading, written plainly.
//!
//! The reference is a vector of bytes, a linear search, and an offset that each search keeps to itself, as
//! `asyncio.StreamReader.readuntil` does. It knows of chunks only which of them has to be in the buffer. Everything here
//! goes through the public interface, because two programs include this file: the property tests beside it and the
//! fuzz target. (In that direction, so that the crate's tests need nothing outside it.)
//!
//! Beside asyncio's answers it checks what asyncio has no notion of: that every chunk comes back once, when it is due,
//! and is never dropped inside; that an empty buffer owns nothing; that bytes are not moved about more often than is
//! in proportion to what arrived.

mod asyncio;

use asyncio::{Asyncio, Search};
use plait_core::net::{Sought, Stream};
use std::cell::Cell;
use std::rc::Rc;

/// One call, or the calls that belong together.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes arrive, as a chunk to be kept as it is where there is room for one.
    Chunk(Vec<u8>),
    /// Bytes arrive that have to be copied.
    Bytes(Vec<u8>),
    SetEnded(bool),
    SetLimit(usize),
    /// A search from the beginning; from now on it is the one that waits, if it has to.
    Seek(Vec<Vec<u8>>),
    /// A search by somebody else, who does not wait, while another waits.
    Intrude(Vec<Vec<u8>>),
    /// The search that waits goes on.
    Resume,
    Count(usize),
    Consume(usize),
    /// Takes away the message that the last search has found.
    ConsumeFound,
    ConsumeAll,
    TakeChunk(usize),
}

/// Bytes that came in one piece, and a counter of those that were dropped.
struct Chunk {
    number: usize,
    bytes: Vec<u8>,
    dropped: Rc<Cell<usize>>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.dropped.set(self.dropped.get() + 1);
    }
}

/// The chunk that has to be in the buffer.
struct Held {
    number: usize,
    /// Nothing of it was read yet.
    whole: bool,
}

/// The search that waits, and what has happened before and since its last look.
struct Waiting {
    search: Search,
    /// The stream knows how far it came: the look was not its first, and nothing happened since that lets it begin anew.
    remembered: bool,
    limit_changed: bool,
}

/// The stream and the reference, side by side.
struct Comparison {
    stream: Stream<Chunk>,
    asyncio: Asyncio,
    waiting: Option<Waiting>,
    found: Option<usize>,
    held: Option<Held>,
    /// How many chunks were made.
    made: usize,
    dropped: Rc<Cell<usize>>,
    arrived: usize,
    moved: usize,
}

/// Plays the script.
///
/// # Panics
/// At the first difference.
pub fn play(limit: usize, script: &[Step]) {
    let mut comparison = Comparison::new(limit);
    for step in script {
        comparison.apply(step);
        comparison.compare();
    }
    comparison.finish();
}

impl Comparison {
    fn new(limit: usize) -> Self {
        Self {
            stream: Stream::new(limit),
            asyncio: Asyncio { bytes: Vec::new(), limit, ended: false },
            waiting: None,
            found: None,
            held: None,
            made: 0,
            dropped: Rc::default(),
            arrived: 0,
            moved: 0,
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Chunk(bytes) => self.chunk_arrives(bytes),
            Step::Bytes(bytes) => self.bytes_arrive(bytes),
            Step::SetEnded(ended) => {
                self.stream.set_ended(*ended);
                self.asyncio.ended = *ended;
            }
            Step::SetLimit(limit) => self.set_limit(*limit),
            Step::Seek(separators) => {
                self.waiting = None;
                self.seek(Search::new(separators.clone()), false);
            }
            Step::Intrude(separators) => self.intrude(separators),
            Step::Resume => {
                if let Some(waiting) = self.waiting.take() {
                    self.seek(waiting.search, true);
                    // It may have gone on with nothing new to look at.
                    if let Some(still) = &mut self.waiting {
                        still.limit_changed = waiting.limit_changed;
                    }
                }
            }
            Step::Count(count) => {
                assert_eq!(self.stream.count(*count), self.asyncio.count(*count), "count({count})");
            }
            Step::Consume(count) => self.consume(*count),
            Step::ConsumeFound => {
                if let Some(count) = self.found {
                    self.consume(count);
                }
            }
            Step::ConsumeAll => self.consume(usize::MAX),
            Step::TakeChunk(most) => self.take_chunk(*most),
        }
    }

    fn chunk_arrives(&mut self, bytes: &[u8]) {
        let number = self.made;
        self.made += 1;
        let chunk = Chunk { number, bytes: bytes.to_vec(), dropped: Rc::clone(&self.dropped) };
        match self.stream.fill(chunk) {
            Ok(()) => {
                assert!(self.asyncio.bytes.is_empty() && !bytes.is_empty(), "there was no room for a chunk");
                self.asyncio.feed(bytes);
                self.arrived += bytes.len();
                self.held = Some(Held { number, whole: true });
            }
            Err(chunk) => {
                assert!(!self.asyncio.bytes.is_empty() || bytes.is_empty(), "there was room for a chunk");
                assert_eq!(chunk.number, number, "another chunk came back");
                self.bytes_arrive(&chunk.bytes);
            }
        }
    }

    fn bytes_arrive(&mut self, bytes: &[u8]) {
        let expected = if bytes.is_empty() { None } else { self.held.take() };
        let before = self.stream.buffer().as_slice().as_ptr();
        let back = self.stream.extend(bytes);
        check_back(back, expected);
        if self.stream.buffer().as_slice().as_ptr() != before {
            self.moved += self.asyncio.bytes.len();
        }
        self.asyncio.feed(bytes);
        self.arrived += bytes.len();
    }

    /// A search that waits sees the new limit when it goes on. One thing is left out, since it differs and nobody can
    /// want it (asyncio's `_limit` is private): where the stream looks at bytes twice, it holds them against the new
    /// limit before more have arrived.
    fn set_limit(&mut self, limit: usize) {
        self.stream.set_limit(limit);
        self.asyncio.limit = limit;
        self.waiting = self.waiting.take().filter(|waiting| waiting.remembered);
        if let Some(waiting) = &mut self.waiting {
            waiting.limit_changed = true;
        }
    }

    fn intrude(&mut self, separators: &[Vec<u8>]) {
        let Some(waiting) = self.waiting.take_if(|waiting| !waiting.limit_changed) else {
            return;
        };
        self.seek(Search::new(separators.to_vec()), false);
        // asyncio refuses to let a second one wait.
        self.waiting = Some(Waiting { remembered: false, ..waiting });
    }

    fn seek(&mut self, mut search: Search, resumed: bool) {
        let sought = self.stream.seek(&search.separators, resumed);
        let expected = self.asyncio.seek(&mut search);
        assert_eq!(sought, expected, "{search:?}, resumed: {resumed}");
        match sought {
            Sought::NotYet => {
                self.waiting = Some(Waiting { search, remembered: resumed, limit_changed: false });
            }
            Sought::Found(length) => self.found = Some(length),
            Sought::Ended | Sought::FoundTooFar(_) | Sought::NotFound(_) => {}
        }
    }

    fn consume(&mut self, count: usize) {
        let expected = if count >= self.asyncio.bytes.len() { self.held.take() } else { None };
        check_back(self.stream.consume(count), expected);
        self.took(count);
    }

    fn take_chunk(&mut self, most: usize) {
        let length = self.asyncio.bytes.len();
        let expected = self.held.take_if(|held| held.whole && length <= most);
        let goes = expected.is_some();
        let taken = self.stream.take_chunk(most);
        if let Some(chunk) = &taken {
            assert_eq!(chunk.bytes, self.asyncio.bytes, "the chunk is not what waits");
        }
        check_back(taken, expected);
        self.took(if goes { length } else { 0 });
    }

    /// Bytes are gone, so what searches have learned is void, and one that waits begins anew. There asyncio is no
    /// reference: its search goes on at an offset that now means other bytes, and misses what is before.
    fn took(&mut self, count: usize) {
        let count = count.min(self.asyncio.bytes.len());
        self.asyncio.bytes.drain(..count);
        if let Some(Waiting { search, .. }) = self.waiting.take() {
            let search = Search::new(search.separators);
            self.waiting = Some(Waiting { search, remembered: false, limit_changed: false });
        }
        self.found = None;
        if let Some(held) = &mut self.held {
            held.whole &= count == 0;
        }
    }

    fn compare(&self) {
        let buffer = self.stream.buffer();
        assert_eq!(buffer.as_slice(), self.asyncio.bytes);
        assert_eq!(buffer.len(), self.asyncio.bytes.len());
        // The buffer calls itself empty only when it holds neither a chunk nor an allocation.
        assert_eq!(buffer.is_empty(), self.asyncio.bytes.is_empty());
        assert_eq!(buffer.chunk().map(|chunk| chunk.number), self.held.as_ref().map(|held| held.number));
        assert_eq!(self.dropped.get(), self.made - usize::from(self.held.is_some()), "chunks dropped");
        assert_eq!(self.stream.has_ended(), self.asyncio.ended);
        assert_eq!(self.stream.limit(), self.asyncio.limit);
        assert_eq!(self.stream.is_over_mark(), self.asyncio.pauses());
        assert_eq!(self.stream.is_under_mark(), self.asyncio.resumes());
        // Each byte is copied when its chunk is melted, twice on average while the vector doubles, and once to make
        // room at the front.
        assert!(self.moved <= 4 * self.arrived, "{} bytes moved, {} arrived", self.moved, self.arrived);
    }

    fn finish(self) {
        drop(self.stream);
        assert_eq!(self.dropped.get(), self.made, "a chunk was leaked");
    }
}

/// The chunk that is due came back, or none where none is.
fn check_back(back: Option<Chunk>, expected: Option<Held>) {
    assert_eq!(back.map(|chunk| chunk.number), expected.map(|held| held.number), "the chunk that comes back");
}
