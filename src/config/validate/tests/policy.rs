//! Rules, translation, aliases and schedules.

use super::*;

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
