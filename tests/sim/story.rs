//! The story's network with one node: WAN, LAN, DMZ.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use koi::config;
use koi::node::{Compiled, Offload};
use koi::types::MacAddr;

use crate::audit::LAN;
use crate::cable::Quality;
use crate::host::Host;
use crate::world::{End, World};

/// The configuration; `extra` is appended to it.
pub fn document(lan_rule: &str, extra: &str) -> String {
    format!(
        r#"
schema = 1
revision = 1

[system]
hostname = "koi"

[[node]]
name = "alpha"
[[node.port]]
name = "wan"
tap = "koi-wan"
[[node.port]]
name = "lan"
tap = "koi-lan"
[[node.port]]
name = "dmz"
tap = "koi-dmz"
[[node.interface]]
name = "wan"
addresses = ["203.0.113.2/24", "2001:db8:1::2/64"]
[[node.interface]]
name = "lan"
addresses = ["192.168.1.1/24", "2001:db8:10::1/64"]
[[node.interface]]
name = "dmz"
addresses = ["10.20.0.1/24", "2001:db8:20::1/64"]

[[interface]]
name = "wan"
zone = "wan"
port = "wan"
[[interface]]
name = "lan"
zone = "lan"
port = "lan"
[[interface]]
name = "dmz"
zone = "dmz"
port = "dmz"

[[gateway]]
name = "WAN_GW"
interface = "wan"
address = "203.0.113.1"
default = true
monitor_disable = true
[[gateway]]
name = "WAN_GW6"
interface = "wan"
address = "2001:db8:1::1"
default = true
monitor_disable = true

{lan_rule}

[[rule]]
id = 1000010
interface = "dmz"
action = "block"
destination = "lan net"
[[rule]]
id = 1000011
interface = "dmz"
action = "pass"
source = "dmz net"
{extra}
"#
    )
}

/// LAN may go anywhere.
pub const LAN_ANYWHERE: &str =
    "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nsource = \"lan net\"\n";

/// Compiles a document for its only node. Simulated cables carry plain frames.
pub fn compile(document: &str, epoch: u32) -> Compiled {
    let valid = config::load(document).unwrap_or_else(|problems| panic!("{problems:?}"));
    let node = valid.node(None).unwrap();
    let ports = valid.node_part(node).ports.len();
    Compiled::new(Arc::new(valid), node, epoch, vec![Offload::NONE; ports])
}

/// The world of the story.
pub struct Story {
    pub world: World,
    pub server: usize,
    pub client: usize,
    pub www: usize,
}

pub const SERVER: &str = "203.0.113.1";
pub const CLIENT: &str = "192.168.1.10";
pub const WWW: &str = "10.20.0.10";

/// An address, for brevity in scenarios.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Story {
    /// One router and three hosts; the "server" is also the WAN gateway's address.
    pub fn new(seed: u64, quality: Quality) -> Self {
        Story::with(seed, quality, &document(LAN_ANYWHERE, ""))
    }

    /// The same with another configuration.
    pub fn with(seed: u64, quality: Quality, document: &str) -> Self {
        let mut world = World::new(seed);
        let router = world.add_router(compile(document, 1));
        let mac = |last: u8| MacAddr([2, 0, 0, 0, 0, last]);
        let server = world.add_host(Host::new(
            mac(1),
            &["203.0.113.1/24", "2001:db8:1::1/64"],
            &[ip("203.0.113.2"), ip("2001:db8:1::2")],
            seed,
        ));
        let client = world.add_host(Host::new(
            mac(2),
            &["192.168.1.10/24", "2001:db8:10::10/64"],
            &[ip("192.168.1.1"), ip("2001:db8:10::1")],
            seed + 1,
        ));
        let www = world.add_host(Host::new(
            mac(3),
            &["10.20.0.10/24", "2001:db8:20::10/64"],
            &[ip("10.20.0.1"), ip("2001:db8:20::1")],
            seed + 2,
        ));
        world.connect(End::Router(router, 0), End::Host(server), quality);
        world.connect(End::Router(router, 1), End::Host(client), quality);
        world.connect(End::Router(router, 2), End::Host(www), quality);
        // Duplicate address detection takes a second; nothing IPv6 works before.
        world.run_for(Duration::from_secs(3));
        Story { world, server, client, www }
    }
    /// Another host on LAN.
    pub fn second_client(&mut self, quality: Quality, seed: u64) -> usize {
        let host = self.world.add_host(Host::new(
            MacAddr([2, 0, 0, 0, 0, 4]),
            &["192.168.1.11/24", "2001:db8:10::11/64"],
            &[ip("192.168.1.1"), ip("2001:db8:10::1")],
            seed + 3,
        ));
        self.world.connect(End::Router(0, LAN), End::Host(host), quality);
        self.world.run_for(Duration::from_secs(2));
        host
    }

    /// The router's MAC address on one of its ports.
    pub fn router_mac(&self, port: u8) -> MacAddr {
        self.world.routers[0].shard.snapshot(self.world.now).interfaces[usize::from(port)].mac
    }
}

/// A document with another limit of the connection table.
pub fn with_state_limit(document: &str, limit: u32) -> String {
    document.replace("hostname = \"koi\"", &format!("hostname = \"koi\"\nstate_limit = {limit}"))
}
