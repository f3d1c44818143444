//! The system calls that the standard library does not offer, as small safe functions.
//!
//! Invariant: each function checks what it is given, so that no caller can break memory safety with it, and turns
//! a failed call into [`io::Error`]. Requests to `ioctl` are fixed here together with the argument that they take.

use std::ffi::{c_int, c_ulong};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Longest name of a network interface, without the closing zero.
pub const NAME_MAX: usize = libc::IFNAMSIZ - 1;

/// `struct ifreq`: the name of an interface and 24 bytes whose meaning depends on the request.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    data: [u8; size_of::<libc::ifreq>() - libc::IFNAMSIZ],
}

impl InterfaceRequest {
    fn new(name: &str) -> io::Result<Self> {
        let wrong =
            || io::Error::new(io::ErrorKind::InvalidInput, format!("\"{name}\" is no interface name"));
        if name.len() > NAME_MAX || name.contains('\0') {
            return Err(wrong());
        }
        let mut request = InterfaceRequest { name: [0; _], data: [0; _] };
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        Ok(request)
    }

    fn name(&self) -> String {
        let len = self.name.iter().position(|&byte| byte == 0).unwrap_or(self.name.len());
        String::from_utf8_lossy(&self.name[..len]).into_owned()
    }

    fn short(&self) -> u16 {
        u16::from_ne_bytes([self.data[0], self.data[1]])
    }

    fn int(&self) -> u32 {
        u32::from_ne_bytes([self.data[0], self.data[1], self.data[2], self.data[3]])
    }

    fn set_short(&mut self, value: u16) {
        self.data[..2].copy_from_slice(&value.to_ne_bytes());
    }

    fn set_int(&mut self, value: u32) {
        self.data[..4].copy_from_slice(&value.to_ne_bytes());
    }
}

/// -1 is an error, everything else the answer.
fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A request that takes `struct ifreq`.
fn interface_ioctl(fd: BorrowedFd<'_>, request: c_ulong, arg: &mut InterfaceRequest) -> io::Result<()> {
    // SAFETY: `arg` has the size and alignment that `struct ifreq` needs and outlives the call; the functions below
    // use this only for requests that take one.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, std::ptr::from_mut(arg)) }).map(drop)
}

/// A request that takes a pointer to an `int`.
fn int_ioctl(fd: BorrowedFd<'_>, request: c_ulong, mut arg: c_int) -> io::Result<()> {
    // SAFETY: `arg` is an `int` that outlives the call; the functions below use this only for requests that take one.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, &raw mut arg) }).map(drop)
}

/// A request whose argument is the number itself.
fn value_ioctl(fd: BorrowedFd<'_>, request: c_ulong, arg: c_ulong) -> io::Result<c_int> {
    // SAFETY: the requests used below read no memory through this argument.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, arg) })
}

/// Takes over a descriptor that the kernel has just made for us.
fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: every caller passes the result of a call that creates a descriptor, so nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Attaches an open `/dev/net/tun` (or macvtap) to the device `name` with `IFF_*` flags; gives the device's name.
pub fn tun_attach(fd: BorrowedFd<'_>, name: &str, flags: u16) -> io::Result<String> {
    let mut request = InterfaceRequest::new(name)?;
    request.set_short(flags);
    interface_ioctl(fd, libc::TUNSETIFF as c_ulong, &mut request)?;
    Ok(request.name())
}

/// Name and `IFF_*` flags of the device that a descriptor is attached to.
pub fn tun_device(fd: BorrowedFd<'_>) -> io::Result<(String, u16)> {
    let mut request = InterfaceRequest::new("")?;
    interface_ioctl(fd, libc::TUNGETIFF as c_ulong, &mut request)?;
    Ok((request.name(), request.short()))
}

/// Which frames the kernel may hand over unfinished (`TUN_F_*`).
pub fn tun_set_offloads(fd: BorrowedFd<'_>, mask: u32) -> io::Result<()> {
    value_ioctl(fd, libc::TUNSETOFFLOAD as c_ulong, c_ulong::from(mask)).map(drop)
}

/// Length of the offload header.
pub fn tun_set_header_len(fd: BorrowedFd<'_>, len: c_int) -> io::Result<()> {
    int_ioctl(fd, libc::TUNSETVNETHDRSZ as c_ulong, len)
}

/// Plugs the cable in or pulls it.
pub fn tun_set_carrier(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    int_ioctl(fd, libc::TUNSETCARRIER as c_ulong, c_int::from(on))
}

/// The network namespace in which the device is now.
pub fn tun_namespace(fd: BorrowedFd<'_>) -> io::Result<File> {
    value_ioctl(fd, libc::TUNGETDEVNETNS as c_ulong, 0).map(|raw| File::from(own(raw)))
}

/// A socket for requests about interfaces of this thread's network namespace.
pub fn interface_socket() -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }).map(own)
}

/// Number of the interface `name`.
pub fn interface_index(socket: BorrowedFd<'_>, name: &str) -> io::Result<u32> {
    let mut request = InterfaceRequest::new(name)?;
    interface_ioctl(socket, libc::SIOCGIFINDEX, &mut request)?;
    Ok(request.int())
}

/// Name of the interface with this number.
pub fn interface_name(socket: BorrowedFd<'_>, index: u32) -> io::Result<String> {
    let mut request = InterfaceRequest::new("")?;
    request.set_int(index);
    interface_ioctl(socket, libc::SIOCGIFNAME, &mut request)?;
    Ok(request.name())
}

/// Sets the interface administratively up.
pub fn interface_up(socket: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    set_interface_flag(socket, name, libc::IFF_UP)
}

/// Lets the interface take frames to all multicast addresses.
pub fn interface_all_multicast(socket: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    set_interface_flag(socket, name, libc::IFF_ALLMULTI)
}

fn set_interface_flag(socket: BorrowedFd<'_>, name: &str, flag: c_int) -> io::Result<()> {
    let mut request = InterfaceRequest::new(name)?;
    interface_ioctl(socket, libc::SIOCGIFFLAGS, &mut request)?;
    if request.short() & flag as u16 == 0 {
        request.set_short(request.short() | flag as u16);
        interface_ioctl(socket, libc::SIOCSIFFLAGS, &mut request)?;
    }
    Ok(())
}

/// Raises the length of the transmit queue (for a TAP: of the ring that we read) to at least `len`.
pub fn interface_queue_at_least(socket: BorrowedFd<'_>, name: &str, len: u32) -> io::Result<()> {
    let mut request = InterfaceRequest::new(name)?;
    interface_ioctl(socket, libc::SIOCGIFTXQLEN, &mut request)?;
    if request.int() < len {
        request.set_int(len);
        interface_ioctl(socket, libc::SIOCSIFTXQLEN, &mut request)?;
    }
    Ok(())
}

/// Moves the calling thread into a network namespace.
pub fn enter_network_namespace(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no pointers are passed; only the calling thread is affected.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// Makes reads and writes give `EAGAIN` where they would wait.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `F_GETFL` and `F_SETFL` take and give numbers only.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    if flags & libc::O_NONBLOCK == 0 {
        // SAFETY: as above.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    }
    Ok(())
}

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline]
pub fn monotonic_nanos() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call, which cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sleeps until `CLOCK_MONOTONIC` shows this many nanoseconds.
pub fn sleep_until(nanos: u64) {
    let time = libc::timespec {
        tv_sec: (nanos / 1_000_000_000) as libc::time_t,
        tv_nsec: (nanos % 1_000_000_000) as _,
    };
    let none = std::ptr::null_mut();
    // SAFETY: `time` is a valid timespec that outlives the call; an absolute sleep writes no remainder.
    while unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const time, none) }
        == libc::EINTR
    {}
}

/// One read, as `read(2)` says. Unlike the one of the C library it is no point where a thread can be cancelled, which takes
/// two atomic operations a call; no thread here is ever cancelled.
pub fn read(file: &File, into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `into.len()` bytes to where `into` is.
    let result = unsafe { libc::syscall(libc::SYS_read, raw(file), into.as_mut_ptr(), into.len()) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// One write, as `write(2)` says, likewise.
pub fn write(file: &File, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads at most `bytes.len()` bytes from where `bytes` is.
    let result = unsafe { libc::syscall(libc::SYS_write, raw(file), bytes.as_ptr(), bytes.len()) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A counter that makes a waiting thread ready when it is written to.
pub fn event_counter() -> io::Result<File> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) }).map(|raw| File::from(own(raw)))
}

/// An rtnetlink socket of this thread's network namespace, subscribed to `groups` (`RTMGRP_*`).
pub fn route_socket(groups: u32) -> io::Result<File> {
    netlink_socket(libc::NETLINK_ROUTE, groups)
}

/// A netlink socket of this protocol, subscribed to `groups`.
pub fn netlink_socket(protocol: c_int, groups: u32) -> io::Result<File> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers are passed.
    let socket = check(unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) }).map(own)?;
    // SAFETY: all-zero bytes are a valid `sockaddr_nl`.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as u16;
    address.nl_groups = groups;
    let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: `address` is a `sockaddr_nl` of length `len` and outlives the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) })?;
    Ok(File::from(socket))
}

/// What a descriptor in a [`poll`] set waits for, and what came of it.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct PollEntry(libc::pollfd);

impl PollEntry {
    /// Waits until `fd` can be read.
    pub fn readable(fd: BorrowedFd<'_>) -> Self {
        PollEntry(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
    }

    /// True when the last [`poll`] found something wrong.
    pub fn failed(self) -> bool {
        self.0.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0
    }

    /// True when the last [`poll`] found something to read, or something wrong.
    pub fn ready(self) -> bool {
        self.0.revents != 0
    }
}

/// Waits until an entry is ready or the time is over (`None`: no limit). Gives the number of ready entries.
pub fn poll(entries: &mut [PollEntry], timeout: Option<Duration>) -> io::Result<usize> {
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: timeout.subsec_nanos() as _,
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `PollEntry` is a `pollfd`; the array, its length and the timespec are valid for the call. A descriptor
    // that was closed meanwhile is only a number to the kernel.
    let count = unsafe {
        libc::ppoll(entries.as_mut_ptr().cast(), entries.len() as libc::nfds_t, limit, std::ptr::null())
    };
    match check(count) {
        Ok(count) => Ok(count as usize),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            entries.iter_mut().for_each(|entry| entry.0.revents = 0);
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

/// The descriptor of something that is a file to us.
pub fn raw(fd: &impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}
