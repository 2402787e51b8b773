//! Messages that found no room, in the process that puts them, and the thread that sends them on.
//!
//! A queue without a bound never lets its writers wait. So what does not fit waits here, in order, and what comes later lines up behind it, until
//! all has been sent. The thread is started by whoever finds that there is none, and ends when it has had nothing to do for a while.
//!
//! A fork takes no part of this along: the child has an empty one of its own, and what the parent's thread was about stays the parent's.

use super::put::{Put, Putter};
use super::Queue;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use crate::sync::{lock, wait_while, wake, Mutex, Reach};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the thread stays when it has nothing to do.
const LINGERS: Duration = Duration::from_secs(1);

/// What is still to be sent by this process.
#[derive(Debug)]
pub struct Backlog {
    queue: Arc<Queue>,
    waiting: Mutex<Waiting>,
    /// Messages that are not in the ring yet, with the one that is just on its way.
    left: AtomicUsize,
    /// Changes when there is something to do.
    news: AtomicU32,
    /// Changes when all is sent.
    sent: AtomicU32,
    /// The rest is not to be sent any more.
    given_up: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Vec<u8>>,
    /// There is a thread in [`Backlog::feed`], or there will be.
    fed: bool,
    /// It sleeps until there is news.
    idle: bool,
}

impl Backlog {
    /// An empty one.
    pub fn new(queue: Arc<Queue>) -> Backlog {
        Backlog {
            queue,
            waiting: Mutex::default(),
            left: AtomicUsize::new(0),
            news: AtomicU32::new(0),
            sent: AtomicU32::new(0),
            given_up: AtomicBool::new(false),
        }
    }

    /// Whether all has been sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.left.load(SeqCst) == 0
    }

    /// Whether a thread is in [`Backlog::feed`], or will be: who adds a message then is not told to start one.
    pub fn is_fed(&self) -> bool {
        lock(&self.waiting).fed
    }

    /// Adds a message, which [`Queue::reserve`] has counted. True: the caller has to start a thread that runs [`Backlog::feed`].
    #[must_use]
    pub fn push(&self, message: Vec<u8>) -> bool {
        if self.given_up.load(SeqCst) {
            self.queue.unreserve(1);
            return false;
        }
        let mut waiting = lock(&self.waiting);
        waiting.messages.push_back(message);
        self.left.fetch_add(1, SeqCst);
        let start = !std::mem::replace(&mut waiting.fed, true);
        let idle = std::mem::take(&mut waiting.idle);
        drop(waiting);
        if idle {
            self.tell(&self.news);
        }
        start
    }

    /// Takes back what was pushed last, since no thread could be started for it.
    pub fn not_fed(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.fed = false;
        let lost = waiting.messages.drain(..).count();
        drop(waiting);
        self.done(lost);
        self.queue.unreserve(lost as u32);
    }

    /// Gives up what has not been sent.
    pub fn give_up(&self) {
        self.given_up.store(true, SeqCst);
        self.tell(&self.news);
        self.queue.layout.room().mark_all();
    }

    /// Sleeps until all has been sent, or for that time, or until a signal comes. Says whether all has been sent.
    pub fn wait_sent(&self, timeout: Option<Duration>) -> bool {
        let seen = self.sent.load(SeqCst);
        if !self.is_empty() {
            wait_while(&self.sent, seen, timeout, Reach::Process);
        }
        self.is_empty()
    }

    /// Sends what there is: the body of the thread.
    pub fn feed(&self) {
        while let Some(message) = self.next() {
            let sent = self.send(&message);
            drop(message);
            if !sent {
                self.queue.unreserve(1);
            }
            self.done(1);
        }
    }

    /// The next message. None: there has been none for a while, and nobody counts on this thread any more.
    fn next(&self) -> Option<Vec<u8>> {
        let end = Instant::now() + LINGERS;
        loop {
            let seen = self.news.load(SeqCst);
            let mut waiting = lock(&self.waiting);
            if let Some(message) = waiting.messages.pop_front() {
                return Some(message);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.given_up.load(SeqCst) {
                waiting.fed = false;
                return None;
            }
            waiting.idle = true;
            drop(waiting);
            wait_while(&self.news, seen, Some(left), Reach::Process);
        }
    }

    /// Sends one. False: it was given up.
    fn send(&self, message: &[u8]) -> bool {
        let mut putter = Putter::new(&self.queue, message, true);
        loop {
            if self.given_up.load(SeqCst) {
                return false;
            }
            match putter.step_or_sleep(LINGERS) {
                Ok(Put::Done) => return true,
                Ok(_) => {}
                // Nobody will ever read it.
                Err(_) => return false,
            }
        }
    }

    fn done(&self, count: usize) {
        if self.left.fetch_sub(count, SeqCst) == count {
            self.tell(&self.sent);
        }
    }

    fn tell(&self, word: &AtomicU32) {
        word.fetch_add(1, SeqCst);
        wake(word, i32::MAX as u32, Reach::Process);
    }
}
