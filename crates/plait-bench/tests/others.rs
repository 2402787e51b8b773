//! What is no plain echo over TCP: the client by UDP, Unix sockets and requests; connections that come and go; floods.

use plait_bench::churn::{self, Churn};
use plait_bench::client::{self, Exchange, Load, Report};
use plait_bench::download::{self, Download};
use plait_bench::socket::Address;
use plait_bench::{epoll_server, flood, transfer_server, udp_receiver, udp_server, uring_server, OnTick};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

type Serve = fn(BorrowedFd<'_>, Option<usize>, OnTick<'_>) -> io::Result<()>;

/// Runs `test` while a server runs on `socket` in another thread.
fn beside(serve: Serve, socket: impl Into<OwnedFd>, test: impl FnOnce()) {
    let socket = socket.into();
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let server = std::thread::spawn(move || {
        serve(socket.as_fd(), None, &mut || match told.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    });
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
    stop.store(true, Ordering::Relaxed);
    server.join().unwrap().unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn load(address: Address, exchange: Exchange, requests: u64) -> Load {
    let timeout = Duration::from_secs(30);
    Load { address, connections: 8, exchange, warm_up: 5, requests, core: None, server_pid: None, timeout }
}

fn run(load: &Load) -> io::Result<Report> {
    client::run(load, &mut || ControlFlow::Continue(()))
}

fn churn_of(address: std::net::SocketAddr) -> Churn {
    let timeout = Duration::from_secs(30);
    let (at_once, size, warm_up, connections) = (8, 64, 10, 1003);
    Churn { address, at_once, size, warm_up, connections, core: None, server_pid: None, timeout }
}

#[test]
fn datagrams_are_echoed() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = Address::Udp(socket.local_addr().unwrap());
    beside(udp_server::serve, socket, || {
        // Large ones from one client only: eight would not fit into the server's buffer, and be lost.
        for (size, connections) in [(1, 8), (1024, 8), (60_000, 1)] {
            let load = Load { connections, ..load(address.clone(), Exchange::Echo(size), 200) };
            let report = run(&load).unwrap();
            assert_eq!((report.requests, report.latency.len()), (200, 200));
        }
        let error = run(&load(address.clone(), Exchange::Echo(65_508), 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_datagram_that_is_lost_is_waited_for_in_vain() {
    // Bound, and never read.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = Address::Udp(socket.local_addr().unwrap());
    let load = Load { timeout: Duration::from_millis(200), ..load(address, Exchange::Echo(10), 1) };
    let error = run(&load).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("no byte moved"), "{error}");
}

#[test]
fn unix_sockets_are_echoed() {
    let path = std::env::temp_dir().join(format!("plait-bench-test-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    beside(epoll_server::serve, listener, || {
        for size in [1, 1024, 1 << 20] {
            let report = run(&load(Address::Unix(path.clone()), Exchange::Echo(size), 50)).unwrap();
            assert_eq!(report.requests, 50);
        }
    });
    std::fs::remove_file(&path).unwrap();
    let error = run(&load(Address::Unix(path.clone()), Exchange::Echo(1), 1)).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn a_request_has_another_reply() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: Address = listener.local_addr().unwrap().into();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 3];
        let mut answered = 0;
        while stream.read_exact(&mut request).is_ok() {
            assert_eq!(&request, b"ask");
            answered += 1;
            // The last is another one.
            let reply = if answered < 1 + 5 + 20 + 1 { b"reply: yes" } else { b"error: nay" };
            if stream.write_all(reply).is_err() {
                break;
            }
        }
    });
    let (bytes, beginning) = (b"ask".to_vec(), b"reply".to_vec());
    let exchange = Exchange::Request { bytes, reply_size: 10, beginning };
    let error = run(&Load { connections: 1, ..load(address, exchange, 20) }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    server.join().unwrap();
}

#[test]
fn connections_come_and_go() {
    for serve in [epoll_server::serve as Serve, uring_server::serve] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let churn = churn_of(listener.local_addr().unwrap());
        if let Err(refused) = serve(listener.as_fd(), None, &mut || ControlFlow::Break(())) {
            // Only io_uring may be, by the kernel.
            assert!(refused.to_string().contains("io_uring"), "{refused}");
            continue;
        }
        beside(serve, listener, || {
            let cost = churn::run(&churn, &mut || ControlFlow::Continue(())).unwrap();
            assert!(cost.wall_ns > 0 && cost.client_cpu_ns > 0 && cost.server_cpu_ns.is_none());
            let none = Churn { connections: 0, ..churn.clone() };
            let error = churn::run(&none, &mut || ControlFlow::Continue(())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        });
    }
}

#[test]
fn nobody_accepts_them() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = churn::run(&churn_of(address), &mut || ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("10 of 10 connections to go"), "{error}");
}

#[test]
fn a_flood_is_sent_to_the_last() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let address = socket.local_addr().unwrap();
    flood::run(address, 100, 7, None, &mut || ControlFlow::Continue(())).unwrap();
    let mut buffer = [0; 100];
    for _ in 0..100 {
        assert_eq!(socket.recv(&mut buffer).unwrap(), 7);
        assert_eq!(buffer[..7], [0, 1, 2, 3, 4, 5, 6]);
    }
    assert_eq!(
        flood::run(address, 0, 7, None, &mut || ControlFlow::Continue(())).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn many_bytes_are_taken_in() {
    for serve in [transfer_server::serve_pieces as Serve, transfer_server::serve_file] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        beside(serve, listener, || {
            // The file is shorter than what is compared, and neither number is a multiple of a piece.
            let timeout = Duration::from_secs(30);
            let (warm_up, bytes) = (70_000_001, 1_000_003);
            let download = Download { address, warm_up, bytes, core: None, server_pid: None, timeout };
            for _ in 0..2 {
                let cost = download::run(&download, &mut || ControlFlow::Continue(())).unwrap();
                assert!(cost.wall_ns > 0 && cost.client_cpu_ns > 0);
            }
        });
    }
}

#[test]
fn the_bare_receiver_counts_what_it_was_given() {
    static RECEIVED: AtomicU64 = AtomicU64::new(0);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let serve: Serve = |socket, core, on_tick| udp_receiver::serve(socket, &RECEIVED, core, on_tick);
    beside(serve, socket, || {
        // No more than the socket has room for: nothing may be dropped.
        flood::run(address, 100, 7, None, &mut || ControlFlow::Continue(())).unwrap();
        while RECEIVED.load(Ordering::Relaxed) < 100 {
            std::thread::yield_now();
        }
    });
    assert_eq!(RECEIVED.load(Ordering::Relaxed), 100);
}
