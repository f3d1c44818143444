//! IP packets cut into fragments (RFC 791 section 2.3, RFC 8200 section 4.5).
//!
//! A router fragments what may be fragmented: IPv4 without DF, and what it put together itself from fragments.
//! Invariant: the fragments hold every byte of the payload once, in order, and none of them is larger than the
//! link takes, nor (where path MTU discovery is at work) than the largest one that the sender made.

use super::segment::finish_checksum;
use super::{ChecksumState, Drop, FlowKey, Fragment, FrameBuf, Packet, Pool};

/// The smallest MTU of an IPv4 link (RFC 791 section 3.2); it also bounds the number of fragments.
const SMALLEST_MTU: usize = 68;
/// Length of the IPv6 fragment header, and its protocol number.
const FRAGMENT_HEADER: usize = 8;
const FRAGMENT_PROTOCOL: u8 = 44;

/// True when `packet` has to go through [`split`] before a link that takes `mtu` bytes: it is larger than that, or
/// was put together here from fragments by whose size the sender's path MTU discovery stands.
pub fn needed(packet: &Packet, mtu: usize) -> bool {
    let own_limit = packet.layout.reassembled.filter(|_| packet.layout.dont_fragment);
    packet.ip().len() > own_limit.map_or(mtu, |largest| mtu.min(usize::from(largest)))
}

/// Cuts `packet` into fragments of at most `mtu` bytes (IP header included) behind what stands in `out`, and
/// answers how many (one, the packet as it is, when it fits). Its checksum is finished first if it has to be. IPv4 keeps the identification that the
/// sender chose (RFC 6864 section 4.3); IPv6 fragments get `id`.
///
/// # Errors
/// [`Drop::FragmentNeeded`] when the packet must not be fragmented (or not this small): the sender has to be told.
/// [`Drop::Gso`] for a superpacket, which is to be cut into segments first.
pub fn split(
    packet: &mut Packet,
    mtu: usize,
    id: u32,
    pool: &mut Pool,
    out: &mut Vec<FrameBuf>,
) -> Result<usize, Drop> {
    if packet.frame.gso.is_some() {
        return Err(Drop::Gso);
    }
    if !needed(packet, mtu) {
        finish_checksum(packet);
        let mut frame = pool.take();
        frame.set(&packet.frame.bytes()[..packet.layout.end as usize]);
        frame.checksum = packet.frame.checksum;
        out.push(frame);
        return Ok(1);
    }
    let plan = Plan::of(packet, mtu)?;
    finish_checksum(packet);
    let source = packet.frame.bytes();
    let (data, mut done) = (&source[plan.data..plan.end], 0);
    let before = out.len();
    loop {
        let (head, room) =
            if done == 0 { (&plan.first, plan.first_room) } else { (&plan.later, plan.later_room) };
        let chunk = &data[done..data.len().min(done + room)];
        let place = Place { offset: plan.offset + done, more: plan.more || done + chunk.len() < data.len() };
        let mut frame = pool.take();
        frame.clear();
        frame.set_len(head.len() + chunk.len());
        let bytes = frame.bytes_mut();
        bytes[..head.len()].copy_from_slice(head);
        bytes[head.len()..].copy_from_slice(chunk);
        match packet.layout.key {
            FlowKey::V4(_) => finish_v4(&mut bytes[plan.l3..], head.len() - plan.l3, &place),
            FlowKey::V6(_) => finish_v6(&mut bytes[plan.l3..], head.len() - plan.l3, &place, id),
        }
        frame.checksum = ChecksumState::Unverified;
        out.push(frame);
        done += chunk.len();
        if done >= data.len() {
            return Ok(out.len() - before);
        }
    }
}

/// Where a fragment stands in its datagram.
struct Place {
    offset: usize,
    more: bool,
}

/// What all fragments of a packet have in common.
struct Plan {
    l3: usize,
    /// The fragmented part: from, to.
    data: usize,
    end: usize,
    /// Ethernet and IP headers of the first fragment, and of the later ones.
    first: Vec<u8>,
    later: Vec<u8>,
    first_room: usize,
    later_room: usize,
    /// Place of a packet that is itself a fragment.
    offset: usize,
    more: bool,
}

impl Plan {
    fn of(packet: &Packet, mtu: usize) -> Result<Self, Drop> {
        let layout = &packet.layout;
        let largest = layout.reassembled.map(usize::from);
        // Fragments that their sender did not want cut further show the size that it found to fit.
        let mtu = match (layout.dont_fragment, largest) {
            (false, _) => mtu,
            (true, Some(largest)) if largest <= mtu => largest,
            (true, Some(_) | None) => return Err(Drop::FragmentNeeded),
        };
        if mtu < SMALLEST_MTU {
            return Err(Drop::FragmentNeeded);
        }
        let (offset, more) = match layout.fragment {
            Fragment::Whole => (0, false),
            Fragment::Part { offset, more, .. } => (usize::from(offset), more),
        };
        let (l3, end) = (usize::from(layout.l3), layout.end as usize);
        let bytes = &packet.frame.bytes()[..end];
        let (data, first, later) = match layout.key {
            FlowKey::V4(_) => {
                let header_len = usize::from(bytes[l3] & 0x0f) * 4;
                let data = l3 + header_len;
                (data, bytes[..data].to_vec(), header_of_later(bytes, l3, header_len))
            }
            FlowKey::V6(_) => {
                let (data, last_next_header) = unfragmentable(bytes, l3).ok_or(Drop::Ipv6Extension)?;
                let mut head = bytes[..data].to_vec();
                let protocol = std::mem::replace(&mut head[last_next_header], FRAGMENT_PROTOCOL);
                head.extend_from_slice(&[protocol, 0, 0, 0, 0, 0, 0, 0]);
                (data, head.clone(), head)
            }
        };
        let room =
            |head: &[u8]| (mtu + l3).checked_sub(head.len()).map(|room| room & !7).filter(|room| *room > 0);
        let first_room = room(&first).ok_or(Drop::FragmentNeeded)?;
        let later_room = room(&later).ok_or(Drop::FragmentNeeded)?;
        Ok(Plan { l3, data, end, first, later, first_room, later_room, offset, more })
    }
}

/// The headers of later fragments: only the options with the copied flag (RFC 791 section 3.1), padded with zeros.
fn header_of_later(bytes: &[u8], l3: usize, header_len: usize) -> Vec<u8> {
    let mut head = bytes[..l3 + 20].to_vec();
    let options = &bytes[l3 + 20..l3 + header_len];
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        let length = match (kind, options.get(at + 1)) {
            (0, _) => break,
            (1, _) => 1,
            (_, Some(&length)) if length >= 2 => usize::from(length),
            (_, _) => break,
        };
        let Some(option) = options.get(at..at + length) else { break };
        if kind & 0x80 != 0 {
            head.extend_from_slice(option);
        }
        at += length;
    }
    while !(head.len() - l3).is_multiple_of(4) {
        head.push(0);
    }
    head[l3] = 0x40 | ((head.len() - l3) / 4) as u8;
    head
}

/// The part of an IPv6 packet that every fragment carries (headers up to and with hop-by-hop options and routing):
/// its end, and the offset of its last next-header field.
fn unfragmentable(bytes: &[u8], l3: usize) -> Option<(usize, usize)> {
    let (mut end, mut field) = (l3 + 40, l3 + 6);
    let (mut at, mut next_field) = (end, field);
    // Each turn goes at least eight bytes on.
    loop {
        let routing = match bytes[next_field] {
            0 | 43 => true,
            // Destination options belong to it only when a routing header follows.
            60 => false,
            _ => return Some((end, field)),
        };
        let length = usize::from(*bytes.get(at + 1)?) * 8 + 8;
        (next_field, at) = (at, at + length);
        if at > bytes.len() {
            return None;
        }
        if routing {
            (end, field) = (at, next_field);
        }
    }
}

fn finish_v4(ip: &mut [u8], header_len: usize, place: &Place) {
    let total_len = ip.len() as u16;
    ip[2..4].copy_from_slice(&total_len.to_be_bytes());
    let kept = u16::from_be_bytes([ip[6], ip[7]]) & 0xc000;
    let flags = kept | if place.more { 0x2000 } else { 0 } | (place.offset / 8) as u16;
    ip[6..8].copy_from_slice(&flags.to_be_bytes());
    ip[10..12].fill(0);
    let sum = !super::checksum::sum(&ip[..header_len]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn finish_v6(ip: &mut [u8], header_len: usize, place: &Place, id: u32) {
    let length = (ip.len() - 40) as u16;
    ip[4..6].copy_from_slice(&length.to_be_bytes());
    let field = place.offset as u16 | u16::from(place.more);
    let header = &mut ip[header_len - FRAGMENT_HEADER..header_len];
    header[2..4].copy_from_slice(&field.to_be_bytes());
    header[4..8].copy_from_slice(&id.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Sample};
    use super::*;
    use proptest::prelude::*;

    fn split_all(packet: &mut Packet, mtu: usize) -> Result<Vec<Packet>, Drop> {
        let mut out = Vec::new();
        let count = split(packet, mtu, 0xdead_beef, &mut Pool::new(1), &mut out)?;
        assert_eq!(count, out.len());
        // A first fragment too short for its transport header is made, but is nothing that we parse.
        Ok(out.into_iter().map(sample::parse_frame).collect())
    }

    fn udp(payload: usize) -> Sample {
        Sample { tcp: false, payload: sample::bytes(payload), ..Sample::default() }
    }

    #[test]
    fn ipv4_pieces_stand_where_they_say() {
        let mut packet = udp(3_000).packet();
        let pieces = split_all(&mut packet, 1_500).unwrap();
        let mut payload = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            assert!(piece.ip().len() <= 1_500);
            let Fragment::Part { offset, more, id, .. } = piece.layout.fragment else { panic!() };
            assert_eq!((usize::from(offset), more, id), (payload.len(), index < 2, 0xfffe));
            payload.extend_from_slice(piece.transport());
        }
        assert_eq!(payload, packet.transport());
    }

    #[test]
    fn a_fragment_is_cut_further() {
        let pieces = split_all(&mut udp(3_000).packet(), 1_500).unwrap();
        let [_, mut middle, mut last] = <[Packet; 3]>::try_from(pieces).unwrap();
        let places = |packet: &mut Packet| -> Vec<(u16, bool)> {
            let place = |packet: Packet| match packet.layout.fragment {
                Fragment::Part { offset, more, .. } => (offset, more),
                Fragment::Whole => panic!(),
            };
            split_all(packet, 1_020).unwrap().into_iter().map(place).collect()
        };
        assert_eq!(places(&mut middle), [(1_480, true), (2_480, true)]);
        assert_eq!(places(&mut last), [(2_960, false)]);
    }

    #[test]
    fn only_copied_options_follow() {
        let mut frame = udp(1_500).frame();
        // Record route (not copied), then router alert (copied), then the end.
        let options = [7, 3, 4, 0x94, 4, 0, 0, 0];
        frame.splice(34..34, options);
        frame[14] = 0x47;
        let length = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        frame[24..26].fill(0);
        let sum = !super::super::checksum::sum(&frame[14..42]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        let pieces = split_all(&mut sample::parse(&frame), 1_000).unwrap();
        assert_eq!(pieces[0].ip()[20..28], options);
        assert_eq!((pieces[1].ip()[0], &pieces[1].ip()[20..24]), (0x46, &[0x94u8, 4, 0, 0][..]));
    }

    #[test]
    fn what_must_not_be_cut() {
        let mut with_df = Sample { dont_fragment: true, ..udp(2_000) }.packet();
        assert_eq!(split_all(&mut with_df, 1_500).unwrap_err(), Drop::FragmentNeeded);
        let mut v6 = Sample { v6: true, ..udp(2_000) }.packet();
        assert_eq!(split_all(&mut v6, 1_500).unwrap_err(), Drop::FragmentNeeded);
        v6.layout.reassembled = Some(1_400);
        assert_eq!(split_all(&mut v6, 1_300).unwrap_err(), Drop::FragmentNeeded);
        let pieces = split_all(&mut v6, 1_500).unwrap();
        assert_eq!(pieces[0].ip().len(), 1_400, "as large as the sender's");
        assert_eq!(split_all(&mut udp(2_000).packet(), 67).unwrap_err(), Drop::FragmentNeeded);
    }

    #[test]
    fn ipv6_headers_that_belong_in_every_fragment() {
        let mut frame = Sample { v6: true, ..udp(1_000) }.frame();
        // Hop-by-hop, destination options, routing (type 4), destination options, UDP.
        let chain: [u8; 32] = [
            60, 0, 1, 4, 0, 0, 0, 0, 43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 4, 0, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0,
            0,
        ];
        frame.splice(54..54, chain);
        frame[20] = 0;
        let length = (frame.len() - 54) as u16;
        frame[18..20].copy_from_slice(&length.to_be_bytes());
        let mut packet = sample::parse(&frame);
        packet.layout.reassembled = Some(600);
        for piece in split_all(&mut packet, 1_500).unwrap() {
            assert_eq!(piece.ip()[40..56], chain[..16]);
            assert_eq!(piece.ip()[56..64], [44, 0, 4, 0, 0, 0, 0, 0]);
            assert_eq!(piece.ip()[64], 60, "the last destination options are fragmented with the rest");
        }
    }

    #[test]
    fn a_partial_checksum_is_finished_first() {
        let mut packet = udp(1_000).partial();
        let whole = udp(1_000).packet();
        let pieces = split_all(&mut packet, 600).unwrap();
        assert_eq!(pieces[0].transport()[..8], whole.transport()[..8]);
        packet.frame.gso =
            Some(super::super::Gso { kind: super::super::GsoKind::Udp, ecn: false, size: 100 });
        assert_eq!(split_all(&mut packet, 600).unwrap_err(), Drop::Gso);
    }

    #[test]
    fn what_fits_is_left_whole() {
        let mut v6 = Sample { v6: true, ..udp(100) }.packet();
        v6.layout.reassembled = Some(148);
        assert!(!needed(&v6, 1_500));
        let pieces = split_all(&mut v6, 1_500).unwrap();
        assert_eq!(pieces[0].ip(), v6.ip(), "no atomic fragments (RFC 8021)");
        v6.layout.reassembled = Some(147);
        assert!(needed(&v6, 1_500));
    }

    proptest! {
        #[test]
        fn every_byte_once_and_in_order(v6: bool, payload in 0usize..5_000, mtu in 100usize..2_000) {
            let mut packet = Sample { v6, ..udp(payload) }.packet();
            packet.layout.reassembled = v6.then_some(mtu as u16);
            let mut together = Vec::new();
            for piece in split_all(&mut packet, mtu).unwrap() {
                prop_assert!(piece.ip().len() <= mtu);
                if let Fragment::Part { offset, .. } = piece.layout.fragment {
                    prop_assert_eq!(usize::from(offset), together.len());
                }
                together.extend_from_slice(piece.transport());
            }
            prop_assert_eq!(together, packet.transport());
        }
    }
}
