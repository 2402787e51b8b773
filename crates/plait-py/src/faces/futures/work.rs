//! The queue of a pool: calls that are to be made, and the workers that wait for them.
//!
//! It is a core channel of [`Job`]s. When it is closed nothing more comes in, and the workers go when they have done what is in it: that is all there
//! is to `shutdown`, to an executor that nobody refers to any more, and to the interpreter's exit. The standard library puts a None
//! into the queue for that, which each worker takes out and puts back; here a None that comes makes the queue look whether it is to be closed.
//!
//! It looks like the queue that the standard executor has (`_work_queue`), for programs that look into it, or drain it.

use super::follower::Follower;
use super::future::{Callback, ConcurrentFuture, Outcome, Phase, Seen};
use super::give_way::GiveWay;
use crate::deadlock;
use crate::event_loop::future::Future;
use crate::event_loop::EventLoop;
use crate::faces::timeouts::patience;
use crate::ffi;
use crate::guarded::Built;
use crate::standard::standard;
use crate::trashcan;
use crate::waiters::{attempt, block, fire, Patience, Waker};
use plait_core::primitives::channel::{Channel, Order, Refusal};
use plait_core::primitives::event::Event;
use plait_core::waiter::{Manner, Wakes};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::sync::atomic::{AtomicBool, Ordering};

/// Who wants to know what a call comes to.
pub enum Target {
    Future(Py<ConcurrentFuture>),
    /// A future of a loop: see [`super::follower`].
    Loop(Follower),
    /// A work item of the program's own, which has a method `run`: it is the function.
    Itself,
}

/// A call that is to be made.
pub struct Job {
    pub target: Target,
    pub function: Py<PyAny>,
    pub args: Py<PyTuple>,
    pub kwargs: Option<Py<PyDict>>,
    pub context: Option<Py<PyAny>>,
}

impl Job {
    /// Makes the call. An error is what a callback of the future raised that is no Exception.
    pub fn run(self, py: Python<'_>) -> PyResult<()> {
        match self.target {
            Target::Future(ref future) => {
                if !ConcurrentFuture::begin(future.bind(py))? {
                    return Ok(());
                }
            }
            Target::Loop(ref follower) => {
                if follower.is_cancelled(py) {
                    return Ok(());
                }
            }
            Target::Itself => return self.function.call_method0(py, intern!(py, "run")).map(drop),
        }
        let outcome = Outcome::of(py, self.call(py));
        let Job { target, function, args, kwargs, context } = self;
        // Before anybody is told: who is may count references.
        drop((function, args, kwargs, context));
        match target {
            Target::Future(future) => ConcurrentFuture::finish(future.bind(py), outcome),
            Target::Loop(follower) => {
                follower.resume(py, Seen::from(outcome));
                Ok(())
            }
            Target::Itself => Ok(()),
        }
    }

    #[inline]
    fn call<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (function, args) = (self.function.bind(py), self.args.bind(py));
        let kwargs = self.kwargs.as_ref().map(|kwargs| kwargs.bind(py));
        match &self.context {
            None => function.call(args, kwargs),
            Some(context) => ffi::in_context(context.bind(py), || function.call(args, kwargs)),
        }
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.target {
            Target::Future(future) => visit.call(future)?,
            Target::Loop(follower) => follower.traverse(visit)?,
            Target::Itself => {}
        }
        visit.call(&self.function)?;
        visit.call(&self.args)?;
        visit.call(&self.kwargs)?;
        visit.call(&self.context)
    }

    /// As the standard executor's work item.
    fn shown<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let future = match self.target {
            Target::Itself => return Ok(self.function.into_bound(py)),
            Target::Future(future) => future,
            Target::Loop(follower) => {
                let future = Bound::new(py, ConcurrentFuture::blank())?;
                match follower.is_cancelled(py) {
                    true => drop(ConcurrentFuture::cancel(&future)?),
                    false => drop(future.get().add(py, Callback::Follow(follower), Phase::is_done)),
                }
                future.unbind()
            }
        };
        let kwargs = self.kwargs.unwrap_or_else(|| PyDict::new(py).unbind());
        let (function, args, context) = (self.function, self.args, self.context);
        let item = WorkItem { future, function, args, kwargs, context };
        Ok(Bound::new(py, item)?.into_any())
    }
}

/// A call that was taken out of a pool's queue by hand.
#[pyclass(module = "plait._native", frozen)]
pub struct WorkItem {
    #[pyo3(get)]
    future: Py<ConcurrentFuture>,
    #[pyo3(get, name = "fn")]
    function: Py<PyAny>,
    #[pyo3(get)]
    args: Py<PyTuple>,
    #[pyo3(get)]
    kwargs: Py<PyDict>,
    context: Option<Py<PyAny>>,
}

impl WorkItem {
    fn job(&self, py: Python<'_>) -> Job {
        Job {
            target: Target::Future(self.future.clone_ref(py)),
            function: self.function.clone_ref(py),
            args: self.args.clone_ref(py),
            kwargs: Some(self.kwargs.clone_ref(py)),
            context: self.context.as_ref().map(|context| context.clone_ref(py)),
        }
    }
}

#[pymethods]
impl WorkItem {
    /// Makes the call.
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        self.job(py).run(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.future)?;
        visit.call(&self.function)?;
        visit.call(&self.args)?;
        visit.call(&self.kwargs)?;
        visit.call(&self.context)
    }
}

/// The queue of a pool of threads.
#[pyclass(module = "plait._native", frozen, weakref)]
pub struct WorkQueue {
    channel: Channel<Job, Waker>,
    /// Whether the pool may have more threads than it has.
    may_grow: AtomicBool,
    /// A subclass has its own idea of when there are to be more, and is asked after each call that is submitted.
    asks_always: AtomicBool,
    carries_context: AtomicBool,
    /// A weak reference to the executor.
    executor: Option<Py<PyAny>>,
    /// The executor has come to its end: not only does it take no more calls, its workers are to go.
    ended: Event<Waker>,
    built: Built,
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        if !self.channel.is_empty() {
            let [mut getters, mut putters, mut joiners] = [const { Wakes::<Waker>::None }; 3];
            let jobs = self.channel.close_down(&mut getters, &mut putters, Some(&mut joiners));
            trashcan::let_go(move || drop((jobs, getters, putters, joiners)));
        }
    }
}

impl WorkQueue {
    /// False: it is closed.
    #[inline]
    fn push(&self, py: Python<'_>, job: Job) -> bool {
        let mut job = Some(job);
        let put = attempt(py, &self.channel, Manner::Barging, |wait, waker, wakes| {
            self.channel.poll_put(&mut job, wait, waker, wakes)
        });
        matches!(put, Some(Ok(())))
    }

    /// Takes the next job, and blocks for it. None: it is closed, and empty.
    #[inline]
    pub fn take(&self, py: Python<'_>) -> PyResult<Option<Job>> {
        match self.take_within(py, Patience::Forever)? {
            Some(Ok(job)) => Ok(Some(job)),
            _ => Ok(None),
        }
    }

    fn take_now(&self, py: Python<'_>) -> Option<Result<Job, Refusal>> {
        attempt(py, &self.channel, Manner::NewestFirst, |wait, waker, wakes| {
            self.channel.poll_get(wait, waker, wakes)
        })
    }

    fn take_within(&self, py: Python<'_>, patience: Patience<'_>) -> PyResult<Option<Result<Job, Refusal>>> {
        if let Some(taken) = self.take_now(py) {
            return Ok(Some(taken));
        }
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| self.channel.poll_get(wait, waker, wakes);
        block(py, &self.channel, Manner::NewestFirst, patience, poll)
    }

    /// Lets nothing more in. Who waits for a job finds that out.
    fn shut(&self, py: Python<'_>) {
        let mut wakes = Wakes::None;
        drop(self.channel.shut_down(false, &mut wakes));
        fire(py, &self.channel, wakes);
    }

    /// What the standard worker asks when it has taken out a None: whether the interpreter exits, or the executor is gone or was shut down.
    fn is_to_end(&self, py: Python<'_>) -> PyResult<bool> {
        let flag = intern!(py, "_shutdown");
        if py.import("concurrent.futures.thread")?.getattr(flag)?.is_truthy()? {
            return Ok(true);
        }
        let Some(reference) = &self.executor else { return Ok(false) };
        let executor = reference.bind(py).call0()?;
        Ok(executor.is_none() || executor.getattr(flag)?.is_truthy()?)
    }

    /// Whether it has ended, or does so in time. A worker of the standard kind that was told of an end would look for the reason, find none in a pool that is
    /// only broken, and come back at once.
    fn await_end(&self, py: Python<'_>, patience: Patience<'_>) -> PyResult<bool> {
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.ended.poll(wait, waker);
        Ok(block(py, &self.ended, Manner::Barging, patience, poll)?.is_some())
    }

    /// Sees to it that somebody makes the call that has just been put.
    #[inline]
    fn attend(&self, executor: &Bound<'_, PyAny>) -> PyResult<()> {
        let grows = self.may_grow.load(Ordering::Relaxed) && self.channel.unattended() > 0;
        if grows || self.asks_always.load(Ordering::Relaxed) {
            executor.call_method0(intern!(executor.py(), "_plait_grow"))?;
        }
        Ok(())
    }

    fn context(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.carries_context.load(Ordering::Relaxed) {
            true => ffi::copy_context(py).map(Some),
            false => Ok(None),
        }
    }

    fn submit_one(
        slf: &Bound<'_, Self>,
        executor: &Bound<'_, PyAny>,
        function: Py<PyAny>,
        args: Py<PyTuple>,
        kwargs: Option<Py<PyDict>>,
    ) -> PyResult<Option<Py<ConcurrentFuture>>> {
        let py = slf.py();
        let this = slf.get();
        let future = Bound::new(py, ConcurrentFuture::blank())?;
        if deadlock::explaining() {
            future.setattr(intern!(py, "_plait_pool"), slf)?;
        }
        let target = Target::Future(future.clone().unbind());
        let context = this.context(py)?;
        if !this.push(py, Job { target, function, args, kwargs, context }) {
            return Ok(None);
        }
        this.attend(executor)?;
        Ok(Some(future.unbind()))
    }
}

#[pymethods]
impl WorkQueue {
    #[new]
    #[pyo3(signature = (asks_always = false, carries_context = false, executor = None))]
    fn new(asks_always: bool, carries_context: bool, executor: Option<Py<PyAny>>) -> WorkQueue {
        WorkQueue {
            channel: Channel::new(Order::Fifo, 0),
            may_grow: AtomicBool::new(true),
            asks_always: AtomicBool::new(asks_always),
            carries_context: AtomicBool::new(carries_context),
            executor,
            ended: Event::default(),
            built: Built::new(),
        }
    }

    /// Has the executor's workers call `function(*args, **kwargs)`. None: it is closed.
    #[pyo3(signature = (executor, function, args, kwargs, /))]
    fn submit(
        slf: &Bound<'_, Self>,
        executor: &Bound<'_, PyAny>,
        function: Py<PyAny>,
        args: Py<PyTuple>,
        kwargs: Bound<'_, PyDict>,
    ) -> PyResult<Option<Py<ConcurrentFuture>>> {
        let kwargs = Some(kwargs).filter(|kwargs| !kwargs.is_empty()).map(Bound::unbind);
        WorkQueue::submit_one(slf, executor, function, args, kwargs)
    }

    /// The same for each tuple of arguments: the futures, the last first. None: it is closed.
    #[pyo3(signature = (executor, function, arguments, /))]
    fn submit_each<'py>(
        slf: &Bound<'py, Self>,
        executor: &Bound<'py, PyAny>,
        function: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let mut futures = Vec::new();
        let mut others = GiveWay::from_now();
        for args in arguments.try_iter()? {
            others.now_and_then(slf.py())?;
            let args = args?.cast_into::<PyTuple>()?.unbind();
            match WorkQueue::submit_one(slf, executor, function.clone().unbind(), args, None)? {
                Some(future) => futures.push(future),
                None => return Ok(None),
            }
        }
        futures.reverse();
        PyList::new(slf.py(), futures).map(Some)
    }

    /// The same for a plait loop: a future of that loop. None: it is closed.
    #[pyo3(signature = (loop_, executor, function, args, /))]
    fn offload<'py>(
        slf: &Bound<'py, Self>,
        loop_: &Bound<'py, EventLoop>,
        executor: &Bound<'py, PyAny>,
        function: Py<PyAny>,
        args: Py<PyTuple>,
    ) -> PyResult<Option<Bound<'py, Future>>> {
        let py = slf.py();
        let this = slf.get();
        let future = Bound::new(py, Future::on_loop(py, loop_)?)?;
        let target = Target::Loop(Follower::new(&future, loop_));
        let context = this.context(py)?;
        if !this.push(py, Job { target, function, args, kwargs: None, context }) {
            return Ok(None);
        }
        this.attend(executor)?;
        Ok(Some(future))
    }

    /// From now on nothing comes in; workers go when it is empty. (As a weak reference's callback it is given that.)
    #[pyo3(signature = (_reference = None, /))]
    fn close(&self, py: Python<'_>, _reference: Option<Bound<'_, PyAny>>) {
        self.shut(py);
        fire(py, &self.ended, self.ended.set());
    }

    /// From now on nothing comes in, for the pool is broken: plait's workers go, those of a program's own wait for its end.
    fn refuse(&self, py: Python<'_>) {
        self.shut(py);
    }

    /// Whether it is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.channel.is_shut_down()
    }

    /// Whether the executor is asked for another thread when all are busy.
    #[getter]
    fn may_grow(&self) -> bool {
        self.may_grow.load(Ordering::Relaxed)
    }

    /// Whether more is to be done than there are idle workers; or nothing, and there is no idle one either (a program that wants threads beforehand asks for them).
    #[getter]
    fn needs_worker(&self) -> bool {
        let [getters, ..] = self.channel.waiting();
        self.channel.unattended() > 0 || (getters == 0 && self.channel.is_empty())
    }

    #[setter(may_grow)]
    fn set_may_grow(&self, may: bool) {
        self.may_grow.store(may, Ordering::Relaxed);
    }

    // ---- as the standard executor's queue

    /// How many calls are to be made.
    fn qsize(&self) -> usize {
        self.channel.len()
    }

    /// Whether there is none.
    fn empty(&self) -> bool {
        self.channel.is_empty()
    }

    /// Puts a work item; None: look whether this is the end, and close then.
    #[pyo3(signature = (item, block = true, timeout = None))]
    fn put(
        slf: &Bound<'_, Self>,
        item: Bound<'_, PyAny>,
        block: bool,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (block, timeout);
        let py = slf.py();
        if item.is_none() {
            if slf.get().is_to_end(py)? {
                slf.get().close(py, None);
            }
            return Ok(());
        }
        let job = match item.cast_exact::<WorkItem>() {
            Ok(item) => item.get().job(py),
            Err(_) => Job {
                target: Target::Itself,
                function: item.unbind(),
                args: PyTuple::empty(py).unbind(),
                kwargs: None,
                context: None,
            },
        };
        match slf.get().push(py, job) {
            true => Ok(()),
            false => {
                Err(PyRuntimeError::new_err("cannot put into the queue of a pool that takes no more calls"))
            }
        }
    }

    fn put_nowait(slf: &Bound<'_, Self>, item: Bound<'_, PyAny>) -> PyResult<()> {
        WorkQueue::put(slf, item, false, None)
    }

    /// Takes a work item out; None when it is closed and empty, where the standard executor has put one.
    #[pyo3(signature = (block = true, timeout = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        block: bool,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let patience = match block {
            true => patience(timeout.as_ref())?,
            false => Patience::seconds(0.0),
        };
        let taken = match block {
            true => self.take_within(py, patience)?,
            false => self.take_now(py),
        };
        match taken {
            Some(Ok(job)) => job.shown(py),
            Some(Err(_)) if block && self.await_end(py, patience)? => Ok(py.None().into_bound(py)),
            _ => Err(PyErr::from_type(standard(py).queue_empty.bind(py).clone(), ())),
        }
    }

    fn get_nowait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.get(py, false, None)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.built.is_complete() {
            true => {
                visit.call(&self.executor)?;
                self.ended.visit(|waker| waker.traverse(&visit))?;
                self.channel.visit(|job| job.traverse(&visit), |waker| waker.traverse(&visit))
            }
            false => Ok(()),
        }
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let mut wakes = Wakes::None;
            drop(self.channel.shut_down(true, &mut wakes));
            fire(py, &self.channel, wakes);
        });
    }
}
