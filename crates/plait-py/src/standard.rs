//! The objects of the standard library that the runtime needs, looked up once per interpreter.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

/// What `asyncio.current_task` reads.
pub enum CurrentTasks {
    /// `{loop: task}`, up to 3.13.
    Kept(Py<PyDict>),
    /// `swap(loop, task)`, from 3.14 on.
    Swapped(Py<PyAny>),
}

/// The standard classes whose places plait's primitives take.
pub struct StandardPrimitives {
    pub lock: Py<PyType>,
    pub event: Py<PyType>,
    pub condition: Py<PyType>,
    pub semaphore: Py<PyType>,
    pub bounded_semaphore: Py<PyType>,
    pub barrier: Py<PyType>,
    pub queue: Py<PyType>,
    pub lifo_queue: Py<PyType>,
    pub priority_queue: Py<PyType>,
    /// How a barrier for nobody is refused, in the host's words, which changed; None where it is not.
    pub no_parties: Option<String>,
}

impl StandardPrimitives {
    fn of(locks: &Bound<'_, PyModule>, queues: &Bound<'_, PyModule>) -> PyResult<StandardPrimitives> {
        let class = |module: &Bound<'_, PyModule>, name: &str| -> PyResult<Py<PyType>> {
            // threading.Lock is a function before 3.13; nobody needs it.
            Ok(module
                .getattr(name)?
                .cast_into::<PyType>()
                .unwrap_or_else(|_| queues.py().get_type::<pyo3::PyAny>())
                .unbind())
        };
        Ok(StandardPrimitives {
            lock: class(locks, "Lock")?,
            event: class(locks, "Event")?,
            condition: class(locks, "Condition")?,
            semaphore: class(locks, "Semaphore")?,
            bounded_semaphore: class(locks, "BoundedSemaphore")?,
            barrier: class(locks, "Barrier")?,
            queue: class(queues, "Queue")?,
            lifo_queue: class(queues, "LifoQueue")?,
            priority_queue: class(queues, "PriorityQueue")?,
            no_parties: locks
                .getattr("Barrier")?
                .call1((0,))
                .err()
                .map(|refusal| refusal.value(queues.py()).to_string()),
        })
    }
}

pub struct Standard {
    /// What raises the errors about time-outs in the host's words.
    pub allocate_lock: Py<PyAny>,
    pub asyncio_module: Py<PyModule>,
    /// `threading.RLock`, as it was.
    pub rlock: Py<PyAny>,
    pub broken_barrier_error: Py<PyType>,
    pub queue_full: Py<PyType>,
    pub queue_empty: Py<PyType>,
    /// Of plait's own before 3.13.
    pub queue_shut_down: Py<PyType>,
    pub asyncio_queue_full: Py<PyType>,
    pub asyncio_queue_empty: Py<PyType>,
    pub asyncio_queue_shut_down: Py<PyType>,
    pub heappush: Py<PyAny>,
    pub heappop: Py<PyAny>,
    /// `plait._open_queues`: the standard algorithm on native queues.
    pub open_queues: Py<PyModule>,
    /// Its two marks, for the coroutines of queues.
    pub opened: Py<PyAny>,
    pub must_wait: Py<PyAny>,
    pub asyncio_broken_barrier_error: Py<PyType>,
    /// asyncio's.
    pub asyncio: StandardPrimitives,
    /// threading's, and those of `queue`.
    pub threading: StandardPrimitives,
    pub future: Py<PyType>,
    pub task: Py<PyType>,
    pub gathering_future: Py<PyType>,
    pub handle: Py<PyType>,
    pub timer_handle: Py<PyType>,
    pub base_event_loop: Py<PyType>,
    pub transport: Py<PyType>,
    pub datagram_transport: Py<PyType>,
    /// What a datagram that waits to be sent counts beyond its bytes; before 3.13 nothing, and empty ones are not sent.
    pub datagram_header: Option<usize>,
    pub read_transport: Py<PyType>,
    pub subprocess_transport: Py<PyType>,
    pub buffered_protocol: Py<PyType>,
    pub socket: Py<PyType>,
    /// That class's method, of its C base.
    pub socket_fileno: Py<PyAny>,
    pub cancelled_error: Py<PyType>,
    pub invalid_state_error: Py<PyType>,
    pub incomplete_read_error: Py<PyType>,
    pub limit_overrun_error: Py<PyType>,
    pub stream_reader: Py<PyType>,
    pub stream_writer: Py<PyType>,
    pub stream_reader_protocol: Py<PyType>,
    pub current_tasks: CurrentTasks,
    pub get_event_loop: Py<PyAny>,
    pub get_running_loop: Py<PyAny>,
    pub set_running_loop: Py<PyAny>,
    pub extract_stack: Py<PyAny>,
    /// `asyncio.futures._set_result_unless_cancelled`: the callback that ends `asyncio.sleep`.
    pub set_result_unless_cancelled: Py<PyAny>,
    pub iscoroutine: Py<PyAny>,
    /// `asyncio.ensure_future`, for what is neither a native future nor a coroutine.
    pub ensure_future: Py<PyAny>,
    /// `asyncio.gather` as it was before plait could replace it: it knows what to do without arguments.
    pub gather: Py<PyAny>,
    pub logger: Py<PyAny>,
    pub waiting: Waiting,
    /// Older Pythons answer `set_exception(StopIteration)` with a TypeError, newer ones keep a RuntimeError.
    pub stop_iteration_is_refused: bool,
    /// From 3.13 on (and late 3.12) `Server._attach` takes the transport.
    pub servers_know_transports: bool,
    /// What finalizers call, kept for when modules have been cleared at exit.
    pub warn_unclosed_loop: Py<PyAny>,
    pub is_finalizing: Py<PyAny>,
    pub warn_unclosed_transport: Py<PyAny>,
    pub warn_unclosed_tls: Py<PyAny>,
    pub stream_writer_del: Py<PyAny>,
    /// `plait._asyncio_glue`: what is written in Python because asyncio's own pieces are.
    pub glue: Py<PyModule>,
}

/// What `timeout`, `wait`, `shield` and TaskGroup stand in for, and how the host's behave: that changed within the lives of Pythons.
pub struct Waiting {
    pub timeout: Py<PyType>,
    pub task_group: Py<PyType>,
    pub isfuture: Py<PyAny>,
    pub shield: Py<PyAny>,
    pub wait_for: Py<PyAny>,
    /// A subclass of CancelledError ends a timed-out block as CancelledError does.
    pub subclasses_expire: bool,
    /// A timed-out block that ends with another exception shows a TimeoutError among its contexts.
    pub contexts_tell: bool,
    /// The same of TaskGroups and CancelledError.
    pub groups_know_subclasses: bool,
    /// A TaskGroup takes its own cancellation of the parent back after all tasks are done, and passes one from outside on.
    pub groups_uncancel_last: bool,
    /// A task that is done when the group has made it (an eager one) is looked at in the next turn, as all others.
    pub groups_enter_the_done: bool,
    pub groups_close_what_they_refuse: bool,
}

static STANDARD: PyOnceLock<Standard> = PyOnceLock::new();

/// The table; the module's initialisation has filled it.
#[inline]
pub fn standard(py: Python<'_>) -> &'static Standard {
    STANDARD.get(py).expect("filled when plait._native was imported")
}

pub fn initialise(py: Python<'_>) -> PyResult<()> {
    STANDARD.get_or_try_init(py, || load(py)).map(|_| ())
}

fn load(py: Python<'_>) -> PyResult<Standard> {
    let asyncio = py.import("asyncio")?;
    let events = py.import("asyncio.events")?;
    let tasks = py.import("asyncio.tasks")?;
    let class = |module: &Bound<'_, PyAny>, name: &str| -> PyResult<Py<PyType>> {
        Ok(module.getattr(name)?.cast_into::<PyType>()?.unbind())
    };
    let glue = py.import("plait._asyncio_glue")?;
    Ok(Standard {
        allocate_lock: py.import("_thread")?.getattr("allocate_lock")?.unbind(),
        asyncio_module: asyncio.clone().unbind(),
        rlock: py.import("threading")?.getattr("RLock")?.unbind(),
        asyncio_broken_barrier_error: class(&asyncio, "BrokenBarrierError")?,
        queue_full: class(py.import("queue")?.as_any(), "Full")?,
        queue_empty: class(py.import("queue")?.as_any(), "Empty")?,
        queue_shut_down: class(py.import("plait._shut_down")?.as_any(), "ShutDown")?,
        asyncio_queue_full: class(&asyncio, "QueueFull")?,
        asyncio_queue_empty: class(&asyncio, "QueueEmpty")?,
        asyncio_queue_shut_down: class(py.import("plait._shut_down")?.as_any(), "QueueShutDown")?,
        heappush: py.import("heapq")?.getattr("heappush")?.unbind(),
        heappop: py.import("heapq")?.getattr("heappop")?.unbind(),
        opened: py.import("plait._open_queues")?.getattr("OPENED")?.unbind(),
        must_wait: py.import("plait._open_queues")?.getattr("MUST_WAIT")?.unbind(),
        open_queues: py.import("plait._open_queues")?.unbind(),
        broken_barrier_error: class(py.import("threading")?.as_any(), "BrokenBarrierError")?,
        asyncio: StandardPrimitives::of(&asyncio, &asyncio)?,
        threading: StandardPrimitives::of(&py.import("threading")?, &py.import("queue")?)?,
        future: class(&asyncio, "Future")?,
        task: class(&asyncio, "Task")?,
        gathering_future: class(&tasks, "_GatheringFuture")?,
        handle: class(&asyncio, "Handle")?,
        timer_handle: class(&asyncio, "TimerHandle")?,
        base_event_loop: class(&asyncio, "BaseEventLoop")?,
        // With flow control, as the fall-back of `sendfile` demands; it derives from asyncio.Transport.
        transport: class(py.import("asyncio.transports")?.as_any(), "_FlowControlMixin")?,
        datagram_transport: class(&glue, "datagram_transport")?,
        datagram_header: glue.getattr("datagram_header")?.extract()?,
        read_transport: class(&asyncio, "ReadTransport")?,
        subprocess_transport: class(&asyncio, "SubprocessTransport")?,
        buffered_protocol: class(&asyncio, "BufferedProtocol")?,
        socket: class(py.import("socket")?.as_any(), "socket")?,
        socket_fileno: py.import("_socket")?.getattr("socket")?.getattr("fileno")?.unbind(),
        cancelled_error: class(&asyncio, "CancelledError")?,
        invalid_state_error: class(&asyncio, "InvalidStateError")?,
        incomplete_read_error: class(&asyncio, "IncompleteReadError")?,
        limit_overrun_error: class(&asyncio, "LimitOverrunError")?,
        stream_reader: class(&asyncio, "StreamReader")?,
        stream_writer: class(&asyncio, "StreamWriter")?,
        stream_reader_protocol: class(&asyncio, "StreamReaderProtocol")?,
        current_tasks: current_tasks(py)?,
        get_event_loop: events.getattr("get_event_loop")?.unbind(),
        get_running_loop: events.getattr("_get_running_loop")?.unbind(),
        set_running_loop: events.getattr("_set_running_loop")?.unbind(),
        extract_stack: py.import("asyncio.format_helpers")?.getattr("extract_stack")?.unbind(),
        set_result_unless_cancelled: py
            .import("asyncio.futures")?
            .getattr("_set_result_unless_cancelled")?
            .unbind(),
        iscoroutine: asyncio.getattr("iscoroutine")?.unbind(),
        ensure_future: match tasks.getattr_opt("_ensure_future")? {
            Some(private) => private.unbind(), // 3.11: the one whose warnings name gather's caller
            None => tasks.getattr("ensure_future")?.unbind(),
        },
        gather: tasks.getattr("gather")?.unbind(),
        waiting: waiting(py)?,
        logger: py.import("asyncio.log")?.getattr("logger")?.unbind(),
        stop_iteration_is_refused: glue.call_method0("stop_iteration_is_refused")?.extract()?,
        servers_know_transports: servers_know_transports(py)?,
        is_finalizing: py.import("sys")?.getattr("is_finalizing")?.unbind(),
        warn_unclosed_loop: glue.getattr("warn_unclosed_loop")?.unbind(),
        warn_unclosed_transport: glue.getattr("warn_unclosed_transport")?.unbind(),
        warn_unclosed_tls: py.import("plait._tls")?.getattr("warn_unclosed_transport")?.unbind(),
        stream_writer_del: glue.getattr("stream_writer_del")?.unbind(),
        glue: glue.unbind(),
    })
}

fn servers_know_transports(py: Python<'_>) -> PyResult<bool> {
    let attach = py.import("asyncio.base_events")?.getattr("Server")?.getattr("_attach")?;
    Ok(attach.getattr("__code__")?.getattr("co_argcount")?.extract::<u32>()? > 1)
}

fn current_tasks(py: Python<'_>) -> PyResult<CurrentTasks> {
    let tasks = py.import("asyncio.tasks")?;
    if let Some(kept) = tasks.getattr_opt("_current_tasks")? {
        return Ok(CurrentTasks::Kept(kept.cast_into::<PyDict>()?.unbind()));
    }
    Ok(CurrentTasks::Swapped(py.import("_asyncio")?.getattr("_swap_current_task")?.unbind()))
}

fn waiting(py: Python<'_>) -> PyResult<Waiting> {
    let tasks = py.import("asyncio.tasks")?;
    let timeout = py.import("asyncio.timeouts")?.getattr("Timeout")?.cast_into::<PyType>()?;
    let group = py.import("asyncio.taskgroups")?.getattr("TaskGroup")?.cast_into::<PyType>()?;
    let mentions = |class: &Bound<'_, PyType>, method: &str, name: &str| -> PyResult<bool> {
        class.getattr(method)?.getattr("__code__")?.getattr("co_names")?.contains(name)
    };
    // From 3.13.4 on `__aexit__` only clears up behind it.
    let exit = if group.hasattr("_aexit")? { "_aexit" } else { "__aexit__" };
    Ok(Waiting {
        subclasses_expire: mentions(&timeout, "__aexit__", "issubclass")?,
        contexts_tell: timeout.hasattr("_insert_timeout_error")?,
        groups_know_subclasses: mentions(&group, exit, "issubclass")?,
        groups_uncancel_last: mentions(&group, exit, "cancelling")?,
        groups_enter_the_done: !mentions(&group, "create_task", "done")?,
        groups_close_what_they_refuse: mentions(&group, "create_task", "close")?,
        timeout: timeout.unbind(),
        task_group: group.unbind(),
        isfuture: py.import("asyncio.futures")?.getattr("isfuture")?.unbind(),
        shield: tasks.getattr("shield")?.unbind(),
        wait_for: tasks.getattr("wait_for")?.unbind(),
    })
}
