//! What the helm hands to the edge.

use super::PairingNews;
use crate::cluster::channel::{Opener, Sealer};
use crate::types::{Epoch, InterfaceId, PortId, Role};
use crate::wire::FrameBuf;
use crate::wire::pair::Version;

/// Caller-owned outputs of a [`super::Helm`]. The caller publishes [`super::Helm::standing`] before it sends `frames`.
#[derive(Default)]
pub struct HelmOutbox {
    /// Frames to send by a port, in order.
    pub frames: Vec<(PortId, FrameBuf)>,
    /// Packets of the node itself that the packet path shall route, Ethernet header in front.
    pub packets: Vec<FrameBuf>,
    /// Interfaces whose stations the packet path shall ask whether they are there.
    pub probes: Vec<(InterfaceId, PortId)>,
    /// Sealed datagrams of replication that came in, for the courier.
    pub replica: Vec<Vec<u8>>,
    /// News for the courier.
    pub courier: Vec<CourierOrder>,
    /// What came of a pairing, for whoever has asked for it.
    pub pairing: Vec<PairingNews>,
    /// Lines for the log.
    pub notices: Vec<HelmNotice>,
    /// What the parent shall send when the router dies without a word; it replaces what it has.
    pub resignation: Option<Vec<(PortId, FrameBuf)>>,
}

/// What the courier must know.
pub enum CourierOrder {
    /// A new session of the channel: both directions of replication.
    Session(Box<(Sealer, Opener)>),
    /// Nothing may be sealed with the old session any more.
    SessionFell,
    /// The node's role.
    Role(Role, Epoch),
    /// The node stands by in this epoch, and hands over: what its shard still tells goes to the peer.
    Cedes(Epoch),
    /// What the two nodes speak with each other now.
    Speak(Version),
}

/// A line for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HelmNotice {
    /// Something is wrong; otherwise it is good to know.
    pub wrong: bool,
    /// The interface's name, or `pair`.
    pub place: String,
    /// The line.
    pub text: String,
}
