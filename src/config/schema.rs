//! The keys of the document as a table: which there are, which are required, what each takes.
//!
//! serde stops at the first mistake; walking the text along this table finds all of them. A test proves that
//! the table and the model agree.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeValue, Error, ValueDeserializer};

use super::model::{
    Action, AliasEntry, AliasKind, Association, Driver, Dscp, Endpoint, Facility, FailoverStates, Flush,
    Fragments, GroupMember, Hours, IcmpKind, Interfaces, KillStates, Moment, MonthDay, Optimization,
    OutboundMode, Pool, Ports, Protocol, Reflection, RuleDirection, RuleFamily, Secret, Service, Severity,
    SourceRate, StatePolicy, StateType, Syncookies, Target, TcpFlags, Trigger, UserRole, VirtualMac,
    WebAddress, Weekday, Zone,
};
use crate::types::{MacAddr, PortRange, Prefix, PublicKey, ReleaseKey, ReleaseVersion, RuleId, Vhid};

/// Tries a value; the error says what is wrong with it.
pub(super) type Try = fn(&Spanned<DeValue<'_>>) -> Result<(), Error>;

/// One key of a table.
pub(super) struct Field {
    pub key: &'static str,
    pub required: bool,
    pub shape: Shape,
    /// What to write there: completes "Write ...".
    pub write: &'static str,
}

/// What a key holds.
pub(super) enum Shape {
    Value(Try),
    /// A list of values.
    List(Try),
    /// `[key]`
    Table(&'static [Field]),
    /// `[[key]]`
    Tables(&'static [Field]),
}

use Shape::{List, Table, Tables, Value};

const fn required(key: &'static str, shape: Shape, write: &'static str) -> Field {
    Field { key, required: true, shape, write }
}

const fn optional(key: &'static str, shape: Shape, write: &'static str) -> Field {
    Field { key, required: false, shape, write }
}

fn is<T: DeserializeOwned>(value: &Spanned<DeValue<'_>>) -> Result<(), Error> {
    T::deserialize(ValueDeserializer::from(value.clone())).map(drop)
}

const TEXT: Shape = Value(is::<String>);
const FLAG: Shape = Value(is::<bool>);
const SMALL: Shape = Value(is::<u16>);
const SECONDS: Field = optional("", Value(is::<u32>), "a number of seconds");
const DESCRIPTION: Field = optional("description", TEXT, "a text in quotes");

const fn seconds(key: &'static str) -> Field {
    Field { key, ..SECONDS }
}

/// The place of a section of the document among the others; of any other key, the last one.
pub(super) fn place(key: &str) -> usize {
    DOCUMENT.iter().position(|field| field.key == key).unwrap_or(DOCUMENT.len())
}

/// The whole document.
pub(super) static DOCUMENT: &[Field] = &[
    required("schema", Value(is::<u32>), "schema = 1, the version of this format"),
    required("revision", Value(is::<u64>), "a number that grows with every change, 1 at first"),
    optional("system", Table(SYSTEM), "a section [system]"),
    optional("pair", Table(PAIR), "a section [pair]"),
    required("node", Tables(NODE), "at least one section [[node]]"),
    optional("interface", Tables(INTERFACE), "at least one section [[interface]]"),
    optional("virtual_ip", Tables(VIRTUAL_IP), "sections [[virtual_ip]]"),
    optional("gateway", Tables(GATEWAY), "sections [[gateway]]"),
    optional("gateway_group", Tables(GATEWAY_GROUP), "sections [[gateway_group]]"),
    optional("route", Tables(ROUTE), "sections [[route]]"),
    optional("interface_group", Tables(INTERFACE_GROUP), "sections [[interface_group]]"),
    optional("alias", Tables(ALIAS), "sections [[alias]]"),
    optional("schedule", Tables(SCHEDULE), "sections [[schedule]]"),
    optional("rule", Tables(RULE), "sections [[rule]]"),
    optional("port_forward", Tables(PORT_FORWARD), "sections [[port_forward]]"),
    optional("one_to_one", Tables(ONE_TO_ONE), "sections [[one_to_one]]"),
    optional("npt", Tables(NPT), "sections [[npt]]"),
    optional("outbound", Table(OUTBOUND), "a section [outbound]"),
    optional("user", Tables(USER), "sections [[user]]"),
    optional("certificate", Tables(CERTIFICATE), "sections [[certificate]]"),
];

static SYSTEM: &[Field] = &[
    optional("hostname", TEXT, "a name in quotes, as in \"koi\""),
    optional("state_limit", Value(is::<u32>), "a number of states"),
    optional("anti_lockout", FLAG, "true or false"),
    optional(
        "release_keys",
        List(is::<ReleaseKey>),
        "a list of at most two keys, 64 hex digits in quotes each",
    ),
    optional("version_floor", Value(is::<ReleaseVersion>), "a version in quotes, as in \"1.2.3\""),
    optional("nat_reflection", Value(is::<Reflection>), REFLECTION),
    optional("one_to_one_reflection", FLAG, "true or false"),
    optional(
        "optimization",
        Value(is::<Optimization>),
        "\"normal\", \"high-latency\", \"aggressive\", \"conservative\" or \"rfc\"",
    ),
    optional("state_policy", Value(is::<StatePolicy>), STATE_POLICY),
    optional("syncookies", Value(is::<Syncookies>), "\"never\", \"always\" or \"adaptive\""),
    optional("syncookies_start", Value(is::<u8>), "a share of the state limit in percent"),
    optional("syncookies_end", Value(is::<u8>), "a share of the state limit in percent"),
    optional("adaptive_start", Value(is::<u32>), "a number of states"),
    optional("adaptive_end", Value(is::<u32>), "a number of states"),
    seconds("overload_expire"),
    optional("fragment_limit", Value(is::<u32>), "a number of datagrams"),
    optional("rfc", Table(RFC), "a section [system.rfc]"),
    optional("kill_states_on_gateway_failure", Value(is::<KillStates>), KILL_STATES),
    optional("kill_states_on_gateway_recovery", FLAG, "true or false"),
    optional("skip_rules_when_gateway_down", FLAG, "true or false"),
    optional("sticky_connections", FLAG, "true or false"),
    optional("disable_reply_to", FLAG, "true or false"),
    optional("timezone", TEXT, "a time zone in quotes, as in \"Europe/Berlin\""),
    optional("time_servers", List(is::<String>), "addresses or names of hosts in quotes"),
    optional("dns_servers", List(is::<std::net::IpAddr>), "addresses in quotes"),
    optional("schedules_keep_states", FLAG, "true or false"),
    optional("web", Table(WEB), "a section [system.web]"),
    optional("logging", Table(LOGGING), "a section [system.logging]"),
    optional("notification", Table(NOTIFICATION), "a section [system.notification]"),
    optional("timeouts", Table(TIMEOUTS), "a section [system.timeouts]"),
];

static RFC: &[Field] =
    &[optional("ipv6_options", FLAG, "true or false"), optional("refusals", FLAG, "true or false")];
static LOGGING: &[Field] = &[
    optional("servers", List(is::<Service>), "addresses or names in quotes, as in \"192.0.2.9:514\""),
    optional("facility", Value(is::<Facility>), "a facility of syslog in quotes, as in \"local0\""),
    optional("severity", Value(is::<Severity>), "a severity of syslog in quotes, as in \"info\""),
    optional("default_block", FLAG, "true or false"),
    optional("default_pass", FLAG, "true or false"),
    optional("bogons", FLAG, "true or false"),
    optional("private", FLAG, "true or false"),
    optional("file_size", Value(is::<u32>), "a number of bytes"),
    optional("file_count", Value(is::<u8>), "a number of files"),
];

static NOTIFICATION: &[Field] = &[
    optional("url", Value(is::<WebAddress>), "an address in quotes, as in \"https://example.org/hook\""),
    optional("secret", Value(is::<Secret>), "a secret in quotes"),
    optional("authority", TEXT, "a certificate in PEM form, in three quotes"),
];

static WEB: &[Field] = &[
    optional("port", SMALL, "a port from 1 to 65535, without quotes"),
    optional("certificate", TEXT, "the name of a certificate in quotes"),
];

static TIMEOUTS: &[Field] = &[
    seconds("tcp_first"),
    seconds("tcp_opening"),
    seconds("tcp_established"),
    seconds("tcp_closing"),
    seconds("tcp_finwait"),
    seconds("tcp_closed"),
    seconds("udp_first"),
    seconds("udp_single"),
    seconds("udp_multiple"),
    seconds("icmp_first"),
    seconds("icmp_error"),
    seconds("other_first"),
    seconds("other_single"),
    seconds("other_multiple"),
    seconds("frag"),
];

/// Those of states: all but the last, which is of fragments.
static STATE_TIMEOUTS: &[Field] = TIMEOUTS.split_at(TIMEOUTS.len() - 1).0;

static PAIR: &[Field] = &[
    required("sync", TEXT, "the name of a [[node.port]] of each node in quotes"),
    required("preferred", TEXT, "the name of a [[node]] in quotes"),
    optional("preempt", FLAG, "true or false"),
    seconds("preempt_delay"),
    optional("defer", FLAG, "true or false"),
];

static NODE: &[Field] = &[
    required("name", TEXT, "the name of the machine in quotes"),
    optional("public_key", Value(is::<PublicKey>), "64 hex digits in quotes"),
    optional(
        "loopback",
        Value(is::<std::net::SocketAddr>),
        "an address and a port in quotes, as in \"127.0.0.1:8080\"",
    ),
    required("port", Tables(PORT), "at least one section [[node.port]]"),
    optional("interface", Tables(NODE_INTERFACE), "a section [[node.interface]] for each interface"),
];

static PORT: &[Field] = &[
    required("name", TEXT, "a name in quotes that interfaces refer to"),
    optional("tap", TEXT, "the name of a TAP device in quotes, as in \"koi-wan\""),
    optional("macvtap", TEXT, "the path of a macvtap in quotes, as in \"/dev/tap7\""),
    optional("nic", Value(is::<MacAddr>), "the MAC address of a network card in quotes"),
    optional("netns", TEXT, "the name of a network namespace in quotes"),
    optional("driver", Value(is::<Driver>), "\"offload\" or \"plain\""),
];

static NODE_INTERFACE: &[Field] = &[
    required("name", TEXT, "the name of an [[interface]] in quotes"),
    optional("mac", Value(is::<MacAddr>), "six hex pairs in quotes, as in \"02:00:00:00:00:01\""),
    optional(
        "addresses",
        List(is::<Prefix>),
        "addresses with their prefix length in quotes, as in \"192.168.1.1/24\"",
    ),
];

static INTERFACE: &[Field] = &[
    required("name", TEXT, "a name in quotes, as in \"lan\""),
    DESCRIPTION,
    required("zone", Value(is::<Zone>), "\"wan\", \"lan\" or \"dmz\""),
    required("port", TEXT, "the name of a [[node.port]] in quotes"),
    optional("vlan", SMALL, "an 802.1Q tag from 1 to 4094, without quotes"),
    optional("mtu", SMALL, "a number of bytes from 576 to 9216, without quotes"),
    optional("mss", SMALL, "a number of bytes from 576 to the MTU, without quotes"),
    optional("block_private", FLAG, "true or false"),
    optional("block_bogons", FLAG, "true or false"),
    optional("router_advertisements", FLAG, "true or false"),
    optional("scrub", Table(SCRUB), "a section [interface.scrub]"),
];

static SCRUB: &[Field] = &[
    optional("no_df", FLAG, "true or false"),
    optional("random_id", FLAG, "true or false"),
    optional("min_ttl", Value(is::<u8>), "a number of hops from 1 to 255, without quotes"),
    optional("fragments", Value(is::<Fragments>), "\"reassemble\" or \"drop\""),
];

static VIRTUAL_IP: &[Field] = &[
    required("interface", TEXT, "the name of an [[interface]] in quotes"),
    required("vhid", Value(is::<Vhid>), "a number from 1 to 255, without quotes"),
    required(
        "addresses",
        List(is::<Prefix>),
        "addresses with the prefix length of their network in quotes, as in \"192.168.1.1/24\"",
    ),
    required("password", Value(is::<Secret>), "at most 19 letters and digits in quotes"),
    optional("advbase", Value(is::<u8>), "a number of seconds from 1 to 254, without quotes"),
    optional("advskew", Value(is::<u8>), "a number from 0 to 254, without quotes"),
    optional("foreign", FLAG, "true or false"),
    optional("preempt", FLAG, "true or false"),
    optional(
        "peer",
        Value(is::<std::net::IpAddr>),
        "an address without prefix length in quotes, as in \"203.0.113.9\"",
    ),
    optional("mac", Value(is::<VirtualMac>), "\"virtual\" or \"own\""),
    DESCRIPTION,
];

static GATEWAY: &[Field] = &[
    required("name", TEXT, "a name in quotes that routes refer to"),
    required("interface", TEXT, "the name of an [[interface]] in quotes"),
    required(
        "address",
        Value(is::<std::net::IpAddr>),
        "an address without prefix length in quotes, as in \"203.0.113.1\"",
    ),
    optional("default", FLAG, "true or false"),
    optional("weight", Value(is::<u8>), "a number from 1 to 30, without quotes"),
    optional("monitor", Value(is::<std::net::IpAddr>), "an address in quotes, as in \"9.9.9.9\""),
    optional("monitor_disable", FLAG, "true or false"),
    optional("action_disable", FLAG, "true or false"),
    optional("force_down", FLAG, "true or false"),
    optional("data_payload", SMALL, "a number of bytes, without quotes"),
    optional("latency_low", Value(is::<u32>), MILLISECONDS),
    optional("latency_high", Value(is::<u32>), MILLISECONDS),
    optional("loss_low", Value(is::<u8>), "percent from 1 to 100, without quotes"),
    optional("loss_high", Value(is::<u8>), "percent from 1 to 100, without quotes"),
    optional("interval", Value(is::<u32>), MILLISECONDS),
    optional("loss_interval", Value(is::<u32>), MILLISECONDS),
    optional("time_period", Value(is::<u32>), MILLISECONDS),
    optional("alert_interval", Value(is::<u32>), MILLISECONDS),
    optional("kill_states", Value(is::<KillStates>), KILL_STATES),
    DESCRIPTION,
];

static GATEWAY_GROUP: &[Field] = &[
    required("name", TEXT, "a name in quotes that rules refer to"),
    required(
        "members",
        List(is::<GroupMember>),
        "gateways with their tiers from 1 to 5 in quotes, as in \"WANGW|1\"",
    ),
    optional(
        "trigger",
        Value(is::<Trigger>),
        "\"down\", \"downloss\", \"downlatency\" or \"downlosslatency\"",
    ),
    optional("keep_failover_states", Value(is::<FailoverStates>), "\"keep\" or \"kill\""),
    optional("default", FLAG, "true or false"),
    DESCRIPTION,
];

static ROUTE: &[Field] = &[
    required("destination", Value(is::<Prefix>), "a network in quotes, as in \"10.8.0.0/16\""),
    required("gateway", TEXT, "the name of a [[gateway]] in quotes"),
    DESCRIPTION,
];

const ENDPOINT: &str = "\"any\", an address, a network, a range, an alias, \"lan net\", \"lan address\" or \"this firewall\", \
                        with \"! \" in front for everything else";
const PORTS: &str = "a port, a range or an alias in quotes, as in \"443\" or \"8000-8080\"";
const RULE_ID: Field = required("id", Value(is::<RuleId>), "a number from 1000000 that stays with the rule");
const FAMILY: Field = optional("family", Value(is::<RuleFamily>), "\"inet\", \"inet6\" or \"inet46\"");
const PROTOCOL: Field = optional(
    "protocol",
    Value(is::<Protocol>),
    "\"any\", \"tcp\", \"udp\", \"tcp/udp\", \"icmp\" or a protocol number, in quotes",
);
const SOURCE: Field = optional("source", Value(is::<Endpoint>), ENDPOINT);
const SOURCE_PORT: Field = optional("source_port", Value(is::<Ports>), PORTS);
const DESTINATION: Field = optional("destination", Value(is::<Endpoint>), ENDPOINT);
const DESTINATION_PORT: Field = optional("destination_port", Value(is::<Ports>), PORTS);
const DISABLED: Field = optional("disabled", FLAG, "true or false");
const ONE_INTERFACE: Field = required("interface", TEXT, "the name of an [[interface]] in quotes");
const REFLECTION: &str = "\"disable\" or \"purenat\"";
const KILL_STATES: &str = "\"none\", \"down\" or \"all\"";
const MILLISECONDS: &str = "a number of milliseconds, without quotes";
const MOMENT: &str = "a moment of UTC in quotes, as in \"2026-11-26T13:00:00Z\"";
const STATE_POLICY: &str = "\"if-bound\" or \"floating\"";
const TARGET: &str = "an address, a network, a range or an alias in quotes";

static RULE: &[Field] = &[
    RULE_ID,
    optional(
        "interface",
        Value(is::<Interfaces>),
        "the name of the [[interface]] or [[interface_group]] by which packets come in, in quotes",
    ),
    optional("floating", FLAG, "true or false"),
    optional("quick", FLAG, "true or false"),
    optional("direction", Value(is::<RuleDirection>), "\"in\", \"out\" or \"any\""),
    required("action", Value(is::<Action>), "\"pass\", \"block\", \"reject\" or \"match\""),
    FAMILY,
    PROTOCOL,
    optional("icmp_types", List(is::<IcmpKind>), "ICMP types in quotes, as in \"echoreq\""),
    SOURCE,
    SOURCE_PORT,
    DESTINATION,
    DESTINATION_PORT,
    optional(
        "tcp_flags",
        Value(is::<TcpFlags>),
        "\"any\", or as in \"S/SA\" the flags set out of those looked at",
    ),
    optional("dscp", Value(is::<Dscp>), "a code point in quotes, as in \"ef\" or \"46\""),
    optional("allow_options", FLAG, "true or false"),
    optional("tag", TEXT, "a tag in quotes"),
    optional("tagged", TEXT, "a tag in quotes"),
    optional("not_tagged", FLAG, "true or false"),
    optional("state_type", Value(is::<StateType>), "\"keep\", \"sloppy\", \"synproxy\" or \"none\""),
    optional("state_policy", Value(is::<StatePolicy>), STATE_POLICY),
    optional("max_states", Value(is::<u32>), "a number of states"),
    optional("max_src_nodes", Value(is::<u32>), "a number of sources"),
    optional("max_src_states", Value(is::<u32>), "a number of states"),
    optional("max_src_conn", Value(is::<u32>), "a number of connections"),
    optional(
        "max_src_conn_rate",
        Value(is::<SourceRate>),
        "connections and seconds in quotes, as in \"15/5\"",
    ),
    optional("overload", TEXT, "the name of a table in quotes, as in \"virusprot\""),
    optional("overload_flush", Value(is::<Flush>), "\"none\", \"rule\" or \"all\""),
    optional("timeouts", Table(STATE_TIMEOUTS), "a section [rule.timeouts]"),
    optional("max_mss", SMALL, "a number of bytes, without quotes"),
    optional("gateway", TEXT, "the name of a [[gateway]] or [[gateway_group]] in quotes"),
    optional("disable_reply_to", FLAG, "true or false"),
    optional("port_forward", Value(is::<RuleId>), "the id of a [[port_forward]]"),
    optional("schedule", TEXT, "the name of a [[schedule]] in quotes"),
    optional("expires", Value(is::<Moment>), MOMENT),
    optional("paused_until", Value(is::<Moment>), MOMENT),
    optional("log", FLAG, "true or false"),
    DISABLED,
    DESCRIPTION,
    optional("separator", TEXT, "a text in quotes"),
];

static SCHEDULE: &[Field] = &[
    required("name", TEXT, "a name in quotes, as in \"office_hours\""),
    optional("time_range", Tables(TIME_RANGE), "sections [[schedule.time_range]]"),
    DESCRIPTION,
];

static TIME_RANGE: &[Field] = &[
    optional(
        "weekdays",
        List(is::<Weekday>),
        "days in quotes: \"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"",
    ),
    optional("days", List(is::<MonthDay>), "months and days in quotes, as in \"12-24\""),
    optional("hours", Value(is::<Hours>), "hours of a day in quotes, as in \"8:00-17:30\""),
    DESCRIPTION,
];

static INTERFACE_GROUP: &[Field] = &[
    required("name", TEXT, "a name in quotes, as in \"inside\""),
    required("members", List(is::<String>), "names of [[interface]]s in quotes"),
    DESCRIPTION,
];

static ALIAS: &[Field] = &[
    required("name", TEXT, "a name in quotes, as in \"web_servers\""),
    required("type", Value(is::<AliasKind>), "\"host\", \"network\", \"port\" or \"urltable\""),
    optional("file", TEXT, "the path of a file in quotes"),
    optional(
        "entries",
        List(is::<AliasEntry>),
        "members in quotes, or { value = \"...\", description = \"...\" }",
    ),
    DESCRIPTION,
];

static PORT_FORWARD: &[Field] = &[
    RULE_ID,
    ONE_INTERFACE,
    FAMILY,
    PROTOCOL,
    SOURCE,
    SOURCE_PORT,
    Field { required: true, ..DESTINATION },
    DESTINATION_PORT,
    optional("target", Value(is::<Target>), TARGET),
    optional("local_port", SMALL, "a port from 1 to 65535, without quotes"),
    optional("reflection", Value(is::<Reflection>), REFLECTION),
    optional("association", Value(is::<Association>), "\"none\" or \"pass\""),
    optional("no_redirect", FLAG, "true or false"),
    DISABLED,
    DESCRIPTION,
];

static ONE_TO_ONE: &[Field] = &[
    RULE_ID,
    ONE_INTERFACE,
    required("external", Value(is::<std::net::IpAddr>), "an address in quotes, as in \"203.0.113.9\""),
    required("internal", Value(is::<Prefix>), "a network in quotes, as in \"10.20.0.5/32\""),
    DESTINATION,
    optional("reflection", FLAG, "true or false"),
    optional("no_binat", FLAG, "true or false"),
    DISABLED,
    DESCRIPTION,
];

static NPT: &[Field] = &[
    RULE_ID,
    ONE_INTERFACE,
    required("source", Value(is::<Prefix>), "an IPv6 prefix in quotes, as in \"fd00:1::/48\""),
    required("destination", Value(is::<Prefix>), "an IPv6 prefix in quotes, as in \"2001:db8:1::/48\""),
    DISABLED,
    DESCRIPTION,
];

static OUTBOUND: &[Field] = &[
    optional("mode", Value(is::<OutboundMode>), "\"automatic\", \"hybrid\", \"manual\" or \"disabled\""),
    optional("rule", Tables(OUTBOUND_RULE), "sections [[outbound.rule]]"),
];

static OUTBOUND_RULE: &[Field] = &[
    RULE_ID,
    ONE_INTERFACE,
    FAMILY,
    PROTOCOL,
    SOURCE,
    SOURCE_PORT,
    DESTINATION,
    DESTINATION_PORT,
    optional("target", Value(is::<Target>), TARGET),
    optional("pool", Value(is::<Pool>), "\"round-robin\", \"random\" or \"source-hash\""),
    optional("sticky", FLAG, "true or false"),
    optional("port", Value(is::<PortRange>), "a port or a range in quotes, as in \"1024-65535\""),
    optional("static_port", FLAG, "true or false"),
    optional("endpoint_independent", FLAG, "true or false"),
    optional("no_nat", FLAG, "true or false"),
    DISABLED,
    DESCRIPTION,
];

static CERTIFICATE: &[Field] = &[
    required("name", TEXT, "a name in quotes, as in \"office\""),
    required("certificate", TEXT, "a certificate in PEM form, between three quotes"),
    required("private_key", Value(is::<Secret>), "its key in PEM form, between three quotes"),
    DESCRIPTION,
];

static USER: &[Field] = &[
    required("name", TEXT, "a name in quotes, as in \"alice\""),
    required("role", Value(is::<UserRole>), "\"administrator\", \"operator\" or \"read-only\""),
    required(
        "password_hash",
        Value(is::<Secret>),
        "a hash of Argon2id in quotes; \"koi user password\" makes it",
    ),
    optional("totp_secret", Value(is::<Secret>), "the secret of an authenticator in base32, in quotes"),
    optional("disabled", FLAG, "true or false"),
    DESCRIPTION,
];
