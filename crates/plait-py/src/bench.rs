//! What `plait bench` needs of the crate `plait-bench`: the load client, idle connections, the reference servers.
//!
//! All of it runs detached from the interpreter and comes back ten times a second, or when a signal has come in, to run
//! Python's signal handlers: Ctrl-C ends a load as it ends any other call. Rejected: a program of its own beside the module,
//! which would have to be built, shipped and found for each platform.

use crate::errors::os_error_with;
use plait_bench::churn::{self, Churn};
use plait_bench::client::{self, Exchange, Load};
use plait_bench::cpu_clock::CpuClock;
use plait_bench::download::{self, Download};
use plait_bench::endurance::{self, Endurance, Mishap};
use plait_bench::idle::Idle;
use plait_bench::meter::Cost;
use plait_bench::socket::Address;
use plait_bench::{epoll_server, failure, flood, transfer_server, udp_receiver, udp_server, uring_server};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::ControlFlow;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Loads a server and tells what it cost (plait/_native.pyi).
#[pyfunction]
#[pyo3(signature = (host, port, *, connections, size, warm_up, requests, core = None, server_pid = None, timeout = 30.0, transport = "tcp", request = None, beginning = None))]
#[allow(clippy::too_many_arguments)] // a keyword each, as Python callers read them
pub fn bench_client<'py>(
    py: Python<'py>,
    host: String,
    port: u16,
    connections: usize,
    size: usize,
    warm_up: u64,
    requests: u64,
    core: Option<usize>,
    server_pid: Option<u32>,
    timeout: f64,
    transport: &str,
    request: Option<Vec<u8>>,
    beginning: Option<Vec<u8>>,
) -> PyResult<Bound<'py, PyDict>> {
    let timeout = seconds(timeout)?;
    let exchange = match request {
        Some(bytes) => {
            Exchange::Request { bytes, reply_size: size, beginning: beginning.unwrap_or_default() }
        }
        None => Exchange::Echo(size),
    };
    let report = detached(py, |on_tick| {
        let address = address(transport, &host, port)?;
        let load = Load { address, connections, exchange, warm_up, requests, core, server_pid, timeout };
        client::run(&load, on_tick)
    })?;
    let result = told(py, report.requests, report.cost)?;
    for (name, percent) in [("p50_ns", 50.0), ("p90_ns", 90.0), ("p99_ns", 99.0)] {
        result.set_item(name, report.latency.percentile(percent))?;
    }
    result.set_item("max_ns", report.latency.max())?;
    Ok(result)
}

/// Opens, uses and closes connections (plait/_native.pyi).
#[pyfunction]
#[pyo3(signature = (host, port, *, connections, size, warm_up, requests, core = None, server_pid = None, timeout = 30.0))]
#[allow(clippy::too_many_arguments)] // as above
pub fn bench_churn<'py>(
    py: Python<'py>,
    host: String,
    port: u16,
    connections: usize,
    size: usize,
    warm_up: u64,
    requests: u64,
    core: Option<usize>,
    server_pid: Option<u32>,
    timeout: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let timeout = seconds(timeout)?;
    let cost = detached(py, |on_tick| {
        let address = resolve(&host, port)?;
        let (at_once, connections) = (connections, requests);
        churn::run(
            &Churn { address, at_once, size, warm_up, connections, core, server_pid, timeout },
            on_tick,
        )
    })?;
    told(py, requests, cost)
}

/// Receives many bytes over one connection (plait/_native.pyi).
#[pyfunction]
#[pyo3(signature = (host, port, *, warm_up, requests, core = None, server_pid = None, timeout = 30.0))]
#[allow(clippy::too_many_arguments)] // as above
pub fn bench_download<'py>(
    py: Python<'py>,
    host: String,
    port: u16,
    warm_up: u64,
    requests: u64,
    core: Option<usize>,
    server_pid: Option<u32>,
    timeout: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let timeout = seconds(timeout)?;
    let cost = detached(py, |on_tick| {
        let address = resolve(&host, port)?;
        download::run(&Download { address, warm_up, bytes: requests, core, server_pid, timeout }, on_tick)
    })?;
    told(py, requests, cost)
}

/// Sends datagrams that nobody answers, and tells how many seconds it took (plait/_native.pyi).
#[pyfunction]
#[pyo3(signature = (host, port, *, requests, size, core = None))]
pub fn bench_flood(
    py: Python<'_>,
    host: String,
    port: u16,
    requests: u64,
    size: usize,
    core: Option<usize>,
) -> PyResult<f64> {
    let took = detached(py, |on_tick| flood::run(resolve(&host, port)?, requests, size, core, on_tick))?;
    Ok(took.as_secs_f64())
}

/// Asks a server of HTTP that is reloaded and killed meanwhile, and tells what became of the requests (plait/_native.pyi).
#[pyfunction]
#[pyo3(signature = (host, port, request, *, opening, keeping, seconds, timeout = 30.0))]
#[allow(clippy::too_many_arguments)] // as above
pub fn bench_endurance<'py>(
    py: Python<'py>,
    host: String,
    port: u16,
    request: Vec<u8>,
    opening: usize,
    keeping: usize,
    seconds: f64,
    timeout: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let (lasting, timeout) = (self::seconds(seconds)?, self::seconds(timeout)?);
    let report = detached(py, |on_tick| {
        let address = resolve(&host, port)?;
        endurance::run(&Endurance { address, request, opening, keeping, lasting, timeout }, on_tick)
    })?;
    let result = PyDict::new(py);
    result.set_item("opened", report.opened)?;
    result.set_item("kept", report.kept)?;
    let bodies = PyDict::new(py);
    for (body, count) in report.bodies {
        bodies.set_item(PyBytes::new(py, &body), count)?;
    }
    result.set_item("bodies", bodies)?;
    let failures: Vec<_> = report
        .failures
        .iter()
        .map(|failure| (failure.at.as_secs_f64(), named(failure.mishap), PyBytes::new(py, &failure.before)))
        .collect();
    result.set_item("failures", failures)?;
    Ok(result)
}

fn named(mishap: Mishap) -> &'static str {
    match mishap {
        Mishap::Refused => "refused",
        Mishap::Reset => "reset",
        Mishap::Closed => "closed",
        Mishap::Cut => "cut",
        Mishap::Wrong => "wrong",
        Mishap::Silent => "silent",
        Mishap::Stale => "stale",
    }
}

/// How long a process has been on a processor, in nanoseconds (plait/_native.pyi).
#[pyfunction]
pub fn bench_cpu_ns(py: Python<'_>, pid: u32) -> PyResult<u64> {
    CpuClock::of_process(pid).and_then(|clock| clock.nanoseconds()).map_err(|error| exception(py, &error))
}

fn told(py: Python<'_>, requests: u64, cost: Cost) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    result.set_item("requests", requests)?;
    result.set_item("wall_ns", cost.wall_ns)?;
    result.set_item("server_cpu_ns", cost.server_cpu_ns)?;
    result.set_item("client_cpu_ns", cost.client_cpu_ns)?;
    Ok(result)
}

/// Opens connections and leaves them open (plait/_native.pyi).
#[pyfunction]
#[pyo3(signature = (host, port, *, connections, size, timeout = 30.0))]
pub fn bench_idle(
    py: Python<'_>,
    host: String,
    port: u16,
    connections: usize,
    size: usize,
    timeout: f64,
) -> PyResult<BenchIdle> {
    let timeout = seconds(timeout)?;
    let idle =
        detached(py, |on_tick| Idle::open(resolve(&host, port)?, connections, size, timeout, on_tick))?;
    Ok(BenchIdle(Mutex::new(Some(idle))))
}

/// Runs a reference server until a signal ends it (plait/_native.pyi).
#[pyfunction]
#[pyo3(signature = (kind, fd, *, core = None))]
pub fn bench_server(py: Python<'_>, kind: &str, fd: RawFd, core: Option<usize>) -> PyResult<()> {
    let serve = match kind {
        "epoll" => epoll_server::serve,
        "io_uring" => uring_server::serve,
        "udp" => udp_server::serve,
        "pieces" => transfer_server::serve_pieces,
        "file" => transfer_server::serve_file,
        _ => {
            let known = "'epoll', 'io_uring', 'udp', 'pieces' or 'file'";
            return Err(PyValueError::new_err(format!("kind is {known}, not '{kind}'")));
        }
    };
    let listener = callers_socket(fd)?;
    detached(py, |on_tick| serve(listener, core, on_tick))
}

fn callers_socket<'a>(fd: RawFd) -> PyResult<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(PyValueError::new_err("fd is negative"));
    }
    // SAFETY: it is not -1. That the number stays the caller's socket meanwhile is the caller's promise, as in every call of
    // Python's that takes one; if it does not, the kernel answers with an error or accepts on another socket.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Takes a flood of datagrams, and counts them (plait/_native.pyi).
#[pyclass(frozen, module = "plait._native")]
#[derive(Default)]
pub struct BenchReceiver(AtomicU64);

#[pymethods]
impl BenchReceiver {
    #[new]
    fn new() -> BenchReceiver {
        BenchReceiver::default()
    }

    #[getter]
    fn received(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[pyo3(signature = (fd, *, core = None))]
    fn serve(&self, py: Python<'_>, fd: RawFd, core: Option<usize>) -> PyResult<()> {
        let socket = callers_socket(fd)?;
        detached(py, |on_tick| udp_receiver::serve(socket, &self.0, core, on_tick))
    }
}

/// Open connections that do nothing.
#[pyclass(frozen, module = "plait._native")]
pub struct BenchIdle(Mutex<Option<Idle>>);

#[pymethods]
impl BenchIdle {
    fn __len__(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Idle::len)
    }

    fn close(&self, py: Python<'_>) {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(idle));
    }
}

/// Runs `work` detached. Signals are looked at on every tick; the exception of a handler ends the work, and is raised.
fn detached<T: Send>(
    py: Python<'_>,
    work: impl Send + FnOnce(plait_bench::OnTick<'_>) -> io::Result<T>,
) -> PyResult<T> {
    let mut raised = None;
    let outcome = py.detach(|| {
        work(&mut || match Python::attach(|py| py.check_signals()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(exception) => {
                raised = Some(exception);
                ControlFlow::Break(())
            }
        })
    });
    match raised {
        Some(exception) => Err(exception),
        None => outcome.map_err(|error| exception(py, &error)),
    }
}

fn exception(py: Python<'_>, error: &io::Error) -> PyErr {
    match failure::errno(error) {
        Some(errno) => os_error_with(py, errno, Some(error.to_string())),
        None if error.kind() == io::ErrorKind::InvalidInput => PyValueError::new_err(error.to_string()),
        None => io::Error::new(error.kind(), error.to_string()).into(),
    }
}

fn seconds(timeout: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(timeout)
        .map_err(|error| PyValueError::new_err(format!("timeout {timeout}: {error}")))
}

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let none = || io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    (host, port).to_socket_addrs()?.next().ok_or_else(none)
}

fn address(transport: &str, host: &str, port: u16) -> io::Result<Address> {
    match transport {
        "tcp" => Ok(Address::Tcp(resolve(host, port)?)),
        "udp" => Ok(Address::Udp(resolve(host, port)?)),
        "unix" => Ok(Address::Unix(host.into())),
        other => {
            let words = format!("transport is 'tcp', 'udp' or 'unix', not '{other}'");
            Err(io::Error::new(io::ErrorKind::InvalidInput, words))
        }
    }
}
