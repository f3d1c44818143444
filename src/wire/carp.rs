//! CARP version 2 on the wire: advertisements as FreeBSD, OpenBSD and ucarp write them, and their digest.
//!
//! Protocol 112, the group and the version nibble are VRRP version 2's too. Receivers look at the version, the VHID,
//! the checksum and the digest and at nothing else, and so do we.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ring::hmac;

use super::icmpv6::group_mac;
use super::{Drop, Fragment, FrameBuf, Packet, checksum, ethertype, protocol};
use crate::types::{MacAddr, Vhid};

/// Where IPv4 advertisements go.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where IPv6 advertisements go.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// Length of an advertisement.
pub const LEN: usize = 36;

/// The MAC address of [`GROUP_V4`] (RFC 1112 section 6.4).
const GROUP_V4_MAC: MacAddr = MacAddr([0x01, 0x00, 0x5e, 0x00, 0x00, 0x12]);
const VERSION: u8 = 2;
/// The only type: an advertisement.
const ADVERTISEMENT: u8 = 1;
/// Counter and digest, in words of 32 bits.
const AUTHLEN: u8 = 7;
/// As ucarp and the older BSDs: low delay.
const TOS: u8 = 0x10;

/// The MAC address under which the virtual addresses of a VHID are reached.
pub const fn virtual_mac(vhid: Vhid) -> MacAddr {
    vhid.mac()
}

/// An advertisement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repr {
    /// Whose it is; never zero.
    pub vhid: Vhid,
    /// 256ths of a second on top of `advbase`: the less, the better. Not covered by the digest.
    pub advskew: u8,
    /// Seconds between two advertisements. Not covered by the digest.
    pub advbase: u8,
    /// OpenBSD: low bits of the sender's demotion counter; zero elsewhere ("reserved"). Not covered by the digest.
    pub demotion: u8,
    /// Differs from one advertisement to the next.
    pub counter: u64,
    /// Proves the password and the list of addresses: see [`Signer`].
    pub digest: [u8; 20],
}

impl Repr {
    /// Reads the advertisement in a packet. `unicast`: advertisements of this VHID come from afar, so that the TTL
    /// proves nothing.
    ///
    /// # Errors
    /// [`Drop::CarpInvalid`] when it is none, [`Drop::TransportChecksum`] when its checksum is wrong.
    pub fn read(packet: &Packet, unicast: bool) -> Result<Self, Drop> {
        let near = unicast || packet.layout.hop_limit == 255;
        let whole = packet.layout.fragment == Fragment::Whole;
        if packet.layout.key.protocol() != protocol::CARP || !near || !whole {
            return Err(Drop::CarpInvalid);
        }
        let bytes = packet.transport().get(..LEN).ok_or(Drop::CarpInvalid)?;
        if checksum::sum(bytes) != 0xffff {
            return Err(Drop::TransportChecksum);
        }
        Repr::parse(bytes).ok_or(Drop::CarpInvalid)
    }

    /// Reads an advertisement; `None` when it is too short, of another version, for no VHID, or its checksum is wrong.
    /// Type, authentication length and whatever follows are not looked at, as nobody does.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.get(..LEN)?.try_into().ok()?;
        let &[kind, vhid, advskew, _, demotion, advbase, ..] = bytes;
        if kind >> 4 != VERSION || vhid == 0 || checksum::sum(bytes) != 0xffff {
            return None;
        }
        Some(Repr {
            vhid: Vhid(vhid),
            advskew,
            advbase,
            demotion,
            counter: u64::from_be_bytes(bytes[8..16].try_into().ok()?),
            digest: bytes[16..].try_into().ok()?,
        })
    }

    /// The advertisement as bytes.
    pub fn emit(&self) -> [u8; LEN] {
        let Repr { vhid, advskew, advbase, demotion, counter, digest } = *self;
        let mut bytes = [0u8; LEN];
        bytes[..6].copy_from_slice(&[
            VERSION << 4 | ADVERTISEMENT,
            vhid.0,
            advskew,
            AUTHLEN,
            demotion,
            advbase,
        ]);
        bytes[8..16].copy_from_slice(&counter.to_be_bytes());
        bytes[16..].copy_from_slice(&digest);
        let sum = !checksum::sum(&bytes);
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The whole frame.
    pub fn frame(&self, envelope: Envelope) -> FrameBuf {
        let mut bytes = Vec::with_capacity(54 + LEN);
        match envelope {
            Envelope::V4 { from_mac, to_mac, from, to } => {
                bytes.extend_from_slice(&to_mac.0);
                bytes.extend_from_slice(&from_mac.0);
                bytes.extend_from_slice(&ethertype::IPV4.to_be_bytes());
                bytes.extend_from_slice(&header_v4(from, to));
            }
            Envelope::V6 { from_mac, to_mac, from, to } => {
                bytes.extend_from_slice(&to_mac.0);
                bytes.extend_from_slice(&from_mac.0);
                bytes.extend_from_slice(&ethertype::IPV6.to_be_bytes());
                // The traffic class stands across two bytes.
                bytes.extend_from_slice(&[0x60 | TOS >> 4, TOS << 4, 0, 0, 0, LEN as u8]);
                bytes.extend_from_slice(&[protocol::CARP, 255]);
                bytes.extend_from_slice(&from.octets());
                bytes.extend_from_slice(&to.octets());
            }
        }
        bytes.extend_from_slice(&self.emit());
        FrameBuf::copy_of(&bytes)
    }
}

/// The virtual router of a VRRP advertisement over IPv4 (RFC 3768, RFC 5798): its number makes the same MAC address as
/// a VHID's. `None` for anything else. Version 2 with five addresses looks like CARP, and then has a wrong digest.
pub fn vrrp_router(packet: &Packet) -> Option<Vhid> {
    let near = packet.layout.hop_limit == 255 && packet.layout.fragment == Fragment::Whole;
    let &[kind, router, ..] = packet.transport().get(..8)? else { return None };
    let vrrp = matches!(kind, 0x21 | 0x31) && router != 0 && packet.layout.key.src().is_ipv4();
    (near && vrrp && packet.layout.key.protocol() == protocol::CARP).then_some(Vhid(router))
}

/// RFC 6864 section 4.1: what must not be fragmented needs no identification.
fn header_v4(from: Ipv4Addr, to: Ipv4Addr) -> [u8; 20] {
    let mut header = [0u8; 20];
    header[..4].copy_from_slice(&[0x45, TOS, 0, 20 + LEN as u8]);
    header[6..10].copy_from_slice(&[0x40, 0, 255, protocol::CARP]);
    header[12..16].copy_from_slice(&from.octets());
    header[16..].copy_from_slice(&to.octets());
    let sum = !checksum::sum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// Who sends an advertisement to whom. The BSDs send to the group from the virtual MAC address, so that switches learn
/// where it is, and to a single peer from their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Envelope {
    /// Over IPv4.
    V4 {
        /// Source MAC address.
        from_mac: MacAddr,
        /// Destination MAC address.
        to_mac: MacAddr,
        /// The node's own address.
        from: Ipv4Addr,
        /// The group, or a peer.
        to: Ipv4Addr,
    },
    /// Over IPv6.
    V6 {
        /// Source MAC address.
        from_mac: MacAddr,
        /// Destination MAC address.
        to_mac: MacAddr,
        /// The node's own link-local address.
        from: Ipv6Addr,
        /// The group, or a peer.
        to: Ipv6Addr,
    },
}

impl Envelope {
    /// To the group of the sender's family.
    pub fn to_group(from_mac: MacAddr, from: IpAddr) -> Self {
        match from {
            IpAddr::V4(from) => Envelope::V4 { from_mac, to_mac: GROUP_V4_MAC, from, to: GROUP_V4 },
            IpAddr::V6(from) => Envelope::V6 { from_mac, to_mac: group_mac(GROUP_V6), from, to: GROUP_V6 },
        }
    }
}

/// Signs and verifies the advertisements of a VHID: HMAC-SHA1 with the password, as typed, over version, type, VHID,
/// the virtual addresses and the counter.
///
/// The key buffer of the others has 20 bytes: of a longer password they know only the first 19.
pub struct Signer {
    key: hmac::Key,
    /// What is hashed ahead of the counter.
    prefix: Vec<u8>,
}

impl Signer {
    /// A signer for these virtual addresses, in any order; duplicates count once.
    pub fn new(password: &str, vhid: Vhid, addresses: &[IpAddr]) -> Self {
        let mut v4: Vec<[u8; 4]> = Vec::new();
        let mut v6: Vec<[u8; 16]> = Vec::new();
        for address in addresses {
            match address {
                IpAddr::V4(address) => v4.push(address.octets()),
                IpAddr::V6(address) => v6.push(without_scope(*address)),
            }
        }
        v4.sort_unstable();
        v4.dedup();
        v6.sort_unstable();
        v6.dedup();
        // Version and type are a byte each here, unlike on the wire.
        let mut prefix = vec![VERSION, ADVERTISEMENT, vhid.0];
        prefix.extend(v4.iter().flatten());
        prefix.extend(v6.iter().flatten());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        Signer { key, prefix }
    }

    /// The digest of an advertisement with this counter.
    pub fn sign(&self, counter: u64) -> [u8; 20] {
        let tag = hmac::sign(&self.key, &self.message(counter));
        let mut digest = [0u8; 20];
        digest.copy_from_slice(tag.as_ref());
        digest
    }

    /// True when the digest is right; takes the same time wherever it is wrong.
    pub fn verify(&self, advert: &Repr) -> bool {
        hmac::verify(&self.key, &self.message(advert.counter), &advert.digest).is_ok()
    }

    fn message(&self, counter: u64) -> Vec<u8> {
        [&self.prefix[..], &counter.to_be_bytes()].concat()
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

/// The BSDs keep the interface's number in bytes 2 and 3 of a link-local address, and hash it as zero.
fn without_scope(address: Ipv6Addr) -> [u8; 16] {
    let mut octets = address.octets();
    if address.is_unicast_link_local() {
        octets[2..4].fill(0);
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sample::parse;
    use proptest::prelude::*;

    const CAPTURED: &str = "01005e00001200005e00002a0800\
        4510003826234000ff706ac20a4d0001e0000012\
        212a05070001ad7717de4e10fa6f7871ed3c19ec7dc5f491511d255eeb449ecb2f40aa39";

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_frame_of_ucarp_s_is_read_verified_and_written_again() {
        let bytes = hex(CAPTURED);
        let advert = Repr::read(&parse(&bytes), false).unwrap();
        assert_eq!((advert.vhid, advert.advskew, advert.advbase, advert.demotion), (Vhid(42), 5, 1, 0));
        assert_eq!(advert.counter, 0x17de_4e10_fa6f_7871);
        let signer = Signer::new("sekrit", Vhid(42), &addresses(&["10.77.0.100"]));
        assert!(signer.verify(&advert));
        assert_eq!(signer.sign(advert.counter), advert.digest);
        let frame =
            advert.frame(Envelope::to_group("00:00:5e:00:00:2a".parse().unwrap(), [10, 77, 0, 1].into()));
        let mut written = frame.bytes().to_vec();
        // Ours has no identification.
        written[18..20].copy_from_slice(&bytes[18..20]);
        written[24..26].copy_from_slice(&bytes[24..26]);
        assert_eq!(written, bytes);
    }

    #[test]
    fn digests_and_checksums_of_freebsd_s_algorithm() {
        type Row = (&'static str, u8, &'static [&'static str], u64, &'static str, &'static str);
        let table: [Row; 5] = [
            (
                "sekrit",
                42,
                &["10.77.0.200", "10.77.0.100", "9.255.255.1"],
                1,
                "bfe935e1586eb574be3b21896c23909a9dc08305",
                "ddd5",
            ),
            (
                "sekrit",
                42,
                &["2001:db8::1", "10.77.0.100", "fe80::1"],
                1,
                "387ff09d389047668caa848011283611a1dec5da",
                "759b",
            ),
            // An embedded scope, and the same address twice.
            (
                "sekrit",
                42,
                &["fe80:7::1", "10.77.0.100", "2001:db8::1", "10.77.0.100"],
                1,
                "387ff09d389047668caa848011283611a1dec5da",
                "759b",
            ),
            ("", 1, &["192.0.2.1"], 0, "bbe88f01caf95b48d25fe8f2a7166f4d7a474ff0", "d1db"),
            // Zeros behind the password change nothing: theirs stands in a buffer of 20 bytes.
            ("\0\0\0", 1, &["192.0.2.1"], 0, "bbe88f01caf95b48d25fe8f2a7166f4d7a474ff0", "d1db"),
        ];
        for (password, vhid, list, counter, digest, sum) in table {
            let vhid = Vhid(vhid);
            let signer = Signer::new(password, vhid, &addresses(list));
            let advert =
                Repr { vhid, advskew: 0, advbase: 1, demotion: 0, counter, digest: signer.sign(counter) };
            assert_eq!(advert.digest, hex(digest)[..], "{list:?}");
            assert_eq!(advert.emit()[6..8], hex(sum)[..], "{list:?}");
        }
    }

    #[test]
    fn over_ipv6_to_the_group() {
        let advert = Repr::read(&parse(&hex(CAPTURED)), false).unwrap();
        let from: Ipv6Addr = "fe80::1".parse().unwrap();
        let packet = parse(advert.frame(Envelope::to_group(virtual_mac(advert.vhid), from.into())).bytes());
        assert_eq!(packet.src_mac().to_string(), "00:00:5e:00:01:2a");
        assert_eq!(packet.dst_mac().to_string(), "33:33:00:00:00:12");
        assert_eq!((packet.layout.key.src(), packet.layout.key.dst()), (from.into(), GROUP_V6.into()));
        assert_eq!(
            (packet.layout.hop_limit, packet.layout.traffic_class, packet.ip().len()),
            (255, 0x10, 76)
        );
        assert_eq!(Repr::read(&packet, false), Ok(advert));
    }

    /// Only VHID, version, checksum and TTL may refuse; the digest is judged by whoever knows the password.
    #[test]
    fn each_byte_of_the_header_and_who_looks_at_it() {
        let good = Repr::parse(&hex(CAPTURED)[34..]).unwrap().emit();
        for at in 0..LEN {
            for value in 0..=255u8 {
                let mut bytes = good;
                bytes[at] = value;
                let broken = Repr::parse(&bytes);
                assert!(broken.is_none() || bytes == good, "the checksum sees it: {at} {value}");
                bytes[6..8].fill(0);
                let sum = !checksum::sum(&bytes);
                bytes[6..8].copy_from_slice(&sum.to_be_bytes());
                let refused = match at {
                    0 => value >> 4 != 2,
                    1 => value == 0,
                    _ => false,
                };
                assert_eq!(Repr::parse(&bytes).is_none(), refused, "{at} {value}");
            }
        }
    }

    #[test]
    fn what_is_refused_in_a_packet() {
        type Spoil = fn(&mut Vec<u8>);
        let table: [(Spoil, bool, Result<(), Drop>); 8] = [
            (|_| (), false, Ok(())),
            (|b| b[22] = 254, false, Err(Drop::CarpInvalid)),
            (|b| b[22] = 254, true, Ok(())),
            (|b| b[23] = 113, false, Err(Drop::CarpInvalid)),
            (|b| b[17] = 55, false, Err(Drop::CarpInvalid)),
            (|b| b[20] = 0x20, false, Err(Drop::CarpInvalid)),
            (|b| b[40] ^= 1, false, Err(Drop::TransportChecksum)),
            (|b| (b[34], b[40]) = (0x31, b[40] - 0x10), false, Err(Drop::CarpInvalid)),
        ];
        for (number, (spoil, unicast, expected)) in table.into_iter().enumerate() {
            let mut bytes = hex(CAPTURED);
            spoil(&mut bytes);
            bytes[24..26].fill(0);
            let sum = !checksum::sum(&bytes[14..34]);
            bytes[24..26].copy_from_slice(&sum.to_be_bytes());
            assert_eq!(Repr::read(&parse(&bytes), unicast).map(|_| ()), expected, "{number}");
        }
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed(vhid in 1u8.., rest: (u8, u8, u8), counter: u64, digest: [u8; 20], more in 0usize..9) {
            let (advskew, advbase, demotion) = rest;
            let advert = Repr { vhid: Vhid(vhid), advskew, advbase, demotion, counter, digest };
            let mut bytes = advert.emit().to_vec();
            bytes.resize(LEN + more, 0xee);
            prop_assert_eq!(Repr::parse(&bytes), Some(advert));
        }

        #[test]
        fn total_on_arbitrary_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), seal: bool) {
            if seal && bytes.len() >= LEN {
                bytes[0] = 0x21;
                bytes[6..8].fill(0);
                let sum = !checksum::sum(&bytes[..LEN]);
                bytes[6..8].copy_from_slice(&sum.to_be_bytes());
            }
            if let Some(advert) = Repr::parse(&bytes) {
                prop_assert_eq!(Repr::parse(&advert.emit()), Some(advert));
            }
        }

        #[test]
        fn any_other_counter_list_or_password_is_noticed(counter: u64, other: u64, last in 2u8.., flip in 0usize..160) {
            let list = addresses(&["192.0.2.1"]);
            let signer = Signer::new("sekrit", Vhid(1), &list);
            let digest = signer.sign(counter);
            let advert = Repr { vhid: Vhid(1), advskew: 0, advbase: 1, demotion: 0, counter, digest };
            prop_assert!(signer.verify(&advert));
            prop_assert_eq!(signer.verify(&Repr { counter: other, ..advert }), other == counter);
            let mut wrong = digest;
            wrong[flip / 8] ^= 1 << (flip % 8);
            let forged = Repr { digest: wrong, ..advert };
            prop_assert!(!signer.verify(&forged));
            let others = [list[0], [192, 0, 2, last].into()];
            prop_assert!(!Signer::new("sekrit", Vhid(1), &others).verify(&advert));
            prop_assert!(!Signer::new("Sekrit", Vhid(1), &list).verify(&advert));
            prop_assert!(!Signer::new("sekrit", Vhid(2), &list).verify(&advert));
        }
    }
}
