use proptest::prelude::*;

use super::*;
use crate::config::load;
use crate::config::model::Secret;
use crate::types::PublicKey;

const SINGLE: &str = include_str!("../../../configs/single.toml");
const KEYS: [PublicKey; 2] = [PublicKey([0xa1; 32]), PublicKey([0xbe; 32])];
const WAITING: &str = r#"
schema = 1
revision = 7
[pair]
sync = "cable"
preferred = "beta"
[[node]]
name = "beta"
[[node.port]]
name = "cable"
tap = "koi-sync-b"
"#;

fn addresses(texts: &[&str]) -> Vec<OwnAddress> {
    let read = |text: &&str| {
        let (name, address) = text.split_once('=').unwrap();
        (name.to_owned(), address.parse().unwrap())
    };
    texts.iter().map(read).collect()
}

fn passwords(word: &str) -> Vec<Secret> {
    (0..9).map(|number| Secret::new(format!("{word}{number}"))).collect()
}

fn plan() -> Plan {
    Plan {
        node: "koi".into(),
        public_key: KEYS[0],
        sync: "sync=koi-sync@cable".parse().unwrap(),
        preferred: None,
        addresses: addresses(&[
            "wan=198.51.100.3/24",
            "wan=2001:db8:1::3/64",
            "lan=192.168.1.2/24",
            "lan=2001:db8:10::2/64",
        ]),
        passwords: passwords("first"),
    }
}

fn single() -> Config {
    load(SINGLE).unwrap().into_inner()
}

fn created() -> Config {
    create(&single(), &plan()).unwrap().into_inner()
}

fn beta() -> Newcomer {
    let ports = ["wan=b-wan", "lan=/dev/tap7", "spare=b-spare"].map(|text| text.parse().unwrap());
    let own = addresses(&[
        "lan=192.168.1.3/24",
        "lan=2001:db8:10::3/64",
        "wan=198.51.100.4/24",
        "wan=2001:db8:1::4/64",
    ]);
    let waiting = load(WAITING).unwrap();
    newcomer(&waiting, "beta", KEYS[1], &"cable".parse().unwrap(), &ports, &own).unwrap()
}

fn texts(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn what_hosts_know_becomes_virtual() {
    let pair = created();
    let vips: Vec<(&str, u8, String, &str)> = pair
        .virtual_ips
        .iter()
        .map(|vip| {
            let list: Vec<String> = vip.addresses.iter().map(ToString::to_string).collect();
            (vip.interface.as_str(), vip.vhid.0, list.join(" "), vip.password.reveal())
        })
        .collect();
    assert_eq!(
        vips,
        [
            ("wan", 1, "198.51.100.2/24 2001:db8:1::2/64".into(), "first0"),
            ("lan", 2, "192.168.1.1/24 2001:db8:10::1/64 fe80::1:2/64".into(), "first1"),
        ]
    );
    let node = &pair.nodes[0];
    assert_eq!(node.public_key, Some(KEYS[0]));
    assert_eq!(
        node.interfaces[0].addresses,
        addresses(&["wan=198.51.100.3/24", "wan=2001:db8:1::3/64"])
            .iter()
            .map(|own| own.1)
            .collect::<Vec<_>>()
    );
    let sync = node.ports.last().unwrap();
    assert_eq!(
        (sync.name.as_str(), sync.tap.as_deref(), sync.netns.as_deref()),
        ("sync", Some("koi-sync"), Some("cable"))
    );
    assert_eq!(pair.pair.as_ref().unwrap().preferred, "koi");
    assert_eq!(pair.revision, single().revision + 1);
    // All else is as it was.
    let single = single();
    assert_eq!(
        (pair.interfaces, pair.rules, pair.gateways),
        (single.interfaces, single.rules, single.gateways)
    );
}

#[test]
fn what_a_plan_lacks_is_named_by_its_option() {
    let mut changes: Vec<(&str, Plan)> = Vec::new();
    let mut change = |expected, edit: &dyn Fn(&mut Plan)| {
        let mut changed = plan();
        edit(&mut changed);
        changes.push((expected, changed));
    };
    change("Add --address lan=ADDRESS/24.", &|plan| drop(plan.addresses.remove(2)));
    change("Add --address wan=ADDRESS/64.", &|plan| drop(plan.addresses.remove(1)));
    change("Name its device, too, as in --sync sync=koi-sync.", &|plan| plan.sync = "sync".parse().unwrap());
    change("Name one of wan, lan.", &|plan| plan.addresses[0].0 = "wam".into());
    change("There is no node \"kai\".", &|plan| plan.node = "kai".into());
    change("Write an address that no node has.", &|plan| {
        plan.addresses[2] = ("lan".into(), "192.168.1.1/24".parse().unwrap());
    });
    change("The interface \"lan\" uses the port \"lan\".", &|plan| plan.sync = "lan".parse().unwrap());
    for (expected, plan) in changes {
        let problems = texts(&create(&single(), &plan).unwrap_err());
        assert!(problems.contains(expected), "{expected}: {problems}");
    }
    assert!(texts(&create(&created(), &plan()).unwrap_err()).contains("koi pair replace"));
}

#[test]
fn both_come_to_the_same_document() {
    // One has the document that it has written, the other one its text.
    let sent = created().to_toml();
    let here = join(&created(), &beta()).unwrap();
    let there = join(&load(&sent).unwrap(), &beta()).unwrap();
    assert_eq!((here.hash(), here.to_toml()), (there.hash(), there.to_toml()));
    assert_eq!(load(&here.to_toml()).unwrap(), here);
    let node = &here.nodes[1];
    let ports: Vec<&str> = node.ports.iter().map(|port| port.name.as_str()).collect();
    assert_eq!((node.name.as_str(), ports), ("beta", vec!["wan", "lan", "sync"]));
    assert_eq!(node.ports[1].macvtap.as_deref(), Some("/dev/tap7"));
    assert_eq!(node.ports[2].tap.as_deref(), Some("koi-sync-b"));
    assert_eq!((node.public_key, here.revision), (Some(KEYS[1]), single().revision + 2));
    assert_eq!(here.peer_of(here.node(Some("koi")).unwrap()), here.node(Some("beta")).ok());
}

#[test]
fn what_a_newcomer_lacks_is_named_by_its_option() {
    let mut changes: Vec<(&str, Newcomer)> = Vec::new();
    let mut change = |expected, edit: &dyn Fn(&mut Newcomer)| {
        let mut changed = beta();
        edit(&mut changed);
        changes.push((expected, changed));
    };
    change("Both nodes have the name \"koi\".", &|new| new.node.name = "koi".into());
    change("Add --port wan=TAP.", &|new| new.node.ports.retain(|port| port.name != "wan"));
    change("Add --port sync=TAP.", &|new| new.sync = "other".into());
    change("Add --address wan=ADDRESS/24.", &|new| new.node.interfaces.retain(|part| part.name != "wan"));
    change("The key", &|new| new.node.public_key = Some(KEYS[0]));
    change("The address 198.51.100.3", &|new| {
        new.node.interfaces[1].addresses[0] = "198.51.100.3/24".parse().unwrap();
    });
    for (expected, newcomer) in changes {
        let problems = texts(&join(&created(), &newcomer).unwrap_err());
        assert!(problems.contains(expected), "{expected}: {problems}");
    }
    let full = join(&created(), &beta()).unwrap();
    assert!(texts(&join(&full, &beta()).unwrap_err()).contains("waits for its second node"));
    assert!(texts(&join(&single(), &beta()).unwrap_err()).contains("koi pair create"));
    let port = newcomer(&load(WAITING).unwrap(), "beta", KEYS[1], &"sync".parse().unwrap(), &[], &[]);
    assert!(texts(&port.unwrap_err()).contains("--sync sync=koi-sync"));
}

#[test]
fn a_named_address_replaces_those_of_the_document() {
    let own = load(SINGLE).unwrap();
    let named = addresses(&["lan=192.168.1.8/24", "lan=192.168.1.9/24"]);
    let sync = "sync=koi-sync".parse().unwrap();
    let Newcomer { node, sync } = newcomer(&own, "koi", KEYS[1], &sync, &[], &named).unwrap();
    let of = |name| node.interfaces.iter().find(|part| part.name == name).unwrap().addresses.clone();
    assert_eq!(of("lan"), named.iter().map(|named| named.1).collect::<Vec<_>>());
    assert_eq!(of("wan"), own.nodes[0].interfaces[0].addresses);
    assert_eq!((sync.as_str(), node.ports.len()), ("sync", 3));
}

#[test]
fn whoever_leaves_is_single_again() {
    let pair = join(&created(), &beta()).unwrap();
    // The peer keeps the virtual addresses.
    let left = leave(&pair, "beta", false).unwrap();
    assert_eq!((left.nodes.len(), left.nodes[0].name.as_str()), (1, "beta"));
    assert!(left.pair.is_none() && left.virtual_ips.is_empty() && left.nodes[0].public_key.is_none());
    assert_eq!(left.nodes[0].ports.len(), 2, "the cable's port is gone");
    assert_eq!(left.nodes[0].interfaces[0].addresses, pair.nodes[1].interfaces[0].addresses);
    // Nobody else has them: there and back is where it began.
    let mut back = leave(&created(), "koi", true).unwrap().into_inner();
    back.revision = single().revision;
    assert_eq!(back, single());
    assert!(texts(&leave(&single(), "koi", true).unwrap_err()).contains("nothing to leave"));
}

#[test]
fn a_replaced_node_knows_no_password_any_more() {
    let mut pair = join(&created(), &beta()).unwrap().into_inner();
    pair.pair.as_mut().unwrap().preferred = "koi".into();
    let alone = replace(&pair, "beta", &passwords("second")).unwrap();
    assert_eq!((alone.nodes.len(), alone.pair.as_ref().unwrap().preferred.as_str()), (1, "beta"));
    let words: Vec<&str> = alone.virtual_ips.iter().map(|vip| vip.password.reveal()).collect();
    assert_eq!(words, ["second0", "second1"]);
    let mut new = beta();
    (new.node.name, new.node.public_key) = ("gamma".into(), Some(PublicKey([3; 32])));
    let moved = [("lan", "192.168.1.9/24"), ("wan", "198.51.100.9/24")];
    for (part, (_, address)) in new.node.interfaces.iter_mut().zip(moved) {
        part.addresses[0] = address.parse().unwrap();
        part.addresses[1] =
            part.addresses[1].to_string().replace("::3", "::9").replace("::4", "::9").parse().unwrap();
    }
    let again = join(&alone, &new).unwrap();
    assert_eq!(again.nodes[1].name, "gamma");
    assert!(texts(&replace(&single(), "koi", &[]).unwrap_err()).contains("koi pair create"));
}

#[test]
fn new_keys_change_nothing_else() {
    let pair = join(&created(), &beta()).unwrap().into_inner();
    let new = [PublicKey([0x11; 32]), PublicKey([0x22; 32])];
    let named = |key: [PublicKey; 2]| [("koi".to_owned(), key[0]), ("beta".to_owned(), key[1])];
    let renewed = renew(&pair, &named(new)).unwrap().into_inner();
    assert_eq!(renewed.revision, pair.revision + 1);
    assert_eq!(renewed.nodes.iter().filter_map(|node| node.public_key).collect::<Vec<_>>(), new);
    let mut back = renew(&renewed, &named(KEYS)).unwrap().into_inner();
    back.revision = pair.revision;
    assert_eq!(back, pair);
    assert!(texts(&renew(&pair, &[("gamma".into(), new[0])]).unwrap_err()).contains("gamma"));
    assert!(renew(&single(), &named(new)).is_err(), "a node without a key has none to renew");
}

#[test]
fn the_smallest_document_waits_for_a_pair_and_nothing_else_does() {
    load(WAITING).unwrap();
    let without = WAITING.replace("[pair]\nsync = \"cable\"\npreferred = \"beta\"\n", "");
    assert!(texts(&load(&without).unwrap_err()).contains("There is no interface."));
}

proptest! {
    #[test]
    fn port_plans_round_trip(text in "[a-z=@/]{0,12}") {
        if let Ok(plan) = text.parse::<PortPlan>() {
            prop_assert_eq!(plan.to_string().parse(), Ok(plan.clone()));
            prop_assert_eq!(plan.to_string(), text);
        }
    }
}
