//! Multicast listener discovery, the listener's side (RFC 3810, and RFC 2710 for older queriers).
//!
//! Switches that snoop forward a group only to ports where somebody reported it: without reports, nobody's
//! solicitations would reach this router.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::icmpv6::{self, Envelope, HopLimit};
use super::{Drop, FrameBuf, Packet, protocol};
use crate::types::MacAddr;

/// All routers that listen to MLDv2 reports.
pub const ALL_MLD_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// ICMPv6 type of a query.
pub const QUERY: u8 = 130;
/// ICMPv6 type of a version 1 report.
const REPORT_1: u8 = 131;
/// ICMPv6 type of a version 2 report.
const REPORT_2: u8 = 143;
/// Groups that fit one report within IPv6's least MTU.
const GROUPS_PER_REPORT: usize = 60;

/// The version that a querier speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// RFC 2710.
    One,
    /// RFC 3810.
    Two,
}

/// Who listens to what?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query {
    /// The version that the querier speaks.
    pub version: Version,
    /// The answer is due within this time.
    pub within: Duration,
    /// The group asked about; all of them when unspecified.
    pub group: Ipv6Addr,
}

impl Query {
    /// Reads the query in a packet.
    ///
    /// # Errors
    /// [`Drop::NdInvalid`] when it is malformed or not from this link, [`Drop::TransportChecksum`].
    pub fn read(packet: &Packet) -> Result<Self, Drop> {
        let (IpAddr::V6(source), 1) = (packet.layout.key.src(), packet.layout.hop_limit) else {
            return Err(Drop::NdInvalid);
        };
        // RFC 3810 section 5.1.14: queries come from a link-local address.
        if packet.layout.key.protocol() != protocol::ICMPV6 || !source.is_unicast_link_local() {
            return Err(Drop::NdInvalid);
        }
        if !packet.transport_checksum_ok() {
            return Err(Drop::TransportChecksum);
        }
        Query::parse(packet.transport()).ok_or(Drop::NdInvalid)
    }

    /// Reads an ICMPv6 message; `None` when it is no query.
    pub fn parse(icmp: &[u8]) -> Option<Self> {
        let octets: [u8; 16] = icmp.get(8..24)?.try_into().ok()?;
        let code = u16::from_be_bytes([icmp[4], icmp[5]]);
        // RFC 3810 section 8.1: the length tells the version; what is between is neither.
        let version = match icmp.len() {
            24 => Version::One,
            28.. => Version::Two,
            _ => return None,
        };
        let millis = match version {
            Version::Two if code >= 0x8000 => (u32::from(code & 0x0fff) | 0x1000) << (((code >> 12) & 7) + 3),
            Version::One | Version::Two => u32::from(code),
        };
        let group = Ipv6Addr::from(octets);
        (icmp[0] == QUERY).then_some(Query { version, within: Duration::from_millis(millis.into()), group })
    }
}

/// Why a report is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The groups are new (CHANGE_TO_EXCLUDE_MODE, no sources).
    Joined,
    /// Somebody asked (MODE_IS_EXCLUDE, no sources).
    Asked,
}

/// Version 2 reports of all these groups.
pub fn reports(
    from_mac: MacAddr,
    from: Ipv6Addr,
    reason: Reason,
    groups: &[Ipv6Addr],
) -> impl Iterator<Item = FrameBuf> + '_ {
    let record = match reason {
        Reason::Asked => 2,
        Reason::Joined => 4,
    };
    groups.chunks(GROUPS_PER_REPORT).map(move |groups| {
        let mut icmp = vec![REPORT_2, 0, 0, 0, 0, 0];
        icmp.extend_from_slice(&(groups.len() as u16).to_be_bytes());
        for group in groups {
            icmp.extend_from_slice(&[record, 0, 0, 0]);
            icmp.extend_from_slice(&group.octets());
        }
        icmpv6::frame(Envelope::to_group(from_mac, from, ALL_MLD_ROUTERS), HopLimit::Listeners, icmp)
    })
}

/// A version 1 report of one group, which goes to that group.
pub fn report_version_1(from_mac: MacAddr, from: Ipv6Addr, group: Ipv6Addr) -> FrameBuf {
    let mut icmp = vec![REPORT_1, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend_from_slice(&group.octets());
    icmpv6::frame(Envelope::to_group(from_mac, from, group), HopLimit::Listeners, icmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Parsed, nd};
    use proptest::prelude::*;

    fn query(code: u16, length: usize) -> Vec<u8> {
        let mut icmp = vec![QUERY, 0, 0, 0];
        icmp.extend_from_slice(&code.to_be_bytes());
        icmp.resize(length, 0);
        icmp
    }

    #[test]
    fn the_length_tells_the_version_and_the_code_the_time() {
        let table = [
            (1000, 24, Some((Version::One, 1000))),
            (0xffff, 24, Some((Version::One, 65_535))),
            (1000, 28, Some((Version::Two, 1000))),
            (0x8000, 28, Some((Version::Two, 32_768))),
            (0xffff, 28, Some((Version::Two, 8_387_584))),
            (1000, 26, None),
            (1000, 23, None),
        ];
        for (code, length, expected) in table {
            let read = Query::parse(&query(code, length));
            let expected = expected.map(|(version, millis)| Query {
                version,
                within: Duration::from_millis(millis),
                group: Ipv6Addr::UNSPECIFIED,
            });
            assert_eq!(read, expected, "{code} {length}");
        }
    }

    #[test]
    fn a_report_has_router_alert_hop_limit_1_and_a_right_checksum() {
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let groups = vec![nd::ALL_ROUTERS; 61];
        let frames: Vec<_> = reports(mac, icmpv6::link_local(mac), Reason::Joined, &groups).collect();
        assert_eq!(frames.len(), 2, "61 groups do not fit one packet");
        for frame in frames {
            let Ok(Parsed::Ip(packet)) = Packet::parse(frame) else { panic!("IPv6") };
            assert!(packet.transport_checksum_ok());
            assert_eq!((packet.layout.hop_limit, packet.layout.options), (1, true));
            assert_eq!(packet.dst_mac().to_string(), "33:33:00:00:00:16");
            assert_eq!(packet.ip()[40..48], [58, 0, 5, 2, 0, 0, 1, 0]);
            assert!(packet.ip().len() <= 1280);
        }
    }

    proptest! {
        #[test]
        fn total_on_arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            Query::parse(&bytes);
        }
    }
}
