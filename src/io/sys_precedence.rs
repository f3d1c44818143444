//! Whom the kernel lets go first, and who never waits for a disk: as small safe functions.

use std::io;

/// -1 is an error.
fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Soft and hard limit of a resource.
fn set_limit(resource: libc::__rlimit_resource_t, value: libc::rlim_t) -> io::Result<()> {
    let new = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `new` is an `rlimit` that outlives the call.
    check(unsafe { libc::setrlimit(resource, &raw const new) })
}

/// This process's memory stays in memory once it was touched; its program is read now.
///
/// That needs memory without a limit: beyond one an allocation would fail, or a stack not grow. Where there is a limit, the
/// program alone stays, which is all that the kernel throws away where nothing is swapped.
pub fn stay_in_memory() -> io::Result<()> {
    if set_limit(libc::RLIMIT_MEMLOCK, libc::RLIM_INFINITY).is_ok() {
        // Not all at once: an allocator sets aside more addresses than it ever needs memory.
        // SAFETY: no pointers are passed, and no memory changes by it.
        check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) })?;
    }
    lock_files(&std::fs::read_to_string("/proc/self/maps")?)
}

/// What is mapped from files: program and libraries.
fn lock_files(maps: &str) -> io::Result<()> {
    for (begin, end) in maps.lines().filter_map(file_range) {
        // SAFETY: the kernel looks at the range and touches nothing in it; one that is not mapped any more is an error.
        check(unsafe { libc::mlock(begin as *const libc::c_void, end - begin) })?;
    }
    Ok(())
}

/// The addresses of a line of `/proc/self/maps` that is about a file that can be read.
fn file_range(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights) = (words.next()?, words.next()?);
    let is_file = words.nth(3)?.starts_with('/');
    let (begin, end) = range.split_once('-')?;
    let (begin, end) = (usize::from_str_radix(begin, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    (is_file && rights.starts_with('r') && begin < end).then_some((begin, end))
}

/// This thread's nice value from now on; Linux keeps one for each thread.
pub fn set_nice(value: i32) -> io::Result<()> {
    // SAFETY: no pointers are passed; 0 is the calling thread.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) })
}

/// This thread's nice value.
#[cfg(test)]
pub fn nice() -> i32 {
    // SAFETY: no pointers are passed; 0 is the calling thread. It fails for threads that do not exist only.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// This thread runs on this processor only.
pub fn bind(processor: usize) -> io::Result<()> {
    // SAFETY: all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    if processor >= 8 * size_of_val(&set) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the set has room for that number, as was just looked at.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // SAFETY: the set outlives the call; 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) })
}

/// This thread stays on the processor on which it is.
pub fn bind_here() -> io::Result<()> {
    // SAFETY: no pointers are passed, and nothing changes by it.
    let here = unsafe { libc::sched_getcpu() };
    check(here)?;
    bind(here.cast_unsigned() as usize)
}

/// This process may give its threads real-time priorities up to `priority`, also without any privilege later on.
pub fn permit_real_time(priority: u32) -> io::Result<()> {
    set_limit(libc::RLIMIT_RTPRIO, priority.into())
}

/// This thread runs before all ordinary ones from now on, first in first out.
pub fn become_real_time(priority: u32) -> io::Result<()> {
    // 0 is the calling thread.
    make_real_time(0, priority)
}

/// The same for another thread.
pub fn make_real_time(thread: u32, priority: u32) -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: priority as libc::c_int };
    // SAFETY: the struct outlives the call.
    let result =
        unsafe { libc::sched_setscheduler(thread as libc::pid_t, libc::SCHED_FIFO, &raw const parameter) };
    check(result)
}

/// True when this thread runs before all ordinary ones.
pub fn is_real_time() -> bool {
    // SAFETY: no pointers are passed; 0 is the calling thread.
    unsafe { libc::sched_getscheduler(0) == libc::SCHED_FIFO }
}

/// The number of this thread.
pub fn thread_id() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::gettid() as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_and_libraries_are_what_is_mapped_from_files() {
        let cases = [
            ("7f00-8f00 r-xp 00001000 fd:00 4711   /usr/bin/koi", Some((0x7f00, 0x8f00))),
            ("7f00-8f00 r--p 00001000 fd:00 4711   /usr/bin/koi (deleted)", Some((0x7f00, 0x8f00))),
            ("7f00-8f00 ---p 00001000 fd:00 4711   /usr/lib/libc.so.6", None),
            ("7f00-8f00 rw-p 00000000 00:00 0      [stack]", None),
            ("7f00-8f00 rw-p 00000000 00:00 0", None),
            ("", None),
        ];
        for (line, range) in cases {
            assert_eq!(file_range(line), range, "{line}");
        }
        let own = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(own.lines().filter_map(file_range).count() > 3);
    }
}
