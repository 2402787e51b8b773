//! What the socket did not take yet.
//!
//! Chunks are kept as they came and written together by one vectored call. Rejected: one long byte
//! buffer, which copies each chunk and moves the rest after each partial write.
//!
//! A chunk may own a Python object, so it is never dropped here: chunks written whole are handed to
//! the caller, who drops them where no lock is held.

use super::pipe;
use super::socket::{self, MOST_SLICES};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::RawFd;

/// Bytes waiting to be written, first in, first out. One word when nothing waits, which for most connections is
/// always.
#[derive(Debug)]
pub struct WriteBuffer<C> {
    waiting: Option<Box<Waiting<C>>>,
}

#[derive(Debug)]
struct Waiting<C> {
    chunks: VecDeque<Chunk<C>>,
    bytes: usize,
}

#[derive(Debug)]
struct Chunk<C> {
    data: C,
    /// How much of it has been written.
    offset: usize,
}

/// How a kind of descriptor is written.
struct Calls {
    one: fn(RawFd, &[u8]) -> io::Result<usize>,
    many: fn(RawFd, &[IoSlice<'_>]) -> io::Result<usize>,
}

const SOCKET: Calls = Calls { one: socket::send, many: socket::send_vectored };
const PIPE: Calls = Calls { one: pipe::write, many: pipe::write_vectored };

impl<C: AsRef<[u8]>> Chunk<C> {
    fn rest(&self) -> &[u8] {
        self.data.as_ref().get(self.offset..).unwrap_or_default()
    }
}

impl<C> Default for WriteBuffer<C> {
    fn default() -> Self {
        Self { waiting: None }
    }
}

impl<C: AsRef<[u8]>> WriteBuffer<C> {
    /// An empty buffer. Allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.bytes)
    }

    /// Whether no byte waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a chunk of which the first `offset` bytes have been written already. Its length must
    /// not change from now on; a buffer exported by Python keeps to that.
    pub fn push(&mut self, chunk: C, offset: usize) {
        let chunk = Chunk { data: chunk, offset };
        let fresh = || Box::new(Waiting { chunks: VecDeque::new(), bytes: 0 });
        let waiting = self.waiting.get_or_insert_with(fresh);
        waiting.bytes += chunk.rest().len();
        waiting.chunks.push_back(chunk);
    }

    /// Writes until nothing is left (true) or the socket takes no more (false). Chunks written
    /// whole go to `spent`, also when an error ends it; what was not written stays.
    pub fn flush(&mut self, fd: RawFd, spent: &mut Vec<C>) -> io::Result<bool> {
        self.flush_by(&SOCKET, fd, spent)
    }

    /// The same for a nonblocking descriptor that is no socket, or need not be one.
    pub fn flush_to_pipe(&mut self, fd: RawFd, spent: &mut Vec<C>) -> io::Result<bool> {
        self.flush_by(&PIPE, fd, spent)
    }

    fn flush_by(&mut self, calls: &Calls, fd: RawFd, spent: &mut Vec<C>) -> io::Result<bool> {
        loop {
            let Some(waiting) = &mut self.waiting else { return Ok(true) };
            if waiting.bytes == 0 {
                waiting.advance(0, spent);
                self.waiting = None;
                return Ok(true);
            }
            let (offered, outcome) = waiting.write_once(calls, fd);
            match outcome {
                Ok(written) => {
                    waiting.advance(written, spent);
                    // A short write means a full socket; asking again would only be told EAGAIN.
                    if written < offered {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes out all chunks, written or not, for the caller to drop.
    pub fn take_all(&mut self) -> Vec<C> {
        let waiting = self.waiting.take();
        waiting.map_or_else(Vec::new, |waiting| waiting.chunks.into_iter().map(|chunk| chunk.data).collect())
    }
}

impl<C: AsRef<[u8]>> Waiting<C> {
    /// One system call. Returns how many bytes it was given, and what it said.
    fn write_once(&self, calls: &Calls, fd: RawFd) -> (usize, io::Result<usize>) {
        if let (1, Some(only)) = (self.chunks.len(), self.chunks.front()) {
            return (only.rest().len(), (calls.one)(fd, only.rest()));
        }
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let mut offered = 0;
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk.rest());
            offered += chunk.rest().len();
            count += 1;
        }
        (offered, (calls.many)(fd, &slices[..count]))
    }

    /// Notes that `written` bytes are gone, and moves the chunks that are done to `spent`.
    fn advance(&mut self, mut written: usize, spent: &mut Vec<C>) {
        self.bytes -= written;
        while let Some(first) = self.chunks.front_mut() {
            let rest = first.rest().len();
            if written < rest {
                first.offset += written;
                return;
            }
            written -= rest;
            spent.extend(self.chunks.pop_front().map(|chunk| chunk.data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustix::io::Errno;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[derive(Clone, Debug)]
    enum Step {
        Push { len: usize, offset: usize },
        Flush,
        Read(usize),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let len = prop_oneof![0..4usize, 0..200usize, 0..20_000usize];
        prop_oneof![
            6 => (len, prop_oneof![Just(0), 0..300usize])
                .prop_map(|(len, offset)| Step::Push { len, offset }),
            2 => Just(Step::Flush),
            1 => (0..20_000usize).prop_map(Step::Read),
        ]
    }

    /// A buffer before a socket that holds little, and what is known of both.
    struct Pipeline {
        buffer: WriteBuffer<Vec<u8>>,
        near: UnixStream,
        far: UnixStream,
        pushed: Vec<Vec<u8>>,
        spent: Vec<Vec<u8>>,
        expected: Vec<u8>,
        received: Vec<u8>,
    }

    impl Pipeline {
        fn new() -> Self {
            let (near, far) = UnixStream::pair().unwrap();
            rustix::net::sockopt::set_socket_send_buffer_size(&near, 1).unwrap();
            Self {
                buffer: WriteBuffer::new(),
                near,
                far,
                pushed: Vec::new(),
                spent: Vec::new(),
                expected: Vec::new(),
                received: Vec::new(),
            }
        }

        fn apply(&mut self, step: &Step) {
            match *step {
                Step::Push { len, offset } => {
                    // A running number, so that a byte lost or doubled shifts all that follow.
                    let first = self.pushed.iter().map(Vec::len).sum::<usize>();
                    let chunk: Vec<u8> = (first..first + len).map(|n| (n % 251) as u8).collect();
                    self.expected.extend(chunk.iter().skip(offset));
                    self.pushed.push(chunk.clone());
                    self.buffer.push(chunk, offset);
                }
                Step::Flush => {
                    let empty = self.buffer.flush(self.near.as_raw_fd(), &mut self.spent).unwrap();
                    assert_eq!(empty, self.buffer.is_empty());
                    if empty {
                        assert_eq!(self.spent.len(), self.pushed.len());
                    }
                }
                Step::Read(most) => self.read(most),
            }
            assert_eq!(self.spent, self.pushed[..self.spent.len()], "spent in order, once each");
        }

        fn read(&mut self, most: usize) {
            let mut bytes = vec![0; most];
            if let Ok(count) = socket::recv(self.far.as_raw_fd(), &mut bytes) {
                self.received.extend_from_slice(&bytes[..count]);
            }
        }
    }

    proptest! {
        #[test]
        fn every_byte_arrives_once_and_in_order(steps in prop::collection::vec(any_step(), 0..150)) {
            let mut pipeline = Pipeline::new();
            for step in &steps {
                pipeline.apply(step);
            }
            while pipeline.received.len() < pipeline.expected.len() {
                pipeline.apply(&Step::Flush);
                pipeline.apply(&Step::Read(1 << 20));
            }
            prop_assert!(pipeline.buffer.is_empty());
            prop_assert_eq!(pipeline.buffer.len(), 0);
            prop_assert!(pipeline.received == pipeline.expected, "bytes differ");
            pipeline.apply(&Step::Flush);
            prop_assert_eq!(pipeline.spent.len(), pipeline.pushed.len());
        }
    }

    #[test]
    fn length_counts_what_is_left() {
        let mut pipeline = Pipeline::new();
        pipeline.apply(&Step::Push { len: 10, offset: 4 });
        pipeline.apply(&Step::Push { len: 3, offset: 9 });
        assert_eq!(pipeline.buffer.len(), 6);
        pipeline.apply(&Step::Push { len: 1 << 20, offset: 0 });
        pipeline.apply(&Step::Flush);
        assert_eq!(pipeline.spent.len(), 2);
        let left = pipeline.buffer.len();
        assert!(0 < left && left < 1 << 20);
        pipeline.read(1 << 20);
        assert_eq!(pipeline.received.len() + left, 6 + (1 << 20));
    }

    #[test]
    fn more_chunks_than_one_call_takes() {
        let mut pipeline = Pipeline::new();
        for _ in 0..3 * MOST_SLICES + 1 {
            pipeline.apply(&Step::Push { len: 1, offset: 0 });
        }
        pipeline.apply(&Step::Flush);
        assert!(pipeline.buffer.is_empty());
        assert_eq!(pipeline.spent.len(), 3 * MOST_SLICES + 1);
    }

    #[test]
    fn a_pipe_is_written_as_a_socket_is() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        pipe::set_nonblocking(writer.as_raw_fd()).unwrap();
        let mut buffer = WriteBuffer::new();
        let data: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
        for part in data.chunks(70_000) {
            buffer.push(part.to_vec(), 0);
        }
        let (mut received, mut spent) = (Vec::new(), Vec::new());
        let mut block = [0; 4096];
        while received.len() < data.len() {
            let empty = buffer.flush_to_pipe(writer.as_raw_fd(), &mut spent).unwrap();
            assert_eq!(empty, buffer.is_empty());
            let count = pipe::read(reader.as_raw_fd(), &mut block).unwrap();
            received.extend_from_slice(&block[..count]);
        }
        assert!(received == data, "bytes differ");
        assert_eq!(spent.len(), 5);
        buffer.push(b"late".to_vec(), 0);
        drop(reader);
        let outcome = buffer.flush_to_pipe(writer.as_raw_fd(), &mut spent);
        assert_eq!(Errno::from_io_error(&outcome.unwrap_err()), Some(Errno::PIPE));
    }

    #[test]
    fn an_error_leaves_the_rest_to_be_taken() {
        let mut pipeline = Pipeline::new();
        pipeline.apply(&Step::Push { len: 5, offset: 0 });
        pipeline.apply(&Step::Push { len: 7, offset: 0 });
        drop(std::mem::replace(&mut pipeline.far, UnixStream::pair().unwrap().0));
        let outcome = pipeline.buffer.flush(pipeline.near.as_raw_fd(), &mut pipeline.spent);
        assert_eq!(Errno::from_io_error(&outcome.unwrap_err()), Some(Errno::PIPE));
        assert_eq!(pipeline.buffer.len(), 12);
        assert_eq!(pipeline.buffer.take_all(), pipeline.pushed);
        assert!(pipeline.buffer.is_empty() && pipeline.spent.is_empty());
    }
}
