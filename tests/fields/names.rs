//! Names and files in aliases: what they stand for is not written in the document.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use koi::config::{Conditions, List};
use koi::node::Compiled;
use koi::wire::dns::Name;

use crate::policy::with_rules;
use crate::rig::{Rig, compile, udp};
use crate::{CLIENT, LAN, WAN};

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
    let name = Name::new("updates.example.org").unwrap();
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let conditions = Conditions {
        names: Arc::new(BTreeMap::from([(name, addresses)])),
        lists: Arc::new(BTreeMap::from([("bad".to_owned(), List::read(file).ranges)])),
        ..Conditions::default()
    };
    compile(&with_rules(RULES), epoch).renewed(epoch, Arc::new(conditions))
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
