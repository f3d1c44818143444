//! Packets as bytes: one file per protocol, and the few types that travel down the packet path.
//!
//! Invariant: every parser here is total. Any byte string gives a value or a named [`Drop`], in one pass,
//! without allocation and without panicking.

pub mod arp;
pub mod carp;
pub mod checksum;
pub mod coalesce;
pub mod datagram;
pub mod dns;
mod drop;
pub mod echo;
pub mod filter;
mod flow_key;
pub mod fragment;
mod frame;
pub mod handshake;
mod headers;
pub mod icmp_error;
pub mod icmpv6;
mod layout;
pub mod mld;
pub mod mss;
pub mod nd;
pub mod normal;
pub mod ntp;
pub mod options;
mod packet;
pub mod pair;
pub mod probe;
pub mod reassembly;
pub mod reset;
#[cfg(test)]
mod sample;
pub mod segment;

pub use coalesce::Offload;
pub use drop::Drop;
pub use flow_key::{FlowKey, FlowKey4, FlowKey6};
pub use frame::{ChecksumState, FrameBuf, Gso, GsoKind, Pool};
pub use layout::{Fragment, Layout, Transport};
pub use packet::{Packet, Parsed, Seen};

/// EtherType numbers.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// An 802.1Q tag.
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
}

/// IP protocol numbers.
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// CARP (shared with VRRP).
    pub const CARP: u8 = 112;
}

/// TCP flag bits.
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is meant.
    pub const ACK: u8 = 0x10;
    /// Urgent pointer is meant.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}
