//! The contract, kept by whatever mechanism is behind it.

use super::{Event, Events, Interest, Reactor, FIRST_RESERVED_TOKEN};
use rustix::io::Errno;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

fn errno(outcome: io::Result<()>) -> Option<Errno> {
    outcome.err().map(|error| Errno::from_io_error(&error).expect("a kernel's error"))
}

/// What is ready at this moment.
fn ready_now(reactor: &Reactor) -> Vec<Event> {
    let mut events = Events::with_capacity(16);
    let wakeup = reactor.wait(&mut events, Some(Duration::ZERO)).unwrap();
    assert_eq!(wakeup.events, events.iter().count());
    assert!(!wakeup.signals);
    events.iter().collect()
}

const QUIET: Event = Event { token: 0, readable: false, writable: false, hangup: false, error: false };

#[test]
fn interest_is_a_set() {
    let both = Interest::READ | Interest::WRITE;
    assert!(both.contains(Interest::READ) && both.contains(Interest::WRITE) && both.contains(both));
    assert!(!Interest::READ.contains(both));
    assert!(Interest::READ.contains(Interest::NONE));
    assert_eq!(both & Interest::WRITE, Interest::WRITE);
    assert!((Interest::READ & Interest::WRITE).is_empty());
    let mut mask = Interest::NONE;
    mask |= Interest::READ;
    assert_eq!(mask, Interest::READ);
}

#[test]
fn readiness_is_reported_until_it_is_used_up() {
    let reactor = Reactor::new().unwrap();
    let (mut near, mut far) = UnixStream::pair().unwrap();
    reactor.register(near.as_raw_fd(), 7, Interest::READ).unwrap();
    assert_eq!(ready_now(&reactor), []);

    far.write_all(b"ab").unwrap();
    let readable = Event { token: 7, readable: true, ..QUIET };
    assert_eq!(ready_now(&reactor), [readable]);
    near.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(ready_now(&reactor), [readable], "a short read loses nothing");
    near.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(ready_now(&reactor), []);
}

#[test]
fn a_registration_can_be_changed_and_removed() {
    let reactor = Reactor::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"a").unwrap();
    let fd = near.as_raw_fd();
    reactor.register(fd, 1, Interest::WRITE).unwrap();
    assert_eq!(ready_now(&reactor), [Event { token: 1, writable: true, ..QUIET }]);
    reactor.modify(fd, 2, Interest::READ | Interest::WRITE).unwrap();
    assert_eq!(ready_now(&reactor), [Event { token: 2, readable: true, writable: true, ..QUIET }]);
    reactor.modify(fd, 3, Interest::NONE).unwrap();
    assert_eq!(ready_now(&reactor), []);
    reactor.modify(fd, 4, Interest::READ).unwrap();
    reactor.deregister(fd).unwrap();
    assert_eq!(ready_now(&reactor), []);
}

#[test]
fn mistakes_are_told_by_the_kernel() {
    let reactor = Reactor::new().unwrap();
    let (near, _far) = UnixStream::pair().unwrap();
    let fd = near.as_raw_fd();
    assert_eq!(errno(reactor.modify(fd, 0, Interest::READ)), Some(Errno::NOENT));
    assert_eq!(errno(reactor.deregister(fd)), Some(Errno::NOENT));
    reactor.register(fd, 0, Interest::READ).unwrap();
    assert_eq!(errno(reactor.register(fd, 0, Interest::READ)), Some(Errno::EXIST));
    assert_eq!(errno(reactor.deregister(-1)), Some(Errno::BADF));
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(errno(reactor.register(file.as_raw_fd(), 0, Interest::READ)), Some(Errno::PERM));
}

#[test]
fn the_reactors_own_tokens_are_refused() {
    let reactor = Reactor::new().unwrap();
    let (near, _far) = UnixStream::pair().unwrap();
    for token in FIRST_RESERVED_TOKEN..=u64::MAX {
        let error = reactor.register(near.as_raw_fd(), token, Interest::READ).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    reactor.register(near.as_raw_fd(), FIRST_RESERVED_TOKEN - 1, Interest::READ).unwrap();
}

#[test]
fn hang_ups_and_errors_cannot_be_masked() {
    let reactor = Reactor::new().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    reactor.register(near.as_raw_fd(), 1, Interest::NONE).unwrap();
    drop(far);
    assert_eq!(ready_now(&reactor), [Event { token: 1, hangup: true, ..QUIET }]);
    reactor.deregister(near.as_raw_fd()).unwrap();

    let (reader, writer) = rustix::pipe::pipe().unwrap();
    reactor.register(writer.as_raw_fd(), 2, Interest::NONE).unwrap();
    drop(reader);
    assert_eq!(ready_now(&reactor), [Event { token: 2, error: true, ..QUIET }]);
}

#[test]
fn end_of_file_is_readable() {
    let reactor = Reactor::new().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    reactor.register(near.as_raw_fd(), 1, Interest::READ).unwrap();
    far.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(ready_now(&reactor), [Event { token: 1, readable: true, ..QUIET }]);
}

#[test]
fn another_thread_ends_an_endless_wait() {
    let reactor = Reactor::new().unwrap();
    let mut events = Events::with_capacity(1);
    std::thread::scope(|scope| {
        scope.spawn(|| reactor.wake().unwrap());
        let wakeup = reactor.wait(&mut events, None).unwrap();
        assert_eq!((wakeup.events, wakeup.signals), (0, false));
    });
}

#[test]
fn wakes_before_a_wait_end_just_that_one() {
    let reactor = Reactor::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    reactor.register(near.as_raw_fd(), 1, Interest::READ).unwrap();
    let mut events = Events::with_capacity(4);
    for _ in 0..3 {
        reactor.wake().unwrap();
        reactor.wake().unwrap();
        // Would hang if the wakes were lost, and the second one if the first wait had left
        // something behind.
        assert_eq!(reactor.wait(&mut events, None).unwrap().events, 0);
    }
    far.write_all(b"a").unwrap();
    assert_eq!(reactor.wait(&mut events, None).unwrap().events, 1);
}

#[test]
fn a_wait_after_a_wake_sleeps_again() {
    let reactor = Reactor::new().unwrap();
    reactor.wake().unwrap();
    assert_eq!(ready_now(&reactor), []);
    // The epoll instance itself is readable as long as it has something to report.
    let outer = Reactor::new().unwrap();
    outer.register(reactor.as_raw_fd(), 1, Interest::READ).unwrap();
    assert_eq!(ready_now(&outer), []);
    reactor.wake().unwrap();
    assert_eq!(ready_now(&outer), [Event { token: 1, readable: true, ..QUIET }]);
}

#[test]
fn a_full_counter_does_not_silence_the_waker() {
    let reactor = Reactor::new().unwrap();
    reactor.fill_waker();
    assert_eq!(ready_now(&reactor), []);
    reactor.wake().unwrap();
    assert_eq!(reactor.wait(&mut Events::with_capacity(1), None).unwrap().events, 0);
}

#[test]
fn signals_come_in_as_bytes() {
    let reactor = Reactor::new().unwrap();
    assert_eq!(reactor.take_signals(), []);
    let sender = reactor.signal_sender().unwrap();
    assert_eq!(reactor.signal_sender().unwrap(), sender);
    assert!(crate::net::socket::is_nonblocking(sender).unwrap());

    let sent: Vec<u8> = (0..=255).collect();
    for byte in &sent {
        rustix::io::write(crate::fd::borrow(sender).unwrap(), &[*byte]).unwrap();
    }
    let mut events = Events::with_capacity(1);
    let wakeup = reactor.wait(&mut events, None).unwrap();
    assert_eq!((wakeup.events, wakeup.signals), (0, true));
    assert_eq!(reactor.take_signals(), sent);
    assert_eq!(reactor.take_signals(), []);
    assert_eq!(ready_now(&reactor), []);
}

#[test]
fn the_buffer_grows_after_it_was_full() {
    let reactor = Reactor::new().unwrap();
    let pairs: Vec<_> = (0..20).map(|_| UnixStream::pair().unwrap()).collect();
    for (near, _) in &pairs {
        reactor.register(near.as_raw_fd(), near.as_raw_fd() as u64, Interest::WRITE).unwrap();
    }
    let mut events = Events::with_capacity(0);
    let mut counts = Vec::new();
    while counts.last() != Some(&20) {
        counts.push(reactor.wait(&mut events, Some(Duration::ZERO)).unwrap().events);
        assert!(counts.len() < 10, "{counts:?}");
    }
    assert_eq!(counts[0], 1);
    let mut tokens: Vec<_> = events.iter().map(|event| event.token).collect();
    tokens.sort_unstable();
    let mut expected: Vec<_> = pairs.iter().map(|(near, _)| near.as_raw_fd() as u64).collect();
    expected.sort_unstable();
    assert_eq!(tokens, expected);
}

#[test]
fn time_outs_of_any_length_are_accepted() {
    let reactor = Reactor::new().unwrap();
    let mut events = Events::with_capacity(1);
    for timeout in [Duration::ZERO, Duration::from_nanos(1)] {
        assert_eq!(reactor.wait(&mut events, Some(timeout)).unwrap().events, 0);
    }
    reactor.wake().unwrap();
    assert_eq!(reactor.wait(&mut events, Some(Duration::MAX)).unwrap().events, 0);
}
