//! `asyncio.timeout`, `timeout_at`, and what `wait_for` waits with.
//!
//! On a plait loop the time-out itself lies among the loop's timers: no TimerHandle, no bound method, no context. When it is
//! due it goes through the ready queue, as asyncio's callback does. On any other loop it goes through `call_at`.
//!
//! Whoever takes the timer back, or sets another, counts `turn` on, and an entry of the ready queue that carries an older
//! number is void: that is what a cancelled handle is in asyncio.

mod methods;

pub use methods::*;

use crate::event_loop::any_task;
use crate::event_loop::handle::{Call, Handle, TimerHandle};
use crate::event_loop::ready::Ready;
use crate::event_loop::run::now;
use crate::event_loop::sleep::Timer;
use crate::event_loop::EventLoop;
use crate::guarded::Guarded;
use crate::standard::standard;
use plait_core::timers::TimerKey;
use pyo3::exceptions::{PyAssertionError, PyBaseExceptionGroup, PyException, PyRuntimeError, PyTimeoutError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyType};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Created,
    Entered,
    Expiring,
    Expired,
    Exited,
}

impl Phase {
    /// The name and the value of asyncio's state.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Phase::Created => ("CREATED", "created"),
            Phase::Entered => ("ENTERED", "active"),
            Phase::Expiring => ("EXPIRING", "expiring"),
            Phase::Expired => ("EXPIRED", "expired"),
            Phase::Exited => ("EXITED", "finished"),
        }
    }
}

/// The deadline, in the loop's time.
enum When {
    Never,
    At(f64),
    /// As the caller gave it.
    Given(Py<PyAny>),
}

impl When {
    fn given(when: Option<Bound<'_, PyAny>>) -> When {
        match when {
            None => When::Never,
            Some(when) => match when.cast_exact::<PyFloat>() {
                Ok(float) => When::At(float.value()),
                Err(_) => When::Given(when.unbind()),
            },
        }
    }

    fn clone_ref(&self, py: Python<'_>) -> When {
        match self {
            When::Never => When::Never,
            When::At(when) => When::At(*when),
            When::Given(when) => When::Given(when.clone_ref(py)),
        }
    }

    fn to_object<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        match self {
            When::Never => None,
            When::At(when) => Some(PyFloat::new(py, *when).into_any()),
            When::Given(when) => Some(when.bind(py).clone()),
        }
    }
}

/// What is going to fire.
enum Armed {
    Nothing,
    /// Among the timers, or in the ready queue since it was due.
    Timer(Py<EventLoop>, TimerKey),
    /// In the ready queue from the start.
    Queued,
    /// On a loop of another make, the handle that it gave.
    Handle(Py<PyAny>),
}

struct Deadline {
    when: When,
    task: Option<Py<PyAny>>,
    armed: Armed,
    /// `task.cancelling()` when it was entered.
    cancelling: i64,
    turn: u32,
    phase: Phase,
}

/// Cancels the task that has entered it when its time has come, and makes a TimeoutError of that. Counterpart: asyncio.Timeout.
#[pyclass(module = "plait._native", frozen, subclass, weakref)]
pub struct Timeout {
    deadline: Guarded<Deadline>,
}

crate::freelist::recycled!(Timeout);

/// The time-out of a `wait_for`: a type of its own, which no result of a future is.
#[pyclass(module = "plait._native", frozen, extends = Timeout)]
pub struct WaitForTimeout {}

crate::freelist::recycled!(WaitForTimeout);

impl Timeout {
    fn until(when: When) -> Timeout {
        Timeout {
            deadline: Guarded::new(Deadline {
                when,
                task: None,
                armed: Armed::Nothing,
                cancelling: 0,
                turn: 0,
                phase: Phase::Created,
            }),
        }
    }

    fn phase(&self, py: Python<'_>) -> Phase {
        self.deadline.with(py, |d| d.phase)
    }

    /// `__aenter__`, but for its answer.
    fn enter(slf: &Bound<'_, Timeout>, loop_: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let Some(task) = any_task::current_task(loop_)? else {
            return Err(PyRuntimeError::new_err("Timeout should be used inside a task"));
        };
        let cancelling = any_task::cancelling(&task)?;
        let task = task.unbind();
        let (when, replaced) = slf.get().deadline.with(py, |d| {
            d.phase = Phase::Entered;
            d.cancelling = cancelling;
            (d.when.clone_ref(py), d.task.replace(task))
        });
        drop(replaced);
        Timeout::arm(slf, loop_, when)
    }

    /// Nothing is armed: sets what is to fire at `when`.
    fn arm(slf: &Bound<'_, Timeout>, loop_: &Bound<'_, PyAny>, when: When) -> PyResult<()> {
        let py = slf.py();
        if let When::Never = when {
            return Ok(());
        }
        match EventLoop::timing_natively(loop_)? {
            Some(native) => {
                let when = match when {
                    When::At(when) => when,
                    other => match other.to_object(py) {
                        Some(when) => overdue_or_number(&when)?,
                        None => return Ok(()),
                    },
                };
                Timeout::arm_natively(slf, native, when)
            }
            None => Timeout::arm_by_protocol(slf, loop_, when),
        }
    }

    fn arm_natively(slf: &Bound<'_, Timeout>, loop_: &Bound<'_, EventLoop>, when: f64) -> PyResult<()> {
        let py = slf.py();
        let armed = if when <= now() {
            let turn = slf.get().deadline.with(py, |d| d.turn);
            loop_.get().push_step(py, Ready::Overdue(slf.clone().unbind(), turn))?;
            Armed::Queued
        } else {
            loop_.get().check_thread_in_debug_mode(py)?;
            let entry = Timer::Timeout(slf.clone().unbind());
            let key = loop_.get().state.with(py, |s| s.timers.insert(when, entry));
            Armed::Timer(loop_.clone().unbind(), key)
        };
        drop(slf.get().deadline.with(py, |d| std::mem::replace(&mut d.armed, armed)));
        Ok(())
    }

    fn arm_by_protocol(slf: &Bound<'_, Timeout>, loop_: &Bound<'_, PyAny>, when: When) -> PyResult<()> {
        let py = slf.py();
        let callback = slf.getattr(intern!(py, "_on_timeout"))?;
        let when = when.to_object(py);
        let is_due = match &when {
            Some(when) => when.le(loop_.call_method0(intern!(py, "time"))?)?,
            None => return Ok(()),
        };
        let handle = match is_due {
            true => loop_.call_method1(intern!(py, "call_soon"), (callback,))?,
            false => loop_.call_method1(intern!(py, "call_at"), (when, callback))?,
        };
        let armed = Armed::Handle(handle.unbind());
        drop(slf.get().deadline.with(py, |d| std::mem::replace(&mut d.armed, armed)));
        Ok(())
    }

    /// Takes back what is armed.
    fn disarm(&self, py: Python<'_>) -> PyResult<()> {
        let armed = self.deadline.with(py, |d| {
            d.turn = d.turn.wrapping_add(1);
            std::mem::replace(&mut d.armed, Armed::Nothing)
        });
        match armed {
            Armed::Nothing | Armed::Queued => {}
            Armed::Timer(loop_, key) => drop(loop_.get().remove_timer(py, key)),
            Armed::Handle(handle) => drop(handle.bind(py).call_method0(intern!(py, "cancel"))?),
        }
        Ok(())
    }

    /// The handle that asyncio would have made; to show, and to cancel.
    pub fn shown<'py>(
        slf: &Bound<'py, Timeout>,
        loop_: &Bound<'py, EventLoop>,
        when: f64,
    ) -> PyResult<Bound<'py, TimerHandle>> {
        let py = slf.py();
        let call = Call::new(slf.getattr(intern!(py, "_on_timeout"))?, &[], false)?;
        let handle = Bound::new(py, TimerHandle::build(Handle::build(loop_, call, None, false)?, when))?;
        let key = slf.get().deadline.with(py, |d| match d.armed {
            Armed::Timer(_, key) => Some(key),
            _ => None,
        });
        handle.get().set_key(py, key);
        Ok(handle)
    }

    /// What its entry in the ready queue has to carry to be good.
    pub fn turn(&self, py: Python<'_>) -> u32 {
        self.deadline.with(py, |d| d.turn)
    }

    /// The turn of its entry in the ready queue has come.
    pub fn fire(slf: &Bound<'_, Timeout>, turn: u32) -> PyResult<()> {
        match slf.get().turn(slf.py()) == turn {
            true => Timeout::on_timeout(slf),
            false => Ok(()),
        }
    }

    fn on_timeout(slf: &Bound<'_, Timeout>) -> PyResult<()> {
        let py = slf.py();
        let (phase, task) =
            slf.get().deadline.with(py, |d| (d.phase, d.task.as_ref().map(|task| task.clone_ref(py))));
        let (Phase::Entered, Some(task)) = (phase, task) else {
            return Err(PyAssertionError::new_err(()));
        };
        any_task::cancel(task.bind(py))?;
        let dropped = slf.get().deadline.with(py, |d| {
            d.phase = Phase::Expiring;
            std::mem::replace(&mut d.armed, Armed::Nothing)
        });
        drop(dropped);
        Ok(())
    }

    /// `__aexit__`, but for its answer. `error` is what ended the block, if its class is known.
    #[inline]
    fn leave(&self, py: Python<'_>, error: Option<Raised<'_, '_>>) -> PyResult<()> {
        let phase = self.phase(py);
        if phase != Phase::Entered && phase != Phase::Expiring {
            return Err(PyAssertionError::new_err(()));
        }
        self.disarm(py)?;
        if phase == Phase::Entered {
            self.deadline.with(py, |d| d.phase = Phase::Exited);
            return Ok(());
        }
        self.leave_expired(py, error)
    }

    #[cold]
    fn leave_expired(&self, py: Python<'_>, error: Option<Raised<'_, '_>>) -> PyResult<()> {
        let (task, cancelling) = self.deadline.with(py, |d| {
            d.phase = Phase::Expired;
            (d.task.as_ref().map(|task| task.clone_ref(py)), d.cancelling)
        });
        let task = task.ok_or_else(|| PyAssertionError::new_err(()))?;
        if any_task::uncancel(task.bind(py))? > cancelling {
            return Ok(()); // somebody else wants the task cancelled, too
        }
        let Some(error) = error else { return Ok(()) };
        let cancelled = standard(py).cancelled_error.bind(py);
        let ours = match standard(py).waiting.subclasses_expire {
            true => error.class.is_subclass(cancelled)?,
            false => error.class.is(cancelled),
        };
        match (ours, error.value) {
            (true, value) => Err(timed_out(py, value)?),
            (false, Some(value)) if standard(py).waiting.contexts_tell => tell_in_contexts(value),
            (false, _) => Ok(()),
        }
    }
}

/// What ended the block, as `__aexit__` is told.
#[derive(Clone, Copy)]
struct Raised<'a, 'py> {
    class: &'a Bound<'py, PyType>,
    value: Option<&'a Bound<'py, PyAny>>,
}

/// A number for the timers. What is compared is the object itself, as asyncio does it.
fn overdue_or_number(when: &Bound<'_, PyAny>) -> PyResult<f64> {
    match when.le(now())? {
        true => Ok(f64::NEG_INFINITY),
        false => when.extract(),
    }
}

/// `raise TimeoutError from error`, while `error` is being handled.
pub fn timed_out(py: Python<'_>, error: Option<&Bound<'_, PyAny>>) -> PyResult<PyErr> {
    let timed_out = PyTimeoutError::new_err(()).into_value(py).into_bound(py).into_any();
    if let Some(error) = error {
        timed_out.setattr(intern!(py, "__cause__"), error)?;
        timed_out.setattr(intern!(py, "__context__"), error)?;
    }
    Ok(PyErr::from_value(timed_out))
}

/// The exception that leaves the block hides the cancellation that the time-out was: a TimeoutError is put before that.
fn tell_in_contexts(error: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = error.py();
    insert_timeout_error(error)?;
    if error.is_instance_of::<PyBaseExceptionGroup>() && error.is_instance_of::<PyException>() {
        for inner in error.getattr(intern!(py, "exceptions"))?.try_iter()? {
            insert_timeout_error(&inner?)?;
        }
    }
    Ok(())
}

fn insert_timeout_error(error: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = error.py();
    let name = intern!(py, "__context__");
    let mut error = error.clone();
    loop {
        let context = error.getattr(name)?;
        if context.is_none() {
            return Ok(());
        }
        if context.is_instance(standard(py).cancelled_error.bind(py))? {
            return error.setattr(name, timed_out(py, Some(&context))?.into_value(py));
        }
        error = context;
    }
}
