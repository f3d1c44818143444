//! More comes in than one processor can carry: known flows come before new ones.
//!
//! To begin a flow costs several times what a packet of a known one does. When a port is never found empty, and known flows
//! have a part in what comes in, that port may begin fewer and fewer new flows in each millisecond, until it is found empty
//! again; a flood then takes little more than what it costs to read it. Other ports are not meant: nobody outside can take the
//! pages away from LAN. Where hardly anything but new flows comes in, nobody has to be protected from them.
//!
//! Invariant: a port may always begin [`FEWEST`] flows in a millisecond.

use super::Shard;
use crate::types::{Duration, Instant, PortId};

/// Flows that a port may begin in a millisecond, whatever comes in.
const FEWEST: u32 = 16;
/// More than any processor begins in a millisecond.
const MOST: u32 = 1024;
/// How long a window is.
const WINDOW: Duration = Duration::from_millis(1);
/// After so long a rest, what was before says nothing any more.
const REST: Duration = Duration::from_millis(20);
/// Known flows are protected when one packet of so many is theirs.
const SHARE: u32 = 8;

/// New flows of one port.
#[derive(Clone, Copy, Debug)]
struct Gate {
    /// How many it may begin in each window.
    width: u32,
    /// How many more in this one.
    left: u32,
    /// It was read, and had more; it was read until it had no more. Both in this window.
    read: [bool; 2],
}

/// What is known of the load.
#[derive(Debug)]
pub(super) struct Pressure {
    gates: Vec<Gate>,
    /// The port whose frames are being acted upon.
    at: Option<usize>,
    /// When the window began.
    since: Instant,
    /// Packets in this window, and those of known flows.
    seen: u32,
    known: u32,
}

impl Gate {
    const OPEN: Gate = Gate { width: MOST, left: MOST, read: [false; 2] };

    /// The window is over.
    fn turn(&mut self, protects: bool) {
        let [waiting, emptied] = self.read;
        self.width = match waiting && !emptied && protects {
            true => (self.width / 4 * 3).max(FEWEST),
            false => (self.width + self.width / 4 + 1).min(MOST),
        };
        (self.left, self.read) = (self.width, [false; 2]);
    }
}

impl Pressure {
    pub(super) fn new(now: Instant) -> Self {
        Pressure { gates: Vec::new(), at: None, since: now, seen: 0, known: 0 }
    }

    /// A port was read: it has more, or nothing more.
    pub(super) fn note_read(&mut self, port: PortId, more: bool) {
        let number = usize::from(port.0);
        if number >= self.gates.len() {
            self.gates.resize(number + 1, Gate::OPEN);
        }
        self.gates[number].read[usize::from(!more)] = true;
    }

    /// What follows came in by `port`.
    #[inline]
    pub(super) fn begin(&mut self, now: Instant, port: PortId) {
        self.at = Some(usize::from(port.0));
        let length = now.since(self.since);
        if length < WINDOW {
            return;
        }
        let protects = self.known > 0 && self.known >= self.seen / SHARE;
        for gate in &mut self.gates {
            match length < REST {
                true => gate.turn(protects),
                false => *gate = Gate::OPEN,
            }
        }
        (self.since, self.seen, self.known) = (now, 0, 0);
    }

    /// What follows came in by no port.
    pub(super) fn end(&mut self) {
        self.at = None;
    }

    /// Packets were looked up.
    #[inline]
    pub(super) fn count(&mut self, seen: usize, known: usize) {
        self.seen += seen as u32;
        self.known += known as u32;
    }

    /// May a packet begin a flow?
    pub(super) fn admits(&mut self) -> bool {
        let Some(gate) = self.at.and_then(|number| self.gates.get_mut(number)) else { return true };
        let admits = gate.left > 0;
        gate.left = gate.left.saturating_sub(1);
        admits
    }
}

impl Shard {
    /// A port was read until it had no more, or it may have more. An edge that does not say puts nobody under pressure.
    #[inline]
    pub fn note_read(&mut self, port: PortId, more: bool) {
        self.pressure.note_read(port, more);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Compiled, Outbox};
    use super::*;
    use crate::config;
    use crate::types::{InterfaceId, Seed};
    use crate::wire::{Drop, FrameBuf, Offload};

    const WAN: PortId = PortId(0);
    const LAN: PortId = PortId(1);

    fn at(micros: u64) -> Instant {
        Instant::ZERO + Duration::from_micros(micros)
    }

    /// In each of so many milliseconds a port is read `reads` and offers new flows; how many begin in the last one.
    fn begun(pressure: &mut Pressure, from: u64, milliseconds: u64, known: usize, reads: &[bool]) -> u32 {
        let mut begun = 0;
        for millisecond in from..from + milliseconds {
            pressure.begin(at(millisecond * 1000), WAN);
            for more in reads {
                pressure.note_read(WAN, *more);
            }
            pressure.count(500, known);
            begun = (0..2000).filter(|_| pressure.admits()).count() as u32;
        }
        begun
    }

    #[test]
    fn a_port_that_is_never_empty_begins_few_flows_where_known_ones_suffer() {
        for (name, known, reads, expected) in [
            ("never empty", 100, [true, true], FEWEST),
            ("empty between", 100, [true, false], MOST),
            ("nobody says", 100, [false, false], MOST),
            ("few of known flows", 5, [true, true], MOST),
            ("none of known flows", 0, [true, true], MOST),
        ] {
            let mut pressure = Pressure::new(at(0));
            assert_eq!(begun(&mut pressure, 1, 40, known, &reads), expected, "{name}");
        }
    }

    #[test]
    fn it_takes_some_milliseconds_and_goes_as_it_came() {
        let mut pressure = Pressure::new(at(0));
        let narrowed: Vec<_> = (0..20).map(|turn| begun(&mut pressure, 1 + turn, 1, 100, &[true])).collect();
        assert_eq!(narrowed[0], MOST, "a burst is let through");
        assert!(narrowed.is_sorted_by(|a, b| a >= b), "{narrowed:?}");
        assert_eq!(narrowed[19], FEWEST);
        let widened: Vec<_> = (0..40).map(|turn| begun(&mut pressure, 21 + turn, 1, 100, &[false])).collect();
        assert!(widened.is_sorted(), "{widened:?}");
        assert_eq!(widened[39], MOST);
    }

    #[test]
    fn other_ports_and_the_router_itself_are_not_meant() {
        let mut pressure = Pressure::new(at(0));
        assert_eq!(begun(&mut pressure, 1, 40, 100, &[true]), FEWEST);
        pressure.note_read(LAN, false);
        pressure.begin(at(40_500), LAN);
        assert!((0..MOST).all(|_| pressure.admits()), "LAN");
        pressure.end();
        assert!((0..MOST).all(|_| pressure.admits()), "the router");
    }

    /// One datagram from a host of LAN to the internet.
    fn datagram(shard: &Shard, port: u16) -> FrameBuf {
        let mut bytes = Vec::new();
        etherparse::PacketBuilder::ethernet2(
            [2, 0, 0, 0, 0, 9],
            shard.compiled.link(InterfaceId(1)).unwrap().mac.0,
        )
        .ipv4([192, 168, 1, 10], [198, 51, 100, 7], 64)
        .udp(port, 9)
        .write(&mut bytes, &[7; 18])
        .unwrap();
        FrameBuf::copy_of(&bytes)
    }

    #[test]
    fn under_a_flood_no_packet_of_a_known_flow_is_lost() {
        for (more, lost) in [(true, 800..40 * 50), (false, 0..1_u64)] {
            let valid = config::load(include_str!("../../configs/single.toml")).unwrap();
            let node = valid.node(None).unwrap();
            let compiled = Arc::new(Compiled::new(Arc::new(valid), node, 1, vec![Offload::NONE; 2]));
            let mut now = Instant::from_secs(100);
            let mut shard = Shard::new(Arc::clone(&compiled), Seed([1, 2]), now);
            let mut out = Outbox::new(2);
            for port in [WAN, LAN] {
                shard.handle_link(now, port, true, &mut out);
            }
            shard.handle_frames(now, LAN, &mut vec![datagram(&shard, 1)], &mut out);
            for turn in 0..40 {
                now += Duration::from_millis(1);
                shard.note_read(LAN, true);
                shard.note_read(LAN, more);
                let known = (0..10).map(|_| 1);
                let mut frames = known.chain((0..50).map(|new| 1000 + turn * 50 + new)).collect::<Vec<_>>();
                frames.reverse();
                let mut frames = frames.iter().map(|port| datagram(&shard, *port)).collect();
                shard.handle_frames(now, LAN, &mut frames, &mut out);
            }
            let dropped = shard.drops_of(Drop::Pressure);
            let flows = shard.table.len();
            assert!(lost.contains(&dropped), "{more}: {dropped}");
            assert_eq!(flows as u64, 1 + 40 * 50 - dropped, "each packet of the first flow found it");
        }
    }

    #[test]
    fn after_a_rest_all_is_as_at_first() {
        let mut pressure = Pressure::new(at(0));
        assert_eq!(begun(&mut pressure, 1, 40, 100, &[true]), FEWEST);
        assert_eq!(begun(&mut pressure, 100, 1, 100, &[true]), MOST);
    }
}
