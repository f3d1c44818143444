//! Names and files in aliases: what they stand for is not written in the document.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use koi::config::{Conditions, List};
use koi::node::Compiled;
use koi::wire::dns::Name;

use crate::policy::with_rules;
use crate::rig::{Rig, compile, udp};
use crate::{CLIENT, FAR, LAN, WAN};

const RULES: &str = r#"
[[alias]]
name = "updates"
type = "host"
entries = ["203.0.113.1", "updates.example.org"]
[[alias]]
name = "bad"
type = "urltable"
file = "/var/lib/bad.txt"
[[alias]]
name = "all"
type = "network"
entries = ["updates", "bad"]
[[rule]]
id = 1000001
interface = "lan"
action = "block"
destination = "bad"
[[rule]]
id = 1000002
interface = "lan"
action = "pass"
destination = "all"
"#;

/// As it is when the name and the file stand for these.
fn under(epoch: u32, addresses: &[&str], file: &str) -> Compiled {
    compile(&with_rules(RULES), epoch).renewed(epoch, named(addresses, file))
}

fn named(addresses: &[&str], file: &str) -> Arc<Conditions> {
    let name = Name::new("updates.example.org").unwrap();
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Arc::new(Conditions {
        names: Arc::new(BTreeMap::from([(name, addresses)])),
        lists: Arc::new(BTreeMap::from([("bad".to_owned(), List::read(file).ranges)])),
        ..Conditions::default()
    })
}

fn leaves(rig: &mut Rig, to: &str) -> bool {
    rig.packet(LAN, udp((CLIENT, 5000), (to, 53), b"question")).iter().any(|sent| sent.port == WAN)
}

#[test]
fn a_name_in_an_alias_stands_for_the_addresses_that_servers_say() {
    let mut rig = Rig::with(under(1, &[], ""));
    assert!(leaves(&mut rig, "203.0.113.1") && !leaves(&mut rig, "203.0.113.2"));
    rig.renew(under(1, &["203.0.113.2", "2001:db8:9::1"], ""));
    assert!(leaves(&mut rig, "203.0.113.2") && !leaves(&mut rig, "203.0.113.3"));
    // Other addresses: flows to the old ones go on, new ones do not begin.
    rig.renew(under(1, &["203.0.113.3"], ""));
    assert!(leaves(&mut rig, "203.0.113.2") && leaves(&mut rig, "203.0.113.3"));
    let other = rig.packet(LAN, udp((CLIENT, 5001), ("203.0.113.2", 53), b"question"));
    assert!(other.iter().all(|sent| sent.port != WAN));
}

/// Translations that name no such alias are not even looked at; those that do lead where the name stands for.
#[test]
fn what_a_name_does_not_touch_stays_as_it_was_compiled() {
    let forward = "[[port_forward]]\nid = 1000005\ninterface = \"wan\"\nprotocol = \"udp\"\ndestination = \"wan address\"\n\
                   destination_port = \"7000\"\ntarget = \"TARGET\"\nassociation = \"pass\"\n";
    let under = |target: &str| {
        let text = format!("{RULES}{}", forward.replace("TARGET", target));
        let first = compile(&with_rules(&text), 1).renewed(1, named(&["192.168.1.10"], ""));
        let second = first.renewed(1, named(&["192.168.1.11"], ""));
        (first, second)
    };
    let (first, second) = under("192.168.1.12");
    assert!(Arc::ptr_eq(&first.translations, &second.translations));
    let (first, second) = under("updates");
    assert!(!Arc::ptr_eq(&first.translations, &second.translations));
    // The targets take turns.
    let leads_to = |compiled: &Compiled, to: &str| {
        let mut rig = Rig::with(compiled.clone());
        (0..4u16).any(|port| {
            let sent = rig.packet(WAN, udp((FAR, 5000 + port), ("198.51.100.2", 7000), b"question"));
            let mut packets = sent.iter().filter(|sent| sent.port == LAN).filter_map(crate::rig::Sent::ip);
            packets.any(|packet| packet.layout.key.dst().to_string() == to)
        })
    };
    assert!(leads_to(&first, "192.168.1.10") && !leads_to(&first, "192.168.1.11"));
    assert!(leads_to(&second, "192.168.1.11") && !leads_to(&second, "192.168.1.10"));
}

#[test]
fn an_alias_of_a_file_stands_for_its_lines() {
    let mut rig = Rig::with(under(1, &["203.0.113.2"], "# none\n203.0.113.0/30\n"));
    assert!(!leaves(&mut rig, "203.0.113.1") && !leaves(&mut rig, "203.0.113.2"), "blocked before they pass");
    let mut rig = Rig::with(under(1, &["203.0.113.2"], "203.0.113.2"));
    assert!(leaves(&mut rig, "203.0.113.1") && !leaves(&mut rig, "203.0.113.2"));
}

#[test]
fn a_hundred_thousand_lines_are_nothing_special() {
    let line = |n: u32| format!("{}\n", std::net::Ipv4Addr::from(0x1400_0000 + n * 2));
    let file: String = (0..100_000).map(line).collect();
    let mut rig = Rig::with(under(1, &["20.0.0.3"], &file));
    assert!(!leaves(&mut rig, "20.3.13.62") && !leaves(&mut rig, "20.0.0.0"));
    assert!(leaves(&mut rig, "20.0.0.3"));
}
