//! Who holds which lock and who waits for one, told to `python/plait/_deadlock.py`, which explains deadlocks. A debugging tool, off by default.
//!
//! Off, a lock pays a relaxed load when it is taken and one when it is released. On, both are a call of Python: a debugging tool may be slow, and
//! a graph is easier to read there. Rejected: a field in each lock for its holder, which every program would pay for, and types of their own for
//! debugging, which a lock that exists already does not have.
//!
//! Python code may be interrupted by a signal handler that raises. Where that cannot be passed on, because the lock has been taken or
//! released already, the hook is called again (each may be told the same thing twice), and what was raised comes up a little later.

use crate::faces::universal::strand::Strand;
use crate::faces::Answer;
use crate::ffi;
use crate::waiters::task::WaitFuture;
use crate::waiters::{greenlet, Patience};
use pyo3::exceptions::{PyMemoryError, PyRecursionError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

static EXPLAINING: AtomicBool = AtomicBool::new(false);
/// The keys of waits that block; below zero, where no address is.
static NEXT_KEY: AtomicI64 = AtomicI64::new(-1);
/// How often a hook is called that is interrupted each time.
const ATTEMPTS: usize = 3;
static GRAPH: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

#[inline(always)]
pub fn explaining() -> bool {
    EXPLAINING.load(Ordering::Relaxed)
}

/// Switches the explaining of deadlocks on or off; returns whether it was on.
#[pyfunction]
#[pyo3(signature = (on, /))]
pub fn explain_deadlocks(py: Python<'_>, on: bool) -> PyResult<bool> {
    GRAPH.get_or_try_init(py, || py.import("plait._deadlock").map(Bound::unbind))?;
    Ok(EXPLAINING.swap(on, Ordering::Relaxed))
}

/// The caller has taken the lock, and is known to the lock as its holder, if the lock knows holders: a signal handler may run in here, and want it.
#[inline(always)]
pub fn taken(lock: &Bound<'_, PyAny>) {
    if explaining() {
        tell_taken(lock);
    }
}

#[cold]
fn tell_taken(lock: &Bound<'_, PyAny>) {
    tell(lock.py(), intern!(lock.py(), "taken"), (lock, strand(lock.py())));
}

/// The lock is about to be released. To be told before that, so that nobody is taken for a holder who is none any more.
#[inline(always)]
pub fn opens(lock: &Bound<'_, PyAny>) {
    if explaining() {
        tell_opens(lock);
    }
}

#[cold]
fn tell_opens(lock: &Bound<'_, PyAny>) {
    tell(lock.py(), intern!(lock.py(), "opens"), (lock,));
}

/// A call that blocks until the lock is taken, which the caller tells then, or patience ends.
pub fn blocks(
    lock: &Bound<'_, PyAny>,
    patience: Patience<'_>,
    block: impl FnOnce() -> PyResult<Option<()>>,
) -> PyResult<bool> {
    if !explaining() {
        return Ok(block()?.is_some());
    }
    let acquired = match patience {
        Patience::Until(_) | Patience::Told(_) => block(),
        Patience::Forever => wait_in_graph(lock, block),
    };
    Ok(acquired?.is_some())
}

fn wait_in_graph<T>(lock: &Bound<'_, PyAny>, block: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    let py = lock.py();
    let key = NEXT_KEY.fetch_sub(1, Ordering::Relaxed);
    let blocks_thread = greenlet::current(py)?.is_none();
    let entered = graph(py).call_method1(intern!(py, "waits"), (key, lock, strand(py), blocks_thread));
    let result = match entered {
        Err(error) if !is_exhaustion(py, &error) => Err(error),
        _ => block(),
    };
    tell_ends(key, py);
    result
}

/// A call that blocks until futures of pools are done (every one of them, or any), however long that takes.
#[cold]
pub fn awaits_jobs<'py, T>(
    futures: impl IntoPyObject<'py>,
    every: bool,
    py: Python<'py>,
    block: impl FnOnce() -> PyResult<T>,
) -> PyResult<T> {
    let key = NEXT_KEY.fetch_sub(1, Ordering::Relaxed);
    let entered = graph(py).call_method1(intern!(py, "awaits_job"), (key, futures, every));
    let result = match entered {
        Err(error) if !is_exhaustion(py, &error) => Err(error),
        _ => block(),
    };
    tell(py, intern!(py, "awaits_job_no_more"), (key,));
    result
}

/// What a coroutine that wants the lock was answered: it has it, or it will await a future.
#[inline(always)]
pub fn answered(lock: &Bound<'_, PyAny>, answer: Answer) -> Answer {
    if explaining() {
        tell_answered(lock, &answer);
    }
    answer
}

#[cold]
fn tell_answered(lock: &Bound<'_, PyAny>, answer: &Answer) {
    let py = lock.py();
    match answer {
        Ok(None) => tell_taken(lock),
        Ok(Some(future)) => {
            tell(py, intern!(py, "waits"), (key_of(future.bind(py)), lock, strand(py), false));
        }
        Err(_) => {}
    }
}

/// A coroutine's wait for a lock has ended.
#[inline(always)]
pub fn ends(waiter: &Bound<'_, WaitFuture>) {
    if explaining() {
        tell_ends(key_of(waiter), waiter.py());
    }
}

#[cold]
fn tell_ends(key: i64, py: Python<'_>) {
    tell(py, intern!(py, "waits_no_more"), (key,));
}

/// A future was woken. If its task waits for a lock it has it now, although it may not be able to run.
#[cold]
pub fn handed(waiter: &Bound<'_, WaitFuture>) {
    let py = waiter.py();
    tell(py, intern!(py, "handed"), (key_of(waiter),));
}

fn key_of(waiter: &Bound<'_, WaitFuture>) -> i64 {
    waiter.as_ptr() as i64
}

/// The task or greenlet that runs; None: the thread itself.
fn strand(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    Strand::running(py).ok().flatten()
}

fn graph(py: Python<'_>) -> &Bound<'_, PyModule> {
    GRAPH.get(py).expect("imported when it was switched on").bind(py)
}

/// Calls a hook that must not be missed.
fn tell<'py, A>(py: Python<'py>, hook: &Bound<'py, PyString>, arguments: A)
where
    A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
{
    let Ok(arguments) = arguments.into_pyobject(py) else { return };
    let mut raised = None;
    for _ in 0..ATTEMPTS {
        match graph(py).call_method1(hook, &arguments) {
            Ok(_) => break,
            Err(error) => raised = raised.or(Some(error)),
        }
    }
    match raised {
        // Out of stack or memory: the graph has a gap.
        Some(error) if !is_exhaustion(py, &error) => ffi::raise_soon(py, error),
        _ => {}
    }
}

fn is_exhaustion(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyRecursionError>(py) || error.is_instance_of::<PyMemoryError>(py)
}
