//! The names of the system calls in which threads sleep. Their numbers differ from machine to machine; libc has those of this one.

macro_rules! calls {
    ($list:ident: $($(#[$only:meta])* $constant:ident = $name:literal),* $(,)?) => {
        const $list: &[(i64, &str)] = &[$($(#[$only])* (libc::$constant, $name)),*];
    };
}

// Those whose first argument is a descriptor.
calls! {
    ON_DESCRIPTORS:
    SYS_read = "read", SYS_write = "write", SYS_readv = "readv", SYS_writev = "writev", SYS_pread64 = "pread64",
    SYS_pwrite64 = "pwrite64", SYS_preadv = "preadv", SYS_pwritev = "pwritev", SYS_sendfile = "sendfile", SYS_splice = "splice",
    SYS_copy_file_range = "copy_file_range", SYS_recvfrom = "recvfrom", SYS_recvmsg = "recvmsg", SYS_recvmmsg = "recvmmsg",
    SYS_sendto = "sendto", SYS_sendmsg = "sendmsg", SYS_sendmmsg = "sendmmsg", SYS_connect = "connect", SYS_accept = "accept",
    SYS_accept4 = "accept4", SYS_close = "close", SYS_fsync = "fsync", SYS_fdatasync = "fdatasync", SYS_flock = "flock",
    SYS_fcntl = "fcntl", SYS_ftruncate = "ftruncate", SYS_fallocate = "fallocate", SYS_ioctl = "ioctl",
    SYS_getdents64 = "getdents64",
}

calls! {
    OTHERS:
    SYS_openat = "openat", SYS_sync = "sync", SYS_newfstatat = "newfstatat", SYS_statx = "statx", SYS_renameat2 = "renameat2",
    SYS_unlinkat = "unlinkat", SYS_mkdirat = "mkdirat", SYS_nanosleep = "nanosleep", SYS_clock_nanosleep = "clock_nanosleep",
    SYS_futex = "futex", SYS_ppoll = "ppoll", SYS_pselect6 = "pselect6", SYS_epoll_pwait = "epoll_pwait",
    SYS_epoll_pwait2 = "epoll_pwait2", SYS_wait4 = "wait4", SYS_waitid = "waitid", SYS_rt_sigsuspend = "rt_sigsuspend",
    SYS_rt_sigtimedwait = "rt_sigtimedwait", SYS_semtimedop = "semtimedop", SYS_msgrcv = "msgrcv", SYS_msgsnd = "msgsnd",
    SYS_io_uring_enter = "io_uring_enter", SYS_munmap = "munmap", SYS_madvise = "madvise", SYS_msync = "msync",
    SYS_getrandom = "getrandom", SYS_execve = "execve",
    #[cfg(target_arch = "x86_64")] SYS_open = "open",
    #[cfg(target_arch = "x86_64")] SYS_stat = "stat",
    #[cfg(target_arch = "x86_64")] SYS_lstat = "lstat",
    #[cfg(target_arch = "x86_64")] SYS_rename = "rename",
    #[cfg(target_arch = "x86_64")] SYS_unlink = "unlink",
    #[cfg(target_arch = "x86_64")] SYS_mkdir = "mkdir",
    #[cfg(target_arch = "x86_64")] SYS_rmdir = "rmdir",
    #[cfg(target_arch = "x86_64")] SYS_poll = "poll",
    #[cfg(target_arch = "x86_64")] SYS_select = "select",
    #[cfg(target_arch = "x86_64")] SYS_epoll_wait = "epoll_wait",
    #[cfg(target_arch = "x86_64")] SYS_pause = "pause",
}

/// Whether the call's first argument is a descriptor.
pub fn takes_descriptor(number: i64) -> bool {
    ON_DESCRIPTORS.iter().any(|&(call, _)| call == number)
}

pub fn name(number: i64) -> String {
    let known = ON_DESCRIPTORS.iter().chain(OTHERS).find(|&&(call, _)| call == number);
    known.map_or_else(|| format!("number {number}"), |(_, name)| (*name).to_owned())
}
