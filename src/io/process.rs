//! Processes that are started by one run of a program and may have to be ended by the next.
//!
//! Invariant: a process is only ever ended through a descriptor that was compared with its start time after it was
//! opened, so that a number that the kernel has given to somebody else meanwhile is never touched.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sys::{self, PollEntry};
use super::sys_process;

/// What tells a process from all others that this machine has had since it was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// Number.
    pub pid: u32,
    /// When it was started, in the kernel's clock ticks since the machine was.
    pub started: u64,
}

impl Identity {
    /// The identity of the process that has this number now; `None` when there is none, or only its exit status
    /// that nobody has asked for.
    pub fn of(pid: u32) -> Option<Identity> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses and may contain anything; the start is field 22.
        let (_, rest) = stat.rsplit_once(") ")?;
        if rest.starts_with(['Z', 'X']) {
            return None;
        }
        let started = rest.split(' ').nth(22 - 3)?.parse().ok()?;
        Some(Identity { pid, started })
    }

    /// The process, ready to be signalled: what takes time has been done. `None` when it is no more.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn aim(self) -> io::Result<Option<Target>> {
        let process = match open(self.pid) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
            result => result?,
        };
        Ok((Identity::of(self.pid) == Some(self)).then_some(Target(process)))
    }

    /// The processes that this one has started and that still run.
    pub fn children(self) -> Vec<Identity> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let numbers: Vec<u32> = texts
            .flat_map(|text| text.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>())
            .collect();
        numbers.into_iter().filter_map(Identity::of).collect()
    }

    /// KiB of memory that it has; `None` when it is no more.
    pub fn resident_kib(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Ends the process: politely, and after `grace` at once. False when there is no such process any more.
    ///
    /// # Errors
    /// When it may not be ended, or does not end at all.
    pub fn end(self, grace: Duration) -> io::Result<bool> {
        let process = match open(self.pid) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(false),
            result => result?,
        };
        if Identity::of(self.pid) != Some(self) {
            return Ok(false);
        }
        for signal in [libc::SIGTERM, libc::SIGKILL] {
            send(&process, signal)?;
            if sys::poll(&mut [PollEntry::readable(process.as_fd())], Some(grace))? > 0 {
                return Ok(true);
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("process {} does not end", self.pid)))
    }
}

/// What happens to a process without its consent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blow {
    /// It is no more (SIGKILL).
    Kill,
    /// It stands still (SIGSTOP).
    Stop,
    /// It goes on (SIGCONT).
    Go,
}

/// A process that is held by a descriptor, so that no other can be hit in its place.
#[derive(Debug)]
pub struct Target(OwnedFd);

impl Target {
    /// Hits it. A process that has ended meanwhile is no error.
    ///
    /// # Errors
    /// When that is not permitted.
    pub fn hit(&self, blow: Blow) -> io::Result<()> {
        let signal = match blow {
            Blow::Kill => libc::SIGKILL,
            Blow::Stop => libc::SIGSTOP,
            Blow::Go => libc::SIGCONT,
        };
        match send(&self.0, signal) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            result => result,
        }
    }
}

/// A descriptor of the process; it becomes readable when the process has ended.
///
/// # Errors
/// When there is no such process.
pub fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: numbers only.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if raw == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this descriptor for us; descriptors are small numbers.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as libc::c_int) })
}

fn send(process: &OwnedFd, signal: libc::c_int) -> io::Result<()> {
    let nothing: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: without a `siginfo_t`, only numbers are passed.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, nothing, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Raises the number of descriptors that this process may have to what the machine permits it.
///
/// # Errors
/// When the kernel refuses.
pub fn as_many_descriptors_as_permitted() -> io::Result<()> {
    sys_process::raise_descriptors()
}

/// Starts a process that the kernel kills when the thread that has started it ends, and that gets no signals from
/// our terminal.
///
/// # Errors
/// When it cannot be started.
pub fn spawn_bound(command: &mut Command) -> io::Result<Child> {
    command.process_group(0);
    // SAFETY: between fork and exec the closure makes one system call and touches no memory of the parent.
    unsafe { command.pre_exec(sys_process::die_with_parent) };
    command.spawn()
}

/// Starts a process in a session of its own, which takes the signals that this one holds back.
///
/// # Errors
/// When it cannot be started.
pub fn spawn_apart(command: &mut Command) -> io::Result<Child> {
    let leave = || {
        sys_process::lead_session()?;
        sys_process::take_all_signals()
    };
    // SAFETY: between fork and exec the closure makes two system calls and touches no memory of the parent.
    unsafe { command.pre_exec(leave) };
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_stopped_and_killed() {
        let mut child = spawn_bound(Command::new("cat").stdin(std::process::Stdio::piped())).unwrap();
        let identity = Identity::of(child.id()).unwrap();
        assert!(Identity::of(std::process::id()).unwrap().children().contains(&identity));
        let target = identity.aim().unwrap().unwrap();
        let state = || fs::read_to_string(format!("/proc/{}/stat", identity.pid)).unwrap();
        for (blow, stopped) in [(Blow::Stop, true), (Blow::Go, false)] {
            target.hit(blow).unwrap();
            while state().contains(") T ") != stopped {}
        }
        target.hit(Blow::Kill).unwrap();
        assert!(!child.wait().unwrap().success());
        target.hit(Blow::Kill).unwrap();
        assert!(identity.aim().unwrap().is_none());
    }

    #[test]
    fn a_process_is_known_again_and_ended_and_a_number_alone_is_not_enough() {
        let mut child = spawn_bound(Command::new("cat").stdin(std::process::Stdio::piped())).unwrap();
        let identity = Identity::of(child.id()).unwrap();
        assert_eq!(Identity::of(child.id()), Some(identity));
        let other = Identity { started: identity.started + 1, ..identity };
        assert!(!other.end(Duration::from_secs(1)).unwrap(), "the number belongs to somebody else now");
        assert!(child.try_wait().unwrap().is_none());
        assert!(identity.end(Duration::from_secs(5)).unwrap());
        assert_eq!(Identity::of(child.id()), None, "it has ended, although nobody has asked how");
        assert!(!child.wait().unwrap().success());
        assert!(!identity.end(Duration::from_secs(1)).unwrap(), "it has gone");
    }
}
