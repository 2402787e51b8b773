//! The client that carries on: each way in which a server may fail is told as what it is.

use plait_bench::endurance::{self, Endurance, Mishap, Report};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::time::Duration;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

/// Serves every connection by `serve`, which is told which one it is, and returns what a client made of it in a moment.
fn against(opening: usize, keeping: usize, serve: fn(u64, &mut TcpStream)) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            serve(number as u64, &mut stream.unwrap());
        }
    });
    run(address, opening, keeping)
}

fn run(address: SocketAddr, opening: usize, keeping: usize) -> Report {
    let (lasting, timeout) = (Duration::from_millis(300), Duration::from_millis(200));
    let order = Endurance { address, request: REQUEST.to_vec(), opening, keeping, lasting, timeout };
    endurance::run(&order, &mut || ControlFlow::Continue(())).unwrap()
}

fn hear(stream: &mut TcpStream) -> bool {
    stream.read_exact(&mut [0; REQUEST.len()]).is_ok()
}

fn answer(stream: &mut TcpStream, fields: &str) {
    write!(stream, "HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nhi").unwrap();
}

/// All mishaps are of one kind, and there are some.
fn all_are(report: &Report, mishap: Mishap) {
    assert!(!report.failures.is_empty(), "{report:?}");
    assert!(report.failures.iter().all(|failure| failure.mishap == mishap), "{report:?}");
}

#[test]
fn answers_are_counted() {
    let report = against(1, 0, |_, stream| {
        assert!(hear(stream));
        answer(stream, "");
    });
    assert!(report.opened > 1 && report.kept == 0 && report.failures.is_empty(), "{report:?}");
    assert_eq!(report.bodies, [(b"hi".to_vec(), report.opened)].into());
}

#[test]
fn a_connection_is_kept_until_the_server_says_so() {
    let report = against(0, 1, |_, stream| {
        for fields in ["", "", "Connection: CLOSE\r\n"] {
            if hear(stream) {
                answer(stream, fields);
            }
        }
    });
    assert!(report.failures.is_empty(), "{report:?}");
    assert!(report.opened > 1 && report.kept >= 2 * (report.opened - 1), "{report:?}");
}

#[test]
fn a_connection_that_was_closed_between_requests_is_stale() {
    let report = against(0, 1, |_, stream| {
        assert!(hear(stream));
        answer(stream, "");
    });
    all_are(&report, Mishap::Stale);
    assert!(report.opened > 1, "it carries on");
    assert!(report.failures.iter().all(|failure| failure.before == b"hi"), "{report:?}");
}

#[test]
fn failures_are_told_apart() {
    all_are(&against(1, 0, |_, stream| assert!(hear(stream))), Mishap::Closed);
    // What was sent and not read resets the connection.
    all_are(&against(0, 1, |_, stream| assert!(stream.read_exact(&mut [0; 3]).is_ok())), Mishap::Reset);
    let cut = |_, stream: &mut TcpStream| {
        assert!(hear(stream));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").unwrap();
    };
    all_are(&against(1, 1, cut), Mishap::Cut);
    let wrong = |_, stream: &mut TcpStream| {
        assert!(hear(stream));
        stream.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").unwrap();
    };
    all_are(&against(1, 0, wrong), Mishap::Wrong);
    let silent = |_, stream: &mut TcpStream| {
        assert!(hear(stream));
        let _ = stream.read(&mut [0; 1]);
    };
    all_are(&against(1, 0, silent), Mishap::Silent);
}

#[test]
fn a_port_without_a_server_is_refused_and_can_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let report = run(address, 1, 0);
    all_are(&report, Mishap::Refused);
    assert!(report.failures.len() > 1 && report.opened == 0, "{report:?}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let (lasting, timeout) = (Duration::ZERO, Duration::from_secs(1));
    let order = Endurance { address, request: REQUEST.to_vec(), opening: 0, keeping: 0, lasting, timeout };
    let error = endurance::run(&order, &mut || ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
