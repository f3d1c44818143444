//! The pair, its cable and its virtual addresses.

use super::*;

const STORY: &str = include_str!("../../../../configs/lab.toml");
const DMZ_ADDRESSES: &str = "addresses = [\"10.20.0.1/24\", \"2001:db8:20::1/64\", \"fe80::1:2/64\"]";
const DMZ_VIP: &str = "password = \"koi-lab-dmz\"";

/// What is written instead of what in the story's document; path; part of the message; part of the remedy.
fn check_story(rows: &[Row]) {
    for (from, to, path, message, remedy) in rows {
        let problems = load(&edit(STORY, from, to)).expect_err(to);
        assert_eq!(problems.len(), 1, "{to}: one mistake, one problem: {problems:#?}");
        let problem = &problems[0];
        assert_eq!(problem.path, *path, "{to}: {problem}");
        assert!(problem.message.contains(message) && problem.remedy.contains(remedy), "{to}: {problem}");
        assert!(problem.line.is_some(), "{to}: {problem}");
    }
}

#[test]
fn a_pair() {
    let twin = "\"a1fa00000000000000000000000000000000000000000000000000000000a1fa\"";
    let key = "\"be7a00000000000000000000000000000000000000000000000000000000be7a\"";
    check_story(&[
        (
            "preferred = \"alpha\"",
            "preferred = \"alfa\"",
            "pair.preferred",
            "no node \"alfa\"",
            "alpha, beta",
        ),
        (
            "preferred = \"alpha\"",
            "preferred = \"alpha\"\npreempt_delay = 86401\n#",
            "pair.preempt_delay",
            "86401",
            "86400",
        ),
        (
            "preferred = \"alpha\"",
            "preferred = \"alpha\"\npreempt = false\npreempt_delay = 5\n#",
            "pair.preempt_delay",
            "no effect",
            "Remove",
        ),
        (key, twin, "node[1].public_key", "already taken by node[0].public_key", "its own"),
        ("public_key = \"be7a", "#", "node[1].public_key", "by its key", "64 hex digits"),
        (", \"fe80::1:1/64\"", "", "interface[1].router_advertisements", "no link-local", "fe80::1/64"),
        (
            "addresses = [\"203.0.113.2/24\", \"2001:db8:1::2/64\"]",
            "addresses = [\"2001:db8:1::2/64\"]",
            "outbound.mode",
            "a node's own address",
            "[[virtual_ip]]",
        ),
    ]);
}

#[test]
fn what_only_a_pair_has_needs_a_pair() {
    let pair = "[pair]\nsync = \"sync\"       # the port of the cable between the two; it carries nothing else\n\
                preferred = \"alpha\"";
    let problems = load(&edit(STORY, pair, "#")).unwrap_err();
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    let expected =
        ["node[0].public_key", "node[0].port[3].name", "node[1].public_key", "node[1].port[3].name"];
    assert_eq!(paths, [&expected[..], &["virtual_ip[0].foreign"]].concat(), "{problems:#?}");
    let config = load(LAB).unwrap().into_inner();
    let vips = parse(STORY).unwrap().virtual_ips;
    let mut alone = config.clone();
    alone.virtual_ips = vips[..1].to_vec();
    assert!(validate(alone.clone()).unwrap_err().iter().all(|problem| problem.message.contains("itself")));
    alone.virtual_ips[0].addresses = vec!["203.0.113.7/24".parse().unwrap()];
    assert!(validate(alone).is_ok(), "a virtual IP needs no pair");
}

#[test]
fn the_cable_of_a_pair_is_on_both_nodes_and_carries_nothing_else() {
    let problems = load(&edit(STORY, "sync = \"sync\"", "sync = \"lan\"")).unwrap_err();
    let shared = problems.iter().find(|problem| problem.path == "pair.sync").unwrap();
    assert!(shared.message.contains("\"lan\" uses the port"), "{shared}");
    assert!(
        problems.iter().all(|problem| problem == shared || problem.message.contains("No interface uses"))
    );
    let tap = "name = \"sync\"\ntap = \"koi-sync-b\"\nnetns = \"koi-lab-sync\"";
    let problems = load(&edit(STORY, &format!("[[node.port]]\n{tap}\n"), "")).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].path, "pair.sync");
    assert!(problems[0].message.contains("node \"beta\""), "{}", problems[0]);
}

#[test]
fn virtual_ips() {
    check_story(&[
        ("vhid = 3", "vhid = 0", "virtual_ip[2].vhid", "0 is not", "1 to 255"),
        ("vhid = 3", "vhid = 256", "virtual_ip[2].vhid", "256", "1 to 255"),
        (DMZ_VIP, "password = \"p\"\nadvbase = 0", "virtual_ip[2].advbase", "0 seconds", "1 to 254"),
        (DMZ_VIP, "password = \"p\"\nadvbase = 255", "virtual_ip[2].advbase", "255 seconds", "1 to 254"),
        (DMZ_VIP, "password = \"p\"\nadvskew = 255", "virtual_ip[2].advskew", "255", "0 to 254"),
        (DMZ_VIP, "password = \"\"", "virtual_ip[2].password", "empty", "19"),
        (DMZ_VIP, "password = \"12345678901234567890\"", "virtual_ip[2].password", "20 bytes", "19"),
        (DMZ_VIP, "password = \"a/b\"", "virtual_ip[2].password", "slashes", "letters"),
        (DMZ_VIP, "password = \"a b\"", "virtual_ip[2].password", "spaces", "letters"),
        (DMZ_VIP, "password = 'a\"b'", "virtual_ip[2].password", "quotes", "letters"),
        (DMZ_VIP, "password = \"p\"\npreempt = true", "virtual_ip[2].preempt", "no effect", "Remove preempt"),
        (DMZ_VIP, "password = \"p\"\npeer = \"10.20.0.9\"", "virtual_ip[2].peer", "no effect", "Remove peer"),
        (
            DMZ_VIP,
            "password = \"p\"\nforeign = true\npeer = \"10.21.0.9\"",
            "virtual_ip[2].peer",
            "not in a network",
            "own address",
        ),
        (
            DMZ_VIP,
            "password = \"p\"\nforeign = true\npeer = \"10.20.0.1\"",
            "virtual_ip[2].peer",
            "this firewall's",
            "other speaker",
        ),
        (DMZ_ADDRESSES, "addresses = []", "virtual_ip[2].addresses", "no address", "192.168.1.1/24"),
    ]);
}

#[test]
fn addresses_of_virtual_ips() {
    let dmz = "\"10.20.0.1/24\", \"2001:db8:20::1/64\", \"fe80::1:2/64\"";
    let path = "virtual_ip[2].addresses[0]";
    check_story(&[
        (dmz, "\"10.20.0.1/32\"", path, "not the mask", "\"10.20.0.1/24\""),
        (dmz, "\"10.20.1.1/24\"", path, "not in a network", "give every node one"),
        (dmz, "\"192.168.1.9/24\"", path, "not in a network of the interface \"dmz\"", "interface's network"),
        (dmz, "\"10.20.0.3/24\"", path, "address of node \"beta\"", "no node has"),
        (dmz, "\"10.20.0.255/24\"", path, "itself", "one station"),
        (dmz, "\"fe80::1/10\"", path, "fe80::/64", "\"fe80::1/64\""),
        (dmz, "\"fe80::/64\"", path, "itself", "fe80::1/64"),
        (
            dmz,
            "\"fe80::1/64\", \"fe80::2/64\"",
            "virtual_ip[2].addresses[1]",
            "already taken",
            "one for each",
        ),
        (
            dmz,
            "\"10.20.0.1/24\", \"10.20.0.1/24\"",
            "virtual_ip[2].addresses[1]",
            "already taken by virtual_ip[2].addresses[0]",
            "one virtual IP",
        ),
        (
            "address = \"203.0.113.1\"",
            "address = \"203.0.113.2\"",
            "gateway[0].address",
            "own address",
            "next router",
        ),
    ]);
    assert!(load(&edit(STORY, "fe80::1:2/64", "fe80::1:1/64")).is_ok(), "another link, another fe80::/64");
    let own = crate::config::link_local(crate::config::mac_for("beta", "dmz"));
    let problems = load(&edit(STORY, "fe80::1:2/64", &format!("{own}/64"))).unwrap_err();
    assert!(problems[0].message.contains("node \"beta\""), "{problems:#?}");
}

#[test]
fn a_vhid_is_taken_once_on_a_wire() {
    let more = "password = \"koi-lab-dmz\"\n[[virtual_ip]]\ninterface = \"dmz\"\nvhid = 3\n\
                addresses = [\"10.20.0.9/24\"]\npassword = \"p\"";
    let problems = load(&edit(STORY, DMZ_VIP, more)).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].message.contains("VHID 3 is already taken by virtual_ip[2].vhid"), "{}", problems[0]);
    assert!(load(&edit(STORY, DMZ_VIP, &more.replace("vhid = 3", "vhid = 2"))).is_ok());
    let mut config = parse(STORY).unwrap();
    let spare = config.virtual_ips[2].clone();
    for number in 0..62u8 {
        let mut vip = spare.clone();
        vip.vhid.0 = 100 + number;
        vip.addresses = vec![format!("10.20.0.{}/24", 100 + number).parse().unwrap()];
        config.virtual_ips.push(vip);
    }
    let problems = validate(config).unwrap_err();
    assert_eq!((problems.len(), problems[0].path.as_str()), (1, "virtual_ip"), "{problems:#?}");
}
