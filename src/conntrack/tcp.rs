//! The TCP machine: which segments belong to a connection, and what they do to it.
//!
//! This is pf's machine (its `pf_tcp_track_full`), after Guido van Rooij, "Real Stateful TCP Packet Filtering in IP
//! Filter" (2001). A box in the middle does not know what the ends have received; it knows what it has seen. Of each
//! end it keeps
//!
//! * `low`: the end of the data that it has sent (the highest `seq + len` seen),
//! * `high`: the end of what it may send (the highest `ack + window` that the other end has sent),
//! * `acked`: the highest acknowledgement that the other end has sent, never beyond `low`,
//! * `window`: the largest window that it has offered.
//!
//! A segment with sequence number `seq`, ending at `end = seq + len` (SYN and FIN count one), acknowledging `ack`, from
//! `from` to `to`, is accepted when
//!
//! 1. `end <= from.high`: the data fits the window that was offered;
//! 2. `seq >= from.low - to.window`: a retransmission goes back one window at most. Data that was acknowledged
//!    already may come again, since the acknowledgement may have been lost behind us;
//! 3. `ack <= to.low + FUDGE`: it acknowledges nothing much that has not been seen;
//! 4. `ack >= to.low - (FUDGE << from.scale)`: nor anything very old;
//! 5. and a RST has exactly the number that `to` expects: `acked`, or `low` give or take one (RFC 5961 section 3).
//!
//! A segment that occupies no sequence space is exempt from (1) and (2), never from (5), which looks at the number on
//! the wire. Once either end is past FIN_WAIT_2, segments within `FUDGE` of the numbers are let through as well.
//! All differences are modulo 2^32. Windows are scaled only if both SYNs offered scaling, and never on a SYN (RFC 7323).
//!
//! Differences from pf, each for a reason: in the handshake an acknowledgement must be exactly of the SYN, so that
//! an old SYN+ACK or a guessed RST does nothing; a FIN counts as acknowledged only by its own number; a bare ACK or
//! an inexact RST while nobody has answered passes and changes nothing, so that RFC 5961's challenge and the RST that it
//! provokes can clear a stale connection of the server; a new initial sequence number before any answer begins anew.

use super::index::Way;
use super::segment::Segment;
use crate::wire::tcp_flags;

/// pf's MAXACKWINDOW: the largest unscaled window and one reassembled packet's worth of disorder.
const FUDGE: u32 = 65_535 + 1500;

/// How far one end has come. The order is that of a connection's life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    /// It has not spoken.
    Closed = 0,
    /// It has sent its SYN.
    SynSent = 1,
    /// Its SYN was acknowledged.
    Established = 2,
    /// It has sent its FIN.
    Closing = 3,
    /// Its FIN was acknowledged.
    FinWait2 = 4,
    /// There was a RST.
    TimeWait = 5,
}

impl Phase {
    #[inline]
    pub(super) const fn from_bits(bits: u8) -> Phase {
        match bits {
            0 => Phase::Closed,
            1 => Phase::SynSent,
            2 => Phase::Established,
            3 => Phase::Closing,
            4 => Phase::FinWait2,
            _ => Phase::TimeWait,
        }
    }
}

/// What is known of one end; see the module's documentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Peer {
    pub(super) phase: Phase,
    pub(super) low: u32,
    pub(super) high: u32,
    pub(super) acked: u32,
    /// In units of its scale, once both scales are in force.
    pub(super) window: u16,
    /// What its SYN offered; taken back when the other end's SYN does not.
    pub(super) scale: Option<u8>,
}

/// A connection, its ends by [`Way`]: the one that sent the first SYN, and the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tcp {
    pub(super) peers: [Peer; 2],
    /// The numbers were learned from the middle of the connection: see [`Tcp::relearn`].
    pub(super) loose: bool,
}

/// What becomes of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Accepted: the connection has moved on.
    Accept,
    /// Let through; it changes nothing and keeps nothing alive.
    Ignore,
    /// It begins another connection with the same addresses and ports.
    Restart,
    /// Dropped.
    Mismatch,
    /// Dropped, and its sender is told where the connection is.
    Challenge,
}

/// `a - b` as a signed distance.
#[inline]
const fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

#[inline]
const fn at_most(a: u32, b: u32) -> bool {
    distance(a, b) <= 0
}

#[inline]
const fn later(a: u32, b: u32) -> u32 {
    if distance(a, b) > 0 { a } else { b }
}

impl Tcp {
    /// The connection that a first SYN begins.
    pub(super) fn begin(segment: &Segment) -> Tcp {
        let end = segment.end();
        let first = Peer {
            phase: Phase::SynSent,
            low: end,
            high: end.wrapping_add(1),
            acked: segment.seq,
            window: segment.window.max(1),
            scale: segment.scale,
        };
        let other = Peer { phase: Phase::Closed, low: 0, high: 0, acked: 0, window: 1, scale: None };
        Tcp { peers: [first, other], loose: false }
    }

    /// A connection that a segment from its middle shows, where a rule allows that. Its scales were in SYNs that nobody
    /// saw, so the largest are assumed.
    pub(super) fn pick_up(segment: &Segment) -> Option<Tcp> {
        if segment.has(tcp_flags::SYN) || segment.has(tcp_flags::RST) {
            return None;
        }
        let peer = Peer { phase: Phase::Established, low: 0, high: 0, acked: 0, window: 1, scale: Some(14) };
        let mut tcp = Tcp { peers: [peer, peer], loose: false };
        (tcp.relearn(Way::Original, segment) == Outcome::Accept).then_some(tcp)
    }

    /// Moves on by a segment.
    #[inline]
    pub(super) fn advance(&mut self, way: Way, segment: &Segment) -> Outcome {
        let (from, to) = (self.peers[way.index()], self.peers[way.other().index()]);
        if segment.flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN
            && let Some(outcome) = judge_syn(way, &from, &to, segment)
        {
            return outcome;
        }
        if to.phase == Phase::Closed {
            return self.unanswered(way, segment);
        }
        if from.phase == Phase::Closed {
            return self.first_answer(way, segment);
        }
        self.judge(way, from, to, segment)
    }

    /// The first end sends something but a SYN, and nobody has answered: it may only give up.
    fn unanswered(&mut self, way: Way, segment: &Segment) -> Outcome {
        if !segment.has(tcp_flags::RST) {
            return Outcome::Mismatch;
        }
        if segment.seq != self.peers[way.index()].low {
            return Outcome::Ignore;
        }
        self.reset();
        Outcome::Accept
    }

    /// The other end's first segment (RFC 9293 section 3.10.7.3).
    fn first_answer(&mut self, way: Way, segment: &Segment) -> Outcome {
        let to = self.peers[way.other().index()];
        let acknowledges = segment.has(tcp_flags::ACK)
            && distance(segment.ack, to.acked) > 0
            && at_most(segment.ack, to.low);
        if segment.has(tcp_flags::RST) {
            if !acknowledges {
                return Outcome::Mismatch;
            }
            self.reset();
            return Outcome::Accept;
        }
        if !segment.has(tcp_flags::SYN) {
            // A challenge (RFC 5961 section 4.2) from a server that believes in an older connection.
            let bare =
                segment.flags & (tcp_flags::ACK | tcp_flags::FIN) == tcp_flags::ACK && segment.len == 0;
            return if bare { Outcome::Ignore } else { Outcome::Mismatch };
        }
        if segment.has(tcp_flags::ACK) && !acknowledges {
            return Outcome::Mismatch;
        }
        self.answer(way, segment);
        Outcome::Accept
    }

    /// The other end's SYN, with an ACK or (both at once) without.
    fn answer(&mut self, way: Way, segment: &Segment) {
        let end = segment.end();
        let [from, to] = self.split(way);
        // The first end's window was offered on its SYN, unscaled.
        *from = Peer {
            phase: Phase::SynSent,
            low: end,
            high: end.wrapping_add(u32::from(to.window)),
            acked: segment.seq,
            window: segment.window.max(1),
            scale: segment.scale,
        };
        match (from.scale, to.scale) {
            (Some(a), Some(b)) => {
                from.window = scaled_down(from.window, a);
                to.window = scaled_down(to.window, b);
            }
            (Some(_) | None, Some(_) | None) => {
                from.scale = None;
                to.scale = None;
            }
        }
        let base = if segment.has(tcp_flags::ACK) {
            to.phase = Phase::Established;
            to.acked = segment.ack;
            segment.ack
        } else {
            to.low
        };
        to.high = later(to.high, base.wrapping_add(u32::from(segment.window.max(1))));
    }

    /// Any segment after both ends have spoken: the inequalities.
    #[inline]
    fn judge(&mut self, way: Way, from: Peer, to: Peer, segment: &Segment) -> Outcome {
        let (from_scale, to_scale) = match (from.scale, to.scale) {
            (Some(a), Some(b)) => (u32::from(a), u32::from(b)),
            (Some(_) | None, Some(_) | None) => (0, 0),
        };
        let rst = segment.has(tcp_flags::RST);
        let end = segment.end();
        let (seq, end) = if segment.seq == end { (from.low, from.low) } else { (segment.seq, end) };
        let ack = match segment.has(tcp_flags::ACK) {
            false => to.low,
            // Some stacks do not fill in the acknowledgement of a RST; rule 5 still applies.
            true if segment.ack == 0 && rst => to.low,
            true => segment.ack,
        };
        let back = u32::from(to.window) << to_scale;
        let skew = distance(to.low, ack);
        let strict = at_most(end, from.high) // 1
            && at_most(from.low.wrapping_sub(back), seq) // 2
            && (skew >= -(FUDGE as i32) || self.loose && to.may_have_sent(ack)) // 3
            && skew <= (FUDGE << from_scale) as i32 // 4
            && (!rst || reset_is_exact(&from, &to, segment.seq, back)); // 5
        let late = to.phase.max(from.phase) >= Phase::FinWait2
            && at_most(end, from.high.wrapping_add(FUDGE))
            && at_most(from.low.wrapping_sub(FUDGE), seq);
        if !strict && !late {
            return Outcome::Mismatch;
        }
        if rst {
            self.reset();
            return Outcome::Accept;
        }
        let (window, units) = if segment.has(tcp_flags::SYN) {
            (u32::from(segment.window), scaled_down(segment.window, from_scale as u8))
        } else {
            (u32::from(segment.window) << from_scale, segment.window)
        };
        let loose = self.loose;
        let [from, to] = self.split(way);
        from.window = from.window.max(units);
        from.low = later(from.low, end);
        if segment.has(tcp_flags::FIN) {
            from.phase = from.phase.max(Phase::Closing);
        }
        if strict {
            to.high = later(to.high, ack.wrapping_add(window.max(1)));
            if loose && to.may_have_sent(ack) {
                to.low = later(to.low, ack);
            }
            acknowledge(to, segment, ack);
        }
        Outcome::Accept
    }

    /// A segment of a connection whose numbers are as old as the peer's last word of it: they may be any distance
    /// behind. pf's loose pickup: the first segment that is no RST teaches them. It names those of both ends. What its
    /// sender has sent it says itself, and what the other end has sent it acknowledges; how far the sender may go, and
    /// how far back its retransmissions, only the other end could say, so the largest window that its scale allows
    /// is taken until it does. From then on the inequalities hold, but for one thing: the router before us has let
    /// data through that we shall only see acknowledged, so (3) allows for all that the other end may have sent.
    ///
    /// A FIN that the peer told of is the end of its sender's data, whatever comes; so is a handshake that is not
    /// complete, whose numbers do not move. A RST must be exact by the old numbers: it teaches nothing.
    pub(super) fn relearn(&mut self, way: Way, segment: &Segment) -> Outcome {
        if segment.has(tcp_flags::SYN) {
            return self.advance(way, segment);
        }
        let (from, to) = (self.peers[way.index()], self.peers[way.other().index()]);
        if segment.has(tcp_flags::RST) {
            if segment.seq != from.acked && distance(segment.seq, from.low).unsigned_abs() > 1 {
                return Outcome::Mismatch;
            }
            self.reset();
            return Outcome::Accept;
        }
        let (end, ack) = (segment.end(), segment.ack);
        let beyond_fin = |peer: &Peer, number| peer.phase >= Phase::Closing && !at_most(number, peer.low);
        if !segment.has(tcp_flags::ACK) || beyond_fin(&from, end) || beyond_fin(&to, ack) {
            return Outcome::Mismatch;
        }
        let (from_scale, to_scale) = match (from.scale, to.scale) {
            (Some(a), Some(b)) => (u32::from(a), u32::from(b)),
            (Some(_) | None, Some(_) | None) => (0, 0),
        };
        let [from, to] = self.split(way);
        let most = u32::from(u16::MAX) << to_scale;
        if from.phase < Phase::Closing {
            from.low = end;
        }
        if segment.has(tcp_flags::FIN) {
            from.phase = from.phase.max(Phase::Closing);
        }
        from.high = end.wrapping_add(most);
        from.acked = segment.seq.wrapping_sub(most);
        from.window = from.window.max(segment.window);
        if to.phase < Phase::Closing {
            to.low = ack;
        } else if to.phase == Phase::Closing && ack == to.low {
            to.phase = Phase::FinWait2;
        }
        to.high = ack.wrapping_add((u32::from(from.window) << from_scale).max(1));
        to.acked = ack;
        to.window = u16::MAX;
        self.loose = true;
        Outcome::Accept
    }

    /// Moves on without looking at numbers (pf's sloppy tracking): what is known is what flags say, and of one end
    /// perhaps nothing is ever seen.
    pub(super) fn advance_sloppily(&mut self, way: Way, segment: &Segment) -> Outcome {
        if segment.has(tcp_flags::RST) {
            self.reset();
            return Outcome::Accept;
        }
        let over = self.peers.iter().all(|peer| peer.phase >= Phase::FinWait2);
        if segment.is_first() && over {
            return Outcome::Restart;
        }
        let [from, to] = self.split(way);
        if segment.has(tcp_flags::SYN) {
            from.phase = from.phase.max(Phase::SynSent);
        }
        if segment.has(tcp_flags::FIN) {
            from.phase = from.phase.max(Phase::Closing);
        }
        if segment.has(tcp_flags::ACK) {
            match (from.phase, to.phase) {
                (_, Phase::SynSent) => to.phase = Phase::Established,
                (_, Phase::Closing) => to.phase = Phase::FinWait2,
                // The other end goes another way.
                (Phase::SynSent, Phase::Closed) if !segment.has(tcp_flags::SYN) => {
                    (from.phase, to.phase) = (Phase::Established, Phase::Established);
                }
                (
                    Phase::Closed
                    | Phase::SynSent
                    | Phase::Established
                    | Phase::Closing
                    | Phase::FinWait2
                    | Phase::TimeWait,
                    Phase::Closed | Phase::Established | Phase::FinWait2 | Phase::TimeWait,
                ) => {}
            }
        }
        Outcome::Accept
    }

    fn reset(&mut self) {
        for peer in &mut self.peers {
            peer.phase = Phase::TimeWait;
        }
    }

    /// Sender and receiver of a segment that goes this way.
    #[inline]
    fn split(&mut self, way: Way) -> [&mut Peer; 2] {
        let [a, b] = &mut self.peers;
        match way {
            Way::Original => [a, b],
            Way::Reply => [b, a],
        }
    }

    /// True when a quoted sequence number is of data under way (RFC 5927 section 4.1).
    pub(super) fn in_flight(&self, way: Way, seq: u32) -> bool {
        let from = &self.peers[way.index()];
        from.phase != Phase::Closed && at_most(from.acked, seq) && at_most(seq, from.low)
    }
}

impl Peer {
    /// Within what it was offered, and before its FIN.
    #[inline]
    fn may_have_sent(&self, number: u32) -> bool {
        self.phase < Phase::Closing && at_most(number, self.high)
    }
}

/// A SYN without ACK; `None` when the inequalities decide.
fn judge_syn(way: Way, from: &Peer, to: &Peer, segment: &Segment) -> Option<Outcome> {
    if segment.is_impossible() {
        return Some(Outcome::Mismatch);
    }
    if from.phase >= Phase::FinWait2 && to.phase >= Phase::FinWait2 {
        return Some(Outcome::Restart);
    }
    if to.phase == Phase::Closed {
        // `acked` is the initial sequence number while nobody has answered.
        let again = segment.seq == from.acked;
        return Some(match way {
            Way::Original if again => Outcome::Ignore,
            Way::Original | Way::Reply => Outcome::Restart,
        });
    }
    // RFC 5961 section 4: a SYN on a synchronised connection is never believed.
    (to.phase >= Phase::Established).then_some(match from.phase >= Phase::Established {
        true => Outcome::Challenge,
        false => Outcome::Mismatch,
    })
}

/// Rule 5. Past the FINs the numbers of late resets vary; there the window will do.
#[inline]
fn reset_is_exact(from: &Peer, to: &Peer, seq: u32, back: u32) -> bool {
    seq == from.acked
        || distance(seq, from.low).unsigned_abs() <= 1
        || (from.phase.max(to.phase) >= Phase::Closing
            && at_most(from.low.wrapping_sub(back), seq)
            && at_most(seq, from.high))
}

/// What an acknowledgement tells of the end that it goes to.
#[inline]
fn acknowledge(to: &mut Peer, segment: &Segment, ack: u32) {
    if !segment.has(tcp_flags::ACK) {
        return;
    }
    let news = distance(ack, to.acked) > 0 && at_most(ack, to.low);
    if to.phase == Phase::SynSent && news {
        to.phase = Phase::Established;
    } else if to.phase == Phase::Closing && ack == to.low {
        to.phase = Phase::FinWait2;
    }
    if news {
        to.acked = ack;
    }
}

/// A window that was offered unscaled, in units of the scale, rounded up.
const fn scaled_down(window: u16, scale: u8) -> u16 {
    (window as u32).div_ceil(1 << scale) as u16
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
