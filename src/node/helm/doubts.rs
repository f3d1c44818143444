//! Whose cable is cut? A way through an interface is silent while others carry, and the link says that it is up.
//!
//! Each node asks the stations that it knows behind that interface. Whoever hears anything there has a cable that
//! works; whoever hears nothing counts the interface as lost, and the election compares. When neither hears anything,
//! or both do, nothing moves.
//!
//! Invariant: an interface is lost only after it was asked for and stayed silent; one frame brings it back.

use std::time::Duration;

use crate::types::{Instant, InterfaceId, PortId};

/// A station on the link answers within this time.
const PATIENCE: Duration = Duration::from_millis(20);
/// It is asked again after this.
const AGAIN: Duration = Duration::from_millis(10);

/// An interface that is silent.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    interface: InterfaceId,
    port: PortId,
    since: Instant,
    /// When to ask or to conclude; `None` once it is concluded.
    due: Option<Instant>,
}

/// What a turn brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Ask the stations behind it.
    Ask(InterfaceId),
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
    /// The way through an interface is silent.
    pub fn begin(&mut self, now: Instant, interface: InterfaceId, port: PortId) {
        if !self.doubts.iter().any(|doubt| doubt.interface == interface) {
            self.doubts.push(Doubt { interface, port, since: now, due: Some(now) });
        }
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

    /// What is due.
    pub fn step(&mut self, now: Instant) -> Option<Step> {
        let doubt = self.doubts.iter_mut().find(|doubt| doubt.due.is_some_and(|due| due <= now))?;
        if now.since(doubt.since) >= PATIENCE {
            doubt.due = None;
            return Some(Step::Lost(doubt.interface));
        }
        doubt.due = Some(now + AGAIN);
        Some(Step::Ask(doubt.interface))
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
        let mut doubts = Doubts::default();
        doubts.begin(now, lan, port);
        doubts.begin(now + AGAIN, lan, port);
        assert_eq!((doubts.step(now), doubts.step(now)), (Some(Step::Ask(lan)), None));
        assert_eq!(doubts.handle_heard(port, now), None, "that was before");
        assert_eq!(doubts.step(now + AGAIN), Some(Step::Ask(lan)));
        assert_eq!(doubts.step(now + PATIENCE), Some(Step::Lost(lan)));
        assert_eq!((doubts.step(now + PATIENCE * 9), doubts.poll_timeout()), (None, None));
        assert_eq!(doubts.handle_heard(PortId(1), now + PATIENCE * 2), None, "another cable");
        assert_eq!(doubts.handle_heard(port, now + PATIENCE * 2), Some(Step::Works(lan)));
        assert_eq!(doubts.end(lan), None);
    }

    #[test]
    fn one_frame_is_enough() {
        let (wan, port, now) = (InterfaceId(0), PortId(0), Instant::from_secs(7));
        let mut doubts = Doubts::default();
        doubts.begin(now, wan, port);
        assert_eq!(doubts.step(now), Some(Step::Ask(wan)));
        assert_eq!(doubts.handle_heard(port, now + Duration::from_millis(1)), Some(Step::Works(wan)));
        assert_eq!((doubts.step(now + PATIENCE), doubts.poll_timeout()), (None, None));
    }
}
