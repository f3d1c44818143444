//! The story's router behind a provider's router, and a server beyond that one: paths of several hops.

use std::time::Duration;

use koi::types::MacAddr;

use crate::cable::Quality;
use crate::host::Host;
use crate::story::{LAN_ANYWHERE, compile, document, ip};
use crate::world::{End, World};

/// The server, far away.
pub const FAR: &str = "198.51.100.10";
pub const FAR6: &str = "2001:db8:99::10";
/// The provider's router, as ours sees it.
pub const PROVIDER: &str = "203.0.113.1";
pub const PROVIDER6: &str = "2001:db8:1::1";

/// Client, router 0 (ours), router 1 (the provider's), server.
pub struct Far {
    pub world: World,
    pub client: usize,
    pub server: usize,
}

impl Far {
    pub fn new(seed: u64, quality: Quality) -> Self {
        let mut world = World::new(seed);
        world.add_router(compile(&document(LAN_ANYWHERE, ""), 1));
        world.add_router(compile(&provider(1500), 1));
        let client = world.add_host(Host::new(
            MacAddr([2, 0, 0, 0, 0, 2]),
            &["192.168.1.10/24", "2001:db8:10::10/64"],
            &[ip("192.168.1.1"), ip("2001:db8:10::1")],
            seed,
        ));
        let server = world.add_host(Host::new(
            MacAddr([2, 0, 0, 0, 0, 9]),
            &["198.51.100.10/24", "2001:db8:99::10/64"],
            &[ip("198.51.100.1"), ip("2001:db8:99::1")],
            seed + 1,
        ));
        world.connect(End::Host(client), End::Router(0, 1), quality);
        world.connect(End::Router(0, 0), End::Router(1, 0), quality);
        world.connect(End::Router(1, 1), End::Host(server), quality);
        world.run_for(Duration::from_secs(3));
        Far { world, client, server }
    }

    /// From now on the provider's link to the server takes no more than this.
    pub fn narrow(&mut self, mtu: u16) {
        self.world.apply(1, compile(&provider(mtu), 2));
    }
}

/// The provider's router forwards everything and translates nothing.
fn provider(mtu: u16) -> String {
    format!(
        r#"
schema = 1
revision = 1
[system]
hostname = "provider"
[outbound]
mode = "disabled"
[[node]]
name = "provider"
[[node.port]]
name = "near"
tap = "p-near"
[[node.port]]
name = "far"
tap = "p-far"
[[node.interface]]
name = "near"
addresses = ["203.0.113.1/24", "2001:db8:1::1/64"]
[[node.interface]]
name = "far"
addresses = ["198.51.100.1/24", "2001:db8:99::1/64"]
[[interface]]
name = "near"
zone = "dmz"
port = "near"
[[interface]]
name = "far"
zone = "dmz"
port = "far"
mtu = {mtu}
[[gateway]]
name = "CUSTOMER"
interface = "near"
address = "2001:db8:1::2"
monitor_disable = true
[[route]]
destination = "2001:db8:10::/64"
gateway = "CUSTOMER"
[[rule]]
id = 1000001
interface = "near"
action = "pass"
[[rule]]
id = 1000002
interface = "far"
action = "pass"
"#
    )
}
