//! A TCP segment, as far as the machine looks at it.

use crate::wire::{Packet, Transport, tcp_flags};

/// What the machine needs of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    pub(super) flags: u8,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) window: u16,
    /// Bytes of data; of a superpacket all of them.
    pub(super) len: u32,
    /// Window scale option, looked for on a SYN only.
    pub(super) scale: Option<u8>,
}

impl Segment {
    /// `None` when the packet is not a TCP segment.
    #[inline]
    pub(super) fn of(packet: &Packet) -> Option<Segment> {
        let Transport::Tcp { flags, seq, ack, window, header_len } = packet.layout.transport else {
            return None;
        };
        let scale = if flags & tcp_flags::SYN == 0 { None } else { window_scale(packet, header_len) };
        Some(Segment { flags, seq, ack, window, len: packet.payload_len(), scale })
    }

    #[inline]
    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// True for combinations that no sender makes (pf's normaliser).
    #[inline]
    pub(super) const fn is_impossible(&self) -> bool {
        if self.has(tcp_flags::SYN) {
            self.has(tcp_flags::RST) || self.has(tcp_flags::FIN)
        } else if self.has(tcp_flags::ACK) {
            false
        } else {
            !self.has(tcp_flags::RST) || self.has(tcp_flags::FIN | tcp_flags::PSH | tcp_flags::URG)
        }
    }

    /// pf's `flags S/SA`: only such a segment makes a state.
    pub(super) const fn is_first(&self) -> bool {
        self.flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN && !self.is_impossible()
    }

    /// Sequence number behind its last byte; SYN and FIN take one each.
    #[inline]
    pub(super) const fn end(&self) -> u32 {
        let flags = self.has(tcp_flags::SYN) as u32 + self.has(tcp_flags::FIN) as u32;
        self.seq.wrapping_add(self.len).wrapping_add(flags)
    }
}

/// The window scale option of a SYN (RFC 7323 section 2.2); above 14 it counts as 14 (2.3).
fn window_scale(packet: &Packet, header_len: u8) -> Option<u8> {
    let mut options = packet.transport().get(20..usize::from(header_len))?;
    loop {
        match *options {
            [3, 3, shift, ..] => return Some(shift.min(14)),
            [0, ..] | [] => return None,
            [1, ref rest @ ..] => options = rest,
            [_, len, ..] if len >= 2 => options = options.get(usize::from(len)..)?,
            [_, ..] => return None,
        }
    }
}
