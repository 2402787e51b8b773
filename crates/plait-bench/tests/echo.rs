//! The client against both reference servers, and against servers that do wrong.
//!
//! Servers run on threads of the test and are told to stop by a flag. Where the kernel refuses io_uring, its half of the
//! tests ends with the words of the refusal instead.

use plait_bench::client::{self, Exchange, Load, Report};
use plait_bench::idle::Idle;
use plait_bench::{epoll_server, uring_server, OnTick};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

type Serve = fn(BorrowedFd<'_>, Option<usize>, OnTick<'_>) -> io::Result<()>;

/// A reference server on a thread, stopped when it is dropped.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    fn start(serve: Serve) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut on_tick = || match told.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            serve(listener.as_fd(), None, &mut on_tick)
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            outcome.unwrap().unwrap();
        }
    }
}

/// Runs `test` on each server that this kernel has.
fn on_each(test: impl Fn(Serve)) {
    test(epoll_server::serve);
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        uring_server::serve(listener.as_fd(), None, &mut || ControlFlow::Break(()))
    };
    match refused {
        Ok(()) => test(uring_server::serve),
        Err(error) => {
            assert!(error.to_string().contains("io_uring"), "{error}");
            eprintln!("io_uring left out: {error}");
        }
    }
}

fn load(address: SocketAddr, connections: usize, size: usize, requests: u64) -> Load {
    let timeout = Duration::from_secs(30);
    let (address, exchange) = (address.into(), Exchange::Echo(size));
    Load { address, connections, exchange, warm_up: 5, requests, core: None, server_pid: None, timeout }
}

fn run(load: &Load) -> io::Result<Report> {
    client::run(load, &mut || ControlFlow::Continue(()))
}

/// What the client says of a server that handles one connection as `handle` does.
fn complaint(load_of: impl Fn(SocketAddr) -> Load, handle: impl Fn(TcpStream) + Send + 'static) -> io::Error {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let load = load_of(listener.local_addr().unwrap());
    let server = std::thread::spawn(move || handle(listener.accept().unwrap().0));
    let error = run(&load).unwrap_err();
    server.join().unwrap();
    error
}

#[test]
fn echoes_every_size_on_any_number_of_connections() {
    on_each(|serve| {
        let server = Server::start(serve);
        for connections in [1, 8, 64] {
            for size in [1, 64, 1024, 64 << 10, 1 << 20] {
                let requests = if size > 1024 { 2 * connections as u64 } else { 1000 };
                let report = run(&load(server.address, connections, size, requests)).unwrap();
                assert_eq!(report.requests, requests);
                assert_eq!(report.latency.len(), requests);
                assert!(report.latency.percentile(50.0) <= report.latency.percentile(99.0));
                assert!(report.cost.wall_ns >= report.latency.max() && report.latency.max() > 0);
                assert!(report.cost.client_cpu_ns > 0 && report.cost.server_cpu_ns.is_none());
            }
        }
    });
}

#[test]
fn fewer_requests_than_connections_are_enough() {
    on_each(|serve| {
        let server = Server::start(serve);
        assert_eq!(run(&load(server.address, 8, 64, 3)).unwrap().latency.len(), 3);
    });
}

#[test]
fn reads_the_servers_cpu_clock() {
    let server = Server::start(epoll_server::serve);
    let mut load = load(server.address, 2, 64, 200);
    // The server is a thread of this process, so the clock counts both sides.
    load.server_pid = Some(std::process::id());
    let report = run(&load).unwrap();
    assert!(report.cost.server_cpu_ns.unwrap() >= report.cost.client_cpu_ns);

    load.server_pid = Some(u32::MAX);
    assert!(run(&load).unwrap_err().to_string().contains("4294967295"));
}

#[test]
fn a_client_that_leaves_in_the_middle_disturbs_nobody() {
    on_each(|serve| {
        let server = Server::start(serve);
        let idle =
            Idle::open(server.address, 3, 10, Duration::from_secs(30), &mut || ControlFlow::Continue(()))
                .unwrap();
        assert_eq!(idle.len(), 3);
        for leave in [leave_without_reading, leave_before_the_reply_fits, leave_half_closed] {
            leave(TcpStream::connect(server.address).unwrap());
            run(&load(server.address, 4, 1024, 100)).unwrap();
        }
        drop(idle);
        run(&load(server.address, 4, 1024, 100)).unwrap();
    });
}

/// Closed with a reply unread, which resets the connection.
fn leave_without_reading(mut stream: TcpStream) {
    stream.write_all(&[1; 100]).unwrap();
    stream.peek(&mut [0; 100]).unwrap();
}

/// Closed while the server has more to write than the sockets hold.
fn leave_before_the_reply_fits(stream: TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let chunk = vec![1; 1 << 20];
    // Until there is no more room, since nobody reads what the server writes.
    while (&stream).write(&chunk).is_ok_and(|count| count > 0) {}
}

/// Half-closed: what was sent comes back whole, and then the end.
fn leave_half_closed(mut stream: TcpStream) {
    let sent: Vec<u8> = (0..300_000u32).map(|place| (place % 251) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let expected = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut came = Vec::new();
    stream.read_to_end(&mut came).unwrap();
    writing.join().unwrap();
    assert!(came == expected);
}

/// With little room for what comes back, the server has to keep the rest of some of its writes.
#[test]
fn a_client_that_reads_slowly_gets_it_all() {
    on_each(|serve| {
        let server = Server::start(serve);
        let mut stream = TcpStream::connect(server.address).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 128 << 10).unwrap();
        let sent: Vec<u8> = (0..16_000_000u32).map(|place| (place % 251) as u8).collect();
        let mut writer = stream.try_clone().unwrap();
        let mut came = vec![0; sent.len()];
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&sent).unwrap());
            stream.read_exact(&mut came).unwrap();
        });
        assert!(came == sent);
    });
}

#[test]
fn two_servers_at_once() {
    on_each(|serve| {
        let (one, two) = (Server::start(serve), Server::start(serve));
        let other = two.address;
        let beside = std::thread::spawn(move || run(&load(other, 8, 5000, 500)).unwrap().requests);
        assert_eq!(run(&load(one.address, 8, 70, 500)).unwrap().requests, 500);
        assert_eq!(beside.join().unwrap(), 500);
    });
}

#[test]
fn stopping_closes_the_connections() {
    on_each(|serve| {
        let server = Server::start(serve);
        let mut client = TcpStream::connect(server.address).unwrap();
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn dropping_idle_connections_closes_them() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut message = [0; 10];
        stream.read_exact(&mut message).unwrap();
        stream.write_all(&message).unwrap();
        stream.read(&mut message).unwrap()
    });
    let idle =
        Idle::open(address, 1, 10, Duration::from_secs(30), &mut || ControlFlow::Continue(())).unwrap();
    drop(idle);
    assert_eq!(server.join().unwrap(), 0);
}

#[test]
fn a_server_that_closes_is_reported() {
    let error = complaint(
        |address| load(address, 1, 64, 10),
        |mut stream| {
            stream.read_exact(&mut [0; 64]).unwrap();
            stream.write_all(&(0..12).collect::<Vec<u8>>()).unwrap();
        },
    );
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    let said = error.to_string();
    assert_eq!(said, "connection 1 of 1 (64 of 64 bytes sent, 12 back): closed by the server");
}

#[test]
fn wrong_bytes_are_reported() {
    let error = complaint(
        |address| load(address, 1, 64, 10),
        |mut stream| {
            let mut message = [0; 64];
            stream.read_exact(&mut message).unwrap();
            message[63] ^= 1;
            stream.write_all(&message).unwrap();
        },
    );
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().ends_with("other bytes came back than were sent"), "{error}");
}

#[test]
fn wrong_bytes_under_load_are_reported_after_it() {
    let error = complaint(
        |address| load(address, 1, 4, 10),
        |mut stream| {
            let mut message = [0; 4];
            // The first check is answered rightly, and nothing after it.
            let mut wrong = 0;
            while stream.read_exact(&mut message).is_ok() {
                message[0] ^= wrong;
                wrong = 1;
                stream.write_all(&message).unwrap();
            }
        },
    );
    assert!(error.to_string().ends_with("other bytes came back than were sent"), "{error}");
}

#[test]
fn more_bytes_than_were_sent_are_reported() {
    let error = complaint(
        |address| load(address, 1, 4, 10),
        |mut stream| {
            stream.read_exact(&mut [0; 4]).unwrap();
            stream.write_all(&[0, 1, 2, 3, 4]).unwrap();
        },
    );
    assert!(error.to_string().ends_with("bytes came back that were not sent"), "{error}");
}

#[test]
fn a_silent_server_is_given_up() {
    let error = complaint(
        |address| Load { timeout: Duration::from_millis(1), ..load(address, 1, 64, 10) },
        |mut stream| drop(stream.read_to_end(&mut Vec::new())),
    );
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("connection 1 of 1 (64 of 64 bytes sent, 0 back)"), "{error}");
}

#[test]
fn can_be_told_to_stop() {
    let server = Server::start(epoll_server::serve);
    let endless = load(server.address, 1, 1, u64::MAX);
    let error = client::run(&endless, &mut || ControlFlow::Break(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn nobody_there_is_reported() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = run(&load(address, 2, 1, 1)).unwrap_err();
    assert_eq!(plait_bench::failure::errno(&error), Some(libc::ECONNREFUSED));
    assert!(error.to_string().starts_with(&format!("connection 1 of 2 to {address}: ")), "{error}");
}

#[test]
fn senseless_options_are_refused() {
    let address = "127.0.0.1:9".parse().unwrap();
    let good = load(address, 1, 1, 1);
    for bad in [
        Load { connections: 0, ..good.clone() },
        Load { exchange: Exchange::Echo(0), ..good.clone() },
        Load { requests: 0, ..good.clone() },
        Load { timeout: Duration::ZERO, ..good.clone() },
    ] {
        assert_eq!(run(&bad).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
