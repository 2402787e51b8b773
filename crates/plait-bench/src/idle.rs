//! Connections that are open and do nothing, to see what one costs the server in memory.
//!
//! Each has echoed one message before it is left alone: a connection that was never used has not made its buffers yet, and
//! the server may not even have accepted it.

use crate::client::check;
use crate::message::Message;
use crate::rounds::Rounds;
use crate::socket::Socket;
use crate::{limits, OnTick};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Open connections; they are closed when it is dropped.
#[derive(Debug)]
pub struct Idle {
    sockets: Vec<Socket>,
}

impl Idle {
    /// Opens `connections` of them and echoes one message of `size` bytes on each.
    ///
    /// Raises the process's soft limit of descriptors if it has to, and leaves it raised.
    pub fn open(
        address: SocketAddr,
        connections: usize,
        size: usize,
        timeout: Duration,
        on_tick: OnTick<'_>,
    ) -> io::Result<Self> {
        check(connections, size, timeout)?;
        limits::make_room_for(connections)?;
        let mut rounds = Rounds::new(connections, Message::echo(size), timeout)?;
        rounds.open(&address.into(), on_tick)?;
        Ok(Self { sockets: rounds.into_sockets() })
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there are none; there always are.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }
}
