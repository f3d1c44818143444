//! Two lines to the outside and a pair of nodes: a gateway dies, new flows go by the other one; answers leave the way they
//! came; and all of it goes on when the node that led loses its power.

use std::sync::Arc;
use std::time::Duration;

use etherparse::PacketBuilder;
use koi::config;
use koi::conntrack::Filter;
use koi::node::snapshot::FlowRow;
use koi::node::{Compiled, Offload};
use koi::types::MacAddr;
use koi::wire::{FrameBuf, Packet, Parsed};
use smoltcp::iface::SocketHandle;

use crate::cable::Quality;
use crate::for_some_seeds;
use crate::pair::{PORTS, Pair, name, text};
use crate::story::ip;
use crate::world::End;

/// Hosts: the first gateway, the client, the second gateway.
const FIRST: usize = 0;
const CLIENT: usize = 1;
const SECOND: usize = 2;
/// Somebody far away, whom both gateways would reach.
const FAR: &str = "198.18.0.1";

/// The network of the DMZ is the second line here.
fn two_lines() -> [Arc<Compiled>; 2] {
    let text = text().replace("zone = \"dmz\"", "zone = \"wan\"").replace("monitor_disable = true\n", "");
    let text = text.replacen(
        "action = \"pass\"\nsource = \"lan net\"",
        "action = \"pass\"\nfamily = \"inet\"\nsource = \"lan net\"\ngateway = \"BOTH\"",
        1,
    );
    let rules = text.find("[[rule]]\nid = 1000010").unwrap();
    let text = format!(
        "{}[[rule]]\nid = 1000010\ninterface = \"dmz\"\naction = \"pass\"\nprotocol = \"udp\"\n\
         [[gateway]]\nname = \"SECOND\"\ninterface = \"dmz\"\naddress = \"10.20.0.10\"\n\
         [[gateway_group]]\nname = \"BOTH\"\nmembers = [\"WAN_GW|1\", \"SECOND|2\"]\n",
        &text[..rules]
    );
    let valid = Arc::new(config::load(&text).unwrap_or_else(|problems| panic!("{problems:?}")));
    [0, 1].map(|index| {
        let node = valid.node(Some(name(index))).unwrap();
        Arc::new(Compiled::new(Arc::clone(&valid), node, 1, vec![Offload::NONE; usize::from(PORTS)]))
    })
}

struct Lines {
    pair: Pair,
    sockets: Vec<SocketHandle>,
}

impl Lines {
    fn new(seed: u64) -> Lines {
        let mut pair = Pair::obeying(seed, Quality::CLEAN, two_lines());
        (0..2).for_each(|node| pair.start(node, true));
        pair.settle();
        [FIRST, SECOND].into_iter().for_each(|host| pair.world.hosts[host].listen());
        let sockets = (0..4).map(|number| pair.world.hosts[CLIENT].udp(7000 + number)).collect();
        // Hosts ask for the nodes' own addresses only now, and the first answers are lost.
        let well = |pair: &Pair| {
            let rows = |router: &crate::router::Router| router.shard.snapshot(pair.world.now).gateways;
            pair.world.routers.iter().all(|router| rows(router).iter().all(|row| row.status == "online"))
        };
        pair.look_until(Duration::from_secs(90), "gateways that answer", well);
        Lines { pair, sockets }
    }

    /// Where a datagram of the client's arrives, and as whose.
    fn say(&mut self, number: u16, to: &str) -> Vec<(usize, String)> {
        let before = [FIRST, SECOND].map(|host| self.pair.world.hosts[host].heard().len());
        let socket = self.sockets[usize::from(number)];
        self.pair.world.hosts[CLIENT].say(socket, (ip(to), 53), b"koi");
        // It may have to ask for its router first.
        self.pair.run_for(Duration::from_millis(1500));
        let mut arrived = Vec::new();
        for (host, before) in [FIRST, SECOND].into_iter().zip(before) {
            let host_of = &self.pair.world.hosts[host];
            for frame in &host_of.heard()[before..] {
                let Ok(Parsed::Ip(packet)) = Packet::parse(FrameBuf::copy_of(frame)) else { continue };
                let key = packet.layout.key;
                if key.protocol() == 17 && key.dst() == ip(to) && packet.dst_mac() == host_of.mac {
                    arrived.push((host, key.src().to_string()));
                }
            }
        }
        arrived
    }

    /// Somebody far away comes in by the second line.
    fn knock(&mut self, from: &str, number: u16) {
        let mut frame = Vec::new();
        let source = self.pair.world.hosts[SECOND].mac;
        let (std::net::IpAddr::V4(from), std::net::IpAddr::V4(to)) = (ip(from), ip("192.168.1.10")) else {
            panic!()
        };
        PacketBuilder::ethernet2(source.0, MacAddr([0, 0, 0x5e, 0, 1, 3]).0)
            .ipv4(from.octets(), to.octets(), 64)
            .udp(53, 7000 + number)
            .write(&mut frame, b"knock")
            .unwrap();
        self.pair.world.emit(End::Host(SECOND), frame);
        self.pair.run_for(Duration::from_millis(200));
        let heard = self.pair.world.hosts[CLIENT].hear(self.sockets[usize::from(number)]);
        assert_eq!(heard.map(|(bytes, _)| bytes), Some(b"knock".to_vec()));
    }

    fn gateways(&self, node: usize) -> Vec<String> {
        let rows = self.pair.world.routers[node].shard.snapshot(self.pair.world.now).gateways;
        rows.into_iter().map(|row| format!("{} {}", row.name, row.text)).collect()
    }

    fn flows(&self, node: usize) -> Vec<FlowRow> {
        let shard = &self.pair.world.routers[node].shard;
        let filter = Filter { protocol: Some(17), ..Filter::default() };
        shard.flows(self.pair.world.now, &filter, None, 10_000).0
    }
}

#[test]
fn a_dead_gateway_and_then_a_dead_node_leave_everything_on_its_way() {
    for_some_seeds(4, |seed| {
        let mut lines = Lines::new(seed);
        for node in 0..2 {
            let expected = ["WAN_GW online", "WAN_GW6 online", "SECOND online"];
            assert_eq!(lines.gateways(node), expected, "both nodes watch for themselves");
        }
        assert_eq!(lines.say(0, FAR), [(FIRST, "203.0.113.2".into())]);
        (0..2).for_each(|node| lines.pair.lose_gateway(node, true));
        lines.pair.run_for(Duration::from_secs(2));
        let active = lines.pair.leader().unwrap();
        assert_eq!(lines.gateways(active)[0], "WAN_GW down: it does not answer on its link");
        assert_eq!(lines.say(1, FAR), [(SECOND, "10.20.0.1".into())], "a new flow goes by the other line");
        assert_eq!(lines.say(0, FAR), [], "the old one waits for its own");
        lines.knock("198.18.0.2", 2);
        assert_eq!(
            lines.say(2, "198.18.0.2"),
            [(SECOND, "192.168.1.10".into())],
            "an answer leaves as it came"
        );

        lines.pair.power_off(active);
        let other = 1 - active;
        lines.pair.run_until(Duration::from_secs(2), "a takeover", |pair| pair.leader() == Some(other));
        let flows = lines.flows(other);
        let goes_by = |port: u16| {
            let flow = flows.iter().find(|row| row.original.contains(&format!(":{port}"))).unwrap();
            (flow.gateway.as_deref(), flow.reply_to.as_deref())
        };
        assert_eq!(
            [7000, 7001, 7002].map(goes_by),
            [(Some("WAN_GW"), None), (Some("SECOND"), None), (None, Some("SECOND")),]
        );
        assert_eq!(lines.say(1, FAR), [(SECOND, "10.20.0.1".into())]);
        assert_eq!(lines.say(2, "198.18.0.2"), [(SECOND, "192.168.1.10".into())]);
        assert_eq!(lines.say(3, FAR), [(SECOND, "10.20.0.1".into())], "this node knows it, too");

        lines.pair.lose_gateway(other, false);
        let well = |pair: &Pair| {
            let rows = pair.world.routers[other].shard.snapshot(pair.world.now).gateways;
            rows[0].status == "online"
        };
        lines.pair.look_until(Duration::from_secs(120), "the gateway's return", well);
        assert_eq!(lines.say(0, FAR), [(FIRST, "203.0.113.2".into())], "as before, or anew");
        assert_eq!(lines.flows(other).iter().filter(|row| row.egress == "wan").count(), 1);
    });
}
