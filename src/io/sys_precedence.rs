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
/// program alone stays, which is all that the kernel throws away where nothing is swapped. Either way what is set aside for
/// later is taken in small pages.
pub fn stay_in_memory() -> io::Result<()> {
    if set_limit(libc::RLIMIT_MEMLOCK, libc::RLIM_INFINITY).is_ok() {
        // Not all at once: an allocator sets aside more addresses than it ever needs memory.
        // SAFETY: no pointers are passed, and no memory changes by it.
        check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) })?;
    }
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    take_small_pages(&maps);
    lock_files(&maps)
}

/// What an allocator has set aside for later is taken page by page, also where the kernel gives huge pages to everybody: to
/// make one takes longer than a packet may wait, and here most of it would stay empty.
fn take_small_pages(maps: &str) {
    for (begin, end) in maps.lines().filter_map(mapping).filter(Mapping::is_reserve).map(|found| found.range)
    {
        // SAFETY: the contents stay as they are. A kernel without huge pages calls it an error, and there is none.
        unsafe { libc::madvise(begin as *mut libc::c_void, end - begin, libc::MADV_NOHUGEPAGE) };
    }
}

/// What is mapped from files: program and libraries.
fn lock_files(maps: &str) -> io::Result<()> {
    for (begin, end) in maps.lines().filter_map(mapping).filter(Mapping::is_program).map(|found| found.range)
    {
        // SAFETY: the kernel looks at the range and touches nothing in it; one that is not mapped any more is an error.
        check(unsafe { libc::mlock(begin as *const libc::c_void, end - begin) })?;
    }
    Ok(())
}

/// A line of `/proc/self/maps`.
#[derive(PartialEq, Eq, Debug)]
struct Mapping {
    /// Addresses.
    range: (usize, usize),
    readable: bool,
    file: bool,
}

impl Mapping {
    /// Larger than anything of a router that has just begun to run, bytes.
    const RESERVE: usize = 512 << 20;

    fn is_program(&self) -> bool {
        self.file && self.readable
    }

    fn is_reserve(&self) -> bool {
        let (begin, end) = self.range;
        !self.file && end - begin >= Self::RESERVE
    }
}

/// `None` for a line that makes no sense.
fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights) = (words.next()?, words.next()?);
    let file = words.nth(3).is_some_and(|name| name.starts_with('/'));
    let (begin, end) = range.split_once('-')?;
    let (begin, end) = (usize::from_str_radix(begin, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    (begin < end).then_some(Mapping { range: (begin, end), readable: rights.starts_with('r'), file })
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

/// First in, first out; what such a thread begins is ordinary.
const POLICY: libc::c_int = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;

/// This thread runs before all ordinary ones from now on, first in first out, and those that it begins do not.
pub fn become_real_time(priority: u32) -> io::Result<()> {
    // 0 is the calling thread.
    make_real_time(0, priority)
}

/// The same for another thread.
pub fn make_real_time(thread: u32, priority: u32) -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: priority as libc::c_int };
    // SAFETY: the struct outlives the call.
    check(unsafe { libc::sched_setscheduler(thread as libc::pid_t, POLICY, &raw const parameter) })
}

/// True when this thread runs before all ordinary ones.
pub fn is_real_time() -> bool {
    // SAFETY: no pointers are passed; 0 is the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    policy & !libc::SCHED_RESET_ON_FORK == libc::SCHED_FIFO
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
    fn a_mapping_is_program_or_reserve_or_neither() {
        let cases = [
            ("7f00-8f00 r-xp 00001000 fd:00 4711   /usr/bin/koi", true, false),
            ("7f00-8f00 r--p 00001000 fd:00 4711   /usr/bin/koi (deleted)", true, false),
            ("7f00-8f00 ---p 00001000 fd:00 4711   /usr/lib/libc.so.6", false, false),
            ("7f00-8f00 rw-p 00000000 00:00 0      [stack]", false, false),
            ("10000000-2fffffff rw-p 00000000 00:00 0", false, false),
            ("10000000-30000000 rw-p 00000000 00:00 0", false, true),
            ("10000000-30000000 ---p 00000000 00:00 0   [anon:mimalloc]", false, true),
            ("10000000-30000000 r--p 00000000 00:00 0   /var/huge", true, false),
        ];
        for (line, program, reserve) in cases {
            let found = mapping(line).unwrap();
            assert_eq!((found.is_program(), found.is_reserve()), (program, reserve), "{line}");
        }
        for line in ["", "7f00-8f00", "8f00-7f00 rw-p 00000000 00:00 0", "7g00-8f00 rw-p 0 0 0"] {
            assert_eq!(mapping(line), None, "{line}");
        }
        let own = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(own.lines().filter_map(mapping).filter(Mapping::is_program).count() > 3);
    }

    #[test]
    fn a_thread_that_precedes_says_so_and_what_it_begins_is_ordinary() {
        let precedes = std::thread::spawn(|| {
            let permitted = become_real_time(1).is_ok();
            assert_eq!(is_real_time(), permitted);
            std::thread::spawn(is_real_time).join().unwrap()
        });
        assert!(!precedes.join().unwrap());
    }

    #[test]
    fn a_reserve_is_taken_in_small_pages() {
        // Nobody touches it.
        let reserve = vec![0_u8; Mapping::RESERVE + (1 << 20)];
        take_small_pages(&std::fs::read_to_string("/proc/self/maps").unwrap());
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let at = reserve.as_ptr().addr();
        let holds =
            |line: &&str| mapping(line).is_some_and(|found| (found.range.0..found.range.1).contains(&at));
        let mut lines = maps.lines().skip_while(|line| !holds(line));
        let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap();
        let huge_pages = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
        assert_eq!(flags.split_whitespace().any(|flag| flag == "nh"), huge_pages, "{flags}");
    }
}
