//! From arguments to a child that runs, is watched, and whose pipes are connected.

use super::pipe::ChildPipe;
use super::{processes, ProcessState, ProcessStep, Stream, SubprocessTransport};
use crate::event_loop::future::Future;
use crate::event_loop::pipes::read::ReadPipeTransport;
use crate::event_loop::pipes::write::WritePipeTransport;
use crate::event_loop::EventLoop;
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// subprocess.PIPE
const PIPE: i32 = -1;
const NAMES: [&str; 3] = ["stdin", "stdout", "stderr"];

impl SubprocessTransport {
    /// Starts a child with the arguments of `Popen` and looks after it. What Popen raises is raised; what goes wrong later is
    /// told to the waiter.
    pub fn start(
        loop_: &Bound<'_, EventLoop>,
        protocol: Bound<'_, PyAny>,
        (args, shell): (Bound<'_, PyAny>, bool),
        files: [Bound<'_, PyAny>; 3],
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
        options: Bound<'_, PyDict>,
    ) -> PyResult<Py<SubprocessTransport>> {
        let py = loop_.py();
        let mut streams = [Stream::Elsewhere, Stream::Elsewhere, Stream::Elsewhere];
        for (stream, file) in streams.iter_mut().zip(&files) {
            if file.eq(PIPE)? {
                *stream = Stream::Expected;
            }
        }
        let state = ProcessState {
            protocol: Some(protocol.unbind()),
            child: None,
            pid: None,
            pidfd: None,
            returncode: None,
            streams,
            pending: Some(Vec::new()),
            exit_waiters: Vec::new(),
            closed: true, // until there is a child, there is nothing to close
            finished: false,
        };
        let transport = SubprocessTransport {
            loop_: loop_.clone().unbind(),
            context: ffi::copy_context(py)?,
            extra: extra.unwrap_or_else(|| PyDict::new(py)).unbind(),
            state: Guarded::new(state),
            built: Built::new(),
        };
        let transport = Bound::new(py, transport)?;
        let program = args.clone();
        let [stdin, stdout, stderr] = files;
        let call = (args, shell, stdin, stdout, stderr, options);
        let child = processes(py)?.call_method1(intern!(py, "start"), call)?;
        SubprocessTransport::adopt(&transport, child, &program)?;
        SubprocessTransport::watch_exit(&transport)?;
        SubprocessTransport::connect(&transport, waiter)?;
        Ok(transport.unbind())
    }

    fn adopt(slf: &Bound<'_, Self>, child: Bound<'_, PyAny>, args: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let pid = child.getattr(intern!(py, "pid"))?.extract::<i32>()?;
        this.extra.bind(py).set_item(intern!(py, "subprocess"), &child)?;
        let kept = child.unbind();
        this.state.with(py, |s| {
            s.child = Some(kept);
            s.pid = Some(pid);
            s.closed = false;
        });
        if this.loop_.get().debug(py) {
            let text = args.is_instance_of::<PyString>() || args.is_instance_of::<pyo3::types::PyBytes>();
            let program = if text { args.clone() } else { args.get_item(0)? };
            standard(py)
                .logger
                .bind(py)
                .call_method1("debug", ("process %r created: pid %s", program, pid))?;
        }
        Ok(())
    }

    /// Connects the pipes, natively unless the loop's ways to do that were replaced.
    fn connect(slf: &Bound<'_, Self>, waiter: Option<Bound<'_, Future>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let Some(child) = this.child(py) else { return Ok(()) };
        if EventLoop::connects_pipes_natively(this.event_loop(py))? {
            return match SubprocessTransport::connect_natively(slf, &child) {
                Ok(()) => {
                    SubprocessTransport::schedule(slf, ProcessStep::Connected(waiter.map(Bound::unbind)))
                }
                Err(error) => SubprocessTransport::not_connected(slf, waiter, error),
            };
        }
        let connecting = processes(py)?.call_method1("connect_pipes", (slf, child, waiter))?;
        this.event_loop(py).call_method1(intern!(py, "create_task"), (connecting,)).map(drop)
    }

    fn connect_natively(slf: &Bound<'_, Self>, child: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let loop_ = slf.get().event_loop(py);
        for (number, name) in NAMES.into_iter().enumerate() {
            let file = child.getattr(PyString::intern(py, name))?;
            if file.is_none() {
                continue;
            }
            let pipe = Bound::new(py, ChildPipe::new(slf.clone().unbind(), number as i32))?;
            let protocol = pipe.clone().into_any();
            match number {
                0 => drop(WritePipeTransport::open(loop_, file, protocol, None, None)?),
                _ => drop(ReadPipeTransport::open(loop_, file, protocol, None, None)?),
            }
            SubprocessTransport::set_pipe(slf, number, pipe.unbind());
        }
        Ok(())
    }

    pub(super) fn set_pipe(slf: &Bound<'_, Self>, number: usize, pipe: Py<ChildPipe>) {
        let replaced = slf.get().state.with(slf.py(), |s| {
            s.streams.get_mut(number).map(|stream| std::mem::replace(stream, Stream::Connected(pipe)))
        });
        drop(replaced);
    }

    /// A pipe could not be connected. Nothing will come of those that are not: the end of the child need not wait for them.
    pub(super) fn not_connected(
        slf: &Bound<'_, Self>,
        waiter: Option<Bound<'_, Future>>,
        error: PyErr,
    ) -> PyResult<()> {
        let py = slf.py();
        let untold = slf.get().state.with(py, |s| {
            for stream in s.streams.iter_mut().filter(|stream| matches!(stream, Stream::Expected)) {
                *stream = Stream::Elsewhere;
            }
            // A protocol that has not heard of the beginning does not hear of the end.
            (s.protocol.take(), s.pending.take())
        });
        drop(untold);
        SubprocessTransport::finish_if_done(slf)?;
        match waiter {
            Some(waiter) => Future::fail(&waiter, &error).map(drop),
            None => Err(error),
        }
    }
}

impl EventLoop {
    /// Whether `connect_read_pipe` and its fellow are the loop's own, in its class and on the loop itself.
    fn connects_pipes_natively(slf: &Bound<'_, EventLoop>) -> PyResult<bool> {
        let py = slf.py();
        let own = py.get_type::<EventLoop>();
        let class = slf.get_type();
        for name in [intern!(py, "connect_read_pipe"), intern!(py, "connect_write_pipe")] {
            let inherited = class.is(&own) || class.getattr(name)?.is(&own.getattr(name)?);
            if !inherited || ffi::has_own_attribute(slf, name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// For `plait._processes`: arguments in asyncio's order.
#[pyfunction]
#[pyo3(signature = (r#loop, protocol, args, shell, stdin, stdout, stderr, waiter, extra, options))]
#[allow(clippy::too_many_arguments)] // Popen's
pub fn start_process(
    r#loop: Bound<'_, EventLoop>,
    protocol: Bound<'_, PyAny>,
    args: Bound<'_, PyAny>,
    shell: bool,
    stdin: Bound<'_, PyAny>,
    stdout: Bound<'_, PyAny>,
    stderr: Bound<'_, PyAny>,
    waiter: Option<Bound<'_, Future>>,
    extra: Option<Bound<'_, PyDict>>,
    options: Bound<'_, PyDict>,
) -> PyResult<Py<SubprocessTransport>> {
    let files = [stdin, stdout, stderr];
    SubprocessTransport::start(&r#loop, protocol, (args, shell), files, waiter, extra, options)
}
