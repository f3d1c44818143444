//! Virtual IPs as the packet path and the role know them.

use std::net::IpAddr;

use crate::config::model::{Config, Secret, VirtualMac};
use crate::config::{NodeIndex, Valid};
use crate::types::{Family, InterfaceId, MacAddr, Prefix, Vhid};

/// A virtual IP on this node.
#[derive(Clone, Debug)]
pub struct VirtualIp {
    /// Its number in the document: its bit in [`crate::types::Standing::foreign`].
    pub index: u8,
    /// Where it lives.
    pub interface: InterfaceId,
    /// The virtual host id.
    pub vhid: Vhid,
    /// The MAC address that its addresses are announced with: the virtual host's, or this node's own.
    pub mac: MacAddr,
    /// The CARP address first.
    pub addresses: Vec<Prefix>,
    /// Signs advertisements.
    pub password: Secret,
    /// Seconds between advertisements.
    pub advbase: u8,
    /// 256ths of a second on top, on this node.
    pub advskew: u8,
    /// Shared with a speaker of CARP that is not the peer.
    pub foreign: bool,
    /// A foreign one is taken back from whoever advertises less often.
    pub preempt: bool,
    /// A foreign one's advertisements go to this station.
    pub peer: Option<IpAddr>,
    /// For people.
    pub description: String,
}

impl VirtualIp {
    /// Its bit among the virtual IPs.
    pub(super) const fn bit(&self) -> u64 {
        1 << (self.index & 63)
    }

    /// The first address of a family that is not link-local.
    pub fn primary(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().map(Prefix::addr).find(|address| match (family, address) {
            (Family::Inet, IpAddr::V4(_)) => true,
            (Family::Inet6, IpAddr::V6(address)) => !address.is_unicast_link_local(),
            (Family::Inet, IpAddr::V6(_)) | (Family::Inet6, IpAddr::V4(_)) => false,
        })
    }
}

/// The document's virtual IPs, for a node.
pub(super) fn virtual_ips(config: &Valid<Config>, node: NodeIndex) -> Vec<VirtualIp> {
    let numbered = config.virtual_ips().zip(0..);
    numbered
        .map(|((interface, vip), index)| VirtualIp {
            index,
            interface,
            vhid: vip.vhid,
            mac: match vip.mac {
                VirtualMac::Virtual => vip.vhid.mac(),
                VirtualMac::Own => config.mac(node, interface),
            },
            addresses: vip.addresses.clone(),
            password: vip.password.clone(),
            advbase: vip.advbase,
            advskew: config.advskew(node, vip),
            foreign: vip.foreign,
            preempt: vip.preempt.unwrap_or(true),
            peer: vip.peer,
            description: vip.description.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::compiled::{Compiled, numbered};
    use crate::config;
    use crate::types::Family;
    use crate::wire::Offload;
    use std::sync::Arc;

    #[test]
    fn flows_never_leave_with_a_link_local_address() {
        let valid = config::load(include_str!("../../configs/pair.toml")).unwrap();
        let node = valid.node(Some("alpha")).unwrap();
        let compiled = Compiled::new(Arc::new(valid), node, 1, vec![Offload::NONE; 4]);
        assert!(compiled.links.iter().all(|link| link.link_local().is_some()));
        for (id, link) in numbered(&compiled.links) {
            for address in [compiled.outside_address(id, Family::Inet6), link.primary(Family::Inet6)] {
                let local = address.is_some_and(super::super::compiled::is_link_local);
                assert!(!local, "{}: {address:?}", link.name);
            }
        }
    }
}
