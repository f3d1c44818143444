//! A user namespace with a private view of `/run`, for programs that build networks without being root.
//!
//! Inside, this process is root over what it makes itself (network namespaces, devices, names in `/run/netns`) and
//! over nothing else. All of it disappears with the last process inside.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::thread;

use super::{netns, sys_process};

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// True when this process is root of the machine, not only of a user namespace.
pub fn is_root_of_the_machine() -> bool {
    // One line that maps every user to itself.
    let whole = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    sys_process::effective_user() == 0 && fs::read_to_string("/proc/self/uid_map").is_ok_and(whole)
}

/// Moves this process, which must have only one thread, into namespaces of its own for users and mounts. The network
/// namespace stays the one of the machine, so that what listens on its loopback address is found there.
///
/// # Errors
/// When the machine does not permit it; the error says which step.
pub fn enter() -> io::Result<()> {
    let step = |name: &str, result: io::Result<()>| {
        result.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
    };
    // SAFETY: these take no arguments and cannot fail.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    // SAFETY: numbers only; the kernel refuses when there are several threads.
    let separate = check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) });
    step("a user namespace", separate)?;
    step("setgroups", fs::write("/proc/self/setgroups", "deny"))?;
    step("uid_map", fs::write("/proc/self/uid_map", format!("0 {user} 1")))?;
    step("gid_map", fs::write("/proc/self/gid_map", format!("0 {group} 1")))?;
    // What is mounted from here on stays in here.
    step("private mounts", mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE))?;
    step("a private /run", mount(c"run", c"/run", c"tmpfs", libc::MS_NOSUID | libc::MS_NODEV))
}

/// Makes a network namespace and its name, like `ip netns add`. That command itself cannot be used in here: it wants
/// to go back to the machine's network namespace, which is not ours.
///
/// # Errors
/// When there is such a name already, or the kernel refuses.
pub fn add_network_namespace(name: &str) -> io::Result<()> {
    fs::create_dir_all(netns::NAMES)?;
    let path = format!("{}/{name}", netns::NAMES);
    fs::File::options().write(true).create_new(true).open(&path)?;
    let path = CString::new(path)?;
    let create = move || {
        // SAFETY: numbers only; this thread alone moves.
        check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
        mount(c"/proc/thread-self/ns/net", &path, c"none", libc::MS_BIND)
    };
    let thread = thread::Builder::new().name("netns".into()).spawn(create)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
}

fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the three strings end with a zero and outlive the call; no data is passed.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) })
}
