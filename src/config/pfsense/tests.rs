//! Whole files in, and out again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::report::Finding;
use super::tree::{Reading, parse};
use super::*;
use crate::config::arbitrary;
use crate::config::model::*;
use crate::config::{Config, validate};

const FIRST: &str = include_str!("../../../tests/pfsense/pair-first.xml");
const SECOND: &str = include_str!("../../../tests/pfsense/pair-second.xml");
const ODD: &str = include_str!("../../../tests/pfsense/odd.xml");
const MODELS: &str = include_str!("../../../tests/pfsense/opnsense-models.xml");

fn options() -> Options {
    let maps = [("igb0", "koi-wan"), ("igb1", "koi-lan"), ("igb2", "koi-sync")];
    let maps = maps.map(|(device, tap)| (device.to_owned(), tap.to_owned()));
    Options { maps: BTreeMap::from(maps), ..Options::default() }
}

fn read(xml: &str) -> Import {
    import(&parse(xml).unwrap(), &options())
}

fn origin(xml: &str) -> Origin {
    Origin { options: options(), xml: xml.into() }
}

/// The collected files of other people, when this machine has them.
fn samples() -> Vec<(String, String)> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/samples/pfsense");
    let folder = std::env::var_os("KOI_SAMPLES").map_or(beside, PathBuf::from);
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "xml"));
    let own = [("pair-first", FIRST), ("pair-second", SECOND), ("odd", ODD), ("opnsense-models", MODELS)];
    files
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .chain(own.map(|(name, text)| (name.to_owned(), text.to_owned())))
        .collect()
}

/// `count what: how` of each finding.
fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| format!("{} {}: {}", finding.count, finding.what, finding.how);
    findings.iter().map(line).collect()
}

fn rule<'a>(config: &'a Config, description: &str) -> &'a Rule {
    config.rules.iter().find(|rule| rule.description == description).unwrap()
}

#[test]
fn every_file_is_read_told_and_given_back() {
    for (name, text) in samples() {
        let tree = parse(&text).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let import = import(&tree, &Options::default());
        if std::env::var_os("KOI_SHOW").is_some() {
            println!("=== {name}\n{}", serde_json::to_string_pretty(&import.report).unwrap());
            println!("{}", import.config.to_toml());
        }
        let report = &import.report;
        assert!(Report::count(&report.imported) > 0, "{name}");
        for problem in &report.problems {
            assert!(!problem.message.is_empty() && !problem.path.is_empty(), "{name}: {problem}");
        }
        assert_eq!(validate(import.config.clone()).is_ok(), report.problems.is_empty(), "{name}");
        // The document is one that can be written and read.
        assert_eq!(crate::config::parse(&import.config.to_toml()).unwrap(), import.config, "{name}");
        // Nothing was changed, so nothing is another, but that what pfSense refuses is left out.
        let origin = Origin { options: Options::default(), xml: text.clone() };
        let back = export(&import.config, Some(&origin), None).unwrap();
        let again = parse(&back.xml).unwrap();
        match name.as_str() {
            "odd" => assert!(!repeats_itself(&again.reading()), "{name}"),
            _ => assert_eq!(again.reading(), tree.reading(), "{name}"),
        }
        assert!(back.not_possible.is_empty());
        assert_eq!(parse(&back.xml).unwrap().to_xml(), back.xml);
    }
}

/// Would pfSense's reader stop?
fn repeats_itself(reading: &Reading) -> bool {
    match reading {
        Reading::Text(_) => false,
        Reading::Node(node) => node
            .iter()
            .any(|(name, list)| list.len() > 1 && !tree::repeats(name) || list.iter().any(repeats_itself)),
    }
}

#[test]
fn the_first_node_of_a_pair_becomes_a_pair_of_one() {
    let Import { config, report, .. } = read(FIRST);
    assert_eq!(report.problems, Vec::new());
    assert_eq!(config.pair.as_ref().map(|pair| pair.sync.as_str()), Some("igb2"));
    let names: Vec<_> =
        config.interfaces.iter().map(|it| (it.name.as_str(), it.port.as_str(), it.vlan, it.zone)).collect();
    assert_eq!(
        names,
        [
            ("wan", "igb0", None, Zone::Wan),
            ("lan", "igb1", None, Zone::Lan),
            ("opt1", "igb1", Some(20), Zone::Dmz)
        ]
    );
    assert_eq!(config.interfaces[1].description, "Office & more");
    assert!(config.interfaces[0].block_private && config.interfaces[1].mtu == 1400);
    let vips: Vec<String> = report.effect.virtual_ips.clone();
    assert_eq!(vips, ["1@wan: 198.51.100.2/24, 198.51.100.10/24, 198.51.100.11/24", "2@lan: 192.168.1.1/24"]);
    let gateways = &report.effect.gateways;
    assert_eq!(gateways[0], "WANGW: 198.51.100.1 by wan");
    assert_eq!(config.gateways[0].monitor, Some("198.51.100.254".parse().unwrap()));
    let group = &config.gateway_groups[0];
    assert_eq!((group.name.as_str(), group.default, group.trigger), ("FAILOVER", true, Trigger::DownLoss));
    assert_eq!(group.members, [GroupMember { gateway: "WANGW".into(), tier: 1 }]);
    assert!(config.gateways.iter().any(|gateway| gateway.name == "WANGW6" && gateway.default));
    assert_eq!(config.system.hostname, "fw1.example.net");
    assert_eq!((config.system.web.port, config.system.state_limit), (8443, 200_000));
    let timeouts = config.system.timers();
    assert_eq!((timeouts.tcp_established, timeouts.udp_first), (432_000, 70));
    assert_eq!(report.effect.users, ["admin: administrator", "operator: read-only", "visitor: disabled"]);
    let json = serde_json::to_string(&report).unwrap();
    assert!(
        !json.contains("$2y$") && !json.contains("$6$") && !json.contains("secret"),
        "no secrets: {json}"
    );
}

#[test]
fn rules_keep_their_order_and_what_cannot_be_said_whole_is_disabled() {
    let Import { config, report, .. } = read(FIRST);
    let tags: Vec<(&str, bool)> =
        config.rules.iter().map(|it| (it.description.as_str(), it.disabled)).collect();
    assert_eq!(
        tags,
        [
            ("Tag", false),
            ("NAT Web", false),
            ("No mail from inside", false),
            ("Ping", false),
            ("Default allow LAN to any rule", false),
            ("In working hours", false),
            ("All but the updates", false),
            ("IPsec", true),
        ]
    );
    assert_eq!(rule(&config, "Tag").direction, RuleDirection::Any);
    assert_eq!(rule(&config, "Tag").interface, Interfaces(vec!["wan".into(), "lan".into()]));
    assert_eq!(rule(&config, "No mail from inside").interface, Interfaces::one("inside"));
    assert_eq!(rule(&config, "NAT Web").port_forward, Some(config.port_forwards[0].id));
    let ping = rule(&config, "Ping");
    assert_eq!(
        (ping.id.0, ping.icmp_types.len(), &ping.destination.place),
        (100_000_101, 2, &Place::ThisFirewall)
    );
    assert_eq!(rule(&config, "IPsec").protocol, Protocol::Number(50));
    assert_eq!(rule(&config, "In working hours").schedule.as_deref(), Some("workdays"));
    assert_eq!(config.schedules[0].time_ranges[0].to_string(), "mon tue wed thu fri 8:00-17:45");
    let inactive = lines(&report.kept_inactive);
    for says in [
        "1 firewall rule that blocks: \"blocklist\" is not in force",
        "1 user: its password is kept in a way that is not known: set one with koi user password",
        "1 limiter: ",
        "1 DHCP server: there is none yet; 1 static mappings are kept",
        "2 separator: ",
        "1 certificate: ",
    ] {
        assert!(inactive.iter().any(|line| line.starts_with(says)), "{says}: {inactive:#?}");
    }
    let adapted = lines(&report.adapted);
    for says in [
        "1 firewall rule: its limiter is not in force",
        "1 user: its password counts as it is (bcrypt) and is hashed anew at the first login",
        "1 user: it sees every page and changes nothing; there it has a right to 2 pages; its password counts as it is (SHA-512)",
        "1 user: disabled, since it has no right to a page there; its password counts",
        "2 group of users: users have roles here, and its members",
        "1 virtual IP: with the mask of its interface, /24",
        "1 virtual IP: proxy ARP: Koi answers for it as for its own, where the virtual IP is; with the mask",
        "1 state sync: a pair of one",
        "1 gateway group: without WAN_DHCP, which is not in force",
    ] {
        assert!(adapted.iter().any(|line| line.starts_with(says)), "{says}: {adapted:#?}");
    }
    let impossible = lines(&report.not_possible);
    for says in [
        "1 alias: nothing fetches",
        "1 interface: ovpns1",
        "1 gateway: ",
        "1 virtual IP: proxy ARP for a network",
    ] {
        assert!(impossible.iter().any(|line| line.starts_with(says)), "{says}: {impossible:#?}");
    }
    let days: Vec<String> = config.schedules[1].time_ranges.iter().map(ToString::to_string).collect();
    assert_eq!(days, ["12-24 12-31 01-01 0:00-23:59 (Feast & rest)", "sat sun 12:15-18:00"]);
    assert_eq!(config.schedules.len(), 2);
    assert!(inactive.iter().any(|line| line == "1 schedule: no year has the day 02-30"), "{inactive:#?}");
    let schedule = report.imported.iter().find(|finding| finding.what == "schedule").unwrap();
    let line = FIRST.lines().position(|line| line.contains("<schedule>")).unwrap() + 1;
    let place =
        report::Place { path: "schedules/schedule[0]".into(), line: Some(line), name: "workdays".into() };
    assert_eq!(schedule.places[0], place);
}

#[test]
fn what_the_firewall_asks_and_tells_comes_over() {
    let text = FIRST.replace("<syslog>", "<syslog>\n\t\t<nologipoptions></nologipoptions>");
    let Import { config, report, .. } = read(&text);
    let system = &config.system;
    assert_eq!(
        (system.timezone.as_str(), &system.dns_servers[..]),
        ("Europe/Berlin", &addresses(&[53, 54])[..])
    );
    assert_eq!(system.time_servers, ["192.0.2.123", "2.pool.ntp.org"]);
    let servers: Vec<String> = system.logging.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.99", "[2001:db8::99]:5514"]);
    let Logging { default_block, default_pass, bogons, private, .. } = system.logging;
    assert_eq!((default_block, default_pass, bogons, private), (false, true, true, true));
    assert_eq!((system.logging.file_size, system.logging.file_count), (1_024_000, 3));
    let (imported, inactive) = (lines(&report.imported), lines(&report.kept_inactive));
    for says in ["1 time zone: ", "2 name server: ", "2 log server: ", "4 log setting: "] {
        assert!(imported.iter().any(|line| line == says), "{says}: {imported:#?}");
    }
    let adapted = lines(&report.adapted);
    assert!(adapted.iter().any(|line| line.starts_with("1 time servers: without 1 that")), "{adapted:#?}");
    assert!(
        inactive.iter().any(|line| line.starts_with("1 log settings: 1 more of <syslog>")),
        "{inactive:#?}"
    );
    // Without a word that they get the firewall log, servers get none here.
    for (from, to, says) in [
        ("<enable></enable>\n\t\t<filter></filter>", "<filter></filter>", "2 log server: nothing is sent"),
        ("<filter></filter>", "<vpn></vpn>", "2 log server: it gets other logs"),
        ("Europe/Berlin", "Mars/Olympus", "1 time zone: \"Mars/Olympus\" is no zone"),
    ] {
        let other = read(&FIRST.replace(from, to));
        let inactive = lines(&other.report.kept_inactive);
        assert!(inactive.iter().any(|line| line.starts_with(says)), "{says}: {inactive:#?}");
        assert_eq!(other.config.system.logging.servers.is_empty(), says.contains("log server"));
    }
}

fn addresses(last: &[u8]) -> Vec<std::net::IpAddr> {
    last.iter().map(|last| std::net::IpAddr::from([192, 0, 2, *last])).collect()
}

#[test]
fn what_the_firewall_asks_and_tells_goes_back() {
    let mut config = read(FIRST).config;
    let before = config.clone();
    config.system.timezone = "Asia/Kathmandu".into();
    config.system.time_servers = vec!["ntp.example.org".into()];
    config.system.dns_servers = addresses(&[54, 55]);
    config.system.schedules_keep_states = true;
    config.system.logging.servers = vec!["log.example.org:5514".parse().unwrap()];
    config.system.logging.default_block = true;
    config.system.logging.default_pass = false;
    (config.system.logging.bogons, config.system.logging.private) = (false, false);
    config.system.logging.file_count = 9;
    let export = |config: &Config| export(config, Some(&origin(FIRST)), None).unwrap();
    let after = parse(&export(&config).xml).unwrap();
    assert_eq!(import(&after, &options()).config, Config { revision: 1, ..config.clone() });
    // What belongs to a server goes with it, under its new number.
    let system = after.root.child("system").unwrap();
    assert_eq!(
        (system.text_of("dns1host"), system.text_of("dns1gw")),
        (Some("two.dns.example"), Some("WANGW"))
    );
    assert!(!system.has("dns2host") && !system.has("dns2gw") && system.has("schedule_states"));
    assert!(!repeats_itself(&after.reading()));
    config.system.logging.servers.clear();
    let silent = parse(&export(&config).xml).unwrap();
    assert!(!silent.root.child("syslog").unwrap().has("enable"));
    assert_eq!(import(&silent, &options()).config, Config { revision: 1, ..config });
    // And everything as it was is the file as it was.
    assert_eq!(parse(&export(&before).xml).unwrap().reading(), parse(FIRST).unwrap().reading());
}

#[test]
fn translations_come_over() {
    let Import { config, .. } = read(FIRST);
    let [web, mail, none] = config.port_forwards.as_slice() else { panic!("{:?}", config.port_forwards) };
    assert_eq!((web.local_port, web.association), (Some(8443), Association::None));
    assert_eq!(
        (mail.local_port, mail.association, mail.reflection),
        (None, Association::Pass, Some(Reflection::Purenat))
    );
    assert!(none.no_redirect && none.protocol == Protocol::TcpUdp);
    assert_eq!(config.one_to_ones[0].internal.to_string(), "10.20.0.12/32");
    assert_eq!(config.npts[0].source.to_string(), "fd00:10::/48");
    assert_eq!(config.outbound.mode, OutboundMode::Hybrid);
    let [one, two] = config.outbound.rules.as_slice() else { panic!("{:?}", config.outbound.rules) };
    assert_eq!(one.target, Some(Target::Prefix("198.51.100.10/32".parse().unwrap())));
    assert!(two.target.is_none() && two.static_port && two.protocol == Protocol::Udp);
}

#[test]
fn the_second_node_of_a_pair_is_known_by_its_skew() {
    let Import { config, report, .. } = read(SECOND);
    assert!(config.pair.is_none() && config.virtual_ips.iter().all(|vip| vip.advskew == 0));
    let inactive = lines(&report.kept_inactive);
    assert!(inactive.iter().any(|line| line.contains("this is the second node of a pair")), "{inactive:#?}");
}

#[test]
fn files_of_the_wild_are_read() {
    let Import { config, report, .. } = read(ODD);
    assert_eq!(config.system.hostname, "odd");
    let lan = &config.interfaces[1];
    assert_eq!((lan.port.as_str(), lan.vlan), ("em1", Some(5)));
    assert!(config.gateways[0].default);
    assert_eq!(rule(&config, "öffentlich 'x'").action, Action::Pass);
    assert_eq!(config.outbound.rules[0].target, Some(Target::Prefix("192.0.2.16/28".parse().unwrap())));
    assert!(config.outbound.rules[0].sticky && config.outbound.mode == OutboundMode::Manual);
    let ids: std::collections::BTreeSet<u32> = config.rules.iter().map(|rule| rule.id.0).collect();
    assert!(ids.len() == config.rules.len() && ids.contains(&1_500_000_000) && !ids.contains(&77));
    // IPv6 is not allowed in this file, and rules that look at what Koi cannot see are not in force.
    assert!(config.rules.iter().all(|rule| rule.family != RuleFamily::Inet46));
    let disabled = config.rules.iter().filter(|rule| rule.disabled).count();
    assert_eq!((disabled, config.rules.len()), (2, 4), "{:#?}", config.rules);
    let all: Vec<String> =
        [&report.adapted, &report.kept_inactive].into_iter().flat_map(|group| lines(group)).collect();
    for says in [
        "2 repeated element",
        "2 user",
        "1 section: <somethingelse>",
        "1 firewall rule: it is disabled: it has <whatever>",
    ] {
        assert!(all.iter().any(|line| line.starts_with(says)), "{says}: {all:#?}");
    }
}

#[test]
fn newer_sections_of_opnsense_are_read_as_the_older_ones() {
    let Import { config, report, .. } = read(MODELS);
    assert_eq!(report.problems, Vec::new());
    assert!(
        config.system.anti_lockout
            && config.interfaces[0].block_private
            && !config.interfaces[0].block_bogons
    );
    let order: Vec<&str> = config.rules.iter().map(|rule| rule.description.as_str()).collect();
    assert_eq!(order, ["first", "second", "floats"]);
    let first = rule(&config, "first");
    assert!(first.action == Action::Block && first.log && first.destination.not);
    assert_eq!(first.destination.place, Place::Alias("servers".into()));
    let floats = rule(&config, "floats");
    assert!(floats.floating && floats.disabled && !floats.quick && floats.direction == RuleDirection::Out);
    assert_eq!(config.virtual_ips[0].addresses.len(), 2);
    assert_eq!(config.aliases[0].description, "two & no more");
    let users: Vec<(&str, UserRole, bool)> =
        config.users.iter().map(|user| (user.name.as_str(), user.role, user.disabled)).collect();
    assert_eq!(users, [("watch", UserRole::ReadOnly, false), ("root", UserRole::Administrator, false)]);
    assert!(config.gateways[0].default && config.one_to_ones.len() == 1);
    assert!(config.outbound.rules[0].static_port && config.outbound.rules[0].target.is_none());
    let changed = Config { aliases: Vec::new(), ..config };
    assert!(export(&changed, Some(&origin(MODELS)), None).unwrap_err().message.contains("OPNsense"));
    assert!(export(&changed, None, None).is_ok());
}

#[test]
fn only_what_was_changed_is_another() {
    let mut config = read(FIRST).config;
    let before = parse(FIRST).unwrap();
    config.rules.iter_mut().find(|rule| rule.description == "Ping").unwrap().log = true;
    config.aliases[0].entries.push(AliasEntry { value: "10.20.0.13".into(), description: "a & b".into() });
    let gone = config.rules.iter().position(|rule| rule.description == "Tag").unwrap();
    config.rules.remove(gone);
    let mut new = Rule::new(crate::types::RuleId(1_700_000_000), "lan", Action::Block);
    new.description = "R&D <new> ]]> 'x' é".into();
    let first_on_lan = config.rules.iter().position(|rule| rule.description == "Ping").unwrap();
    config.rules.insert(first_on_lan, new.clone());
    let export = export(&config, Some(&origin(FIRST)), None).unwrap();
    assert!(export.not_possible.is_empty(), "{:?}", export.not_possible);
    let after = parse(&export.xml).unwrap();
    // The import of what was exported is the document that was exported.
    let again = import(&after, &options());
    assert_eq!(again.config, Config { revision: 1, ..config });
    let filter = after.root.child("filter").unwrap();
    let ping = filter.all("rule").find(|rule| rule.text_of("descr") == Some("Ping")).unwrap();
    assert!(ping.has("log") && ping.text_of("statetype") == Some("keep state"));
    // The separator stands in front of the same rule, which is one further down.
    let row = |tree: &tree::Tree| {
        tree.root.find(&["filter", "separator", "lan", "sep0", "row"]).unwrap().text.clone()
    };
    assert_eq!((row(&before), row(&after)), ("fr1".into(), "fr2".into()));
    // Rules that Koi could not take keep their places, and other sections are as they were.
    assert!(filter.all("rule").any(|rule| rule.text_of("descr") == Some("VPN")));
    for section in
        ["dnshaper", "schedules", "dhcpd", "unbound", "cert", "hasync", "interfaces", "virtualip", "gateways"]
    {
        let reading = |tree: &tree::Tree| Reading::of(tree.root.child(section).unwrap());
        assert_eq!(reading(&before), reading(&after), "{section}");
    }
    assert!(!repeats_itself(&after.reading()));
}

#[test]
fn objects_go_and_come_in_every_section() {
    let mut config = read(FIRST).config;
    config.system.hostname = "other.example.org".into();
    config.system.web.port = 443;
    config.system.anti_lockout = false;
    config.system.timeouts.udp_first = Some(60);
    config.gateways.retain(|gateway| gateway.name != "WANGW6");
    config.routes[0].destination = "192.168.96.0/20".parse().unwrap();
    config.interface_groups[0].members.pop();
    config.virtual_ips[0].advbase = 2;
    config.virtual_ips[0].addresses.push("198.51.100.12/24".parse().unwrap());
    config.nodes[0].interfaces[2].addresses.pop();
    config.port_forwards.remove(1);
    config.port_forwards[0].local_port = Some(9443);
    config.one_to_ones[0].external = "198.51.100.13".parse().unwrap();
    config.npts.clear();
    config.outbound.mode = OutboundMode::Manual;
    config.outbound.rules.remove(0);
    config.users.remove(1);
    config.users[1].description = "Again & again".into();
    let hash = Secret::new("$2b$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234");
    let new = User {
        name: "ada".into(),
        role: UserRole::Administrator,
        password_hash: hash,
        totp_secret: None,
        disabled: false,
        description: String::new(),
    };
    config.users.push(new);
    config.schedules[0].time_ranges[0].hours = "7:30-18:00".parse().unwrap();
    config.schedules[0].time_ranges[0].weekdays.clear();
    config.schedules[0].time_ranges[0].days = vec!["12-24".parse().unwrap()];
    let holidays = Schedule { name: "holidays".into(), ..config.schedules[0].clone() };
    config.schedules.push(holidays);
    config.rules[4].schedule = Some("holidays".into());
    config.interfaces[2].vlan = Some(21);
    config.interfaces[1].router_advertisements = false;
    let export = export(&config, Some(&origin(FIRST)), None).unwrap();
    let after = parse(&export.xml).unwrap();
    let again = import(&after, &options()).config;
    let linked = after
        .root
        .find(&["filter"])
        .unwrap()
        .all("rule")
        .find(|rule| rule.has("associated-rule-id"))
        .unwrap();
    assert_eq!(linked.find(&["destination", "port"]).unwrap().text, "9443");
    // Translations have no numbers there, so they are counted anew.
    assert_eq!(unnumbered(again), unnumbered(Config { revision: 1, ..config }));
}

/// Without the numbers that pfSense has no place for.
fn unnumbered(mut config: Config) -> Config {
    let place = |config: &Config, id| config.port_forwards.iter().position(|forward| forward.id == id);
    let links: Vec<_> =
        config.rules.iter().map(|rule| rule.port_forward.and_then(|id| place(&config, id))).collect();
    let number = |place: usize| crate::types::RuleId(place as u32);
    for (rule, link) in config.rules.iter_mut().zip(links) {
        rule.port_forward = link.map(number);
    }
    config.port_forwards.iter_mut().enumerate().for_each(|(index, it)| it.id = number(index));
    config.one_to_ones.iter_mut().enumerate().for_each(|(index, it)| it.id = number(index));
    config.npts.iter_mut().enumerate().for_each(|(index, it)| it.id = number(index));
    config.outbound.rules.iter_mut().enumerate().for_each(|(index, it)| it.id = number(index));
    config
}

#[test]
fn what_comes_by_dhcp_there_is_given_by_hand_here() {
    let xml = "<pfsense><version>23.7</version><system><ipv6allow/></system><interfaces>\
               <wan><enable/><if>em0</if><ipaddr>dhcp</ipaddr></wan>\
               <lan><enable/><if>em1</if><ipaddr>192.168.1.1</ipaddr><subnet>24</subnet></lan></interfaces>\
               <nat><rule><interface>wan</interface><protocol>tcp</protocol><destination><network>wanip</network>\
               <port>80</port></destination><target>192.168.1.9</target><local-port>80</local-port></rule></nat></pfsense>";
    let tree = parse(xml).unwrap();
    let without = import(&tree, &Options::default());
    assert!(without.config.port_forwards.is_empty() && without.report.problems[0].path == "outbound.mode");
    let options = Options {
        addresses: vec![("wan".into(), "203.0.113.2/24".parse().unwrap())],
        gateways: vec![("wan".into(), "203.0.113.1".parse().unwrap())],
        ..Options::default()
    };
    let Import { config, report, .. } = import(&tree, &options);
    assert_eq!((report.problems, report.not_possible), (Vec::new(), Vec::new()));
    assert_eq!((config.port_forwards.len(), config.gateways[0].name.as_str()), (1, "WAN_DHCP"));
    assert!(config.gateways[0].default);
    // There it goes on to come by DHCP.
    let back = export(&config, Some(&Origin { options, xml: xml.into() }), None).unwrap();
    assert_eq!(parse(&back.xml).unwrap().reading(), tree.reading());
}

#[test]
fn a_mapping_is_proposed_and_never_guessed() {
    let report = import(&parse(FIRST).unwrap(), &Options::default()).report;
    assert!(!report.is_mapped());
    let first = &report.mapping[0];
    assert_eq!(
        (first.device.as_str(), first.port.as_ref(), first.proposal.as_str()),
        ("igb0", None, "koi-wan")
    );
    assert!(read(FIRST).report.is_mapped());
    let onto = crate::config::parse(include_str!("../../../configs/dmz.toml")).unwrap();
    let report = import(&parse(FIRST).unwrap(), &Options::onto(&onto, None)).report;
    let proposals: Vec<_> =
        report.mapping.iter().map(|it| (it.device.as_str(), it.proposal.as_str())).collect();
    assert_eq!(proposals, [("igb0", "wan"), ("igb1", "inside"), ("igb2", "koi-opt2")]);
    assert!(report.mapping[1].because.contains("192.168.1.0/24"));
}

#[test]
fn a_document_of_koi_becomes_a_file_of_pfsense() {
    for text in [
        include_str!("../../../configs/dmz.toml"),
        include_str!("../../../configs/pair.toml"),
        include_str!("../../../configs/single.toml"),
    ] {
        let config = crate::config::parse(text).unwrap();
        let export = export(&config, None, None).unwrap();
        let tree = parse(&export.xml).unwrap();
        assert!(!repeats_itself(&tree.reading()), "{}", export.xml);
        let again = import(&tree, &Options::default());
        assert_eq!(again.report.problems, Vec::new(), "{}", export.xml);
        assert_eq!(again.config.rules.len(), config.rules.len());
        assert_eq!(again.config.gateways, config.gateways);
        let addresses =
            |config: &Config| -> usize { config.virtual_ips.iter().map(|vip| vip.addresses.len()).sum() };
        assert_eq!(addresses(&again.config), addresses(&config));
    }
}

#[test]
fn what_a_machine_has_stays_when_a_file_comes_over_it() {
    let present = crate::config::parse(include_str!("../../../configs/pair.toml")).unwrap();
    let node = present.nodes[1].clone();
    let mut options = Options::onto(&present, Some(&node.name));
    assert_eq!((options.node.as_str(), &options.ports), (node.name.as_str(), &node.ports));
    options.maps = [("igb0", "wan"), ("igb1", "lan"), ("igb2", "sync")]
        .map(|(device, port)| (device.to_owned(), port.to_owned()))
        .into();
    let Import { config, .. } = import(&parse(FIRST).unwrap(), &options);
    let settled = settle(config.clone(), &present, &node.name);
    assert_eq!((settled.revision, &settled.pair), (present.revision, &present.pair));
    let own = &settled.nodes[1];
    assert_eq!((&own.public_key, own.loopback, &own.ports), (&node.public_key, node.loopback, &node.ports));
    assert_eq!(own.interfaces.len(), config.nodes[0].interfaces.len());
    assert_eq!(settled.nodes[0].ports, present.nodes[0].ports);
    assert_eq!((&settled.rules, &settled.aliases), (&config.rules, &config.aliases));
    assert_eq!(settled.system.release_keys, present.system.release_keys);
    // Who may log in already still may; the others join.
    let mut with_user = present.clone();
    with_user.users = config.users[..1].to_vec();
    with_user.users[0].description = "Ours".into();
    let users = settle(config.clone(), &with_user, &node.name).users;
    assert_eq!((users.len(), users[0].description.as_str()), (config.users.len(), "Ours"));
}

#[test]
fn interfaces_are_called_as_on_the_machine_that_has_them() {
    let present = crate::config::parse(include_str!("../../../configs/dmz.toml")).unwrap();
    let mut options = Options::onto(&present, None);
    options.maps = [("igb0", "wan"), ("igb1", "inside"), ("igb2", "koi-sync")]
        .map(|(device, port)| (device.to_owned(), port.to_owned()))
        .into();
    let tree = parse(FIRST).unwrap();
    let Import { config, report, .. } = import(&tree, &options);
    let names: Vec<&str> = config.interfaces.iter().map(|interface| interface.name.as_str()).collect();
    assert_eq!(names, ["wan", "lan", "dmz"], "opt1 is on VLAN 20 of the same port");
    assert_eq!(config.interface_groups[0].members, ["lan", "dmz"]);
    assert_eq!(rule(&config, "IPsec").source.place, Place::Net("dmz".into()));
    let disabled = |config: &Config| config.rules.iter().filter(|rule| rule.disabled).count();
    let there = import(&tree, &Options::default()).config;
    assert_eq!(disabled(&config), disabled(&there), "as many as by the names of there");
    assert!(lines(&report.adapted).iter().any(|line| line.contains("it is called dmz here")));
    // There they are called as they were.
    let origin = Origin { options: options.clone(), xml: FIRST.into() };
    let mut changed = config.clone();
    changed.interfaces[2].mtu = 1400;
    changed.interface_groups[0].members.reverse();
    let back = export(&changed, Some(&origin), None).unwrap();
    let after = parse(&back.xml).unwrap();
    assert_eq!(after.root.find(&["interfaces", "opt1", "mtu"]).unwrap().text, "1400");
    assert_eq!(after.root.find(&["ifgroups", "ifgroupentry", "members"]).unwrap().text, "opt1 lan");
    assert_eq!(import(&after, &options).config, changed);
}

#[test]
fn a_password_that_koi_keeps_in_its_own_way_stays_what_it_was_there() {
    let mut config = read(FIRST).config;
    config.users[0].password_hash = Secret::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAAA");
    config.users[0].role = UserRole::Operator;
    config.users.push(User { name: "new".into(), ..config.users[0].clone() });
    let export = export(&config, Some(&origin(FIRST)), None).unwrap();
    let mut says: Vec<&str> = export.not_possible.iter().map(|finding| finding.what.as_str()).collect();
    says.sort_unstable();
    assert_eq!(says, ["password of a user", "role of a user", "user"]);
    let reading = |xml: &str| Reading::of(parse(xml).unwrap().root.child("system").unwrap());
    assert_eq!(reading(&export.xml), reading(FIRST));
}

/// A file with so many rules.
pub(crate) fn many_rules(count: usize) -> String {
    let mut rules = String::new();
    for number in 0..count {
        rules.push_str(&format!(
            "<rule><tracker>{}</tracker><type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol>\
             <protocol>tcp</protocol><source><network>lan</network></source><destination><address>10.1.{}.{}</address>\
             <port>443</port></destination><descr><![CDATA[Rule {number}]]></descr></rule>",
            1_600_000_000 + number,
            number / 250,
            number % 250 + 1,
        ));
    }
    let interfaces = "<interfaces><lan><enable/><if>em0</if><ipaddr>192.168.1.1</ipaddr><subnet>24</subnet></lan></interfaces>";
    format!(
        "<pfsense><version>24.5</version>{interfaces}<nat><outbound><mode>disabled</mode></outbound></nat>\
         <filter>{rules}</filter></pfsense>"
    )
}

#[test]
fn ten_thousand_rules_are_no_matter() {
    let import = read(&many_rules(10_000));
    assert_eq!((import.config.rules.len(), import.report.problems.len()), (10_000, 0));
    assert_eq!(Report::count(&import.report.imported), 10_002);
    let rules = import.report.imported.iter().find(|finding| finding.what == "firewall rule").unwrap();
    assert_eq!((rules.count, rules.places.len()), (10_000, 100));
    let json = serde_json::to_value(&import.report).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "adapted",
            "effect",
            "imported",
            "kept_inactive",
            "mapping",
            "not_possible",
            "problems",
            "product",
            "version"
        ]
    );
    assert_eq!((&json["effect"]["tabs"][0]["active"], &json["product"]), (&10_000.into(), &"pfsense".into()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What an XML file can say of a document comes back from it.
    #[test]
    fn what_can_be_said_survives(config in arbitrary::config()) {
        let Ok(first) = export(&with_ground(config), None, None) else { return Ok(()) };
        let tree = parse(&first.xml).unwrap();
        prop_assert!(!repeats_itself(&tree.reading()));
        let said = import(&tree, &Options::default()).config;
        let second = export(&said, None, None).unwrap();
        let again = import(&parse(&second.xml).unwrap(), &Options::default()).config;
        let (said, again) = (unnumbered(settled(said)), unnumbered(settled(again)));
        prop_assert_eq!(again, said, "{}", second.xml);
    }
}

/// Somewhere for the random rules to stand.
fn with_ground(mut config: Config) -> Config {
    let ground = crate::config::parse(include_str!("../../../configs/dmz.toml")).unwrap();
    config.nodes = ground.nodes;
    config.interfaces = ground.interfaces;
    config.pair = None;
    config
}

/// TAPs are named by whoever maps, and pfSense knows no name without a domain.
fn settled(mut config: Config) -> Config {
    let name = config.system.hostname.strip_suffix(".home.arpa").map(str::to_owned);
    config.system.hostname = name.unwrap_or(config.system.hostname);
    config.nodes.iter_mut().flat_map(|node| &mut node.ports).for_each(|port| port.tap = None);
    config
}
