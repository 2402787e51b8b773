//! Both engines, asked the same.

use super::descriptor::Descriptor;
use super::plan::{Read, Single, Until, Whole, WholeFile, Write};
use super::{opening, quick, replacing, Choice, Done, Engine, Kind, Work};
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A directory of its own for a test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("plait-files-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// Every engine that this machine has. Threads are always there.
fn engines() -> Vec<Engine> {
    let made = [Kind::Threads, Kind::IoUring].map(|kind| Engine::new(Choice::Only(kind)).ok());
    made.into_iter().flatten().collect()
}

fn ask(engine: &mut Engine, work: Work) -> Done {
    ask_all(engine, vec![work]).remove(0)
}

fn ask_all(engine: &mut Engine, works: Vec<Work>) -> Vec<Done> {
    let count = works.len();
    for (id, work) in works.into_iter().enumerate() {
        // All are waited for as if they wrote.
        engine.stage(id as u64, work, true);
    }
    let mut out = Vec::new();
    assert!(engine.settle_writes(Duration::from_secs(20), &mut out));
    assert_eq!(out.len(), count);
    out.sort_by_key(|(id, _)| *id);
    out.into_iter().map(|(_, done)| done).collect()
}

fn steps(plan: impl super::plan::Plan + 'static) -> Work {
    Work::Steps(Box::new(plan))
}

fn share(fd: impl Into<OwnedFd>) -> Arc<Descriptor> {
    Arc::new(Descriptor::Owned(fd.into()))
}

#[test]
fn a_file_is_written_and_read_whole() {
    let scratch = Scratch::new("whole");
    for mut engine in engines() {
        let path = c_path(&scratch.path("file"));
        for length in [0, 1, 16 * 1024, 16 * 1024 + 1, 1_000_000] {
            let data: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
            let whole = Whole::Write { data: data.clone(), durable: length == 1 };
            let done = ask(&mut engine, steps(WholeFile::new(path.clone(), flags, 0o600, whole)));
            assert!(matches!(done, Done::Count(n) if n == length), "{done:?}");
            let whole = Whole::Read { expected: 0 };
            let done = ask(&mut engine, steps(WholeFile::new(path.clone(), libc::O_RDONLY, 0, whole)));
            assert!(matches!(&done, Done::Bytes(read) if *read == data), "{done:?}");
        }
    }
}

#[test]
fn what_cannot_be_done_says_why() {
    let scratch = Scratch::new("errors");
    for mut engine in engines() {
        for (path, errno) in [(scratch.path("nothing"), libc::ENOENT), (scratch.0.clone(), libc::EISDIR)] {
            let plan = WholeFile::new(c_path(&path), libc::O_RDONLY, 0, Whole::Read { expected: 0 });
            let done = ask(&mut engine, steps(plan));
            assert!(matches!(&done, Done::Failed(failure) if failure.errno == errno), "{done:?}");
        }
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let done = ask(&mut engine, steps(Write::new(share(full), b"much".to_vec(), false)));
        assert!(
            matches!(&done, Done::Failed(f) if (f.errno, f.written, f.rest.as_slice()) == (libc::ENOSPC, 0, b"much")),
            "{done:?}"
        );
    }
}

#[test]
fn reads_go_on_where_the_last_ended() {
    let scratch = Scratch::new("positions");
    std::fs::write(scratch.path("file"), b"0123456789").unwrap();
    for mut engine in engines() {
        let file = share(std::fs::File::open(scratch.path("file")).unwrap());
        let read = |want, until| steps(Read::new(Arc::clone(&file), Vec::new(), want, until));
        for (want, until, expected) in [
            (3, Until::Once, b"012".as_slice()),
            (4, Until::Full, b"3456"),
            (9, Until::Full, b"789"),
            (9, Until::End, b""),
        ] {
            let done = ask(&mut engine, read(want, until));
            assert!(matches!(&done, Done::Bytes(bytes) if bytes == expected), "{done:?}");
        }
        assert!(matches!(ask(&mut engine, steps(Single::sync(Arc::clone(&file), true))), Done::Nothing));
        let fd = Descriptor::into_owned(file).expect("nobody else is at it");
        assert!(matches!(ask(&mut engine, steps(Single::close(fd))), Done::Nothing));
    }
}

#[test]
fn what_is_closed_is_closed() {
    for mut engine in engines() {
        // Its number tells nothing: another test may have opened something in the meantime. The other end of a pipe knows.
        let (reader, writer) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK)
                .unwrap();
        assert!(matches!(rustix::io::read(&reader, &mut [0; 1]), Err(rustix::io::Errno::AGAIN)));
        assert!(matches!(ask(&mut engine, steps(Single::close(writer))), Done::Nothing));
        assert_eq!(rustix::io::read(&reader, &mut [0; 1]), Ok(0));
    }
}

#[test]
fn a_crowd_is_served() {
    let scratch = Scratch::new("crowd");
    std::fs::write(scratch.path("file"), vec![7; 5000]).unwrap();
    for mut engine in engines() {
        let path = c_path(&scratch.path("file"));
        let work = |_| steps(WholeFile::new(path.clone(), libc::O_RDONLY, 0, Whole::Read { expected: 0 }));
        let all = ask_all(&mut engine, (0..3000).map(work).collect());
        assert!(all.iter().all(|done| matches!(done, Done::Bytes(bytes) if bytes.len() == 5000)));
        assert!(engine.threads() <= 32);
    }
}

#[test]
fn one_that_waits_for_ever_keeps_nobody_else_waiting() {
    let scratch = Scratch::new("pipes");
    for mut engine in engines() {
        let pipes: Vec<_> = (0..5).map(|_| rustix::pipe::pipe().unwrap()).collect();
        for (id, (read, _)) in pipes.iter().enumerate() {
            let file = share(rustix::io::dup(read).unwrap());
            engine.stage(100 + id as u64, steps(Read::new(file, Vec::new(), 9, Until::Once)), false);
        }
        let plan =
            WholeFile::new(c_path(&scratch.path("none")), libc::O_RDONLY, 0, Whole::Read { expected: 0 });
        engine.stage(1, steps(plan), true);
        let mut out = Vec::new();
        assert!(engine.settle_writes(Duration::from_secs(20), &mut out));
        assert_eq!(out.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1]);
        // And what comes late is delivered.
        rustix::io::write(&pipes[3].1, b"late").unwrap();
        engine.stage(
            2,
            steps(Write::new(share(rustix::io::dup(&pipes[3].1).unwrap()), Vec::new(), false)),
            true,
        );
        while out.len() < 3 {
            engine.settle_writes(Duration::from_secs(20), &mut out);
        }
        assert!(out.iter().any(|(id, done)| *id == 103 && matches!(done, Done::Bytes(b) if b == b"late")));
    }
}

#[test]
fn an_engine_goes_away_with_reads_under_way() {
    for mut engine in engines() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        engine.stage(1, steps(Read::new(share(read), Vec::new(), 9, Until::Once)), false);
        engine.flush();
        drop(engine);
        drop(write);
    }
}

#[test]
fn replacing_keeps_what_a_file_is() {
    use std::os::unix::fs::{symlink, PermissionsExt};
    let scratch = Scratch::new("replacing");
    let (path, link) = (scratch.path("file"), scratch.path("link"));
    std::fs::write(&path, b"old").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    symlink(&path, &link).unwrap();
    assert!(matches!(replacing::replace(&c_path(&link), b"newer", 0o666), Done::Count(5)));
    assert_eq!(std::fs::read(&path).unwrap(), b"newer");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(std::fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
    // Nothing is left beside them, whether it succeeded or not.
    assert!(matches!(replacing::replace(&c_path(&scratch.0), b"", 0o666), Done::Failed(_)));
    assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 2);
}

#[test]
fn what_is_cached_is_read_at_once() {
    let scratch = Scratch::new("quick");
    std::fs::write(scratch.path("file"), b"0123456789").unwrap();
    let opening::AtOnce::Opened(opened) = opening::open_at_once(&c_path(&scratch.path("file"))) else {
        return; // a kernel or a file system without it
    };
    assert_eq!((opened.facts.size, opened.facts.is_regular()), (10, true));
    assert!(!rustix::fs::fcntl_getfl(&opened.fd).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    let mut into = [MaybeUninit::uninit(); 6];
    match quick::read(opened.fd.as_raw_fd(), &mut into) {
        quick::AtOnce::Read(6) => {
            assert_eq!(quick::read(opened.fd.as_raw_fd(), &mut into), quick::AtOnce::Read(4));
            assert_eq!(quick::read(opened.fd.as_raw_fd(), &mut into), quick::AtOnce::End);
        }
        other => assert_ne!(other, quick::AtOnce::End),
    }
    assert!(opening::examine(opened.fd.as_fd()).is_ok());
    // The cache may know that there is no such file, or know nothing of it.
    assert!(matches!(
        opening::open_at_once(&c_path(&scratch.path("no"))),
        opening::AtOnce::Failed(rustix::io::Errno::NOENT) | opening::AtOnce::NotNow
    ));
    assert!(matches!(
        opening::open_at_once(&c_path(&scratch.0)),
        opening::AtOnce::Failed(rustix::io::Errno::ISDIR)
    ));
}

#[test]
fn what_is_given_up_before_it_began_is_not_begun() {
    let scratch = Scratch::new("given-up");
    for mut engine in engines() {
        let path = c_path(&scratch.path("file"));
        let flags = libc::O_WRONLY | libc::O_CREAT;
        let open = {
            let path = path.clone();
            Work::Blocking(Box::new(move || opening::open(&path, flags, 0o600).map(Done::Opened).into()))
        };
        engine.stage(7, open, false);
        engine.stage(
            8,
            steps(WholeFile::new(path, flags, 0o600, Whole::Write { data: vec![1], durable: false })),
            true,
        );
        engine.cancel(7);
        // What writes is not given up.
        engine.cancel(8);
        let mut out = Vec::new();
        assert!(engine.settle_writes(Duration::from_secs(20), &mut out));
        while out.len() < 2 {
            engine.collect(&mut out);
        }
        out.sort_by_key(|(id, _)| *id);
        assert!(matches!(&out[0].1, Done::Failed(failure) if failure.errno == libc::ECANCELED), "{out:?}");
        assert!(matches!(out[1].1, Done::Count(1)), "{out:?}");
    }
}

#[test]
fn only_regular_files_are_replaced() {
    let scratch = Scratch::new("not-regular");
    let link = scratch.path("link");
    std::os::unix::fs::symlink("nothing", &link).unwrap();
    assert!(matches!(replacing::replace(&c_path(&link), b"data", 0o600), Done::Count(4)));
    assert_eq!(std::fs::read(scratch.path("nothing")).unwrap(), b"data");
    assert!(link.symlink_metadata().unwrap().file_type().is_symlink());
    let fifo = scratch.path("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    // Both ends: nobody waits for the other.
    let mut ends = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    assert!(matches!(replacing::replace(&c_path(&fifo), b"data", 0o600), Done::Count(4)));
    let mut said = [0; 4];
    std::io::Read::read_exact(&mut ends, &mut said).unwrap();
    assert_eq!(&said, b"data");
    for no_file in [scratch.path(""), scratch.path("nothing/")] {
        assert!(matches!(replacing::replace(&c_path(&no_file), b"data", 0o600), Done::Failed(_)));
    }
    let mut left: Vec<_> =
        std::fs::read_dir(scratch.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["fifo", "link", "nothing"]);
}
