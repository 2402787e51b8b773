//! `plait.gil`: which thread holds the GIL, which wait for it, and in which line it is held.
//!
//! A native thread looks every few milliseconds (`sampler`), without ever asking for the GIL itself, and adds what it saw to the `tally`. The time
//! since the look before is credited to what each thread is at now. A second native thread (`names`) does ask for the GIL, once for each few new
//! threads: Python alone knows what they are called. `plait gil` reads what is known from a pipe (`stream`). Before
//! it starts, `self_check` has it tell a holder and a waiter of which the truth is known.
//!
//! Rejected: a hook on the GIL's functions, which are no symbols that one could put oneself before; `perf` and eBPF, which need privileges; counting the
//! futex calls of all threads.

mod names;
mod sampler;
mod self_check;
mod stream;
mod tally;

use crate::native_thread;
use crate::observe::Interpreter;
use names::Names;
use plait_core::fork;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use sampler::Sampler;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use stream::Stream;
use tally::Tally;

/// What the threads of a monitor have in common.
struct Shared {
    tally: Mutex<Tally>,
    names: Names,
    /// Where what is known is written to.
    stream: Option<Stream>,
    ends: AtomicBool,
}

impl Shared {
    /// Held for some microseconds, by threads that wait for nothing meanwhile.
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }
}

/// A monitor at work. A child process has none of its threads, and leaves it alone.
#[pyclass(module = "plait", frozen)]
pub struct GilMonitor {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    generation: u32,
}

#[pymethods]
impl GilMonitor {
    /// Starts looking, every `interval` seconds on average, for no more than that share of a processor. With a descriptor, what is known is written to it as a line of JSON
    /// every `period` seconds.
    #[new]
    #[pyo3(signature = (interval, budget, descriptor=None, period=1.0))]
    fn new(
        py: Python<'_>,
        interval: f64,
        budget: f64,
        descriptor: Option<u32>,
        period: f64,
    ) -> PyResult<GilMonitor> {
        let seconds = |number: f64| {
            let valid = number.is_finite() && (0.0001..=60.0).contains(&number);
            valid.then(|| Duration::from_secs_f64(number)).ok_or_else(|| {
                PyValueError::new_err(format!("{number} is no interval: between 0.0001 and 60 seconds"))
            })
        };
        if !(0.0001..=1.0).contains(&budget) {
            return Err(PyValueError::new_err(format!(
                "{budget} is no share of a processor: above 0 and up to 1"
            )));
        }
        let (interval, period) = (seconds(interval)?, seconds(period)?);
        let interpreter = Interpreter::find(py)?;
        if interpreter.gil().is_none() {
            return Err(PyRuntimeError::new_err("there is no GIL in this interpreter"));
        }
        self_check::check(py, &interpreter)?;
        let stream = descriptor.map(Stream::open).transpose()?;
        let shared = Arc::new(Shared {
            tally: Mutex::new(Tally::new(interval)),
            names: Names::default(),
            stream,
            ends: AtomicBool::new(false),
        });
        let sampler = Sampler::new(interpreter, shared.clone(), (interval, budget), period);
        let failed =
            |error: std::io::Error| PyOSError::new_err(format!("no thread for the monitor: {error}"));
        let mut threads = vec![native_thread::spawn("plait-gil", move || sampler.run()).map_err(failed)?];
        let named = shared.clone();
        threads.extend(native_thread::spawn("plait-gil-names", move || names::run(&named)));
        Ok(GilMonitor { shared, threads: Mutex::new(threads), generation: fork::generation() })
    }

    /// Ends it, and returns what was seen. Once more: the same again.
    fn stop(&self, py: Python<'_>) -> PyResult<String> {
        self.check_process()?;
        self.shared.ends.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.names.wake();
        let is_first = !threads.is_empty();
        for thread in threads {
            thread.thread().unpark();
            // The thread of names may be waiting for the GIL.
            let _ = py.detach(|| thread.join());
        }
        let report = self.snapshot(py)?;
        if is_first && self.shared.stream.is_some() {
            self.write_last(py, report.clone());
        }
        Ok(report)
    }

    /// In a forked child: closes its copy of the stream.
    fn close_in_child(&self) {
        if let Some(stream) = &self.shared.stream {
            stream.close_in_child();
        }
    }

    /// What was seen so far, as JSON.
    fn snapshot(&self, py: Python<'_>) -> PyResult<String> {
        self.check_process()?;
        let nameless = self.shared.tally().nameless();
        let named = names::look_up(py, &nameless)?;
        let mut tally = self.shared.tally();
        tally.name(named);
        Ok(tally.to_json())
    }
}

impl Drop for GilMonitor {
    fn drop(&mut self) {
        if self.generation != fork::generation() {
            // To let go of a thread that is not in this process is undefined.
            let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::take(threads));
        }
    }
}

impl GilMonitor {
    fn check_process(&self) -> PyResult<()> {
        match self.generation == fork::generation() {
            true => Ok(()),
            false => Err(PyRuntimeError::new_err("the monitor belongs to the parent process")),
        }
    }

    /// From a thread of its own, in which signals are blocked: where nobody reads any more SIGPIPE would come, and the program may have that kill it.
    fn write_last(&self, py: Python<'_>, report: String) {
        let shared = self.shared.clone();
        let write = move || shared.stream.iter().for_each(|stream| stream.finish(&report));
        if let Ok(thread) = native_thread::spawn("plait-gil", write) {
            let _ = py.detach(|| thread.join());
        }
    }
}
