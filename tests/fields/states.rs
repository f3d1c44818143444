//! Fields that say how flows are tracked.

use std::time::Duration;

use koi::wire::Drop;

use crate::policy::with_rules;
use crate::rig::{Rig, syn, tcp, udp};
use crate::{CLIENT, FAR, LAN, WAN};

const PASS_LAN: &str = "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n";

/// A router that translates nothing.
fn plain(rules: &str) -> Rig {
    Rig::new(&with_rules(&format!("{rules}\n[outbound]\nmode = \"disabled\"\n")))
}

fn goes(rig: &mut Rig, from: u8, to: u8, packet: Vec<u8>) -> bool {
    rig.packet(from, packet).iter().any(|sent| sent.port == to)
}

#[test]
fn a_profile_sets_the_timers_that_nobody_set() {
    let life = |system: &str| {
        let text = with_rules(PASS_LAN).replace("[system.web]", &format!("{system}\n[system.web]"));
        let mut rig = Rig::new(&text);
        rig.packet(LAN, syn((CLIENT, 5000), (FAR, 80), 1460));
        let begin = rig.now;
        while rig.shard.states() > 0 {
            rig.wait(Duration::from_secs(1));
            assert!(rig.now.since(begin).as_secs() < 10_000);
        }
        rig.now.since(begin).as_secs()
    };
    let about = |expected: u64, found: u64| (expected..expected + 4).contains(&found);
    assert!(about(120, life("")));
    assert!(about(180, life("optimization = \"high-latency\"")));
    assert!(about(30, life("optimization = \"aggressive\"")));
    assert!(about(3600, life("optimization = \"conservative\"")));
    let set = "optimization = \"conservative\"\n[system.timeouts]\ntcp_first = 50";
    let text = with_rules(PASS_LAN).replace("[system.timeouts]\n", "").replace("udp_first = 60\n", "");
    let text = text.replace("[system.web]", &format!("{set}\n[system.web]"));
    let timers = koi::config::parse(&text).unwrap().system.timers();
    assert_eq!((timers.tcp_first, timers.tcp_established, timers.udp_multiple), (50, 432_000, 900));
}

#[test]
fn sloppy_states_look_at_no_numbers_and_none_are_no_states() {
    let (client, far) = ((CLIENT, 5000), (FAR, 80));
    let handshake = |rig: &mut Rig| {
        assert!(goes(rig, LAN, WAN, syn(client, far, 1460)));
        assert!(goes(rig, WAN, LAN, tcp(far, client, "SA", 7000, 1001)));
        assert!(goes(rig, LAN, WAN, tcp(client, far, "A", 1001, 7001)));
    };
    let wild = || tcp(client, far, "A", 900_000_000, 2_000_000_000);
    let mut strict = plain(PASS_LAN);
    handshake(&mut strict);
    assert!(!goes(&mut strict, LAN, WAN, wild()));
    let mut sloppy = plain(&format!("{PASS_LAN}state_type = \"sloppy\"\n"));
    handshake(&mut sloppy);
    assert!(goes(&mut sloppy, LAN, WAN, wild()));
    assert!(goes(&mut sloppy, LAN, WAN, tcp(client, far, "RA", 5, 5)));
    sloppy.wait(Duration::from_secs(95));
    assert_eq!(sloppy.shard.states(), 0, "closed");
    // One way of a connection is enough.
    let mut half = plain(&format!("{PASS_LAN}state_type = \"sloppy\"\n"));
    assert!(goes(&mut half, LAN, WAN, syn(client, far, 1460)));
    assert!(goes(&mut half, LAN, WAN, tcp(client, far, "A", 1001, 7001)));
    half.wait(Duration::from_secs(1000));
    assert_eq!(half.shard.states(), 1, "established");

    let mut none = plain(&format!("{PASS_LAN}state_type = \"none\"\n"));
    for _ in 0..2 {
        assert!(goes(&mut none, LAN, WAN, udp(client, far, b"question")));
        assert!(goes(&mut none, LAN, WAN, wild()), "also from the middle of a connection");
    }
    assert_eq!(none.shard.states(), 0);
    assert!(!goes(&mut none, WAN, LAN, udp(far, client, b"answer")), "needs a rule of its own");
    // What is translated has to be remembered.
    let mut translated = Rig::new(&with_rules(&format!("{PASS_LAN}state_type = \"none\"\n")));
    assert!(goes(&mut translated, LAN, WAN, udp(client, far, b"question")));
    assert_eq!(translated.shard.states(), 1);
}

#[test]
fn floating_states_take_packets_from_any_interface() {
    let moved = |system: &str, rule: &str| {
        let text = with_rules(&format!("{PASS_LAN}{rule}\n[outbound]\nmode = \"disabled\"\n"));
        let mut rig = Rig::new(&text.replace("[system.web]", &format!("{system}\n[system.web]")));
        assert!(goes(&mut rig, LAN, WAN, udp((CLIENT, 5000), (FAR, 53), b"question")));
        // The answer comes in by the wrong side.
        rig.packet(LAN, udp((FAR, 53), (CLIENT, 5000), b"answer"));
        rig.shard.drops_of(Drop::InterfaceMismatch) == 0
    };
    assert!(!moved("", ""));
    assert!(moved("", "state_policy = \"floating\""));
    assert!(moved("state_policy = \"floating\"", ""));
    assert!(
        !moved("state_policy = \"floating\"", "state_policy = \"if-bound\""),
        "nor by the rule on the way out"
    );
}

#[test]
fn a_rule_has_no_more_flows_than_it_may() {
    let began = |limit: &str| {
        let mut rig = plain(&format!("{PASS_LAN}{limit}\n"));
        for index in 0..40u16 {
            let source = format!("192.168.1.{}", 10 + index % 4);
            goes(&mut rig, LAN, WAN, udp((&source, 5000 + index), (FAR, 53), b"x"));
        }
        (rig.shard.states(), rig.shard.drops_of(Drop::RuleLimit))
    };
    assert_eq!(began(""), (40, 0));
    assert_eq!(began("max_states = 7"), (7, 33));
    assert_eq!(began("max_src_nodes = 3"), (30, 10));
    assert_eq!(began("max_src_states = 2"), (8, 32));
    // What ends makes room, and a rule that counts anew counts what is there.
    let limited = format!("{PASS_LAN}max_states = 2\n[outbound]\nmode = \"disabled\"\n");
    let mut rig = Rig::new(&with_rules(&limited));
    let question = |port: u16| udp((CLIENT, port), (FAR, 53), b"x");
    assert!(goes(&mut rig, LAN, WAN, question(1)) && goes(&mut rig, LAN, WAN, question(2)));
    assert!(!goes(&mut rig, LAN, WAN, question(3)));
    rig.apply(&with_rules(&limited.replace("max_states = 2", "max_states = 3")), 2);
    assert!(goes(&mut rig, LAN, WAN, question(1)) && goes(&mut rig, LAN, WAN, question(2)));
    assert!(goes(&mut rig, LAN, WAN, question(3)) && !goes(&mut rig, LAN, WAN, question(4)));
    rig.wait(Duration::from_secs(200));
    assert_eq!(rig.shard.states(), 0);
    assert!(goes(&mut rig, LAN, WAN, question(4)));
}
