//! What Python sees of a pool's future.

use super::future::{Added, ConcurrentFuture, Outcome, Phase, Seen};
use super::names;
use crate::deadlock;
use crate::faces::class_of;
use crate::faces::timeouts::patience;
use crate::waiters::Patience;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyTuple, PyType};

impl ConcurrentFuture {
    /// What it came to; blocks until it is done.
    #[inline]
    fn wait_and_see<'py>(
        slf: &Bound<'py, Self>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Waited<'py>> {
        let py = slf.py();
        let this = slf.get();
        if this.is_open(py) {
            return Ok(Waited::Open(timeout));
        }
        if let Some(seen) = this.look(py) {
            return Ok(Waited::Seen(seen));
        }
        let patience = patience(timeout.as_ref())?;
        let seen = match patience {
            Patience::Forever if deadlock::explaining() => {
                deadlock::awaits_jobs((slf,), true, py, || ConcurrentFuture::awaited(slf, patience))?
            }
            _ => ConcurrentFuture::awaited(slf, patience)?,
        };
        Ok(match seen {
            Some(seen) => Waited::Seen(seen),
            None => Waited::Open(patience.left().map(|left| PyFloat::new(py, left.as_secs_f64()).into_any())),
        })
    }
}

enum Waited<'py> {
    Seen(Seen),
    /// It is open: the standard algorithm has to wait, for what is left of the time-out.
    Open(Option<Bound<'py, PyAny>>),
}

#[pymethods]
impl ConcurrentFuture {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ConcurrentFuture::blank()
    }

    fn __init__(&self, py: Python<'_>) {
        self.reset(py);
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Ok(class_of(slf, &names(slf.py())?.future))
    }

    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let alias = cls.py().import("types")?.getattr("GenericAlias")?;
        Ok(alias.call1((cls, item))?.unbind())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let class = slf.as_any().getattr("__class__")?.getattr("__name__")?;
        let (phase, seen) = slf.get().with(py, |s| {
            let part = |object: &Option<Py<PyAny>>| object.as_ref().map(|object| object.clone_ref(py));
            (s.phase, (part(&s.exception), part(&s.result)))
        });
        let kind = |object: Py<PyAny>| object.bind(py).getattr("__class__")?.getattr("__name__");
        let outcome = match (phase, seen) {
            (Phase::Finished, (Some(error), _)) => format!(" raised {}", kind(error)?),
            (Phase::Finished, (None, result)) => {
                format!(" returned {}", kind(result.unwrap_or_else(|| py.None()))?)
            }
            _ => String::new(),
        };
        Ok(format!("<{class} at {:#x} state={}{outcome}>", slf.as_ptr() as usize, phase.description()))
    }

    /// What the call returned; what it raised is raised here.
    ///
    /// Args:
    ///     timeout: wait for at most so many seconds; None: for as long as it takes.
    ///
    /// Raises:
    ///     TimeoutError: the call is not over.
    ///     CancelledError: it was cancelled.
    ///     KeyboardInterrupt: while it waited.
    ///
    /// For threads and greenlets. Counterpart: concurrent.futures.Future.result.
    #[pyo3(signature = (timeout = None))]
    fn result(slf: &Bound<'_, Self>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        match ConcurrentFuture::wait_and_see(slf, timeout)? {
            Waited::Seen(seen) => ConcurrentFuture::hand_out(slf.py(), seen),
            Waited::Open(left) => ConcurrentFuture::openly(slf, "result", (left,)).map(Bound::unbind),
        }
    }

    /// What the call raised; None if it returned.
    ///
    /// Args:
    ///     timeout: wait for at most so many seconds; None: for as long as it takes.
    ///
    /// Raises:
    ///     TimeoutError: the call is not over.
    ///     CancelledError: it was cancelled.
    ///     KeyboardInterrupt: while it waited.
    ///
    /// For threads and greenlets. Counterpart: concurrent.futures.Future.exception.
    #[pyo3(signature = (timeout = None))]
    fn exception(slf: &Bound<'_, Self>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match ConcurrentFuture::wait_and_see(slf, timeout)? {
            Waited::Seen(Seen::Raised(error)) => Ok(error),
            Waited::Seen(Seen::Returned(_)) => Ok(py.None()),
            Waited::Seen(Seen::Cancelled) => Err(super::future::cancelled_error(py)),
            Waited::Open(left) => ConcurrentFuture::openly(slf, "exception", (left,)).map(Bound::unbind),
        }
    }

    /// Have `fn(future)` called when it is done, by the thread that is through with it; at once, if it is done. What is raised there
    /// is logged. Safe to call from all threads. Counterpart: concurrent.futures.Future.add_done_callback.
    fn add_done_callback(slf: &Bound<'_, Self>, r#fn: Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        match slf.get().add_call(py, r#fn.unbind()) {
            Added::Yes => Ok(()),
            Added::Done(callback) => ConcurrentFuture::call(slf, callback.bind(py)),
            Added::Opened(callback) => {
                ConcurrentFuture::openly(slf, "add_done_callback", (callback,)).map(drop)
            }
        }
    }

    /// Cancel it, unless it runs or is done. Returns whether it is cancelled. Safe to call from all threads. Counterpart:
    /// concurrent.futures.Future.cancel.
    #[pyo3(name = "cancel")]
    fn cancel_it(slf: &Bound<'_, Self>) -> PyResult<bool> {
        ConcurrentFuture::cancel(slf)
    }

    /// End the call, if a process makes it: that process is killed, and replaced. A call that has not begun is cancelled. Returns whether it is over by that, or will be
    /// in a moment; a thread cannot be ended. The future then has a ``TaskKilled`` for an exception. Safe to call from all threads. No standard counterpart (before
    /// Python 3.14, whose pools can kill all their workers).
    fn kill(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        match slf.get().source(py) {
            Some(source) => source.bind(py).call_method1(intern!(py, "_kill"), (slf,))?.extract(),
            None => ConcurrentFuture::cancel(slf),
        }
    }

    /// Whether it was cancelled. Safe to call from all threads. Counterpart: concurrent.futures.Future.cancelled.
    fn cancelled(&self, py: Python<'_>) -> bool {
        self.phase(py).is_cancelled()
    }

    /// Whether the call is being made. Safe to call from all threads. Counterpart: concurrent.futures.Future.running.
    fn running(&self, py: Python<'_>) -> bool {
        self.phase(py) == Phase::Running
    }

    /// Whether the call is over, or was cancelled. Safe to call from all threads. Counterpart: concurrent.futures.Future.done.
    fn done(&self, py: Python<'_>) -> bool {
        self.phase(py).is_done()
    }

    /// For executors: the call is about to be made. Returns False if it was cancelled instead. RuntimeError when it was begun before.
    /// Counterpart: concurrent.futures.Future.set_running_or_notify_cancel.
    fn set_running_or_notify_cancel(slf: &Bound<'_, Self>) -> PyResult<bool> {
        ConcurrentFuture::begin(slf)
    }

    /// For executors: the call has returned. InvalidStateError when it is done already. Counterpart:
    /// concurrent.futures.Future.set_result.
    fn set_result(slf: &Bound<'_, Self>, result: Py<PyAny>) -> PyResult<()> {
        ConcurrentFuture::finish(slf, Outcome::Returned(result))
    }

    /// For executors: the call has raised. InvalidStateError when it is done already. Counterpart:
    /// concurrent.futures.Future.set_exception.
    fn set_exception(slf: &Bound<'_, Self>, exception: Option<Py<PyAny>>) -> PyResult<()> {
        let outcome = match exception {
            Some(error) => Outcome::Raised(error),
            None => Outcome::Returned(slf.py().None()),
        };
        ConcurrentFuture::finish(slf, outcome)
    }

    /// In the words in which the standard one's lock refuses.
    fn __getstate__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle '_thread.RLock' object"))
    }

    // ---- what packages look at

    #[getter]
    fn _state(&self, py: Python<'_>) -> &'static str {
        self.phase(py).name()
    }

    #[setter(_state)]
    fn set_private_state(slf: &Bound<'_, Self>, state: &str) -> PyResult<()> {
        let phase = Phase::of(state)
            .ok_or_else(|| PyValueError::new_err(format!("no state of a future: {state}")))?;
        ConcurrentFuture::set_phase(slf, phase)
    }

    #[getter]
    fn _result(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.with(py, |s| s.result.as_ref().map(|result| result.clone_ref(py)))
    }

    #[setter(_result)]
    fn set_private_result(&self, py: Python<'_>, result: Option<Py<PyAny>>) {
        let before = self.with(py, |s| std::mem::replace(&mut s.result, result));
        drop(before);
    }

    #[getter]
    fn _exception(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.with(py, |s| s.exception.as_ref().map(|error| error.clone_ref(py)))
    }

    #[setter(_exception)]
    fn set_private_exception(&self, py: Python<'_>, error: Option<Py<PyAny>>) {
        let before = self.with(py, |s| std::mem::replace(&mut s.exception, error));
        drop(before);
    }

    #[getter]
    fn _condition<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        ConcurrentFuture::open(slf, |opened| &opened.condition)
    }

    #[setter(_condition)]
    fn set_private_condition(slf: &Bound<'_, Self>, condition: Py<PyAny>) -> PyResult<()> {
        ConcurrentFuture::open(slf, |opened| &opened.condition)?;
        slf.get().replace_part(slf.py(), |opened| &mut opened.condition, condition);
        Ok(())
    }

    #[getter]
    fn _waiters<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        ConcurrentFuture::open(slf, |opened| &opened.waiters)
    }

    #[setter(_waiters)]
    fn set_private_waiters(slf: &Bound<'_, Self>, waiters: Py<PyAny>) -> PyResult<()> {
        ConcurrentFuture::open(slf, |opened| &opened.waiters)?;
        slf.get().replace_part(slf.py(), |opened| &mut opened.waiters, waiters);
        Ok(())
    }

    /// Whether anybody's code is called when it is done.
    fn _has_callbacks(&self, py: Python<'_>) -> bool {
        self.has_callbacks(py)
    }

    #[getter]
    fn _done_callbacks<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        ConcurrentFuture::open(slf, |opened| &opened.callbacks)
    }

    #[setter(_done_callbacks)]
    fn set_private_done_callbacks(slf: &Bound<'_, Self>, callbacks: Py<PyAny>) -> PyResult<()> {
        ConcurrentFuture::open(slf, |opened| &opened.callbacks)?;
        slf.get().replace_part(slf.py(), |opened| &mut opened.callbacks, callbacks);
        Ok(())
    }

    /// Whether somebody has looked at what it is made of.
    #[getter]
    fn _is_open(&self, py: Python<'_>) -> bool {
        self.is_open(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.traverse_state(&visit)
    }

    fn __clear__(&self) {
        Python::attach(|py| self.reset(py));
    }
}

/// A future of a call that a pool of processes makes. `source` has `_read_for(future, seconds)`, which may read answers until the future is done, and
/// `_kill(future)`.
#[pyfunction]
pub fn process_future(py: Python<'_>, source: Py<PyAny>) -> PyResult<Bound<'_, ConcurrentFuture>> {
    Bound::new(py, ConcurrentFuture::of_source(source))
}

/// `future.result(timeout)`, and whatever it comes to, the future is cancelled if it is not done: what `map` does with each.
#[pyfunction]
#[pyo3(signature = (future, timeout = None, /))]
pub fn result_or_cancel(future: Bound<'_, PyAny>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
    let py = future.py();
    if let Ok(native) = future.cast_exact::<ConcurrentFuture>() {
        let result = ConcurrentFuture::result(native, timeout);
        if result.is_err() && !native.get().phase(py).is_done() {
            ConcurrentFuture::cancel(native)?;
        }
        return result;
    }
    let result = future.call_method1(intern!(py, "result"), (timeout,));
    future.call_method0(intern!(py, "cancel"))?;
    result.map(Bound::unbind)
}
