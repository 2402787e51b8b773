//! Who watches which descriptor, and what the reactor has been told of it.
//!
//! A slot per descriptor number, found by indexing. The token given to the reactor holds the number and the slot's
//! generation, so that an event which was fetched before a descriptor changed hands is dropped. The kernel
//! forgets a descriptor that is closed; where that is noticed (ENOENT, EEXIST) the slot follows.
//!
//! A registration outlives the `sock_*` operation that made it: most often the next one wants the same, and a request then
//! costs no `epoll_ctl`. It *lingers*, together with a weak reference to the socket object, because the number alone may mean
//! another socket by then. When something arrives and still nobody waits, it goes.

use super::datagram::DatagramTransport;
use super::future::Future;
use super::handle::Handle;
use super::pipes::read::ReadPipeTransport;
use super::pipes::write::WritePipeTransport;
use super::process::{ProcessStep, SubprocessTransport};
use super::ready::{Ready, TransportStep};
use super::socket_transport::SocketTransport;
use super::transport::SelectorTransport;
use plait_core::net::{socket, ReadSize};
use plait_core::reactor::{Event, Interest, Reactor};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;
use std::io;
use std::os::fd::RawFd;

const EBADF: i32 = 9;
const EEXIST: i32 = 17;
const ENOENT: i32 = 2;

/// Whom to tell. Small, because each connection has room for two; transports are many, callbacks few.
pub enum Watcher {
    /// `add_reader`, `add_writer`: each time. With the object whose `fileno()` it was, by which the watcher can still be
    /// removed when that is closed.
    Callback(Box<(Py<Handle>, Option<Py<PyAny>>)>),
    /// A `sock_*` operation: once. `known`: what lingers was registered for the same socket object.
    Waiter {
        future: Py<Future>,
        known: bool,
    },
    /// A transport of ours: each time.
    Transport(Py<SocketTransport>),
    /// One of datagrams.
    Datagrams(Py<DatagramTransport>),
    /// One end of a pipe: each time.
    ReadPipe(Py<ReadPipeTransport>),
    WritePipe(Py<WritePipeTransport>),
    /// A child, by its pidfd.
    Process(Py<SubprocessTransport>),
}

/// Which transport, by where it lies: compared, never followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Owner(*const ());

impl Owner {
    pub fn of<T>(transport: &T) -> Owner {
        Owner(std::ptr::from_ref(transport).cast())
    }
}

impl Watcher {
    /// The transport or child whose it is.
    pub fn owner(&self) -> Option<Owner> {
        match self {
            Watcher::Transport(transport) => Some(Owner::of(transport.get())),
            Watcher::Datagrams(transport) => Some(Owner::of(transport.get())),
            Watcher::ReadPipe(transport) => Some(Owner::of(transport.get())),
            Watcher::WritePipe(transport) => Some(Owner::of(transport.get())),
            Watcher::Process(transport) => Some(Owner::of(transport.get())),
            Watcher::Callback(_) | Watcher::Waiter { .. } => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Read,
    Write,
}

impl From<Direction> for TransportStep {
    fn from(direction: Direction) -> TransportStep {
        match direction {
            Direction::Read => TransportStep::Readable,
            Direction::Write => TransportStep::Writable,
        }
    }
}

#[derive(Default)]
struct Slot {
    generation: u32,
    registered: Interest,
    /// The last receive took all that there was, and no event has come since.
    drained: bool,
    read_size: ReadSize,
    reader: Option<Watcher>,
    writer: Option<Watcher>,
    /// The socket object whose operation was the last to be registered.
    sock: Option<Py<PyWeakrefReference>>,
}

impl Slot {
    /// Registered, although nobody waits.
    fn lingers(&self) -> bool {
        !self.registered.is_empty() && self.reader.is_none() && self.writer.is_none()
    }

    fn watcher(&mut self, direction: Direction) -> &mut Option<Watcher> {
        match direction {
            Direction::Read => &mut self.reader,
            Direction::Write => &mut self.writer,
        }
    }

    fn wanted(&self) -> Interest {
        let mut wanted = Interest::NONE;
        if self.reader.is_some() {
            wanted |= Interest::READ;
        }
        if self.writer.is_some() {
            wanted |= Interest::WRITE;
        }
        wanted
    }
}

#[derive(Default)]
pub struct Descriptors {
    slots: Vec<Slot>,
    /// How many slots are registered with the reactor.
    watched: usize,
}

/// What to do about one event, decided while the table is open and done after.
pub enum Wakeup {
    Queue(Ready),
    Settle(Py<Future>),
}

impl Descriptors {
    pub fn any_watched(&self) -> bool {
        self.watched > 0
    }

    /// Puts a watcher in place. What leaves its place, the one that was there or the new one when the kernel refuses the
    /// descriptor, comes back in the list: the caller cancels or drops it, outside.
    pub fn watch(
        &mut self,
        reactor: &Reactor,
        fd: RawFd,
        direction: Direction,
        watcher: Watcher,
    ) -> (io::Result<()>, [Option<Watcher>; 2]) {
        let Ok(index) = usize::try_from(fd) else {
            return (Err(io::Error::from_raw_os_error(EBADF)), [Some(watcher), None]);
        };
        if index >= self.slots.len() {
            // Any number may be asked for; only one that is open is worth a slot.
            if let Err(error) = socket::is_nonblocking(fd) {
                return (Err(error), [Some(watcher), None]);
            }
            self.slots.resize_with(index + 1, Slot::default);
        }
        let slot = &mut self.slots[index];
        let unsure = slot.lingers() && !matches!(watcher, Watcher::Waiter { known: true, .. });
        let replaced = slot.watcher(direction).replace(watcher);
        if unsure {
            // As if it were not registered: under a new token.
            self.watched -= 1;
            slot.registered = Interest::NONE;
        }
        match self.tell(reactor, index, replaced.is_some()) {
            Ok(()) => (Ok(()), [replaced, None]),
            Err(error) => {
                // Nothing is watched then: what was just put in goes back to the caller.
                let refused = self.slots[index].watcher(direction).take();
                drop_quietly(self.tell(reactor, index, false));
                (Err(error), [replaced, refused])
            }
        }
    }

    /// Takes a watcher away and tells the reactor.
    pub fn unwatch(&mut self, reactor: &Reactor, fd: RawFd, direction: Direction) -> Option<Watcher> {
        let index = usize::try_from(fd).ok()?;
        let removed = self.slots.get_mut(index)?.watcher(direction).take();
        // The descriptor may be closed already; then there is nothing left to take back.
        drop_quietly(self.tell(reactor, index, false));
        removed
    }

    /// A `sock_*` operation has ended or given up. Its watcher goes if it is still there (a newer operation may wait in
    /// its place), and so does the interest that nobody has any more, unless it may linger.
    pub fn end_wait(
        &mut self,
        reactor: &Reactor,
        fd: RawFd,
        direction: Direction,
        waiter: &Py<Future>,
    ) -> Option<Watcher> {
        let index = usize::try_from(fd).ok()?;
        let slot = self.slots.get_mut(index)?;
        let watcher = slot.watcher(direction);
        let own = matches!(watcher, Some(Watcher::Waiter { future, .. }) if future.is(waiter));
        let removed = if own { watcher.take() } else { None };
        // A socket nearly always has room to write: that interest would be reported at once.
        if slot.registered != Interest::READ || !slot.lingers() {
            drop_quietly(self.tell(reactor, index, false));
        }
        removed
    }

    /// The socket object for which a descriptor's registration was made last, and whether it has been drained since.
    pub fn lingering(&self, py: Python<'_>, fd: RawFd) -> Option<(Py<PyWeakrefReference>, bool)> {
        let slot = self.slots.get(usize::try_from(fd).ok()?).filter(|slot| slot.lingers())?;
        slot.sock.as_ref().map(|sock| (sock.clone_ref(py), slot.drained))
    }

    /// Remembers whose registration it is. Returns the reference to drop.
    pub fn set_sock(&mut self, fd: RawFd, sock: Py<PyWeakrefReference>) -> Option<Py<PyWeakrefReference>> {
        match usize::try_from(fd).ok().and_then(|index| self.slots.get_mut(index)) {
            Some(slot) => slot.sock.replace(sock),
            None => Some(sock),
        }
    }

    /// What an operation is likely to receive.
    pub fn read_size(&self, fd: RawFd) -> ReadSize {
        let slot = usize::try_from(fd).ok().and_then(|index| self.slots.get(index));
        slot.map(|slot| slot.read_size).unwrap_or_default()
    }

    /// An operation has received so many bytes of those that it asked for. If there were fewer, it took all that there was.
    pub fn note_received(&mut self, fd: RawFd, received: usize, asked: usize) {
        if let Some(slot) = usize::try_from(fd).ok().and_then(|index| self.slots.get_mut(index)) {
            slot.drained = 0 < received && received < asked;
            slot.read_size.note(received);
        }
    }

    /// The number under which an object that is closed by now was watched.
    pub fn number_of(&self, source: &Bound<'_, PyAny>) -> Option<RawFd> {
        let found = self.slots.iter().position(|slot| {
            [&slot.reader, &slot.writer]
                .into_iter()
                .any(|watcher| matches!(watcher, Some(Watcher::Callback(callback)) if callback.1.as_ref().is_some_and(|known| known.is(source))))
        });
        found.and_then(|index| RawFd::try_from(index).ok())
    }

    /// The transport that watches a descriptor, unless it is being closed.
    pub fn transport_on(&self, py: Python<'_>, fd: RawFd) -> Option<Py<PyAny>> {
        let slot = self.slots.get(usize::try_from(fd).ok()?)?;
        [&slot.reader, &slot.writer].into_iter().flatten().find_map(|watcher| match watcher {
            Watcher::Transport(transport) => {
                (!transport.get().closing(py)).then(|| transport.clone_ref(py).into_any())
            }
            Watcher::Datagrams(transport) => {
                (!transport.get().closing(py)).then(|| transport.clone_ref(py).into_any())
            }
            // Pipes and children are not asked for, as in asyncio.
            _ => None,
        })
    }

    /// Whether it is this very transport that watches. (The number may have been another's before, who forgot to stop, or be another's
    /// by now, whose watcher is not to be taken away.)
    pub fn is_watched_by(&self, fd: RawFd, direction: Direction, owner: Owner) -> bool {
        self.there(fd, direction).is_some_and(|watcher| watcher.owner() == Some(owner))
    }

    /// Whether a `sock_*` operation waits.
    pub fn is_awaited(&self, fd: RawFd, direction: Direction) -> bool {
        matches!(self.there(fd, direction), Some(Watcher::Waiter { .. }))
    }

    fn there(&self, fd: RawFd, direction: Direction) -> Option<&Watcher> {
        let slot = self.slots.get(usize::try_from(fd).ok()?)?;
        match direction {
            Direction::Read => slot.reader.as_ref(),
            Direction::Write => slot.writer.as_ref(),
        }
    }

    /// `(fd, reads, writes)` of all that is watched.
    pub fn list(&self) -> Vec<(usize, bool, bool)> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(_, slot)| !slot.wanted().is_empty())
            .map(|(fd, slot)| (fd, slot.reader.is_some(), slot.writer.is_some()))
            .collect()
    }

    /// Brings the reactor in line with the slot. `confirm`: the watcher was replaced, and the descriptor may be another
    /// one under the same number, so the reactor is told again although the mask is the same.
    fn tell(&mut self, reactor: &Reactor, index: usize, confirm: bool) -> io::Result<()> {
        let slot = &mut self.slots[index];
        let wanted = slot.wanted();
        let registered = slot.registered;
        if wanted == registered && !confirm {
            return Ok(());
        }
        let fd = index as RawFd;
        let result = if wanted.is_empty() {
            reactor.deregister(fd)
        } else if registered.is_empty() {
            slot.generation = slot.generation.wrapping_add(1);
            register_or_modify(reactor, fd, token(index, slot.generation), wanted)
        } else {
            modify_or_register(reactor, fd, token(index, slot.generation), wanted)
        };
        let now = if result.is_ok() || wanted.is_empty() { wanted } else { Interest::NONE };
        slot.registered = now;
        match (registered.is_empty(), now.is_empty()) {
            (true, false) => self.watched += 1,
            (false, true) => self.watched -= 1,
            _ => {}
        }
        result
    }

    /// Turns an event into what is to be done. One-shot watchers leave their place; their registration stays until the
    /// operation ends, which often waits again at once.
    pub fn wakeups(&mut self, py: Python<'_>, event: Event, out: &mut Vec<Wakeup>) {
        let (index, generation) = ((event.token & u64::from(u32::MAX)) as usize, event.token >> 32);
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if u64::from(slot.generation) != generation {
            return;
        }
        slot.drained = false;
        let broken = event.hangup || event.error;
        if event.readable || broken {
            wakeup(py, &mut slot.reader, Direction::Read, out);
        }
        if event.writable || broken {
            wakeup(py, &mut slot.writer, Direction::Write, out);
        }
    }

    /// A level-triggered event that nobody waits for would come back at once and for ever: where the one-shot watcher
    /// has gone, the interest goes too.
    ///
    /// False when it cannot go: the number was closed or given away while a copy of the file is still open somewhere. Then
    /// only forgetting all helps ([`Descriptors::register_again`]).
    pub fn quiet_unwatched(&mut self, reactor: &Reactor, event: Event) -> bool {
        let (index, generation) = ((event.token & u64::from(u32::MAX)) as usize, event.token >> 32);
        match self.slots.get(index) {
            Some(slot) if u64::from(slot.generation) != generation => false,
            Some(slot) if slot.wanted() != slot.registered => match self.tell(reactor, index, false) {
                Err(error) => !matches!(error.raw_os_error(), Some(EBADF | ENOENT)),
                Ok(()) => true,
            },
            _ => true,
        }
    }

    /// After the reactor has forgotten all: what is wanted is registered anew, what only lingered is not.
    pub fn register_again(&mut self, reactor: &Reactor) {
        self.watched = 0;
        for index in 0..self.slots.len() {
            self.slots[index].registered = Interest::NONE;
            drop_quietly(self.tell(reactor, index, false));
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for slot in &self.slots {
            visit.call(&slot.sock)?;
        }
        for watcher in self.slots.iter().flat_map(|slot| [&slot.reader, &slot.writer]).flatten() {
            match watcher {
                Watcher::Callback(callback) => {
                    visit.call(&callback.0)?;
                    visit.call(&callback.1)?;
                }
                Watcher::Waiter { future, .. } => visit.call(future)?,
                Watcher::Transport(transport) => visit.call(transport)?,
                Watcher::Datagrams(transport) => visit.call(transport)?,
                Watcher::ReadPipe(transport) => visit.call(transport)?,
                Watcher::WritePipe(transport) => visit.call(transport)?,
                Watcher::Process(transport) => visit.call(transport)?,
            }
        }
        Ok(())
    }
}

fn wakeup(py: Python<'_>, watcher: &mut Option<Watcher>, direction: Direction, out: &mut Vec<Wakeup>) {
    match watcher {
        None => {}
        Some(Watcher::Callback(callback)) => {
            out.push(Wakeup::Queue(Ready::Handle(callback.0.clone_ref(py))));
        }
        Some(Watcher::Transport(transport)) => {
            out.push(Wakeup::Queue(Ready::Transport(transport.clone_ref(py), direction.into())));
        }
        Some(Watcher::ReadPipe(transport)) => {
            out.push(Wakeup::Queue(Ready::ReadPipe(transport.clone_ref(py), direction.into())));
        }
        Some(Watcher::WritePipe(transport)) => {
            out.push(Wakeup::Queue(Ready::WritePipe(transport.clone_ref(py), direction.into())));
        }
        Some(Watcher::Process(transport)) => {
            out.push(Wakeup::Queue(Ready::Process(transport.clone_ref(py), ProcessStep::Reap)));
        }
        Some(Watcher::Datagrams(transport)) => {
            out.push(Wakeup::Queue(Ready::Datagrams(transport.clone_ref(py), direction.into())));
        }
        Some(Watcher::Waiter { .. }) => {
            if let Some(Watcher::Waiter { future, .. }) = watcher.take() {
                out.push(Wakeup::Settle(future));
            }
        }
    }
}

fn token(index: usize, generation: u32) -> u64 {
    index as u64 | (u64::from(generation) << 32)
}

fn register_or_modify(reactor: &Reactor, fd: RawFd, token: u64, wanted: Interest) -> io::Result<()> {
    match reactor.register(fd, token, wanted) {
        Err(error) if error.raw_os_error() == Some(EEXIST) => reactor.modify(fd, token, wanted),
        result => result,
    }
}

fn modify_or_register(reactor: &Reactor, fd: RawFd, token: u64, wanted: Interest) -> io::Result<()> {
    match reactor.modify(fd, token, wanted) {
        Err(error) if error.raw_os_error() == Some(ENOENT) => reactor.register(fd, token, wanted),
        result => result,
    }
}

/// For deregistrations: the kernel says ENOENT or EBADF of what is closed, and that is what was wanted.
fn drop_quietly(_result: io::Result<()>) {}
