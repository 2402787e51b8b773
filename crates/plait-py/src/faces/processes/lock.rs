//! `multiprocessing.Lock`, `RLock`, `Semaphore` and `BoundedSemaphore`: what is below their Python classes, in the shape of `_multiprocessing.SemLock`.
//!
//! A lock knows the process that holds it, in shared memory; which of that process's strands has it is known in that process alone, and
//! forgotten in a forked child, which holds nothing.

use super::local::{patience, Local};
use super::memory::{new_slot, shown, LockSegment};
use super::Filled;
use crate::arguments::Truth;
use crate::faces::universal::strand::{thread_ident, Strand};
use crate::faces::{answer, answered, traverse, Answer};
use crate::guarded::{Built, Guarded};
use crate::waiters::task::{self, Step, WaitFuture};
use crate::waiters::Patience;
use plait_core::fork;
use plait_core::shm::locks::mutex::{Mutex, Taken};
use plait_core::shm::locks::permits::{Permits, MOST};
use plait_core::shm::locks::pool::Slot;
use plait_core::shm::locks::Shared;
use pyo3::exceptions::{PyAssertionError, PyRuntimeWarning, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::ffi::CString;

/// `multiprocessing.synchronize.RECURSIVE_MUTEX`
const RECURSIVE: i32 = 0;

enum Words {
    Mutex(Local<Mutex<Slot>>),
    Permits(Local<Permits<Slot>>),
}

struct Core {
    words: Words,
    kind: i32,
}

/// What `_fill` is called with in another process: kind, value, maxvalue, holds, place.
type Description = (i32, u32, u32, bool, (LockSegment, u32));

/// What this process knows of who holds it here.
#[derive(Clone, Copy, Default)]
struct Holding {
    /// How often it was taken here less how often it was released here; of a recursive lock, by its holder.
    times: i64,
    by: Option<Strand>,
    generation: u32,
}

/// A lock or a semaphore of several processes: the base of `plait.multiprocessing.synchronize.SemLock`.
#[pyclass(module = "plait._native", frozen, subclass, dict, weakref)]
pub struct ProcessLock {
    core: Filled<Core>,
    holding: Guarded<Holding>,
    built: Built,
}

/// A process has died with the lock.
fn warn(py: Python<'_>, pid: u32) -> PyResult<()> {
    let words = format!("process {pid} has died holding this lock, which was taken from it: what it protects may be half done");
    let words = CString::new(words).unwrap_or_default();
    PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &words, 1)
}

impl Words {
    /// Takes it, within that time.
    fn take(&self, py: Python<'_>, patience: Option<Patience<'_>>) -> PyResult<bool> {
        match self {
            Words::Permits(local) => Ok(local.take_within(py, (), patience)?.is_some()),
            Words::Mutex(local) => match local.take_within(py, (), patience)? {
                None => Ok(false),
                Some(taken) => took(py, local, taken).map(|()| true),
            },
        }
    }

    /// Opens it. False: there was nothing to open.
    fn release(&self) -> bool {
        match self {
            Words::Mutex(local) => local.shared().release().is_ok(),
            Words::Permits(local) => local.shared().release().is_ok(),
        }
    }

    fn slot(&self) -> &Slot {
        match self {
            Words::Mutex(local) => &local.shared().place,
            Words::Permits(local) => &local.shared().place,
        }
    }
}

/// Says from whom it was taken. Where that is made an error, it is not taken.
#[inline]
fn took(py: Python<'_>, local: &Local<Mutex<Slot>>, taken: Taken) -> PyResult<()> {
    let Some(pid) = taken.from else { return Ok(()) };
    warn(py, pid).inspect_err(|_| local.shared().give_back((), taken))
}

impl ProcessLock {
    /// Who is to be known as the holder: only a recursive lock asks for more than the thread.
    fn here(py: Python<'_>, kind: i32) -> PyResult<Strand> {
        match kind {
            RECURSIVE => Strand::current(py),
            _ => Ok(Strand::Thread(thread_ident())),
        }
    }

    fn with_holding<R>(&self, py: Python<'_>, body: impl FnOnce(&mut Holding) -> R) -> R {
        self.holding.with(py, |holding| {
            if holding.generation != fork::generation() {
                *holding = Holding { generation: fork::generation(), ..Holding::default() };
            }
            body(holding)
        })
    }

    fn is_held_by(&self, py: Python<'_>, here: Strand) -> bool {
        self.with_holding(py, |holding| holding.times > 0 && holding.by == Some(here))
    }

    fn note_taken(&self, py: Python<'_>, here: Strand) {
        self.with_holding(py, |holding| {
            holding.times += 1;
            holding.by = Some(here);
        });
    }

    #[inline]
    fn acquire_within(&self, py: Python<'_>, patience: Option<Patience<'_>>) -> PyResult<bool> {
        let core = self.core.get()?;
        let here = Self::here(py, core.kind)?;
        if core.kind == RECURSIVE && self.is_held_by(py, here) {
            self.note_taken(py, here);
            return Ok(true);
        }
        let taken = core.words.take(py, patience)?;
        if taken {
            self.note_taken(py, here);
        }
        Ok(taken)
    }

    /// Opens a recursive lock once. Whether that was the last time.
    fn count_down(&self, py: Python<'_>, here: Strand) -> PyResult<bool> {
        let left = self.with_holding(py, |holding| {
            let held = holding.times > 0 && holding.by == Some(here);
            held.then(|| {
                holding.times -= 1;
                holding.times
            })
        });
        let refusal = "attempt to release recursive lock not owned by thread";
        left.map(|left| left == 0).ok_or_else(|| PyAssertionError::new_err(refusal))
    }

    fn answer(&self, py: Python<'_>, step: PyResult<Step<()>>) -> Answer {
        let answer = answer(step);
        if let Ok(None) = answer {
            self.note_taken(py, Self::here(py, self.core.get()?.kind)?);
        }
        answer
    }
}

/// A coroutine has got a lock, or waits on.
fn stepped(py: Python<'_>, local: &Local<Mutex<Slot>>, step: PyResult<Step<Taken>>) -> PyResult<Step<()>> {
    Ok(match step? {
        Step::Ready(taken) => Step::Ready(took(py, local, taken)?),
        Step::Wait(future) => Step::Wait(future),
    })
}

#[pymethods]
impl ProcessLock {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ProcessLock { core: Filled::new(), holding: Guarded::new(Holding::default()), built: Built::new() }
    }

    /// Makes it: in new memory, or (with `place`) where another process has made it. `holds`: one holder, who is known.
    #[pyo3(signature = (kind, value, maxvalue, holds, place = None))]
    fn _fill(
        &self,
        py: Python<'_>,
        kind: i32,
        value: u32,
        maxvalue: u32,
        holds: bool,
        place: Option<(Bound<'_, LockSegment>, u32)>,
    ) -> PyResult<()> {
        let known = place.is_some();
        let slot = match place {
            Some((segment, index)) => segment.get().slot(index)?,
            None => new_slot(py)?,
        };
        let words = match (holds, known) {
            (true, _) => Words::Mutex(Local::new(Mutex { place: slot })),
            (false, true) => Words::Permits(Local::new(Permits::known(slot, maxvalue))),
            (false, false) => Words::Permits(Local::new(Permits::new(slot, value, maxvalue))),
        };
        self.core.fill(Core { words, kind })
    }

    /// Where it lies, and what it is: what `_fill` wants in another process.
    fn _place(&self) -> PyResult<Description> {
        let core = self.core.get()?;
        let holds = matches!(core.words, Words::Mutex(_));
        Ok((core.kind, 0, self.maxvalue()?, holds, shown(core.words.slot())))
    }

    /// Take it.
    ///
    /// Args:
    ///     block: wait until it can be had; otherwise answer at once.
    ///     timeout: wait for at most so many seconds; None for ever, less than nothing not at all.
    ///
    /// Returns:
    ///     Whether it was taken.
    ///
    /// Raises:
    ///     TypeError: the timeout is no number.
    ///     KeyboardInterrupt: while it waited (or whatever else a signal's handler raises); then nothing was taken.
    ///
    /// Warns:
    ///     RuntimeWarning: of a lock, that the process that held it has died.
    ///
    /// For threads and greenlets of all processes. See `aacquire` for coroutines. Counterpart: multiprocessing.Lock.acquire.
    #[pyo3(signature = (block = Truth(true), timeout = None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(&self, py: Python<'_>, block: Truth, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.acquire_within(py, patience(timeout)?.filter(|_| block.0))
    }

    /// Release it.
    ///
    /// Raises:
    ///     ValueError: more than was acquired (not of a semaphore without bound).
    ///     AssertionError: of a recursive lock that the caller does not hold.
    ///
    /// Safe to call from everywhere; a recursive lock, by its holder. Counterpart: multiprocessing.Lock.release.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core.get()?;
        if core.kind == RECURSIVE {
            if self.count_down(py, Self::here(py, RECURSIVE)?)? {
                core.words.release();
            }
            return Ok(());
        }
        // Before it is open: then it may be somebody else's.
        self.with_holding(py, |holding| holding.times -= 1);
        if core.words.release() {
            return Ok(());
        }
        self.with_holding(py, |holding| holding.times += 1);
        Err(PyValueError::new_err("semaphore or lock released too many times"))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire_within(py, Some(Patience::Forever))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release(py)
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method0(intern!(slf.py(), "_enter_later"))
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        self.release(py)?;
        answered(py)
    }

    fn _begin(&self, py: Python<'_>) -> Answer {
        let core = self.core.get()?;
        if core.kind == RECURSIVE {
            let here = Strand::current(py)?;
            if self.is_held_by(py, here) {
                self.note_taken(py, here);
                return Ok(None);
            }
        }
        let step = match &core.words {
            Words::Mutex(local) => stepped(py, local, local.begin(py, ())),
            Words::Permits(local) => local.begin(py, ()),
        };
        self.answer(py, step)
    }

    fn _resume(&self, waiter: &Bound<'_, WaitFuture>) -> Answer {
        let py = waiter.py();
        let step = match &self.core.get()?.words {
            Words::Mutex(local) => stepped(py, local, local.resume((), waiter)),
            Words::Permits(local) => local.resume((), waiter),
        };
        self.answer(py, step)
    }

    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>) -> PyResult<()> {
        match &self.core.get()?.words {
            Words::Mutex(local) => task::give_up(waiter.py(), local, waiter.as_unbound()),
            Words::Permits(local) => task::give_up(waiter.py(), local, waiter.as_unbound()),
        }
        Ok(())
    }

    /// How often it was taken in this process less how often it was released.
    fn _count(&self, py: Python<'_>) -> i64 {
        self.with_holding(py, |holding| holding.times)
    }

    fn _is_mine(&self, py: Python<'_>) -> PyResult<bool> {
        let here = Self::here(py, self.core.get()?.kind)?;
        Ok(self.is_held_by(py, here))
    }

    fn _get_value(&self) -> PyResult<u32> {
        Ok(match &self.core.get()?.words {
            Words::Mutex(local) => u32::from(local.shared().holder().is_none()),
            Words::Permits(local) => local.shared().value(),
        })
    }

    fn _is_zero(&self) -> PyResult<bool> {
        Ok(self._get_value()? == 0)
    }

    /// In a forked child nothing is held: it is seen by itself.
    fn _after_fork(&self) {}

    /// A number that it is known by in its memory.
    #[getter]
    fn handle(&self) -> PyResult<u32> {
        Ok(self.core.get()?.words.slot().index())
    }

    #[getter]
    fn kind(&self) -> PyResult<i32> {
        Ok(self.core.get()?.kind)
    }

    #[getter]
    fn maxvalue(&self) -> PyResult<u32> {
        Ok(match &self.core.get()?.words {
            Words::Mutex(_) => 1,
            Words::Permits(local) => local.shared().most(),
        })
    }

    /// It has no name.
    #[getter]
    fn name(&self) -> Option<&str> {
        None
    }

    #[classattr]
    const SEM_VALUE_MAX: u32 = MOST;

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        match self.core.peek().map(|core| &core.words) {
            None => Ok(()),
            Some(Words::Mutex(local)) => traverse(&visit, |waker| local.visit(waker)),
            Some(Words::Permits(local)) => traverse(&visit, |waker| local.visit(waker)),
        }
    }

    fn __clear__(&self) {}
}
