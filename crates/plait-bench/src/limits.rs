//! Enough descriptors for the connections asked for.
//!
//! The soft limit is often 1,024 for the sake of programs that use `select`; a process may raise its own up to the hard one.
//! It stays raised: another thread may have come to need it meanwhile.

use crate::failure::{invalid, Context};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use std::io;

/// For what a thread opens beside the connections: epoll, timers, and what others open meanwhile.
const SPARE: u64 = 32;

/// Sees to it that `more` descriptors can be opened, by raising the soft limit to the hard one where it must.
pub(crate) fn make_room_for(more: usize) -> io::Result<()> {
    let open =
        std::fs::read_dir("/proc/self/fd").context(|| "open descriptors could not be counted".into())?;
    let needed = open.count() as u64 + more as u64 + SPARE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    if let Some(hard) = limit.maximum.filter(|hard| *hard < needed) {
        return Err(invalid(format!(
            "{more} connections need {needed} descriptors, and no more than {hard} are allowed: raise the hard limit (ulimit -Hn)"
        )));
    }
    raise(limit)
}

/// Raises the soft limit to the hard one.
pub(crate) fn make_most_room() -> io::Result<()> {
    raise(getrlimit(Resource::Nofile))
}

fn raise(limit: Rlimit) -> io::Result<()> {
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context(|| "the limit of descriptors could not be raised".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raises_the_soft_limit_and_knows_the_hard_one() {
        let limit = getrlimit(Resource::Nofile);
        let Some(hard) = limit.maximum.filter(|hard| *hard > 2000) else { return };
        make_room_for(hard as usize - 1000).unwrap();
        assert!(getrlimit(Resource::Nofile).current.unwrap() >= hard - 1000);
        let error = make_room_for(hard as usize).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("no more than {hard}")), "{error}");
    }
}
