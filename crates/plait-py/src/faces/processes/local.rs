//! How the waiters of this process wait for what processes share.
//!
//! A thread that leads sleeps on the word in shared memory by itself, for a bounded time: then it looks whether a process that holds what it
//! waits for is dead, and whether a signal came. All others park in the local queue, as for every primitive.

use super::helper;
use crate::waiters::thread::{self, watch_hopefully};
use crate::waiters::{fire, greenlet, task, Patience, Waker};
use plait_core::primitives::Primitive;
use plait_core::shm::locks::proxy::{After, Proxy, Turn};
use plait_core::shm::locks::{Rest, Shared, LONGEST_SLEEP};
use plait_core::waiter::{Manner, Progress, Wait, Wakes};
use pyo3::prelude::*;
use rustix::time::{clock_gettime, ClockId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// So often at most somebody looks whether the holder lives, who only tries.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How long a call waits, in seconds; None: not at all. (Left out, for ever.) What is no number is refused in the interpreter's words, to which PyO3 would
/// add the argument's name.
pub fn patience(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Patience<'static>>> {
    let Some(timeout) = timeout else { return Ok(Some(Patience::Forever)) };
    let seconds: f64 = timeout.extract()?;
    // Not one that is no number (NaN).
    Ok((seconds > 0.0).then(|| Patience::seconds(seconds)))
}

/// A primitive in shared memory as this process uses it.
pub struct Local<S: Shared> {
    inner: Arc<Inner<S>>,
}

struct Inner<S: Shared> {
    proxy: Proxy<S, Waker>,
    /// When somebody looked last, in milliseconds of the clock.
    looked: AtomicU64,
}

impl<S: Shared> Clone for Local<S> {
    fn clone(&self) -> Self {
        Local { inner: Arc::clone(&self.inner) }
    }
}

impl<S: Shared + 'static> Local<S> {
    pub fn new(shared: S) -> Local<S> {
        Local { inner: Arc::new(Inner { proxy: Proxy::new(shared), looked: AtomicU64::new(0) }) }
    }

    pub fn shared(&self) -> &S {
        &self.inner.proxy.shared
    }

    fn proxy(&self) -> &Proxy<S, Waker> {
        &self.inner.proxy
    }

    /// What has to be done when the queue is closed, but for the waking.
    fn finish(&self, after: After<Waker>, wakes: &mut Wakes<Waker>) {
        *wakes = after.wakes;
        if after.summon {
            helper::summon(Arc::new(self.clone()), Arc::as_ptr(&self.inner) as usize);
        }
    }

    fn poll(
        &self,
        mark: S::Mark,
        wait: &mut Wait,
        waker: &mut Option<Waker>,
        wakes: &mut Wakes<Waker>,
    ) -> Progress<Turn<S::Gain>> {
        let mut after = After { wakes: std::mem::take(wakes), summon: false };
        let progress = self.proxy().poll(mark, wait, waker, &mut after);
        self.finish(after, wakes);
        progress
    }

    /// For a waiter that does not lead: a task or a greenlet.
    pub fn poll_in_order(
        &self,
        mark: S::Mark,
        wait: &mut Wait,
        waker: &mut Option<Waker>,
        wakes: &mut Wakes<Waker>,
    ) -> Progress<S::Gain> {
        match self.poll(mark, wait, waker, wakes) {
            Progress::Ready(Turn::Gained(gain)) => Progress::Ready(gain),
            // Who waits in order is never told to lead.
            Progress::Ready(Turn::Lead) | Progress::Pending => Progress::Pending,
            Progress::WouldPark => Progress::WouldPark,
            Progress::TimedOut => Progress::TimedOut,
        }
    }

    /// Takes it, if that is possible at once.
    #[inline]
    pub fn attempt(&self, mark: S::Mark) -> Option<S::Gain> {
        self.proxy().attempt(mark)
    }

    /// The same where an attempt has failed, for a caller that will not wait: from a dead process, if nobody has looked lately.
    pub fn attempt_from_dead(&self) -> Option<S::Gain> {
        let now = clock_gettime(ClockId::Monotonic);
        let now = (now.tv_sec as u64).wrapping_mul(1000).wrapping_add(now.tv_nsec as u64 / 1_000_000);
        let last = self.inner.looked.load(Ordering::Relaxed);
        if last != 0 && now.wrapping_sub(last) < BETWEEN_LOOKS.as_millis() as u64 {
            return None;
        }
        self.inner.looked.store(now, Ordering::Relaxed);
        self.shared().take_over()
    }

    /// Takes it within that time, in seconds.
    #[inline]
    pub fn take_within(
        &self,
        py: Python<'_>,
        mark: S::Mark,
        patience: Option<Patience<'_>>,
    ) -> PyResult<Option<S::Gain>> {
        match (self.attempt(mark), patience) {
            (Some(gain), _) => Ok(Some(gain)),
            (None, None) => Ok(self.attempt_from_dead()),
            (None, Some(patience)) => self.block(py, mark, patience),
        }
    }

    /// Blocks the calling strand until it is there, or patience ends; None then. What a signal handler raises comes through, and then nothing was taken.
    pub fn block(&self, py: Python<'_>, mark: S::Mark, patience: Patience<'_>) -> PyResult<Option<S::Gain>> {
        self.block_as(py, self, mark, patience)
    }

    /// The same for a caller that has to know how the wait is given up.
    pub fn block_as<P: Primitive<Waker>>(
        &self,
        py: Python<'_>,
        primitive: &P,
        mark: S::Mark,
        patience: Patience<'_>,
    ) -> PyResult<Option<S::Gain>> {
        if let Some(hub) = greenlet::current(py)? {
            let poll =
                |wait: &mut _, waker: &mut _, wakes: &mut _| self.poll_in_order(mark, wait, waker, wakes);
            return greenlet::block(&hub, primitive, patience, || Ok(()), poll);
        }
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| self.poll(mark, wait, waker, wakes);
        match thread::block(py, primitive, Manner::Barging, patience, || Ok(()), poll)? {
            Some(Turn::Gained(gain)) => Ok(Some(gain)),
            Some(Turn::Lead) => self.lead(py, mark, patience),
            None => Ok(None),
        }
    }

    fn lead(&self, py: Python<'_>, mark: S::Mark, patience: Patience<'_>) -> PyResult<Option<S::Gain>> {
        let mut slept = false;
        let result = self.sleep_until_gained(py, mark, patience, &mut slept);
        if slept && !matches!(result, Ok(Some(_))) {
            self.shared().leave(mark);
        }
        let (mut after, mut wakes) = (After::default(), Wakes::None);
        self.proxy().step_down(mark, &mut after);
        self.finish(after, &mut wakes);
        fire(py, self, wakes);
        result
    }

    fn sleep_until_gained(
        &self,
        py: Python<'_>,
        mark: S::Mark,
        patience: Patience<'_>,
        slept: &mut bool,
    ) -> PyResult<Option<S::Gain>> {
        let mut nap = BETWEEN_LOOKS;
        loop {
            if let Some(gain) = self.shared().take(mark, *slept) {
                return Ok(Some(gain));
            }
            let left = patience.left();
            if left == Some(Duration::ZERO) {
                return Ok(self.attempt_from_dead());
            }
            let Some(rest) = self.shared().rest(mark) else { continue };
            let first = !std::mem::replace(slept, true);
            let timeout = left.map_or(nap, |left| left.min(nap));
            let woken = py.detach(|| sleep(&rest, first, timeout));
            py.check_signals()?;
            if !woken {
                nap = (nap * 2).min(LONGEST_SLEEP);
                if let Some(gain) = self.shared().take_over() {
                    return Ok(Some(gain));
                }
            }
        }
    }

    /// Begins a task's wait.
    pub fn begin(&self, py: Python<'_>, mark: S::Mark) -> PyResult<task::Step<S::Gain>> {
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| self.poll_in_order(mark, wait, waker, wakes);
        task::begin(py, self, task::UNIVERSAL, || task::running_loop(py), poll)
    }

    /// Goes on with it.
    pub fn resume(
        &self,
        mark: S::Mark,
        waiter: &Bound<'_, task::WaitFuture>,
    ) -> PyResult<task::Step<S::Gain>> {
        task::resume(waiter, self, |wait, waker, wakes| self.poll_in_order(mark, wait, waker, wakes))
    }

    /// Ends it without passing anything on. Returns what it had been handed.
    pub fn withdraw(&self, waiter: &Bound<'_, task::WaitFuture>) -> Option<S::Gain> {
        let (mut after, mut wakes) = (After::default(), Wakes::None);
        let gained = task::end(waiter, |wait, waker| self.proxy().withdraw(wait, waker, &mut after));
        self.finish(after, &mut wakes);
        fire(waiter.py(), self, wakes);
        gained.map(|(_, gain)| gain)
    }

    /// Ends it, and what it had been handed goes to somebody else. Says whether it had been handed anything, now or when somebody could not wake it.
    pub fn give_back(&self, waiter: &Bound<'_, task::WaitFuture>) -> bool {
        task::give_up(waiter.py(), self, waiter.as_unbound());
        task::end(waiter, |wait, _| wait.has_given_back())
    }

    pub fn visit<E>(&self, waker: impl FnMut(&Waker) -> Result<(), E>) -> Result<(), E> {
        self.proxy().visit(waker)
    }
}

/// Sleeps once, detached. Says whether it was woken, or may have been.
fn sleep(rest: &Rest<'_>, watches: bool, timeout: Duration) -> bool {
    if watches && watch_hopefully(|| rest.is_over()) {
        return true;
    }
    rest.sleep(timeout);
    rest.is_over()
}

impl<S: Shared + 'static> Primitive<Waker> for Local<S> {
    fn give_up(&self, wait: &mut Wait, waker: &mut Option<Waker>, wakes: &mut Wakes<Waker>) {
        let mut after = After { wakes: std::mem::take(wakes), summon: false };
        self.proxy().give_up(wait, waker, &mut after);
        self.finish(after, wakes);
    }
}

impl<S: Shared + 'static> helper::Watched for Local<S> {
    fn serve(&self, wakes: &mut Wakes<Waker>) -> Option<Rest<'_>> {
        let mut after = After { wakes: std::mem::take(wakes), summon: false };
        let rest = self.proxy().serve(&mut after);
        *wakes = after.wakes;
        rest
    }

    fn take_over(&self, wakes: &mut Wakes<Waker>) {
        let mut after = After { wakes: std::mem::take(wakes), summon: false };
        self.proxy().take_over(&mut after);
        *wakes = after.wakes;
    }

    fn wake(&self, py: Python<'_>, wakes: Wakes<Waker>) {
        fire(py, self, wakes);
    }
}
