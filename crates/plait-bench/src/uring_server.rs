//! The same echo server on io_uring: what a completion loop costs at the least.
//!
//! One thread. Connections come from one multishot accept. Each has a buffer of its own and one chain in the kernel: what was
//! received is sent whole, and linked to that is the next receive, so that a request costs one entry into the kernel or,
//! with several connections, a part of one. A client that does not read blocks its own chain and nobody else's. Rejected:
//! multishot receive into provided buffers, whose pool one slow client can hold; and registered files and buffers, which
//! save little on sockets and make it no longer the plain way.
//!
//! Linux 5.19 is needed, which brought multishot accept and sends that go on until all is sent. Where the kernel or a
//! system-call filter refuses io_uring, the error says so.

use crate::epoll_server::BUFFER;
use crate::failure::Context;
use crate::ticker::TICK_NANOSECONDS;
use crate::{affinity, limits, OnTick};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, Timespec};
use io_uring::{cqueue, opcode, IoUring, Probe};
use rustix::io::Errno;
use rustix::net::{shutdown, sockopt, Shutdown};
use slab::Slab;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const ACCEPT: u64 = u64::MAX;
const TICK: u64 = u64::MAX - 1;
const CANCEL: u64 = u64::MAX - 2;
/// Beside these, a completion belongs to a connection: its key, and in the lowest bit whether a send failed.
const FAILED_SEND: u64 = 1;
/// A send is linked to the receive after it, and silent if it succeeds. If it fails it tells so, and then the cancelled
/// receive is silent: of a chain there is always one completion.
const SEND_FLAGS: Flags = Flags::IO_LINK.union(Flags::SKIP_SUCCESS);
const ENTRIES: u32 = 1024;
/// A buffer at first. It doubles, up to `BUFFER`, when a receive has filled it: thousands of idle connections stay small.
const FIRST_BUFFER: usize = 4096;
static TICK_TIME: Timespec = Timespec::new().nsec(TICK_NANOSECONDS as u32);

/// Accepts on `listener`, a listening TCP socket, and echoes until told to stop.
///
/// All connections are closed then. `core` is the core to stay on.
pub fn serve(listener: BorrowedFd<'_>, core: Option<usize>, on_tick: OnTick<'_>) -> io::Result<()> {
    let _pinned = affinity::pin(core)?;
    limits::make_most_room()?;
    let mut server = Server::new(listener)?;
    server.push_accept()?;
    server.push_tick()?;
    loop {
        if server.wait_for(1)? == Waited::Interrupted && on_tick().is_break() {
            return Ok(());
        }
        while let Some(completion) = server.completed.pop_front() {
            if server.complete(completion, on_tick)?.is_break() {
                return Ok(());
            }
        }
    }
}

/// What a wait ended with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    Completed,
    Interrupted,
}

struct Server<'a> {
    ring: IoUring,
    listener: BorrowedFd<'a>,
    connections: Slab<Connection>,
    /// How many completions are still to come: of chains, of the accept, of the tick.
    pending: usize,
    /// What has completed and was not looked at yet.
    completed: VecDeque<cqueue::Entry>,
}

/// A connection has one chain in the kernel, until that completes for the last time.
struct Connection {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl<'a> Server<'a> {
    fn new(listener: BorrowedFd<'a>) -> io::Result<Self> {
        let ring = new_ring().context(|| "the kernel refuses io_uring".into())?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe).context(|| "io_uring could not be probed".into())?;
        // An operation of the same kernel release stands for what cannot be asked for.
        if !probe.is_supported(opcode::Socket::CODE) {
            return Err(io::Error::new(ErrorKind::Unsupported, "io_uring is too old: Linux 5.19 is needed"));
        }
        let completed = VecDeque::with_capacity(ENTRIES as usize);
        Ok(Self { ring, listener, connections: Slab::new(), pending: 0, completed })
    }

    fn push_accept(&mut self) -> io::Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC);
        self.push(&[accept.build().user_data(ACCEPT)])?;
        self.pending += 1;
        Ok(())
    }

    fn push_tick(&mut self) -> io::Result<()> {
        self.push(&[opcode::Timeout::new(&TICK_TIME).build().user_data(TICK)])?;
        self.pending += 1;
        Ok(())
    }

    /// Sends the first `count` bytes of the connection's buffer, if there are any, and receives after that.
    fn push_echo(&mut self, key: usize, count: usize) -> io::Result<()> {
        let Connection { socket, buffer } = &mut self.connections[key];
        if count == buffer.len() && count < BUFFER {
            buffer.resize(2 * count, 0);
        }
        let (fd, length) = (Fd(socket.as_raw_fd()), buffer.len() as u32);
        let receive = opcode::Recv::new(fd, buffer.as_mut_ptr(), length).build().user_data((key as u64) << 1);
        let send = opcode::Send::new(fd, buffer.as_ptr(), count as u32)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build()
            .flags(SEND_FLAGS)
            .user_data((key as u64) << 1 | FAILED_SEND);
        let chain = [send, receive];
        self.push(if count == 0 { &chain[1..] } else { &chain })?;
        self.pending += 1;
        Ok(())
    }

    /// Puts entries into the submission queue, side by side, since a chain must not be torn.
    fn push(&mut self, entries: &[Entry]) -> io::Result<()> {
        loop {
            // SAFETY: what an entry points to outlives it in the kernel. Buffers: a connection is removed, and its buffer
            // lent again or enlarged, only when its chain has completed; `drop` waits for that, or gives the memory up. The
            // heap block of a buffer stays where it is when the slab grows. The tick's time is static. Descriptors: a
            // connection's is closed with it; the listener is borrowed for as long as `self` lives.
            #[allow(unsafe_code)]
            let pushed = unsafe { self.ring.submission().push_multiple(entries) };
            if pushed.is_ok() {
                return Ok(());
            }
            self.wait_for(0)?;
        }
    }

    /// Hands over what was pushed, waits for that many completions, and moves all there are to `completed`.
    fn wait_for(&mut self, completions: usize) -> io::Result<Waited> {
        let waited = match self.ring.submit_and_wait(completions) {
            Ok(_) => Waited::Completed,
            Err(error) if error.kind() == ErrorKind::Interrupted => Waited::Interrupted,
            // Completions have to be taken before more can be submitted.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Waited::Completed,
            Err(error) => return Err(error).context(|| "io_uring_enter".into()),
        };
        for completion in self.ring.completion() {
            if completion.user_data() != CANCEL && !cqueue::more(completion.flags()) {
                self.pending -= 1;
            }
            self.completed.push_back(completion);
        }
        Ok(waited)
    }

    fn complete(&mut self, completion: cqueue::Entry, on_tick: OnTick<'_>) -> io::Result<ControlFlow<()>> {
        match completion.user_data() {
            ACCEPT => self.accepted(&completion)?,
            CANCEL => {}
            TICK => {
                self.push_tick()?;
                return Ok(on_tick());
            }
            data => self.echoed(data, completion.result())?,
        }
        Ok(ControlFlow::Continue(()))
    }

    fn accepted(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        if !cqueue::more(completion.flags()) {
            self.push_accept()?;
        }
        match outcome(completion.result()) {
            Ok(fd) => {
                // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
                #[allow(unsafe_code)]
                let socket = unsafe { OwnedFd::from_raw_fd(fd) };
                sockopt::set_tcp_nodelay(&socket, true).context(|| "TCP_NODELAY".into())?;
                let key = self.connections.insert(Connection { socket, buffer: vec![0; FIRST_BUFFER] });
                self.push_echo(key, 0)
            }
            // The client was gone before it was accepted.
            Err(Errno::INTR | Errno::CONNABORTED) => Ok(()),
            outcome => outcome.map(drop).context(|| "a connection could not be accepted".into()),
        }
    }

    /// A connection that fails or ends is closed, which is all that a client can be told.
    fn echoed(&mut self, data: u64, result: i32) -> io::Result<()> {
        let key = (data >> 1) as usize;
        match outcome(result) {
            Ok(count) if count > 0 && data & FAILED_SEND == 0 => self.push_echo(key, count as usize),
            Err(Errno::INTR) if data & FAILED_SEND == 0 => self.push_echo(key, 0),
            _ => {
                self.connections.remove(key);
                Ok(())
            }
        }
    }

    /// Ends all that the kernel has under way, and waits for the end of it.
    fn drain(&mut self) -> io::Result<()> {
        for (_, connection) in &self.connections {
            // Fails where the client has gone already, and then nothing needs to be ended.
            let _ = shutdown(&connection.socket, Shutdown::Both);
        }
        for what in [ACCEPT, TICK] {
            self.push(&[opcode::AsyncCancel::new(what).build().user_data(CANCEL)])?;
        }
        while self.pending > 0 {
            self.wait_for(1)?;
        }
        self.completed.drain(..).for_each(discard_late_connection);
        Ok(())
    }
}

/// A client that was accepted while the server was stopping.
fn discard_late_connection(completion: cqueue::Entry) {
    if completion.user_data() == ACCEPT && completion.result() >= 0 {
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        #[allow(unsafe_code)]
        drop(unsafe { OwnedFd::from_raw_fd(completion.result()) });
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if self.drain().is_err() {
            // The kernel may still write into the buffers: they are given up rather than used again by somebody else.
            std::mem::forget(std::mem::take(&mut self.connections));
        }
    }
}

/// The newest way to run completions that the kernel knows: in the thread that waits, when it waits.
fn new_ring() -> io::Result<IoUring> {
    let newest = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(ENTRIES);
    match newest {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => IoUring::new(ENTRIES),
        outcome => outcome,
    }
}

/// A completion's result: a number that is not negative, or an error.
fn outcome(result: i32) -> Result<i32, Errno> {
    match result {
        0.. => Ok(result),
        _ => Err(Errno::from_raw_os_error(-result)),
    }
}
