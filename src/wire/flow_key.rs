//! What names a flow: addresses, ports, protocol.
//!
//! Protocols without ports have both zero. An ICMP query has its identifier as source port and the number of
//! the request's type as destination port; its answer the other way round, so that the answer's key is the
//! inverse of the query's, and translating the identifier is translating the source port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::types::Family;

/// An IPv4 flow as one packet shows it. 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey4 {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Source port or query identifier.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// IP protocol number.
    pub protocol: u8,
}

/// An IPv6 flow as one packet shows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey6 {
    /// Source address.
    pub src: Ipv6Addr,
    /// Destination address.
    pub dst: Ipv6Addr,
    /// Source port or query identifier.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Number of the transport protocol (after extension headers).
    pub protocol: u8,
}

impl FlowKey4 {
    /// The key of the packets that answer.
    pub const fn inverse(self) -> Self {
        let FlowKey4 { src, dst, src_port, dst_port, protocol } = self;
        FlowKey4 { src: dst, dst: src, src_port: dst_port, dst_port: src_port, protocol }
    }
}

impl FlowKey6 {
    /// The key of the packets that answer.
    pub const fn inverse(self) -> Self {
        let FlowKey6 { src, dst, src_port, dst_port, protocol } = self;
        FlowKey6 { src: dst, dst: src, src_port: dst_port, dst_port: src_port, protocol }
    }
}

/// A flow of either family.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowKey {
    /// IPv4.
    V4(FlowKey4),
    /// IPv6.
    V6(FlowKey6),
}

impl FlowKey {
    /// The key with these parts; `None` when the addresses are of different families.
    pub const fn new(protocol: u8, src: IpAddr, src_port: u16, dst: IpAddr, dst_port: u16) -> Option<Self> {
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                Some(FlowKey::V4(FlowKey4 { src, dst, src_port, dst_port, protocol }))
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                Some(FlowKey::V6(FlowKey6 { src, dst, src_port, dst_port, protocol }))
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }

    /// The key of the packets that answer.
    pub const fn inverse(self) -> Self {
        match self {
            FlowKey::V4(key) => FlowKey::V4(key.inverse()),
            FlowKey::V6(key) => FlowKey::V6(key.inverse()),
        }
    }

    /// Source address.
    pub const fn src(&self) -> IpAddr {
        match self {
            FlowKey::V4(key) => IpAddr::V4(key.src),
            FlowKey::V6(key) => IpAddr::V6(key.src),
        }
    }

    /// Destination address.
    pub const fn dst(&self) -> IpAddr {
        match self {
            FlowKey::V4(key) => IpAddr::V4(key.dst),
            FlowKey::V6(key) => IpAddr::V6(key.dst),
        }
    }

    /// Source port or query identifier.
    pub const fn src_port(&self) -> u16 {
        match self {
            FlowKey::V4(key) => key.src_port,
            FlowKey::V6(key) => key.src_port,
        }
    }

    /// Destination port.
    pub const fn dst_port(&self) -> u16 {
        match self {
            FlowKey::V4(key) => key.dst_port,
            FlowKey::V6(key) => key.dst_port,
        }
    }

    /// IP protocol number.
    pub const fn protocol(&self) -> u8 {
        match self {
            FlowKey::V4(key) => key.protocol,
            FlowKey::V6(key) => key.protocol,
        }
    }

    /// Address family.
    pub const fn family(&self) -> Family {
        match self {
            FlowKey::V4(_) => Family::Inet,
            FlowKey::V6(_) => Family::Inet6,
        }
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.protocol() {
            1 => "icmp",
            6 => "tcp",
            17 => "udp",
            58 => "icmp6",
            other => return write!(f, "proto-{other} {} -> {}", self.src(), self.dst()),
        };
        match self {
            FlowKey::V4(k) => write!(f, "{name} {}:{} -> {}:{}", k.src, k.src_port, k.dst, k.dst_port),
            FlowKey::V6(k) => write!(f, "{name} [{}]:{} -> [{}]:{}", k.src, k.src_port, k.dst, k.dst_port),
        }
    }
}

impl fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for FlowKey4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&FlowKey::V4(*self), f)
    }
}

impl fmt::Debug for FlowKey6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&FlowKey::V6(*self), f)
    }
}
