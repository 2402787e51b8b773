//! How far a socket's transport has come: open, paused, closing, lost.

/// asyncio's `_closing`, `_paused` and `_conn_lost`.
#[derive(Default)]
pub struct Course {
    pub closing: bool,
    pub paused: bool,
    /// Counts the call of `connection_lost` that was scheduled, then the writes that came after it.
    pub lost: u32,
}

impl Course {
    pub fn is_reading(&self) -> bool {
        !self.closing && !self.paused
    }

    /// Whether what arrives is to be delivered.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.is_reading() && self.lost == 0
    }

    /// It closes in good order: at once if nothing is `unsent`. True for the first who says so.
    pub fn begin_closing(&mut self, unsent: bool) -> bool {
        let first = !std::mem::replace(&mut self.closing, true);
        self.lost += u32::from(first && !unsent);
        first
    }

    /// It closes at once. True for the first who says so.
    pub fn cut(&mut self) -> bool {
        let first = self.lost == 0;
        if first {
            self.lost = 1;
            self.closing = true;
        }
        first
    }

    pub fn pause(&mut self) -> bool {
        let reading = self.is_reading();
        self.paused |= reading;
        reading
    }

    pub fn resume(&mut self) -> bool {
        !self.closing && std::mem::replace(&mut self.paused, false)
    }
}
