//! IP options, as far as a router minds them (RFC 791 section 3.1, RFC 7126, RFC 8200 section 4).
//!
//! Invariant: total on any packet; only one with options or extension headers is looked at closely.

use super::{Drop, FlowKey, Fragment, Packet};

/// Loose and strict source route (RFC 791).
const SOURCE_ROUTES: [u8; 2] = [131, 137];
/// At most this many IPv6 extension headers were let through by the parser.
const HEADERS_MAX: usize = 32;

/// True when the packet has IPv4 options, or an IPv6 header of hop-by-hop or destination options: pf lets such packets
/// through only by a rule that allows options.
pub fn are_present(packet: &Packet) -> bool {
    match packet.layout.key {
        _ if !packet.layout.options => false,
        FlowKey::V4(_) => true,
        FlowKey::V6(_) => headers(packet).any(|(kind, _)| matches!(kind, 0 | 60)),
    }
}

/// Refuses what no rule can allow: a source route, and an option that ends somewhere else than it may.
///
/// # Errors
/// The reason to drop the packet.
pub fn check(packet: &Packet) -> Result<(), Drop> {
    if !packet.layout.options {
        return Ok(());
    }
    match packet.layout.key {
        FlowKey::V4(_) => {
            let len = usize::from(packet.ip().first().map_or(0, |byte| byte & 15)) * 4;
            check_v4(packet.ip().get(20..len).unwrap_or_default())
        }
        FlowKey::V6(_) => headers(packet)
            .filter(|(kind, _)| matches!(kind, 0 | 60))
            .try_for_each(|(_, bytes)| check_v6(bytes.get(2..).unwrap_or_default())),
    }
}

fn check_v4(mut options: &[u8]) -> Result<(), Drop> {
    loop {
        match *options {
            [] | [0, ..] => return Ok(()),
            [1, ref rest @ ..] => options = rest,
            [kind, ..] if SOURCE_ROUTES.contains(&kind) => return Err(Drop::SourceRoute),
            [_, len, ..] if len >= 2 => {
                options = options.get(usize::from(len)..).ok_or(Drop::OptionsInvalid)?;
            }
            [_, ..] => return Err(Drop::OptionsInvalid),
        }
    }
}

fn check_v6(mut options: &[u8]) -> Result<(), Drop> {
    loop {
        match *options {
            [] => return Ok(()),
            [0, ref rest @ ..] => options = rest,
            [_, len, ref rest @ ..] => options = rest.get(usize::from(len)..).ok_or(Drop::OptionsInvalid)?,
            [_] => return Err(Drop::OptionsInvalid),
        }
    }
}

/// The IPv6 extension headers in front of the transport, each with its number.
fn headers(packet: &Packet) -> impl Iterator<Item = (u8, &[u8])> {
    let ip = packet.ip();
    let end = match packet.layout.fragment {
        Fragment::Whole => usize::from(packet.layout.l4 - packet.layout.l3),
        Fragment::Part { header, .. } => usize::from(header).saturating_sub(usize::from(packet.layout.l3)),
    };
    let mut kind = ip.get(6).copied();
    let mut at = 40;
    std::iter::from_fn(move || {
        let this = kind.filter(|_| at < end)?;
        let units = usize::from(*ip.get(at + 1)?);
        let length = match this {
            44 => 8,
            51 => units * 4 + 8,
            _ => units * 8 + 8,
        };
        let bytes = ip.get(at..at + length)?;
        kind = bytes.first().copied();
        at += length;
        Some((this, bytes))
    })
    .take(HEADERS_MAX)
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::super::{FrameBuf, Parsed, checksum};
    use super::*;

    fn parse(frame: &[u8]) -> Packet {
        match Packet::parse(FrameBuf::copy_of(frame)) {
            Ok(Parsed::Ip(packet)) => packet,
            Ok(Parsed::Arp(_)) => panic!("not ARP"),
            Err((drop, _)) => panic!("{drop}"),
        }
    }

    fn v4(options: &[u8]) -> Packet {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 1], [198, 51, 100, 2], 64);
        builder.udp(1000, 53).write(&mut frame, b"x").unwrap();
        frame.splice(34..34, options.iter().copied());
        let total = (frame.len() - 14) as u16;
        frame[14] = 0x45 + options.len() as u8 / 4;
        frame[16..18].copy_from_slice(&total.to_be_bytes());
        frame[24..26].fill(0);
        let sum = !checksum::sum(&frame[14..34 + options.len()]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        parse(&frame)
    }

    /// UDP behind these extension headers, whose first bytes are filled in here.
    fn v6(headers: &[(u8, &[u8])]) -> Packet {
        let mut frame = Vec::new();
        let address = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(address(1), address(2), 64);
        builder.udp(1000, 53).write(&mut frame, b"x").unwrap();
        let mut chain = Vec::new();
        for (index, (_, body)) in headers.iter().enumerate() {
            let next = headers.get(index + 1).map_or(17, |(kind, _)| *kind);
            chain.extend([next, ((body.len() + 2) / 8 - 1) as u8]);
            chain.extend_from_slice(body);
        }
        frame[20] = headers.first().map_or(17, |(kind, _)| *kind);
        let length = (frame.len() - 54 + chain.len()) as u16;
        frame[18..20].copy_from_slice(&length.to_be_bytes());
        frame.splice(54..54, chain);
        parse(&frame)
    }

    #[test]
    fn options_of_ipv4() {
        for (options, expected) in [
            (&[][..], Ok(())),
            (&[1, 1, 1, 0], Ok(())),
            (&[148, 4, 0, 0], Ok(())),
            (&[7, 7, 4, 0, 0, 0, 0, 0], Ok(())),
            (&[131, 7, 4, 10, 0, 0, 1, 0], Err(Drop::SourceRoute)),
            (&[1, 137, 7, 4, 10, 0, 0, 1], Err(Drop::SourceRoute)),
            (&[148, 0, 0, 0], Err(Drop::OptionsInvalid)),
            (&[148, 1, 0, 0], Err(Drop::OptionsInvalid)),
            (&[148, 9, 0, 0], Err(Drop::OptionsInvalid)),
            (&[1; 40], Ok(())),
        ] {
            let packet = v4(options);
            assert_eq!(check(&packet), expected, "{options:?}");
            assert_eq!(are_present(&packet), !options.is_empty(), "{options:?}");
        }
    }

    #[test]
    fn options_of_ipv6() {
        let pad: &[u8] = &[1, 4, 0, 0, 0, 0];
        for (headers, present, expected) in [
            (&[][..], false, Ok(())),
            (&[(43, &[4, 0, 0, 0, 0, 0][..])], false, Ok(())),
            (&[(0, pad)], true, Ok(())),
            (&[(60, pad)], true, Ok(())),
            (&[(43, &[4, 0, 0, 0, 0, 0]), (60, pad)], true, Ok(())),
            (&[(0, &[5, 2, 0, 0, 0, 0])], true, Ok(())),
            (&[(0, &[5, 9, 0, 0, 0, 0])], true, Err(Drop::OptionsInvalid)),
            (&[(60, &[0, 0, 0, 0, 0, 5])], true, Err(Drop::OptionsInvalid)),
        ] {
            let packet = v6(headers);
            assert_eq!((are_present(&packet), check(&packet)), (present, expected), "{headers:?}");
        }
    }
}
