//! Whose cable is cut? A way through an interface is silent while others carry, and the link says that it is up.
//!
//! Each node asks the stations that it knows behind that interface. Whoever hears anything there has a cable that
//! works; whoever hears nothing counts the interface as lost, and the election compares. When neither hears anything,
//! or both do, nothing moves.
//!
//! Invariant: an interface is lost only after the question has gone out, the time for an answer is over, and the port has
//! been read empty since: a forward thread that gets no processor hears nothing either. One frame brings it back.

use std::time::Duration;

use crate::types::{Instant, InterfaceId, PortId};

/// A station on the link answers within this time.
const PATIENCE: Duration = Duration::from_millis(20);
/// Whether the port has been read empty since is looked at this often.
const CLOSELY: Duration = Duration::from_millis(2);
/// It is asked again after this.
const AGAIN: Duration = Duration::from_millis(10);

/// An interface that is silent.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    interface: InterfaceId,
    port: PortId,
    since: Instant,
    /// When the first question went out, and when its answer is overdue.
    overdue: Option<Instant>,
    /// When the port was last read empty.
    drained: Option<Instant>,
    /// When to ask or to conclude; `None` once it is concluded.
    due: Option<Instant>,
}

impl Doubt {
    fn is_lost(&self) -> bool {
        let overdue = self.overdue.filter(|_| self.due.is_some());
        overdue.is_some_and(|overdue| self.drained.is_some_and(|drained| drained >= overdue))
    }

    /// Once the answer is overdue, whether the port is empty is looked at closely.
    fn again(&self, now: Instant) -> Instant {
        match self.overdue {
            Some(overdue) if overdue <= now => now + CLOSELY,
            Some(overdue) => overdue.min(now + AGAIN),
            None => now + AGAIN,
        }
    }
}

/// What a turn brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Ask the stations behind it.
    Ask(InterfaceId, PortId),
    /// Nothing was heard: it is lost.
    Lost(InterfaceId),
    /// Something was heard: it works.
    Works(InterfaceId),
}

/// All interfaces in doubt, or lost.
#[derive(Debug, Default)]
pub struct Doubts {
    doubts: Vec<Doubt>,
}

impl Doubts {
    /// The way through an interface is silent, which counts from `now` on.
    pub fn begin(&mut self, now: Instant, interface: InterfaceId, port: PortId) {
        if !self.doubts.iter().any(|doubt| doubt.interface == interface) {
            let doubt = Doubt { interface, port, since: now, overdue: None, drained: None, due: Some(now) };
            self.doubts.push(doubt);
        }
    }

    /// The peer is silent everywhere. What was not concluded yet cannot be: there is nobody to compare with.
    pub fn end_open(&mut self) {
        self.doubts.retain(|doubt| doubt.due.is_none());
    }

    /// The way carries again, or there is nobody to compare with: no doubt, and no loss.
    pub fn end(&mut self, interface: InterfaceId) -> Option<Step> {
        let index = self.doubts.iter().position(|doubt| doubt.interface == interface)?;
        self.doubts.swap_remove(index);
        Some(Step::Works(interface))
    }

    /// The last frame by `port` came in at `at`.
    pub fn handle_heard(&mut self, port: PortId, at: Instant) -> Option<Step> {
        let index = self.doubts.iter().position(|doubt| doubt.port == port && at > doubt.since)?;
        // The way may stay silent for another reason; it is asked about again when it has carried in between.
        let doubt = self.doubts.swap_remove(index);
        Some(Step::Works(doubt.interface))
    }

    /// The last question by `port` went out at `at`, from a node that does everything up to `late` too late.
    pub fn handle_asked(&mut self, port: PortId, at: Instant, late: Duration) {
        let asked = self.doubts.iter_mut().filter(|doubt| doubt.port == port && at >= doubt.since);
        for doubt in asked {
            doubt.overdue.get_or_insert(at + PATIENCE.max(2 * late));
        }
    }

    /// Nothing waits in `port` at `now`.
    pub fn handle_drained(&mut self, now: Instant, port: PortId) {
        self.doubts.iter_mut().filter(|doubt| doubt.port == port).for_each(|doubt| doubt.drained = Some(now));
    }

    /// What is due.
    pub fn step(&mut self, now: Instant) -> Option<Step> {
        let lost = |doubt: &&mut Doubt| doubt.is_lost();
        if let Some(doubt) = self.doubts.iter_mut().find(lost) {
            doubt.due = None;
            return Some(Step::Lost(doubt.interface));
        }
        let due = self.doubts.iter_mut().filter(|doubt| doubt.due.is_some_and(|due| due <= now));
        for doubt in due {
            doubt.due = Some(doubt.again(now));
            // Whoever has not answered by then is not asked again: only the port is looked at.
            if doubt.overdue.is_none_or(|overdue| now < overdue) {
                return Some(Step::Ask(doubt.interface, doubt.port));
            }
        }
        None
    }

    /// When [`Doubts::step`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.doubts.iter().filter_map(|doubt| doubt.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_asked_for_twice_and_lost_when_nobody_answers() {
        let (lan, port, now) = (InterfaceId(1), PortId(2), Instant::from_secs(7));
        let (asked, overdue) = (now + AGAIN / 4, now + AGAIN / 4 + PATIENCE);
        let mut doubts = Doubts::default();
        doubts.begin(now, lan, port);
        doubts.begin(now + AGAIN, lan, port);
        assert_eq!((doubts.step(now), doubts.step(now)), (Some(Step::Ask(lan, port)), None));
        assert_eq!(doubts.handle_heard(port, now), None, "that was before");
        doubts.handle_asked(port, asked, Duration::ZERO);
        assert_eq!(doubts.step(now + AGAIN), Some(Step::Ask(lan, port)));
        doubts.handle_asked(port, now + AGAIN, Duration::ZERO);
        assert_eq!(doubts.poll_timeout(), Some(now + AGAIN * 2));
        assert_eq!(doubts.step(now + AGAIN * 2), Some(Step::Ask(lan, port)));
        assert_eq!(doubts.poll_timeout(), Some(overdue));
        doubts.handle_drained(overdue, port);
        assert_eq!(doubts.step(overdue), Some(Step::Lost(lan)));
        assert_eq!((doubts.step(now + PATIENCE * 9), doubts.poll_timeout()), (None, None));
        assert_eq!(doubts.handle_heard(PortId(1), overdue + AGAIN), None, "another cable");
        assert_eq!(doubts.handle_heard(port, overdue + AGAIN), Some(Step::Works(lan)));
        assert_eq!(doubts.end(lan), None);
    }

    #[test]
    fn a_starved_forward_thread_proves_nothing() {
        let (lan, port, now) = (InterfaceId(1), PortId(2), Instant::from_secs(7));
        let mut doubts = Doubts::default();
        doubts.begin(now, lan, port);
        for millis in (0..500).step_by(10) {
            let at = now + Duration::from_millis(millis);
            doubts.handle_drained(at, port);
            assert_ne!(doubts.step(at), Some(Step::Lost(lan)), "nobody has been asked");
        }
        let asked = now + Duration::from_millis(500);
        doubts.handle_asked(port, asked, Duration::ZERO);
        for millis in (0..500).step_by(10) {
            assert_ne!(
                doubts.step(asked + Duration::from_millis(millis)),
                Some(Step::Lost(lan)),
                "it may wait"
            );
        }
        doubts.handle_drained(asked + PATIENCE / 2, port);
        assert_ne!(doubts.step(asked + PATIENCE * 9), Some(Step::Lost(lan)), "read empty too early");
        doubts.handle_drained(asked + PATIENCE * 9, PortId(3));
        assert_ne!(doubts.step(asked + PATIENCE * 9), Some(Step::Lost(lan)), "another port");
        doubts.handle_drained(asked + PATIENCE * 9, port);
        assert_eq!(doubts.step(asked + PATIENCE * 9), Some(Step::Lost(lan)));
    }

    #[test]
    fn who_is_late_himself_waits_longer_for_an_answer() {
        let (lan, port, now) = (InterfaceId(1), PortId(2), Instant::from_secs(7));
        let late = Duration::from_millis(150);
        let mut doubts = Doubts::default();
        doubts.begin(now, lan, port);
        assert_eq!(doubts.step(now), Some(Step::Ask(lan, port)));
        doubts.handle_asked(port, now, late);
        doubts.handle_drained(now + PATIENCE * 2, port);
        assert_ne!(doubts.step(now + PATIENCE * 2), Some(Step::Lost(lan)));
        doubts.handle_drained(now + 2 * late, port);
        assert_eq!(doubts.step(now + 2 * late), Some(Step::Lost(lan)));
    }

    #[test]
    fn of_a_dead_peer_nothing_new_is_concluded() {
        let (lan, dmz, now) = (InterfaceId(1), InterfaceId(2), Instant::from_secs(7));
        let mut doubts = Doubts::default();
        doubts.begin(now, lan, PortId(1));
        assert_eq!(doubts.step(now), Some(Step::Ask(lan, PortId(1))));
        doubts.handle_asked(PortId(1), now, Duration::ZERO);
        doubts.handle_drained(now + PATIENCE, PortId(1));
        assert_eq!(doubts.step(now + PATIENCE), Some(Step::Lost(lan)));
        doubts.begin(now + PATIENCE, dmz, PortId(2));
        doubts.end_open();
        assert_eq!((doubts.poll_timeout(), doubts.step(now + PATIENCE * 9)), (None, None));
        assert_eq!(
            doubts.handle_heard(PortId(1), now + PATIENCE * 9),
            Some(Step::Works(lan)),
            "what was lost is"
        );
        // One that is to begin later.
        doubts.begin(now + PATIENCE * 20, dmz, PortId(2));
        assert_eq!(doubts.step(now + PATIENCE * 19), None);
        assert_eq!(doubts.step(now + PATIENCE * 20), Some(Step::Ask(dmz, PortId(2))));
    }

    #[test]
    fn one_frame_is_enough() {
        let (wan, port, now) = (InterfaceId(0), PortId(0), Instant::from_secs(7));
        let mut doubts = Doubts::default();
        doubts.begin(now, wan, port);
        assert_eq!(doubts.step(now), Some(Step::Ask(wan, port)));
        assert_eq!(doubts.handle_heard(port, now + Duration::from_millis(1)), Some(Step::Works(wan)));
        assert_eq!((doubts.step(now + PATIENCE), doubts.poll_timeout()), (None, None));
    }
}
