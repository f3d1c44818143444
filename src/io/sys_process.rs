//! The system calls of processes (descriptors over sockets, signals, credentials) as small safe functions.
//!
//! Invariant: each function checks what it is given, so that no caller can break memory safety with it, and turns
//! a failed call into [`io::Error`].

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The most descriptors that the kernel passes in one message (`SCM_MAX_FD`).
pub const DESCRIPTORS_MAX: usize = 253;

/// Room for a control message with [`DESCRIPTORS_MAX`] descriptors, aligned like its header.
const CONTROL_WORDS: usize = 160;

/// -1 is an error, everything else the answer.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A message header for `bytes` with `control_len` bytes of ancillary data.
fn message(bytes: &mut libc::iovec, control: &mut [u64], control_len: usize) -> libc::msghdr {
    debug_assert!(control_len <= size_of_val(control), "the control message fits its buffer");
    // SAFETY: all-zero bytes are a valid `msghdr`: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = bytes;
    header.msg_iovlen = 1;
    if control_len > 0 {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = control_len as _;
    }
    header
}

/// Sends `bytes` with `descriptors` attached; gives the number of bytes taken. The descriptors travel with the
/// first byte.
pub fn send_with_descriptors(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    if descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
    }
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let payload = size_of_val(&raw[..]) as libc::c_uint;
    // SAFETY: pure arithmetic.
    let space = unsafe { libc::CMSG_SPACE(payload) } as usize;
    let mut control = [0u64; CONTROL_WORDS];
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let header = message(&mut part, &mut control, if raw.is_empty() { 0 } else { space });
    if !raw.is_empty() {
        // SAFETY: `header` points to `control`, which is aligned for `cmsghdr` and holds `space` bytes, enough for
        // one header and `payload` bytes of data; so `CMSG_FIRSTHDR` and `CMSG_DATA` point into it.
        unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(payload) as _;
            let data = libc::CMSG_DATA(first);
            std::ptr::copy_nonoverlapping(raw.as_ptr().cast::<u8>(), data, payload as usize);
        }
    }
    loop {
        // SAFETY: `header` and everything it points to outlive the call; the kernel only reads them.
        match check_len(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Receives into `bytes`, and takes over the descriptors that came along (closed on exec). Zero bytes: the other
/// end is closed.
pub fn receive_with_descriptors(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = [0u64; CONTROL_WORDS];
    let control_len = size_of_val(&control);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut header = message(&mut part, &mut control, control_len);
    let count = loop {
        // SAFETY: `header` points to `bytes` and `control` with their true lengths, and both outlive the call.
        let result = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        match check_len(result) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    let descriptors = take_descriptors(&header);
    if header.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more descriptors than fit a message"));
    }
    Ok((count, descriptors))
}

/// The descriptors in a header that `recvmsg` has just filled in.
fn take_descriptors(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has filled in the control buffer that `header` points to and its length; the macros stay
    // inside it. Each number under `SCM_RIGHTS` is a descriptor that was made for us just now and nobody else owns.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while !next.is_null() {
            if (*next).cmsg_level == libc::SOL_SOCKET && (*next).cmsg_type == libc::SCM_RIGHTS {
                let len = (*next).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(next).cast::<RawFd>();
                for index in 0..len / size_of::<RawFd>() {
                    descriptors.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            next = libc::CMSG_NXTHDR(header, next);
        }
    }
    descriptors
}

/// Who is at the other end of a Unix socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
}

/// The process and user that connected, as the kernel noted them then (`SO_PEERCRED`).
pub fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `credentials` is a `ucred` and `len` its size; both outlive the call.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut len,
        )
    })?;
    Ok(Peer { pid: credentials.pid, uid: credentials.uid })
}

/// Sends a signal to a process.
///
/// # Errors
/// When there is none of this number, or this one may not.
pub fn signal_process(process: u32, signal: libc::c_int) -> io::Result<()> {
    let process = libc::pid_t::try_from(process).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: no memory is involved.
    if unsafe { libc::kill(process, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The user on whose behalf this process acts.
pub fn effective_user() -> u32 {
    // SAFETY: cannot fail and takes no arguments.
    unsafe { libc::geteuid() }
}

/// Holds back `signals` in this thread and those that it starts.
fn block(signals: &[libc::c_int]) -> io::Result<libc::sigset_t> {
    // SAFETY: all-zero bytes are storage for a `sigset_t`; `sigemptyset` makes it a valid one before it is used. The
    // calls only read and write that set.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            check(libc::sigaddset(&raw mut set, signal))?;
        }
        match libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) {
            0 => Ok(set),
            number => Err(io::Error::from_raw_os_error(number)),
        }
    }
}

/// Takes every signal again in this thread; between fork and exec, too.
pub fn take_all_signals() -> io::Result<()> {
    // SAFETY: all-zero bytes are storage for a `sigset_t`; `sigemptyset` makes it a valid one before it is used.
    let number = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut())
    };
    if number == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(number)) }
}

/// This process leads a session of its own from now on; between fork and exec, too.
pub fn lead_session() -> io::Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Holds back `signals` in this thread and those that it starts; nobody ever takes them.
pub fn ignore_signals(signals: &[libc::c_int]) -> io::Result<()> {
    block(signals).map(drop)
}

/// A descriptor that becomes readable when one of `signals` arrives; they interrupt nothing any more.
pub fn signal_descriptor(signals: &[libc::c_int]) -> io::Result<File> {
    let set = block(signals)?;
    // SAFETY: `set` is a valid signal set that outlives the call.
    let fd = check(unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) })?;
    // SAFETY: the call has just made this descriptor for us.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// The size of one record that a signal descriptor gives.
pub const SIGNAL_RECORD: usize = size_of::<libc::signalfd_siginfo>();

/// The numbers of the signals in what a signal descriptor gave: the first word of each record.
pub fn signals_in(records: &[u8]) -> impl Iterator<Item = libc::c_int> {
    let word = |record: &[u8]| libc::c_int::from_ne_bytes([record[0], record[1], record[2], record[3]]);
    records.chunks_exact(SIGNAL_RECORD).map(word)
}

/// A file in memory that has no name and can be executed.
pub fn anonymous_file() -> io::Result<File> {
    let create = |flags: libc::c_uint| {
        // SAFETY: the name ends with a zero and outlives the call.
        check(unsafe { libc::memfd_create(c"koi".as_ptr(), flags) })
    };
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag, and need none.
    let fd = create(flags | libc::MFD_EXEC).or_else(|_| create(flags))?;
    // SAFETY: the call has just made this descriptor for us.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Nobody changes the file in memory any more, not even through this descriptor.
pub fn seal(file: &File) -> io::Result<()> {
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    // SAFETY: numbers only.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }).map(drop)
}

/// This process is killed when the thread that started it ends. Set it after the last change of user, which clears
/// it.
pub fn die_with_parent() -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0).map(drop)
}

/// `prctl` requests that take numbers.
pub fn prctl(request: libc::c_int, first: libc::c_ulong, second: libc::c_ulong) -> io::Result<libc::c_int> {
    let none: libc::c_ulong = 0;
    let numbers_only = matches!(
        request,
        libc::PR_SET_PDEATHSIG
            | libc::PR_SET_NO_NEW_PRIVS
            | libc::PR_GET_NO_NEW_PRIVS
            | libc::PR_SET_DUMPABLE
            | libc::PR_GET_DUMPABLE
            | libc::PR_CAPBSET_READ
            | libc::PR_CAPBSET_DROP
            | libc::PR_CAP_AMBIENT
            | libc::PR_SET_KEEPCAPS
    );
    if !numbers_only {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: none of the requests above takes a pointer.
    check(unsafe { libc::prctl(request, first, second, none, none) })
}

/// Runs `work` with `mask` taken from the permissions of whatever it creates. Other threads are affected meanwhile.
pub fn with_umask<T>(mask: u32, work: impl FnOnce() -> T) -> T {
    // SAFETY: takes and gives a number; cannot fail.
    let before = unsafe { libc::umask(mask as libc::mode_t) };
    let result = work();
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    result
}

/// Gives up all supplementary groups.
pub fn clear_groups() -> io::Result<()> {
    // SAFETY: no groups are read through the null pointer when their number is zero.
    check(unsafe { libc::setgroups(0, std::ptr::null()) }).map(drop)
}

/// Becomes this group and user for good, in all threads.
pub fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: numbers only.
    check(unsafe { libc::setresuid(uid, uid, uid) }).map(drop)
}

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: two of them, low and high 32 bits.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityWords {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// The effective, permitted and inheritable capabilities of this thread, as bit masks.
pub fn capabilities() -> io::Result<[u64; 3]> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let mut words = [CapabilityWords::default(); 2];
    // SAFETY: version 3 reads and writes this header and two of these structs; both outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    check(result as libc::c_int)?;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let [low, high] = words;
    Ok([
        join(low.effective, high.effective),
        join(low.permitted, high.permitted),
        join(low.inheritable, high.inheritable),
    ])
}

/// Gives up the effective, permitted and inheritable capabilities of this thread and those that it starts.
pub fn clear_capabilities() -> io::Result<()> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let words = [CapabilityWords::default(); 2];
    // SAFETY: version 3 reads this header and two of these structs; both outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) } as libc::c_int)
        .map(drop)
}

/// A limit of the kernel for this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Size of a core dump in bytes.
    Core,
    /// Open descriptors.
    Descriptors,
    /// Size of a written file in bytes.
    FileSize,
}

/// Sets a limit, soft and hard, to `value`, or leaves it where it is lower.
pub fn lower_limit(limit: Limit, value: u64) -> io::Result<()> {
    let resource = match limit {
        Limit::Core => libc::RLIMIT_CORE,
        Limit::Descriptors => libc::RLIMIT_NOFILE,
        Limit::FileSize => libc::RLIMIT_FSIZE,
    };
    let mut present = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `present` is an `rlimit` that outlives the call.
    check(unsafe { libc::getrlimit(resource, &raw mut present) })?;
    let value = present.rlim_max.min(value as libc::rlim_t);
    let new = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `new` is an `rlimit` that outlives the call.
    check(unsafe { libc::setrlimit(resource, &raw const new) }).map(drop)
}

/// Raises the soft limit of descriptors to the hard one; the hard one, where that is permitted, to a million.
pub fn raise_descriptors() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is an `rlimit` that outlives the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    let most = limit.rlim_max.max(1 << 20);
    for value in [most, limit.rlim_max] {
        let new = libc::rlimit { rlim_cur: value, rlim_max: value };
        // SAFETY: `new` is an `rlimit` that outlives the call.
        match check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const new) }) {
            Err(error) if value == limit.rlim_max => return Err(error),
            Err(_) => {}
            Ok(_) => break,
        }
    }
    Ok(())
}

/// `CLOCK_REALTIME` in nanoseconds since 1970: for the time stamps of captures.
pub fn wall_nanos() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call, which cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

/// Somebody keeps the machine's calendar right: the kernel hears from a time daemon, or from the machine under it.
pub fn calendar_is_kept() -> bool {
    // SAFETY: all zeroes is a valid timex; its modes then ask the kernel to change nothing.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `state` outlives the call, which only writes into it.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    answer >= 0 && answer != libc::TIME_ERROR
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn descriptors_travel_with_their_bytes() {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut inner, passed) = UnixStream::pair().unwrap();
        let sent = send_with_descriptors(near.as_fd(), b"word", &[passed.as_fd(), passed.as_fd()]).unwrap();
        assert_eq!(sent, 4);
        let mut bytes = [0; 16];
        let (count, mut got) = receive_with_descriptors(far.as_fd(), &mut bytes).unwrap();
        assert_eq!((&bytes[..count], got.len()), (&b"word"[..], 2));
        drop((passed, got.pop()));
        inner.write_all(b"x").unwrap();
        let mut other = UnixStream::from(got.pop().unwrap());
        let mut one = [0];
        other.read_exact(&mut one).unwrap();
        assert_eq!(&one, b"x");
        drop(near);
        assert_eq!(receive_with_descriptors(far.as_fd(), &mut bytes).unwrap().0, 0, "the end is seen");
    }

    #[test]
    fn as_many_descriptors_as_the_kernel_passes_and_no_more() {
        let (near, far) = UnixStream::pair().unwrap();
        let many = vec![near.as_fd(); DESCRIPTORS_MAX];
        send_with_descriptors(near.as_fd(), b"m", &many).unwrap();
        assert_eq!(receive_with_descriptors(far.as_fd(), &mut [0; 4]).unwrap().1.len(), DESCRIPTORS_MAX);
        let many = vec![near.as_fd(); DESCRIPTORS_MAX + 1];
        assert!(send_with_descriptors(near.as_fd(), b"m", &many).is_err());
    }

    #[test]
    fn the_peer_of_a_socket_pair_is_this_process() {
        let (near, _far) = UnixStream::pair().unwrap();
        let peer = peer(near.as_fd()).unwrap();
        assert_eq!(peer, Peer { pid: std::process::id() as i32, uid: effective_user() });
    }

    #[test]
    fn a_signal_becomes_readable() {
        let mut signals = signal_descriptor(&[libc::SIGUSR2]).unwrap();
        // SAFETY: the signal is blocked in this thread and goes to this thread only.
        assert_eq!(unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2) }, 0);
        let mut record = [0; SIGNAL_RECORD];
        assert_eq!(signals.read(&mut record).unwrap(), SIGNAL_RECORD);
        assert_eq!(signals_in(&record).collect::<Vec<_>>(), [libc::SIGUSR2]);
    }

    #[test]
    fn requests_with_pointers_are_refused() {
        assert!(prctl(libc::PR_SET_NAME, 1, 0).is_err());
    }
}
