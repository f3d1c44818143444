//! One row per thing that a document may not say.

use super::*;
use crate::config::{load, parse};
use proptest::prelude::*;

const LAB: &str = include_str!("../../../tests/lab/one.toml");

/// Replaces the first occurrence, which must exist.
fn edit(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

const LAN_RULE: &str = "interface = \"lan\"\naction = \"pass\"\nsource = \"lan net\"";
const DMZ_PORT: &str = "name = \"dmz\"\ntap = \"koi-dmz\"\nnetns = \"koi-lab-dmz\"";
const DMZ_INTERFACE: &str = "zone = \"dmz\"\nport = \"dmz\"";
const LAN_ADDRESSES: &str = "\"192.168.1.1/24\", \"2001:db8:10::1/64\"";
const WAN_ADDRESSES: &str = "\"203.0.113.2/24\", \"2001:db8:1::2/64\"";

/// What is written instead of what; where the problem is; part of its message; part of its remedy.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

fn check_rows(rows: &[Row]) {
    for (from, to, path, message, remedy) in rows {
        let text = edit(LAB, from, to);
        let Err(problems) = load(&text) else { panic!("accepted: {to}") };
        let found = problems
            .iter()
            .find(|problem| problem.path == *path && problem.message.contains(message))
            .unwrap_or_else(|| panic!("{to}: {path} ({message}) is not among {problems:#?}"));
        assert!(found.remedy.contains(remedy), "{to}: {found}");
        assert!(found.line.is_some(), "{to}: {found}");
        assert_eq!(problems.len(), 1, "{to}: one mistake, one problem: {problems:#?}");
    }
}

#[test]
fn system() {
    let keys = |names: &[&str]| {
        let keys: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.repeat(32))).collect();
        &*format!("\"koi\"\nrelease_keys = [{}]", keys.join(", ")).leak()
    };
    let (twice, three) = (keys(&["5a", "5a"]), keys(&["5a", "5b", "5c"]));
    check_rows(&[
        ("\"koi-lab\"", "\"koi\"\nsyncookies_start = 0", "system.syncookies_start", "0 %", "1 to 100"),
        (
            "\"koi-lab\"",
            "\"koi\"\nsyncookies_end = 30",
            "system.syncookies_end",
            "cannot end at 30",
            "1 to 25",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\nadaptive_end = 1000",
            "system.adaptive_end",
            "would end at once",
            "more than",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\nadaptive_start = 2000000",
            "system.adaptive_start",
            "never are",
            "0 for never",
        ),
        ("\"koi-lab\"", "\"koi\"\noverload_expire = 0", "system.overload_expire", "so long", "Write 1"),
        ("\"koi-lab\"", "\"koi\"\nfragment_limit = 0", "system.fragment_limit", "not possible", "from 1"),
        ("\"koi-lab\"", "\"-koi\"", "system.hostname", "not a host name", "letters"),
        ("\"koi-lab\"", "\"koi\"\nstate_limit = 9", "system.state_limit", "9 states", "from 10"),
        (
            "\"koi-lab\"",
            "\"koi\"\nstate_limit = 4000000000",
            "system.state_limit",
            "not possible",
            "50000000",
        ),
        ("\"127.0.0.1:8080\"", "\"192.168.1.1:80\"", "node[0].loopback", "not a loopback", "127.0.0.1"),
        ("\"127.0.0.1:8080\"", "\"127.0.0.1:0\"", "node[0].loopback", "not a port", "127.0.0.1:8080"),
        (
            "\"koi-lab\"",
            "\"koi\"\ntimezone = \"Europe/Berlim\"",
            "system.timezone",
            "no time zone",
            "\"Europe/Berlin\"",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\ntime_servers = [\"pool\"]",
            "system.time_servers[0]",
            "neither an address",
            "pool.ntp.org",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\ndns_servers = [\"192.0.2.1\", \"192.0.2.1\"]",
            "system.dns_servers[1]",
            "already taken",
            "once",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\ndns_servers = [\"0.0.0.0\"]",
            "system.dns_servers[0]",
            "no host's address",
            "name server",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.notification]\nsecret = \"correct horse\"",
            "system.notification.secret",
            "no effect",
            "url",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.notification]\nauthority = \"x\"",
            "system.notification.authority",
            "no effect",
            "url",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.notification]\nurl = \"https://example.org/\"",
            "system.notification.url",
            "stands for",
            "dns_servers",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.notification]\nurl = \"https://192.0.2.9/\"\nsecret = \"short\"",
            "system.notification.secret",
            "length",
            "8 to 128",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.notification]\nurl = \"https://192.0.2.9/\"\nauthority = \"x\"",
            "system.notification.authority",
            "PEM",
            "BEGIN CERTIFICATE",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.logging]\nfile_size = 5",
            "system.logging.file_size",
            "not possible",
            "10000",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.logging]\nfile_count = 0",
            "system.logging.file_count",
            "not possible",
            "1 to 100",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.logging]\nservers = [\"192.0.2.9\", \"192.0.2.9\"]",
            "system.logging.servers[1]",
            "already taken",
            "once",
        ),
        ("\"koi-lab\"", twice, "system.release_keys", "twice", "once"),
        ("\"koi-lab\"", three, "system.release_keys", "3 keys", "at most one"),
        ("\"koi-lab\"", "\"koi\"\nversion_floor = \"1.2\"", "system.version_floor", "not a version", "1.2.3"),
        ("\"koi-lab\"", "\"koi\"\n[system.web]\nport = 0", "system.web.port", "not a port", "1 to 65535"),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.timeouts]\nudp_single = 0",
            "system.timeouts.udp_single",
            "0 seconds",
            "Write 1",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.timeouts]\nfrag = 99999999",
            "system.timeouts.frag",
            "not possible",
            "31536000",
        ),
    ]);
}

#[test]
fn outbound_nat_needs_an_address() {
    let text = edit(LAB, "\"203.0.113.2/24\", ", "");
    let text = edit(
        &text,
        "[[gateway]]\nname = \"WANGW\"\ninterface = \"wan\"\naddress = \"203.0.113.1\"\ndefault = true\ndescription = \"Upstream router, IPv4\"\n",
        "",
    );
    let problems = load(&text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].path, "outbound.mode");
    assert!(problems[0].message.contains("192.168.1.0/24"));
    assert!(load(&edit(&text, "\"automatic\"", "\"disabled\"")).is_ok());
}

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

#[test]
fn gateways_and_routes() {
    let route = |destination: &str, gateway: &str| {
        format!(
            "[outbound]\nmode = \"automatic\"\n[[route]]\ndestination = \"{destination}\"\ngateway = \"{gateway}\""
        )
    };
    for (destination, gateway, path, message, remedy) in [
        ("10.8.0.1/16", "WANGW", "route[0].destination", "not a network", "\"10.8.0.0/16\""),
        ("0.0.0.0/0", "WANGW", "route[0].destination", "default route", "default = true"),
        ("192.168.1.0/24", "WANGW", "route[0].destination", "interface \"lan\"", "Remove"),
        ("224.0.0.0/4", "WANGW", "route[0].destination", "multicast", "Remove"),
        ("10.8.0.0/16", "WANGWX", "route[0].gateway", "no gateway \"WANGWX\"", "WANGW"),
        ("10.8.0.0/16", "WANGW6", "route[0].gateway", "IPv6 gateway cannot serve", "an IPv4 gateway"),
    ] {
        let text = edit(LAB, "[outbound]\nmode = \"automatic\"", &route(destination, gateway));
        let problems = load(&text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(problems[0].path, path);
        assert!(
            problems[0].message.contains(message) && problems[0].remedy.contains(remedy),
            "{}",
            problems[0]
        );
    }
    check_rows(&[
        (
            "address = \"203.0.113.1\"",
            "address = \"203.0.114.1\"",
            "gateway[0].address",
            "not in a network",
            "next router",
        ),
        (
            "address = \"203.0.113.1\"",
            "address = \"203.0.113.2\"",
            "gateway[0].address",
            "own address",
            "next router",
        ),
        (
            "address = \"203.0.113.1\"",
            "address = \"203.0.113.255\"",
            "gateway[0].address",
            "itself",
            "next router",
        ),
        ("name = \"WANGW\"", "name = \"WAN GW\"", "gateway[0].name", "not a usable name", "letters"),
        (
            "name = \"WANGW6\"",
            "name = \"WANGW\"",
            "gateway[1].name",
            "already taken by gateway[0].name",
            "own name",
        ),
        ("default = true\n", "", "gateway[0].name", "Nothing uses", "default = true"),
        (
            "name = \"WANGW\"\ninterface = \"wan\"",
            "name = \"WANGW\"\ninterface = \"wann\"",
            "gateway[0].interface",
            "no interface",
            "\"wan\"",
        ),
        (
            "[[gateway]]\nname = \"WANGW6\"",
            "[[gateway]]\nname = \"SECOND\"\ninterface = \"wan\"\naddress = \"203.0.113.3\"\ndefault = true\n[[gateway]]\nname = \"WANGW6\"",
            "gateway[1].default",
            "default gateway of IPv4 is already taken by gateway[0].default",
            "one of them",
        ),
    ]);
    let gateway = "name = \"WANGW\"\ninterface = \"wan\"\n";
    let wrong = |field: &str, path: &str, message: &str, remedy: &str| {
        let text = edit(LAB, gateway, &format!("{gateway}{field}\n"));
        let problems = load(&text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(problems[0].path, format!("gateway[0].{path}"));
        assert!(
            problems[0].message.contains(message) && problems[0].remedy.contains(remedy),
            "{}",
            problems[0]
        );
    };
    wrong("weight = 31", "weight", "no weight", "1 to 30");
    wrong("monitor = \"2001:db8::9\"", "monitor", "says nothing of an IPv4 gateway", "IPv4 address");
    wrong("monitor = \"203.0.113.2\"", "monitor", "nobody behind", "another");
    wrong("latency_low = 500", "latency_high", "not above", "greater");
    wrong("loss_low = 20", "loss_high", "not above", "greater");
    wrong("loss_high = 101", "loss_high", "more than all", "100");
    wrong("loss_interval = 499", "loss_interval", "below latency_high", "latency_high");
    wrong("alert_interval = 499", "alert_interval", "below interval", "interval");
    wrong("time_period = 5000", "time_period", "twice the sum", "more than 5000");
    wrong("time_period = 1900000", "time_period", "more than 3600 probes", "smaller");
    wrong("data_payload = 513", "data_payload", "too large", "512");
    wrong(
        "monitor_disable = true\naction_disable = true",
        "action_disable",
        "asks nobody",
        "monitor_disable",
    );
    assert!(
        load(&edit(LAB, "\"2001:db8:1::1\"", "\"fe80::1\"")).is_ok(),
        "a link-local gateway is a neighbour"
    );
}

#[test]
fn schedules() {
    let with = |schedule: &str| {
        edit(LAB, "[[rule]]", &format!("[[schedule]]\nname = \"office\"\n{schedule}\n[[rule]]"))
    };
    for (schedule, path, message) in [
        ("", "schedule[0].time_range", "no hours"),
        (
            "[[schedule.time_range]]\nweekdays = [\"mon\"]\ndays = [\"12-24\"]",
            "schedule[0].time_range[0].days",
            "not both",
        ),
        (
            "[[schedule.time_range]]\nweekdays = [\"mon\", \"tue\", \"mon\"]",
            "schedule[0].time_range[0].weekdays[2]",
            "already taken",
        ),
        (
            "[[schedule.time_range]]\n[[schedule]]\nname = \"office\"\n[[schedule.time_range]]",
            "schedule[1].name",
            "already taken by schedule[0].name",
        ),
        (
            "[[schedule.time_range]]\n[[schedule]]\nname = \"12\"\n[[schedule.time_range]]",
            "schedule[1].name",
            "not a name",
        ),
        ("[[schedule.time_range]]\nhours = \"9-8\"", "schedule[0].time_range[0].hours", "no hours of a day"),
        ("[[schedule.time_range]]\ndays = [\"2-30\"]", "schedule[0].time_range[0].days[0]", "not a day"),
    ] {
        let problems = load(&with(schedule)).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].path == path && problems[0].message.contains(message), "{}", problems[0]);
    }
    let text =
        with("[[schedule.time_range]]").replacen("id = 1000000\n", "id = 1000000\nschedule = \"ofice\"\n", 1);
    let problems = load(&text).unwrap_err();
    assert_eq!((problems[0].path.as_str(), problems.len()), ("rule[0].schedule", 1));
    assert!(problems[0].remedy.contains("\"office\""));
    assert!(load(&text.replace("ofice", "office")).is_ok());
}

#[test]
fn files_and_names_of_aliases() {
    let with = |alias: &str| edit(LAB, "[[rule]]", &format!("[[alias]]\nname = \"far\"\n{alias}\n[[rule]]"));
    for (alias, path, message) in [
        ("type = \"urltable\"", "alias[0]", "No file says"),
        ("type = \"urltable\"\nfile = \"list\"", "alias[0].file", "not the whole path"),
        ("type = \"host\"\nfile = \"/list\"", "alias[0].file", "Only an alias of type"),
        (
            "type = \"urltable\"\nfile = \"/list\"\nentries = [\"10.0.0.1\"]",
            "alias[0].entries",
            "are its entries",
        ),
        ("type = \"port\"\nentries = [\"www.example.org\"]", "alias[0].entries[0]", "is not a port"),
        ("type = \"host\"\nentries = [\"300.1.2.3\"]", "alias[0].entries[0]", "is not an address"),
        ("type = \"host\"\nentries = [\"a..example\"]", "alias[0].entries[0]", "is not an address"),
    ] {
        let problems = load(&with(alias)).unwrap_err();
        assert_eq!(problems.len(), 1, "{alias}: {problems:#?}");
        assert!(problems[0].path == path && problems[0].message.contains(message), "{}", problems[0]);
    }
    for alias in ["type = \"host\"\nentries = [\"www.example.org\"]", "type = \"urltable\"\nfile = \"/list\""]
    {
        assert!(load(&with(alias)).is_ok(), "{alias}");
    }
}

#[test]
fn gateway_groups_and_the_gateways_of_rules() {
    let with = |group: &str, rule: &str| {
        let text = edit(
            LAB,
            "[outbound]\nmode = \"automatic\"",
            &format!("[outbound]\nmode = \"automatic\"\n{group}"),
        );
        format!(
            "{text}\n[[rule]]\nid = 1999999\ninterface = \"lan\"\naction = \"pass\"\nfamily = \"inet\"\n{rule}\n"
        )
    };
    let group = |fields: &str| format!("[[gateway_group]]\nname = \"BOTH\"\n{fields}");
    let one = group("members = [\"WANGW|1\"]");
    assert!(load(&with(&one, "gateway = \"BOTH\"")).is_ok());
    assert!(load(&with("", "gateway = \"WANGW\"")).is_ok());
    for (group, rule, path, message, remedy) in [
        (one.clone(), "", "gateway_group[0].name", "Nothing uses", "default = true"),
        (one.clone() + "\ndefault = true", "", "gateway_group[0].default", "already taken", "one of them"),
        (
            one.replace("BOTH", "WANGW"),
            "gateway = \"WANGW\"",
            "gateway_group[0].name",
            "name of a gateway",
            "another",
        ),
        (group("members = []"), "gateway = \"BOTH\"", "gateway_group[0].members", "no gateways", "one"),
        (
            group("members = [\"WANGW|6\"]"),
            "gateway = \"BOTH\"",
            "gateway_group[0].members[0]",
            "no tier 6",
            "1 to 5",
        ),
        (
            group("members = [\"WANG|1\"]"),
            "gateway = \"BOTH\"",
            "gateway_group[0].members[0]",
            "no gateway",
            "WANGW",
        ),
        (
            group("members = [\"WANGW|1\", \"WANGW|2\"]"),
            "gateway = \"BOTH\"",
            "gateway_group[0].members[1]",
            "already taken",
            "once",
        ),
        (
            group("members = [\"WANGW|1\", \"WANGW6|2\"]"),
            "gateway = \"BOTH\"",
            "gateway_group[0].members[1]",
            "IPv6 gateway in a group of IPv4",
            "each address family",
        ),
        (one.clone(), "gateway = \"BOTHH\"", "rule", "no gateway or gateway group", "BOTH"),
        (String::new(), "gateway = \"WANGW6\"", "rule", "IPv6 only", "inet6"),
        (String::new(), "gateway = \"WANGW\"\nstate_type = \"none\"", "rule", "without states", "Remove"),
    ] {
        let problems = load(&with(&group, rule)).unwrap_err();
        let found = problems.iter().find(|problem| problem.path.starts_with(path));
        let found = found.unwrap_or_else(|| panic!("{group} {rule}: {problems:#?}"));
        assert!(found.message.contains(message) && found.remedy.contains(remedy), "{found}");
    }
    let blocked = with("", "gateway = \"WANGW\"\ndisable_reply_to = true").replace(
        "action = \"pass\"\nfamily = \"inet\"\ngateway",
        "action = \"block\"\nfamily = \"inet\"\ngateway",
    );
    let problems = load(&blocked).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    let says = |words: &str| problems.iter().any(|problem| problem.message.contains(words));
    assert!(says("no answers") && says("Only what passes"), "{problems:#?}");
}

#[test]
fn rules() {
    check_rows(&[
        ("id = 1000000", "id = 1000000\nmax_src_conn = 5", "rule[0].max_src_conn", "no handshake", "tcp"),
        (
            "id = 1000000",
            "id = 1000000\nstate_type = \"synproxy\"",
            "rule[0].state_type",
            "no handshake",
            "tcp",
        ),
        (
            "id = 1000012",
            "id = 1000012\nprotocol = \"tcp\"\noverload = \"bad\"",
            "rule[3].overload",
            "bounds no connections",
            "max_src_conn",
        ),
        (
            "id = 1000012",
            "id = 1000012\nprotocol = \"tcp\"\nmax_src_conn = 5\noverload = \"a b\"",
            "rule[3].overload",
            "names no table",
            "letters",
        ),
        (
            "id = 1000012",
            "id = 1000012\nprotocol = \"tcp\"\noverload_flush = \"all\"",
            "rule[3].overload_flush",
            "needs a table",
            "overload",
        ),
        (
            "id = 1000012",
            "id = 1000012\nprotocol = \"tcp\"\nmax_src_conn = 0",
            "rule[3].max_src_conn",
            "passes nothing",
            "1 or more",
        ),
        (
            "id = 1000012",
            "id = 1000012\nprotocol = \"tcp\"\nmax_src_conn_rate = \"5\"",
            "rule[3].max_src_conn_rate",
            "15/5",
            "15/5",
        ),
        (
            "id = 1000012",
            "id = 1000012\nprotocol = \"tcp\"\nmax_mss = 10",
            "rule[3].max_mss",
            "such an MSS",
            "216",
        ),
        (
            "id = 1000012",
            "id = 1000012\nprotocol = \"tcp\"\ntimeouts = { tcp_first = 0 }",
            "rule[3].timeouts.tcp_first",
            "not possible",
            "Write 1",
        ),
        (
            "id = 1000012",
            "id = 1000012\nprotocol = \"tcp\"\nstate_type = \"none\"\ntimeouts = { tcp_first = 9 }",
            "rule[3].timeouts",
            "none ends",
            "Remove",
        ),
        ("id = 1000000", "id = 999999", "rule[0].id", "belong to automatic rules", "1000000"),
        ("id = 1000010", "id = 1000000", "rule[1].id", "already taken by rule[0].id", "own id"),
        (
            "interface = \"dmz\"\naction = \"block\"",
            "interface = \"dmzz\"\naction = \"block\"",
            "rule[1].interface",
            "no interface",
            "\"dmz\"",
        ),
        ("protocol = \"tcp\"", "protocol = \"icmp\"", "rule[2].destination_port", "has no ports", "tcp/udp"),
        ("protocol = \"tcp\"", "protocol = \"6\"", "rule[2].protocol", "by its name", "\"tcp\""),
        (
            "destination_port = \"443\"",
            "source_port = \"0-5\"",
            "rule[2].source_port",
            "port 0",
            "1 to 65535",
        ),
        (
            LAN_RULE,
            "interface = \"lan\"\naction = \"pass\"\nsource = \"! any\"",
            "rule[0].source",
            "matches nothing",
            "any",
        ),
        (
            LAN_RULE,
            "interface = \"lan\"\naction = \"pass\"\nsource = \"10.0.0.1/8\"",
            "rule[0].source",
            "not a network",
            "\"10.0.0.0/8\" or \"10.0.0.1\"",
        ),
        (
            LAN_RULE,
            "interface = \"lan\"\naction = \"pass\"\nfamily = \"inet6\"\nsource = \"10.0.0.0/8\"",
            "rule[0].source",
            "10.0.0.0/8 is IPv4",
            "inet46",
        ),
        (
            LAN_RULE,
            "interface = \"lan\"\naction = \"pass\"\nsource = \"10.0.0.0/8\"\ndestination = \"2001:db8::/32\"",
            "rule[0].destination",
            "one is IPv4",
            "one family",
        ),
        (
            LAN_RULE,
            "interface = \"lan\"\naction = \"pass\"\nsource = \"dmz net\"",
            "rule[0].source",
            "anti-spoofing",
            "lan net",
        ),
        (
            LAN_RULE,
            "interface = \"lan\"\naction = \"pass\"\nsource = \"this firewall\"",
            "rule[0].source",
            "anti-spoofing",
            "someone else",
        ),
        (
            LAN_RULE,
            "interface = \"lan\"\naction = \"pass\"\nsource = \"lam net\"",
            "rule[0].source",
            "no interface \"lam\"",
            "\"lan\"",
        ),
    ]);
    // IPv6 rule about a network that has none.
    let text = edit(LAB, "\"10.20.0.1/24\", \"2001:db8:20::1/64\"", "\"10.20.0.1/24\"");
    let text = edit(&text, LAN_RULE, &format!("{LAN_RULE}\nfamily = \"inet6\"\ndestination = \"dmz net\""));
    let problems = load(&text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].message.contains("no IPv6 address"), "{problems:?}");
}

#[test]
fn all_problems_come_at_once_in_the_order_of_lines() {
    let text = LAB
        .replace("\"127.0.0.1:8080\"", "\"10.0.0.1:80\"")
        .replace("address = \"203.0.113.1\"", "address = \"203.0.112.1\"")
        .replace("id = 1000010", "id = 5")
        .replace(WAN_ADDRESSES, "\"203.0.113.0/24\", \"2001:db8:1::2/64\"");
    let problems = load(&text).unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert!(problems.is_sorted_by_key(|problem| problem.line));
}

#[test]
fn nobody_locks_everybody_out() {
    let text = edit(LAB, "loopback = \"127.0.0.1:8080\"\n", "");
    let text = edit(&text, "hostname = \"koi-lab\"", "hostname = \"koi-lab\"\nanti_lockout = false");
    assert!(load(&text).is_ok(), "LAN may go anywhere");
    let with = |rule: &str| load(&edit(&text, LAN_RULE, &format!("interface = \"lan\"\n{rule}")));
    for (rule, fine) in [
        (
            "action = \"pass\"\nprotocol = \"tcp\"\ndestination = \"this firewall\"\ndestination_port = \"443\"",
            true,
        ),
        (
            "action = \"pass\"\nprotocol = \"tcp\"\ndestination = \"192.168.1.0/24\"\ndestination_port = \"400-500\"",
            true,
        ),
        ("action = \"pass\"\nprotocol = \"tcp\"\ndestination = \"192.168.1.1-192.168.1.9\"", true),
        ("action = \"block\"", false),
        ("action = \"pass\"\ndisabled = true", false),
        ("action = \"pass\"\nprotocol = \"udp\"", false),
        ("action = \"pass\"\nprotocol = \"tcp\"\ndestination_port = \"80\"", false),
        ("action = \"pass\"\nprotocol = \"tcp\"\ndestination = \"198.51.100.0/24\"", false),
    ] {
        // The DMZ's way out would do as well.
        let rest =
            |text: &str| edit(text, "source = \"dmz net\"", "protocol = \"udp\"\nsource = \"dmz net\"");
        let outcome = with(rule).map(drop).and_then(|()| {
            load(&rest(&edit(&text, LAN_RULE, &format!("interface = \"lan\"\n{rule}")))).map(drop)
        });
        assert_eq!(outcome.is_ok(), fine, "{rule}: {outcome:?}");
        if let Err(problems) = outcome {
            assert_eq!((problems.len(), problems[0].path.as_str()), (1, "system.anti_lockout"), "{rule}");
        }
    }
}

proptest! {
    /// Any document that the model can hold is checked without a panic, and survives its text form.
    #[test]
    fn nothing_panics_and_text_is_faithful(config in crate::config::arbitrary::config()) {
        prop_assert_eq!(&parse(&config.to_toml()).unwrap(), &config);
        prop_assert_eq!(parse(&config.to_toml()).unwrap().hash(), config.hash());
        let _ = validate(config);
    }
}

const STORY: &str = include_str!("../../../configs/lab.toml");
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

#[test]
fn users() {
    const USER: &str = "\n[[user]]\nname = \"alice\"\nrole = \"administrator\"\npassword_hash = \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n";
    assert!(load(&format!("{LAB}{USER}")).is_ok());
    for (from, to, path, message) in [
        ("\"alice\"", "\"al ice\"", "user[0].name", "not a usable name"),
        ("\"alice\"", "\"\"", "user[0].name", "not a usable name"),
        ("$argon2id", "$2y", "user[0].password_hash", "not the hash"),
        ("\"administrator\"", "\"operator\"", "user", "Nobody could administer"),
        ("\"administrator\"", "\"administrator\"\ndisabled = true", "user", "Nobody could administer"),
    ] {
        let problems = load(&format!("{LAB}{}", edit(USER, from, to))).unwrap_err();
        assert_eq!(problems.len(), 1, "{to}: {problems:?}");
        assert_eq!(problems[0].path, path);
        assert!(problems[0].message.contains(message), "{to}: {problems:?}");
        assert!(!format!("{problems:?}").contains("c2Fs"), "a hash is not shown");
    }
    let problems = load(&format!("{LAB}{USER}{USER}")).unwrap_err();
    assert_eq!((problems.len(), problems[0].path.as_str()), (1, "user[1].name"), "{problems:?}");
}
