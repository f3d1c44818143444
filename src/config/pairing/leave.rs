//! A node leaves its pair, or outlives its peer.

use super::{find_node, finish};
use crate::config::model::{Config, Secret};
use crate::config::{Problem, Valid};

/// The document of `name` as a single node again. `inherits`: nobody else has the virtual addresses, so they become the
/// node's own, in the place of those that it had.
///
/// # Errors
/// Every problem of the document that comes of it.
pub fn leave(config: &Config, name: &str, inherits: bool) -> Result<Valid<Config>, Vec<Problem>> {
    let Some(pair) = &config.pair else {
        return Err(vec![Problem::new("pair", "The node belongs to no pair.", "There is nothing to leave.")]);
    };
    let mut node = find_node(config, name)?.clone();
    node.public_key = None;
    let used = |port: &str| config.interfaces.iter().any(|interface| interface.port == port);
    node.ports.retain(|port| port.name != pair.sync || used(&port.name));
    for part in node.interfaces.iter_mut().filter(|_| inherits) {
        let vips = config.virtual_ips.iter().filter(|vip| vip.interface == part.name && !vip.foreign);
        // A node's own link-local address follows from its MAC address.
        let global = |prefix: &crate::types::Prefix| match prefix.addr() {
            std::net::IpAddr::V6(v6) => !v6.is_unicast_link_local(),
            std::net::IpAddr::V4(_) => true,
        };
        let virtual_ones: Vec<_> =
            vips.flat_map(|vip| vip.addresses.iter().copied().filter(global)).collect();
        // A network without a virtual address keeps the node's own one.
        part.addresses.retain(|own| !virtual_ones.iter().any(|address| address.trunc() == own.trunc()));
        part.addresses.splice(0..0, virtual_ones);
    }
    let mut single = config.clone();
    single.pair = None;
    single.nodes = vec![node];
    single.virtual_ips.retain(|vip| vip.foreign);
    finish(single)
}

/// The document of a pair of one, `name`, that waits for new hardware. The old one knows the passwords of CARP, so each
/// virtual IP of the pair gets another.
///
/// # Errors
/// Every problem.
pub fn replace(config: &Config, name: &str, passwords: &[Secret]) -> Result<Valid<Config>, Vec<Problem>> {
    let node = find_node(config, name)?.clone();
    let mut alone = config.clone();
    let Some(pair) = &mut alone.pair else {
        return Err(vec![Problem::new("pair", "The node belongs to no pair.", "Use koi pair create.")]);
    };
    pair.preferred.clone_from(&node.name);
    alone.nodes = vec![node];
    let own = alone.virtual_ips.iter_mut().filter(|vip| !vip.foreign);
    for (vip, password) in own.zip(passwords) {
        vip.password = password.clone();
    }
    finish(alone)
}
