//! A piece of memory with a descriptor: made here, handed to another process, mapped there.
//!
//! It is a memfd: it has no name that anybody could forget to remove, does not count against `/dev/shm`, and is gone with the last who has it open or
//! mapped. It is sealed at birth against shrinking and growing, so that nobody who maps it can be killed by SIGBUS because a peer cut it off; a
//! descriptor that came from elsewhere is mapped only if it is sealed likewise.
//!
//! Some sandboxes forbid memfd. Where little memory is wanted, and only the program's own processes get it, a file without a name does there (see
//! [`Memory::among_kin`]).
//!
//! Rejected: `shm_open`, whose files lie in `/dev/shm` (64 MiB in a container) until somebody sweeps them.

use crate::sync::atomic::{AtomicU32, AtomicU64};
use memmap2::{MmapMut, MmapOptions, MmapRaw};
use rustix::fs::{
    fallocate, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create, FallocateFlags, MemfdFlags,
    OFlags, SealFlags,
};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// Memory that other processes may map too, and write to at any time.
///
/// There are no slices of it, since what they borrow may change under them: bytes are copied in and out, and words are atomics.
#[derive(Debug)]
pub struct Memory {
    file: File,
    map: MmapRaw,
}

impl Memory {
    /// So many bytes, all zero. `name` is what `/proc/PID/maps` shows of it.
    ///
    /// # Errors
    ///
    /// What memfd_create, ftruncate and mmap say: where memfd is forbidden (seccomp), EPERM or ENOSYS.
    pub fn new(name: &str, size: usize) -> io::Result<Memory> {
        let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, size as u64)?;
        fcntl_add_seals(&file, SEALS)?;
        Memory::map(File::from(file))
    }

    /// The same for processes that trust each other: where memfd is forbidden it is a file without a name, which is not sealed.
    ///
    /// # Errors
    ///
    /// What open, ftruncate and mmap say.
    pub fn among_kin(name: &str, size: usize) -> io::Result<Memory> {
        match Memory::new(name, size) {
            Err(error) if is_forbidden(&error) => Memory::nameless(size),
            made => made,
        }
    }

    fn nameless(size: usize) -> io::Result<Memory> {
        let create = |directory: PathBuf| {
            let flags = (OFlags::TMPFILE | OFlags::CLOEXEC).bits() as i32;
            let file =
                OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(flags).open(directory)?;
            // Its pages now, and not a SIGBUS when there are no more.
            fallocate(&file, FallocateFlags::empty(), 0, size as u64)?;
            io::Result::Ok(file)
        };
        let file = create("/dev/shm".into()).or_else(|_| create(std::env::temp_dir()))?;
        Memory::map(file)
    }

    /// What [`Memory::among_kin`] made in another process.
    ///
    /// # Errors
    ///
    /// InvalidInput: it is neither sealed nor without a name. Else what fstat and mmap say.
    pub fn open_from_kin(descriptor: OwnedFd) -> io::Result<Memory> {
        match is_sealed(&descriptor) || fstat(&descriptor)?.st_nlink == 0 {
            true => Memory::map(File::from(descriptor)),
            false => Err(not_sealed()),
        }
    }

    /// Memory that another process made.
    ///
    /// # Errors
    ///
    /// InvalidInput: it is not sealed, so it could be cut off under us. Else what mmap says.
    pub fn open(descriptor: OwnedFd) -> io::Result<Memory> {
        Memory::map(sealed(descriptor)?)
    }

    fn map(file: File) -> io::Result<Memory> {
        let map = MmapOptions::new().map_raw(&file)?;
        Ok(Memory { file, map })
    }

    /// How many bytes there are.
    #[inline]
    pub fn size(&self) -> usize {
        self.map.len()
    }

    /// What is handed to another process.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Where it begins, in this process.
    #[inline]
    pub fn address(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    /// Gives the memory back, of all who have it: from now on there are zeros, until somebody writes. The descriptors and mappings stay.
    ///
    /// # Errors
    ///
    /// What fallocate says.
    pub fn discard(&self) -> io::Result<()> {
        let all = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&self.file, all, 0, self.size() as u64)?)
    }

    /// Asks for pages of two mebibytes, which take one fault each where small ones take five hundred. The kernel need not listen.
    pub fn prefer_large_pages(&self) {
        let _ = self.map.advise(memmap2::Advice::HugePage);
    }

    /// The word at this offset.
    ///
    /// # Panics
    ///
    /// It is not inside the memory, or not aligned.
    #[inline]
    #[allow(unsafe_code)]
    pub fn word(&self, offset: usize) -> &AtomicU32 {
        let address = self.at(offset, size_of::<AtomicU32>(), align_of::<AtomicU32>());
        // SAFETY: inside the mapping, which lives as long as `self`, and aligned; an atomic may be changed by anybody at any time, and any bits are one.
        unsafe { &*address.cast() }
    }

    /// The double word at this offset. See [`Memory::word`].
    #[inline]
    #[allow(unsafe_code)]
    pub fn double_word(&self, offset: usize) -> &AtomicU64 {
        let address = self.at(offset, size_of::<AtomicU64>(), align_of::<AtomicU64>());
        // SAFETY: as in `word`.
        unsafe { &*address.cast() }
    }

    /// Copies bytes in.
    ///
    /// # Panics
    ///
    /// They do not fit in there.
    #[inline]
    #[allow(unsafe_code)]
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let address = self.at(offset, bytes.len(), 1);
        // SAFETY: inside the mapping. Nobody has a reference into it but to atomics; another process that writes there at the same time breaks the rules of
        // whatever lies there, and what is read is then any bytes, which readers expect.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address, bytes.len()) }
    }

    /// Copies bytes in where nobody has written yet. There each page would be a fault, and filled with zeros first: this takes half the time. (Where the
    /// pages are there and mapped, [`Memory::write`] takes a third of it.)
    ///
    /// # Errors
    ///
    /// What pwrite says: there is no memory left, say.
    pub fn write_first(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset as u64)
    }

    /// Copies bytes out. See [`Memory::write`].
    #[inline]
    #[allow(unsafe_code)]
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        let address = self.at(offset, into.len(), 1);
        // SAFETY: as in `write`.
        unsafe { std::ptr::copy_nonoverlapping(address, into.as_mut_ptr(), into.len()) }
    }

    #[inline]
    #[allow(unsafe_code)]
    fn at(&self, offset: usize, size: usize, align: usize) -> *mut u8 {
        let fits = offset.checked_add(size).is_some_and(|end| end <= self.map.len());
        assert!(fits && offset % align == 0, "{size} bytes at {offset} are not in {} bytes", self.map.len());
        // SAFETY: it was just seen to be inside the mapping.
        unsafe { self.map.as_mut_ptr().add(offset) }
    }
}

/// The same bytes, seen as they were when they were first touched, and written to without anybody else's seeing it.
///
/// # Errors
///
/// As [`Memory::open`].
#[allow(unsafe_code)]
pub fn private_copy(descriptor: OwnedFd) -> io::Result<MmapMut> {
    let file = sealed(descriptor)?;
    // SAFETY: it cannot be cut off (sealed). Whoever wrote it keeps from it for as long as this mapping lives: that is what a lease says (see the users).
    unsafe { MmapOptions::new().map_copy(&file) }
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
}

fn is_sealed(descriptor: &OwnedFd) -> bool {
    // What is no memory at all has no seals to be asked for.
    fcntl_get_seals(descriptor).is_ok_and(|seals| seals.contains(SealFlags::SHRINK))
}

fn not_sealed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "memory that is not sealed against shrinking")
}

fn sealed(descriptor: OwnedFd) -> io::Result<File> {
    match is_sealed(&descriptor) {
        true => Ok(File::from(descriptor)),
        false => Err(not_sealed()),
    }
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn two_mappings_show_the_same_bytes() {
        let ours = Memory::new("plait-test", 4096).unwrap();
        let theirs = Memory::open(ours.descriptor().try_clone_to_owned().unwrap()).unwrap();
        ours.write(8, b"plait");
        ours.word(0).store(7, Ordering::Release);
        let mut seen = [0; 5];
        theirs.read(8, &mut seen);
        assert_eq!((&seen, theirs.word(0).load(Ordering::Acquire)), (b"plait", 7));
        ours.write_first(9, b"LAI").unwrap();
        theirs.read(8, &mut seen);
        assert_eq!(&seen, b"pLAIt");
        assert!(ours.write_first(4095, b"ab").is_err(), "it is sealed against growing");
    }

    #[test]
    fn without_memfd_it_is_a_file_without_a_name() {
        let ours = Memory::nameless(4096).unwrap();
        let descriptor = || ours.descriptor().try_clone_to_owned().unwrap();
        let theirs = Memory::open_from_kin(descriptor()).unwrap();
        ours.write(8, b"plait");
        let mut seen = [0; 5];
        theirs.read(8, &mut seen);
        assert_eq!(&seen, b"plait");
        assert_eq!(Memory::open(descriptor()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(fstat(descriptor()).unwrap().st_nlink, 0);
    }

    #[test]
    fn a_private_copy_keeps_its_changes() {
        let ours = Memory::new("plait-test", 4096).unwrap();
        ours.write(0, b"a");
        let mut copy = private_copy(ours.descriptor().try_clone_to_owned().unwrap()).unwrap();
        copy[0] = b'b';
        let mut seen = [0; 1];
        ours.read(0, &mut seen);
        assert_eq!((seen, copy[0]), (*b"a", b'b'));
    }

    #[test]
    fn what_could_be_cut_off_is_not_mapped() {
        let file = memfd_create("plait-test", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 4096).unwrap();
        assert_eq!(Memory::open(file).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(ftruncate(Memory::new("plait-test", 4096).unwrap().descriptor(), 0).is_err());
    }

    #[test]
    #[should_panic(expected = "4 bytes at 4096 are not in 4096 bytes")]
    fn a_word_outside_is_refused() {
        let memory = Memory::new("plait-test", 4096).unwrap();
        memory.word(4096);
    }
}
