//! A single node becomes a pair of one.

use std::net::Ipv6Addr;

use super::{OwnAddress, PortPlan, check_names, find_node, finish, lacking, readdressed};
use crate::config::defaults::{ADVBASE, PREEMPT_DELAY};
use crate::config::model::{Config, Interface, Pair, Secret, VirtualIp, VirtualMac};
use crate::config::{Problem, Valid};
use crate::types::{Prefix, PublicKey, Vhid};

/// What [`create`] must be told.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The node.
    pub node: String,
    /// Its key.
    pub public_key: PublicKey,
    /// The port of the cable between the two.
    pub sync: PortPlan,
    /// Who wins ties; this node when absent.
    pub preferred: Option<String>,
    /// The node's new own addresses: the present ones become virtual.
    pub addresses: Vec<OwnAddress>,
    /// Passwords of CARP, at least one for each interface.
    pub passwords: Vec<Secret>,
}

/// The document of a pair of one. What hosts know of the firewall, its addresses, becomes virtual and so stays where
/// the role is; the node gets new ones for itself.
///
/// # Errors
/// Every problem, of the plan or of the document that comes of it.
pub fn create(config: &Config, plan: &Plan) -> Result<Valid<Config>, Vec<Problem>> {
    let problem = |path: &str, message: String, remedy: &str| Err(vec![Problem::new(path, message, remedy)]);
    if config.pair.is_some() {
        return problem(
            "pair",
            "The node belongs to a pair already.".into(),
            "Use koi pair replace for new hardware.",
        );
    }
    if config.nodes.len() > 1 {
        return problem("node", "The document has two nodes already.".into(), "Keep only this one.");
    }
    let node = find_node(config, &plan.node)?;
    check_names(config, &plan.addresses)?;
    let missing = lacking(config, &plan.addresses);
    if !missing.is_empty() {
        return Err(missing.iter().map(|lacking| lacking.problem(&node.name)).collect());
    }
    let Some(sync) = plan.sync.find(&node.ports) else {
        let message = format!("Node \"{}\" has no port \"{}\".", node.name, plan.sync.name);
        return problem("--sync", message, "Name its device, too, as in --sync sync=koi-sync.");
    };
    let mut pair = config.clone();
    pair.pair = Some(Pair {
        sync: sync.name.clone(),
        preferred: plan.preferred.clone().unwrap_or_else(|| node.name.clone()),
        preempt: true,
        preempt_delay: PREEMPT_DELAY,
        defer: false,
    });
    for ((index, interface), password) in config.interfaces.iter().enumerate().zip(&plan.passwords) {
        pair.virtual_ips.extend(virtual_ip(config, index, interface, password));
    }
    for part in &mut pair.nodes {
        part.public_key = Some(plan.public_key);
        if !part.ports.iter().any(|port| port.name == sync.name) {
            part.ports.push(sync.clone());
        }
        part.interfaces = part.interfaces.iter().map(|part| readdressed(part, &plan.addresses)).collect();
    }
    finish(pair)
}

/// The addresses of an interface, as those of whoever leads.
fn virtual_ip(config: &Config, index: usize, interface: &Interface, password: &Secret) -> Option<VirtualIp> {
    let used = |vhid: u8| {
        config.virtual_ips.iter().any(|vip| vip.interface == interface.name && vip.vhid == Vhid(vhid))
    };
    // A number of its own for each interface, so that no two meet where interfaces share a switch.
    let first = u8::try_from(index + 1).unwrap_or(u8::MAX);
    let vhid = (first..=u8::MAX).chain(1..first).find(|vhid| !used(*vhid))?;
    let parts = config.nodes.iter().flat_map(|node| &node.interfaces);
    let mut addresses: Vec<Prefix> =
        parts.filter(|part| part.name == interface.name).flat_map(|part| part.addresses.clone()).collect();
    if interface.router_advertisements && !has_link_local(config, interface) {
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, u16::from(vhid));
        addresses.extend(Prefix::new(address.into(), 64));
    }
    (!addresses.is_empty()).then(|| VirtualIp {
        interface: interface.name.clone(),
        vhid: Vhid(vhid),
        addresses,
        password: password.clone(),
        advbase: ADVBASE,
        advskew: 0,
        foreign: false,
        preempt: None,
        peer: None,
        mac: VirtualMac::default(),
        description: String::new(),
    })
}

fn has_link_local(config: &Config, interface: &Interface) -> bool {
    let own = config.virtual_ips.iter().filter(|vip| vip.interface == interface.name && !vip.foreign);
    own.flat_map(|vip| &vip.addresses)
        .any(|prefix| matches!(prefix, Prefix::V6(v6) if v6.addr().is_unicast_link_local()))
}
