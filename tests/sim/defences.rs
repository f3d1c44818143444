//! Defences of a pair: handshakes that a node completes itself, and sources that it keeps out, outlive the node.

use std::sync::Arc;
use std::time::Duration;

use koi::config;
use koi::node::{Compiled, Offload};
use koi::types::Seed;
use smoltcp::socket::tcp;

use crate::for_some_seeds;
use crate::pair::{self, PORTS, Pair};
use crate::story::{CLIENT, LAN_ANYWHERE, SERVER, ip};
use crate::transfers::Transfer;

const SEEDS: u64 = 12;
/// Bytes of a transfer, and the hosts of the pair's network.
const BYTES: usize = 40_000;
const SERVER_HOST: usize = 0;
const CLIENT_HOST: usize = 1;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A pair whose rule for LAN says more.
fn pair_with(seed: u64, system: &str, rule: &str) -> Pair {
    let mut pair = Pair::new(seed);
    let text = pair::text().replace(LAN_ANYWHERE, &format!("{LAN_ANYWHERE}{rule}"));
    let text = text.replace("[pair]", &format!("{system}\n[pair]"));
    let valid = Arc::new(config::load(&text).unwrap_or_else(|problems| panic!("{problems:#?}")));
    for router in 0..2 {
        let node = valid.node(Some(pair::name(router))).unwrap();
        let compiled = Compiled::new(Arc::clone(&valid), node, 2, vec![Offload::NONE; usize::from(PORTS)]);
        pair.world.apply(router, compiled);
    }
    pair.run_for(millis(50));
    pair
}

fn transfer(pair: &mut Pair, port: u16, seed: u64) -> Transfer {
    let mut random = Seed([seed, 21]).random();
    let data = (0..BYTES).map(|_| random.next() as u8).collect();
    Transfer::begin(&mut pair.world, CLIENT_HOST, SERVER_HOST, (SERVER, port), 30_000 + port, data)
}

fn finish(pair: &mut Pair, transfer: &mut Transfer) {
    let limit = pair.world.wake_in(Duration::from_secs(90));
    while !transfer.advance(&mut pair.world) {
        assert!(pair.world.now < limit, "{} bytes of {BYTES} have arrived", transfer.received.len());
        pair.step();
    }
    transfer.check();
}

#[test]
fn a_connection_whose_handshake_a_node_made_outlives_it() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = pair_with(seed, "", "protocol = \"tcp\"\nstate_type = \"synproxy\"\n");
        let mut transfer = transfer(&mut pair, 81, seed);
        let limit = pair.world.wake_in(Duration::from_secs(20));
        while transfer.received.len() < BYTES / 3 {
            assert!(pair.world.now < limit, "a third of the transfer");
            transfer.advance(&mut pair.world);
            pair.step();
        }
        let active = pair.leader().unwrap();
        pair.power_off(active);
        finish(&mut pair, &mut transfer);
    });
}

/// The client has the firewall's number for the server's, or not yet; the server may have been asked, or not. What a node
/// that dies has told nobody, nobody knows: here it hands over.
#[test]
fn a_handshake_that_is_half_through_at_a_takeover_goes_on() {
    for_some_seeds(SEEDS * 2, |seed| {
        let mut pair = pair_with(seed, "", "protocol = \"tcp\"\nstate_type = \"synproxy\"\n");
        let mut transfer = transfer(&mut pair, 82, seed + 1);
        pair.run_for(Duration::from_micros(100 + seed * 97 % 4000));
        let active = pair.leader().unwrap();
        pair.request(active, koi::cluster::role::Request::HandOver);
        finish(&mut pair, &mut transfer);
    });
}

#[test]
fn cookies_of_one_node_are_good_on_the_other() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = pair_with(seed, "syncookies = \"always\"\n", "");
        let mut first = transfer(&mut pair, 81, seed);
        finish(&mut pair, &mut first);
        let mut second = transfer(&mut pair, 82, seed + 1);
        pair.run_for(Duration::from_micros(seed * 211 % 3000));
        let active = pair.leader().unwrap();
        pair.request(active, koi::cluster::role::Request::HandOver);
        finish(&mut pair, &mut second);
    });
}

#[test]
fn an_overload_table_and_what_a_source_has_are_known_to_the_standby() {
    for_some_seeds(SEEDS, |seed| {
        let rule =
            "protocol = \"tcp\"\nmax_src_conn = 2\noverload = \"virusprot\"\noverload_flush = \"all\"\n";
        let mut pair = pair_with(seed, "", rule);
        for port in 81..84 {
            let mut transfer = transfer(&mut pair, port, seed);
            let end = pair.world.wake_in(millis(1500));
            while pair.world.now < end && !transfer.advance(&mut pair.world) {
                pair.step();
            }
        }
        let active = pair.leader().unwrap();
        let inside = |pair: &Pair, node: usize| -> Vec<_> {
            pair.world.routers[node].shard.overloaded().iter().map(|entry| entry.source).collect()
        };
        assert_eq!(inside(&pair, active), [ip(CLIENT)]);
        pair.run_for(millis(300));
        assert_eq!(inside(&pair, 1 - active), [ip(CLIENT)], "the standby was told");
        pair.power_off(active);
        pair.run_until(millis(500), "a takeover", |pair| pair.leader() == Some(1 - active));
        let mut kept_out = transfer(&mut pair, 90, seed);
        let end = pair.world.wake_in(millis(1500));
        while pair.world.now < end {
            kept_out.advance(&mut pair.world);
            pair.step();
        }
        let socket = pair.world.hosts[SERVER_HOST].sockets.get::<tcp::Socket>(kept_out.to.1);
        assert!(!socket.is_active(), "blocked by the new node as well");
    });
}

#[test]
fn a_standby_forgets_flows_by_their_rule_s_timers_when_it_has_taken_over() {
    for_some_seeds(SEEDS / 2, |seed| {
        let mut pair = pair_with(
            seed,
            "",
            "[rule.timeouts]\ntcp_established = 120\nudp_multiple = 90\nudp_single = 90\n",
        );
        let mut first = transfer(&mut pair, 81, seed);
        finish(&mut pair, &mut first);
        pair.run_for(millis(500));
        let active = pair.leader().unwrap();
        pair.power_off(active);
        pair.run_until(millis(500), "a takeover", |pair| pair.leader() == Some(1 - active));
        // The other connection is older than the rule's timers, which it gets with its next packet.
        let tcp = koi::conntrack::Filter { port: Some(81), ..Default::default() };
        let router = &pair.world.routers[1 - active];
        // A node's clock has a beginning of its own.
        let now = router.clock.local(pair.world.now);
        let (flows, _) = router.shard.flows(now, &tcp, None, 1 << 20);
        assert!(!flows.is_empty() && flows.iter().all(|flow| flow.expires_seconds <= 125), "{flows:?}");
    });
}
