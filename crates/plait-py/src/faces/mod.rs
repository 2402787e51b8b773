//! The primitives as Python sees them: thin faces over `plait_core::primitives`, which say how callers are served and what is raised.
//!
//! * [`asyncio`]: for the tasks of one loop, exactly as asyncio's own;
//! * [`threading`] and [`queue`]: for threads (and greenlets), as the standard library's;
//! * [`futures`]: those of `concurrent.futures`, and its pool of threads;
//! * [`processes`]: for the strands of several processes, below multiprocessing's;
//! * [`process_queue`]: queues between processes;
//! * [`universal`]: for all of them at once, `plait.Lock` and its relatives.
//!
//! What waits in a coroutine is an `async def` of `python/plait/_primitives.py`, lent to these types by name: it asks one native question, and yields the
//! future that it is given, if any.

pub mod asyncio;
pub mod futures;
pub mod process_queue;
pub mod processes;
pub mod queue;
pub mod threading;
pub mod timeouts;
pub mod universal;

use crate::event_loop::answered::Answered;
use crate::event_loop::future::Future;
use crate::waiters::task::{Step, WaitFuture};
use crate::waiters::Waker;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};
use pyo3::PyTypeInfo;

/// What `__class__` answers: the standard class for the exact native type, else the truth.
pub fn class_of<'py, T: PyTypeInfo>(slf: &Bound<'py, T>, standard: &Py<PyType>) -> Bound<'py, PyAny> {
    match slf.as_any().is_exact_instance_of::<T>() {
        true => standard.bind(slf.py()).clone().into_any(),
        false => slf.as_any().get_type().into_any(),
    }
}

/// Something to await that is there already: what `__aenter__` and `__aexit__` answer with when they have nothing to wait for.
pub fn answered(py: Python<'_>) -> PyResult<Py<PyAny>> {
    Ok(Answered::nothing(py)?.into_any().unbind())
}

/// What a coroutine's question is answered with: None, it may go on; or what it has to await.
pub type Answer = PyResult<Option<Py<WaitFuture>>>;

pub fn answer(step: PyResult<Step<()>>) -> Answer {
    match step? {
        Step::Ready(()) => Ok(None),
        Step::Wait(future) => Ok(Some(future)),
    }
}

/// The futures of those who wait, to show, as asyncio's lists of waiters have them: those that were woken and have not noticed
/// yet come first. What they waited for is not kept, so that other futures, done like theirs, stand for them.
pub fn futures<'py>(
    py: Python<'py>,
    one_loop: &asyncio::OneLoop,
    present: usize,
    visit: impl FnOnce(&mut dyn FnMut(&Waker) -> Result<(), ()>) -> Result<(), ()>,
) -> PyResult<Bound<'py, PyList>> {
    let mut found = Vec::new();
    let mut note = |waker: &Waker| {
        if let Waker::Future(future) = waker {
            found.push(future.clone_ref(py).into_any());
        }
        Ok(())
    };
    // It never fails: `note` does not.
    let _ = visit(&mut note);
    let mut shown = Vec::with_capacity(present);
    if let Some(loop_) = one_loop.get(py) {
        for _ in found.len()..present {
            let woken = Bound::new(py, Future::blank())?;
            woken.get().attach_to(py, loop_.bind(py))?;
            Future::set_result(&woken, true.into_pyobject(py)?.to_owned().into_any().unbind())?;
            shown.push(woken.into_any().unbind());
        }
    }
    shown.append(&mut found);
    PyList::new(py, shown)
}

/// A type's `__traverse__` over its waiters.
pub fn traverse(
    visit: &PyVisit<'_>,
    waiters: impl FnOnce(&mut dyn FnMut(&Waker) -> Result<(), PyTraverseError>) -> Result<(), PyTraverseError>,
) -> Result<(), PyTraverseError> {
    waiters(&mut |waker| waker.traverse(visit))
}

/// `object.__repr__` with the class that the object shows.
pub fn plain_repr(slf: &Bound<'_, PyAny>) -> PyResult<String> {
    let class = slf.getattr("__class__")?;
    let (module, name) = (class.getattr("__module__")?, class.getattr("__qualname__")?);
    Ok(format!("{module}.{name} object at {:#x}", slf.as_ptr() as usize))
}

/// How many wait, as asyncio's objects show it.
pub fn waiters_in_words(waiting: usize) -> String {
    match waiting {
        0 => String::new(),
        waiting => format!(", waiters:{waiting}"),
    }
}

/// `module.Class at 0x…`, as threading shows its objects.
pub fn located_repr(slf: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(plain_repr(slf)?.replacen(" object at ", " at ", 1))
}

/// Adds the faces to the native module: universal ones by their names, the others with that of the module that they stand in for.
pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    asyncio::lock::install_methods(py)?;
    asyncio::semaphore::install_methods(py)?;
    queue::asyncio::install_methods(py)?;
    module.add("AsyncioLock", py.get_type::<asyncio::lock::AsyncioLock>())?;
    module.add("AsyncioEvent", py.get_type::<asyncio::event::AsyncioEvent>())?;
    module.add("AsyncioCondition", py.get_type::<asyncio::condition::AsyncioCondition>())?;
    module.add("AsyncioSemaphore", py.get_type::<asyncio::semaphore::AsyncioSemaphore>())?;
    module.add("AsyncioBoundedSemaphore", py.get_type::<asyncio::semaphore::AsyncioBoundedSemaphore>())?;
    module.add("AsyncioBarrier", py.get_type::<asyncio::barrier::AsyncioBarrier>())?;
    module.add("ThreadingLock", py.get_type::<threading::lock::ThreadingLock>())?;
    module.add("ThreadingRLock", py.get_type::<threading::rlock::ThreadingRLock>())?;
    module.add_function(wrap_pyfunction!(threading::lock::allocate_lock, module)?)?;
    module.add("ThreadingEvent", py.get_type::<threading::event::ThreadingEvent>())?;
    module.add("ThreadingCondition", py.get_type::<threading::condition::ThreadingCondition>())?;
    module.add("ThreadingSemaphore", py.get_type::<threading::semaphore::ThreadingSemaphore>())?;
    module
        .add("ThreadingBoundedSemaphore", py.get_type::<threading::semaphore::ThreadingBoundedSemaphore>())?;
    module.add("ThreadingBarrier", py.get_type::<threading::barrier::ThreadingBarrier>())?;
    module.add("Lock", py.get_type::<universal::lock::UniversalLock>())?;
    module.add("RLock", py.get_type::<universal::rlock::UniversalRLock>())?;
    module.add("Event", py.get_type::<universal::event::UniversalEvent>())?;
    module.add("Condition", py.get_type::<universal::condition::UniversalCondition>())?;
    module.add("Semaphore", py.get_type::<universal::semaphore::UniversalSemaphore>())?;
    module.add("BoundedSemaphore", py.get_type::<universal::semaphore::UniversalBoundedSemaphore>())?;
    module.add("Barrier", py.get_type::<universal::barrier::UniversalBarrier>())?;
    module.add("AsyncioQueue", py.get_type::<queue::asyncio::AsyncioQueue>())?;
    module.add("AsyncioLifoQueue", py.get_type::<queue::asyncio::AsyncioLifoQueue>())?;
    module.add("AsyncioPriorityQueue", py.get_type::<queue::asyncio::AsyncioPriorityQueue>())?;
    module.add("ThreadingQueue", py.get_type::<queue::threading::ThreadingQueue>())?;
    module.add("ThreadingLifoQueue", py.get_type::<queue::threading::ThreadingLifoQueue>())?;
    module.add("ThreadingPriorityQueue", py.get_type::<queue::threading::ThreadingPriorityQueue>())?;
    module.add("Queue", py.get_type::<queue::universal::UniversalQueue>())?;
    module.add("LifoQueue", py.get_type::<queue::universal::UniversalLifoQueue>())?;
    module.add("PriorityQueue", py.get_type::<queue::universal::UniversalPriorityQueue>())?;
    processes::add_to(module)?;
    module.add_class::<process_queue::base::ProcessQueueBase>()?;
    module.add_class::<process_queue::queue::ProcessQueue>()?;
    module.add_class::<process_queue::simple::ProcessSimpleQueue>()?;
    module.add_class::<process_queue::queue::Unsent>()?;
    futures::add_to(module)
}

/// See `instance_dict`: bases first.
#[cfg(all(Py_GIL_DISABLED, not(Py_3_14)))]
pub fn show_instance_dicts(py: Python<'_>) {
    use crate::instance_dict::install;
    install::<futures::future::ConcurrentFuture>(py);
    install::<asyncio::barrier::AsyncioBarrier>(py);
    install::<asyncio::condition::AsyncioCondition>(py);
    install::<asyncio::event::AsyncioEvent>(py);
    install::<asyncio::lock::AsyncioLock>(py);
    install::<asyncio::semaphore::AsyncioSemaphore>(py);
    install::<queue::asyncio::AsyncioQueue>(py);
    install::<queue::threading::ThreadingQueue>(py);
    install::<threading::barrier::ThreadingBarrier>(py);
    install::<threading::condition::ThreadingCondition>(py);
    install::<threading::event::ThreadingEvent>(py);
    install::<threading::semaphore::ThreadingSemaphore>(py);
    install::<processes::lock::ProcessLock>(py);
    install::<processes::event::ProcessEvent>(py);
    install::<processes::condition::ProcessCondition>(py);
    install::<processes::barrier::ProcessBarrier>(py);
    install::<universal::lock::UniversalLock>(py);
    install::<universal::rlock::UniversalRLock>(py);
    install::<asyncio::semaphore::AsyncioBoundedSemaphore>(py);
    install::<queue::asyncio::AsyncioLifoQueue>(py);
    install::<queue::asyncio::AsyncioPriorityQueue>(py);
    install::<queue::threading::ThreadingLifoQueue>(py);
    install::<queue::threading::ThreadingPriorityQueue>(py);
    install::<queue::universal::UniversalQueue>(py);
    install::<queue::universal::UniversalLifoQueue>(py);
    install::<queue::universal::UniversalPriorityQueue>(py);
    install::<threading::semaphore::ThreadingBoundedSemaphore>(py);
    install::<universal::barrier::UniversalBarrier>(py);
    install::<universal::condition::UniversalCondition>(py);
    install::<universal::event::UniversalEvent>(py);
    install::<universal::semaphore::UniversalSemaphore>(py);
    install::<universal::semaphore::UniversalBoundedSemaphore>(py);
}
