//! The event loop: the object and its Python methods. What they do is in the files beside this one:
//!
//! * `run` the iteration, `ready` what it executes, `schedule` how callbacks get there, `handle` what stands for them;
//! * `future`, `future_iter`, `callbacks`, `task`, `step`, `registry`, `current`: coroutines;
//! * `sleep`, `gather`, `gathering`, `waiting`, `timeout`, `shield`, `completions`, `task_group`: the functions of asyncio that have
//!   something native to wait for, over `watcher`, `any_task` and `answered`;
//! * `elsewhere` what other threads do for the loop;
//! * `descriptors` who watches what, `watching` the same for callers, `sock` the `sock_*` operations;
//! * `tcp`, `accept`: transports and servers; `streams` what most programs use of them; `tls` between the two.
//!
//! A leaf type with `__class__` = `asyncio.BaseEventLoop`: a Python class over both costs twice as much per call and
//! silently inherits what nobody overrode. What is cold and well kept in asyncio (connecting, resolving, executors,
//! signal bookkeeping, exception reports) is *lent* to this type, by name, in `plait._asyncio_glue`.

mod accept;
mod addresses;
pub mod answered;
mod any_task;
pub mod callbacks;
pub mod completions;
pub mod current;
pub mod datagram;
pub mod descriptors;
mod elsewhere;
pub mod future;
pub mod future_iter;
pub mod gather;
pub mod gathering;
pub mod handle;
mod methods;
pub mod pipes;
pub mod process;
pub mod ready;
pub mod registry;
pub mod run;
pub mod schedule;
mod sending_file;
pub mod shield;
pub mod sleep;
pub mod sock;
pub mod socket_transport;
pub mod step;
pub mod streams;
pub mod task;
pub mod task_group;
pub mod timeout;
pub mod tls;
pub mod transport;
pub mod waiting;
pub mod watcher;
pub mod watching;

use crate::errors::closed;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use descriptors::Descriptors;
use elsewhere::WorksElsewhere;
use plait_core::inbox::Inbox;
use plait_core::reactor::Reactor;
use plait_core::timers::{TimerKey, Timers};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi::destructor;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use ready::Ready;
use sleep::Timer;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

pub struct LoopState {
    ready: VecDeque<Ready>,
    timers: Timers<Timer>,
    descriptors: Descriptors,
    /// None once the loop is closed.
    reactor: Option<Arc<Reactor>>,
    stopping: bool,
    debug: bool,
    /// `threading.get_ident()` of the running thread; 0 while not running.
    thread_id: u64,
    /// Whether `asyncio.current_task` shows a task for this loop.
    current: bool,
    current_handle: Option<Py<PyAny>>,
    task_factory: Option<Py<PyAny>>,
    /// The factory is asyncio's own eager one, which is done natively.
    eager_tasks: bool,
}

#[pyclass(module = "plait", frozen, subclass, dict, weakref)]
pub struct EventLoop {
    pub state: Guarded<LoopState>,
    inbox: Inbox<Ready>,
    /// The running thread's token, else 0: `call_soon_threadsafe` on the loop's own thread needs no inbox.
    runner: AtomicUsize,
    pub works_elsewhere: WorksElsewhere,
    natively: Natively,
    asyncgens: Py<PyAny>,
    signal_handlers: Py<PyDict>,
    built: Built,
}

/// What may be done without asking the loop's methods, because no subclass overrides them.
#[derive(Clone, Copy)]
struct Natively {
    /// Tasks are stepped, and futures completed.
    steps: bool,
    /// Tasks are made.
    tasks: bool,
    /// Sleeps are timed.
    timers: bool,
}

impl Natively {
    fn of(class: &Bound<'_, PyType>) -> PyResult<Natively> {
        let own = class.py().get_type::<EventLoop>();
        let inherits = |names: &[&str]| -> PyResult<bool> {
            for name in names {
                if !class.is(&own) && !class.getattr(*name)?.is(&own.getattr(*name)?) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let steps = inherits(&["call_soon"])?;
        let timers = steps && inherits(&["call_later", "call_at", "create_future", "time"])?;
        Ok(Natively { steps, tasks: steps && inherits(&["create_task"])?, timers })
    }
}

impl EventLoop {
    #[inline]
    pub fn steps_natively(&self) -> bool {
        self.natively.steps
    }

    /// Whether `create_task` is the native one: in its class, and on the loop itself.
    pub fn makes_tasks_natively(slf: &Bound<'_, EventLoop>) -> PyResult<bool> {
        let name = intern!(slf.py(), "create_task");
        Ok(slf.get().natively.tasks && !crate::ffi::has_own_attribute(slf, name)?)
    }

    #[inline]
    pub fn debug(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.debug)
    }

    fn thread_id(&self, py: Python<'_>) -> u64 {
        self.state.with(py, |s| s.thread_id)
    }

    pub fn reactor(&self, py: Python<'_>) -> Option<Arc<Reactor>> {
        self.state.with(py, |s| s.reactor.clone())
    }

    #[inline]
    fn check_closed(&self, py: Python<'_>) -> PyResult<()> {
        match self.state.with(py, |s| s.reactor.is_some()) {
            true => Ok(()),
            false => Err(closed()),
        }
    }

    /// Appends to the ready queue. Like `call_soon` it is for the loop's own thread, and like `call_soon` it raises
    /// on a closed loop.
    #[inline(always)]
    pub fn push_ready(&self, py: Python<'_>, ready: Ready) -> PyResult<()> {
        let refused = self.state.with(py, |s| {
            if s.reactor.is_none() {
                return Some(ready);
            }
            // What was posted before comes first.
            self.inbox.drain_into(&mut s.ready);
            s.ready.push_back(ready);
            None
        });
        match refused {
            None => Ok(()),
            Some(refused) => {
                drop(refused);
                Err(closed())
            }
        }
    }

    /// The same for a task or a future, with the check that `call_soon` makes in debug mode.
    #[inline]
    pub fn push_step(&self, py: Python<'_>, ready: Ready) -> PyResult<()> {
        self.check_thread_in_debug_mode(py)?;
        self.push_ready(py, ready)
    }

    pub fn remove_timer(&self, py: Python<'_>, key: TimerKey) -> Option<Timer> {
        self.state.with(py, |s| s.timers.remove(key))
    }

    /// The check that asyncio makes in debug mode.
    pub fn check_thread_in_debug_mode(&self, py: Python<'_>) -> PyResult<()> {
        match self.debug(py) {
            true => self.check_thread(py),
            false => Ok(()),
        }
    }

    fn check_thread(&self, py: Python<'_>) -> PyResult<()> {
        let running = self.thread_id(py);
        if running == 0 {
            return Ok(());
        }
        let here = standard(py).glue.bind(py).call_method0(intern!(py, "get_ident"))?.extract::<u64>()?;
        if here != running {
            return Err(PyRuntimeError::new_err(
                "Non-thread-safe operation invoked on an event loop other than the current one",
            ));
        }
        Ok(())
    }
}

/// A number that tells the threads that are alive apart; never 0.
#[inline]
pub fn thread_token() -> usize {
    thread_local!(static TOKEN: u8 = const { 0 });
    TOKEN.with(|token| std::ptr::from_ref(token) as usize)
}

/// Where a loop runs, seen from the calling thread.
pub enum Runs {
    Here,
    Elsewhere,
    Nowhere,
}

impl EventLoop {
    #[inline]
    pub fn runs(&self) -> Runs {
        match self.runner.load(Ordering::Relaxed) {
            0 => Runs::Nowhere,
            runner if runner == thread_token() => Runs::Here,
            _ => Runs::Elsewhere,
        }
    }

    /// Hands something to the loop from any thread.
    pub fn post(&self, py: Python<'_>, ready: Ready) -> PyResult<()> {
        if self.runner.load(Ordering::Relaxed) == thread_token() {
            return self.push_ready(py, ready);
        }
        self.check_closed(py)?;
        if self.inbox.push(ready) {
            self.wake(py);
        }
        Ok(())
    }

    fn wake(&self, py: Python<'_>) {
        if let Some(reactor) = self.reactor(py) {
            // The eventfd's counter cannot overflow by ones, and the descriptor is open while the Arc is held.
            let _ = reactor.wake();
        }
    }
}

static LOOP_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl crate::ffi::Finalize for EventLoop {
    fn finalize(slf: &Bound<'_, Self>) {
        let py = slf.py();
        if slf.get().is_closed(py) {
            return;
        }
        let closed = standard(py).warn_unclosed_loop.bind(py).call1((slf,)).and_then(|_| {
            // At the very end the modules that closing needs are gone, and so will the process be.
            let exiting = standard(py).is_finalizing.bind(py).call0()?.is_truthy()?;
            match exiting || slf.get().is_running(py) {
                true => Ok(()),
                false => EventLoop::close(slf),
            }
        });
        if let Err(error) = closed {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &LOOP_DEALLOC
    }
}
