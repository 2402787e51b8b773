//! How much the next read is likely to bring, from what the last one did.
//!
//! Small messages are read into a buffer that the thread keeps, and copied out of it: cheap, and nothing is allocated for what
//! may not come. For large ones the copy is the dearest part after the kernel's own, so they are read into fresh memory
//! that is handed on as it is; that is only worth it if it will be filled.

/// From here on a message is large, in bytes.
const LARGE: usize = 16 * 1024;
/// No read is larger.
pub const LARGEST_READ: usize = 256 * 1024;

/// What is expected of one connection.
#[derive(Clone, Copy, Default, Debug)]
pub struct ReadSize(u32);

impl ReadSize {
    /// How much fresh memory to read into; None: into the kept buffer.
    #[inline]
    pub fn fresh(self) -> Option<usize> {
        (self.0 > 0).then_some(self.0 as usize)
    }

    /// Learns from a read that brought `received` bytes.
    #[inline]
    pub fn note(&mut self, received: usize) {
        let filled = self.fresh() == Some(received);
        let expected = match received {
            0..LARGE => 0,
            _ if filled => (received * 2).min(LARGEST_READ),
            _ => received.next_multiple_of(4096).min(LARGEST_READ),
        };
        self.0 = expected as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_messages() {
        let mut size = ReadSize::default();
        size.note(1000);
        assert_eq!(size.fresh(), None);
        size.note(60_000);
        assert_eq!(size.fresh(), Some(61_440));
        // Filled: there may have been more.
        size.note(61_440);
        assert_eq!(size.fresh(), Some(122_880));
        size.note(LARGEST_READ);
        assert_eq!(size.fresh(), Some(LARGEST_READ));
        size.note(LARGEST_READ);
        assert_eq!(size.fresh(), Some(LARGEST_READ));
        size.note(10);
        assert_eq!(size.fresh(), None);
    }
}
