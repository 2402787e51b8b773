//! What the coroutines of a queue are answered with: see `python/plait/_primitives.py`.

use super::store::Done;
use crate::standard::standard;
use crate::waiters::task::Step;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// To "may I?": None, it is done; a future to await; or the mark of an open queue.
pub fn answer<'py>(
    py: Python<'py>,
    step: Step<Done<()>>,
    shut_down: fn(Python<'_>) -> PyErr,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match step {
        Step::Ready(Done::Yes(())) => Ok(None),
        Step::Ready(Done::ShutDown) => Err(shut_down(py)),
        Step::Ready(Done::Opened) => Ok(Some(standard(py).opened.bind(py).clone())),
        Step::Wait(future) => Ok(Some(future.into_bound(py).into_any())),
    }
}

/// To "what is there?": the item, or the mark that says that there is none, or that of an open queue.
pub fn item<'py>(
    py: Python<'py>,
    got: Option<Done<Bound<'py, PyAny>>>,
    shut_down: fn(Python<'_>) -> PyErr,
) -> PyResult<Bound<'py, PyAny>> {
    match got {
        Some(Done::Yes(item)) => Ok(item),
        Some(Done::ShutDown) => Err(shut_down(py)),
        Some(Done::Opened) => Ok(standard(py).opened.bind(py).clone()),
        None => Ok(standard(py).must_wait.bind(py).clone()),
    }
}

/// To "what is there, or what am I to wait for?": the future; or, if an item came at the last moment, a tuple with it; or
/// the mark of an open queue.
pub fn waiting<'py>(
    py: Python<'py>,
    step: Step<Done<Bound<'py, PyAny>>>,
    shut_down: fn(Python<'_>) -> PyErr,
) -> PyResult<Bound<'py, PyAny>> {
    match step {
        Step::Ready(Done::Yes(item)) => Ok(PyTuple::new(py, [item])?.into_any()),
        Step::Ready(Done::ShutDown) => Err(shut_down(py)),
        Step::Ready(Done::Opened) => Ok(standard(py).opened.bind(py).clone()),
        Step::Wait(future) => Ok(future.into_bound(py).into_any()),
    }
}
