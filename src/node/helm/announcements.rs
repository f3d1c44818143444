//! A takeover tells the links where the virtual addresses are now: one frame for each port and virtual MAC address at
//! once, since that is what switches learn from; the others after it, paced, so that a hundred addresses do not
//! silence a small host.
//!
//! Invariant: what has not been said when the role is lost again is never said; while the lease has lapsed, it waits.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::types::{Instant, InterfaceId, MacAddr};

/// Between two frames that are not urgent.
const PACE: Duration = Duration::from_millis(1);
/// Everything is said again after this, for hosts that missed it.
const AGAIN: Duration = Duration::from_secs(2);
/// A node without a lease looks again after this.
const HELD: Duration = Duration::from_millis(10);

/// One address at one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// Where.
    pub interface: InterfaceId,
    /// The MAC address that it lives at.
    pub mac: MacAddr,
    /// The address.
    pub address: IpAddr,
}

/// What is still to be said.
#[derive(Debug, Default)]
pub struct Announcements {
    waiting: VecDeque<(Instant, Announcement)>,
    /// Nothing is said before.
    held: Instant,
}

impl Announcements {
    /// Begins: gives what must go out at once, and keeps the rest, everything once more included.
    pub fn begin(&mut self, now: Instant, all: &[Announcement]) -> Vec<Announcement> {
        self.waiting.clear();
        let mut urgent: Vec<Announcement> = Vec::new();
        let mut at = now;
        for one in all {
            if urgent.iter().any(|first| (first.interface, first.mac) == (one.interface, one.mac)) {
                at += PACE;
                self.waiting.push_back((at, *one));
            } else {
                urgent.push(*one);
            }
        }
        let mut at = now + AGAIN;
        for one in all {
            self.waiting.push_back((at, *one));
            at += PACE;
        }
        urgent
    }

    /// The role is lost.
    pub fn stop(&mut self) {
        self.waiting.clear();
    }

    /// Nothing may be said at present: asked again after [`HELD`].
    pub fn hold(&mut self, now: Instant) {
        self.held = now + HELD;
    }

    /// The next that is due.
    pub fn due(&mut self, now: Instant) -> Option<Announcement> {
        if now < self.held {
            return None;
        }
        self.waiting.pop_front_if(|(at, _)| *at <= now).map(|(_, one)| one)
    }

    /// When [`Announcements::due`] has something.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|(at, _)| (*at).max(self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_switch_learns_each_mac_at_once_and_the_rest_is_paced() {
        let one = |interface, vhid, last| Announcement {
            interface: InterfaceId(interface),
            mac: MacAddr([0, 0, 0x5e, 0, 1, vhid]),
            address: IpAddr::from([10, 0, 0, last]),
        };
        let all = [one(0, 1, 1), one(0, 1, 2), one(0, 2, 3), one(1, 1, 4), one(1, 1, 5)];
        let mut announcements = Announcements::default();
        let now = Instant::from_secs(5);
        assert_eq!(announcements.begin(now, &all), [all[0], all[2], all[3]]);
        assert_eq!(announcements.due(now), None);
        assert_eq!(announcements.due(now + PACE), Some(all[1]));
        assert_eq!(announcements.due(now + PACE), None);
        assert_eq!(announcements.poll_timeout(), Some(now + PACE * 2));
        assert_eq!(announcements.due(now + PACE * 2), Some(all[4]));
        let again: Vec<_> = std::iter::from_fn(|| announcements.due(now + AGAIN * 2)).collect();
        assert_eq!(again, all);
        announcements.begin(now, &all);
        announcements.hold(now + PACE);
        assert_eq!(announcements.due(now + PACE), None);
        assert_eq!(announcements.poll_timeout(), Some(now + PACE + HELD));
        assert_eq!(announcements.due(now + PACE + HELD), Some(all[1]));
        announcements.stop();
        assert_eq!((announcements.due(now + AGAIN * 2), announcements.poll_timeout()), (None, None));
    }
}
