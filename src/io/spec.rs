//! What a port is to be attached to, and how.

use crate::config::model as config;
use crate::types::{MacAddr, PortId};

/// What a port attaches to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Device {
    /// The TAP of this name; created when there is none.
    Tap(String),
    /// The character device of a macvtap.
    Macvtap(String),
    /// The network card with this MAC address, by a macvtap that is made on it.
    Nic(MacAddr),
}

/// Everything needed to attach a port, now and again after its device was gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// Which port of the node.
    pub id: PortId,
    /// Its device.
    pub device: Device,
    /// The network namespace in which the device lives.
    pub netns: Option<String>,
    /// How frames are read and written.
    pub driver: config::Driver,
    /// Whether batches may go through io_uring.
    pub batches: Batches,
}

/// Whether batches may go through io_uring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Batches {
    /// Where the kernel permits it, while frames are small, on machines where it costs less.
    #[default]
    Adaptive,
    /// Where the kernel permits it, while frames are small.
    Permitted,
    /// Never: as if the kernel did not permit it.
    Never,
}

impl Spec {
    /// The port `id` as the configuration has it; `None` when it names no device.
    pub fn new(id: PortId, port: &config::Port) -> Option<Self> {
        let device = match (&port.tap, &port.macvtap, port.nic) {
            (Some(name), _, _) => Device::Tap(name.clone()),
            (None, Some(path), _) => Device::Macvtap(path.clone()),
            (None, None, Some(mac)) => Device::Nic(mac),
            (None, None, None) => return None,
        };
        let (netns, driver) = (port.netns.clone(), port.driver);
        Some(Spec { id, device, netns, driver, batches: Batches::Adaptive })
    }
}
