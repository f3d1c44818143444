//! The plain driver: the tun-tap crate opens a TAP without offload header. One frame a call, any kernel.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};

use super::{netns, sys, tap};

/// An attached device without offloads; its descriptor is non-blocking.
#[derive(Debug)]
pub struct PlainTap {
    /// Reads and writes frames.
    pub file: File,
    /// Name of the device, as the kernel has it now.
    pub name: String,
    /// Number of the device in its namespace.
    pub index: u32,
}

/// Opens the TAP `name` in the network namespace `netns` and sets it up.
///
/// # Errors
/// When the device is of another kind, in use or not permitted, or when there is no such namespace.
pub fn open(name: &str, netns: Option<&str>) -> io::Result<PlainTap> {
    if name.len() > sys::NAME_MAX || name.contains('\0') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("\"{name}\" is no interface name")));
    }
    netns::within(netns, || {
        let open = || tun_tap::Iface::without_packet_info(name, tun_tap::Mode::Tap);
        let device = tap::patiently(open)?;
        device.set_non_blocking()?;
        let name = device.name().to_owned();
        // SAFETY: `into_raw_fd` gives up the descriptor, so that we are its only owner.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(device.into_raw_fd()) });
        // A persistent device keeps the offloads of whoever had it before: superpackets that nobody would recognise.
        sys::tun_set_offloads(file.as_fd(), 0)?;
        let index = tap::start(&file, &name)?;
        Ok(PlainTap { file, name, index })
    })
}

/// Takes over a descriptor that somebody else has opened and attached, without the offload header.
///
/// # Errors
/// When it is no attached TAP, or one with an offload header.
pub fn adopt(fd: OwnedFd) -> io::Result<PlainTap> {
    let file = File::from(fd);
    let (name, flags) = sys::tun_device(file.as_fd())?;
    if flags & libc::IFF_VNET_HDR as u16 != 0 || flags & libc::IFF_NO_PI as u16 == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the descriptor of \"{name}\" has a header in front of its frames"),
        ));
    }
    sys::set_nonblocking(file.as_fd())?;
    sys::tun_set_offloads(file.as_fd(), 0)?;
    let index = tap::index_of(&file, &name);
    Ok(PlainTap { file, name, index })
}
