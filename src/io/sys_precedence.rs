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

/// All that this process has mapped stays in memory, its program included, which is read now; what it maps later stays
/// once it was touched. Without a limit, since an allocation beyond it would fail.
pub fn stay_in_memory() -> io::Result<()> {
    set_limit(libc::RLIMIT_MEMLOCK, libc::RLIM_INFINITY)?;
    for what in [libc::MCL_CURRENT, libc::MCL_FUTURE | libc::MCL_ONFAULT] {
        // SAFETY: no pointers are passed, and no memory changes by it.
        check(unsafe { libc::mlockall(what) })?;
    }
    Ok(())
}

/// This process may give its threads nice values down to `-by`, also without any privilege later on.
pub fn permit_favour(by: u8) -> io::Result<()> {
    set_limit(libc::RLIMIT_NICE, 20 + libc::rlim_t::from(by.min(20)))
}

/// This thread gets more of a busy processor than ordinary ones: its nice value is `-by`.
pub fn become_favoured(by: u8) -> io::Result<()> {
    // SAFETY: no pointers are passed; 0 is the calling thread, of which Linux keeps a nice value each.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -libc::c_int::from(by)) })
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

    /// What a thread is given, it keeps for itself.
    #[test]
    fn a_thread_is_favoured_alone() {
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let behind = stat.rsplit(')').next().unwrap().to_owned();
            behind.split_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
        };
        let before = nice();
        let favoured =
            std::thread::spawn(move || permit_favour(3).and_then(|()| become_favoured(3)).map(|()| nice()));
        if let Ok(favoured) = favoured.join().unwrap() {
            assert_eq!(favoured, -3);
        }
        assert_eq!(nice(), before);
    }
}
