//! Whether gateways answer, by probes of our own: quick enough to move the role of a pair, slow to believe good news.
//!
//! The engine says when to probe; the caller turns a probe into an ARP or ND request, or a ping, and tells the
//! answers. [`super::Neighbours`] watches too, at the pace that the RFCs allow for traffic.

use crate::types::{Duration, Instant};

/// A probe goes out this often, and is unanswered after as long.
pub const INTERVAL: Duration = Duration::from_millis(200);
/// So many unanswered probes in a row, and the gateway is lost.
pub const PROBES: u8 = 3;
/// A gateway that was lost is back when it has answered every probe for this long.
pub const BACK: Duration = Duration::from_secs(1);

/// One gateway.
#[derive(Clone, Copy, Debug)]
struct Gateway {
    reachable: bool,
    /// Probes without an answer; the last one may still get it.
    unanswered: u8,
    /// Since when a lost one has answered every probe.
    answers: Option<Instant>,
}

/// Watches a node's gateways, which the caller numbers from zero.
#[derive(Clone, Debug)]
pub struct GatewayMonitor {
    gateways: Vec<Gateway>,
    next: Instant,
}

impl GatewayMonitor {
    /// Watches `count` gateways. They count as reachable until they have had their chance to answer: a node that
    /// starts does not begin with an alarm.
    pub fn new(count: usize, now: Instant) -> Self {
        let gateway = Gateway { reachable: true, unanswered: 0, answers: None };
        GatewayMonitor { gateways: vec![gateway; count], next: now }
    }

    /// The gateway with this number answered a probe.
    pub fn handle_answer(&mut self, now: Instant, index: usize) {
        let Some(gateway) = self.gateways.get_mut(index) else { return };
        // An answer that nobody waits for proves nothing more.
        if gateway.unanswered == 0 {
            return;
        }
        gateway.unanswered = 0;
        if !gateway.reachable && gateway.answers.is_none() {
            gateway.answers = Some(now);
        }
    }

    /// Counts what was not answered, and puts the numbers of the gateways to probe into `out`. A call that comes late
    /// by more than an interval finds answers that could not be told: those probes do not count.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<usize>) {
        if now < self.next {
            return;
        }
        let late = now.since(self.next) >= INTERVAL;
        for (index, gateway) in self.gateways.iter_mut().enumerate() {
            gateway.judge(now, late);
            gateway.unanswered = gateway.unanswered.saturating_add(1);
            out.push(index);
        }
        self.next = now + INTERVAL;
    }

    /// When [`GatewayMonitor::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.gateways.is_empty()).then_some(self.next)
    }

    /// The gateway with this number answers.
    pub fn reachable(&self, index: usize) -> bool {
        self.gateways.get(index).is_some_and(|gateway| gateway.reachable)
    }

    /// So many answer: what a node's health says.
    pub fn count_reachable(&self) -> usize {
        self.gateways.iter().filter(|gateway| gateway.reachable).count()
    }
}

impl Gateway {
    /// The probes that are out have had their time.
    fn judge(&mut self, now: Instant, late: bool) {
        if late {
            self.unanswered = 0;
        }
        if self.unanswered > 0 {
            self.answers = None;
        }
        if self.unanswered >= PROBES {
            self.reachable = false;
        }
        if !self.reachable && self.answers.is_some_and(|since| now.since(since) >= BACK) {
            (self.reachable, self.answers) = (true, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(7_000 + millis)
    }

    /// Plays `until` milliseconds; `answers(millis)` says whether a probe sent then is answered, 5 ms later. When the
    /// gateway went and came.
    fn play(until: u64, answers: impl Fn(u64) -> bool) -> Vec<(u64, bool)> {
        let mut monitor = GatewayMonitor::new(1, at(0));
        let (mut changes, mut before, mut answered) = (Vec::new(), true, None);
        for millis in 0..until {
            if answered == Some(millis) {
                monitor.handle_answer(at(millis), 0);
            }
            let mut out = Vec::new();
            monitor.handle_timeout(at(millis), &mut out);
            if out == [0] && answers(millis) {
                answered = Some(millis + 5);
            }
            if monitor.reachable(0) != before {
                before = !before;
                changes.push((millis, before));
            }
        }
        changes
    }

    #[test]
    fn three_probes_without_an_answer_lose_a_gateway() {
        assert_eq!(play(3000, |_| true), []);
        assert_eq!(play(3000, |_| false), [(600, false)]);
        assert_eq!(play(3000, |sent| sent < 1000), [(1600, false)]);
        assert_eq!(play(3000, |sent| sent % 600 != 200), [], "one in three");
        assert_eq!(play(3000, |sent| sent % 600 == 0), [], "two in three");
    }

    #[test]
    fn a_lost_gateway_is_back_after_a_second_of_answers() {
        assert_eq!(play(4000, |sent| sent >= 1000), [(600, false), (2200, true)]);
        // One missing answer, and the second begins anew.
        assert_eq!(play(4000, |sent| sent >= 1000 && sent != 1600), [(600, false), (3000, true)]);
    }

    #[test]
    fn a_caller_that_was_late_loses_no_gateway() {
        let (mut monitor, mut out) = (GatewayMonitor::new(2, at(0)), Vec::new());
        for millis in [0, 900, 1800, 2700, 3600] {
            monitor.handle_timeout(at(millis), &mut out);
        }
        assert!(monitor.reachable(0) && monitor.count_reachable() == 2);
        assert_eq!(out, [0, 1].repeat(5));
    }

    #[test]
    fn calls_too_early_twice_and_for_nobody_are_harmless() {
        let (mut monitor, mut out) = (GatewayMonitor::new(1, at(0)), Vec::new());
        monitor.handle_answer(at(0), 9);
        monitor.handle_answer(at(0), 0);
        assert!(!monitor.reachable(9));
        monitor.handle_timeout(at(0), &mut out);
        (0..200).for_each(|millis| monitor.handle_timeout(at(millis), &mut out));
        assert_eq!((out.len(), monitor.poll_timeout()), (1, Some(at(200))));
        assert_eq!(GatewayMonitor::new(0, at(0)).poll_timeout(), None);
    }
}
