//! The loop's Python methods. What they do is in the other files of this room.

use super::datagram::DatagramTransport;
use super::descriptors::{Descriptors, Direction};
use super::elsewhere::WorksElsewhere;
use super::future::Future;
use super::handle::Handle;
use super::pipes::read::ReadPipeTransport;
use super::pipes::write::WritePipeTransport;
use super::ready::Ready;
use super::sleep::Timer;
use super::socket_transport::SocketTransport;
use super::task::Task;
use super::{accept, run, sock, EventLoop, LoopState, Natively};
use crate::errors::{closed, os_error};
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use plait_core::inbox::Inbox;
use plait_core::reactor::Reactor;
use plait_core::timers::Timers;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::atomic::AtomicUsize;
use std::sync::Arc;

#[pymethods]
impl EventLoop {
    #[new]
    #[classmethod]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        cls: &Bound<'_, PyType>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<EventLoop> {
        let py = cls.py();
        let debug = py.import("asyncio.coroutines")?.call_method0("_is_debug_mode")?.is_truthy()?;
        let reactor = Reactor::new().map_err(|error| os_error(py, &error))?;
        Ok(EventLoop {
            state: Guarded::new(LoopState {
                ready: VecDeque::new(),
                timers: Timers::new(),
                descriptors: Descriptors::default(),
                reactor: Some(Arc::new(reactor)),
                stopping: false,
                debug,
                thread_id: 0,
                current: false,
                current_handle: None,
                task_factory: None,
                eager_tasks: false,
            }),
            inbox: Inbox::new(),
            runner: AtomicUsize::new(0),
            works_elsewhere: WorksElsewhere::default(),
            natively: Natively::of(cls)?,
            asyncgens: py.import("weakref")?.call_method0("WeakSet")?.unbind(),
            signal_handlers: PyDict::new(py).unbind(),
            built: Built::new(),
        })
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        // For Python subclasses too, unless they derive from it: `asyncio.set_event_loop` insists on an AbstractEventLoop,
        // and `isinstance(loop, Subclass)` asks the real type first anyway.
        let standard_class = standard(slf.py()).base_event_loop.bind(slf.py());
        let class = slf.get_type();
        match class.is_subclass(standard_class) {
            Ok(true) => class.into_any(),
            _ => standard_class.clone().into_any(),
        }
    }

    fn __del__(slf: &Bound<'_, Self>) {
        <EventLoop as crate::ffi::Finalize>::finalize(slf);
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let word = |yes: bool| if yes { "True" } else { "False" };
        let this = slf.get();
        Ok(format!(
            "<{} running={} closed={} debug={}>",
            slf.get_type().name()?,
            word(this.is_running(py)),
            word(this.is_closed(py)),
            word(this.debug(py))
        ))
    }

    // ---- running and stopping

    /// Run until `stop()` is called. RuntimeError when this loop, or another in this thread, runs already.
    fn run_forever(slf: &Bound<'_, Self>) -> PyResult<()> {
        run::run_forever(slf)
    }

    /// End `run_forever` after the current iteration. Not thread-safe: use `call_soon_threadsafe(loop.stop)`.
    fn stop(&self, py: Python<'_>) {
        self.state.with(py, |s| s.stopping = true);
    }

    pub(super) fn is_running(&self, py: Python<'_>) -> bool {
        self.thread_id(py) != 0
    }

    pub(super) fn is_closed(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.reactor.is_none())
    }

    /// Drop what is queued, close the descriptors, shut the default executor down without waiting for it.
    pub(super) fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.is_running(py) {
            return Err(PyRuntimeError::new_err("Cannot close a running event loop"));
        }
        if this.is_closed(py) {
            return Ok(());
        }
        standard(py).glue.bind(py).call_method1(intern!(py, "before_close"), (slf,))?;
        let dropped = this.state.with(py, |s| {
            (
                s.reactor.take(),
                std::mem::take(&mut s.ready),
                s.timers.drain(),
                std::mem::take(&mut s.descriptors),
            )
        });
        let mut posted = VecDeque::new();
        this.inbox.drain_into(&mut posted);
        for timer in &dropped.2 {
            if let Timer::Handle(timer) = timer {
                timer.get().set_key(py, None);
            }
        }
        drop((dropped, posted));
        standard(py).glue.bind(py).call_method1(intern!(py, "after_close"), (slf,))?;
        Ok(())
    }

    /// Seconds on the loop's clock, which is `time.monotonic()`'s.
    fn time(&self) -> f64 {
        run::now()
    }

    // ---- tasks and futures

    /// A new native Future of this loop.
    fn create_future(slf: &Bound<'_, Self>) -> PyResult<Py<Future>> {
        Py::new(slf.py(), Future::on_loop(slf.py(), slf)?)
    }

    /// Schedule a coroutine. Returns a native Task, or what the task factory makes.
    #[pyo3(signature = (coro, *, name = None, context = None, eager_start = None))]
    pub fn create_task<'py>(
        slf: &Bound<'py, Self>,
        coro: &Bound<'py, PyAny>,
        name: Option<Bound<'py, PyAny>>,
        context: Option<Py<PyAny>>,
        eager_start: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        this.check_closed(py)?;
        let (factory, eager) =
            this.state.with(py, |s| (s.task_factory.as_ref().map(|f| f.clone_ref(py)), s.eager_tasks));
        match factory {
            Some(factory) if !eager => {
                let glue = standard(py).glue.bind(py);
                let args = (factory, slf, coro, name, context, eager_start);
                glue.call_method1(intern!(py, "task_from_factory"), args)
            }
            _ => {
                let eager = eager_start.unwrap_or(eager);
                Ok(Task::on_loop(slf, coro, name, context, eager)?.into_any())
            }
        }
    }

    /// Use `factory(loop, coro, …)` for `create_task`, or native tasks again with None.
    fn set_task_factory(&self, py: Python<'_>, factory: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        if factory.as_ref().is_some_and(|f| !f.is_callable()) {
            return Err(PyTypeError::new_err("task factory must be a callable or None"));
        }
        let eager = match &factory {
            Some(factory) => {
                let standard_one = py.import("asyncio")?.getattr_opt("eager_task_factory")?;
                standard_one.is_some_and(|standard_one| standard_one.is(factory))
            }
            None => false,
        };
        let factory = factory.map(Bound::unbind);
        let replaced = self.state.with(py, |s| {
            s.eager_tasks = eager;
            std::mem::replace(&mut s.task_factory, factory)
        });
        drop(replaced);
        Ok(())
    }

    fn get_task_factory(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.task_factory.as_ref().map(|f| f.clone_ref(py)))
    }

    // ---- descriptors

    /// Call `callback(*args)` whenever `fd` (an int or an object with `fileno()`) can be read.
    #[pyo3(signature = (fd, callback, *args))]
    fn add_reader(
        slf: &Bound<'_, Self>,
        fd: &Bound<'_, PyAny>,
        callback: Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        EventLoop::ensure_fd_no_transport(slf, fd)?;
        EventLoop::_add_reader(slf, fd, callback, args).map(drop)
    }

    /// Stop watching `fd` for reading; True when it was watched.
    fn remove_reader(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        EventLoop::ensure_fd_no_transport(slf, fd)?;
        EventLoop::_remove_reader(slf, fd)
    }

    /// Call `callback(*args)` whenever `fd` can be written.
    #[pyo3(signature = (fd, callback, *args))]
    fn add_writer(
        slf: &Bound<'_, Self>,
        fd: &Bound<'_, PyAny>,
        callback: Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        EventLoop::ensure_fd_no_transport(slf, fd)?;
        EventLoop::_add_writer(slf, fd, callback, args).map(drop)
    }

    /// Stop watching `fd` for writing; True when it was watched.
    fn remove_writer(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        EventLoop::ensure_fd_no_transport(slf, fd)?;
        EventLoop::_remove_writer(slf, fd)
    }

    #[pyo3(signature = (fd, callback, *args))]
    fn _add_reader(
        slf: &Bound<'_, Self>,
        fd: &Bound<'_, PyAny>,
        callback: Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<Handle>> {
        EventLoop::add_callback(slf, fd, Direction::Read, callback, args)
    }

    #[pyo3(signature = (fd, callback, *args))]
    fn _add_writer(
        slf: &Bound<'_, Self>,
        fd: &Bound<'_, PyAny>,
        callback: Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<Handle>> {
        EventLoop::add_callback(slf, fd, Direction::Write, callback, args)
    }

    fn _remove_reader(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        slf.get().unwatch(slf.py(), EventLoop::watched_number(slf, fd)?, Direction::Read)
    }

    fn _remove_writer(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        slf.get().unwatch(slf.py(), EventLoop::watched_number(slf, fd)?, Direction::Write)
    }

    fn _ensure_fd_no_transport(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<()> {
        EventLoop::ensure_fd_no_transport(slf, fd)
    }

    // ---- sockets

    /// Receive up to `n` bytes. The socket may be a blocking one outside debug mode: the loop does not block.
    fn sock_recv<'py>(
        slf: Bound<'py, Self>,
        sock: Bound<'py, PyAny>,
        n: Bound<'py, PyAny>,
    ) -> PyResult<sock::SockOp> {
        sock::SockOp::recv(slf, sock, n)
    }

    /// Receive into a writable buffer; the number of bytes.
    fn sock_recv_into(
        slf: Bound<'_, Self>,
        sock: Bound<'_, PyAny>,
        buf: Bound<'_, PyAny>,
    ) -> PyResult<sock::SockOp> {
        sock::SockOp::recv_into(slf, sock, buf)
    }

    /// Receive a datagram of up to `bufsize` bytes and its sender's address.
    fn sock_recvfrom(
        slf: Bound<'_, Self>,
        sock: Bound<'_, PyAny>,
        bufsize: Bound<'_, PyAny>,
    ) -> PyResult<sock::SockOp> {
        sock::SockOp::method(slf, sock, "sock_recvfrom", "recvfrom", (bufsize,), Direction::Read)
    }

    /// Receive a datagram into a writable buffer; the number of bytes and the sender's address.
    #[pyo3(signature = (sock, buf, nbytes = None), text_signature = "($self, sock, buf, nbytes=0)")]
    fn sock_recvfrom_into(
        slf: Bound<'_, Self>,
        sock: Bound<'_, PyAny>,
        buf: Bound<'_, PyAny>,
        nbytes: Option<Bound<'_, PyAny>>,
    ) -> PyResult<sock::SockOp> {
        // What is wrong with them is said when it is awaited; 0 means all of the buffer to the socket, too.
        let args = match nbytes {
            Some(nbytes) => (buf, nbytes).into_pyobject(slf.py())?,
            None => (buf,).into_pyobject(slf.py())?,
        };
        sock::SockOp::method(slf, sock, "sock_recvfrom_into", "recvfrom_into", args, Direction::Read)
    }

    /// Send all of `data`.
    fn sock_sendall(
        slf: Bound<'_, Self>,
        sock: Bound<'_, PyAny>,
        data: Bound<'_, PyAny>,
    ) -> PyResult<sock::SockOp> {
        sock::SockOp::sendall(slf, sock, data)
    }

    /// Send one datagram to `address`; the number of bytes.
    fn sock_sendto(
        slf: Bound<'_, Self>,
        sock: Bound<'_, PyAny>,
        data: Bound<'_, PyAny>,
        address: Bound<'_, PyAny>,
    ) -> PyResult<sock::SockOp> {
        sock::SockOp::method(slf, sock, "sock_sendto", "sendto", (data, address), Direction::Write)
    }

    /// Send `count` bytes (None: all) of a file, whose descriptor is `number`, from `offset` on; the number of bytes that went.
    fn _send_file(
        slf: Bound<'_, Self>,
        sock: Bound<'_, PyAny>,
        file: Bound<'_, PyAny>,
        number: RawFd,
        offset: u64,
        count: Option<u64>,
    ) -> sock::SockOp {
        sock::SockOp::send_file(slf, sock, file, number, offset, count)
    }

    /// Connect to an address that needs no resolving (`sock_connect` resolves first where it must).
    fn _sock_connect(
        slf: Bound<'_, Self>,
        sock: Bound<'_, PyAny>,
        address: Bound<'_, PyAny>,
    ) -> PyResult<sock::SockOp> {
        sock::SockOp::connect(slf, sock, address)
    }

    /// Accept one connection: `(socket, address)`, the socket non-blocking.
    fn sock_accept(slf: Bound<'_, Self>, sock: Bound<'_, PyAny>) -> PyResult<sock::SockOp> {
        sock::SockOp::accept(slf, sock)
    }

    // ---- transports and servers

    #[pyo3(signature = (sock, protocol, waiter = None, *, extra = None, server = None))]
    fn _make_socket_transport(
        slf: &Bound<'_, Self>,
        sock: Bound<'_, PyAny>,
        protocol: Bound<'_, PyAny>,
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
        server: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<SocketTransport>> {
        EventLoop::ensure_fd_no_transport(slf, &sock)?;
        SocketTransport::open(slf, sock, protocol, waiter, extra, server)
    }

    #[pyo3(signature = (sock, protocol, address = None, waiter = None, extra = None))]
    fn _make_datagram_transport(
        slf: &Bound<'_, Self>,
        sock: Bound<'_, PyAny>,
        protocol: Bound<'_, PyAny>,
        address: Option<Bound<'_, PyAny>>,
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<DatagramTransport>> {
        EventLoop::ensure_fd_no_transport(slf, &sock)?;
        DatagramTransport::open(slf, sock, protocol, address, waiter, extra)
    }

    #[pyo3(signature = (pipe, protocol, waiter = None, extra = None))]
    fn _make_read_pipe_transport(
        slf: &Bound<'_, Self>,
        pipe: Bound<'_, PyAny>,
        protocol: Bound<'_, PyAny>,
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<ReadPipeTransport>> {
        ReadPipeTransport::open(slf, pipe, protocol, waiter, extra)
    }

    #[pyo3(signature = (pipe, protocol, waiter = None, extra = None))]
    fn _make_write_pipe_transport(
        slf: &Bound<'_, Self>,
        pipe: Bound<'_, PyAny>,
        protocol: Bound<'_, PyAny>,
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<WritePipeTransport>> {
        WritePipeTransport::open(slf, pipe, protocol, waiter, extra)
    }

    #[allow(clippy::too_many_arguments)] // asyncio's signature
    #[pyo3(signature = (protocol_factory, sock, sslcontext = None, server = None, backlog = 100, ssl_handshake_timeout = None, ssl_shutdown_timeout = None))]
    fn _start_serving(
        slf: &Bound<'_, Self>,
        protocol_factory: Bound<'_, PyAny>,
        sock: Bound<'_, PyAny>,
        sslcontext: Option<Bound<'_, PyAny>>,
        server: Option<Bound<'_, PyAny>>,
        backlog: usize,
        ssl_handshake_timeout: Option<Py<PyAny>>,
        ssl_shutdown_timeout: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let tls = sslcontext.map(|sslcontext| accept::ServerTls {
            sslcontext: sslcontext.unbind(),
            handshake_timeout: ssl_handshake_timeout,
            shutdown_timeout: ssl_shutdown_timeout,
        });
        accept::start_serving(slf, protocol_factory, sock, server, backlog, tls)
    }

    fn _stop_serving(slf: &Bound<'_, Self>, sock: &Bound<'_, PyAny>) -> PyResult<()> {
        EventLoop::_remove_reader(slf, sock)?;
        sock.call_method0("close")?;
        Ok(())
    }

    // ---- debug mode, and what packages read

    fn get_debug(&self, py: Python<'_>) -> bool {
        self.debug(py)
    }

    fn set_debug(slf: &Bound<'_, Self>, enabled: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let value = enabled.is_truthy()?;
        slf.get().state.with(py, |s| s.debug = value);
        if slf.get().is_running(py) {
            let track = slf.getattr("_set_coroutine_origin_tracking")?;
            slf.call_method1("call_soon_threadsafe", (track, value))?;
        }
        Ok(())
    }

    #[getter]
    fn _debug(&self, py: Python<'_>) -> bool {
        self.debug(py)
    }

    #[setter(_debug)]
    fn set_private_debug(&self, py: Python<'_>, enabled: &Bound<'_, PyAny>) -> PyResult<()> {
        let enabled = enabled.is_truthy()?;
        self.state.with(py, |s| s.debug = enabled);
        Ok(())
    }

    #[getter]
    fn _closed(&self, py: Python<'_>) -> bool {
        self.is_closed(py)
    }

    #[getter]
    fn _stopping(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.stopping)
    }

    #[getter]
    fn _thread_id(&self, py: Python<'_>) -> Option<u64> {
        Some(self.thread_id(py)).filter(|id| *id != 0)
    }

    #[getter]
    fn _task_factory(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.get_task_factory(py)
    }

    #[getter]
    fn _asyncgens(&self, py: Python<'_>) -> Py<PyAny> {
        self.asyncgens.clone_ref(py)
    }

    #[getter]
    fn _signal_handlers(&self, py: Python<'_>) -> Py<PyDict> {
        self.signal_handlers.clone_ref(py)
    }

    #[getter]
    fn _current_handle(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.current_handle.as_ref().map(|h| h.clone_ref(py)))
    }

    /// A snapshot of the handles that are ready (asyncio: the deque itself).
    #[getter]
    fn _ready<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let handles = self.state.with(py, |s| {
            self.inbox.drain_into(&mut s.ready);
            let shown = s.ready.iter().map(|ready| match ready {
                Ready::Handle(handle) => handle.clone_ref(py).into_any(),
                Ready::ForeignHandle(handle) => handle.clone_ref(py),
                Ready::Step(task) | Ready::Throw(task, _) | Ready::Wake(task, _) => {
                    task.clone_ref(py).into_any()
                }
                Ready::Woken(future) => future.clone_ref(py).into_any(),
                Ready::Offloaded(future, _) => future.clone_ref(py).into_any(),
                Ready::Elapsed(timer) => timer.clone_ref(py).into_any(),
                Ready::Overdue(timeout, _) => timeout.clone_ref(py).into_any(),
                Ready::Watched(_, future) => future.clone_ref(py).into_any(),
                Ready::Gathered(outer, _) => outer.clone_ref(py).into_any(),
                Ready::Call { callback, .. } => callback.clone_ref(py),
                Ready::Transport(transport, _) => transport.clone_ref(py).into_any(),
                Ready::Datagrams(transport, _) => transport.clone_ref(py).into_any(),
                Ready::ReadPipe(transport, _) => transport.clone_ref(py).into_any(),
                Ready::WritePipe(transport, _) => transport.clone_ref(py).into_any(),
                Ready::Process(transport, _) => transport.clone_ref(py).into_any(),
            });
            shown.collect::<Vec<_>>()
        });
        PyList::new(py, handles)
    }

    /// A snapshot of the timers (asyncio: the heap itself).
    #[getter]
    fn _scheduled<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let timers: Vec<(f64, Timer)> = slf
            .get()
            .state
            .with(py, |s| s.timers.iter().map(|(when, timer)| (when, timer.clone_ref(py))).collect());
        let shown: PyResult<Vec<_>> =
            timers.into_iter().map(|(when, timer)| timer.shown(slf, when)).collect();
        PyList::new(py, shown?)
    }

    /// `(fd, reads, writes)` for each watched descriptor: what `loop._selector` shows.
    fn _watched(&self, py: Python<'_>) -> Vec<(usize, bool, bool)> {
        self.state.with(py, |s| s.descriptors.list())
    }

    /// The descriptor that `signal.set_wakeup_fd` is given.
    fn _signal_sender(&self, py: Python<'_>) -> PyResult<RawFd> {
        let reactor = self.reactor(py).ok_or_else(closed)?;
        reactor.signal_sender().map_err(|error| os_error(py, &error))
    }

    fn _check_closed(&self, py: Python<'_>) -> PyResult<()> {
        self.check_closed(py)
    }

    fn _check_running(&self, py: Python<'_>) -> PyResult<()> {
        self.check_not_running(py)
    }

    fn _check_thread(&self, py: Python<'_>) -> PyResult<()> {
        self.check_thread(py)
    }

    /// Wake the loop if it sleeps. Thread-safe.
    fn _write_to_self(&self, py: Python<'_>) {
        if self.inbox.ring() {
            self.wake(py);
        }
    }

    /// Append a Handle of any kind.
    fn _add_callback(&self, handle: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = handle.py();
        if handle.getattr(intern!(py, "_cancelled"))?.is_truthy()? {
            return Ok(());
        }
        self.push_ready(py, Ready::ForeignHandle(handle.clone().unbind()))
    }

    /// The same, and wake the loop if it sleeps.
    fn _add_callback_signalsafe(&self, handle: &Bound<'_, PyAny>) -> PyResult<()> {
        self._add_callback(handle)?;
        self._write_to_self(handle.py());
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        visit.call(&self.asyncgens)?;
        visit.call(&self.signal_handlers)?;
        let state = self.state.traverse();
        for ready in &state.ready {
            ready.traverse(&visit)?;
        }
        self.inbox.try_for_each(|posted| posted.traverse(&visit))?;
        for (_, timer) in state.timers.iter() {
            timer.traverse(&visit)?;
        }
        state.descriptors.traverse(&visit)?;
        visit.call(&state.current_handle)?;
        visit.call(&state.task_factory)
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let cleared = self.state.with(py, |s| {
                self.inbox.drain_into(&mut s.ready);
                let queues = (std::mem::take(&mut s.ready), s.timers.drain());
                (queues, std::mem::take(&mut s.descriptors), s.current_handle.take(), s.task_factory.take())
            });
            drop(cleared);
        });
    }
}
