//! One connection of the client: a message on its way, and how much of it has come back.

use crate::message::Message;
use crate::socket::Socket;
use std::io::{self, ErrorKind};
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: Socket,
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
    /// `number` counts from 0.
    pub(crate) fn new(socket: Socket, number: usize) -> Self {
        Self { socket, number, sent: 0, received: 0, started: None, watched_for_room: false }
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
            match self.socket.send(&bytes[self.sent..]) {
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
        let count = match self.socket.receive(buffer) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(Progress { bytes: 0, complete: false });
            }
            Err(error) => return Err(error),
        };
        // Anything beyond what is due is not an answer.
        if self.started.is_none() || self.received + count > message.may_be_back(self.sent) {
            return Err(io::Error::new(ErrorKind::InvalidData, "bytes came back that were not sent"));
        }
        if check && !message.is_right(self.number, self.received, &buffer[..count]) {
            return Err(io::Error::new(ErrorKind::InvalidData, "other bytes came back than were sent"));
        }
        self.received += count;
        Ok(Progress { bytes: count, complete: self.received == message.reply_size() })
    }

    /// Which connection it is and how far it got, for messages.
    pub(crate) fn describe(&self, message: &Message, connections: usize) -> String {
        let (number, size) = (self.number + 1, message.of(self.number).len());
        let state = match self.started {
            Some(_) => format!("{} of {size} bytes sent, {} back", self.sent, self.received),
            None => "between two messages".into(),
        };
        format!("connection {number} of {connections} ({state})")
    }
}
