//! Nodes, their ports and interfaces.

use super::*;

const DMZ_PORT: &str = "name = \"dmz\"\ntap = \"koi-dmz\"\nnetns = \"koi-lab-dmz\"";
const DMZ_INTERFACE: &str = "zone = \"dmz\"\nport = \"dmz\"";
const LAN_ADDRESSES: &str = "\"192.168.1.1/24\", \"2001:db8:10::1/64\"";

#[test]
fn nodes() {
    check_rows(&[
        ("name = \"alpha\"", "name = \"Alpha\"", "node[0].name", "not a usable name", "lower-case"),
        (DMZ_PORT, "name = \"dmz\"", "node[0].port[2].tap", "no device", "tap ="),
        (
            DMZ_PORT,
            "name = \"dmz\"\ntap = \"a\"\nmacvtap = \"/dev/tap7\"",
            "node[0].port[2].macvtap",
            "both",
            "Keep one",
        ),
        (
            DMZ_PORT,
            "name = \"dmz\"\nmacvtap = \"/dev/tap7\"\nnetns = \"x\"",
            "node[0].port[2].netns",
            "no effect",
            "Remove netns",
        ),
        (
            DMZ_PORT,
            "name = \"dmz\"\nmacvtap = \"/dev/tap7\"\ndriver = \"plain\"",
            "node[0].port[2].driver",
            "cannot serve a macvtap",
            "use a tap",
        ),
        (
            DMZ_PORT,
            "name = \"dmz\"\ntap = \"a\"\nnic = \"52:54:00:12:34:56\"",
            "node[0].port[2].nic",
            "both a network card",
            "Keep one",
        ),
        (
            DMZ_PORT,
            "name = \"dmz\"\nnic = \"53:54:00:12:34:56\"",
            "node[0].port[2].nic",
            "not the address of a network card",
            "own address",
        ),
        (DMZ_PORT, "name = \"dmz\"\nmacvtap = \"tap7\"", "node[0].port[2].macvtap", "not the path", "/dev"),
        ("\"koi-dmz\"", "\"koi-dmz-too-long\"", "node[0].port[2].tap", "not a name", "15"),
        ("\"koi-dmz\"", "\"koi/dmz\"", "node[0].port[2].tap", "not a name", "letters"),
        ("\"koi-dmz\"", "\"koi%d\"", "node[0].port[2].tap", "not a name", "letters"),
        ("\"koi-lab-dmz\"", "\"../etc\"", "node[0].port[2].netns", "not the name", "ip netns"),
        (
            "\"koi-dmz\"\nnetns = \"koi-lab-dmz\"",
            "\"koi-lan\"\nnetns = \"koi-lab-lan\"",
            "node[0].port[2].tap",
            "already taken by node[0].port[1].tap",
            "own device",
        ),
        (
            DMZ_PORT,
            "name = \"dmz\"\ntap = \"koi-dmz\"\n[[node.port]]\nname = \"spare\"\ntap = \"koi-spare\"",
            "node[0].port[3].name",
            "No interface uses",
            "Remove the port",
        ),
        (
            LAN_ADDRESSES,
            "\"192.168.1.1/24\", \"2001:db8:10::1/64\"]\nmac = \"01:00:5e:00:00:01\"\n#",
            "node[0].interface[1].mac",
            "not the address of one station",
            "unicast",
        ),
        (
            "\"10.20.0.1/24\"",
            "\"10.20.0.0/24\"",
            "node[0].interface[2].addresses[0]",
            "itself",
            "one station",
        ),
        ("\"10.20.0.1/24\"", "\"10.20.0.255/24\"", "node[0].interface[2].addresses[0]", "itself", "station"),
        ("\"10.20.0.1/24\"", "\"127.0.0.1/8\"", "node[0].interface[2].addresses[0]", "cannot be", "unicast"),
        ("\"10.20.0.1/24\"", "\"224.0.0.1/8\"", "node[0].interface[2].addresses[0]", "cannot be", "unicast"),
        (
            "\"2001:db8:20::1/64\"",
            "\"fe80::1/64\"",
            "node[0].interface[2].addresses[1]",
            "link-local",
            "Remove",
        ),
        (
            "\"10.20.0.1/24\"",
            "\"192.168.1.129/25\"",
            "node[0].interface[2].addresses[0]",
            "overlaps 192.168.1.0/24 of the interface \"lan\"",
            "network of its own",
        ),
    ]);
}

#[test]
fn a_mac_is_taken_once() {
    let mac = "]\nmac = \"02:00:00:00:00:07\"\n#";
    let text = edit(
        &edit(LAB, "\"2001:db8:10::1/64\"]", &format!("\"2001:db8:10::1/64\"{mac}")),
        "\"2001:db8:20::1/64\"]",
        &format!("\"2001:db8:20::1/64\"{mac}"),
    );
    let problems = load(&text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].message.contains("02:00:00:00:00:07 is already taken by node[0].interface[1].mac"));
}

#[test]
fn an_address_is_taken_once() {
    let text = edit(LAB, "\"10.20.0.1/24\"", "\"192.168.1.1/24\"");
    let problems = load(&text).unwrap_err();
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("already taken by node[0].interface[1].addresses[0]"), "{messages:?}");
    assert!(messages[1].contains("overlaps"), "{messages:?}");
}

#[test]
fn two_nodes_need_their_own_names_and_parts() {
    let mut config = parse(LAB).unwrap();
    let mut twin = config.nodes[0].clone();
    twin.interfaces.remove(2);
    config.nodes.push(twin);
    let problems = validate(config.clone()).unwrap_err();
    let has = |path: &str, message: &str| {
        problems.iter().any(|problem| problem.path == path && problem.message.contains(message))
    };
    assert!(has("node[1].name", "already taken by node[0].name"), "{problems:#?}");
    assert!(has("node[1].interface", "says nothing about the interface \"dmz\""), "{problems:#?}");
    assert!(has("node[1].interface[1].addresses[0]", "already taken"), "{problems:#?}");
    assert!(has("node[1].interface[1].mac", "already taken"), "{problems:#?}");
    config.nodes.truncate(1);
    config.nodes[0].ports.retain(|port| port.name != "dmz");
    let problems = validate(config.clone()).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path, "interface[2].port");
    config.nodes.clear();
    assert!(validate(config).unwrap_err().iter().any(|problem| problem.path == "node"));
}

#[test]
fn interfaces() {
    check_rows(&[
        (DMZ_INTERFACE, "zone = \"dmz\"\nport = \"dmz\"\nvlan = 0", "interface[2].vlan", "0 is not", "4094"),
        (DMZ_INTERFACE, "zone = \"dmz\"\nport = \"dmz\"\nvlan = 4095", "interface[2].vlan", "4095", "4094"),
        (DMZ_INTERFACE, "zone = \"dmz\"\nport = \"dmz\"\nmtu = 9217", "interface[2].mtu", "9217", "9216"),
        (DMZ_INTERFACE, "zone = \"dmz\"\nport = \"dmz\"\nmtu = 575", "interface[2].mtu", "575", "576"),
        (DMZ_INTERFACE, "zone = \"dmz\"\nport = \"dmz\"\nmtu = 1279", "interface[2].mtu", "IPv6", "1280"),
        (
            DMZ_INTERFACE,
            "zone = \"dmz\"\nport = \"dmz\"\nmss = 575",
            "interface[2].mss",
            "575",
            "576 to 1500",
        ),
        (DMZ_INTERFACE, "zone = \"dmz\"\nport = \"dmz\"\nmss = 1501", "interface[2].mss", "1501", "1500"),
        (
            "block_private = true",
            "router_advertisements = true",
            "interface[0].router_advertisements",
            "on a WAN",
            "Remove",
        ),
        (
            "\"2001:db8:10::1/64\"",
            "\"2001:db8:10::1/56\"",
            "interface[1].router_advertisements",
            "nothing to announce",
            "/64",
        ),
        (
            ", \"2001:db8:10::1/64\"",
            "",
            "interface[1].router_advertisements",
            "nothing to announce",
            "remove router_advertisements",
        ),
    ]);
}

#[test]
fn a_place_on_the_wire_belongs_to_one_interface() {
    let text = edit(
        &edit(LAB, DMZ_INTERFACE, "zone = \"dmz\"\nport = \"lan\""),
        &format!("[[node.port]]\n{DMZ_PORT}"),
        "",
    );
    let problems = load(&text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].message.contains("untagged on port \"lan\" is already taken by interface[1].port"));
    assert!(load(&edit(&text, "zone = \"dmz\"\n", "zone = \"dmz\"\nvlan = 20\n")).is_ok());
}

#[test]
fn an_interface_may_not_be_called_like_another_word() {
    let text = LAB
        .replace("\"dmz\"", "\"self\"")
        .replace("zone = \"self\"", "zone = \"dmz\"")
        .replace("dmz net", "self net");
    let problems = load(&text).unwrap_err();
    assert!(problems.iter().all(|problem| problem.message.contains("means something else")), "{problems:#?}");
}
