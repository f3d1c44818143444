//! Fields that people see: names, descriptions, what is logged.

use koi::config::{self, model::Driver};
use koi::wire::Drop;

use crate::rig::{syn, udp};
use crate::{CLIENT, FAR, LAN, document, rig};

#[test]
fn names_zone_and_description_of_an_interface_are_shown() {
    let rows = |edits: &[(&str, &str)]| rig(edits).shard.snapshot(rig(&[]).now).interfaces;
    let before = rows(&[]);
    assert_eq!(
        (before[1].name.as_str(), before[1].zone.as_str(), before[1].port.as_str()),
        ("lan", "lan", "lan")
    );
    let described = rows(&[("zone = \"lan\"", "description = \"Offices\"\nzone = \"lan\"")]);
    assert_eq!((before[1].description.as_str(), described[1].description.as_str()), ("", "Offices"));
}

/// A person on LAN who locked himself out still reaches the GUI, which holds for no other zone.
#[test]
fn zone_decides_who_reaches_the_gui_whatever_the_rules_say() {
    let reached = |zone: &str| {
        let zone = format!("zone = \"{zone}\"");
        let mut rig = rig(&[("zone = \"lan\"", &zone), ("action = \"pass\"", "action = \"block\"")]);
        rig.packet(LAN, syn((CLIENT, 5000), ("192.168.1.1", 443), 1460));
        rig.shard.states()
    };
    assert_eq!((reached("lan"), reached("dmz")), (1, 0));
}

#[test]
fn gateways_and_routes_are_shown_with_their_names_and_descriptions() {
    let gateway = ("name = \"GW\"", "name = \"UPLINK\"\ndescription = \"Fibre\"");
    let route = |description: &str| {
        let table = "[[route]]\ndestination = \"10.8.0.0/16\"\ngateway = \"UPLINK\"\n";
        ("[[rule]]", format!("{table}description = \"{description}\"\n[[rule]]"))
    };
    let shown = |description: &str| -> Vec<(String, Option<String>, String)> {
        let (before, after) = route(description);
        let rig = rig(&[gateway, (before, &after)]);
        let rows = rig.shard.snapshot(rig.now).routes;
        rows.into_iter()
            .filter(|row| row.origin != "connected" && row.destination.addr().is_ipv4())
            .map(|row| (row.destination.to_string(), row.gateway_name, row.description))
            .collect()
    };
    let row = |destination: &str, text: &str| (destination.into(), Some("UPLINK".into()), text.into());
    assert_eq!(shown("Branch"), [row("10.8.0.0/16", "Branch"), row("0.0.0.0/0", "Fibre")]);
    assert_eq!(shown(""), [row("10.8.0.0/16", "Fibre"), row("0.0.0.0/0", "Fibre")]);
}

#[test]
fn port_names_and_devices_and_drivers_are_shown_and_given_to_whoever_opens_them() {
    let ports = |edits: &[(&str, &str)]| rig(edits).shard.snapshot(rig(&[]).now).ports;
    let before = ports(&[]);
    assert_eq!(
        (before[0].name.as_str(), before[0].device.as_str(), before[0].driver.as_str()),
        ("wan", "koi-wan", "offload")
    );
    assert_eq!(ports(&[("tap = \"koi-wan\"", "tap = \"tap7\"")])[0].device, "tap7");
    assert_eq!(ports(&[("tap = \"koi-wan\"", "macvtap = \"/dev/tap7\"")])[0].device, "/dev/tap7");
    let nic = &[("tap = \"koi-wan\"", "nic = \"52:54:00:12:34:56\"")];
    assert_eq!(ports(nic)[0].device, "52:54:00:12:34:56");
    let plain = &[("tap = \"koi-wan\"", "tap = \"koi-wan\"\ndriver = \"plain\"\nnetns = \"elsewhere\"")];
    assert_eq!(ports(plain)[0].driver, "plain");
    let valid = config::load(&document(plain)).unwrap();
    let port = &valid.node_part(valid.node(None).unwrap()).ports[0];
    assert_eq!((port.driver, port.netns.as_deref()), (Driver::Plain, Some("elsewhere")));
}

#[test]
fn a_rule_s_log_decides_what_stands_among_the_recent_drops() {
    let edits = |log: bool| format!("action = \"block\"\nlog = {log}\n");
    for log in [false, true] {
        let mut rig = rig(&[("action = \"pass\"\n", &edits(log))]);
        rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"question"));
        assert_eq!(rig.shard.drops_of(Drop::BlockedIn), 1, "counted in any case");
        assert_eq!(rig.shard.recent_drops().len(), usize::from(log));
    }
}

#[test]
fn a_pass_rule_s_log_and_description_are_a_line_in_the_log_for_each_flow() {
    for log in [false, true] {
        let edit = format!("action = \"pass\"\nlog = {log}\ndescription = \"Out with it\"\n");
        let mut rig = rig(&[("action = \"pass\"\n", &edit)]);
        rig.shard.take_records().for_each(drop);
        for _ in 0..3 {
            rig.packet(LAN, syn((CLIENT, 5000), (FAR, 80), 1460));
        }
        let compiled = crate::rig::compile(&document(&[("action = \"pass\"\n", &edit)]), 1);
        let lines: Vec<String> =
            rig.shard.take_records().map(|record| koi::node::log_row(&compiled, &record, 0).text()).collect();
        let expected =
            format!("pass in on lan tcp {CLIENT}:5000 -> {FAR}:80 S length 44, rule 1000001 (Out with it)");
        assert_eq!(lines, if log { vec![expected] } else { Vec::new() }, "one line for one flow");
    }
}

#[test]
fn only_answers_of_what_it_asked_itself_reach_the_router_s_services() {
    let mut rig = rig(&[]);
    let own = "198.51.100.2";
    // Whoever knocks at an open port of the rules is told that nobody is there.
    let sent = rig.packet(0, udp((FAR, 53), (own, 7000), b"x"));
    assert_eq!((rig.host(), sent.len()), (0, 1));
    assert!(rig.own_packet(udp((own, 50_000), (FAR, 53), b"question")).iter().any(|sent| sent.port == 0));
    rig.packet(0, udp((FAR, 53), (own, 50_000), b"answer"));
    assert_eq!(rig.host(), 1);
    rig.packet(0, udp((FAR, 53), (own, 50_001), b"answer"));
    rig.packet(0, udp(("9.9.9.9", 53), (own, 50_000), b"answer"));
    assert_eq!(rig.host(), 0);
}

#[test]
fn what_the_default_rules_drop_is_in_the_log_unless_nobody_wants_it() {
    for log in [true, false] {
        let edit = format!("[system]\nlogging.default_block = {log}");
        let mut rig = rig(&[("[system]", &edit)]);
        rig.packet(0, udp((FAR, 53), ("198.51.100.2", 7001), b"x"));
        assert_eq!(rig.shard.drops_of(Drop::BlockedIn), 1, "counted in any case");
        let records = rig.shard.records(0, 100);
        assert_eq!(records.len(), usize::from(log));
        assert_eq!(records.first().map(|record| record.id), log.then_some(1));
        assert_eq!(rig.shard.take_records().count(), usize::from(log));
    }
}

#[test]
fn each_kind_of_default_rule_has_a_switch_for_the_log() {
    // A source that is a bogon, one that is private, and a packet of the router's own on its way out.
    for (switch, usual) in [("bogons", true), ("private", true), ("default_pass", false)] {
        for log in [None, Some(true), Some(false)] {
            let edit = log.map_or("[system]".into(), |log| format!("[system]\nlogging.{switch} = {log}"));
            let place = "zone = \"wan\"\nport = \"wan\"";
            let wan = format!("{place}\nblock_bogons = true\nblock_private = true");
            let mut rig = rig(&[("[system]", &edit), (place, &wan)]);
            match switch {
                "bogons" => drop(rig.packet(0, udp(("192.0.2.9", 53), ("198.51.100.2", 7001), b"x"))),
                "private" => drop(rig.packet(0, udp(("10.99.0.9", 53), ("198.51.100.2", 7001), b"x"))),
                _ => drop(rig.own_packet(udp(("198.51.100.2", 50_000), (FAR, 53), b"question"))),
            }
            let expected = usize::from(log.unwrap_or(usual));
            assert_eq!(rig.shard.records(0, 100).len(), expected, "{switch} {log:?}");
        }
    }
}

#[test]
fn schema_is_that_of_this_program() {
    let problems = config::load(&document(&[("schema = 1", "schema = 2")])).unwrap_err();
    assert!(problems[0].to_string().contains("schema"), "{problems:?}");
}
