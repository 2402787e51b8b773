//! Handle and TimerHandle: what `call_soon` and `call_later` give back, and the callback they stand for.
//!
//! Their reprs, comparisons and hash are asyncio's own functions (see `plait._asyncio_glue`), which work on any
//! object with these attributes.

use super::future::{Future, Outcome};
use super::EventLoop;
use crate::errors::invalid_state;
use crate::ffi::{self, Held};
use crate::guarded::Guarded;
use crate::standard::standard;
use plait_core::timers::TimerKey;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyTuple};

/// What a handle stands for.
pub enum Call {
    /// A callback with its arguments.
    Python { callback: Held<PyAny>, args: Option<Py<PyTuple>> },
    /// `futures._set_result_unless_cancelled(future, result)`, with which `asyncio.sleep` ends: done without a Python
    /// call, and kept without a tuple and without a context, which it has no use for.
    SetResult { future: Py<Future>, result: Py<PyAny> },
}

impl Call {
    /// Recognises asyncio's own helper, unless the caller gave a context to run it in.
    #[inline]
    pub fn new<'py>(
        callback: Bound<'py, PyAny>,
        args: &[Bound<'py, PyAny>],
        with_context: bool,
    ) -> PyResult<Call> {
        let py = callback.py();
        if let ([future, result], false) = (args, with_context) {
            if callback.is(&standard(py).set_result_unless_cancelled) {
                if let Ok(future) = future.cast_exact::<Future>() {
                    let (future, result) = (future.clone().unbind(), result.clone().unbind());
                    return Ok(Call::SetResult { future, result });
                }
            }
        }
        let args = match args {
            [] => None,
            args => Some(PyTuple::new(py, args)?.unbind()),
        };
        Ok(Call::Python { callback: Held::new(callback.unbind()), args })
    }

    fn clone_ref(&self, py: Python<'_>) -> Call {
        match self {
            Call::Python { callback, args } => Call::Python {
                callback: Held::new(callback.clone_ref(py)),
                args: args.as_ref().map(|args| args.clone_ref(py)),
            },
            Call::SetResult { future, result } => {
                Call::SetResult { future: future.clone_ref(py), result: result.clone_ref(py) }
            }
        }
    }

    /// The callback as Python sees it.
    pub fn callback(&self, py: Python<'_>) -> Py<PyAny> {
        match self {
            Call::Python { callback, .. } => callback.clone_ref(py),
            Call::SetResult { .. } => standard(py).set_result_unless_cancelled.clone_ref(py),
        }
    }

    /// Its arguments as Python sees them.
    pub fn args<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        match self {
            Call::Python { args: None, .. } => Ok(PyTuple::empty(py)),
            Call::Python { args: Some(args), .. } => Ok(args.bind(py).clone()),
            Call::SetResult { future, result } => (future, result).into_pyobject(py),
        }
    }

    /// Runs it in `context`.
    #[inline]
    pub fn invoke(self, py: Python<'_>, context: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        match (self, context) {
            (Call::Python { callback, args }, Some(context)) => {
                let callback = callback.bind(py);
                ffi::in_context(context, || match args {
                    None => callback.call0().map(drop),
                    Some(args) => callback.call1(args.into_bound(py)).map(drop),
                })
            }
            (Call::Python { callback, args }, None) => {
                callback.bind(py).call1(args.map_or_else(|| PyTuple::empty(py), |a| a.into_bound(py)))?;
                Ok(())
            }
            (Call::SetResult { future, result }, _) => {
                let future = future.into_bound(py);
                let settled = Future::settle(&future, Outcome::Result(result))?;
                match settled || future.get().is_cancelled(py) {
                    true => Ok(()),
                    false => Err(invalid_state(py, "invalid state".to_owned())),
                }
            }
        }
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Call::Python { callback, args } => {
                visit.call(&**callback)?;
                visit.call(args)
            }
            Call::SetResult { future, result } => {
                visit.call(future)?;
                visit.call(result)
            }
        }
    }
}

struct HandleState {
    /// None once cancelled: the callback and its arguments are let go at once.
    call: Option<Call>,
    cancelled: bool,
    /// Debug mode only: the repr from before the cancellation, and the stack of the creation.
    debug: Option<Box<DebugInfo>>,
}

#[derive(Default)]
struct DebugInfo {
    repr: Option<Py<PyAny>>,
    source_traceback: Option<Py<PyAny>>,
}

#[pyclass(module = "plait._native", frozen, subclass, weakref)]
pub struct Handle {
    loop_: Held<EventLoop>,
    /// None where the callback has no use for one.
    context: Option<Held<PyAny>>,
    state: Guarded<HandleState>,
}

impl Handle {
    /// A handle that is in no queue yet. `context` is copied from the caller's when none is given.
    #[inline]
    pub fn build(
        loop_: &Bound<'_, EventLoop>,
        call: Call,
        context: Option<Py<PyAny>>,
        debug: bool,
    ) -> PyResult<Handle> {
        let py = loop_.py();
        let context = match (context, &call) {
            (Some(context), _) => Some(context),
            (None, Call::SetResult { .. }) => None,
            (None, Call::Python { .. }) => Some(ffi::copy_context(py)?),
        };
        let debug = if debug {
            let source_traceback = Some(standard(py).extract_stack.call0(py)?);
            Some(Box::new(DebugInfo { repr: None, source_traceback }))
        } else {
            None
        };
        Ok(Handle {
            loop_: Held::new(loop_.clone().unbind()),
            context: context.map(Held::new),
            state: Guarded::new(HandleState { call: Some(call), cancelled: false, debug }),
        })
    }

    /// What to run, unless it has been cancelled meanwhile.
    #[inline]
    pub fn to_run(&self, py: Python<'_>) -> Option<Call> {
        self.state.with(py, |s| s.call.as_ref().map(|call| call.clone_ref(py)))
    }

    #[inline]
    pub fn context<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.context.as_ref().map(|context| context.bind(py))
    }

    fn shown_context(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.context {
            Some(context) => Ok(context.clone_ref(py)),
            None => ffi::copy_context(py),
        }
    }

    pub fn is_cancelled(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.cancelled)
    }

    /// Forgets the callback. True when this call did it.
    fn cancel_once(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get();
        if this.is_cancelled(py) {
            return Ok(false);
        }
        if this.loop_.get().debug(py) {
            // Keep a description: the slow-callback log may still want it. (`_cancelled` shows in it.)
            this.state.with(py, |s| s.cancelled = true);
            let repr = slf.repr()?.into_any().unbind();
            let replaced = this.state.with(py, |s| s.debug.get_or_insert_default().repr.replace(repr));
            drop(replaced);
        }
        let call = this.state.with(py, |s| {
            s.cancelled = true;
            s.call.take()
        });
        drop(call);
        Ok(true)
    }
}

#[pymethods]
impl Handle {
    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        let py = slf.py();
        let class = slf.get_type();
        if class.is(py.get_type::<Handle>()) {
            standard(py).handle.bind(py).clone().into_any()
        } else if class.is(py.get_type::<TimerHandle>()) {
            standard(py).timer_handle.bind(py).clone().into_any()
        } else {
            class.into_any()
        }
    }

    /// Cancel the callback. A callback that already runs, or ran, is not affected. Not thread-safe. Returns None.
    /// The standard counterpart is `asyncio.Handle.cancel`.
    pub fn cancel(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::cancel_once(slf).map(drop)
    }

    /// True once `cancel()` was called (`asyncio.Handle.cancelled`).
    fn cancelled(&self, py: Python<'_>) -> bool {
        self.is_cancelled(py)
    }

    /// The `contextvars.Context` in which the callback runs (`asyncio.Handle.get_context`).
    fn get_context(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.shown_context(py)
    }

    /// Run the callback now, reporting what it raises as the loop would (`asyncio.Handle._run`).
    fn _run(slf: &Bound<'_, Self>) -> PyResult<()> {
        let loop_ = slf.get().loop_.bind(slf.py()).clone();
        super::run::run_handle(&loop_, slf)
    }

    #[getter]
    fn _callback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.to_run(py).map(|call| call.callback(py))
    }

    #[getter]
    fn _args<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.to_run(py).map(|call| call.args(py)).transpose()
    }

    #[getter]
    fn _cancelled(&self, py: Python<'_>) -> bool {
        self.is_cancelled(py)
    }

    #[getter]
    fn _context(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.shown_context(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.loop_.clone_ref(py)
    }

    #[getter]
    fn _source_traceback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| {
            s.debug.as_ref().and_then(|d| d.source_traceback.as_ref().map(|tb| tb.clone_ref(py)))
        })
    }

    #[getter]
    fn _repr(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.debug.as_ref().and_then(|d| d.repr.as_ref().map(|repr| repr.clone_ref(py))))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&*self.loop_)?;
        visit.call(self.context.as_deref())?;
        let state = self.state.traverse();
        if let Some(call) = &state.call {
            call.traverse(&visit)?;
        }
        if let Some(debug) = &state.debug {
            visit.call(&debug.source_traceback)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.state.with(py, |s| s.call.take())));
    }
}

crate::freelist::recycled!(Handle);
crate::freelist::recycled!(TimerHandle);

/// Up to here a float holds every whole number.
const EXACT: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;

/// A handle with a time.
#[pyclass(module = "plait._native", frozen, subclass, extends = Handle)]
pub struct TimerHandle {
    when: f64,
    /// `when` was written as an int, and is shown as one.
    whole: bool,
    /// Where it stands in the loop's timers; None before it is put there and after it has left.
    key: Guarded<Option<TimerKey>>,
}

impl TimerHandle {
    pub fn build(handle: Handle, when: f64) -> PyClassInitializer<TimerHandle> {
        let timer = TimerHandle { when, whole: false, key: Guarded::new(None) };
        PyClassInitializer::from(handle).add_subclass(timer)
    }

    /// For `call_at`, whose caller may have written an int.
    pub fn build_at(
        handle: Handle,
        when: f64,
        written: &Bound<'_, PyAny>,
    ) -> PyClassInitializer<TimerHandle> {
        let whole = written.is_exact_instance_of::<PyInt>() && when.abs() <= EXACT;
        let timer = TimerHandle { when, whole, key: Guarded::new(None) };
        PyClassInitializer::from(handle).add_subclass(timer)
    }

    pub fn into_handle(timer: Py<TimerHandle>, py: Python<'_>) -> Py<Handle> {
        timer.into_bound(py).into_super().unbind()
    }

    pub fn set_key(&self, py: Python<'_>, key: Option<TimerKey>) {
        self.key.with(py, |k| *k = key);
    }
}

#[pymethods]
impl TimerHandle {
    /// Cancel the callback and take it out of the loop's timers (`asyncio.TimerHandle.cancel`).
    fn cancel(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        if !Handle::cancel_once(slf.as_super())? {
            return Ok(());
        }
        if let Some(key) = slf.get().key.with(py, Option::take) {
            let removed = slf.as_super().get().loop_.get().remove_timer(py, key);
            drop(removed);
        }
        Ok(())
    }

    /// The time at which the callback is due, in seconds on `loop.time()`'s clock (`asyncio.TimerHandle.when`).
    fn when<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.whole {
            true => Ok((self.when as i64).into_pyobject(py)?.into_any()),
            false => Ok(PyFloat::new(py, self.when).into_any()),
        }
    }

    #[getter]
    fn _when<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.when(py)
    }

    #[getter]
    fn _scheduled(&self, py: Python<'_>) -> bool {
        self.key.with(py, |key| key.is_some())
    }
}
