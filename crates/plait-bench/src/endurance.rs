//! Requests without end to a server of HTTP that is reloaded and killed meanwhile: what became of each.
//!
//! The other clients measure, and end with the first thing that goes wrong. This one carries on, and tells apart how requests fail, with
//! when that was and which worker had answered on the same connection before. So whoever did something to the server can say
//! which failures that explains.
//!
//! A request that fails on a connection that was kept, before a byte of its answer came, is *stale*: the server may have closed the connection
//! before it was sent. Clients of HTTP send such a request again on a new connection (RFC 9112, 9.5), and so does this one.
//!
//! A thread for each client, each with one request under way: nothing is measured here, and a client that waits must not keep others from asking.

use crate::client::check;
use crate::outgoing::connect;
use crate::{limits, OnTick};
use rustix::time::{clock_gettime, ClockId};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOOK_AFTER: Duration = Duration::from_millis(100);
/// A longer head or body is not expected here.
const LONGEST_ANSWER: usize = 1 << 20;

/// Who asks, and for how long.
#[derive(Clone, Debug)]
pub struct Endurance {
    /// A server of HTTP/1.1.
    pub address: SocketAddr,
    /// What is sent. Answers are 200, with a Content-Length, and a body that says which worker it was.
    pub request: Vec<u8>,
    /// How many clients that open a connection for each request.
    pub opening: usize,
    /// How many that keep theirs until they are told that it is closed.
    pub keeping: usize,
    /// For how long.
    pub lasting: Duration,
    /// A server that says nothing for so long has failed.
    pub timeout: Duration,
}

/// How a request failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mishap {
    /// Nobody listened.
    Refused,
    /// The connection was reset, before a byte of the answer.
    Reset,
    /// It was closed, before a byte of the answer.
    Closed,
    /// It was reset or closed in the midst of the answer.
    Cut,
    /// Something else was answered.
    Wrong,
    /// Nothing was.
    Silent,
    /// See the module.
    Stale,
}

/// A request that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// When that was seen, by the monotonic clock.
    pub at: Duration,
    /// How.
    pub mishap: Mishap,
    /// The body of the answer before on this connection; empty, if there was none.
    pub before: Vec<u8>,
}

/// What became of the requests.
#[derive(Clone, Default, Debug)]
pub struct Report {
    /// Answered on a connection of their own, or as the first of one that is kept.
    pub opened: u64,
    /// Answered on a connection that had been used before.
    pub kept: u64,
    /// How often each body came.
    pub bodies: HashMap<Vec<u8>, u64>,
    /// All others.
    pub failures: Vec<Failure>,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.opened += other.opened;
        self.kept += other.kept;
        self.failures.extend(other.failures);
        for (body, count) in other.bodies {
            *self.bodies.entry(body).or_default() += count;
        }
    }
}

/// Asks until the time is over, or the caller says so. Fails only where the client cannot go on.
pub fn run(order: &Endurance, on_tick: OnTick<'_>) -> io::Result<Report> {
    let clients = order.opening + order.keeping;
    check(clients, order.request.len(), order.timeout)?;
    limits::make_room_for(clients)?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..clients)
            .map(|number| {
                let (client, over) = (Client::new(order, number), &over);
                scope.spawn(move || client.ask_until(over))
            })
            .collect();
        let end = Instant::now() + order.lasting;
        while Instant::now() < end && !asking.iter().all(|client| client.is_finished()) {
            std::thread::sleep(LOOK_AFTER.min(end.saturating_duration_since(Instant::now())));
            if on_tick().is_break() {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        let mut all = Report::default();
        for client in asking {
            let died = |_| Err(io::Error::other("a client has panicked"));
            all.add(client.join().unwrap_or_else(died)?);
        }
        Ok(all)
    })
}

struct Client<'a> {
    order: &'a Endurance,
    keeps: bool,
    turn: u64,
    connection: Option<TcpStream>,
    /// The last body on this connection.
    before: Vec<u8>,
    buffer: Vec<u8>,
    report: Report,
}

/// Where the body is, and whether the connection goes on.
struct Answer {
    body: std::ops::Range<usize>,
    closes: bool,
}

impl<'a> Client<'a> {
    fn new(order: &'a Endurance, number: usize) -> Self {
        Self {
            order,
            keeps: number < order.keeping,
            // So that two clients do not come from the same address at the same time.
            turn: number as u64 * 7,
            connection: None,
            before: Vec::new(),
            buffer: Vec::new(),
            report: Report::default(),
        }
    }

    fn ask_until(mut self, over: &AtomicBool) -> io::Result<Report> {
        while !over.load(Ordering::Relaxed) {
            let kept = self.connection.is_some();
            let outcome =
                self.connected()?.and_then(|mut stream| self.ask(&mut stream).map(|answer| (stream, answer)));
            match outcome {
                Ok((stream, answer)) => self.note_answer(stream, answer, kept),
                Err(mishap) => self.note_failure(mishap, kept),
            }
        }
        Ok(self.report)
    }

    fn note_answer(&mut self, stream: TcpStream, answer: Answer, kept: bool) {
        *(if kept { &mut self.report.kept } else { &mut self.report.opened }) += 1;
        let body = self.buffer[answer.body].to_vec();
        *self.report.bodies.entry(body.clone()).or_default() += 1;
        self.before.clear();
        if self.keeps && !answer.closes {
            self.connection = Some(stream);
            self.before = body;
        }
    }

    fn note_failure(&mut self, mishap: Mishap, kept: bool) {
        let mishap = match mishap {
            Mishap::Reset | Mishap::Closed if kept => Mishap::Stale,
            other => other,
        };
        let now = clock_gettime(ClockId::Monotonic);
        let at = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
        self.report.failures.push(Failure { at, mishap, before: std::mem::take(&mut self.before) });
        if mishap == Mishap::Refused {
            std::thread::sleep(Duration::from_millis(10)); // it would be again, at once
        }
    }

    /// The connection that was kept, or a new one.
    fn connected(&mut self) -> io::Result<Result<TcpStream, Mishap>> {
        if let Some(stream) = self.connection.take() {
            return Ok(Ok(stream));
        }
        self.turn += 1;
        match connect(self.order.address, self.turn, self.order.timeout) {
            Ok(stream) => Ok(Ok(stream)),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(Err(Mishap::Refused)),
            Err(error) => mishap(&error, false).map(Err).ok_or(error),
        }
    }

    /// Sends the request, and reads the answer.
    fn ask(&mut self, stream: &mut TcpStream) -> Result<Answer, Mishap> {
        self.buffer.clear();
        // A server that has gone says so when it is read from, with what it had sent before.
        let sent = stream.write_all(&self.order.request);
        let mut chunk = [0; 4096];
        loop {
            if let Some(answer) = parse(&self.buffer)? {
                return Ok(answer);
            }
            let begun = !self.buffer.is_empty();
            match stream.read(&mut chunk) {
                Ok(0) if begun => return Err(Mishap::Cut),
                Ok(0) if sent.is_err() => return Err(Mishap::Reset),
                Ok(0) => return Err(Mishap::Closed),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(mishap(&error, begun).unwrap_or(Mishap::Reset)),
            }
        }
    }
}

/// What an error of the kernel's means for a request. None: it is about this side.
fn mishap(error: &io::Error, begun: bool) -> Option<Mishap> {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted if begun => {
            Some(Mishap::Cut)
        }
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            Some(Mishap::Reset)
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Some(Mishap::Silent),
        _ if error.raw_os_error() == Some(libc::EINPROGRESS) => Some(Mishap::Silent),
        _ => None,
    }
}

/// An answer, if all of it is there.
fn parse(bytes: &[u8]) -> Result<Option<Answer>, Mishap> {
    const END: &[u8] = b"\r\n\r\n";
    const RIGHT: &[u8] = b"HTTP/1.1 200";
    let known = bytes.len().min(RIGHT.len());
    if bytes[..known] != RIGHT[..known] || bytes.len() > LONGEST_ANSWER {
        return Err(Mishap::Wrong);
    }
    let Some(head) = bytes.windows(END.len()).position(|window| window == END) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let mut fields = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let length = fields.clone().find(|field| field.0 == "content-length");
    let length: usize = length.and_then(|field| field.1.trim().parse().ok()).ok_or(Mishap::Wrong)?;
    let closes = fields.any(|field| field.0 == "connection" && field.1.trim() == "close");
    let body = head + END.len()..(head + END.len()).saturating_add(length);
    match bytes.len().cmp(&body.end) {
        std::cmp::Ordering::Less => Ok(None),
        std::cmp::Ordering::Equal => Ok(Some(Answer { body, closes })),
        std::cmp::Ordering::Greater => Err(Mishap::Wrong), // more than was asked for
    }
}
