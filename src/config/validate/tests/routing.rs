//! Gateways, their groups, and routes.

use super::*;

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
