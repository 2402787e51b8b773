//! The body of a pool's thread: take a call, make it, tell who waits; for as long as the queue is open, or has something in it.
//!
//! The thread is an ordinary `threading.Thread`. Between two calls it neither looks anything up nor lets the GIL go (but see
//! [`super::give_way`]); when there is nothing to do it
//! waits as every thread does here (`waiters::thread`): it watches for a moment, and sleeps then.

use super::give_way::GiveWay;
use super::names;
use super::work::WorkQueue;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// What the threads of an executor run. `executor` is a weak reference.
#[pyfunction]
#[pyo3(signature = (executor, queue, initializer, initargs, /))]
pub fn work(
    executor: &Bound<'_, PyAny>,
    queue: &Bound<'_, WorkQueue>,
    initializer: Option<Bound<'_, PyAny>>,
    initargs: Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = queue.py();
    if let Some(initializer) = initializer {
        if let Err(error) = initialise(&initializer, &initargs) {
            let glue = names(py)?.glue.bind(py);
            glue.call_method1("initializer_failed", (executor, error.into_value(py)))?;
            return Ok(());
        }
    }
    if let Err(error) = run_all(queue) {
        let keywords = PyDict::new(py);
        keywords.set_item("exc_info", error.into_value(py))?;
        names(py)?.logger.bind(py).call_method("critical", ("Exception in worker",), Some(&keywords))?;
        return Ok(());
    }
    names(py)?.glue.bind(py).call_method1(intern!(py, "worker_ends"), (executor,))?;
    Ok(())
}

fn initialise(initializer: &Bound<'_, PyAny>, initargs: &Bound<'_, PyAny>) -> PyResult<()> {
    let args = PyTuple::new(initargs.py(), initargs.try_iter()?.collect::<PyResult<Vec<_>>>()?)?;
    initializer.call1(args).map(drop)
}

fn run_all(queue: &Bound<'_, WorkQueue>) -> PyResult<()> {
    let py = queue.py();
    let mut others = GiveWay::from_now();
    while let Some(job) = queue.get().take(py)? {
        job.run(py)?;
        others.now_and_then(py)?;
    }
    Ok(())
}
