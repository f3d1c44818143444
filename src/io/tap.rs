//! TAP devices and macvtaps with offloads: opened by our own requests to the kernel.
//!
//! A TAP carries a virtio-net header (`IFF_VNET_HDR`) and the kernel is asked to hand over superpackets whole
//! (`TUNSETOFFLOAD`); what an older kernel refuses is asked for without. The device is attached when it exists and
//! created otherwise; a created one disappears with its last descriptor.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use super::{netns, sys};

/// Frames that wait for us before the kernel drops them; the usual default of 500 is one gust of wind.
const QUEUE_LEN: u32 = 4096;
/// Length of `struct virtio_net_hdr` without the number of merged buffers.
const HEADER_LEN: i32 = 10;
/// A device that is busy is tried again this often, with this pause.
const BUSY_TRIES: usize = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// The character device of all TAPs.
const CLONE_DEVICE: &str = "/dev/net/tun";

/// What the kernel may hand over unfinished, and so what a port takes unfinished as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offloads {
    /// Transport checksums that are still to be computed.
    pub checksum: bool,
    /// TCP superpackets, both families.
    pub tcp: bool,
    /// UDP superpackets, both families.
    pub udp: bool,
}

/// What is asked for, from the most to nothing. USO4 and USO6 go together or not at all.
const WISHES: [(u32, Offloads); 5] = {
    const TCP: u32 = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    const ALL: u32 = TCP | libc::TUN_F_TSO_ECN | libc::TUN_F_USO4 | libc::TUN_F_USO6;
    [
        (ALL, Offloads { checksum: true, tcp: true, udp: true }),
        (TCP | libc::TUN_F_TSO_ECN, Offloads { checksum: true, tcp: true, udp: false }),
        (TCP, Offloads { checksum: true, tcp: true, udp: false }),
        (libc::TUN_F_CSUM, Offloads { checksum: true, tcp: false, udp: false }),
        (0, Offloads { checksum: false, tcp: false, udp: false }),
    ]
};

/// An attached device: its descriptor is non-blocking.
#[derive(Debug)]
pub struct Tap {
    /// Reads and writes frames.
    pub file: File,
    /// Name of the device, as the kernel has it now.
    pub name: String,
    /// Number of the device in its namespace, when we may look.
    pub index: Option<u32>,
    /// Frames have the 10-byte offload header in front.
    pub offload_header: bool,
    /// What it does for us.
    pub offloads: Offloads,
}

/// Opens the TAP `name` in the network namespace `netns` and sets it up.
///
/// # Errors
/// When the device is of another kind, in use or not permitted, or when there is no such namespace.
pub fn open(name: &str, netns: Option<&str>, patience: Patience) -> io::Result<Tap> {
    netns::within(netns, || {
        let file = open_device(CLONE_DEVICE)?;
        let flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as u16;
        let name = patience.apply(|| match sys::tun_attach(file.as_fd(), name, flags) {
            // A persistent device made for several queues wants to be asked for one of them.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                sys::tun_attach(file.as_fd(), name, flags | libc::IFF_MULTI_QUEUE as u16)
            }
            result => result,
        })?;
        prepare(file, name, true)
    })
}

/// Whether a busy device is tried again for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// At once or not at all: on a thread that has other things to do.
    None,
    /// For a second at most: the kernel takes the io_uring of a process that has ended apart in the background, tells
    /// nobody when it is done, and keeps the device until then.
    Second,
}

impl Patience {
    pub(super) fn apply<T>(self, mut attach: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let tries = match self {
            Patience::None => 0,
            Patience::Second => BUSY_TRIES,
        };
        for _ in 0..tries {
            match attach() {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    sys::poll(&mut [], Some(BUSY_PAUSE))?
                }
                result => return result,
            };
        }
        attach()
    }
}

/// Opens the character device of a macvtap, for example `/dev/tap7`, by its path, with or without offloads.
///
/// # Errors
/// When the device does not exist, is in use or is not permitted.
pub fn open_macvtap(path: &str, netns: Option<&str>, offload: bool) -> io::Result<Tap> {
    netns::within(netns, || {
        let file = open_device(path)?;
        let header = if offload { libc::IFF_VNET_HDR } else { 0 };
        sys::tun_attach(file.as_fd(), "", (libc::IFF_TAP | libc::IFF_NO_PI | header) as u16)?;
        let (name, _) = sys::tun_device(file.as_fd())?;
        // Otherwise it keeps back what nobody in the kernel has joined: CARP, neighbours that solicit, hosts that look for
        // routers.
        sys::interface_all_multicast(sys::interface_socket()?.as_fd(), &name)?;
        prepare(file, name, offload)
    })
}

/// Takes over a descriptor that somebody else has opened and attached, with or without the offload header. `index` is
/// the device's number, when it is known; looking it up takes privileges.
///
/// # Errors
/// When it is no attached TAP, or frames on it look otherwise.
pub fn adopt(fd: OwnedFd, offload: bool, index: Option<u32>) -> io::Result<Tap> {
    let file = File::from(fd);
    let (name, flags) = sys::tun_device(file.as_fd())?;
    let is_set = |flag: libc::c_int| flags & flag as u16 != 0;
    if is_set(libc::IFF_VNET_HDR) != offload || !is_set(libc::IFF_NO_PI) || !is_set(libc::IFF_TAP) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the descriptor of \"{name}\" was opened for another driver"),
        ));
    }
    sys::set_nonblocking(file.as_fd())?;
    let offloads = set_offloads(&file, offload)?;
    let index = index.or_else(|| index_of(&file, &name));
    Ok(Tap { file, name, index, offload_header: offload, offloads })
}

fn open_device(path: &str) -> io::Result<File> {
    // The standard library adds O_CLOEXEC.
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
}

/// Runs in the device's namespace.
fn prepare(file: File, name: String, offload: bool) -> io::Result<Tap> {
    let offloads = set_offloads(&file, offload)?;
    let index = Some(start(&file, &name)?);
    Ok(Tap { file, name, index, offload_header: offload, offloads })
}

/// Asks for as much as the kernel gives. Without offloads it asks for nothing: a persistent device keeps the wishes of
/// whoever had it before, and would send superpackets that nobody recognises.
fn set_offloads(file: &File, offload: bool) -> io::Result<Offloads> {
    if !offload {
        return sys::tun_set_offloads(file.as_fd(), 0).map(|()| Offloads::default());
    }
    sys::tun_set_header_len(file.as_fd(), HEADER_LEN)?;
    let mut refusal = io::Error::from(io::ErrorKind::Unsupported);
    for (mask, offloads) in WISHES {
        match sys::tun_set_offloads(file.as_fd(), mask) {
            Ok(()) => return Ok(offloads),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// Long queue, up, cable plugged in; runs in the device's namespace. Gives the device's number.
pub(super) fn start(file: &File, name: &str) -> io::Result<u32> {
    let socket = sys::interface_socket()?;
    // In a user namespace nobody may change it; a short queue loses bursts, but works.
    if let Err(error) = sys::interface_queue_at_least(socket.as_fd(), name, QUEUE_LEN)
        && error.kind() != io::ErrorKind::PermissionDenied
    {
        return Err(error);
    }
    sys::interface_up(socket.as_fd(), name)?;
    // Macvtaps, whose carrier is that of the device below, and old kernels refuse this; a TAP has it anyway.
    let _ = sys::tun_set_carrier(file.as_fd(), true);
    sys::interface_index(socket.as_fd(), name)
}

/// The number of the device in whatever namespace it is now; `None` when we may not look.
pub(super) fn index_of(file: &File, name: &str) -> Option<u32> {
    index_in(&sys::tun_namespace(file.as_fd()).ok()?, name)
}

/// The number of the device while it is in the namespace called `home`; `None` when it is elsewhere, or when we may
/// not look.
pub(super) fn index_at_home(tap: BorrowedFd<'_>, name: &str, home: Option<&str>) -> Option<u32> {
    let here = match sys::tun_namespace(tap) {
        Ok(here) => here,
        // A macvtap does not tell where it is. It is taken to be where it was made.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            return netns::within(home, || index_here(name)).ok();
        }
        Err(_) => return None,
    };
    netns::is(&here, home).ok().filter(|at_home| *at_home).and_then(|_| index_in(&here, name))
}

fn index_in(namespace: &File, name: &str) -> Option<u32> {
    netns::inside(namespace, || index_here(name)).ok()
}

/// The number of the device in the namespace of this thread.
fn index_here(name: &str) -> io::Result<u32> {
    sys::interface_index(sys::interface_socket()?.as_fd(), name)
}
