//! A few threads that make the calls that may have to wait.
//!
//! Nothing is started before there is something to do. As long as work lies about and nobody is on the way to it, one more thread is woken,
//! or started, up to a limit: first by whoever brings the work, then by each thread that has taken some, before it begins. So a call that
//! never returns (a named pipe that nobody opens) cannot keep what lies behind it waiting; and a crowd of short calls, which the first
//! thread has done before the second is awake, stays with one or two. A thread that had nothing to do for some seconds ends.
//!
//! The limit is for calls that keep a disk or a processor busy. A thread that has been at its call for long waits for somebody, and is not
//! counted: where the limit keeps work waiting, a watchman looks whether there are such.
//!
//! There is one pool for each loop, which belongs to its process: a child that was forked makes a loop, and with it a pool, of its own.
//! Threads are not waited for: whoever drops the pool only has them told. They hold no Python object and never attach.

use super::completions::Completions;
use super::work::Work;
use super::Done;
use rustix::io::Errno;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

const MOST_THREADS: usize = 32;
/// With those that wait for somebody.
const MOST_IN_ALL: usize = 1000;
/// Who has been at a call for so long waits for somebody.
const LONG_CALL: Duration = Duration::from_millis(50);
/// How often the watchman looks.
const ROUND: Duration = Duration::from_millis(25);
const LONGEST_IDLE: Duration = Duration::from_secs(5);

pub struct Pool {
    shared: Arc<Shared>,
    generation: u32,
}

struct Shared {
    state: Mutex<State>,
    work_came: Condvar,
    /// The loop's: what comes when that is gone is for nobody, and its bell must not stay open.
    completions: Weak<Completions>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(u64, Work)>,
    threads: usize,
    idle: usize,
    /// Woken, and not at the queue yet.
    called: usize,
    /// Started, and not at the queue yet.
    starting: usize,
    closed: bool,
    /// The calls that are being made, in the order in which they began, and since when.
    calls: BTreeMap<u64, Instant>,
    next_call: u64,
    /// Somebody looks whether the limit may be passed.
    watched: bool,
}

impl State {
    fn begin_call(&mut self) -> u64 {
        let call = self.next_call;
        self.next_call += 1;
        self.calls.insert(call, Instant::now());
        call
    }

    /// Whether one more thread may be started.
    fn has_room(&self) -> bool {
        if self.threads < MOST_THREADS {
            return true;
        }
        let now = Instant::now();
        let long = self.calls.values().take_while(|begun| now.duration_since(**begun) >= LONG_CALL).count();
        self.threads - long < MOST_THREADS && self.threads < MOST_IN_ALL
    }
}

impl Pool {
    pub fn new(completions: &Arc<Completions>) -> Pool {
        let completions = Arc::downgrade(completions);
        let shared = Shared { state: Mutex::default(), work_came: Condvar::new(), completions };
        Pool { shared: Arc::new(shared), generation: crate::fork::generation() }
    }

    /// Brings work, and sees that somebody comes for it.
    pub fn submit(&self, work: impl IntoIterator<Item = (u64, Work)>) {
        let mut state = self.shared.lock();
        state.queue.extend(work);
        self.shared.call_somebody(state);
    }

    /// Takes work back that no thread has come for.
    pub fn withdraw(&self, id: u64) -> Option<Work> {
        let mut state = self.shared.lock();
        let place = state.queue.iter().position(|(queued, _)| *queued == id)?;
        state.queue.remove(place).map(|(_, work)| work)
    }

    /// How many threads there are: for tests and for the curious.
    pub fn threads(&self) -> usize {
        self.shared.lock().threads
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.generation != crate::fork::generation() {
            // In a forked child: there are no threads to be told, and one of the parent's may have held the lock.
            return;
        }
        let mut state = self.shared.lock();
        state.closed = true;
        drop(state);
        self.shared.work_came.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While work lies about, one thread is on the way to it.
    fn call_somebody(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.queue.is_empty() || state.called + state.starting > 0 {
            return;
        }
        if state.idle > 0 {
            state.idle -= 1;
            state.called += 1;
            drop(state);
            return self.work_came.notify_one();
        }
        if !state.has_room() {
            return self.watch(state);
        }
        state.threads += 1;
        state.starting += 1;
        drop(state);
        let shared = Arc::clone(self);
        if !start(move || shared.serve()) {
            self.refuse_if_alone();
        }
    }

    /// Has somebody come back to the work that the limit keeps waiting.
    fn watch(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if std::mem::replace(&mut state.watched, true) {
            return;
        }
        drop(state);
        let shared = Arc::clone(self);
        if !start(move || shared.go_round()) {
            // The threads that there are come for the work, each when it is done.
            self.lock().watched = false;
        }
    }

    fn go_round(self: Arc<Self>) {
        block_signals();
        loop {
            std::thread::sleep(ROUND);
            let mut state = self.lock();
            if state.closed || state.queue.is_empty() {
                state.watched = false;
                return;
            }
            self.call_somebody(state);
        }
    }

    /// No thread could be started. Others will come for the work; where there are none, it fails.
    fn refuse_if_alone(&self) {
        let mut state = self.lock();
        state.threads -= 1;
        state.starting -= 1;
        let refused = match state.threads {
            0 => std::mem::take(&mut state.queue),
            _ => VecDeque::new(),
        };
        drop(state);
        for (id, _) in refused {
            self.tell(id, Done::failed(Errno::AGAIN.raw_os_error()));
        }
    }

    fn tell(&self, id: u64, done: Done) {
        if let Some(completions) = self.completions.upgrade() {
            completions.push(id, done);
        }
    }

    fn serve(self: Arc<Self>) {
        block_signals();
        let mut state = self.lock();
        state.starting -= 1;
        loop {
            if let Some((id, work)) = state.queue.pop_front() {
                let call = state.begin_call();
                self.call_somebody(state);
                let done = work.perform();
                self.tell(id, done);
                state = self.lock();
                state.calls.remove(&call);
            } else if state.closed {
                state.threads -= 1;
                return;
            } else {
                state = match self.wait(state) {
                    Some(state) => state,
                    None => return,
                };
            }
        }
    }

    /// Sleeps until somebody brings work. None: nobody did for a long time, and the thread is not counted any more.
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Option<MutexGuard<'a, State>> {
        state.idle += 1;
        // A thread that is called is taken off `idle` by the caller. Which of the idle ones answers does not matter.
        let waited = self.work_came.wait_timeout_while(state, LONGEST_IDLE, |s| s.called == 0 && !s.closed);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.called > 0 {
            state.called -= 1;
            return Some(state);
        }
        state.idle -= 1;
        if state.closed {
            return Some(state);
        }
        debug_assert!(timeout.timed_out());
        state.threads -= 1;
        None
    }
}

fn start(body: impl FnOnce() + Send + 'static) -> bool {
    std::thread::Builder::new().name("plait-files".to_owned()).spawn(body).is_ok()
}

/// Signals are for the threads that Python knows: one that came here would not interrupt what the main thread waits in.
fn block_signals() {
    // SAFETY: an empty set is a valid value of the plain structure, which is then filled; the mask is this thread's own.
    #[allow(unsafe_code)]
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
    }
}
