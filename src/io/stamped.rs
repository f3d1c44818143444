//! Sockets that say when the kernel received something: UDP, and frames of a whole network namespace (AF_PACKET); and
//! one that sends frames.
//!
//! The time is the kernel's (`SO_TIMESTAMPNS`), so a reader that comes late reads the right time nevertheless. The
//! kernel stamps with the calendar clock; what is given out is on the time line of [`clock`].

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{clock, sys, sys_process};
use crate::types::{Duration, Instant};

/// What waits in the kernel until it is read.
const BUFFER: libc::c_int = 8 << 20;
/// The most bytes of a frame that a watcher is given.
pub const SNAP_LEN: usize = 128;
/// Two clocks that were read within so much were read at one moment.
const CLOSE: Duration = Duration::from_micros(20);
/// How often they are read again.
const CLOCK_READINGS: usize = 16;
/// `PACKET_IGNORE_OUTGOING`, since Linux 4.20.
const IGNORE_OUTGOING: libc::c_int = 23;

/// What was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Bytes in the caller's buffer.
    pub len: usize,
    /// When the kernel received it; when it was read, if the kernel does not say.
    pub at: Instant,
    /// Number of the interface that received it; frames only.
    pub interface: u32,
}

/// -1 is an error, everything else the answer.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn set(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the options used below take an `int`, which outlives the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len) })
        .map(drop)
}

/// Makes a socket stamp what it receives, gives it a large buffer, and keeps it from waiting.
///
/// # Errors
/// When the kernel does not do that.
pub fn prepare(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    stamping(socket.as_fd())
}

fn stamping(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    // Beyond the limit of the machine only root may go; without, the buffer is what the limit permits.
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER)
        .or_else(|_| set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER))
}

/// Receives what is there; `None` when nothing is.
///
/// # Errors
/// When the socket fails.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<Option<Received>> {
    // Room for one control message with a `timespec`, aligned like its header.
    let mut control = [0u64; 8];
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`.
    let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all-zero bytes are a valid `msghdr`: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = (&raw mut from).cast();
    header.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: `header` points to `from`, `bytes` and `control` with their true lengths, and all outlive the call.
    let result = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
    let Ok(len) = usize::try_from(result) else {
        let error = io::Error::last_os_error();
        return match error.kind() {
            // A watched device that goes down is no failure of the watcher.
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::NetworkDown => Ok(None),
            _ => Err(error),
        };
    };
    let interface = if i32::from(from.sll_family) == libc::AF_PACKET { from.sll_ifindex as u32 } else { 0 };
    Ok(Some(Received { len, at: stamp(&header).unwrap_or_else(clock::now), interface }))
}

/// The name of an interface, in the network namespace of this socket.
///
/// # Errors
/// When there is none with this number (any more).
pub fn interface_name(socket: BorrowedFd<'_>, interface: u32) -> io::Result<String> {
    sys::interface_name(socket, interface)
}

/// The time stamp in a header that `recvmsg` has just filled in.
fn stamp(header: &libc::msghdr) -> Option<Instant> {
    let mut wall = None;
    // SAFETY: the kernel has filled in the control buffer that `header` points to and its length; the macros stay
    // inside it. Under `SCM_TIMESTAMPNS` the data is a `timespec`.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while !next.is_null() {
            if (*next).cmsg_level == libc::SOL_SOCKET && (*next).cmsg_type == libc::SCM_TIMESTAMPNS {
                let time = libc::CMSG_DATA(next).cast::<libc::timespec>().read_unaligned();
                wall =
                    Some((time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64));
            }
            next = libc::CMSG_NXTHDR(header, next);
        }
    }
    // How long ago it was is the same on both clocks, whatever else the calendar says.
    let (now, wall_now) = both_clocks();
    let ago = wall_now.saturating_sub(wall?);
    Some(Instant::from_nanos(now.as_nanos().saturating_sub(ago)))
}

/// Both clocks at one moment. They are read one after the other, so a reading during which this thread had to wait is
/// thrown away; the closest of a few counts.
fn both_clocks() -> (Instant, u64) {
    let read = || {
        let (before, wall, after) = (clock::now(), sys_process::wall_nanos(), clock::now());
        (after.since(before), after, wall)
    };
    let mut best = read();
    for _ in 0..CLOCK_READINGS {
        if best.0 <= CLOSE {
            break;
        }
        best = best.min(read());
    }
    (best.1, best.2)
}

/// Watches the frames that the interfaces of this thread's network namespace receive, and of those only what
/// `wanted` accepts; the first [`SNAP_LEN`] bytes of each.
///
/// # Errors
/// When that is not permitted.
pub fn watch(wanted: &[Step]) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers are passed.
    let raw = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: the call has just made this descriptor for us.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    let program: Vec<libc::sock_filter> = wanted.iter().map(|step| step.code()).collect();
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        filter: program.as_ptr().cast_mut(),
    };
    let len = size_of::<libc::sock_fprog>() as libc::socklen_t;
    // SAFETY: `filter` and the program that it points to outlive the call; the kernel checks and copies them.
    check(unsafe {
        let filter = (&raw const filter).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, filter, len)
    })?;
    set(socket.as_fd(), libc::SOL_PACKET, IGNORE_OUTGOING, 1)?;
    stamping(socket.as_fd())?;
    bind(socket.as_fd(), libc::ETH_P_ALL as u16, 0)?;
    Ok(socket)
}

/// A file that sends what is written to it as a frame by this interface of this thread's network namespace, and never
/// gives anything to read.
///
/// # Errors
/// When there is no such interface, or that is not permitted.
pub fn sender(interface: &str) -> io::Result<File> {
    let index = sys::interface_index(sys::interface_socket()?.as_fd(), interface)?;
    // SAFETY: no pointers are passed.
    let raw = check(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the call has just made this descriptor for us.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    // Without a protocol nothing is received.
    bind(socket.as_fd(), 0, index)?;
    Ok(File::from(socket))
}

fn bind(socket: BorrowedFd<'_>, protocol: u16, interface: u32) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = interface as i32;
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: `address` is a `sockaddr_ll` of length `len` and outlives the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) }).map(drop)
}

/// A step of a filter: classic BPF, as far as a watcher needs it. Jumps count the steps that are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Loads the byte at this offset; a frame that is too short is not wanted.
    Byte(u32),
    /// Loads the 16 bits at this offset.
    Half(u32),
    /// Loads the 32 bits at this offset.
    Word(u32),
    /// Remembers four times the low half of the byte at this offset: the length of an IPv4 header.
    HeaderLen(u32),
    /// Loads the 16 bits at this offset beyond what is remembered.
    HalfBeyond(u32),
    /// Keeps these bits.
    And(u32),
    /// Goes on after so many steps when it is equal, or after so many others.
    Equal(u32, u8, u8),
    /// The frame is wanted.
    Accept,
    /// It is not.
    Refuse,
}

impl Step {
    fn code(self) -> libc::sock_filter {
        let new = |code, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
        match self {
            Step::Byte(at) => new(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, at),
            Step::Half(at) => new(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 0, at),
            Step::Word(at) => new(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at),
            Step::HeaderLen(at) => new(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, at),
            Step::HalfBeyond(at) => new(libc::BPF_LD | libc::BPF_H | libc::BPF_IND, 0, 0, at),
            Step::And(bits) => new(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, bits),
            Step::Equal(value, yes, no) => new(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, yes, no, value),
            Step::Accept => new(libc::BPF_RET | libc::BPF_K, 0, 0, SNAP_LEN as u32),
            Step::Refuse => new(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testbed::Namespace;
    use super::super::{netns, pace};
    use super::*;

    #[test]
    fn a_datagram_says_when_it_came_and_not_when_it_was_read() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        prepare(&receiver).unwrap();
        let mut bytes = [0; 64];
        assert_eq!(receive(receiver.as_fd(), &mut bytes).unwrap(), None);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let send = |wait| {
            let before = clock::now();
            sender.send_to(b"when?", receiver.local_addr().unwrap()).unwrap();
            pace::until(clock::now() + wait);
            before
        };
        // The kernel begins to stamp what comes a moment after the first socket has asked it to.
        let stamps = (0..100).any(|_| {
            send(Duration::from_millis(20));
            let received = receive(receiver.as_fd(), &mut bytes).unwrap().unwrap();
            received.at + Duration::from_millis(10) <= clock::now()
        });
        assert!(stamps, "two seconds were not enough");
        let before = send(Duration::from_millis(200));
        let received = receive(receiver.as_fd(), &mut bytes).unwrap().unwrap();
        assert_eq!((&bytes[..received.len], received.interface), (&b"when?"[..], 0));
        let slack = Duration::from_millis(1);
        let long_ago = received.at + Duration::from_millis(100) <= clock::now();
        assert!(received.at + slack >= before && long_ago, "{received:?}");
    }

    #[test]
    fn a_watcher_sees_what_it_wants_and_where_it_came_in() {
        let Some(namespace) = Namespace::new() else { return };
        namespace.ip("link add koi-a type veth peer name koi-b");
        namespace.ip("link set koi-a address 02:00:00:00:00:0a up");
        namespace.ip("link set koi-b up");
        let program = [Step::Half(12), Step::Equal(0x0806, 0, 1), Step::Accept, Step::Refuse];
        let watcher = netns::within(Some(&namespace.0), || watch(&program)).unwrap();
        namespace.ip("addr add 10.78.0.1/24 dev koi-a");
        let socket = netns::within(Some(&namespace.0), || UdpSocket::bind("10.78.0.1:0")).unwrap();
        socket.send_to(b"who has 10.78.0.2?", "10.78.0.2:9").unwrap();
        let mut entries = [sys::PollEntry::readable(watcher.as_fd())];
        assert_eq!(sys::poll(&mut entries, Some(Duration::from_secs(2))).unwrap(), 1);
        let mut frame = [0; SNAP_LEN];
        let seen = receive(watcher.as_fd(), &mut frame).unwrap().unwrap();
        assert_eq!(frame[6..14], [2, 0, 0, 0, 0, 0x0a, 8, 6]);
        assert!(seen.len >= 42, "{seen:?}");
        assert_eq!(interface_name(watcher.as_fd(), seen.interface).unwrap(), "koi-b", "asked from outside");
        namespace.ip("link del koi-a");
        assert!(interface_name(watcher.as_fd(), seen.interface).is_err());
    }
}
