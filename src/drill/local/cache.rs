//! The page cache: a restore from memory says nothing of a restore from a disk. What can be put out
//! of it is put out before the clock starts, and what stays is told.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Puts a file out of the page cache, as far as the kernel is willing. Gives the share of it that
/// is still in memory, in percent. `None`: that cannot be seen.
pub fn put_out(path: &Path) -> Option<u64> {
    let file = File::open(path).ok()?;
    // SAFETY: a valid descriptor; no pointers. Its answer does not matter: it is looked below.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    resident(&file)
}

fn resident(file: &File) -> Option<u64> {
    let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
    if length == 0 {
        return Some(0);
    }
    // SAFETY: the mapping is of the file's own length, is only asked about and never read (so that
    // a file that shrinks meanwhile does no harm), and is taken away again.
    unsafe {
        let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).ok()?;
        let map = libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        );
        if map == libc::MAP_FAILED {
            return None;
        }
        let mut pages = vec![0_u8; length.div_ceil(page)];
        let code = libc::mincore(map, length, pages.as_mut_ptr());
        libc::munmap(map, length);
        if code != 0 {
            return None;
        }
        let there = pages.iter().filter(|p| **p & 1 == 1).count();
        u64::try_from(there * 100 / pages.len()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_memory_is_seen_there() {
        // tmpfs has nowhere else to put it.
        let file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
        std::fs::write(file.path(), vec![1; 1 << 20]).unwrap();
        assert_eq!(put_out(file.path()), Some(100));
        assert_eq!(put_out(Path::new("/no/such/file")), None);
    }
}
