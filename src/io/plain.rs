//! The plain driver: the tun-tap crate opens a TAP without offload header. One frame a call, any kernel.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};

use super::tap::{Offloads, Patience, Tap};
use super::{netns, sys, tap};

/// Opens the TAP `name` in the network namespace `netns` and sets it up.
///
/// # Errors
/// When the device is of another kind, in use or not permitted, or when there is no such namespace.
pub fn open(name: &str, netns: Option<&str>, patience: Patience) -> io::Result<Tap> {
    if name.len() > sys::NAME_MAX || name.contains('\0') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("\"{name}\" is no interface name")));
    }
    netns::within(netns, || {
        let open = || tun_tap::Iface::without_packet_info(name, tun_tap::Mode::Tap);
        let device = patience.apply(open)?;
        device.set_non_blocking()?;
        let name = device.name().to_owned();
        // SAFETY: `into_raw_fd` gives up the descriptor, so that we are its only owner.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(device.into_raw_fd()) });
        // A persistent device keeps the offloads of whoever had it before: superpackets that nobody would recognise.
        sys::tun_set_offloads(file.as_fd(), 0)?;
        let index = Some(tap::start(&file, &name)?);
        Ok(Tap { file, name, index, offload_header: false, offloads: Offloads::default() })
    })
}
