//! Waiting on a kernel without `epoll_pwait2`: older than 5.11, or behind a filter that does not
//! know the call.
//!
//! Time-outs are whole milliseconds here, rounded up, since rounding down would make the loop spin
//! until its timer is due. Rejected: refusing such kernels, which long-lived distributions still
//! ship, and `ppoll` on the epoll instance first, which is exact but costs a second system call per
//! wait.

use rustix::event::epoll;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Fills `events`, which is empty, up to its capacity.
pub(super) fn wait(
    epoll: impl AsFd,
    events: &mut Vec<epoll::Event>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let mut raw = vec![libc::epoll_event { events: 0, u64: 0 }; events.capacity()];
    let room = i32::try_from(raw.len()).unwrap_or(i32::MAX);
    let timeout = timeout.map_or(-1, whole_milliseconds);
    // SAFETY: `raw` is valid for writes of `room` events, and the descriptor is borrowed for the
    // call.
    #[allow(unsafe_code)]
    let count = unsafe { libc::epoll_wait(epoll.as_fd().as_raw_fd(), raw.as_mut_ptr(), room, timeout) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    events.extend(raw[..count].iter().map(|event| epoll::Event {
        flags: epoll::EventFlags::from_bits_retain(event.events),
        data: epoll::EventData::new_u64(event.u64),
    }));
    Ok(())
}

fn whole_milliseconds(timeout: Duration) -> i32 {
    let rounded_up = timeout.as_nanos().div_ceil(1_000_000);
    i32::try_from(rounded_up).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{eventfd, EventfdFlags};

    #[test]
    fn rounds_up() {
        assert_eq!(whole_milliseconds(Duration::ZERO), 0);
        assert_eq!(whole_milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(whole_milliseconds(Duration::from_millis(5)), 5);
        assert_eq!(whole_milliseconds(Duration::MAX), i32::MAX);
    }

    #[test]
    fn reports_what_is_ready() {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let ready = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
        let data = epoll::EventData::new_u64(0x1234_5678_9abc_def0);
        epoll::add(&epoll, &ready, data, epoll::EventFlags::IN).unwrap();
        let mut events = Vec::with_capacity(4);
        wait(&epoll, &mut events, None).unwrap();
        assert_eq!(events.len(), 1);
        let event = events[0];
        assert_eq!(event.data.u64(), 0x1234_5678_9abc_def0);
        assert!({ event.flags }.contains(epoll::EventFlags::IN));

        rustix::io::read(&ready, &mut [0u8; 8]).unwrap();
        events.clear();
        wait(&epoll, &mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
    }

    #[test]
    fn errors_keep_their_number() {
        let not_epoll = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let error = wait(&not_epoll, &mut Vec::with_capacity(1), None).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
