//! The ways between the two nodes, as both read them from the same document.
//!
//! Invariant: addresses are never asked for. MAC and link-local addresses follow from the document, so a heartbeat
//! needs no neighbour discovery, and nobody can poison one.

use crate::config::{Config, NodeIndex, Valid, mac_for};
use crate::types::{InterfaceId, MacAddr, PathId, PortId};

/// An IPv6 packet of the pair needs this much (RFC 8200 section 5).
const MTU_LEAST: u16 = 1280;

/// A way to the peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Way {
    /// Its number, the same on both nodes.
    pub path: PathId,
    /// `sync`, or the interface's name.
    pub name: String,
    /// The port of this node.
    pub port: PortId,
    /// 802.1Q tag on that port.
    pub vlan: Option<u16>,
    /// The interface; `None` for the sync port.
    pub interface: Option<InterfaceId>,
    /// This node's MAC address; its link-local address follows from it.
    pub ours: MacAddr,
    /// The peer's.
    pub theirs: MacAddr,
}

/// The number of the way through an interface.
pub fn path_of(interface: InterfaceId) -> PathId {
    PathId(interface.0.saturating_add(1))
}

/// The way through the sync port alone, for whoever sends only there.
pub fn sync_way(config: &Valid<Config>, node: NodeIndex) -> Option<Way> {
    ways(config, node).into_iter().find(|way| way.interface.is_none())
}

/// All ways between `node` and its peer, the sync port first.
pub fn ways(config: &Valid<Config>, node: NodeIndex) -> Vec<Way> {
    let (Some(peer), Some(sync)) = (config.peer_of(node), config.sync_port_id(node)) else {
        return Vec::new();
    };
    let sync_mac = |node| mac_for(&config.node_part(node).name, "sync");
    let sync = Way {
        path: PathId::SYNC,
        name: "sync".into(),
        port: sync,
        vlan: None,
        interface: None,
        ours: sync_mac(node),
        theirs: sync_mac(peer),
    };
    let data = config.interface_ids().zip(&config.interfaces).filter(|(_, link)| link.mtu >= MTU_LEAST);
    let data = data.map(|(id, link)| Way {
        path: path_of(id),
        name: link.name.clone(),
        port: config.port_id(node, id),
        vlan: link.vlan,
        interface: Some(id),
        ours: config.mac(node, id),
        theirs: config.mac(peer, id),
    });
    std::iter::once(sync).chain(data).collect()
}
