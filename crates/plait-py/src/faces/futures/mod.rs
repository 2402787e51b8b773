//! `concurrent.futures`: futures that threads wait for, and the queue and the workers of a pool of threads.
//!
//! * [`future`] is the state machine, [`methods`] what Python sees of it, [`follower`] how an asyncio future is told through its loop's inbox;
//! * [`watcher`] is what `wait` and `as_completed` wait with;
//! * [`work`] is a pool's queue, [`worker`] the body of its threads; [`give_way`] keeps both from being too busy for others.
//!
//! The executor itself is a Python class, a subclass of the standard one (`python/plait/_executors.py`): the standard one is Python too, nothing is
//! lost by that, and `issubclass`, its attributes, `shutdown` and what it does at the interpreter's exit are just the standard ones. What is done once per
//! call is here.

pub mod follower;
pub mod future;
mod give_way;
mod methods;
pub mod watcher;
pub mod work;
pub mod worker;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// What is used of the standard module.
pub struct Names {
    pub future: Py<PyType>,
    pub cancelled_error: Py<PyType>,
    pub invalid_state_error: Py<PyType>,
    /// `logging.getLogger("concurrent.futures")`
    pub logger: Py<PyAny>,
    /// `asyncio.futures._convert_future_exc`
    pub convert_error: Py<PyAny>,
    /// `plait._futures`
    pub glue: Py<PyModule>,
}

static NAMES: PyOnceLock<Names> = PyOnceLock::new();

pub fn names(py: Python<'_>) -> PyResult<&'static Names> {
    NAMES.get_or_try_init(py, || {
        let base = py.import("concurrent.futures._base")?;
        let class =
            |name: &str| -> PyResult<Py<PyType>> { Ok(base.getattr(name)?.cast_into::<PyType>()?.unbind()) };
        Ok(Names {
            future: class("Future")?,
            cancelled_error: class("CancelledError")?,
            invalid_state_error: class("InvalidStateError")?,
            logger: base.getattr("LOGGER")?.unbind(),
            convert_error: py.import("asyncio.futures")?.getattr("_convert_future_exc")?.unbind(),
            glue: py.import("plait._futures")?.unbind(),
        })
    })
}

/// Adds the types to the native module.
pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    // Now: later the names may lead to something else.
    names(py)?;
    module.add("ConcurrentFuture", py.get_type::<future::ConcurrentFuture>())?;
    module.add_class::<watcher::FutureWatcher>()?;
    module.add_class::<follower::SourceCanceller>()?;
    module.add_class::<work::WorkQueue>()?;
    module.add_class::<work::WorkItem>()?;
    module.add_function(wrap_pyfunction!(follower::follow, module)?)?;
    module.add_function(wrap_pyfunction!(watcher::watch_futures, module)?)?;
    module.add_function(wrap_pyfunction!(watcher::wait_for_futures, module)?)?;
    module.add_function(wrap_pyfunction!(methods::result_or_cancel, module)?)?;
    module.add_function(wrap_pyfunction!(methods::process_future, module)?)?;
    module.add_function(wrap_pyfunction!(worker::work, module)?)?;
    Ok(())
}
