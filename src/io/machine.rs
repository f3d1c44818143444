//! What only the first process of a machine does: mounts, modules, reaping, the power, and consoles.
//!
//! Invariant: as in `sys`: each function checks what it is given, and turns a failed call into [`io::Error`].

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::sys::PollEntry;
use super::{sys, sys_process};
use crate::types::Duration;

/// `MODULE_INIT_COMPRESSED_FILE`: the kernel unpacks the file itself.
const COMPRESSED: libc::c_int = 4;
/// `NETLINK_KOBJECT_UEVENT` and the group in which the kernel speaks.
const UEVENT_GROUP: u32 = 1;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn text(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// How a file system is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// To be read only.
    Read,
    /// To be read and written.
    Write,
}

/// Mounts `source`, a device or a word, of this kind at `target`. Nothing on it is a device or a program.
///
/// # Errors
/// When the kernel refuses.
pub fn mount(source: &str, target: &Path, kind: &str, access: Access, options: &str) -> io::Result<()> {
    let (source, kind, options) =
        (text(source.as_bytes())?, text(kind.as_bytes())?, text(options.as_bytes())?);
    let target = text(target.as_os_str().as_bytes())?;
    let mut flags = libc::MS_NOSUID | libc::MS_NOATIME;
    if kind.as_bytes() != b"devtmpfs" {
        flags |= libc::MS_NODEV | libc::MS_NOEXEC;
    }
    if access == Access::Read {
        flags |= libc::MS_RDONLY;
    }
    // SAFETY: all four are texts that end with a zero and outlive the call.
    check(unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
    })
    .map(drop)
}

/// Takes away what is mounted at `target`; at once, whoever still uses it.
///
/// # Errors
/// When nothing is mounted there.
pub fn unmount(target: &Path) -> io::Result<()> {
    let target = text(target.as_os_str().as_bytes())?;
    // SAFETY: the text ends with a zero and outlives the call.
    check(unsafe { libc::umount2(target.as_ptr(), 0) })
        // SAFETY: as above.
        .or_else(|_| check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }))
        .map(drop)
}

/// Everything that was written is on the disks.
pub fn flush_disks() {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::sync() }
}

/// Loads a module; one that is there already is no error.
///
/// # Errors
/// When the kernel refuses it, for lack of its device, too.
pub fn load_module(file: &File, parameters: &str) -> io::Result<()> {
    let parameters = text(parameters.as_bytes())?;
    let load = |flags: libc::c_int| {
        // SAFETY: the text ends with a zero and outlives the call; the rest are numbers.
        let result =
            unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), parameters.as_ptr(), flags) };
        check(result as libc::c_int)
    };
    let mut start = [0; 4];
    let is_plain = file.try_clone()?.take(4).read_exact(&mut start).is_ok() && start == *b"\x7fELF";
    match load(if is_plain { 0 } else { COMPRESSED }) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        result => result.map(drop),
    }
}

/// What the kernel says about devices that come and go.
///
/// # Errors
/// When the kernel refuses.
pub fn device_events() -> io::Result<File> {
    sys::netlink_socket(libc::NETLINK_KOBJECT_UEVENT, UEVENT_GROUP)
}

/// What becomes of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Power {
    /// It starts anew.
    Restart,
    /// It is switched off.
    Off,
}

/// Restarts the machine or switches it off; returns when the kernel refuses.
pub fn power(what: Power) -> io::Error {
    let how = match what {
        Power::Restart => libc::RB_AUTOBOOT,
        Power::Off => libc::RB_POWER_OFF,
    };
    // SAFETY: takes a number.
    unsafe { libc::reboot(how) };
    io::Error::last_os_error()
}

/// Ctrl-Alt-Del becomes a SIGINT of the first process.
///
/// # Errors
/// When this is not the machine's own first process.
pub fn take_ctrl_alt_del() -> io::Result<()> {
    // SAFETY: takes a number.
    check(unsafe { libc::reboot(libc::RB_DISABLE_CAD) }).map(drop)
}

/// The machine's name.
///
/// # Errors
/// When the kernel refuses it.
pub fn set_host_name(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length belong to `name`, which outlives the call.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// `file` is standard input, output and error from now on.
///
/// # Errors
/// When it is not open.
pub fn become_standard(file: &File) -> io::Result<()> {
    for number in 0..3 {
        // SAFETY: numbers only; the standard streams are nobody's `File`.
        check(unsafe { libc::dup2(file.as_raw_fd(), number) })?;
    }
    Ok(())
}

/// Starts a process in a session of its own whose terminal is its standard input.
///
/// # Errors
/// When it cannot be started.
pub fn spawn_on_terminal(command: &mut Command) -> io::Result<u32> {
    let lead = || {
        // SAFETY: takes nothing.
        check(unsafe { libc::setsid() })?;
        // SAFETY: the request takes a number. A terminal that belongs to another session is taken from it.
        check(unsafe { libc::ioctl(0, libc::TIOCSCTTY as _, 1) }).map(drop)
    };
    // SAFETY: between fork and exec the closure makes two system calls and touches no memory of the parent.
    unsafe { command.pre_exec(lead) };
    spawn(command)
}

/// The process will take signals that this one holds back: a mask is inherited.
pub fn heedful(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec the closure makes one system call and touches no memory of the parent.
    unsafe { command.pre_exec(sys_process::take_all_signals) }
}

/// Starts a process that [`reap`] will tell about; gives its number.
///
/// # Errors
/// When it cannot be started.
pub fn spawn(command: &mut Command) -> io::Result<u32> {
    heedful(command).spawn().map(|child| child.id())
}

/// Asks a child of this process that has not been reaped to do something by a signal.
///
/// # Errors
/// When there is no such process.
pub fn signal(process: u32, signal: libc::c_int) -> io::Result<()> {
    let process = libc::pid_t::try_from(process).ok().filter(|number| *number > 0);
    let process = process.ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: numbers only.
    check(unsafe { libc::kill(process, signal) }).map(drop)
}

/// A process that has ended, whoever started it, and how: its exit code, or 128 and the number of the signal.
pub fn reap() -> Option<(u32, i32)> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    let process = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    let process = u32::try_from(process).ok().filter(|number| *number > 0)?;
    let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) };
    Some((process, code))
}

/// Signals as something to read.
///
/// # Errors
/// When the kernel has no descriptor left.
pub fn signals(signals: &[libc::c_int]) -> io::Result<File> {
    sys_process::signal_descriptor(signals)
}

/// The signals that have arrived.
pub fn arrived(signals: &File) -> Vec<libc::c_int> {
    let mut records = [0; sys_process::SIGNAL_RECORD * 8];
    let len = { signals }.read(&mut records).unwrap_or(0);
    sys_process::signals_in(&records[..len]).collect()
}

/// Waits until one of `sources` can be read, or the time is over: which can.
///
/// # Errors
/// When the kernel refuses to wait.
pub fn wait(sources: &[BorrowedFd<'_>], limit: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut entries: Vec<PollEntry> = sources.iter().map(|fd| PollEntry::readable(*fd)).collect();
    sys::poll(&mut entries, limit)?;
    Ok(entries.iter().map(|entry| entry.ready()).collect())
}

/// A pipe: its reading end, which never waits, and its writing end.
///
/// # Errors
/// When the kernel has no descriptor left.
pub fn pipe() -> io::Result<(io::PipeReader, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    sys::set_nonblocking(std::os::fd::AsFd::as_fd(&reader))?;
    Ok((reader, writer))
}

/// The watchdog bites after so many seconds without a word.
///
/// # Errors
/// When it cannot be set.
pub fn set_watchdog(dog: &File, seconds: u32) -> io::Result<()> {
    /// `WDIOC_SETTIMEOUT`.
    const SET_TIMEOUT: libc::c_ulong = 0xc004_5706;
    let mut seconds = seconds as libc::c_int;
    // SAFETY: the request takes an `int`, which outlives the call.
    check(unsafe { libc::ioctl(dog.as_raw_fd(), SET_TIMEOUT as _, &raw mut seconds) }).map(drop)
}

/// Bytes that are free for others than root on the file system that holds `path`.
///
/// # Errors
/// When there is none.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let path = text(path.as_os_str().as_bytes())?;
    // SAFETY: all zeroes is a valid `statvfs`, which the call fills in.
    let mut state: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: both outlive the call.
    check(unsafe { libc::statvfs(path.as_ptr(), &raw mut state) })?;
    Ok(state.f_bavail.saturating_mul(state.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_can_be_read_is_told() {
        let (reader, mut writer) = pipe().unwrap();
        let (other, _writer) = pipe().unwrap();
        writer.write_all(b"x").unwrap();
        assert_eq!(wait(&[other.as_fd(), reader.as_fd()], None).unwrap(), [false, true]);
        assert_eq!(wait(&[other.as_fd()], Some(Duration::from_millis(1))).unwrap(), [false]);
        let mut bytes = [0; 4];
        assert_eq!({ &reader }.read(&mut bytes).unwrap(), 1);
        assert_eq!({ &reader }.read(&mut bytes).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_process_takes_the_signals_that_this_thread_holds_back() {
        let blocked = |heeds: bool| {
            std::thread::spawn(move || {
                sys_process::ignore_signals(&[libc::SIGTERM]).unwrap();
                let mut command = Command::new("sed");
                command.args(["-n", "s/^SigBlk:.//p", "/proc/self/status"]);
                let command = if heeds { heedful(&mut command) } else { &mut command };
                String::from_utf8(command.output().unwrap().stdout).unwrap()
            })
        };
        assert!(blocked(false).join().unwrap().trim().ends_with("4000"));
        assert!(blocked(true).join().unwrap().trim().ends_with("0000"));
    }

    #[test]
    fn a_disk_has_room_and_nobody_is_signalled_by_chance() {
        assert!(free_space(Path::new("/")).unwrap() > 0);
        assert!(free_space(Path::new("/no/such/place")).is_err());
        assert!(signal(0, libc::SIGTERM).is_err() && signal(u32::MAX, libc::SIGTERM).is_err());
    }
}
