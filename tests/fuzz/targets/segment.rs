//! Cutting what was joined gives back the same packets; what is cut from any superpacket is sound.
//!
//! Input: a byte (lowest bit: what kind). Either a list of packets: first one whole frame, then for each of the next
//! ones what differs. Or a superpacket: segment size, then the frame.
#![no_main]

use std::cell::RefCell;

use koi::wire::coalesce::Coalescer;
use koi::wire::{ChecksumState, FlowKey, FrameBuf, Gso, GsoKind, Offload, Packet, Pool, Transport, segment};
use koi_fuzz::{Input, Repair, assert_layout, assert_sound, deviation, ip, make_partial};
use libfuzzer_sys::fuzz_target;

thread_local! {
    /// Only full-size buffers can grow, and making them takes long.
    static POOL: RefCell<Pool> = RefCell::new(Pool::new(256));
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let control = input.byte();
    POOL.with_borrow_mut(|pool| match control & 1 {
        0 => join(&mut input, pool),
        _ => cut(control, &mut input, pool),
    });
});

/// Packets of a batch go through the coalescer and are cut again.
fn join(input: &mut Input<'_>, pool: &mut Pool) {
    let mut bytes = input.piece().to_vec();
    let payload = 200 + usize::from(input.byte()) * 2;
    let Some(first) = begin(&mut bytes, payload) else { return };
    let headers = bytes.len();
    let (v4, at) = (first.layout.key.src().is_ipv4(), usize::from(first.layout.l4));
    let tcp = matches!(first.layout.transport, Transport::Tcp { .. });
    let mut coalescer = Coalescer::new(Offload::ALL);
    let mut expected = Vec::new();
    let mut fill = 0u8;
    for _ in 0..80 {
        let mut frame = bytes.clone();
        let difference = input.byte();
        let len = if difference & 1 != 0 { usize::from(input.byte()) * 4 } else { payload };
        frame.extend((0..len).map(|index| (index as u8).wrapping_mul(7) ^ fill));
        fill = fill.wrapping_add(1);
        if difference & 2 != 0 && tcp {
            frame[at + 13] ^= input.byte();
        }
        if difference & 4 != 0 {
            let place = usize::from(input.byte()) % headers;
            frame[place] ^= input.byte();
        }
        Repair::ALL.apply(&mut frame);
        if difference & 8 != 0 {
            frame.resize(frame.len() + 6, 0xee);
        }
        let mut buffer = pool.take();
        buffer.set(&frame);
        if let Some(packet) = ip(buffer)
            && deviation(&packet) == (0, 0)
        {
            expected.push(frame[..packet.layout.end as usize].to_vec());
            coalescer.push(packet, pool);
        }
        advance(&mut bytes, v4, tcp.then_some(at), len);
        if input.is_empty() {
            break;
        }
    }
    let mut frames = Vec::new();
    coalescer.flush(&mut frames);
    let mut again: Vec<Packet> =
        expected.iter().map(|bytes| ip(FrameBuf::copy_of(bytes)).expect("it was one")).collect();
    for frame in frames {
        let mut pieces = Vec::new();
        let packet = ip(frame).expect("what leaves is a packet");
        assert_eq!(deviation(&packet), (0, 0));
        segment::split(packet, pool, &mut pieces).expect("our own superpacket is right");
        for piece in pieces {
            let packet = ip(piece).expect("a segment is a packet");
            assert_sound(&packet);
            // Flows may overtake each other; what belongs to one flow keeps its order.
            let place = again.iter().position(|original| original.layout.key == packet.layout.key);
            let original = again.remove(place.expect("no more come out than went in"));
            assert_eq!(without_sums(&packet), without_sums(&original));
            pool.give(packet.frame);
        }
    }
    assert!(again.is_empty(), "as many come out as went in");
}

/// Makes `bytes` the headers of a TCP or UDP packet and answers it as it is with `payload` bytes.
fn begin(bytes: &mut Vec<u8>, payload: usize) -> Option<Packet> {
    bytes.truncate(200);
    let mut whole = bytes.clone();
    whole.resize(bytes.len() + payload, 0);
    Repair::ALL.apply(&mut whole);
    let packet = ip(FrameBuf::copy_of(&whole))?;
    let header_len = match packet.layout.transport {
        Transport::Tcp { header_len, .. } => usize::from(header_len),
        Transport::Udp => 8,
        _ => return None,
    };
    let headers = usize::from(packet.layout.l4) + header_len;
    *bytes = whole;
    bytes.truncate(headers);
    Some(packet)
}

/// The headers of the packet that follows one with `len` bytes of payload.
fn advance(bytes: &mut [u8], v4: bool, tcp: Option<usize>, len: usize) {
    if v4 {
        let id = u16::from_be_bytes([bytes[18], bytes[19]]).wrapping_add(1);
        bytes[18..20].copy_from_slice(&id.to_be_bytes());
    }
    if let Some(at) = tcp {
        let seq = u32::from_be_bytes([bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]]);
        bytes[at + 4..at + 8].copy_from_slice(&seq.wrapping_add(len as u32).to_be_bytes());
    }
}

/// A superpacket from a kernel, as wrong as it may be.
fn cut(control: u8, input: &mut Input<'_>, pool: &mut Pool) {
    let size = input.word();
    let mut bytes = input.rest().to_vec();
    bytes.resize(bytes.len() + usize::from(control >> 4) * 500, 0x5a);
    Repair::ALL.apply(&mut bytes);
    let Some(packet) = ip(FrameBuf::copy_of(&bytes)) else { return };
    let (kind, offset) = match (packet.layout.transport, packet.layout.key) {
        (Transport::Tcp { .. }, FlowKey::V4(_)) => (GsoKind::Tcp4, 16),
        (Transport::Tcp { .. }, FlowKey::V6(_)) => (GsoKind::Tcp6, 16),
        (Transport::Udp, _) => (GsoKind::Udp, 6),
        _ => return,
    };
    let mut frame = packet.frame;
    frame.gso = Some(Gso { kind, ecn: control & 2 != 0, size });
    if control & 4 != 0 {
        let start = packet.layout.l4;
        make_partial(frame.bytes_mut());
        frame.checksum = ChecksumState::Partial { start, offset };
    }
    let Some(packet) = ip(frame) else { return };
    let payload = packet.ip()[packet.ip().len() - packet.payload_len() as usize..].to_vec();
    let mut pieces = Vec::new();
    let Ok(count) = segment::split(packet, pool, &mut pieces) else { return };
    assert_eq!(count, pieces.len());
    let mut joined = Vec::new();
    for piece in pieces {
        let packet = ip(piece).expect("a segment is a packet");
        assert_layout(&packet);
        assert_eq!(deviation(&packet), (0, 0));
        let len = packet.payload_len() as usize;
        assert!(len <= usize::from(size));
        joined.extend_from_slice(&packet.ip()[packet.ip().len() - len..]);
        pool.give(packet.frame);
    }
    assert_eq!(joined, payload);
}

/// In one's complement a sum has two zeros; and with DF set an identification means nothing (RFC 6864).
fn without_sums(packet: &Packet) -> Vec<u8> {
    let mut bytes = packet.frame.bytes()[..packet.layout.end as usize].to_vec();
    if packet.layout.key.src().is_ipv4() {
        bytes[24..26].fill(0);
        if packet.layout.dont_fragment {
            bytes[18..20].fill(0);
        }
    }
    if let Some(at) = koi_fuzz::checksum_at(packet) {
        let at = usize::from(packet.layout.l4) + at;
        bytes[at..at + 2].fill(0);
    }
    bytes
}
