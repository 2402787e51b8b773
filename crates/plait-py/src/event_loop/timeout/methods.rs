//! Timeout's Python methods and attributes, and the functions that make one.

use super::{Armed, Phase, Raised, Timeout, WaitForTimeout, When};
use crate::event_loop::answered::Answered;
use crate::event_loop::any_task;
use crate::event_loop::future::Phase as FuturePhase;
use crate::event_loop::run::now;
use crate::event_loop::schedule::due;
use crate::event_loop::step::exact_future;
use crate::event_loop::EventLoop;
use crate::standard::standard;
use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyType};

#[pymethods]
impl Timeout {
    #[getter]
    fn __class__(slf: &Bound<'_, Self>) -> Py<PyAny> {
        standard(slf.py()).waiting.timeout.clone_ref(slf.py()).into_any()
    }

    /// The deadline, in the loop's time, or None.
    fn when<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.deadline.with(py, |d| d.when.clone_ref(py)).to_object(py)
    }

    /// Set another deadline, or none. RuntimeError unless the block is running and its time has not come.
    fn reschedule(slf: &Bound<'_, Self>, when: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        match slf.get().phase(py) {
            Phase::Entered => {}
            Phase::Created => return Err(PyRuntimeError::new_err("Timeout has not been entered")),
            other => {
                let text = format!("Cannot change state of {} Timeout", other.words().1);
                return Err(PyRuntimeError::new_err(text));
            }
        }
        let when = When::given(when);
        let kept = when.clone_ref(py);
        drop(slf.get().deadline.with(py, |d| std::mem::replace(&mut d.when, kept)));
        slf.get().disarm(py)?;
        match when {
            When::Never => Ok(()),
            when => Timeout::arm(slf, &any_task::running_loop(py)?, when),
        }
    }

    /// Whether the deadline has passed while the block was running.
    fn expired(&self, py: Python<'_>) -> bool {
        matches!(self.phase(py), Phase::Expiring | Phase::Expired)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (phase, when) = self.deadline.with(py, |d| (d.phase, d.when.clone_ref(py)));
        let (_, words) = phase.words();
        if phase != Phase::Entered {
            return Ok(format!("<Timeout [{words}]>"));
        }
        let when = match when.to_object(py) {
            Some(when) => py.import("builtins")?.call_method1("round", (when, 3))?.str()?.to_string(),
            None => "None".to_owned(),
        };
        Ok(format!("<Timeout [{words}] when={when}>"))
    }

    /// What `__aenter__` does.
    fn _begin(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        if slf.get().phase(py) != Phase::Created {
            return Err(PyRuntimeError::new_err("Timeout has already been entered"));
        }
        Timeout::enter(slf, &any_task::running_loop(py)?)
    }

    #[pyo3(signature = (exc_type, exc_val, exc_tb))]
    fn __aexit__<'py>(
        &self,
        py: Python<'py>,
        exc_type: Option<Bound<'py, PyType>>,
        exc_val: Option<Bound<'py, PyAny>>,
        exc_tb: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Answered>> {
        let _traceback_of_the_value = exc_tb;
        self.leave(py, exc_type.as_ref().map(|class| Raised { class, value: exc_val.as_ref() }))?;
        Answered::nothing(py)
    }

    fn _on_timeout(slf: &Bound<'_, Self>) -> PyResult<()> {
        Timeout::on_timeout(slf)
    }

    #[getter]
    fn _state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("asyncio.timeouts")?.getattr("_State")?.getattr(self.phase(py).words().0)
    }

    #[getter]
    fn _when<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.when(py)
    }

    #[getter]
    fn _task(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.deadline.with(py, |d| d.task.as_ref().map(|task| task.clone_ref(py)))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let deadline = self.deadline.traverse();
        visit.call(&deadline.task)?;
        if let When::Given(when) = &deadline.when {
            visit.call(when)?;
        }
        match &deadline.armed {
            Armed::Timer(loop_, _) => visit.call(loop_),
            Armed::Handle(handle) => visit.call(handle),
            Armed::Nothing | Armed::Queued => Ok(()),
        }
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let cleared = self.deadline.with(py, |d| {
                let armed = std::mem::replace(&mut d.armed, Armed::Nothing);
                (d.task.take(), std::mem::replace(&mut d.when, When::Never), armed)
            });
            drop(cleared);
        });
    }
}

#[pymethods]
impl WaitForTimeout {
    /// The awaitable has ended well.
    fn ended(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.as_super().get().leave(slf.py(), None)
    }

    /// The awaitable has ended with an exception, which its caller raises on unless this raises another.
    fn failed(slf: &Bound<'_, Self>, error: &Bound<'_, PyBaseException>) -> PyResult<()> {
        let raised = Raised { class: &error.get_type(), value: Some(error.as_any()) };
        slf.as_super().get().leave(slf.py(), Some(raised))
    }
}

/// A time-out for an `async with` block: it is cancelled after `delay` seconds, and ends with TimeoutError.
///
/// Args:
///     delay: seconds from now; None for no limit.
///
/// Returns:
///     An asynchronous context manager. Its `reschedule(when)` moves the deadline, `when()` tells it, `expired()` whether it
///     has passed.
///
/// Raises:
///     RuntimeError: no loop is running.
///
/// To be entered once, in a task. Counterpart: asyncio.timeout.
#[pyfunction]
pub fn timeout<'py>(py: Python<'py>, delay: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, Timeout>> {
    let loop_ = any_task::running_loop(py)?;
    let when = match delay {
        None => When::Never,
        Some(delay) => deadline_after(&loop_, &delay)?,
    };
    Bound::new(py, Timeout::until(when))
}

/// The same with a deadline in the loop's time (`loop.time()`).
///
/// Args:
///     when: the deadline; None for none. One that has passed ends the block at its first wait.
///
/// Returns:
///     As asyncio.timeout.
///
/// Counterpart: asyncio.timeout_at.
#[pyfunction]
pub fn timeout_at<'py>(py: Python<'py>, when: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, Timeout>> {
    Bound::new(py, Timeout::until(When::given(when)))
}

/// `loop.time() + delay`
fn deadline_after(loop_: &Bound<'_, PyAny>, delay: &Bound<'_, PyAny>) -> PyResult<When> {
    let py = loop_.py();
    if EventLoop::timing_natively(loop_)?.is_some() {
        if let Ok(number) = delay.cast_exact::<PyFloat>() {
            return Ok(When::At(now() + number.value()));
        }
        if delay.is_exact_instance_of::<PyInt>() {
            return due(delay).map(When::At);
        }
    }
    let when = loop_.call_method0(intern!(py, "time"))?.add(delay)?;
    Ok(When::given(Some(when)))
}

/// What `wait_for` asks first. The time-out with which its caller is to await `fut`; or the result, where `fut` is
/// done already; or the standard function, where that has to do it: at a time-out that is over already, and before 3.12.
#[pyfunction]
#[pyo3(signature = (fut, timeout, /))]
pub fn start_wait_for<'py>(
    fut: &Bound<'py, PyAny>,
    timeout: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = fut.py();
    let limited = !timeout.is_none();
    if limited && timeout.le(0)? {
        return Ok(standard(py).waiting.wait_for.bind(py).clone());
    }
    let loop_ = any_task::running_loop(py)?;
    let when = match limited {
        true => deadline_after(&loop_, timeout)?,
        false => When::Never,
    };
    if let Some(native) = exact_future(fut) {
        if native.get().state.with(py, |s| s.phase != FuturePhase::Pending) {
            if any_task::current_task(&loop_)?.is_none() {
                return Err(PyRuntimeError::new_err("Timeout should be used inside a task"));
            }
            return native.get().take_outcome(py, "Result is not set.").map(|value| value.into_bound(py));
        }
    }
    let base = PyClassInitializer::from(Timeout::until(when));
    let timeout = Bound::new(py, base.add_subclass(WaitForTimeout {}))?;
    Timeout::enter(timeout.as_super(), &loop_)?;
    Ok(timeout.into_any())
}
