//! Sockets that send and receive ICMP echo messages, as `ping` does, without further privileges.
//!
//! The kernel owns the identifier of such a socket (it behaves like a port) and gives back only answers to it.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{FromRawFd, OwnedFd};

/// An echo socket of this thread's network namespace. The payload of a datagram is a whole ICMP message.
///
/// # Errors
/// When the group of this process is outside the namespace's `ping_group_range`.
pub fn open(ipv6: bool) -> io::Result<UdpSocket> {
    let (family, protocol) =
        if ipv6 { (libc::AF_INET6, libc::IPPROTO_ICMPV6) } else { (libc::AF_INET, libc::IPPROTO_ICMP) };
    // SAFETY: no pointers are passed.
    let raw = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, protocol) };
    if raw == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this descriptor for us. The standard library looks only at its addresses, which
    // are those of the family, as with any datagram socket.
    Ok(UdpSocket::from(unsafe { OwnedFd::from_raw_fd(raw) }))
}
