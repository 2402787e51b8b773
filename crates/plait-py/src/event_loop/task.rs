//! Task: a future that a coroutine fills. This file has the object; `step.rs` drives the coroutine.

use super::future::Future;
use super::ready::Ready;
use super::registry;
use super::step;
use super::EventLoop;
use crate::ffi;
use crate::guarded::Guarded;
use crate::standard::standard;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi::destructor;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;

/// Laid out to be small, like `FutureState`.
pub struct TaskState {
    pub coro: Option<Py<PyAny>>,
    context: Option<Py<PyAny>>,
    /// The future that the coroutine awaits.
    pub waiter: Option<Py<PyAny>>,
    /// None: "Task-N" with the number below, written out only when somebody asks.
    name: Option<Py<PyAny>>,
    number: u64,
    registered: registry::Key,
    pub marks: Marks,
}

/// Two flags and the number of `cancel()` that were not taken back, in one word.
#[derive(Clone, Copy)]
pub struct Marks(u32);

impl Marks {
    const MUST_CANCEL: u32 = 1 << 31;
    const QUIET: u32 = 1 << 30;
    const COUNT: u32 = Marks::QUIET - 1;

    pub fn must_cancel(self) -> bool {
        self.0 & Marks::MUST_CANCEL != 0
    }

    /// Returns what it was.
    pub fn set_must_cancel(&mut self, value: bool) -> bool {
        let before = self.must_cancel();
        self.set(Marks::MUST_CANCEL, value);
        before
    }

    fn logs_destroy_pending(self) -> bool {
        self.0 & Marks::QUIET == 0
    }

    fn set_logs_destroy_pending(&mut self, value: bool) {
        self.set(Marks::QUIET, !value);
    }

    fn set(&mut self, flag: u32, value: bool) {
        match value {
            true => self.0 |= flag,
            false => self.0 &= !flag,
        }
    }

    fn requests(self) -> u32 {
        self.0 & Marks::COUNT
    }

    fn request(&mut self) {
        if self.requests() < Marks::COUNT {
            self.0 += 1;
        }
    }

    /// Takes one back; returns how many are left.
    fn unrequest(&mut self) -> u32 {
        if self.requests() > 0 {
            self.0 -= 1;
            if self.requests() == 0 && cfg!(Py_3_13) {
                self.set_must_cancel(false);
            }
        }
        self.requests()
    }
}

fn next_number() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

/// A name as asyncio keeps it: a string.
fn as_name(name: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    match name.is_exact_instance_of::<PyString>() {
        true => Ok(name.unbind()),
        false => Ok(name.str()?.into_any().unbind()),
    }
}

#[pyclass(module = "plait._native", frozen, subclass, extends = Future)]
pub struct Task {
    pub state: Guarded<TaskState>,
}

impl Task {
    fn uninitialised() -> Task {
        Task {
            state: Guarded::new(TaskState {
                coro: None,
                context: None,
                waiter: None,
                name: None,
                number: 0,
                registered: registry::Key::NONE,
                marks: Marks(0),
            }),
        }
    }

    /// A task on a plait loop, scheduled: what `create_task` makes.
    pub fn on_loop<'py>(
        loop_: &Bound<'py, EventLoop>,
        coro: &Bound<'py, PyAny>,
        name: Option<Bound<'py, PyAny>>,
        context: Option<Py<PyAny>>,
        eager: bool,
    ) -> PyResult<Bound<'py, Task>> {
        let py = loop_.py();
        let future = Future::on_loop(py, loop_)?;
        let initializer = PyClassInitializer::from(future).add_subclass(Task::uninitialised());
        let task = Bound::new(py, initializer)?;
        Task::begin(&task, loop_.as_any(), coro, name, context, eager)?;
        Ok(task)
    }

    /// The second half of `__init__`: takes the coroutine and schedules, or makes, the first step.
    fn begin(
        slf: &Bound<'_, Task>,
        loop_: &Bound<'_, PyAny>,
        coro: &Bound<'_, PyAny>,
        name: Option<Bound<'_, PyAny>>,
        context: Option<Py<PyAny>>,
        eager: bool,
    ) -> PyResult<()> {
        let py = slf.py();
        if !is_coroutine(coro)? {
            slf.get().state.with(py, |t| t.marks.set_logs_destroy_pending(false));
            let text = format!("a coroutine was expected, got {}", coro.repr()?);
            return Err(PyTypeError::new_err(text));
        }
        let context = match context {
            Some(context) => context,
            None => ffi::copy_context(py)?,
        };
        let name = name.map(as_name).transpose()?;
        let number = if name.is_none() { next_number() } else { 0 };
        let coro = coro.clone().unbind();
        let replaced = slf.get().state.with(py, |t| {
            let old_name = std::mem::replace(&mut t.name, name);
            t.number = number;
            t.marks = Marks(0);
            (t.coro.replace(coro), t.context.replace(context), t.waiter.take(), old_name)
        });
        drop(replaced);
        Task::unregister(slf);
        let key = registry::register(slf)?;
        slf.get().state.with(py, |t| t.registered = key);
        if eager && loop_.call_method0(intern!(py, "is_running"))?.is_truthy()? {
            return step::eager_start(slf, loop_);
        }
        Task::schedule_step(slf, None)
    }

    #[inline]
    pub fn context(&self, py: Python<'_>) -> Py<PyAny> {
        let context = self.state.with(py, |t| t.context.as_ref().map(|c| c.clone_ref(py)));
        context.unwrap_or_else(|| py.None())
    }

    /// The loop when steps may go straight into its ready queue.
    #[inline]
    pub fn native_loop<'py>(slf: &Bound<'py, Task>) -> Option<Bound<'py, EventLoop>> {
        let py = slf.py();
        let loop_ = slf.as_super().get().state.with(py, |s| match s.native {
            true => s.loop_.as_ref().map(|l| l.clone_ref(py)),
            false => None,
        })?;
        // SAFETY: `native` is only ever set for a loop that was cast to EventLoop (`Future::attach_to`).
        Some(unsafe { loop_.into_bound(py).cast_into_unchecked::<EventLoop>() })
    }

    pub fn schedule_step(slf: &Bound<'_, Task>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        if let Some(loop_) = Task::native_loop(slf) {
            let task = slf.clone().unbind();
            let ready = match error {
                None => Ready::Step(task),
                Some(error) => Ready::Throw(task, error),
            };
            return loop_.get().push_step(py, ready);
        }
        let loop_ = slf.as_super().get().loop_of(py)?;
        let callable = Bound::new(py, TaskStep { task: slf.clone().unbind(), error })?;
        let kwargs = PyDict::new(py);
        kwargs.set_item(intern!(py, "context"), slf.get().context(py))?;
        loop_.call_method(intern!(py, "call_soon"), (callable,), Some(&kwargs))?;
        Ok(())
    }

    #[inline]
    pub fn schedule_wakeup(slf: &Bound<'_, Task>, future: &Bound<'_, Future>) -> PyResult<()> {
        let py = slf.py();
        if let Some(loop_) = Task::native_loop(slf) {
            let wake = Ready::Wake(slf.clone().unbind(), future.clone().unbind());
            return loop_.get().push_step(py, wake);
        }
        let loop_ = slf.as_super().get().loop_of(py)?;
        let callable = Task::wakeup_callable(slf)?;
        let context = slf.get().context(py);
        super::future::call_soon(&loop_, &callable, future.as_any(), context.bind(py))
    }

    /// `_log_destroy_pending = False`
    pub fn stay_quiet(&self, py: Python<'_>) {
        self.state.with(py, |t| t.marks.set_logs_destroy_pending(false));
    }

    /// What stands for "wake this task" where a Python callable is wanted.
    pub fn wakeup_callable<'py>(slf: &Bound<'py, Task>) -> PyResult<Bound<'py, PyAny>> {
        let wakeup = TaskWakeup { task: slf.clone().unbind() };
        Ok(Bound::new(slf.py(), wakeup)?.into_any())
    }

    /// The task is done or dying: it leaves the registry.
    pub fn unregister(slf: &Bound<'_, Task>) {
        let py = slf.py();
        let key = slf.get().state.with(py, |t| std::mem::replace(&mut t.registered, registry::Key::NONE));
        registry::unregister(py, key);
    }

    fn log_destroyed(slf: &Bound<'_, Task>) -> PyResult<()> {
        let py = slf.py();
        let future = slf.as_super().get();
        let logs = slf.get().state.with(py, |t| t.marks.logs_destroy_pending());
        if !logs || future.is_done(py) || future.loop_of(py).is_err() {
            return Ok(());
        }
        let context = PyDict::new(py);
        context.set_item("task", slf)?;
        context.set_item("message", "Task was destroyed but it is pending!")?;
        if let Some(traceback) = future._source_traceback(py) {
            context.set_item("source_traceback", traceback)?;
        }
        let loop_ = future.loop_of(py)?;
        loop_.call_method1(intern!(py, "call_exception_handler"), (context,))?;
        Ok(())
    }
}

/// asyncio's rule, with its commonest answer without a call.
fn is_coroutine(coro: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = coro.py();
    if ffi::is_coroutine(coro) {
        return Ok(true);
    }
    standard(py).iscoroutine.bind(py).call1((coro,))?.is_truthy()
}

impl Drop for Task {
    fn drop(&mut self) {
        // The finalizer has done it, unless the object was resurrected then and initialised once more.
        let key = self.state.traverse().registered;
        if key != registry::Key::NONE {
            Python::attach(|py| registry::unregister(py, key));
        }
    }
}

#[pymethods]
impl Task {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Task> {
        PyClassInitializer::from(Future::blank()).add_subclass(Task::uninitialised())
    }

    #[pyo3(signature = (coro, *, r#loop = None, name = None, context = None, eager_start = false))]
    fn __init__(
        slf: &Bound<'_, Self>,
        coro: &Bound<'_, PyAny>,
        r#loop: Option<Bound<'_, PyAny>>,
        name: Option<Bound<'_, PyAny>>,
        context: Option<Py<PyAny>>,
        eager_start: bool,
    ) -> PyResult<()> {
        let py = slf.py();
        let loop_ = match r#loop {
            Some(loop_) => loop_,
            None => standard(py).get_event_loop.bind(py).call0()?,
        };
        slf.as_super().get().attach_to(py, &loop_)?;
        Task::begin(slf, &loop_, coro, name, context, eager_start)
    }

    /// Ask the coroutine to end with CancelledError(msg) at its next step. False when the task is done already.
    #[pyo3(signature = (msg = None))]
    pub fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        let py = slf.py();
        let future = slf.as_super().get();
        future.loop_of(py)?;
        future.stop_logging(py);
        if future.is_done(py) {
            return Ok(false);
        }
        let waiter = slf.get().state.with(py, |t| {
            t.marks.request();
            t.waiter.as_ref().map(|w| w.clone_ref(py))
        });
        if let Some(waiter) = waiter {
            let message = msg.as_ref().map(|m| m.clone_ref(py));
            if step::cancel_awaited(waiter.bind(py), message)? {
                return Ok(true);
            }
        }
        slf.get().state.with(py, |t| t.marks.set_must_cancel(true));
        future.set_cancel_message(py, msg);
        Ok(true)
    }

    /// Take back one `cancel()`; returns how many requests are left.
    pub fn uncancel(&self, py: Python<'_>) -> u32 {
        self.state.with(py, |t| t.marks.unrequest())
    }

    /// How many `cancel()` have not been taken back.
    pub fn cancelling(&self, py: Python<'_>) -> u32 {
        self.state.with(py, |t| t.marks.requests())
    }

    fn set_result(&self, _result: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyRuntimeError::new_err("Task does not support set_result operation"))
    }

    fn set_exception(&self, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyRuntimeError::new_err("Task does not support set_exception operation"))
    }

    fn get_name(&self, py: Python<'_>) -> Py<PyAny> {
        let (name, number) =
            self.state.with(py, |t| (t.name.as_ref().map(|name| name.clone_ref(py)), t.number));
        name.unwrap_or_else(|| PyString::new(py, &format!("Task-{number}")).into_any().unbind())
    }

    fn set_name(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        let name = value.str()?.into_any().unbind();
        let replaced = self.state.with(py, |t| t.name.replace(name));
        drop(replaced);
        Ok(())
    }

    fn get_coro(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |t| t.coro.as_ref().map(|c| c.clone_ref(py)))
    }

    fn get_context(&self, py: Python<'_>) -> Py<PyAny> {
        self.context(py)
    }

    #[getter]
    fn _coro(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.get_coro(py)
    }

    #[getter]
    fn _must_cancel(&self, py: Python<'_>) -> bool {
        self.state.with(py, |t| t.marks.must_cancel())
    }

    #[getter]
    fn _fut_waiter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |t| t.waiter.as_ref().map(|w| w.clone_ref(py)))
    }

    #[getter]
    fn _num_cancels_requested(&self, py: Python<'_>) -> u32 {
        self.cancelling(py)
    }

    #[getter]
    fn _log_destroy_pending(&self, py: Python<'_>) -> bool {
        self.state.with(py, |t| t.marks.logs_destroy_pending())
    }

    #[setter(_log_destroy_pending)]
    fn set_private_log_destroy_pending(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = value.is_truthy()?;
        self.state.with(py, |t| t.marks.set_logs_destroy_pending(value));
        Ok(())
    }

    fn __del__(slf: &Bound<'_, Self>) {
        <Task as ffi::Finalize>::finalize(slf);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let state = self.state.traverse();
        visit.call(&state.coro)?;
        visit.call(&state.context)?;
        visit.call(&state.waiter)?;
        visit.call(&state.name)
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let cleared = self.state.with(py, |t| (t.coro.take(), t.context.take(), t.waiter.take()));
            drop(cleared);
        });
    }
}

static TASK_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for Task {
    fn finalize(slf: &Bound<'_, Self>) {
        Task::unregister(slf);
        let logged = Task::log_destroyed(slf).and_then(|()| Future::log_never_retrieved(slf.as_super()));
        if let Err(error) = logged {
            error.write_unraisable(slf.py(), Some(slf.as_any()));
        }
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &TASK_DEALLOC
    }
}

/// "Step this task" as a callable, for loops that are not plait's.
#[pyclass(module = "plait._native", frozen, name = "TaskStepMethWrapper")]
pub struct TaskStep {
    task: Py<Task>,
    error: Option<Py<PyAny>>,
}

#[pymethods]
impl TaskStep {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let error = self.error.as_ref().map(|e| e.clone_ref(py));
        step::step_anywhere(self.task.bind(py), error)
    }

    #[getter]
    fn __self__(&self, py: Python<'_>) -> Py<Task> {
        self.task.clone_ref(py)
    }

    #[getter]
    fn __qualname__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        qualified_name(&self.task, py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.task)?;
        visit.call(&self.error)
    }
}

/// "Wake this task, the future is done" as a callable, for futures and loops that are not plait's.
#[pyclass(module = "plait._native", frozen, name = "TaskWakeupMethWrapper")]
pub struct TaskWakeup {
    task: Py<Task>,
}

#[pymethods]
impl TaskWakeup {
    fn __call__(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        step::wakeup_anywhere(self.task.bind(future.py()), future)
    }

    #[getter]
    fn __self__(&self, py: Python<'_>) -> Py<Task> {
        self.task.clone_ref(py)
    }

    #[getter]
    fn __qualname__(&self, py: Python<'_>) -> PyResult<String> {
        // asyncio's is a method of the task, not a wrapper that takes the coroutine's name.
        let class = self.task.bind(py).get_type().qualname()?;
        Ok(format!("{class}.task_wakeup"))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.task)
    }
}

/// The name that asyncio's wrappers show: the coroutine's.
fn qualified_name(task: &Py<Task>, py: Python<'_>) -> PyResult<Py<PyAny>> {
    match task.get().get_coro(py) {
        Some(coro) => coro.getattr(py, intern!(py, "__qualname__")),
        None => Ok(py.None()),
    }
}
