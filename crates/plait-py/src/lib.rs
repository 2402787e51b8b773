//! `plait._native`: the contents page of the extension module.
//!
//! Read [`guarded`] first (how Python objects hold mutable state), then [`event_loop`]. [`ffi`], [`fastcall`] and [`freelist`]
//! have the only raw calls of the C API, [`standard`] the objects of the standard library that are used, [`errors`] its exceptions.
//! [`processes`] is the link between a pool and its worker processes. [`observe`] looks into the interpreter from outside, for [`gil_monitor`] and [`watchdog`]. [`trashcan`] takes long chains of objects apart, [`daemon_threads`] keeps a thread from aborting the process when the interpreter exits. [`bench`] is what `plait bench` loads servers with.

mod arguments;
mod bench;
mod daemon_threads;
mod deadlock;
mod errors;
mod event_loop;
mod faces;
mod fastcall;
mod ffi;
mod files;
mod freelist;
mod gil_monitor;
mod guarded;
#[cfg(all(Py_GIL_DISABLED, not(Py_3_14)))]
mod instance_dict;
mod json;
mod native_thread;
mod observe;
mod processes;
mod standard;
mod trashcan;
mod waiters;
mod watchdog;

use event_loop::answered::Answered;
use event_loop::completions::Completions;
use event_loop::datagram::DatagramTransport;
use event_loop::future::Future;
use event_loop::future_iter::FutureIter;
use event_loop::gathering::{GatherCallback, GatheringFuture};
use event_loop::handle::{Handle, TimerHandle};
use event_loop::pipes::read::ReadPipeTransport;
use event_loop::pipes::write::WritePipeTransport;
use event_loop::process::pipe::ChildPipe;
use event_loop::process::SubprocessTransport;
use event_loop::sleep::TimerFuture;
use event_loop::sock::SockOp;
use event_loop::socket_transport::SocketTransport;
use event_loop::streams::protocol::StreamReaderProtocol;
use event_loop::streams::reader::StreamReader;
use event_loop::streams::writer::StreamWriter;
use event_loop::task::{Task, TaskStep, TaskWakeup};
use event_loop::task_group::TaskGroup;
use event_loop::timeout::{Timeout, WaitForTimeout};
use event_loop::tls::transport::TlsTransport;
use event_loop::tls::TlsProtocol;
use event_loop::waiting::WaitManyFuture;
use event_loop::watcher::WatcherCallback;
use event_loop::EventLoop;
use pyo3::prelude::*;
use waiters::task::WaitFuture;

/// Every native task that is not done, of all loops (`asyncio.all_tasks` reads it through its WeakSet).
#[pyfunction]
fn registered_tasks(py: Python<'_>) -> Vec<Bound<'_, Task>> {
    event_loop::registry::snapshot(py)
}

/// Called in the child after `os.fork()`: epoll instances inherited from the parent are not touched any more.
#[pyfunction]
fn after_fork_in_child() {
    plait_core::fork::bump();
    watchdog::after_fork_in_child();
}

#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    ffi::require_main_interpreter(py)?;
    standard::initialise(py)?;
    // Finalizers first: subtypes and instances inherit the slots that they find.
    ffi::install_finalizer::<Future>(py);
    ffi::install_finalizer::<Task>(py);
    ffi::install_finalizer::<GatheringFuture>(py);
    ffi::install_finalizer::<EventLoop>(py);
    ffi::install_finalizer::<SocketTransport>(py);
    ffi::install_finalizer::<DatagramTransport>(py);
    ffi::install_finalizer::<ReadPipeTransport>(py);
    ffi::install_finalizer::<WritePipeTransport>(py);
    ffi::install_finalizer::<SubprocessTransport>(py);
    ffi::install_finalizer::<StreamWriter>(py);
    ffi::install_finalizer::<TlsTransport>(py);
    #[cfg(all(Py_GIL_DISABLED, not(Py_3_14)))]
    {
        instance_dict::install::<Future>(py);
        instance_dict::install::<Task>(py);
        instance_dict::install::<GatheringFuture>(py);
        instance_dict::install::<TimerFuture>(py);
        instance_dict::install::<WaitFuture>(py);
        instance_dict::install::<WaitManyFuture>(py);
        instance_dict::install::<TaskGroup>(py);
        instance_dict::install::<EventLoop>(py);
        instance_dict::install::<SocketTransport>(py);
        instance_dict::install::<TlsTransport>(py);
        instance_dict::install::<DatagramTransport>(py);
        instance_dict::install::<ReadPipeTransport>(py);
        instance_dict::install::<WritePipeTransport>(py);
        instance_dict::install::<SubprocessTransport>(py);
        instance_dict::install::<StreamReader>(py);
        instance_dict::install::<StreamWriter>(py);
        instance_dict::install::<StreamReaderProtocol>(py);
        faces::show_instance_dicts(py);
    }
    ffi::install_answer::<Answered>(py);
    freelist::install::<Handle>(py);
    freelist::install::<TimerHandle>(py);
    freelist::install::<FutureIter>(py);
    freelist::install::<Timeout>(py);
    freelist::install::<WaitForTimeout>(py);
    event_loop::schedule::install_methods(py)?;
    event_loop::streams::reader::install_methods(py)?;
    event_loop::streams::writer::install_methods(py)?;
    event_loop::datagram::install_methods(py)?;
    event_loop::socket_transport::install_methods(py)?;
    event_loop::tls::transport::install_methods(py)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<EventLoop>()?;
    module.add_class::<Future>()?;
    module.add_class::<FutureIter>()?;
    module.add_class::<Task>()?;
    module.add_class::<TimerFuture>()?;
    module.add_class::<GatheringFuture>()?;
    module.add_class::<GatherCallback>()?;
    module.add_class::<WaitManyFuture>()?;
    module.add_class::<Timeout>()?;
    module.add_class::<WaitForTimeout>()?;
    module.add_class::<TaskGroup>()?;
    module.add_class::<Answered>()?;
    module.add_class::<Completions>()?;
    module.add_class::<WatcherCallback>()?;
    module.add_class::<TaskStep>()?;
    module.add_class::<TaskWakeup>()?;
    module.add_class::<Handle>()?;
    module.add_class::<TimerHandle>()?;
    module.add_class::<SocketTransport>()?;
    module.add_class::<TlsProtocol>()?;
    module.add_class::<TlsTransport>()?;
    module.add_class::<DatagramTransport>()?;
    module.add_class::<ReadPipeTransport>()?;
    module.add_class::<WritePipeTransport>()?;
    module.add_class::<SubprocessTransport>()?;
    module.add_class::<ChildPipe>()?;
    module.add_class::<SockOp>()?;
    module.add_class::<StreamReader>()?;
    module.add_class::<StreamWriter>()?;
    module.add_class::<StreamReaderProtocol>()?;
    module.add_class::<WaitFuture>()?;
    faces::add_to(module)?;
    processes::add_to(module)?;
    module.add_class::<files::engine::FileEngine>()?;
    module.add_class::<files::file::File>()?;
    module.add_class::<bench::BenchIdle>()?;
    module.add_class::<bench::BenchReceiver>()?;
    module.add_class::<gil_monitor::GilMonitor>()?;
    module.add_function(wrap_pyfunction!(event_loop::process::start::start_process, module)?)?;
    module.add_function(wrap_pyfunction!(event_loop::sleep::start_timer, module)?)?;
    module.add_function(wrap_pyfunction!(event_loop::gather::gather, module)?)?;
    module.add_function(wrap_pyfunction!(waiters::greenlet::set_hub, module)?)?;
    module.add_function(wrap_pyfunction!(daemon_threads::shelter, module)?)?;
    module.add_function(wrap_pyfunction!(event_loop::timeout::timeout, module)?)?;
    module.add_function(wrap_pyfunction!(event_loop::timeout::timeout_at, module)?)?;
    module.add_function(wrap_pyfunction!(event_loop::timeout::start_wait_for, module)?)?;
    module.add_function(wrap_pyfunction!(event_loop::waiting::start_wait, module)?)?;
    module.add_function(wrap_pyfunction!(event_loop::completions::start_completions, module)?)?;
    module.add_function(wrap_pyfunction!(event_loop::shield::shield, module)?)?;
    module.add_function(wrap_pyfunction!(registered_tasks, module)?)?;
    module.add_function(wrap_pyfunction!(deadlock::explain_deadlocks, module)?)?;
    module.add_function(wrap_pyfunction!(after_fork_in_child, module)?)?;
    module.add_function(wrap_pyfunction!(watchdog::watch_loops, module)?)?;
    module.add_function(wrap_pyfunction!(watchdog::watched_threshold, module)?)?;
    module.add_function(wrap_pyfunction!(watchdog::watchdog_before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(bench::bench_client, module)?)?;
    module.add_function(wrap_pyfunction!(bench::bench_churn, module)?)?;
    module.add_function(wrap_pyfunction!(bench::bench_endurance, module)?)?;
    module.add_function(wrap_pyfunction!(bench::bench_download, module)?)?;
    module.add_function(wrap_pyfunction!(bench::bench_flood, module)?)?;
    module.add_function(wrap_pyfunction!(bench::bench_cpu_ns, module)?)?;
    module.add_function(wrap_pyfunction!(bench::bench_idle, module)?)?;
    module.add_function(wrap_pyfunction!(bench::bench_server, module)?)?;
    standard::standard(py).glue.bind(py).call_method1("connect", (module,))?;
    Ok(())
}
