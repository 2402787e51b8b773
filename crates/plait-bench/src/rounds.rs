//! Rounds of requests over all connections: one thread, level-triggered epoll, one message in flight per connection.
//!
//! A round ends when its last reply is there, so that between two rounds nothing is on its way and clocks can be read. Any
//! connection takes the next request: with a share for each, a server that serves some of them sooner would be left with the
//! others at the end, which is another load.

use crate::connection::{Connection, Progress};
use crate::failure::Context;
use crate::latency::Histogram;
use crate::message::Message;
use crate::socket::{Address, Socket};
use crate::ticker::Ticker;
use crate::OnTick;
use rustix::event::epoll;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::time::{Duration, Instant};

const TICKER: u64 = u64::MAX;
const EVENTS: usize = 1024;
/// Read at once, at most.
const BUFFER: usize = 256 * 1024;

/// The connections, and what drives them.
pub(crate) struct Rounds {
    epoll: std::os::fd::OwnedFd,
    events: Vec<epoll::Event>,
    ticker: Ticker,
    message: Message,
    buffer: Vec<u8>,
    connections: Vec<Connection>,
    wanted: usize,
    timeout: Duration,
    /// Whether a byte has moved since the last tick.
    moved: bool,
    /// When the first tick was that found no byte moved; None while they do.
    still_since: Option<Instant>,
}

/// One round: how many requests are still to be begun and to be answered.
struct Round<'a> {
    to_begin: u64,
    unanswered: u64,
    check: bool,
    latency: Option<&'a mut Histogram>,
}

impl Rounds {
    /// No connection yet, `wanted` later.
    pub(crate) fn new(wanted: usize, message: Message, timeout: Duration) -> io::Result<Self> {
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).context(|| "epoll could not be set up".into())?;
        let ticker = Ticker::new()?;
        epoll::add(&epoll, &ticker, epoll::EventData::new_u64(TICKER), epoll::EventFlags::IN)
            .context(|| "the timer could not be watched".into())?;
        Ok(Self {
            epoll,
            events: Vec::with_capacity(EVENTS),
            ticker,
            message,
            buffer: vec![0; BUFFER],
            connections: Vec::with_capacity(wanted),
            wanted,
            timeout,
            moved: false,
            still_since: None,
        })
    }

    /// Opens them one after the other, each with a checked echo before the next, so that no backlog overflows and the server
    /// has accepted them all.
    pub(crate) fn open(&mut self, address: &Address, on_tick: OnTick<'_>) -> io::Result<()> {
        for number in 0..self.wanted {
            let socket = Socket::connect(address, self.timeout)
                .context(|| format!("connection {} of {} to {address}", number + 1, self.wanted))?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN)
                .context(|| format!("connection {} could not be watched", number + 1))?;
            self.connections.push(Connection::new(socket, number));
            self.round(number..number + 1, 1, true, None, on_tick)?;
        }
        Ok(())
    }

    /// One checked echo on each connection.
    pub(crate) fn check_all(&mut self, on_tick: OnTick<'_>) -> io::Result<()> {
        self.round(0..self.connections.len(), self.connections.len() as u64, true, None, on_tick)
    }

    /// `requests` requests, by all connections together; only the replies' lengths are looked at.
    pub(crate) fn load(
        &mut self,
        requests: u64,
        latency: Option<&mut Histogram>,
        on_tick: OnTick<'_>,
    ) -> io::Result<()> {
        self.round(0..self.connections.len(), requests, false, latency, on_tick)
    }

    /// The connections' sockets; the rest is closed.
    pub(crate) fn into_sockets(self) -> Vec<Socket> {
        self.connections.into_iter().map(|connection| connection.socket).collect()
    }

    fn round(
        &mut self,
        who: Range<usize>,
        requests: u64,
        check: bool,
        latency: Option<&mut Histogram>,
        on_tick: OnTick<'_>,
    ) -> io::Result<()> {
        let mut round = Round { to_begin: requests, unanswered: requests, check, latency };
        self.moved = true;
        for number in who {
            if round.to_begin > 0 {
                self.begin(number, Instant::now(), &mut round)?;
            }
        }
        while round.unanswered > 0 {
            self.turn(&mut round, on_tick)?;
        }
        Ok(())
    }

    /// One wait, and what it found.
    fn turn(&mut self, round: &mut Round<'_>, on_tick: OnTick<'_>) -> io::Result<()> {
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return self.tick(on_tick),
            outcome @ Err(_) => return outcome.map(drop).context(|| "epoll_pwait2 (Linux 5.11)".into()),
        }
        for place in 0..self.events.len() {
            let epoll::Event { flags, data } = self.events[place];
            if data.u64() == TICKER {
                self.tick(on_tick)?;
                continue;
            }
            let number = data.u64() as usize;
            if flags.contains(epoll::EventFlags::OUT) {
                self.send_more(number)?;
            }
            // Whatever else is reported, an error or the end, a read tells what it is.
            if flags != epoll::EventFlags::OUT {
                self.receive(number, round)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, number: usize, now: Instant, round: &mut Round<'_>) -> io::Result<()> {
        round.to_begin -= 1;
        let outcome = self.connections[number].begin(&self.message, now);
        self.sent(number, outcome)
    }

    fn send_more(&mut self, number: usize) -> io::Result<()> {
        let outcome = self.connections[number].send(&self.message);
        self.sent(number, outcome)
    }

    fn sent(&mut self, number: usize, outcome: io::Result<Progress>) -> io::Result<()> {
        let progress = outcome.context(|| self.describe(number))?;
        self.moved |= progress.bytes > 0;
        let wait_for_room = !progress.complete;
        let connection = &mut self.connections[number];
        if connection.watched_for_room == wait_for_room {
            return Ok(());
        }
        connection.watched_for_room = wait_for_room;
        let mut flags = epoll::EventFlags::IN;
        flags.set(epoll::EventFlags::OUT, wait_for_room);
        epoll::modify(&self.epoll, &connection.socket, epoll::EventData::new_u64(number as u64), flags)
            .context(|| self.describe(number))
    }

    fn receive(&mut self, number: usize, round: &mut Round<'_>) -> io::Result<()> {
        let connection = &mut self.connections[number];
        let outcome = connection.receive(&self.message, &mut self.buffer, round.check);
        let progress = outcome.context(|| self.describe(number))?;
        self.moved |= progress.bytes > 0;
        if !progress.complete {
            return Ok(());
        }
        // One look at the clock ends this message and begins the next.
        let now = Instant::now();
        let started = self.connections[number].started.take();
        if let (Some(latency), Some(started)) = (&mut round.latency, started) {
            latency.record(u64::try_from((now - started).as_nanos()).unwrap_or(u64::MAX));
        }
        round.unanswered -= 1;
        if round.to_begin > 0 {
            self.begin(number, now, round)?;
        }
        Ok(())
    }

    fn tick(&mut self, on_tick: OnTick<'_>) -> io::Result<()> {
        if self.ticker.ask(on_tick).is_break() {
            return Err(io::Error::new(ErrorKind::Interrupted, "stopped by the caller"));
        }
        if std::mem::take(&mut self.moved) {
            self.still_since = None;
            return Ok(());
        }
        if self.still_since.get_or_insert_with(Instant::now).elapsed() < self.timeout {
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::TimedOut, self.describe_stand_still()))
    }

    fn describe(&self, number: usize) -> String {
        self.connections[number].describe(&self.message, self.wanted)
    }

    fn describe_stand_still(&self) -> String {
        let seconds = self.timeout.as_secs_f64();
        let mut waiting = (0..self.connections.len()).filter(|n| self.connections[*n].started.is_some());
        let first = waiting.next().map_or_else(|| "none".into(), |number| self.describe(number));
        format!("no byte moved for {seconds} s; waiting: {first} and {} more", waiting.count())
    }
}
