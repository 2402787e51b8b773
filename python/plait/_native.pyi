# The native module (crates/plait-py). Its classes stand in for the standard ones, whose methods and types they keep, so the
# stubs inherit all that is the same and write down only what is not. At run time they are leaves: isinstance sees the bases
# given here, issubclass does not. tests/faces/stubtest-allowlist.txt says what the check of these stubs passes over, and why.

import asyncio
import concurrent.futures
import queue
import ssl
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextvars import Context
from socket import socket
from types import GenericAlias, TracebackType
from typing import Any, Literal, Never, Self, TypedDict, TypeVar, final, type_check_only

from _typeshed import SupportsRichComparisonT
from typing_extensions import disjoint_base

_T = TypeVar("_T")

__all__ = [
    "__version__",
    "EventLoop",
    "Future",
    "FutureIter",
    "Task",
    "TaskStepMethWrapper",
    "TaskWakeupMethWrapper",
    "Handle",
    "TimerHandle",
    "TimerFuture",
    "_GatheringFuture",
    "GatherCallback",
    "WaitManyFuture",
    "Timeout",
    "WaitForTimeout",
    "TaskGroup",
    "Answered",
    "Completions",
    "WatcherCallback",
    "SocketTransport",
    "DatagramTransport",
    "ReadPipeTransport",
    "WritePipeTransport",
    "SubprocessTransport",
    "ChildPipe",
    "start_process",
    "SockOp",
    "FileEngine",
    "File",
    "TlsProtocol",
    "TlsTransport",
    "StreamReader",
    "StreamWriter",
    "StreamReaderProtocol",
    "WaitFuture",
    "AsyncioLock",
    "AsyncioEvent",
    "AsyncioCondition",
    "AsyncioSemaphore",
    "AsyncioBoundedSemaphore",
    "AsyncioBarrier",
    "ThreadingEvent",
    "ThreadingCondition",
    "ThreadingSemaphore",
    "ThreadingBoundedSemaphore",
    "ThreadingBarrier",
    "Lock",
    "RLock",
    "Event",
    "Condition",
    "Semaphore",
    "BoundedSemaphore",
    "Barrier",
    "AsyncioQueue",
    "AsyncioLifoQueue",
    "AsyncioPriorityQueue",
    "ProcessQueueBase",
    "ProcessQueue",
    "ProcessSimpleQueue",
    "Unsent",
    "Switchboard",
    "ProcessLink",
    "WorkerEnd",
    "SharedBuffer",
    "ThreadingQueue",
    "ThreadingLifoQueue",
    "ThreadingPriorityQueue",
    "Queue",
    "LifoQueue",
    "PriorityQueue",
    "ConcurrentFuture",
    "FutureWatcher",
    "SourceCanceller",
    "process_future",
    "WorkQueue",
    "WorkItem",
    "follow",
    "watch_futures",
    "wait_for_futures",
    "result_or_cancel",
    "work",
    "start_timer",
    "gather",
    "set_hub",
    "shelter",
    "timeout",
    "timeout_at",
    "start_wait_for",
    "start_wait",
    "start_completions",
    "shield",
    "registered_tasks",
    "after_fork_in_child",
    "explain_deadlocks",
    "watch_loops",
    "watched_threshold",
    "watchdog_before_fork",
    "count_fork_attempt",
    "LockSegment",
    "ProcessLock",
    "ProcessEvent",
    "ProcessCondition",
    "ProcessBarrier",
    "ThreadingLock",
    "ThreadingRLock",
    "allocate_lock",
    "BenchIdle",
    "BenchReceiver",
    "bench_churn",
    "bench_client",
    "bench_cpu_ns",
    "GilMonitor",
    "bench_download",
    "bench_endurance",
    "bench_flood",
    "bench_idle",
    "bench_server",
]

__version__: str

# --- what programs meet while deadlocks are explained (docs/deadlocks.md)

@final
class ThreadingLock:
    """Mutual exclusion among threads, whose holder plait knows.

    Any thread may release it. Safe to use from all threads. Counterpart: ``threading.Lock``.
    """

    def __init__(self) -> None: ...
    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock.

        Args:
            blocking: wait until it can be had; otherwise answer at once.
            timeout: wait for at most so many seconds; -1 for ever.

        Returns:
            Whether the lock was taken.
        """

    def acquire_lock(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...
    def release_lock(self) -> None: ...
    def locked(self) -> bool: ...
    def locked_lock(self) -> bool: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *_exception: object) -> None: ...
    def _at_fork_reinit(self) -> None: ...
    @property
    def _waiting(self) -> int: ...

@disjoint_base
class ThreadingRLock:
    """Mutual exclusion among threads, for one that may take it several times, and whose holder plait knows.

    The thread that took it has to release it, as often as it took it. Safe to use from all threads. Counterpart: ``threading.RLock``.
    """

    def __init__(self) -> None: ...
    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *_exception: object) -> None: ...
    def _is_owned(self) -> bool: ...
    def _recursion_count(self) -> int: ...
    def _release_save(self) -> tuple[int, int]: ...
    def _acquire_restore(self, saved: tuple[int, int]) -> None: ...
    def _at_fork_reinit(self) -> None: ...
    @property
    def _waiting(self) -> int: ...

def allocate_lock() -> ThreadingLock:
    """A new lock. Safe to call from any thread. Counterpart: ``threading.Lock`` before Python 3.13, where that is a function."""

def watch_loops(seconds: float | None, /) -> float | None:
    """Set the watchdog's threshold; None switches it off. Returns the one before."""

def watched_threshold() -> float | None: ...
def watchdog_before_fork() -> None: ...
def count_fork_attempt() -> None: ...
def explain_deadlocks(on: bool, /) -> bool:
    """Have locks tell ``plait._deadlock`` who takes them and who waits. Programs call ``plait._deadlock.explain``.

    Returns:
        Whether they did.

    Safe to call from any thread.
    """

# --- what programs meet

@disjoint_base
class EventLoop(asyncio.BaseEventLoop):
    async def sock_recv(self, sock: socket, n: int) -> bytes: ...

@disjoint_base
class Future(asyncio.Future[_T]):
    def __init__(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None: ...
    def set_result(self, result: _T) -> None: ...
    def set_exception(self, exception: type[BaseException] | BaseException) -> None: ...
    def add_done_callback(self, callback: Callable[[Any], object], /, *, context: Context | None = None) -> None: ...
    def remove_done_callback(self, callback: Callable[[Any], object], /) -> int: ...
    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias: ...

@disjoint_base
class Task(asyncio.Task[_T]):
    def set_result(self, _result: Any) -> Never: ...
    def set_exception(self, _exception: Any) -> Never: ...
    def set_name(self, value: object) -> None: ...
    def get_context(self) -> Context: ...  # on every Python, as the loop needs it; asyncio's has it from 3.12

@disjoint_base
class Handle(asyncio.Handle):
    def get_context(self) -> Context: ...  # likewise

@disjoint_base
class TimerHandle(asyncio.TimerHandle): ...

@final
class SocketTransport(asyncio.Transport): ...

@final
class DatagramTransport(asyncio.DatagramTransport):
    max_size: int
    def is_reading(self) -> bool: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def get_write_buffer_limits(self) -> tuple[int, int]: ...

@final
class TlsTransport(asyncio.Transport):
    """The application's transport of a TLS connection."""

    def get_read_buffer_limits(self) -> tuple[int, int]: ...
    def get_read_buffer_size(self) -> int: ...
    def set_read_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

@final
class TlsProtocol(asyncio.BufferedProtocol):
    """TLS between a transport and an application's protocol; asyncio's ``sslproto.SSLProtocol``."""

    max_size: int
    def __new__(
        cls,
        loop: EventLoop,
        app_protocol: asyncio.BaseProtocol,
        sslcontext: ssl.SSLContext | None,
        waiter: asyncio.Future[None] | None,
        server_side: bool = False,
        server_hostname: str | None = None,
        call_connection_made: bool = True,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Self: ...
    def data_received(self, data: bytes) -> None: ...

@final
class ReadPipeTransport(asyncio.ReadTransport):
    max_size: int

@final
class WritePipeTransport(asyncio.Transport): ...

@final
class SubprocessTransport(asyncio.SubprocessTransport): ...

@final
class ChildPipe:
    """The protocol of one of a child's pipes."""

    def __new__(cls, proc: SubprocessTransport, fd: int) -> Self: ...
    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> None: ...
    def connection_lost(self, exc: BaseException | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    @property
    def fd(self) -> int: ...
    @property
    def proc(self) -> SubprocessTransport | None: ...
    @property
    def pipe(self) -> asyncio.BaseTransport | None: ...
    @property
    def disconnected(self) -> bool: ...

def start_process(
    loop: EventLoop,
    protocol: asyncio.SubprocessProtocol,
    args: Any,
    shell: bool,
    stdin: Any,
    stdout: Any,
    stderr: Any,
    waiter: Future[None] | None,
    extra: dict[str, Any] | None,
    options: dict[str, Any],
) -> SubprocessTransport: ...

# --- what the loop and its tasks make for themselves

@final
class FutureIter:
    """What a future's ``__await__`` returns."""

    def __iter__(self) -> FutureIter: ...
    def __next__(self) -> Any: ...
    def send(self, _value: Any) -> Any: ...
    def throw(self, type: Any, value: Any = None, traceback: Any = None, /) -> Any: ...
    def close(self) -> None: ...

@final
class FileEngine:
    """Who reads and writes the files of one loop (plait.fs)."""

    def __new__(cls, loop: asyncio.AbstractEventLoop, engine: str | None = None, at_once: bool = True) -> Self: ...
    @property
    def at_once(self) -> bool: ...
    @property
    def kind(self) -> str: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def pending(self) -> int: ...
    @property
    def served(self) -> tuple[int, int]: ...
    @property
    def threads(self) -> int: ...
    def fileno(self) -> int: ...
    def is_usable(self) -> bool: ...
    def settle_writes(self, seconds: float) -> bool: ...
    def close(self) -> None: ...
    def give_up(self, future: asyncio.Future[Any]) -> None: ...
    def _flush(self) -> None: ...
    def _collect(self) -> None: ...
    def open(
        self, path: str | bytes, mode: str, flags: int, readable: bool, writable: bool, buffering: int
    ) -> File | asyncio.Future[File]: ...
    def adopt(
        self, fd: int, name: Any, owned: bool, readable: bool, writable: bool, buffering: int
    ) -> asyncio.Future[File]: ...
    def read_path(self, path: str | bytes) -> bytes | asyncio.Future[bytes]: ...
    def write_path(self, path: str | bytes, data: Any, flags: int, durable: bool) -> asyncio.Future[int]: ...
    def replace_path(self, path: str | bytes, data: Any) -> asyncio.Future[int]: ...

@final
class File:
    """An open file: attempts, which answer None where something is lacking, and what `io.TextIOWrapper` asks of it."""

    @property
    def buffer_size(self) -> int: ...
    @property
    def busy(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    @property
    def crowded(self) -> bool: ...
    @property
    def is_local(self) -> bool: ...
    @property
    def is_regular(self) -> bool: ...
    @property
    def name(self) -> Any: ...
    def take(self, count: int | None = None, /) -> bytes | None: ...
    def take_once(self, count: int) -> bytes | None: ...
    def take_line(self, limit: int | None = None, /) -> bytes | None: ...
    def take_into(self, buffer: Any, once: bool) -> int | None: ...
    def look(self) -> bytes | None: ...
    def bytes_ready(self, count: int) -> bool | None: ...
    def line_ready(self) -> bool | None: ...
    def all_ready(self) -> bool | None: ...
    def drained(self) -> bool | None: ...
    def move_to(self, offset: int, whence: int) -> int | None: ...
    def proceed(self) -> asyncio.Future[None]: ...
    def put(self, data: Any) -> int | None: ...
    def put_and_drain(self, data: Any) -> tuple[int, asyncio.Future[None] | None]: ...
    def write_once(self, data: Any) -> asyncio.Future[int]: ...
    @property
    def writing(self) -> bool: ...
    @property
    def aside(self) -> bool: ...
    def wait_aside(self) -> asyncio.Future[None]: ...
    def write_aside(self, data: Any) -> asyncio.Future[int]: ...
    def give_up(self, future: asyncio.Future[Any]) -> None: ...
    def truncate_to(self, length: int) -> asyncio.Future[int]: ...
    def sync(self, data_only: bool) -> asyncio.Future[None]: ...
    def close_now(self) -> asyncio.Future[None] | None: ...
    def set_blocking(self, blocking: bool) -> None: ...
    def hold_end(self, held: bool) -> None: ...
    def detach(self) -> tuple[int, bool] | None: ...
    def readable(self) -> bool: ...
    def writable(self) -> bool: ...
    def seekable(self) -> bool: ...
    def fileno(self) -> int: ...
    def isatty(self) -> bool: ...
    def read(self, count: int | None = None, /) -> bytes: ...
    def read1(self, count: int = ..., /) -> bytes: ...
    def write(self, data: Any, /) -> int: ...
    def flush(self) -> None: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...

@final
class SockOp:
    """A socket operation under way; awaitable, and a coroutine to who asks (``asyncio.iscoroutine``)."""

    def __iter__(self) -> SockOp: ...
    def __next__(self) -> Any: ...
    def __await__(self) -> Generator[Any, Any, Any]: ...
    def send(self, _value: Any) -> Any: ...
    def throw(self, type: Any, value: Any = None, traceback: Any = None, /) -> Any: ...
    def close(self) -> None: ...
    @property
    def cr_running(self) -> bool: ...
    __name__: str
    __qualname__: str

@final
class TaskStepMethWrapper:
    """The callback that takes a task one step further; named as asyncio's own is."""

    __qualname__: str
    @property
    def __self__(self) -> Task[Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> None: ...

@final
class TaskWakeupMethWrapper:
    """The callback that a task leaves with the future it waits for; named as asyncio's own is."""

    __qualname__: str
    @property
    def __self__(self) -> Task[Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> None: ...

@disjoint_base
class TimerFuture(Future[None]):
    """What a sleeping task waits for."""

    def disarm(self) -> None: ...

@final
class _GatheringFuture(Future[list[Any]]):
    """What `gather` returns; named as asyncio's own is."""

    _children: list[asyncio.Future[Any]]
    _cancel_requested: bool

@final
class GatherCallback:
    """The callback that `gather` leaves with a future of another make."""

    __qualname__: str
    def __call__(self, future: Any) -> None: ...

@final
class WaitManyFuture(TimerFuture):
    """What a task in `wait` waits for."""

    def give_up(self) -> None: ...
    def answer(self) -> tuple[set[Any], set[Any]]: ...

@disjoint_base
class Timeout:
    """What `timeout` returns; to isinstance, an asyncio.Timeout (which no stub may derive from: it is final)."""

    def when(self) -> float | None: ...
    def reschedule(self, when: float | None) -> None: ...
    def expired(self) -> bool: ...
    async def __aenter__(self) -> Timeout: ...
    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Answered: ...
    def _begin(self) -> None: ...
    def _on_timeout(self) -> None: ...
    @property
    def _state(self) -> Any: ...
    @property
    def _when(self) -> float | None: ...
    @property
    def _task(self) -> asyncio.Task[Any] | None: ...

@final
class WaitForTimeout(Timeout):
    """The time-out of a `wait_for`."""

    def ended(self) -> None: ...
    def failed(self, error: BaseException) -> None: ...

@disjoint_base
class TaskGroup(asyncio.TaskGroup):
    """Tasks that are all awaited when the block ends, and cancelled when one of them fails.

    Their exceptions, but CancelledError, leave the block together in an ExceptionGroup. For the loop's own thread, to be entered
    once, in a task. Counterpart: ``asyncio.TaskGroup``.
    """

@final
class Answered:
    """An awaitable that is answered already, with None."""

    def __await__(self) -> Answered: ...
    def __iter__(self) -> Answered: ...
    def __next__(self) -> Any: ...
    def send(self, _value: Any) -> Any: ...
    def throw(self, type: Any, value: Any = None, traceback: Any = None, /) -> Any: ...
    def close(self) -> None: ...

@final
class Completions:
    """What `as_completed` iterates over."""

    def __len__(self) -> int: ...
    def wait(self) -> Future[None] | None: ...
    def give_up(self, waiter: Any) -> None: ...
    def take(self) -> Any: ...

@final
class WatcherCallback:
    """The callback that `wait`, `shield`, `as_completed` or a group shows, or leaves with a future of another make."""

    __qualname__: str
    def __call__(self, future: Any) -> None: ...

@final
class WaitFuture(Future[bool]):
    """What a task, or a greenlet, waits for in a wait queue."""

def shelter(threads: list[int]) -> None: ...
def set_hub(hub: Any, /) -> Any: ...
def timeout(delay: float | None) -> Timeout: ...
def timeout_at(when: float | None) -> Timeout: ...
def start_wait_for(fut: Any, timeout: float | None, /) -> Any: ...
def start_wait(fs: Any, timeout: float | None, return_when: str, /) -> WaitManyFuture | None: ...
def start_completions(aws: Any, timeout: float | None, /) -> Completions: ...
def shield(arg: Awaitable[_T]) -> asyncio.Future[_T]: ...
def start_timer(delay: float, /) -> TimerFuture | None: ...
def gather(*coros_or_futures: Awaitable[Any], return_exceptions: bool = False) -> asyncio.Future[list[Any]]: ...
def registered_tasks() -> list[Task[Any]]: ...
def after_fork_in_child() -> None: ...

# --- what plait bench loads servers with

@type_check_only
class _BenchCost(TypedDict):
    requests: int
    wall_ns: int
    server_cpu_ns: int | None
    client_cpu_ns: int

@type_check_only
class _BenchReport(_BenchCost):
    p50_ns: int
    p90_ns: int
    p99_ns: int
    max_ns: int

def bench_client(
    host: str,
    port: int,
    *,
    connections: int,
    size: int,
    warm_up: int,
    requests: int,
    core: int | None = None,
    server_pid: int | None = None,
    timeout: float = 30.0,
    transport: Literal["tcp", "udp", "unix"] = "tcp",
    request: Sequence[int] | None = None,
    beginning: Sequence[int] | None = None,
) -> _BenchReport:
    """Load a server: on each connection one message is in flight, and the next is sent when its reply is whole.

    Args:
        host: the server's name or address, or the path of its Unix socket.
        port: its port; not looked at for a Unix socket.
        connections: how many to open.
        size: bytes in a message, or in the reply to `request`.
        warm_up: requests before the counted ones, on all connections together.
        requests: requests that are counted, on all connections together.
        core: the core that the calling thread stays on meanwhile; None leaves it where it is.
        server_pid: the server's process, if the CPU time of all its threads is to be measured.
        timeout: seconds without a byte moved, or for one connection to be made, after which it gives up. (A datagram that is lost ends
            in that, too.)
        transport: what the connections are.
        request: the bytes of a request that is answered by something else, as in HTTP; None loads an echo server.
        beginning: the bytes that a reply to `request` begins with, as far as they are known.

    Returns:
        Totals of the counted requests: ``wall_ns``, ``client_cpu_ns`` (of the calling thread) and ``server_cpu_ns`` (None without
        ``server_pid``), in nanoseconds; and the latency, from the first byte sent to the last one back, that 50, 90
        and 99 % of them did not exceed (up to 1.6 % too high) and its maximum.

    Raises:
        ValueError: an option makes no sense, there is no such core, or there cannot be so many descriptors.
        TimeoutError: nothing moved for `timeout`.
        ConnectionError: the server refuses, resets or closes a connection.
        OSError: a reply is not what was sent, there is no process of that number, or a system call failed.

    Contents are compared once per connection before the load and once after it. The process's soft limit of descriptors is
    raised if it has to be, and stays so. Safe to call from any thread; Ctrl-C ends it in the main thread only.
    """

def bench_churn(
    host: str,
    port: int,
    *,
    connections: int,
    size: int,
    warm_up: int,
    requests: int,
    core: int | None = None,
    server_pid: int | None = None,
    timeout: float = 30.0,
) -> _BenchCost:
    """Open connections to a TCP echo server, use each for one message, and close it.

    Args:
        host: the server's name or address.
        port: its TCP port.
        connections: how many are open at once.
        size: bytes in the message.
        warm_up: connections before the counted ones.
        requests: connections that are counted.
        core: the core that the calling thread stays on meanwhile; None leaves it where it is.
        server_pid: the server's process, if the CPU time of all its threads is to be measured.
        timeout: seconds after which one connection or one answer is given up.

    Returns:
        Totals of the counted connections, in nanoseconds, as those of `bench_client`.

    Raises:
        ValueError, TimeoutError, ConnectionError, OSError: as `bench_client`. Every reply is compared.

    To a server on 127.0.0.1 they come from 200 addresses of that network in turn, which leaves enough ports. Safe to call from any
    thread; Ctrl-C ends it in the main thread only.
    """

def bench_download(
    host: str,
    port: int,
    *,
    warm_up: int,
    requests: int,
    core: int | None = None,
    server_pid: int | None = None,
    timeout: float = 30.0,
) -> _BenchCost:
    """Ask a server for many bytes over one connection, and take them in.

    Args:
        host: the server's name or address.
        port: its TCP port. It answers a number in eight bytes, the least first, with so many bytes, each its place's remainder by 251.
        warm_up: bytes before the counted ones.
        requests: bytes that are counted.
        core: the core that the calling thread stays on meanwhile; None leaves it where it is.
        server_pid: the server's process, if the CPU time of all its threads is to be measured.
        timeout: seconds without a byte after which it gives up.

    Returns:
        Totals of the counted bytes, in nanoseconds, as those of `bench_client`.

    Raises:
        ValueError, TimeoutError, ConnectionError, OSError: as `bench_client`. Contents are compared in the warm-up.

    Safe to call from any thread; Ctrl-C ends it in the main thread only.
    """

def bench_flood(host: str, port: int, *, requests: int, size: int, core: int | None = None) -> float:
    """Send datagrams as fast as the kernel takes them, and wait for no answer.

    Args:
        host: the receiver's name or address.
        port: its UDP port.
        requests: how many.
        size: bytes in each, at most 65,507.
        core: the core that the calling thread stays on meanwhile; None leaves it where it is.

    Returns:
        How many seconds it took.

    Raises:
        ValueError: an option makes no sense, or there is no such core.
        ConnectionRefusedError: nobody receives there.
        OSError: a system call failed.

    Safe to call from any thread; Ctrl-C ends it in the main thread only.
    """

@type_check_only
class _BenchEndurance(TypedDict):
    opened: int
    kept: int
    bodies: dict[bytes, int]
    failures: list[tuple[float, str, bytes]]

def bench_endurance(
    host: str, port: int, request: bytes, *, opening: int, keeping: int, seconds: float, timeout: float = 30.0
) -> _BenchEndurance:
    """Send requests to a server of HTTP/1.1 whatever becomes of it, and tell what became of each.

    Args:
        host: where the server is.
        port: its port.
        request: what is sent. An answer has status 200, a Content-Length, and a body that says which worker it was.
        opening: so many clients open a connection for each request.
        keeping: so many keep theirs, until they are told that it will be closed.
        seconds: for how long.
        timeout: a server that says nothing for so many seconds has failed.

    Returns:
        How many were answered on connections that were `opened` for them, and on such as were `kept`; how often each of the `bodies` came; and the
        `failures`: when one was seen (in seconds, as ``time.monotonic``), how it failed, and the body that had come before on that connection.
        How: ``refused``; ``reset`` or ``closed`` before a byte of the answer, ``stale`` if the connection had been kept (the request is
        sent again); ``cut`` in its midst; ``wrong``; ``silent``.

    Raises:
        ValueError: there are no clients, or a number of seconds makes no sense.
        OSError: this side cannot go on: it has no descriptors, say.

    Detached from the interpreter. A signal's handler may end it, by what it raises. Safe to call from any thread. No standard counterpart.
    """

def bench_cpu_ns(pid: int) -> int:
    """How long all threads of a process have been on a processor since it began, in nanoseconds.

    Args:
        pid: the process's id.

    Raises:
        ProcessLookupError: there is no process of that number.
        OSError: the clock cannot be read.

    ``time.process_time_ns`` for another process. Safe to call from any thread.
    """

@final
class BenchIdle:
    """Open connections that do nothing, made by `bench_idle`; closed by `close`, or when it is collected.

    ``len`` of it is how many are open. Safe to use from any thread.
    """

    def __len__(self) -> int: ...
    def close(self) -> None:
        """Close them all. To call it again does nothing."""

def bench_idle(host: str, port: int, *, connections: int, size: int, timeout: float = 30.0) -> BenchIdle:
    """Open connections to an echo server, echo one message on each, and leave them open.

    Args:
        host: the server's name or address.
        port: its TCP port.
        connections: how many to open.
        size: bytes in the message.
        timeout: seconds without a byte moved, or for one connection to be made, after which it gives up.

    Returns:
        What holds the connections.

    Raises:
        ValueError, TimeoutError, ConnectionError, OSError: as `bench_client`.

    The process's soft limit of descriptors is raised if it has to be, and stays so. Safe to call from any thread; Ctrl-C ends
    it in the main thread only.
    """

@final
class BenchReceiver:
    """A receiver of datagrams on epoll and nothing else, for floods.

    The benchmark's own; asyncio has no counterpart.
    """

    def __init__(self) -> None: ...
    @property
    def received(self) -> int:
        """How many datagrams have come so far. Can be read from any thread meanwhile."""

    def serve(self, fd: int, *, core: int | None = None) -> None:
        """Receive until a signal handler raises. Runs detached; one thread at a time.

        Args:
            fd: a bound UDP socket. It stays the caller's, must stay open, and is made non-blocking.
            core: the core to stay on.

        Raises:
            ValueError: the descriptor is negative, or there is no such core.
            OSError: a system call failed.
        """

def bench_server(kind: Literal["epoll", "io_uring", "udp", "pieces", "file"], fd: int, *, core: int | None = None) -> None:
    """Run a reference server in the calling thread, until a signal's handler raises or the process ends.

    Args:
        kind: what an echo server is made on; ``"pieces"`` and ``"file"`` send so many bytes as a connection asks for in eight.
        fd: a listening TCP socket (for ``"epoll"`` a Unix one as well), for ``"udp"`` a bound UDP socket. It stays the caller's, and
            must stay open; all but ``"io_uring"`` make it non-blocking.
        core: the core that the thread stays on meanwhile; None leaves it where it is.

    Raises:
        ValueError: there is no such kind or core, or fd is negative.
        KeyboardInterrupt: Ctrl-C, in the main thread, and likewise what any other signal's handler raises.
        OSError: the kernel refuses (io_uring may be switched off, filtered or older than Linux 5.19), or a system call failed.

    The soft limit of descriptors is raised to the hard one, and stays so. Safe to call from any thread, but only in the main
    thread can a signal end it without ending the process.
    """


@disjoint_base
class StreamReader(asyncio.StreamReader):
    """What arrived on a stream and was not read yet: asyncio's StreamReader, made by `open_connection` and `start_server`, or by hand.

    Args:
        limit: the longest message of `readline` and `readuntil` without its separator, in bytes; reading from the transport pauses
            while more than twice as much waits. ValueError unless it is more than 0.
        loop: the loop whose futures reads wait on; None means the current one.

    For the loop's own thread. Every method and attribute is that of the counterpart, ``asyncio.StreamReader``.
    """

@disjoint_base
class StreamWriter(asyncio.StreamWriter):
    """Writes to a transport: asyncio's StreamWriter, made by `open_connection` and `start_server`, or by hand.

    Args:
        transport: what is written to.
        protocol: whose `_drain_helper` and `_get_close_waiter` are awaited by `drain` and `wait_closed`.
        reader: whose exception `drain` raises; may be None.
        loop: the transport's.

    For the loop's own thread. One that dies with its connection open closes it, with a ResourceWarning where the host Python's does.
    Counterpart: ``asyncio.StreamWriter``.
    """

    def __del__(self) -> None: ...  # type: ignore[override, unused-ignore]

@disjoint_base
class StreamReaderProtocol(asyncio.StreamReaderProtocol):
    """The protocol between a transport and a StreamReader, with the flow control of `StreamWriter.drain`.

    Args:
        stream_reader: gets what arrives. Held weakly once the connection is there.
        client_connected_cb: called with reader and writer for a new connection; a coroutine becomes a task.
        loop: None means the current one.

    For the loop's own thread. Counterpart: ``asyncio.StreamReaderProtocol``.
    """

# --- primitives in the place of asyncio's: for the tasks of one loop

@disjoint_base
class AsyncioLock(asyncio.Lock):
    """Mutual exclusion among the tasks of one loop, first come, first served. Counterpart: ``asyncio.Lock``."""

@disjoint_base
class AsyncioEvent(asyncio.Event):
    """A flag that the tasks of one loop wait for. Counterpart: ``asyncio.Event``."""

@disjoint_base
class AsyncioCondition(asyncio.Condition):
    """Tasks of one loop that wait to be notified, and a lock. Counterpart: ``asyncio.Condition``."""

@disjoint_base
class AsyncioSemaphore(asyncio.Semaphore):
    """Permits for the tasks of one loop, first come, first served. Counterpart: ``asyncio.Semaphore``."""

class AsyncioBoundedSemaphore(AsyncioSemaphore, asyncio.BoundedSemaphore):
    """The same, never released more often than acquired. Counterpart: ``asyncio.BoundedSemaphore``."""

@disjoint_base
class AsyncioBarrier(asyncio.Barrier):
    """A number of tasks of one loop that wait for each other. Counterpart: ``asyncio.Barrier``."""

@disjoint_base
class AsyncioQueue(asyncio.Queue[_T]):
    """A queue for the tasks of one loop. Counterpart: ``asyncio.Queue``."""

    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias: ...

class AsyncioLifoQueue(AsyncioQueue[_T], asyncio.LifoQueue[_T]):
    """The same, newest item first. Counterpart: ``asyncio.LifoQueue``."""

class AsyncioPriorityQueue(AsyncioQueue[SupportsRichComparisonT], asyncio.PriorityQueue[SupportsRichComparisonT]):
    """The same, smallest item first. Counterpart: ``asyncio.PriorityQueue``."""

# --- primitives in the place of threading's and queue's: for threads and greenlets

@disjoint_base
class ThreadingEvent(threading.Event):
    """A flag that threads wait for. Counterpart: ``threading.Event``."""

@disjoint_base
class ThreadingCondition(threading.Condition):
    """Threads that wait to be notified, and a lock. Counterpart: ``threading.Condition``."""

@disjoint_base
class ThreadingSemaphore(threading.Semaphore):
    """Permits for threads. Counterpart: ``threading.Semaphore``."""

    def __enter__(self) -> bool: ...  # type: ignore[override]

class ThreadingBoundedSemaphore(ThreadingSemaphore, threading.BoundedSemaphore):
    """The same, never released more often than acquired. Counterpart: ``threading.BoundedSemaphore``."""

@disjoint_base
class ThreadingBarrier(threading.Barrier):
    """A number of threads that wait for each other. Counterpart: ``threading.Barrier``."""

@disjoint_base
class ThreadingQueue(queue.Queue[_T]):
    """A queue for threads. Counterpart: ``queue.Queue``."""

    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias: ...

class ThreadingLifoQueue(ThreadingQueue[_T], queue.LifoQueue[_T]):
    """The same, newest item first. Counterpart: ``queue.LifoQueue``."""

class ThreadingPriorityQueue(ThreadingQueue[SupportsRichComparisonT], queue.PriorityQueue[SupportsRichComparisonT]):
    """The same, smallest item first. Counterpart: ``queue.PriorityQueue``."""

# --- in the place of multiprocessing's (plait.multiprocessing.queues)

@disjoint_base
class ProcessQueueBase:
    """A queue between processes, without its face."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    def _create(self, maxsize: int) -> None: ...
    def _open(self, memory: int, items: int, slots: int | None) -> None: ...
    def _descriptors(self) -> tuple[int, int, int | None]: ...
    def _wait_for_item(self, timeout: float | None) -> bool: ...
    def _ends_with(self, pipe: int) -> None: ...
    def _receive(self) -> Any: ...
    @property
    def _closed(self) -> bool: ...
    def _refuse(self) -> None: ...
    def _watch_items(self) -> int: ...
    def _watch_slots(self) -> int | None: ...
    def _hold(self, reading: bool, block: bool, timeout: float | None) -> bool: ...
    def _release(self, reading: bool) -> bool: ...

class ProcessQueue(ProcessQueueBase):
    """The native half of ``plait.multiprocessing.queues.Queue``."""

    def put(self, obj: Any, block: bool = True, timeout: float | None = None) -> None: ...
    def get(self, block: bool = True, timeout: float | None = None) -> Any: ...
    def qsize(self) -> int: ...
    def full(self) -> bool: ...
    def _is_empty(self) -> bool: ...
    @property
    def _has_put(self) -> bool: ...
    def _unsent(self) -> Unsent: ...
    def _task_done(self) -> None: ...
    def _join(self) -> None: ...

class ProcessSimpleQueue(ProcessQueueBase):
    """The native half of ``plait.multiprocessing.queues.SimpleQueue``."""

    def put(self, obj: Any) -> None: ...
    def get(self) -> Any: ...
    def empty(self) -> bool: ...

@final
class Unsent:
    """What a process has put into a queue and what is not there yet. Two of the same process and queue are equal."""

    def is_empty(self) -> bool: ...
    def is_fed(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def join(self) -> None: ...
    def give_up(self) -> None: ...

# --- in the place of concurrent.futures' (plait._executors, plait._futures, plait._offload)

@disjoint_base
class ConcurrentFuture(concurrent.futures.Future[_T]):
    """The result of a call that another thread makes. Counterpart: ``concurrent.futures.Future``."""

    def __await__(self) -> Generator[Any, Any, _T]: ...
    def add_done_callback(self, fn: Callable[[Any], object]) -> None: ...
    def kill(self) -> bool: ...
    def _has_callbacks(self) -> bool: ...
    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias: ...
    def __getstate__(self) -> Never: ...
    @property
    def _is_open(self) -> bool: ...

def process_future(source: Any) -> ConcurrentFuture[Any]: ...

@final
class SharedBuffer:
    """Memory in which an array crossed between processes, as an object with the buffer protocol."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class ProcessLink:
    """The pool's end of the link to one worker process."""

    def descriptor(self) -> int | None: ...
    def take_descriptor(self) -> int | None: ...
    def close_descriptor(self) -> None: ...
    def send(self, kind: int, number: int, parts: list[Any], waits: bool, /) -> list[Any] | None: ...
    @property
    def sent(self) -> int: ...
    def allow(self, number: int, alone: bool) -> None: ...
    def first_not_begun(self) -> int | None: ...
    def revoke(self) -> int | None: ...
    def kill(self, signal: int) -> None: ...
    def trim(self) -> None: ...
    @property
    def warm_bytes(self) -> int: ...
    def close(self) -> None: ...

@final
class Switchboard:
    """Where the answers of all worker processes of a pool come in."""

    def __new__(cls) -> Self: ...
    @property
    def by_rings(self) -> bool: ...
    def connect(self, key: int) -> ProcessLink: ...
    def watch(self, key: int, process: int) -> bool: ...
    def disconnect(self, key: int) -> None: ...
    def sleep(self, timeout: float | None) -> list[int]: ...
    def read_for(self, pool: Any, future: ConcurrentFuture[Any], seconds: float | None) -> None: ...
    def poke(self) -> None: ...
    def tell(self) -> None: ...
    def take(self, into: list[Any]) -> int: ...
    def descriptors(self) -> list[int]: ...
    def close(self) -> None: ...

@final
class WorkerEnd:
    """The worker's end of its link."""

    def __new__(cls, descriptor: int) -> Self: ...
    def receive(self, timeout: float | None) -> tuple[int, int, list[Any]] | None: ...
    def claim(self, number: int) -> bool: ...
    def has_more(self) -> bool: ...
    def send(self, kind: int, number: int, nanoseconds: int, parts: list[Any], rings: bool, /) -> None: ...
    def ring(self) -> None: ...
    def trim(self) -> None: ...

@final
class FutureWatcher:
    """What ``as_completed`` waits with."""

    def take(self, futures: set[Any], timeout: float | None, /) -> list[concurrent.futures.Future[Any]]: ...
    def forget(self, futures: set[concurrent.futures.Future[Any]], /) -> None: ...

@final
class SourceCanceller:
    """Cancels a pool's future when the loop's future is cancelled that follows it."""

    __qualname__: str
    def __call__(self, future: asyncio.Future[Any]) -> None: ...

@final
class WorkQueue:
    """The queue of a pool of threads: ``ThreadPoolExecutor._work_queue``."""

    def __new__(cls, asks_always: bool = False, carries_context: bool = False, executor: Any = None) -> Self: ...
    may_grow: bool
    @property
    def needs_worker(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    def submit(
        self, executor: Any, function: Callable[..., _T], args: tuple[Any, ...], kwargs: dict[str, Any], /
    ) -> ConcurrentFuture[_T] | None: ...
    def submit_each(
        self, executor: Any, function: Callable[..., _T], arguments: Any, /
    ) -> list[ConcurrentFuture[_T]] | None: ...
    def offload(
        self, loop_: EventLoop, executor: Any, function: Callable[..., _T], args: tuple[Any, ...], /
    ) -> Future[_T] | None: ...
    def close(self, _reference: Any = None, /) -> None: ...
    def refuse(self) -> None: ...
    def qsize(self) -> int: ...
    def empty(self) -> bool: ...
    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None: ...
    def put_nowait(self, item: Any) -> None: ...
    def get(self, block: bool = True, timeout: float | None = None) -> Any: ...
    def get_nowait(self) -> Any: ...

@final
class WorkItem:
    """A call that was taken out of such a queue by hand."""

    @property
    def future(self) -> ConcurrentFuture[Any]: ...
    @property
    def fn(self) -> Callable[..., Any]: ...
    @property
    def args(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> dict[str, Any]: ...
    def run(self) -> None: ...

def follow(source: Any, future: Any, loop_: Any, /) -> bool: ...
def watch_futures(futures: set[Any], /) -> FutureWatcher | None: ...
def wait_for_futures(
    futures: set[Any], timeout: float | None, return_when: str, /
) -> tuple[set[Any], set[Any]] | None: ...
def result_or_cancel(future: Any, timeout: float | None = None, /) -> Any: ...
def work(executor: Any, queue: WorkQueue, initializer: Callable[..., Any] | None, initargs: Any, /) -> None: ...

# --- primitives for threads, tasks of any loops, and greenlets at once. But for the two locks they are threading's and queue's, with
# coroutines; isinstance sees that while plait is installed.

@disjoint_base
class Lock:
    """Mutual exclusion among threads, tasks of any loop, and greenlets; any of them may release it.

    Use it by ``with`` in threads and greenlets, by ``async with`` in coroutines. Safe to use from everywhere. Counterparts:
    ``threading.Lock`` and ``asyncio.Lock``.
    """

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock.

        Args:
            blocking: wait until it can be had; otherwise answer at once.
            timeout: wait for at most so many seconds; -1 for ever.

        Returns:
            Whether the lock was taken.

        Raises:
            ValueError: a time-out that is negative, or that comes with ``blocking=False``.

        Blocks the calling thread, or greenlet where its thread has a hub. Counterpart: ``threading.Lock.acquire``.
        """

    async def aacquire(self) -> Literal[True]:
        """Take the lock. Cancelled, it takes nothing. For coroutines. Counterpart: ``asyncio.Lock.acquire``."""

    def release(self) -> None:
        """Open the lock, or hand it on.

        Raises:
            RuntimeError: nobody holds it.
        """

    def locked(self) -> bool:
        """Whether somebody holds it."""

    def __enter__(self) -> bool: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None: ...
    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> Awaitable[None]: ...

@disjoint_base
class RLock:
    """A lock that its holder may take again. The holder is the strand that took it: a task, a greenlet or a thread.

    Safe to use from everywhere. Counterpart: ``threading.RLock``; asyncio has none.
    """

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock, or take it once more: see `Lock.acquire`. Counterpart: ``threading.RLock.acquire``."""

    async def aacquire(self) -> Literal[True]:
        """Take the lock, or take it once more, for the running task. Cancelled, it takes nothing."""

    def release(self) -> None:
        """Release it once; the last time opens it, or hands it on.

        Raises:
            RuntimeError: the caller does not hold it.
        """

    def locked(self) -> bool:
        """Whether somebody holds it."""

    def __enter__(self) -> bool: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None: ...
    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> Awaitable[None]: ...

class Semaphore(ThreadingSemaphore):
    """A number of permits, for threads, tasks of any loop, and greenlets.

    Use it by ``with`` or ``async with``. Safe to use from everywhere. Counterparts: ``threading.Semaphore`` and ``asyncio.Semaphore``.
    """

    @property
    def value(self) -> int:
        """How many permits are left."""

    async def aacquire(self) -> Literal[True]:
        """Take a permit. Cancelled, it takes none. For coroutines. Counterpart: ``asyncio.Semaphore.acquire``."""

    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> Awaitable[None]: ...

class BoundedSemaphore(Semaphore):
    """The same, never released more often than acquired: ValueError. Counterparts: ``threading`` and ``asyncio.BoundedSemaphore``."""

class Event(ThreadingEvent):
    """A flag that threads, tasks of any loop, and greenlets wait for.

    Safe to use from everywhere. Counterparts: ``threading.Event`` and ``asyncio.Event``.
    """

    async def await_(self) -> Literal[True]:
        """Wait until the flag is set. For coroutines; it may be cancelled. Counterpart: ``asyncio.Event.wait``."""

class Condition(ThreadingCondition):
    """Threads, tasks of any loop, and greenlets that wait to be notified, and a lock.

    Args:
        lock: a `Lock` or an `RLock` of plait's; None: a new RLock.

    Use it by ``with`` or ``async with``. Safe to use from everywhere. Counterparts: ``threading.Condition`` and ``asyncio.Condition``.
    """

    def __init__(self, lock: Lock | RLock | None = None) -> None: ...
    async def aacquire(self) -> Literal[True]:
        """Take the lock. For coroutines. Counterpart: ``asyncio.Condition.acquire``."""

    async def await_(self) -> Literal[True]:
        """Release the lock, wait until notified, and take the lock again.

        Raises:
            RuntimeError: the caller does not hold the lock.

        Cancelled, it takes the lock again first, and its notification goes to the next. For coroutines. Counterpart:
        ``asyncio.Condition.wait``.
        """

    async def await_for(self, predicate: Callable[[], _T]) -> _T:
        """Wait until ``predicate()``, called with the lock held, is true; returns what it returned. Counterpart: ``asyncio.Condition.wait_for``."""

    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> Awaitable[None]: ...

class Barrier(ThreadingBarrier):
    """A number of threads, tasks of any loop, and greenlets that wait for each other.

    Safe to use from everywhere. Counterparts: ``threading.Barrier`` and ``asyncio.Barrier``.
    """

    async def await_(self) -> int:
        """Wait until all parties have come.

        Returns:
            A number from 0 to parties - 1, another one for each.

        Raises:
            threading.BrokenBarrierError: the barrier is broken, or was reset meanwhile.

        Cancelled, it counts as not having come. For coroutines. Counterpart: ``asyncio.Barrier.wait``.
        """

class Queue(ThreadingQueue[_T]):
    """A queue for threads, tasks of any loop, and greenlets.

    Args:
        maxsize: how many items it may hold; zero or less: any number.

    Safe to use from everywhere. Counterparts: ``queue.Queue`` and ``asyncio.Queue``.
    """

    is_shutdown: bool
    async def aput(self, item: _T) -> None:
        """Put an item into the queue, as soon as there is room.

        Raises:
            ShutDown: the queue was shut down.

        Cancelled, it puts nothing. For coroutines. Counterpart: ``asyncio.Queue.put``.
        """

    async def aget(self) -> _T:
        """Take an item out of the queue, as soon as there is one.

        Raises:
            ShutDown: the queue was shut down, and is empty.

        Cancelled, it takes nothing. For coroutines. Counterpart: ``asyncio.Queue.get``.
        """

    async def ajoin(self) -> None:
        """Wait until ``task_done()`` was called for each item that was put. For coroutines. Counterpart: ``asyncio.Queue.join``."""

    def shutdown(self, immediate: bool = False) -> None:
        """From now on puts raise ``ShutDown``, and gets too as soon as the queue is empty. On every Python.

        Args:
            immediate: drop the items that are there, and count them as done.
        """

class LifoQueue(Queue[_T]):
    """The same, newest item first. Counterparts: ``queue`` and ``asyncio.LifoQueue``."""

class PriorityQueue(Queue[SupportsRichComparisonT]):
    """The same, smallest item first. Counterparts: ``queue`` and ``asyncio.PriorityQueue``."""

@final
class GilMonitor:
    """A monitor of the GIL (`plait.gil`). What it answers is JSON."""

    def __new__(cls, interval: float, budget: float, descriptor: int | None = None, period: float = 1.0) -> Self: ...
    def stop(self) -> str: ...
    def snapshot(self) -> str: ...
    def close_in_child(self) -> None: ...

# ---- below multiprocessing's primitives: plait.multiprocessing.synchronize has the classes that programs use, and their docstrings

@final
class LockSegment:
    """A piece of shared memory with primitives in it."""

    def __new__(cls, descriptor: int) -> Self: ...
    def fileno(self) -> int: ...
    @property
    def key(self) -> tuple[int, int, int]: ...

@disjoint_base
class ProcessLock:
    """A lock or a semaphore of several processes, in the shape of ``_multiprocessing.SemLock``.

    Safe to use from all threads, coroutines and greenlets.
    """

    SEM_VALUE_MAX: int

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _fill(self, kind: int, value: int, maxvalue: int, holds: bool, place: tuple[LockSegment, int] | None = None) -> None: ...
    def _place(self) -> tuple[int, int, int, bool, tuple[LockSegment, int]]: ...
    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it.

        Args:
            block: wait until it can be had; otherwise answer at once.
            timeout: wait for at most so many seconds; None for ever, less than nothing not at all.

        Returns:
            Whether it was taken.

        Warns of a process that died holding it (RuntimeWarning). Interrupted by a signal's handler that raises, it takes nothing. Counterpart:
        ``multiprocessing.Lock.acquire``.
        """

    async def aacquire(self) -> Literal[True]:
        """Take it. Cancelled, it takes nothing. For coroutines. Counterpart: ``asyncio.Lock.acquire``."""

    def release(self) -> None:
        """Release it.

        Raises:
            ValueError: more than was acquired.
            AssertionError: of a recursive lock that the caller does not hold.
        """

    def __enter__(self) -> bool: ...
    def __exit__(self, *_exception: object) -> None: ...
    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(self, *_exception: object) -> Awaitable[None]: ...
    def _count(self) -> int: ...
    def _is_mine(self) -> bool: ...
    def _get_value(self) -> int: ...
    def _is_zero(self) -> bool: ...
    def _after_fork(self) -> None: ...
    @property
    def handle(self) -> int: ...
    @property
    def kind(self) -> int: ...
    @property
    def maxvalue(self) -> int: ...
    @property
    def name(self) -> None: ...

@disjoint_base
class ProcessEvent:
    """A flag that several processes wait for. Safe to use from all threads, coroutines and greenlets."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _fill(self, place: tuple[LockSegment, int] | None = None) -> None: ...
    def _place(self) -> tuple[LockSegment, int]: ...
    def is_set(self) -> bool: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set, for at most so many seconds. Whether it was, even if it was taken back since."""

    async def await_(self) -> Literal[True]:
        """Wait until the flag is set. For coroutines. Counterpart: ``asyncio.Event.wait``."""

@disjoint_base
class ProcessCondition:
    """Who waits, in several processes, to be notified; without the lock."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _fill(self, place: tuple[LockSegment, int] | None = None) -> None: ...
    def _place(self) -> tuple[LockSegment, int]: ...
    def _enter(self) -> int: ...
    def _sleep(self, group: int, timeout: float | None = None) -> bool: ...
    def _leave(self, group: int) -> bool: ...
    def _notify(self, count: int) -> None: ...
    def _waiting(self) -> tuple[int, int]: ...
    async def await_(self) -> Literal[True]:
        """Release the lock, wait until notified, and take the lock again. For coroutines. Counterpart: ``asyncio.Condition.wait``."""

    async def await_for(self, predicate: Callable[[], _T]) -> _T:
        """Wait until the predicate is true. For coroutines. Counterpart: ``asyncio.Condition.wait_for``."""

@disjoint_base
class ProcessBarrier:
    """A number of strands of several processes that wait for each other. Safe to use from all threads, coroutines and greenlets."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _fill(self, parties: int, action: Callable[[], Any] | None, place: tuple[LockSegment, int] | None = None) -> None: ...
    def _place(self) -> tuple[LockSegment, int]: ...
    def _wait(self, timeout: float | None = None) -> int: ...
    async def await_(self) -> int:
        """Wait until all parties have come; its number. Cancelled, it counts as not having come. For coroutines."""

    def reset(self) -> None: ...
    def abort(self) -> None: ...
    @property
    def parties(self) -> int: ...
    @property
    def n_waiting(self) -> int: ...
    @property
    def broken(self) -> bool: ...
    @property
    def _action(self) -> Callable[[], Any] | None: ...
