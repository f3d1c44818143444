//! The firewall log in words: what was decided about which packet, by which rule.

mod herald;
mod message;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use herald::Herald;
pub use message::{date, message};

/// The UDP port of syslog (RFC 5426).
pub const PORT: u16 = 514;

/// A logged decision, in words.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LogRow {
    /// Counts the records of a router process from 1; `koi explain --log` takes it.
    pub id: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// `pass`, `block` or `reject`.
    pub action: String,
    /// The counter of a packet that was dropped.
    pub reason: Option<String>,
    /// The interface that it was crossing.
    pub interface: String,
    /// `in` or `out`.
    pub direction: String,
    /// The interface by which it had come in; `self` for the router's own.
    pub ingress: String,
    /// The rule that decided.
    pub rule: u32,
    /// What that is for.
    pub description: String,
    /// IP protocol number.
    pub protocol: u8,
    /// Source address.
    pub src: Option<IpAddr>,
    /// Source port; of ICMP its identifier.
    pub sport: u16,
    /// Destination address.
    pub dst: Option<IpAddr>,
    /// Destination port; of ICMP its type.
    pub dport: u16,
    /// TCP's flags in pf's letters.
    pub flags: Option<String>,
    /// Code point.
    pub dscp: u8,
    /// Bytes of the IP packet.
    pub length: u32,
}

impl LogRow {
    /// When, by RFC 3339.
    pub fn date(&self) -> String {
        date(self.at_ms)
    }

    /// Name of the protocol, or its number.
    pub fn protocol_word(&self) -> String {
        match self.protocol {
            1 => "icmp".into(),
            6 => "tcp".into(),
            17 => "udp".into(),
            58 => "ipv6-icmp".into(),
            number => number.to_string(),
        }
    }

    /// One line without date: `block in on wan tcp 192.0.2.1:1 -> 198.51.100.2:22 S, rule 1000001 (No entry)`.
    pub fn text(&self) -> String {
        let has_ports = matches!(self.protocol, 6 | 17);
        let end = |address: Option<IpAddr>, port: u16| match (address, if has_ports { port } else { 0 }) {
            (None, _) => "?".into(),
            (Some(address), 0) => address.to_string(),
            (Some(IpAddr::V4(address)), port) => format!("{address}:{port}"),
            (Some(IpAddr::V6(address)), port) => format!("[{address}]:{port}"),
        };
        let flags = self.flags.as_ref().map_or(String::new(), |flags| format!(" {flags}"));
        let description =
            if self.description.is_empty() { String::new() } else { format!(" ({})", self.description) };
        format!(
            "{} {} on {} {} {} -> {}{flags} length {}, rule {}{description}",
            self.action,
            self.direction,
            self.interface,
            self.protocol_word(),
            end(self.src, self.sport),
            end(self.dst, self.dport),
            self.length,
            self.rule,
        )
    }
}
