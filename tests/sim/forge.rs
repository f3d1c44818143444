//! Frames that no well-behaved host sends by itself, and a naive look at those that arrive.

use std::net::Ipv4Addr;

use etherparse::PacketBuilder;
use koi::types::MacAddr;
use koi::wire::arp::{Operation, Repr};
use koi::wire::checksum;

/// From one station to another.
#[derive(Clone, Copy)]
pub struct Stations {
    pub from: MacAddr,
    pub to: MacAddr,
}

/// Ends of a flow.
#[derive(Clone, Copy)]
pub struct Ends {
    pub from: (Ipv4Addr, u16),
    pub to: (Ipv4Addr, u16),
}

/// A UDP datagram, possibly larger than any link takes.
pub fn udp(stations: Stations, ends: Ends, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(stations.from.0, stations.to.0)
        .ipv4(ends.from.0.octets(), ends.to.0.octets(), 64)
        .udp(ends.from.1, ends.to.1)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

/// The first packet of a TCP connection.
pub fn syn(stations: Stations, ends: Ends, seq: u32) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(stations.from.0, stations.to.0)
        .ipv4(ends.from.0.octets(), ends.to.0.octets(), 64)
        .tcp(ends.from.1, ends.to.1, seq, 1024)
        .syn()
        .write(&mut frame, &[])
        .unwrap();
    frame
}

/// An ARP packet to everybody.
pub fn arp(operation: Operation, sender_mac: MacAddr, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let target_mac = MacAddr::default();
    Repr { operation, sender_mac, sender, target_mac, target }.emit(MacAddr::BROADCAST).to_vec()
}

/// Cuts an IPv4 frame into fragments for this MTU (RFC 791 section 3.2).
pub fn fragments(frame: &[u8], mtu: usize, id: u16) -> Vec<Vec<u8>> {
    let size = (mtu - 20) / 8 * 8;
    let data = &frame[34..];
    let count = data.len().div_ceil(size);
    data.chunks(size)
        .enumerate()
        .map(|(number, chunk)| {
            let mut piece = [&frame[..34], chunk].concat();
            let more = if number + 1 < count { 0x2000 } else { 0 };
            let flags = (number * size / 8) as u16 | more;
            piece[16..18].copy_from_slice(&((20 + chunk.len()) as u16).to_be_bytes());
            piece[18..20].copy_from_slice(&id.to_be_bytes());
            piece[20..22].copy_from_slice(&flags.to_be_bytes());
            piece[24..26].fill(0);
            let sum = !checksum::sum(&piece[14..34]);
            piece[24..26].copy_from_slice(&sum.to_be_bytes());
            piece
        })
        .collect()
}

/// Fragments that arrived.
#[derive(Default)]
pub struct Arrived {
    /// How many.
    pub pieces: usize,
    /// Payloads of the UDP datagrams that are complete, with the source of each.
    pub whole: Vec<(Ipv4Addr, u16, Vec<u8>)>,
}

/// Puts the UDP fragments among `frames` together, in the simplest way there is.
pub fn reassemble(frames: &[Vec<u8>]) -> Arrived {
    let mut arrived = Arrived::default();
    let mut ids: Vec<(u16, Ipv4Addr)> = Vec::new();
    let word = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let source = |frame: &[u8]| Ipv4Addr::new(frame[26], frame[27], frame[28], frame[29]);
    let is_piece =
        |frame: &&Vec<u8>| word(frame, 12) == 0x0800 && frame[23] == 17 && word(frame, 20) & 0x3fff != 0;
    let pieces: Vec<&Vec<u8>> = frames.iter().filter(is_piece).collect();
    arrived.pieces = pieces.len();
    for piece in &pieces {
        let id = (word(piece, 18), source(piece));
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    for id in ids {
        let mut parts: Vec<(usize, bool, &[u8])> = pieces
            .iter()
            .filter(|piece| (word(piece, 18), source(piece)) == id)
            .map(|piece| {
                let flags = word(piece, 20);
                let end = 14 + usize::from(word(piece, 16));
                (usize::from(flags & 0x1fff) * 8, flags & 0x2000 != 0, &piece[34..end])
            })
            .collect();
        parts.sort_by_key(|(offset, _, _)| *offset);
        parts.dedup_by_key(|(offset, _, _)| *offset);
        let mut data = Vec::new();
        for (offset, _, bytes) in &parts {
            if *offset == data.len() {
                data.extend_from_slice(bytes);
            }
        }
        let (offset, more, last) = parts[parts.len() - 1];
        if !more && offset + last.len() == data.len() {
            arrived.whole.push((id.1, word(&data, 0), data[8..].to_vec()));
        }
    }
    arrived
}
