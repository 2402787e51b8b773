//! An echo server on epoll and nothing else: what a readiness loop costs at the least.
//!
//! One thread, level-triggered. A connection is read once per event into one buffer that all share, and what was read is
//! written back at once; the rest of a short write waits in the connection, which is not read again until it has gone.
//! Plainly written on purpose: no edge triggering, which for one small message per wake-up costs a second read that finds
//! nothing, and no busy polling, which hides what a wait costs.

use crate::failure::Context;
use crate::{affinity, limits, turns, OnTick};
use rustix::event::epoll;
use rustix::io::{Errno, Result};
use rustix::net::{accept_with, send, sockopt, SendFlags, SocketFlags};
use slab::Slab;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Connections have the numbers of their places, from 0 on.
const LISTENER: u64 = u64::MAX - 1;
const EVENTS: usize = 1024;
/// Read at once, at most; as much as the common event loops do.
pub(crate) const BUFFER: usize = 256 * 1024;

/// Accepts on `listener`, a listening TCP or Unix socket that is made non-blocking, and echoes until told to stop.
///
/// All connections are closed then. `core` is the core to stay on.
pub fn serve(listener: BorrowedFd<'_>, core: Option<usize>, on_tick: OnTick<'_>) -> io::Result<()> {
    let _pinned = affinity::pin(core)?;
    limits::make_most_room()?;
    rustix::io::ioctl_fionbio(listener, true).context(|| "the listening socket".into())?;
    let watcher = turns::watcher()?;
    turns::watch(&watcher, listener, LISTENER).context(|| "the listening socket".into())?;
    let mut server = Server { epoll: &watcher, listener, connections: Slab::new(), buffer: vec![0; BUFFER] };
    turns::serve(&watcher, EVENTS, on_tick, |key| match key {
        LISTENER => server.accept().context(|| "a connection could not be accepted".into()),
        key => {
            server.serve_connection(key as usize);
            Ok(())
        }
    })
}

struct Server<'a> {
    epoll: &'a OwnedFd,
    listener: BorrowedFd<'a>,
    connections: Slab<Connection>,
    buffer: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    /// What could not be written yet, from `written` on; while there is any, only room is waited for.
    rest: Vec<u8>,
    written: usize,
}

impl Server<'_> {
    /// Accepts all that wait.
    fn accept(&mut self) -> Result<()> {
        loop {
            match accept_with(self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => self.welcome(socket)?,
                Err(Errno::AGAIN) => return Ok(()),
                // The client was gone before it was accepted.
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn welcome(&mut self, socket: OwnedFd) -> Result<()> {
        match sockopt::set_tcp_nodelay(&socket, true) {
            // A Unix socket has nothing to delay.
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
        let entry = self.connections.vacant_entry();
        let data = epoll::EventData::new_u64(entry.key() as u64);
        epoll::add(self.epoll, &socket, data, epoll::EventFlags::IN)?;
        entry.insert(Connection { socket, rest: Vec::new(), written: 0 });
        Ok(())
    }

    /// A connection that fails or ends is closed, which is all that a client can be told.
    fn serve_connection(&mut self, key: usize) {
        let writing = !self.connections[key].rest.is_empty();
        let outcome = if writing { self.write_rest(key) } else { self.echo(key) };
        if !matches!(outcome, Ok(true)) {
            self.connections.remove(key);
        }
    }

    /// Reads once and writes what was read; false at the end.
    fn echo(&mut self, key: usize) -> Result<bool> {
        let connection = &mut self.connections[key];
        let count = match rustix::io::read(&connection.socket, &mut self.buffer[..]) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(error) => return Err(error),
        };
        let sent = send_some(&connection.socket, &self.buffer[..count])?;
        if sent < count {
            connection.rest.extend_from_slice(&self.buffer[sent..count]);
            self.wait_for(key, epoll::EventFlags::OUT)?;
        }
        Ok(true)
    }

    fn write_rest(&mut self, key: usize) -> Result<bool> {
        let connection = &mut self.connections[key];
        connection.written += send_some(&connection.socket, &connection.rest[connection.written..])?;
        if connection.written == connection.rest.len() {
            connection.rest.clear();
            connection.written = 0;
            self.wait_for(key, epoll::EventFlags::IN)?;
        }
        Ok(true)
    }

    fn wait_for(&self, key: usize, flags: epoll::EventFlags) -> Result<()> {
        let data = epoll::EventData::new_u64(key as u64);
        epoll::modify(self.epoll, &self.connections[key].socket, data, flags)
    }
}

/// Sends what fits, perhaps nothing. No signal comes of a client that has gone.
fn send_some(socket: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    match send(socket, bytes, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        outcome => outcome,
    }
}
