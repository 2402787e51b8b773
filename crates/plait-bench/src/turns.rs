//! What the reference servers on epoll have in common: wait, serve what is ready, look ten times a second at whether to go on.

use crate::failure::Context;
use crate::ticker::Ticker;
use crate::OnTick;
use rustix::event::epoll;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The key that no caller gives to a descriptor of its own.
const TICKER: u64 = u64::MAX;

pub(crate) fn watcher() -> io::Result<OwnedFd> {
    epoll::create(epoll::CreateFlags::CLOEXEC).context(|| "epoll could not be set up".into())
}

/// `key` is what `serve` is told when there is something to read.
pub(crate) fn watch(watcher: &OwnedFd, fd: impl AsFd, key: u64) -> rustix::io::Result<()> {
    epoll::add(watcher, fd, epoll::EventData::new_u64(key), epoll::EventFlags::IN)
}

/// Calls `ready` with the key of each descriptor that is, until told to stop. `most` are taken from the kernel at once.
pub(crate) fn serve(
    watcher: &OwnedFd,
    most: usize,
    on_tick: OnTick<'_>,
    mut ready: impl FnMut(u64) -> io::Result<()>,
) -> io::Result<()> {
    let ticker = Ticker::new()?;
    watch(watcher, &ticker, TICKER).context(|| "the timer could not be watched".into())?;
    let mut events = Vec::with_capacity(most);
    loop {
        events.clear();
        match epoll::wait(watcher, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) if on_tick().is_break() => return Ok(()),
            Err(Errno::INTR) => continue,
            outcome @ Err(_) => return outcome.map(drop).context(|| "epoll_pwait2 (Linux 5.11)".into()),
        }
        for &epoll::Event { data, .. } in &events {
            match data.u64() {
                TICKER if ticker.ask(on_tick).is_break() => return Ok(()),
                TICKER => {}
                key => ready(key)?,
            }
        }
    }
}
