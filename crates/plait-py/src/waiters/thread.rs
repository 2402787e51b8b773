//! A thread waits: it detaches from the interpreter and parks.
//!
//! Signals wake it: in the main thread Python's handlers run, and if none of them raises, the wait goes on for the rest of its
//! time. Each thread keeps one parker for all its waits; a wake-up that belongs to an earlier one only makes it look once more. Python code
//! that runs in the midst of a wait (a handler, the release of a condition's own lock) may wait by itself, and take the wake-up of the
//! outer wait for one of its own: so a wait inside another leaves a wake-up behind.
//!
//! Before it parks, a thread watches its word for some microseconds, for to park and be woken costs more than that. It does
//! so detached, and when the wake-up has come it waits another microsecond before it attaches: whoever woke it
//! holds the GIL, and mostly lets it go right then; to ask for it at once would cost both of them a sleep. A thread that has watched in
//! vain seldom watches again, and none does on a single processor.

use super::{fire, left_until, Patience, Waker};
use crate::daemon_threads::survives_exit;
use plait_core::parker::{Awoken, Parker};
use plait_core::primitives::Primitive;
use plait_core::waiter::{Manner, Progress, Wait, Wakes};
use pyo3::prelude::*;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a thread watches, and how long it lets go by after it has seen its wake-up.
const WATCH: Duration = Duration::from_micros(20);
const GRACE: Duration = Duration::from_micros(1);
/// Out of hope, a thread watches once in so many waits.
const SELDOM: u8 = 32;

thread_local! {
    static PARKER: Arc<Parker> = {
        survives_exit();
        Arc::new(Parker::new())
    };
    /// How many waits the thread is in, one inside the other.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static HOPE: Cell<Hope> = const { Cell::new(Hope { credit: MOST_CREDIT, skipped: 0 }) };
}

/// Of how much use watching has been to a thread.
#[derive(Clone, Copy)]
struct Hope {
    credit: u8,
    skipped: u8,
}

const MOST_CREDIT: u8 = 8;

impl Hope {
    fn watches(&mut self) -> bool {
        if self.credit > 0 {
            return true;
        }
        self.skipped = (self.skipped + 1) % SELDOM;
        self.skipped == 0
    }

    fn learn(&mut self, woken: bool) {
        self.credit = match woken {
            true => (self.credit + 2).min(MOST_CREDIT),
            false => self.credit.saturating_sub(1),
        };
    }
}

fn has_processors_to_spare() -> bool {
    // No OnceLock: it is asked for detached, and a child whose parent was just asking would wait for the answer for ever.
    static PROCESSORS: AtomicUsize = AtomicUsize::new(0);
    let mut processors = PROCESSORS.load(Ordering::Relaxed);
    if processors == 0 {
        processors = std::thread::available_parallelism().map_or(1, usize::from);
        PROCESSORS.store(processors, Ordering::Relaxed);
    }
    processors > 1
}

/// Watches until something has come. Says whether it has.
fn watch(has_come: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !has_come() {
        if start.elapsed() >= WATCH {
            return false;
        }
        (0..32).for_each(|_| std::hint::spin_loop());
    }
    let seen = Instant::now();
    while seen.elapsed() < GRACE {
        std::hint::spin_loop();
    }
    true
}

/// Watches, where that is of use. Says whether what it watches for has come. To be called detached.
pub fn watch_hopefully(has_come: impl Fn() -> bool) -> bool {
    let mut hope = HOPE.get();
    let watches = has_processors_to_spare() && hope.watches();
    let woken = watches && watch(has_come);
    if watches {
        hope.learn(woken);
    }
    HOPE.set(hope);
    woken
}

/// Whether this is the thread in which Python's signal handlers run.
fn handles_signals() -> bool {
    thread_local!(static MAIN: bool = rustix::thread::gettid() == rustix::process::getpid());
    MAIN.with(|main| *main)
}

/// A wait that goes on. With it ends what it may have taken from the wait around it.
struct Nested<'a>(&'a Parker);

impl Nested<'_> {
    fn begin(parker: &Parker) -> Nested<'_> {
        DEPTH.set(DEPTH.get() + 1);
        Nested(parker)
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        let around = DEPTH.get() - 1;
        DEPTH.set(around);
        if around > 0 {
            self.0.unpark();
        }
    }
}

/// See [`super::block`].
pub fn block<P: Primitive<Waker>, T>(
    py: Python<'_>,
    primitive: &P,
    manner: Manner,
    mut patience: Patience<'_>,
    mut parked: impl FnMut() -> PyResult<()>,
    mut poll: impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> PyResult<Option<T>> {
    let parker = PARKER.with(Arc::clone);
    let _nested = Nested::begin(&parker);
    let mut wait = Wait::new(manner);
    let mut waker = None;
    loop {
        waker.get_or_insert_with(|| Waker::Thread(Arc::clone(&parker)));
        let mut wakes = Wakes::None;
        let progress = poll(&mut wait, &mut waker, &mut wakes);
        fire(py, primitive, wakes);
        match progress {
            Progress::Ready(value) => return Ok(Some(value)),
            Progress::TimedOut => return Ok(None),
            Progress::Pending | Progress::WouldPark => {}
        }
        match parked().and_then(|()| sleep(py, &parker, patience)) {
            Ok(Awoken::TimedOut) => {
                wait.expire();
                // Whoever still has to wait does so for something that does not take long.
                patience = Patience::Forever;
            }
            Ok(Awoken::Unparked | Awoken::Interrupted) => {}
            Err(raised) => {
                let mut wakes = Wakes::None;
                primitive.give_up(&mut wait, &mut waker, &mut wakes);
                fire(py, primitive, wakes);
                return Err(raised);
            }
        }
    }
}

/// Sleeps once, detached. An error is what a signal handler raised.
fn sleep(py: Python<'_>, parker: &Parker, patience: Patience<'_>) -> PyResult<Awoken> {
    if parker.try_take() {
        return Ok(Awoken::Unparked);
    }
    let end = patience.end();
    if left_until(end) == Some(Duration::ZERO) {
        // To sleep for no time takes some all the same, 60 µs and sometimes a millisecond.
        py.check_signals()?;
        return Ok(Awoken::TimedOut);
    }
    let awoken = if handles_signals() {
        // A signal that comes while it watches would else be noticed by the next one only.
        if py.detach(|| watch_hopefully(|| parker.try_take())) {
            return Ok(Awoken::Unparked);
        }
        py.check_signals()?;
        py.detach(|| parker.park(left_until(end)))
    } else {
        py.detach(|| match watch_hopefully(|| parker.try_take()) {
            true => Awoken::Unparked,
            false => parker.park(left_until(end)),
        })
    };
    if awoken != Awoken::Unparked {
        py.check_signals()?;
    }
    Ok(awoken)
}
