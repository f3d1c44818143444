//! Where things are in a packet, and what its headers say: words that the whole packet path uses.
//!
//! Invariant: the offsets of a [`Layout`] lie inside its packet and agree with its bytes.

use super::{FlowKey, protocol, tcp_flags};

/// Offsets from the beginning of the frame, and the facts that policy and tracking ask for.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// What names the flow.
    pub key: FlowKey,
    /// Offset of the IP header.
    pub l3: u16,
    /// Offset of the transport header. In a later fragment: of the fragment's data.
    pub l4: u16,
    /// End of the IP packet; the frame may be longer (padding).
    pub end: u32,
    /// The transport header.
    pub transport: Transport,
    /// Fragmentation.
    pub fragment: Fragment,
    /// TTL or hop limit as received.
    pub hop_limit: u8,
    /// DSCP and ECN byte (IPv4 TOS, IPv6 traffic class).
    pub traffic_class: u8,
    /// IPv4's DF; always true for IPv6.
    pub dont_fragment: bool,
    /// IPv4 options or IPv6 extension headers other than a fragment header are present.
    pub options: bool,
    /// Size of the largest fragment (IP header included) that this packet was put together from.
    pub reassembled: Option<u16>,
}

/// Place of a packet among the fragments of its datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fragment {
    /// Not a fragment (an IPv6 atomic fragment, RFC 6946, counts as one).
    Whole,
    /// A fragment. `offset` in bytes; `header` is the offset in the frame of IPv6's fragment header (0 in IPv4).
    Part {
        /// Byte offset in the datagram's payload.
        offset: u16,
        /// More fragments follow.
        more: bool,
        /// Identification.
        id: u32,
        /// Offset in the frame of the IPv6 fragment header; zero for IPv4.
        header: u16,
        /// Protocol of the first byte of the datagram's payload.
        protocol: u8,
    },
}

/// The transport header, as far as tracking needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP.
    Tcp {
        /// Flag bits, see [`super::tcp_flags`].
        flags: u8,
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Window, unscaled.
        window: u16,
        /// Header length with options.
        header_len: u8,
    },
    /// UDP.
    Udp,
    /// ICMP or ICMPv6 query: `request` tells question from answer. Echo, timestamp and the like.
    IcmpQuery {
        /// True for the question.
        request: bool,
    },
    /// ICMP or ICMPv6 error: it quotes another packet.
    IcmpError {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
    /// Other ICMP or ICMPv6 (neighbour discovery, MLD, router messages).
    IcmpOther {
        /// ICMP type.
        kind: u8,
    },
    /// Any other protocol, or a later fragment.
    Other,
}

impl Transport {
    /// The transport of a flow's first packet as far as the key alone tells; for questions about a flow, not a packet.
    pub fn of_flow(key: &FlowKey) -> Self {
        match key.protocol() {
            protocol::TCP => {
                Transport::Tcp { flags: tcp_flags::SYN, seq: 0, ack: 0, window: 0, header_len: 20 }
            }
            protocol::UDP => Transport::Udp,
            protocol::ICMP | protocol::ICMPV6 => Transport::IcmpQuery { request: true },
            _ => Transport::Other,
        }
    }
}
