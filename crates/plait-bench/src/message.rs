//! What a client sends, and what has to come back.
//!
//! Echoes: all connections send from one long message, each from another place in it, so that a reply that belongs to a
//! neighbour is noticed without a copy per connection. Its bytes repeat after 251, a prime: a server that loses, doubles or
//! swaps a buffer's worth of them shifts the rest.
//!
//! Requests: all connections send the same bytes and are sent the same number back, as an HTTP server does whose answer has a
//! fixed length. Only the beginning of a reply is known, since the rest has the date in it. Rejected: parsing HTTP, which
//! would cost the client more than what it looks for.

pub(crate) const PERIOD: usize = 251;

/// What is sent, by all connections.
#[derive(Debug)]
pub(crate) enum Message {
    /// What is sent comes back; `bytes` is a period longer than `size`.
    Echo { bytes: Vec<u8>, size: usize },
    /// Something else comes back, `reply_size` bytes that begin with `beginning`.
    Request { bytes: Vec<u8>, reply_size: usize, beginning: Vec<u8> },
}

impl Message {
    /// Echoes of `size` bytes.
    pub(crate) fn echo(size: usize) -> Self {
        Self::Echo { bytes: pattern(size + PERIOD), size }
    }

    /// What one connection sends.
    #[inline]
    pub(crate) fn of(&self, connection: usize) -> &[u8] {
        match self {
            Self::Echo { bytes, size } => &bytes[connection % PERIOD..][..*size],
            Self::Request { bytes, .. } => bytes,
        }
    }

    /// How many bytes a whole reply has.
    #[inline]
    pub(crate) fn reply_size(&self) -> usize {
        match self {
            Self::Echo { size, .. } => *size,
            Self::Request { reply_size, .. } => *reply_size,
        }
    }

    /// How many bytes may have come back when so many have been sent.
    #[inline]
    pub(crate) fn may_be_back(&self, sent: usize) -> usize {
        match self {
            Self::Echo { .. } => sent,
            Self::Request { bytes, reply_size, .. } => {
                if sent == bytes.len() {
                    *reply_size
                } else {
                    0
                }
            }
        }
    }

    /// Whether these may stand at this place of the reply.
    pub(crate) fn is_right(&self, connection: usize, place: usize, came: &[u8]) -> bool {
        match self {
            Self::Echo { .. } => *came == self.of(connection)[place..][..came.len()],
            Self::Request { beginning, .. } => {
                let known = beginning.get(place..).unwrap_or_default();
                came.iter().zip(known).all(|(byte, wanted)| byte == wanted)
            }
        }
    }
}

/// Bytes that tell their place, up to the period.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    // A remainder of 251 always fits in a byte.
    (0..size).map(|place| (place % PERIOD) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_send_different_bytes() {
        let message = Message::echo(1);
        assert_ne!(message.of(0), message.of(1));
        let message = Message::echo(3 * PERIOD);
        assert_ne!(message.of(7), message.of(250));
        assert_eq!(message.of(3), message.of(3 + PERIOD));
        assert_eq!(message.of(250).len(), 3 * PERIOD);
    }

    #[test]
    fn a_request_knows_the_beginning_of_its_reply() {
        let message =
            Message::Request { bytes: b"GET".to_vec(), reply_size: 9, beginning: b"HTTP 200".to_vec() };
        assert!(message.is_right(5, 0, b"HTTP") && message.is_right(5, 4, b" 200!"));
        assert!(message.is_right(5, 8, b"?") && !message.is_right(5, 4, b" 500"));
        assert_eq!((message.may_be_back(2), message.may_be_back(3)), (0, 9));
    }
}
