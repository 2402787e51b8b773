//! One connection of the client: a message on its way, and how much of it has come back.
//!
//! All connections send from one long message, each from another place in it, so that a reply that belongs to a neighbour is
//! noticed without a copy per connection. Its bytes repeat after 251, a prime: a server that loses, doubles or swaps a
//! buffer's worth of them shifts the rest.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

const PERIOD: usize = 251;

/// What is sent, by all connections.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    size: usize,
}

impl Message {
    /// Messages of `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        // A remainder of 251 always fits in a byte.
        Self { bytes: (0..size + PERIOD).map(|place| (place % PERIOD) as u8).collect(), size }
    }

    /// The message of one connection.
    #[inline]
    fn of(&self, connection: usize) -> &[u8] {
        &self.bytes[connection % PERIOD..][..self.size]
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    number: usize,
    sent: usize,
    received: usize,
    /// When the message under way began to be sent.
    pub(crate) started: Option<Instant>,
    /// Whether epoll was told to report room for writing.
    pub(crate) watched_for_room: bool,
}

/// How a call moved a message on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    pub(crate) bytes: usize,
    pub(crate) complete: bool,
}

impl Connection {
    /// `stream` has to be non-blocking. `number` counts from 0.
    pub(crate) fn new(stream: TcpStream, number: usize) -> Self {
        Self { stream, number, sent: 0, received: 0, started: None, watched_for_room: false }
    }

    /// Begins a message, and sends as much of it as fits.
    pub(crate) fn begin(&mut self, message: &Message, now: Instant) -> io::Result<Progress> {
        self.sent = 0;
        self.received = 0;
        self.started = Some(now);
        self.send(message)
    }

    /// Sends as much of the rest as fits; complete if all of it has gone.
    pub(crate) fn send(&mut self, message: &Message) -> io::Result<Progress> {
        let before = self.sent;
        let bytes = message.of(self.number);
        while self.sent < bytes.len() {
            match self.stream.write(&bytes[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Progress { bytes: self.sent - before, complete: self.sent == bytes.len() })
    }

    /// Reads once; complete if the whole reply is there. With `check`, compares what came with what was sent.
    pub(crate) fn receive(
        &mut self,
        message: &Message,
        buffer: &mut [u8],
        check: bool,
    ) -> io::Result<Progress> {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Err(io::Error::new(ErrorKind::ConnectionAborted, "closed by the server")),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(Progress { bytes: 0, complete: false });
            }
            Err(error) => return Err(error),
        };
        // The server can only return what it was sent: anything beyond that did not come from the message.
        if self.started.is_none() || self.received + count > self.sent {
            return Err(io::Error::new(ErrorKind::InvalidData, "bytes came back that were not sent"));
        }
        if check && buffer[..count] != message.of(self.number)[self.received..][..count] {
            return Err(io::Error::new(ErrorKind::InvalidData, "other bytes came back than were sent"));
        }
        self.received += count;
        Ok(Progress { bytes: count, complete: self.received == message.size })
    }

    /// Which connection it is and how far it got, for messages.
    pub(crate) fn describe(&self, message: &Message, connections: usize) -> String {
        let (number, size) = (self.number + 1, message.size);
        let state = match self.started {
            Some(_) => format!("{} of {size} bytes sent, {} back", self.sent, self.received),
            None => "between two messages".into(),
        };
        format!("connection {number} of {connections} ({state})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_send_different_bytes() {
        let message = Message::new(1);
        assert_ne!(message.of(0), message.of(1));
        let message = Message::new(3 * PERIOD);
        assert_ne!(message.of(7), message.of(250));
        assert_eq!(message.of(3), message.of(3 + PERIOD));
        assert_eq!(message.of(250).len(), 3 * PERIOD);
    }
}
