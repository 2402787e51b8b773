# mypy: disable-error-code="attr-defined"
"""What the native loop borrows from asyncio, and where it plugs itself in.

Connecting, resolving, executors, signal bookkeeping, exception reports and reprs are cold, and asyncio keeps them well:
its own functions work on any object with the right attributes, in the very words of the Python that runs them. So they
are lent to the native types here, by name and nothing else: what is not listed is not inherited. Rejected: a Python
subclass of ``BaseEventLoop`` over the native loop (twice the cost per call, and 73 attributes nobody chose), and rewriting
these in Rust (four Pythons' worth of small differences to chase).

The native module imports this file when it is initialised and calls ``connect``.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
import warnings
import weakref
from asyncio import base_events, base_futures, base_tasks, events, format_helpers, selector_events, streams, tasks, unix_events
from asyncio.log import logger
from types import ModuleType, SimpleNamespace
from typing import Any

from plait import _exit, _futures, _offload, _open_queues, _primitives, _processes, _sendfile, _streams, _tls, _unix_sockets

get_ident = threading.get_ident

# From BaseEventLoop: cold, and dependent only on public methods and on the attributes given below.
LENT_BY_BASE_EVENT_LOOP = (
    "run_until_complete",
    "shutdown_asyncgens",
    "connect_accepted_socket",
    "create_connection",
    "create_server",
    "create_datagram_endpoint",
    "connect_read_pipe",
    "connect_write_pipe",
    "subprocess_exec",
    "subprocess_shell",
    "_log_subprocess",
    "default_exception_handler",
    "call_exception_handler",
    "set_exception_handler",
    "get_exception_handler",
    "_asyncgen_firstiter_hook",
    "_asyncgen_finalizer_hook",
    "_check_callback",
    "_check_default_executor",
    "_connect_sock",
    "_create_connection_transport",
    "_create_server_getaddrinfo",
    "_do_shutdown",
    "_ensure_resolved",
    "_getaddrinfo_debug",
    "_set_coroutine_origin_tracking",
)
# From the Unix loop: signals.
LENT_BY_UNIX_EVENT_LOOP = ("add_signal_handler", "remove_signal_handler", "_handle_signal", "_check_signal")

# The attributes that the lent functions keep on the loop, with their first values.
LOOP_ATTRIBUTES: dict[str, Any] = {
    "slow_callback_duration": 0.1,
    "_asyncgens_shutdown_called": False,
    "_clock_resolution": 1e-9,
    "_coroutine_origin_tracking_enabled": False,
    "_coroutine_origin_tracking_saved_depth": None,
    "_default_executor": None,
    "_exception_handler": None,
    "_executor_shutdown_called": False,
    # nest_asyncio asks for it: the native run methods nest by themselves.
    "_nest_patched": True,
}


def connect(native: ModuleType) -> None:
    """Complete the native types and make ``asyncio.all_tasks`` see native tasks. Called once, by the native module."""
    loop_type = native.EventLoop
    for name in LENT_BY_BASE_EVENT_LOOP:
        lent = getattr(base_events.BaseEventLoop, name, None)
        if lent is not None:  # some came with later Pythons
            setattr(loop_type, name, lent)
    for name in LENT_BY_UNIX_EVENT_LOOP:
        setattr(loop_type, name, getattr(unix_events._UnixSelectorEventLoop, name))
    for name, value in LOOP_ATTRIBUTES.items():
        setattr(loop_type, name, value)
    loop_type.sock_connect = sock_connect
    loop_type._csock = property(_signal_socket)
    loop_type._selector = property(_selector)
    _lend_reprs(native)
    _unix_sockets.connect(loop_type)
    _sendfile.connect(loop_type, native.SocketTransport)
    _streams.connect(native)
    _tls.connect(native)
    _open_queues.connect(native)
    _primitives.connect(native)
    _exit.connect(native)
    _processes.connect(native)
    _futures.connect(native)
    _offload.connect(native)
    _show_native_tasks(native.registered_tasks)
    os.register_at_fork(before=native.watchdog_before_fork, after_in_child=native.after_fork_in_child)
    os.register_at_fork(before=native.count_fork_attempt, after_in_parent=native.count_fork_attempt)


def _lend_reprs(native: ModuleType) -> None:
    native.Handle.__repr__ = events.Handle.__repr__
    native.Handle._repr_info = events.Handle._repr_info
    timer = native.TimerHandle
    timer._repr_info = events.TimerHandle._repr_info
    for name in ("__hash__", "__lt__", "__le__", "__gt__", "__ge__", "__eq__"):
        setattr(timer, name, getattr(events.TimerHandle, name))
    native.Future.__repr__ = base_futures._future_repr
    native.Task.__repr__ = base_tasks._task_repr
    # Only when nobody has a better idea: asyncio's own signatures and docstrings.
    native.Task.get_stack = asyncio.tasks._PyTask.get_stack
    native.Task.print_stack = asyncio.tasks._PyTask.print_stack


# ---- tasks


def _show_native_tasks(registered_tasks: Any) -> None:
    """Let ``asyncio.all_tasks()``, however early it was imported, walk the native registry too.

    It iterates over a WeakSet of the tasks module. Registering each task there costs three times as much as the rest of
    the task, so the set itself learns where the others are: its class is replaced by one that yields them as well.
    """
    known = _asyncio_task_set()
    if known is None:
        return

    class TaskSet(weakref.WeakSet):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            yield from super().__iter__()
            yield from registered_tasks()

        def __len__(self) -> int:
            return super().__len__() + len(registered_tasks())

        def __contains__(self, task: object) -> bool:
            return super().__contains__(task) or any(task is native for native in registered_tasks())

    known.__class__ = TaskSet


def _asyncio_task_set() -> Any:
    for name in ("_scheduled_tasks", "_all_tasks"):
        known = getattr(tasks, name, None)
        if isinstance(known, weakref.WeakSet):
            return known
    # 3.14 and later keep it in C (untested so far)
    found = [known for known in gc.get_referents(sys.modules["_asyncio"]) if isinstance(known, weakref.WeakSet)]
    return found[0] if found else None


def task_from_factory(factory: Any, loop: Any, coro: Any, name: Any, context: Any, eager_start: Any) -> Any:
    """What ``BaseEventLoop.create_task`` does with a task factory."""
    keywords = {"context": context, "eager_start": eager_start}
    task = factory(loop, coro, **{key: value for key, value in keywords.items() if value is not None})
    if name is not None and hasattr(task, "set_name"):
        task.set_name(name)
    return task


def stop_iteration_is_refused() -> bool:
    """Ask asyncio's own future; the answer changed within the life of 3.12."""
    future = asyncio.futures._PyFuture(loop=SimpleNamespace(get_debug=bool))
    try:
        future.set_exception(StopIteration())
    except TypeError:
        return True
    future._log_traceback = False
    return False


# ---- running


def begin_run(loop: Any) -> tuple[Any, int | None]:
    """Before the first iteration: asynchronous generators' hooks, and signals' way into the reactor.

    Without a wake-up descriptor a signal that arrives just before the loop goes to sleep would be noticed
    only when something else wakes it.
    """
    previous = None
    if threading.current_thread() is threading.main_thread():
        fd = loop._signal_sender()
        previous = signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
        if previous not in (-1, fd):  # somebody else listens: leave it to them
            signal.set_wakeup_fd(previous)
            previous = None
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(loop._asyncgen_firstiter_hook, loop._asyncgen_finalizer_hook)
    loop._set_coroutine_origin_tracking(loop._debug)
    return hooks, previous


def end_run(loop: Any, run: tuple[Any, int | None]) -> None:
    """After the last iteration: undo ``begin_run``. Signal handlers of the loop stay."""
    hooks, previous = run
    loop._set_coroutine_origin_tracking(False)
    sys.set_asyncgen_hooks(*hooks)
    # Not when handlers were added meanwhile: asyncio leaves the descriptor set for them between runs.
    if previous is not None and not loop._signal_handlers:
        current = signal.set_wakeup_fd(previous)
        if current != loop._signal_sender():  # the program has set one of its own meanwhile
            signal.set_wakeup_fd(current)


def before_close(loop: Any) -> None:
    """Signal handlers go, as in ``_UnixSelectorEventLoop.close``."""
    if loop._debug:
        logger.debug("Close %r", loop)
    if unix_events.sys.is_finalizing() and loop._signal_handlers:  # whoever pretends it does so for asyncio's loop
        warnings.warn(
            f"Closing the loop {loop!r} on interpreter shutdown stage, skipping signal handlers removal",
            ResourceWarning,
            source=loop,
        )
        loop._signal_handlers.clear()
    for sig in list(loop._signal_handlers):
        loop.remove_signal_handler(sig)
    files = loop.__dict__.pop("_plait_files", None)
    if files is not None and files.is_usable():
        loop.remove_reader(files.fileno())
        files.close()


def after_close(loop: Any) -> None:
    """The default executor goes, as in ``BaseEventLoop.close``, and with it the one that resolves names."""
    loop._executor_shutdown_called = True
    executor = loop._default_executor
    if executor is not None:
        loop._default_executor = None
        executor.shutdown(wait=False)
    resolver = loop._resolver
    if resolver is not None:
        loop._resolver = None
        resolver.shutdown(wait=False)


def warn_unclosed_loop(loop: Any, _warn: Any = warnings.warn) -> None:
    """Called by a finalizer, perhaps so late that this module has lost its names."""
    _warn(f"unclosed event loop {loop!r}", ResourceWarning, source=loop)


# ---- reports


def report_callback_error(loop: Any, handle: Any, callback: Any, args: Any, error: BaseException) -> None:
    """asyncio's report of a callback that raised (``Handle._run``)."""
    shown = format_helpers._format_callback_source(callback, args or (), **_debug_keyword(loop))
    context = {"message": f"Exception in callback {shown}", "exception": error}
    if handle is not None:
        context["handle"] = handle
        if handle._source_traceback:
            context["source_traceback"] = handle._source_traceback
    loop.call_exception_handler(context)


def report_own_callback_error(loop: Any, name: str, args: Any, error: BaseException) -> None:
    """The same for a callback that is a private method of asyncio's transports, shown by the ``name`` that it has there."""
    report_callback_error(loop, None, SimpleNamespace(__qualname__=name), args, error)


def _debug_keyword(loop: Any) -> dict[str, bool]:
    # 3.13 shows arguments in debug mode only; before that there is no such parameter
    return {"debug": loop.get_debug()} if sys.version_info >= (3, 13) else {}


def report_error(loop: Any, what: str, error: BaseException) -> None:
    """A task could not even be stepped (its context was entered elsewhere, say), or a transport's own work failed."""
    loop.call_exception_handler({"message": f"Exception in callback {what}", "exception": error})


def log_slow(ran: Any, seconds: float) -> None:
    """asyncio's slow-callback log; a task's step is shown as the task."""
    shown = base_events._format_handle(ran) if hasattr(ran, "_callback") else repr(ran)
    base_events.logger.warning("Executing %s took %.3f seconds", shown, seconds)


def log_transport_error(transport: Any, message: str, error: BaseException) -> None:
    logger.debug("%r: %s", transport, message, exc_info=error)


# ---- sockets


def socket_from_fd(fd: int) -> socket.socket:
    """A non-blocking socket object over an accepted connection."""
    sock = socket.socket(fileno=fd)
    try:
        sock.setblocking(False)
    except BaseException:
        sock.detach()  # the descriptor stays the caller's
        raise
    return sock


def warn_unclosed_transport(transport: Any, _warn: Any = warnings.warn) -> None:
    """Called by a finalizer, like the loop's."""
    _warn(f"unclosed transport {transport!r}", ResourceWarning, source=transport)


# What a datagram transport says it is, with all that asyncio's own derives from.
datagram_transport: Any = selector_events._SelectorDatagramTransport
if not issubclass(datagram_transport, asyncio.DatagramTransport):  # 3.11's own is none
    datagram_transport = type("DatagramTransport", (datagram_transport, asyncio.DatagramTransport), {})


def _datagram_header() -> int | None:
    """What asyncio counts for each datagram that waits beside its bytes; None if it does not, and sends no empty ones."""
    known: int | None = getattr(datagram_transport, "_header_size", None)
    counts = 8 in selector_events._SelectorDatagramTransport.sendto.__code__.co_consts
    return known if known is not None else 8 if counts else None


datagram_header = _datagram_header()


def _leave_open(_writer: Any) -> None:
    """Python 3.11 before 3.11.5 neither warns nor closes."""


# What a StreamWriter does when it dies with its connection open.
stream_writer_del: Any = getattr(streams.StreamWriter, "__del__", _leave_open)


def _signal_socket(loop: Any) -> Any:
    """Stands for asyncio's self-pipe where the lent signal code asks for its descriptor."""
    return SimpleNamespace(fileno=loop._signal_sender)


def _selector(loop: Any) -> Any:
    """A read-only look at what is watched, for code that reads ``loop._selector``."""
    import selectors

    keys = {
        fd: selectors.SelectorKey(fd, fd, reads * selectors.EVENT_READ | writes * selectors.EVENT_WRITE, None)
        for fd, reads, writes in loop._watched()
    }
    return SimpleNamespace(get_map=lambda: keys, get_key=keys.__getitem__)


def sock_connect(self: Any, sock: Any, address: Any) -> Any:
    """Connect ``sock``; blocking sockets are accepted outside debug mode and do not block the loop."""
    if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_numeric(sock, address):
        return _connect_by_name(self, sock, address)
    return self._sock_connect(sock, address)


def _is_numeric(sock: Any, address: Any) -> bool:
    try:
        host, port = address[:2]
        return base_events._ipaddr_info(host, port, sock.family, sock.type, sock.proto) is not None
    except Exception:  # whatever is wrong with it, resolving says so, in asyncio's words and when it is awaited
        return False


async def _connect_by_name(loop: Any, sock: Any, address: Any) -> None:
    base_events._check_ssl_socket(sock)
    if loop._debug and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")
    found = await loop._ensure_resolved(address, family=sock.family, type=sock.type, proto=sock.proto, loop=loop)
    await loop._sock_connect(sock, found[0][4])
