//! The document as a whole: examples, text form, hash, and that schema and model agree.

use super::schema::{self, Field, Shape};
use super::*;

const LAB: &str = include_str!("../../tests/lab/one.toml");
const STORY: &str = include_str!("../../configs/lab.toml");
const PAIR: &str = include_str!("../../configs/pair.toml");
const SINGLE: &str = include_str!("../../configs/single.toml");
const DMZ: &str = include_str!("../../configs/dmz.toml");
const POLICY: &str = include_str!("../../configs/policy.toml");
const JOIN: &str = include_str!("../../configs/join.toml");

/// Every key with a value that is not its default.
const FULL: &str = r#"
schema = 1
revision = 7
[system]
hostname = "fw"
state_limit = 1000
anti_lockout = false
release_keys = ["5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"]
version_floor = "1.2.3"
nat_reflection = "purenat"
one_to_one_reflection = true
optimization = "aggressive"
state_policy = "floating"
syncookies = "adaptive"
syncookies_start = 30
syncookies_end = 10
adaptive_start = 600
adaptive_end = 1300
overload_expire = 60
fragment_limit = 100
timezone = "Europe/Berlin"
schedules_keep_states = true
time_servers = ["time.example.org"]
dns_servers = ["192.0.2.53"]
kill_states_on_gateway_failure = "all"
kill_states_on_gateway_recovery = true
skip_rules_when_gateway_down = true
sticky_connections = true
disable_reply_to = true
[system.rfc]
ipv6_options = true
refusals = true
[system.notification]
url = "https://192.0.2.9:8443/hook"
secret = "correct horse"
authority = """
-----BEGIN CERTIFICATE-----
MA==
-----END CERTIFICATE-----
"""
[system.logging]
servers = ["192.0.2.9:5514"]
facility = "local7"
severity = "notice"
default_block = false
default_pass = true
bogons = false
private = false
file_size = 100000
file_count = 3
[system.web]
port = 8443
certificate = "own"
[system.timeouts]
tcp_first = 1
tcp_opening = 2
tcp_established = 3
tcp_closing = 4
tcp_finwait = 5
tcp_closed = 6
udp_first = 7
udp_single = 8
udp_multiple = 9
icmp_first = 10
icmp_error = 11
other_first = 12
other_single = 13
other_multiple = 14
frag = 15
[outbound]
mode = "disabled"
[[outbound.rule]]
id = 1000005
interface = "wan"
family = "inet"
protocol = "udp"
source = "any_host"
source_port = "1-5"
destination = "10.0.0.1-10.0.0.5"
destination_port = "web"
target = "203.0.113.0/28"
pool = "source-hash"
sticky = true
port = "1-5"
static_port = true
endpoint_independent = true
no_nat = true
disabled = true
description = "d"
[pair]
sync = "s"
preferred = "alpha"
preempt = false
preempt_delay = 5
defer = true
[[node]]
name = "alpha"
public_key = "00000000000000000000000000000000000000000000000000000000000000ff"
loopback = "[::1]:8080"
[[node.port]]
name = "one"
tap = "koi0"
macvtap = "/dev/tap7"
nic = "52:54:00:12:34:56"
netns = "ns"
driver = "plain"
[[node.interface]]
name = "lan"
mac = "02:00:00:00:00:01"
addresses = ["192.168.1.1/24", "2001:db8::1/64"]
[[interface]]
name = "lan"
description = "d"
zone = "lan"
port = "one"
vlan = 5
mtu = 9000
mss = 1400
block_private = true
block_bogons = true
router_advertisements = true
[interface.scrub]
no_df = true
random_id = true
min_ttl = 64
fragments = "drop"
[[virtual_ip]]
interface = "lan"
vhid = 3
addresses = ["192.168.1.3/24"]
password = "p"
advbase = 2
advskew = 5
foreign = true
preempt = false
peer = "192.168.1.9"
mac = "own"
description = "d"
[[gateway]]
name = "GW"
interface = "lan"
address = "192.168.1.2"
default = true
weight = 2
monitor = "9.9.9.9"
monitor_disable = true
action_disable = true
force_down = true
data_payload = 2
latency_low = 3
latency_high = 4
loss_low = 5
loss_high = 6
interval = 70
loss_interval = 8
time_period = 9
alert_interval = 10
kill_states = "none"
description = "d"
[[gateway_group]]
name = "BOTH"
members = ["GW|1"]
trigger = "downlosslatency"
keep_failover_states = "kill"
default = true
description = "d"
[[route]]
destination = "10.0.0.0/8"
gateway = "GW"
description = "d"
[[interface_group]]
name = "inside"
members = ["lan"]
description = "d"
[[alias]]
name = "web"
type = "port"
file = "/etc/list"
entries = ["444", { value = "8000-8080", description = "d" }]
description = "d"
[[schedule]]
name = "office"
description = "d"
[[schedule.time_range]]
weekdays = ["mon", "fri"]
days = ["12-24"]
hours = "8:00-17:30"
description = "d"
[[rule]]
id = 1000000
interface = ["lan", "wan"]
floating = true
quick = true
direction = "any"
action = "reject"
family = "inet"
protocol = "tcp/udp"
icmp_types = ["echoreq", "3"]
source = "! lan net"
source_port = "1-5"
destination = "this firewall"
destination_port = "443"
tcp_flags = "S/SA"
dscp = "ef"
allow_options = true
tag = "t"
tagged = "u"
not_tagged = true
state_type = "sloppy"
state_policy = "floating"
max_states = 100
max_src_nodes = 10
max_src_states = 5
max_src_conn = 4
max_src_conn_rate = "15/5"
overload = "virusprot"
overload_flush = "all"
max_mss = 1300
gateway = "BOTH"
disable_reply_to = true
port_forward = 1000001
schedule = "office"
expires = "2026-11-26T13:00:00Z"
paused_until = "2026-11-26T12:00:00Z"
log = true
disabled = true
description = "d"
separator = "s"
[rule.timeouts]
tcp_first = 1
tcp_opening = 2
tcp_established = 3
tcp_closing = 4
tcp_finwait = 5
tcp_closed = 6
udp_first = 7
udp_single = 8
udp_multiple = 9
icmp_first = 10
icmp_error = 11
other_first = 12
other_single = 13
other_multiple = 14
[[port_forward]]
id = 1000001
interface = "wan"
family = "inet"
protocol = "tcp"
source = "any_host"
source_port = "1-5"
destination = "wan address"
destination_port = "8000-8010"
target = "10.0.0.7"
local_port = 80
reflection = "purenat"
association = "pass"
no_redirect = true
disabled = true
description = "d"
[[one_to_one]]
id = 1000002
interface = "wan"
external = "203.0.113.9"
internal = "10.0.0.9/32"
destination = "10.0.0.0/8"
reflection = true
no_binat = true
disabled = true
description = "d"
[[npt]]
id = 1000003
interface = "wan"
source = "fd00:1::/48"
destination = "2001:db8:1::/48"
disabled = true
description = "d"
[[user]]
name = "alice"
role = "operator"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
totp_secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
disabled = true
description = "d"
[[certificate]]
name = "own"
certificate = "-----BEGIN CERTIFICATE-----"
private_key = "-----BEGIN PRIVATE KEY-----"
description = "d"
"#;

#[test]
fn the_examples_are_valid() {
    for (name, text) in [
        ("one", LAB),
        ("lab", STORY),
        ("pair", PAIR),
        ("single", SINGLE),
        ("dmz", DMZ),
        ("join", JOIN),
        ("policy", POLICY),
    ] {
        let config = load(text).unwrap_or_else(|problems| {
            panic!("{name}: {}", problems.iter().map(|p| format!("{p}\n")).collect::<String>())
        });
        assert_eq!(parse(&config.to_toml()).unwrap(), *config, "{name}");
        assert_eq!(config.node(None).is_ok(), config.nodes.len() == 1, "{name}");
    }
    let wan_guarded = |text: &str| load(text).unwrap().interfaces[0].block_bogons;
    assert_eq!([LAB, SINGLE, DMZ].map(wan_guarded), [false, true, true]);
}

#[test]
fn text_form_and_model_say_the_same() {
    let config = parse(FULL).unwrap();
    assert_eq!(parse(&config.to_toml()).unwrap(), config);
    // Defaults are not written out.
    let lab = parse(LAB).unwrap();
    for absent in ["timeouts", "mtu", "disabled", "anti_lockout = false"] {
        assert!(!lab.to_toml().contains(absent), "{absent}");
    }
}

#[test]
fn hash_is_of_the_sense_and_golden() {
    let lab = parse(LAB).unwrap();
    assert_eq!(lab.hash(), parse(&lab.to_toml()).unwrap().hash(), "comments and spelling change nothing");
    assert_eq!(
        parse(FULL).unwrap().hash(),
        "fb40e0d69f066e2e00558902cb4b53d408d2e89d1a6bb75f746bf6409337160b"
    );
    // The same sense, in another order, with defaults written out and another spelling.
    let other = FULL
        .replace("zone = \"lan\"\nport = \"one\"", "# a comment\nport = 'one'\nzone = \"lan\"")
        .replace("! lan net", "!lan net")
        .replace("\"443\"", "\"443-443\"");
    assert_ne!(other, FULL);
    assert_eq!(parse(&other).unwrap().hash(), parse(FULL).unwrap().hash());
    let spelt_out = SINGLE.replace("[system]\n", "[system]\nanti_lockout = true\n");
    assert_eq!(parse(&spelt_out).unwrap().hash(), parse(SINGLE).unwrap().hash());
    let changed = FULL.replace("revision = 7", "revision = 8");
    assert_ne!(parse(&changed).unwrap().hash(), parse(FULL).unwrap().hash());
}

#[test]
fn any_change_of_a_field_changes_the_hash() {
    let full: toml::Table = FULL.parse().unwrap();
    let before = parse(FULL).unwrap().hash();
    let mut leaves = Vec::new();
    optional_leaves(schema::DOCUMENT, &mut Vec::new(), &mut leaves);
    assert!(leaves.len() > 40);
    for path in leaves {
        let mut changed = full.clone();
        remove(&mut changed, &path);
        let config: Config = changed.try_into().unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert_ne!(config.hash(), before, "{path:?}");
    }
}

/// The schema's keys are the model's keys, and its required keys are the model's required keys.
#[test]
fn schema_and_model_agree() {
    let full: toml::Table = FULL.parse().unwrap();
    let written: toml::Table = parse(FULL).unwrap().to_toml().parse().unwrap();
    compare(&mut Vec::new(), schema::DOCUMENT, &written, &full);
}

fn compare(path: &mut Vec<&'static str>, fields: &'static [Field], table: &toml::Table, full: &toml::Table) {
    let mut known: Vec<&str> = fields.iter().map(|field| field.key).collect();
    known.sort_unstable();
    assert_eq!(known, table.keys().collect::<Vec<_>>(), "keys of {path:?}");
    for field in fields {
        path.push(field.key);
        let mut without = full.clone();
        remove(&mut without, path);
        assert_eq!(without.try_into::<Config>().is_err(), field.required, "required: {path:?}");
        match (&field.shape, &table[field.key]) {
            (Shape::Table(fields), toml::Value::Table(inner)) => compare(path, fields, inner, full),
            (Shape::Tables(fields), toml::Value::Array(list)) => {
                compare(path, fields, list[0].as_table().unwrap(), full);
            }
            (Shape::Value(_) | Shape::List(_), _) => {}
            (Shape::Table(_) | Shape::Tables(_), other) => panic!("{path:?} is {other}"),
        }
        path.pop();
    }
}

fn optional_leaves(
    fields: &'static [Field],
    path: &mut Vec<&'static str>,
    leaves: &mut Vec<Vec<&'static str>>,
) {
    for field in fields {
        path.push(field.key);
        match field.shape {
            Shape::Table(fields) | Shape::Tables(fields) => optional_leaves(fields, path, leaves),
            Shape::Value(_) | Shape::List(_) if !field.required => leaves.push(path.clone()),
            Shape::Value(_) | Shape::List(_) => {}
        }
        path.pop();
    }
}

fn remove(table: &mut toml::Table, path: &[&str]) {
    let (last, parents) = path.split_last().unwrap();
    let mut table = table;
    for parent in parents {
        table = match table.get_mut(*parent).unwrap() {
            toml::Value::Table(inner) => inner,
            toml::Value::Array(list) => list[0].as_table_mut().unwrap(),
            other => panic!("{other}"),
        };
    }
    table.remove(*last).unwrap();
}

#[test]
fn mac_addresses_follow_from_names() {
    let mac = mac_for("alpha", "lan");
    assert_eq!(mac.to_string(), "ae:a9:af:02:38:a6");
    assert_ne!(mac, mac_for("beta", "lan"));
    assert_ne!(mac, mac_for("alpha", "wan"));
    assert_ne!(mac_for("ab", "c"), mac_for("a", "bc"));
    for interface in ["wan", "lan", "dmz", "opt1", "opt2", "opt3"] {
        assert_eq!(mac_for("alpha", interface).0[0] & 3, 2, "unicast, locally administered");
    }
}

#[test]
fn a_node_is_found_by_name_or_when_alone() {
    let config = load(LAB).unwrap();
    assert_eq!(config.node(None), config.node(Some("alpha")));
    assert!(config.node(Some("beta")).unwrap_err().remedy.contains("alpha"));
    let node = config.node(None).unwrap();
    let lan = config.interface_id("lan").unwrap();
    assert_eq!(config.port_id(node, lan), crate::types::PortId(1));
    assert_eq!(config.mac(node, lan), mac_for("alpha", "lan"));
    let first = config.first_address(node, lan, crate::types::Family::Inet6).unwrap();
    assert_eq!(first.to_string(), "2001:db8:10::1/64");
    assert_eq!(config.interface_name(crate::types::InterfaceId::SELF), "self");
}

/// Text, path, line, part of the message, part of the remedy.
#[test]
fn mistakes_in_the_text_are_all_found_with_their_place() {
    let text = LAB
        .replace("hostname = \"koi-lab\"", "hostnam = \"koi-lab\"")
        .replace("zone = \"dmz\"", "zone = \"demilitarised\"")
        .replace("address = \"203.0.113.1\"", "address = \"203.0.113.1/24\"")
        .replace("destination_port = \"443\"", "destination_port = 443")
        .replace("\"10.20.0.1/24\"", "\"10.20.0.1/33\"")
        .replace("id = 1000012\n", "");
    let problems = parse(&text).unwrap_err();
    let line_of = |part: &str| text.lines().position(|line| line.contains(part)).map(|index| index + 1);
    let expected = [
        ("system.hostnam", line_of("hostnam ="), "not known", "Did you mean \"hostname\"?"),
        ("node[0].interface[2].addresses[0]", line_of("/33"), "10.20.0.1/33", "192.168.1.1/24"),
        ("interface[2].zone", line_of("demilitarised"), "demilitarised", "\"dmz\""),
        ("gateway[0].address", line_of("203.0.113.1/24"), "203.0.113.1/24", "without prefix length"),
        ("rule[2].destination_port", line_of("= 443"), "integer", "in quotes"),
        ("rule[3].id", line_of("DMZ may go anywhere else").map(|line| line - 4), "missing", "1000000"),
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, (path, line, message, remedy)) in problems.iter().zip(expected) {
        assert_eq!(problem.path, path);
        assert_eq!(problem.line, line, "{problem}");
        assert!(problem.column.is_some());
        assert!(problem.message.contains(message), "{problem}");
        assert!(problem.remedy.contains(remedy), "{problem}");
    }
}

#[test]
fn broken_toml_has_line_and_column() {
    let problems = parse("schema = 1\nrevision = = 2\n").unwrap_err();
    assert_eq!((problems[0].line, problems[0].column), (Some(2), Some(12)), "{problems:?}");
    assert!(problems[0].to_string().starts_with("line 2, column 12: "));
}

#[test]
fn numbers_are_asked_for_in_plain_words() {
    for value in ["\"x\"", "-1", "1.5"] {
        let problems = parse(&SINGLE.replace("revision = 1", &format!("revision = {value}"))).unwrap_err();
        assert!(problems[0].message.ends_with("expected a whole number in its range."), "{}", problems[0]);
    }
}

#[test]
fn another_schema_version_is_the_only_problem() {
    let text = LAB.replace("schema = 1 ", "schema = 2\nnew_thing = 5 #");
    let problems = load(&text).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path, "schema");
    assert!(problems[0].message.contains("schema version 2"));
}

#[test]
fn problems_of_sense_carry_their_lines() {
    let text = LAB.replace("destination = \"lan net\"", "destination = \"lann net\"");
    let problems = load(&text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].path, "rule[1].destination");
    let line = text.lines().position(|line| line.contains("lann")).unwrap() + 1;
    assert_eq!(problems[0].line, Some(line));
    assert_eq!(
        problems[0].to_string(),
        format!(
            "line {line}, column 15: rule[1].destination: There is no interface \"lann\". Did you mean \"lan\"?"
        )
    );
    // A missing part points at the table around it.
    let text = LAB.replace(
        "[[node.interface]]\nname = \"dmz\"\naddresses = [\"10.20.0.1/24\", \"2001:db8:20::1/64\"]\n",
        "",
    );
    let problems = load(&text).unwrap_err();
    assert!(problems.iter().any(|p| p.path == "node[0].interface" && p.line.is_some()), "{problems:?}");
}

#[test]
fn a_pair_is_two_nodes_that_know_each_other() {
    let config = load(STORY).unwrap();
    let (alpha, beta) = (config.node(Some("alpha")).unwrap(), config.node(Some("beta")).unwrap());
    assert_eq!((config.peer_of(alpha), config.peer_of(beta)), (Some(beta), Some(alpha)));
    assert_eq!(config.sync_port_id(beta), Some(crate::types::PortId(3)));
    let skews = |node| config.virtual_ips().map(|(_, vip)| config.advskew(node, vip)).collect::<Vec<_>>();
    assert_eq!((skews(alpha), skews(beta)), (vec![0; 3], vec![100; 3]));
    let mut edited = config.clone().into_inner();
    edited.virtual_ips[0].advskew = 200;
    let edited = validate(edited).unwrap();
    assert_eq!(edited.advskew(beta, &edited.virtual_ips[0]), 254);
    let interfaces: Vec<_> = config.virtual_ips().map(|(id, _)| config.interface_name(id)).collect();
    assert_eq!(interfaces, ["wan", "lan", "dmz"]);

    let single = load(SINGLE).unwrap();
    let node = single.node(None).unwrap();
    assert_eq!((single.peer_of(node), single.sync_port_id(node)), (None, None));
    assert!(single.is_preferred(node));
}

#[test]
fn a_pair_of_one_is_a_pair() {
    let mut config = parse(STORY).unwrap();
    config.nodes.truncate(1);
    let config = validate(config).unwrap();
    assert_eq!(config.peer_of(config.node(None).unwrap()), None);
}

#[test]
fn nobody_sees_a_password() {
    let config = parse(&STORY.replace("koi-lab-wan\"            #", "s3same\" #")).unwrap();
    assert!(config.to_toml().contains("s3same"), "the document itself has it");
    assert_eq!(config.virtual_ips[0].password.reveal(), "s3same");
    assert!(!format!("{config:?}").contains("s3same"));
    for (written, told) in
        [("7777", "not a text"), ("\"s3 same\"", "spaces"), ("\"s3same-s3same-s3same\"", "20 bytes")]
    {
        let text = STORY.replace("\"koi-lab-wan\"            #", &format!("{written} #"));
        let problems = load(&text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains(told), "{problems:?}");
        let shown = format!("{problems:?}");
        assert!(!shown.contains("s3") && !shown.contains("7777"), "{shown}");
    }
    for broken in
        ["s3same", "\"s3same", "\"s3same\" s3same", "[\"s3same\"]", "{ s3 = \"s3same\" }", "\"s3same\\q\""]
    {
        let text = STORY.replace("\"koi-lab-wan\"            #", &format!("{broken} #"));
        let problems = load(&text).unwrap_err();
        assert!(!format!("{problems:?}").contains("s3same"), "{broken}: {problems:?}");
    }
}

#[test]
fn what_is_secret_in_the_model_is_secret_in_words() {
    fn walk(fields: &[Field], found: &mut usize) {
        for field in fields {
            match field.shape {
                Shape::Value(attempt) | Shape::List(attempt) => {
                    // Only a secret does not say what stands there.
                    let number = toml::de::DeTable::parse("a = 1").unwrap();
                    let error = attempt(&number.get_ref()["a"]).err();
                    let is_secret = error.is_some_and(|error| error.message() == "This is not a text");
                    assert_eq!(is_secret, diff::is_secret(field.key), "{}", field.key);
                    *found += usize::from(is_secret);
                }
                Shape::Table(fields) | Shape::Tables(fields) => walk(fields, found),
            }
        }
    }
    let mut found = 0;
    walk(schema::DOCUMENT, &mut found);
    assert!(found >= 2, "passwords of CARP, hashes of users");
}
