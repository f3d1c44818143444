//! A learning switch: it remembers behind which port a MAC address was last seen, and floods what it does not know.
//!
//! That is why a takeover has to announce itself: until a frame with the virtual MAC as its source has come from the
//! new node, the switch keeps sending to the old one.

use std::collections::HashMap;

/// Ports a switch has.
pub const PORTS: u8 = 8;

/// A switch.
#[derive(Default)]
pub struct Switch {
    learned: HashMap<[u8; 6], u8>,
    /// From the first port nothing leaves by the second.
    blocked: Vec<(u8, u8)>,
}

impl Switch {
    /// The ports by which a frame that came in by `port` leaves.
    pub fn receive(&mut self, port: u8, frame: &[u8]) -> Vec<u8> {
        let (Some(to), Some(from)) = (address(frame, 0), address(frame, 6)) else { return Vec::new() };
        if from[0] & 1 == 0 {
            self.learned.insert(from, port);
        }
        let leaves = |other: &u8| *other != port && !self.blocked.contains(&(port, *other));
        match self.learned.get(&to) {
            Some(known) if to[0] & 1 == 0 => Some(*known).filter(leaves).into_iter().collect(),
            Some(_) | None => (0..PORTS).filter(leaves).collect(),
        }
    }

    /// Nothing gets from one of the ports to the other any more, or all does again.
    pub fn block(&mut self, one: u8, other: u8, blocked: bool) {
        let ways = [(one, other), (other, one)];
        self.blocked.retain(|way| !ways.contains(way));
        if blocked {
            self.blocked.extend(ways);
        }
    }

    /// True when nothing gets from one of the ports to the other.
    pub fn blocks(&self, one: u8, other: u8) -> bool {
        self.blocked.contains(&(one, other))
    }

    /// The link of a port went down: nobody is behind it any more.
    pub fn unplug(&mut self, port: u8) {
        self.learned.retain(|_, known| *known != port);
    }

    /// The port behind which an address was seen last.
    pub fn port_of(&self, mac: [u8; 6]) -> Option<u8> {
        self.learned.get(&mac).copied()
    }
}

fn address(frame: &[u8], at: usize) -> Option<[u8; 6]> {
    frame.get(at..at + 6)?.try_into().ok()
}

#[test]
fn a_switch_learns_and_learns_anew() {
    let mut switch = Switch::default();
    let frame = |to: u8, from: u8| [[to, 0, 0, 0, 0, to], [2, 0, 0, 0, 0, from]].concat();
    assert_eq!(switch.receive(1, &frame(0xff, 7)).len(), usize::from(PORTS) - 1);
    let to_seven = [[2, 0, 0, 0, 0, 7], [2, 0, 0, 0, 0, 8]].concat();
    assert_eq!(switch.receive(2, &to_seven), [1]);
    switch.receive(3, &frame(0xff, 7));
    assert_eq!(switch.receive(2, &to_seven), [3]);
    switch.unplug(3);
    assert_eq!(switch.port_of([2, 0, 0, 0, 0, 7]), None);
    assert!(switch.receive(9, &[0; 5]).is_empty());
}
