//! The defaults and the bounds of the configuration's numbers, in one place.

use std::ops::RangeInclusive;

/// The version of the document's format that this release reads and writes.
pub const SCHEMA: u32 = 1;
/// Name of a firewall that has none.
pub const HOSTNAME: &str = "koi";
/// MTU of an interface.
pub const MTU: u16 = 1500;
/// MTUs that an interface may have.
pub const MTU_RANGE: RangeInclusive<u16> = 576..=9216;
/// The least MTU of a link that carries IPv6 (RFC 8200 section 5).
pub const MTU_IPV6: u16 = 1280;
/// The least value of pfSense's MSS field.
pub const MSS_MIN: u16 = 576;
/// 802.1Q tags that mean a VLAN (IEEE 802.1Q: 0 is priority only, 4095 reserved).
pub const VLAN_RANGE: RangeInclusive<u16> = 1..=4094;
/// States that the connection table holds.
pub const STATE_LIMIT: u32 = 1_000_000;
/// Sizes that the connection table may have.
pub const STATE_LIMIT_RANGE: RangeInclusive<u32> = 10..=50_000_000;
/// Seconds that a timer may have; the upper end is a year.
pub const TIMEOUT_RANGE: RangeInclusive<u32> = 1..=31_536_000;
/// Share of the state limit, in percent, at which adaptive SYN cookies begin; pf's.
pub const SYNCOOKIES_START: u8 = 25;
/// And below which they end.
pub const SYNCOOKIES_END: u8 = 12;
/// Seconds that a source stays in an overload table, as in pfSense.
pub const OVERLOAD_EXPIRE: u32 = 3600;
/// The most overload tables.
pub const OVERLOAD_TABLE_LIMIT: usize = 64;
/// Half-received datagrams; pfSense's.
pub const FRAGMENT_LIMIT: u32 = 5_000;
/// Such limits.
pub const FRAGMENT_LIMIT_RANGE: RangeInclusive<u32> = 1..=1_000_000;
/// MSS values that a rule may clamp to (RFC 9293 section 3.7.1: every host takes 536).
pub const MAX_MSS_RANGE: RangeInclusive<u16> = 216..=65_495;
/// Time zone of a firewall that has none, as pfSense's.
pub const TIMEZONE: &str = "Etc/UTC";
/// The most name servers.
pub const DNS_SERVER_LIMIT: usize = 8;
/// The most time servers.
pub const TIME_SERVER_LIMIT: usize = 8;
/// The most names of hosts in all aliases.
pub const NAME_LIMIT: usize = 1_000;
/// The most servers that get the firewall log, as pfSense's.
pub const LOG_SERVER_LIMIT: usize = 3;
/// Bytes of a file of the firewall log, as pfSense's.
pub const LOG_FILE_SIZE: u32 = 512_000;
/// Such sizes.
pub const LOG_FILE_SIZE_RANGE: RangeInclusive<u32> = 10_000..=64_000_000;
/// Files of the firewall log that are kept, as pfSense's.
pub const LOG_FILE_COUNT: u8 = 7;
/// Such counts.
pub const LOG_FILE_COUNT_RANGE: RangeInclusive<u8> = 1..=100;
/// The most entries of an alias's file.
pub const LIST_LIMIT: usize = 1_000_000;
/// The most bytes of such a file.
pub const LIST_BYTES: u64 = 32 << 20;
/// HTTPS port of the GUI.
pub const WEB_PORT: u16 = 443;
/// The first rule id of a person's own rules; those below belong to automatic rules.
pub const FIRST_RULE_ID: u32 = 1_000_000;
/// Seconds that a returning node of a pair must have been healthy and in sync.
pub const PREEMPT_DELAY: u32 = 30;
/// Such delays; the upper end is a day.
pub const PREEMPT_DELAY_RANGE: RangeInclusive<u32> = 0..=86_400;
/// Seconds between two CARP advertisements.
pub const ADVBASE: u8 = 1;
/// Such intervals, as pfSense has them.
pub const ADVBASE_RANGE: RangeInclusive<u8> = 1..=254;
/// The largest skew of an advertisement; 255 is how a leaving master bows out.
pub const ADVSKEW_MAX: u8 = 254;
/// What the other node of a pair adds to the skew, as pfSense does.
pub const ADVSKEW_STANDBY: u8 = 100;
/// The longest CARP password in bytes: ucarp and ifconfig take no more.
pub const CARP_PASSWORD_LIMIT: usize = 19;
/// The most virtual IPs: each has a bit in the node's standing.
pub const VIRTUAL_IP_LIMIT: usize = 64;
/// The most nodes in a document: a pair.
pub const NODE_LIMIT: usize = 2;
/// The most ports of a node.
pub const PORT_LIMIT: usize = 64;
/// The most logical interfaces.
pub const INTERFACE_LIMIT: usize = 128;
/// The most addresses of an interface on a node.
pub const ADDRESS_LIMIT: usize = 32;
/// The most gateways.
pub const GATEWAY_LIMIT: usize = 256;
/// The most gateway groups.
pub const GATEWAY_GROUP_LIMIT: usize = 64;
/// Weights of a gateway, and tiers of a group, as pfSense has them.
pub const WEIGHT_RANGE: RangeInclusive<u8> = 1..=30;
/// See [`WEIGHT_RANGE`].
pub const TIER_RANGE: RangeInclusive<u8> = 1..=5;
/// Milliseconds between two probes of a gateway.
pub const PROBE_INTERVAL_RANGE: RangeInclusive<u32> = 50..=60_000;
/// The most probes of a gateway that are looked at together.
pub const PROBE_LIMIT: u32 = 3600;
/// The most bytes behind the header of a probe: it fits every link.
pub const PROBE_PAYLOAD_LIMIT: u16 = 512;
/// The most static routes.
pub const ROUTE_LIMIT: usize = 100_000;
/// The most certificates.
pub const CERTIFICATE_LIMIT: usize = 16;
/// Letters of a certificate with those that vouch for it, or of its key.
pub const PEM_LIMIT: usize = 64 << 10;
/// The most users.
pub const USER_LIMIT: usize = 256;
/// The most memory that a hash of a password may cost, in KiB.
pub const ARGON2_MEMORY_LIMIT: u32 = 256 << 10;
/// The most passes over it.
pub const ARGON2_PASSES_LIMIT: u32 = 10;
/// Costs that an imported hash of bcrypt may have; each one more doubles the time.
pub const BCRYPT_COST_RANGE: RangeInclusive<u32> = 4..=14;
/// Rounds of SHA-512 crypt when it names none.
pub const SHA512_CRYPT_ROUNDS: u32 = 5000;
/// Rounds that an imported hash of it may have.
pub const SHA512_CRYPT_ROUNDS_RANGE: RangeInclusive<u32> = 1000..=500_000;
/// The most filter rules.
pub const RULE_LIMIT: usize = 10_000;
/// The most aliases.
pub const ALIAS_LIMIT: usize = 10_000;
/// The most entries of all aliases together.
pub const ALIAS_ENTRY_LIMIT: usize = 2_000_000;
/// The most schedules.
pub const SCHEDULE_LIMIT: usize = 1_000;
/// The most time ranges of a schedule.
pub const TIME_RANGE_LIMIT: usize = 100;
/// The most different tags.
pub const TAG_LIMIT: usize = 1_000;

/// Letters of the secret that signs notices.
pub const NOTIFICATION_SECRET_RANGE: RangeInclusive<usize> = 8..=128;
