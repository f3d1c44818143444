//! pf's timers: which one applies, and for how long.
//!
//! Invariant: a flow lives at least its timeout after the last packet that refreshed it, and at most one
//! [`Tick`] longer, as long as `handle_timeout` is called when `poll_timeout` asks for it.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::tcp::{Phase, Tcp};
use crate::config::model::Timeouts;
use crate::types::{Instant, RuleId};

/// pf's timers of rules that have their own.
pub(super) type RuleTimers = HashMap<RuleId, Timeouts, FixedState>;

/// Half seconds since the zero of the time line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Tick(pub(super) u32);

impl Tick {
    pub(super) const ZERO: Tick = Tick(0);
    const NANOS: u64 = 500_000_000;
    const PER_SECOND: u32 = 2;

    #[inline]
    pub(super) const fn of(now: Instant) -> Tick {
        Tick((now.as_nanos() / Tick::NANOS) as u32)
    }

    /// When this tick begins.
    pub(super) const fn instant(self) -> Instant {
        Instant::from_nanos(self.0 as u64 * Tick::NANOS)
    }

    /// The first tick by which `seconds` have certainly passed since any moment of this one.
    pub(super) const fn after(self, seconds: u32) -> Tick {
        Tick(self.0.saturating_add(seconds.saturating_mul(Tick::PER_SECOND)).saturating_add(1))
    }
}

/// Which of pf's timers applies to a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// No flow.
    Vacant,
    /// tcp.first: a SYN, and nothing yet from the other side.
    TcpFirst,
    /// tcp.opening: both sides have spoken, the handshake is not complete.
    TcpOpening,
    /// tcp.established
    TcpEstablished,
    /// tcp.closing: one FIN.
    TcpClosing,
    /// tcp.finwait: two FINs.
    TcpFinWait,
    /// tcp.closed: both acknowledged, or a RST.
    TcpClosed,
    /// udp.first: one datagram.
    UdpFirst,
    /// udp.single: more datagrams, no answer.
    UdpOneWay,
    /// udp.single: answered.
    UdpSingle,
    /// udp.multiple: both sides have sent more than one.
    UdpMultiple,
    /// icmp.first: no answer.
    IcmpFirst,
    /// icmp.error (pf's name for it): answered.
    IcmpAnswered,
    /// other.first
    OtherFirst,
    /// other.single: no answer.
    OtherOneWay,
    /// other.single: answered.
    OtherSingle,
    /// other.multiple
    OtherMultiple,
}

impl Class {
    /// Flows that nobody has answered, or whose handshake is not complete: they count against their source,
    /// and make room when the table is full. In the order in which equally old ones do so.
    pub(super) const EMBRYONIC: [Class; 7] = [
        Class::TcpFirst,
        Class::UdpFirst,
        Class::IcmpFirst,
        Class::OtherFirst,
        Class::UdpOneWay,
        Class::OtherOneWay,
        Class::TcpOpening,
    ];

    /// Position among the embryonic classes.
    #[inline]
    pub(super) const fn embryonic(self) -> Option<usize> {
        match self {
            Class::TcpFirst => Some(0),
            Class::UdpFirst => Some(1),
            Class::IcmpFirst => Some(2),
            Class::OtherFirst => Some(3),
            Class::UdpOneWay => Some(4),
            Class::OtherOneWay => Some(5),
            Class::TcpOpening => Some(6),
            Class::Vacant
            | Class::TcpEstablished
            | Class::TcpClosing
            | Class::TcpFinWait
            | Class::TcpClosed
            | Class::UdpSingle
            | Class::UdpMultiple
            | Class::IcmpAnswered
            | Class::OtherSingle
            | Class::OtherMultiple => None,
        }
    }

    /// A TCP connection whose handshake is not complete.
    pub(super) const fn is_half_open(self) -> bool {
        matches!(self, Class::TcpFirst | Class::TcpOpening)
    }

    /// A TCP connection whose handshake was complete, as far as a class can tell.
    pub(super) const fn is_connection(self) -> bool {
        matches!(self, Class::TcpEstablished | Class::TcpClosing | Class::TcpFinWait)
    }

    pub(super) const fn seconds(self, timeouts: &Timeouts) -> u32 {
        match self {
            Class::Vacant => 0,
            Class::TcpFirst => timeouts.tcp_first,
            Class::TcpOpening => timeouts.tcp_opening,
            Class::TcpEstablished => timeouts.tcp_established,
            Class::TcpClosing => timeouts.tcp_closing,
            Class::TcpFinWait => timeouts.tcp_finwait,
            Class::TcpClosed => timeouts.tcp_closed,
            Class::UdpFirst => timeouts.udp_first,
            Class::UdpOneWay | Class::UdpSingle => timeouts.udp_single,
            Class::UdpMultiple => timeouts.udp_multiple,
            Class::IcmpFirst => timeouts.icmp_first,
            Class::IcmpAnswered => timeouts.icmp_error,
            Class::OtherFirst => timeouts.other_first,
            Class::OtherOneWay | Class::OtherSingle => timeouts.other_single,
            Class::OtherMultiple => timeouts.other_multiple,
        }
    }

    /// Which timer a connection runs under, in the order in which pf asks.
    #[inline]
    pub(super) fn of_tcp(tcp: &Tcp) -> Class {
        let [a, b] = [tcp.peers[0].phase, tcp.peers[1].phase];
        let (least, most) = (a.min(b), a.max(b));
        if least >= Phase::FinWait2 {
            Class::TcpClosed
        } else if least >= Phase::Closing {
            Class::TcpFinWait
        } else if least == Phase::Closed {
            Class::TcpFirst
        } else if least < Phase::Established {
            Class::TcpOpening
        } else if most >= Phase::Closing {
            Class::TcpClosing
        } else {
            Class::TcpEstablished
        }
    }
}

/// What one way of a flow without connections has sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Traffic {
    /// Nothing.
    None = 0,
    /// Something.
    Single = 1,
    /// Something after the other side had answered.
    Multiple = 2,
}

impl Traffic {
    #[inline]
    pub(super) const fn from_bits(bits: u8) -> Traffic {
        match bits {
            0 => Traffic::None,
            1 => Traffic::Single,
            _ => Traffic::Multiple,
        }
    }
}
