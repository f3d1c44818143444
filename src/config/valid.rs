//! A document that makes sense, and what can be asked of it without an "if".

use std::net::Ipv6Addr;
use std::ops::Deref;
use std::sync::OnceLock;

use super::defaults::{ADVSKEW_MAX, ADVSKEW_STANDBY};
use super::model::{Node, NodeInterface, VirtualIp};
use super::{Config, Problem, mac_for};
use crate::types::{Family, InterfaceId, MacAddr, PortId, Prefix};

pub use crate::wire::pair::link_local;

/// What [`super::validate`] has found to be free of problems.
#[derive(Clone, Debug)]
pub struct Valid<T> {
    value: T,
    /// Its hash, once somebody has asked.
    hash: OnceLock<String>,
}

/// A node: index into the document's list of nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeIndex(usize);

impl<T> Valid<T> {
    /// Only for `validate`.
    pub(super) fn new(value: T) -> Self {
        Valid { value, hash: OnceLock::new() }
    }

    /// Gives up the witness, for an edit.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: PartialEq> PartialEq for Valid<T> {
    fn eq(&self, other: &Valid<T>) -> bool {
        self.value == other.value
    }
}

impl<T> Deref for Valid<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl NodeIndex {
    /// The index as a number.
    pub const fn index(self) -> usize {
        self.0
    }
}

impl Valid<Config> {
    /// [`Config::hash`], which takes its time with a large document: it is found once.
    pub fn hash(&self) -> String {
        self.hash.get_or_init(|| self.value.hash()).clone()
    }

    /// Finds a node by its name; without a name, the only one.
    pub fn node(&self, name: Option<&str>) -> Result<NodeIndex, Problem> {
        let names = || self.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
        match name {
            Some(name) => {
                self.nodes.iter().position(|node| node.name == name).map(NodeIndex).ok_or_else(|| {
                    let message = format!("There is no node \"{name}\".");
                    Problem::new("node", message, format!("Name one of {}.", names()))
                })
            }
            None if self.nodes.len() == 1 => Ok(NodeIndex(0)),
            None => {
                let message = format!("The document has {} nodes.", self.nodes.len());
                Err(Problem::new("node", message, format!("Say which one this is: {}.", names())))
            }
        }
    }

    /// The part of the document that is this node's own.
    pub fn node_part(&self, node: NodeIndex) -> &Node {
        &self.nodes[node.0]
    }

    /// All logical interfaces, as the packet path numbers them.
    pub fn interface_ids(&self) -> impl Iterator<Item = InterfaceId> + use<> {
        (0..self.interfaces.len()).map(|index| InterfaceId(index as u8))
    }

    /// Finds a logical interface by its name.
    pub fn interface_id(&self, name: &str) -> Option<InterfaceId> {
        let index = self.interfaces.iter().position(|interface| interface.name == name)?;
        Some(InterfaceId(index as u8))
    }

    /// The name of a logical interface; `self` for the router itself.
    pub fn interface_name(&self, id: InterfaceId) -> &str {
        self.interfaces.get(usize::from(id.0)).map_or("self", |interface| &interface.name)
    }

    /// The port of this node that carries an interface.
    pub fn port_id(&self, node: NodeIndex, id: InterfaceId) -> PortId {
        let name = &self.interfaces[usize::from(id.0)].port;
        let index = self.node_part(node).ports.iter().position(|port| port.name == *name);
        PortId(index.unwrap_or(usize::from(u8::MAX)) as u8)
    }

    /// The port of this node that leads to its peer and carries nothing else.
    pub fn sync_port_id(&self, node: NodeIndex) -> Option<PortId> {
        let sync = &self.pair.as_ref()?.sync;
        let index = self.node_part(node).ports.iter().position(|port| port.name == *sync)?;
        Some(PortId(index as u8))
    }

    /// The other node of the pair.
    pub fn peer_of(&self, node: NodeIndex) -> Option<NodeIndex> {
        self.pair.as_ref()?;
        (0..self.nodes.len()).map(NodeIndex).find(|other| *other != node)
    }

    /// True for the node of the pair that wins ties; a node without a pair is its own favourite.
    pub fn is_preferred(&self, node: NodeIndex) -> bool {
        self.pair.as_ref().is_none_or(|pair| pair.preferred == self.node_part(node).name)
    }

    /// The virtual IPs with their interfaces, in the order that numbers them.
    pub fn virtual_ips(&self) -> impl Iterator<Item = (InterfaceId, &VirtualIp)> {
        self.virtual_ips.iter().filter_map(|vip| Some((self.interface_id(&vip.interface)?, vip)))
    }

    /// The skew that this node advertises a virtual IP with.
    pub fn advskew(&self, node: NodeIndex, vip: &VirtualIp) -> u8 {
        match self.is_preferred(node) {
            true => vip.advskew,
            false => vip.advskew.saturating_add(ADVSKEW_STANDBY).min(ADVSKEW_MAX),
        }
    }

    /// The addresses of an interface on this node, as configured; the link-local one is not among them.
    pub fn addresses(&self, node: NodeIndex, id: InterfaceId) -> &[Prefix] {
        self.node_interface(node, id).map_or(&[], |part| &part.addresses)
    }

    /// The first address of a family: the one that NAT and own traffic use.
    pub fn first_address(&self, node: NodeIndex, id: InterfaceId, family: Family) -> Option<Prefix> {
        self.addresses(node, id).iter().copied().find(|prefix| match (prefix, family) {
            (Prefix::V4(_), Family::Inet) | (Prefix::V6(_), Family::Inet6) => true,
            (Prefix::V4(_), Family::Inet6) | (Prefix::V6(_), Family::Inet) => false,
        })
    }

    /// The MAC address of an interface on this node.
    pub fn mac(&self, node: NodeIndex, id: InterfaceId) -> MacAddr {
        let derived = || mac_for(&self.node_part(node).name, self.interface_name(id));
        self.node_interface(node, id).and_then(|part| part.mac).unwrap_or_else(derived)
    }

    /// The link-local address of an interface on this node.
    pub fn link_local(&self, node: NodeIndex, id: InterfaceId) -> Ipv6Addr {
        link_local(self.mac(node, id))
    }

    fn node_interface(&self, node: NodeIndex, id: InterfaceId) -> Option<&NodeInterface> {
        let name = &self.interfaces.get(usize::from(id.0))?.name;
        self.node_part(node).interfaces.iter().find(|part| part.name == *name)
    }
}
