//! What a child does with the reactor of its parent: nothing.
//!
//! One test, in a file of its own, because the generation belongs to the whole process.

use plait_core::fork;
use plait_core::reactor::{Events, Interest, Reactor};
use rustix::event::{epoll, Timespec};
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The tokens that are ready on the epoll instance, asked past the reactor.
fn ready_tokens(reactor: &Reactor) -> Vec<u64> {
    // SAFETY: the reactor keeps its descriptor open, and outlives this call.
    let epoll_fd = unsafe { BorrowedFd::borrow_raw(reactor.as_raw_fd()) };
    let mut ready = Vec::with_capacity(8);
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    epoll::wait(epoll_fd, rustix::buffer::spare_capacity(&mut ready), Some(&now)).unwrap();
    ready.iter().map(|event| event.data.u64()).collect()
}

#[test]
fn a_child_leaves_its_parents_reactor_alone() {
    let reactor = Reactor::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let (other, _peer) = UnixStream::pair().unwrap();
    reactor.register(near.as_raw_fd(), 1, Interest::READ).unwrap();
    reactor.signal_sender().unwrap();
    far.write_all(b"a").unwrap();
    assert!(!reactor.is_inherited());

    let before = fork::generation();
    fork::bump();
    assert_eq!(fork::generation(), before + 1);

    assert!(reactor.is_inherited());
    reactor.deregister(near.as_raw_fd()).unwrap();
    assert!(reactor.modify(near.as_raw_fd(), 2, Interest::NONE).is_err());
    assert!(reactor.register(other.as_raw_fd(), 3, Interest::WRITE).is_err());
    assert!(reactor.wait(&mut Events::with_capacity(1), Some(Duration::ZERO)).is_err());
    assert!(reactor.signal_sender().is_err());
    assert!(reactor.take_signals().is_empty());
    reactor.wake().unwrap();
    // One socket, under its first token, and no wake-up: the parent's instance is as the parent
    // left it.
    assert_eq!(ready_tokens(&reactor), [1]);

    let own = Reactor::new().unwrap();
    own.register(near.as_raw_fd(), 4, Interest::READ).unwrap();
    let mut events = Events::with_capacity(4);
    assert_eq!(own.wait(&mut events, None).unwrap().events, 1);
    assert_eq!(events.iter().next().unwrap().token, 4);
}
