//! Every way to lose a packet.

use std::fmt;

use serde::Serialize;

macro_rules! drops {
    ($($variant:ident, $name:literal, $what:literal;)*) => {
        /// Why a packet went no further. Each variant is a counter with a name that an operator understands.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Drop {
            $(#[doc = $what] $variant,)*
        }

        impl Drop {
            /// All reasons, in the order of their counters.
            pub const ALL: &'static [Drop] = &[$(Drop::$variant,)*];
            /// How many reasons there are.
            pub const COUNT: usize = Drop::ALL.len();

            /// The name of the counter.
            pub const fn name(self) -> &'static str {
                match self { $(Drop::$variant => $name,)* }
            }

            /// A sentence for people.
            pub const fn describe(self) -> &'static str {
                match self { $(Drop::$variant => $what,)* }
            }
        }
    };
}

drops! {
    // Link layer.
    ShortFrame, "short-frame", "The frame ends inside its Ethernet header.";
    NotForUs, "not-for-us", "The frame was sent to another station's MAC address.";
    UnknownEtherType, "unknown-ethertype", "Neither IPv4, IPv6 nor ARP.";
    UnknownVlan, "unknown-vlan", "No interface is configured for this 802.1Q tag on this port.";
    PortDown, "port-down", "The port that should send the packet has no link.";
    // IP headers.
    IpHeader, "ip-header", "The IP header is malformed: version, header length or total length.";
    IpChecksum, "ip-checksum", "The IPv4 header checksum is wrong.";
    IpOptions, "ip-options", "IP options are not allowed by the rule: IPv4 options, IPv6 hop-by-hop or destination options.";
    Ipv6Extension, "ipv6-extension", "The chain of IPv6 extension headers is malformed, too long or split.";
    SourceRoute, "source-route", "An IPv4 source route: routers find the way themselves.";
    OptionsInvalid, "options-invalid", "An option with an impossible length.";
    RoutingHeader, "routing-header", "An IPv6 type 0 routing header.";
    TransportHeader, "transport-header", "The packet ends inside its transport header, or that header is malformed.";
    TransportChecksum, "transport-checksum", "The TCP, UDP or ICMP checksum is wrong.";
    TcpFlags, "tcp-flags", "An impossible combination of TCP flags.";
    Gso, "gso", "An offload header that contradicts the frame it describes.";
    // Addresses.
    Martian, "martian", "A source or destination address that must never be forwarded.";
    Spoofed, "spoofed", "A source address that does not live behind this interface.";
    Land, "land", "Source and destination are the same address.";
    Multicast, "multicast", "Multicast or broadcast is not forwarded.";
    LinkLocal, "link-local", "Link-local addresses are not forwarded.";
    // Fragments.
    FragmentShort, "fragment-short", "A fragment too small, misaligned, or past the end of any packet.";
    FragmentOverlap, "fragment-overlap", "Overlapping fragments: the whole datagram is dropped.";
    FragmentDuplicate, "fragment-duplicate", "A fragment that had already arrived.";
    FragmentLimit, "fragment-limit", "Too many fragments or too many half-received datagrams.";
    FragmentRefused, "fragment-refused", "Fragments are not taken by this interface.";
    FragmentTimeout, "fragment-timeout", "The rest of the datagram did not arrive in time.";
    FragmentNeeded, "fragment-needed", "Larger than the next link takes, and must not be fragmented.";
    // Policy.
    BlockedIn, "blocked-in", "Blocked by a rule on the way in.";
    BlockedOut, "blocked-out", "Blocked by a rule on the way out.";
    NoFlow, "no-flow", "Belongs to no known flow and may not begin one.";
    // Connection table.
    StateLimit, "state-limit", "The connection table is full.";
    StateClash, "state-clash", "A new flow whose addresses and ports, on one of its sides, are another flow's.";
    StateMismatch, "state-mismatch", "Outside the TCP window, or impossible in the flow's present state.";
    InterfaceMismatch, "interface-mismatch", "The flow is bound to another interface.";
    IcmpUnmatched, "icmp-unmatched", "An ICMP error that quotes no known flow.";
    SourceLimit, "source-limit", "One source holds too many half-open connections.";
    ConnectionLimit, "connection-limit", "The source has more connections of the rule, or makes them faster, than it may.";
    Overload, "overload", "The source is in an overload table: it made connections too fast.";
    Synproxy, "synproxy", "A part of a handshake that the router completes itself: nothing is lost.";
    Pressure, "pressure", "More comes in by the port than one processor carries: known flows come before new ones.";
    RuleLimit, "rule-limit", "The rule has as many flows, or as many of this source, as it may have.";
    PortsExhausted, "ports-exhausted", "No port is left to translate this flow to.";
    PrefixUnmapped, "prefix-unmapped", "An address that has no counterpart in the other prefix (RFC 6296).";
    // Routing and neighbours.
    NoRoute, "no-route", "No route to the destination.";
    TtlExceeded, "ttl-exceeded", "TTL or hop limit ran out here.";
    NeighbourPending, "neighbour-pending", "The next hop's MAC address is being asked for and the waiting room is full.";
    NeighbourFailed, "neighbour-failed", "The next hop does not answer ARP or neighbour discovery.";
    NeighbourLimit, "neighbour-limit", "The neighbour table is full.";
    NeighbourRate, "neighbour-rate", "Too many addresses that nobody has answered for are being asked for at once.";
    ArpInvalid, "arp-invalid", "A malformed or implausible ARP packet.";
    NdInvalid, "nd-invalid", "A malformed or implausible neighbour discovery packet.";
    CarpInvalid, "carp-invalid", "A malformed CARP advertisement, or one that was not sent on this link.";
    // The pair.
    Standby, "standby", "The active node's business: this one stands by, or its lease is over.";
    RelayFull, "relay-full", "Passed on during a handover faster than the cable between the nodes carries.";
    RelayStray, "relay-stray", "Passed on by the peer's node outside of a handover, or in no order.";
    DetourRate, "detour-rate", "Too much of the standby's own traffic at once on its way through the active node.";
    DetourStray, "detour-stray", "Handed over by the peer's node, but none of its own packets, nor an answer to one of ours.";
    ControlQueue, "control-queue", "Too many packets of the pair or of CARP came in at once.";
    // The router itself.
    HostClosed, "host-closed", "Addressed to the router, where nothing listens.";
    HostQueue, "host-queue", "The router's own stack is too busy.";
    IcmpRateLimit, "icmp-rate-limit", "An ICMP error was not sent because of the rate limit.";
    SendQueue, "send-queue", "The kernel did not take the frame: the device is full or gone.";
}

impl fmt::Display for Drop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_index_their_counter() {
        let mut names: Vec<_> = Drop::ALL.iter().map(|drop| drop.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Drop::COUNT);
        for (index, drop) in Drop::ALL.iter().enumerate() {
            assert_eq!(*drop as usize, index);
        }
    }
}
