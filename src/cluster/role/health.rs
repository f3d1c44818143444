//! Which of two nodes should serve.
//!
//! The order is the design's: forwarding, critical links, gateways. Maintenance comes after forwarding: a node in
//! maintenance serves only when the other one cannot forward at all. Preference decides where health does not, and
//! never by itself takes the role from the one that has it.

use crate::types::{Duration, Instant};
use crate::wire::pair::{Health, Heartbeat};

/// Flap damping: a condition that got better must hold this long before it counts.
pub(super) const HOLD: Duration = Duration::from_secs(1);
/// One that gets worse again within this time after it counted must hold twice as long the next time.
const CALM: Duration = Duration::from_secs(5);
/// But never longer than this. On a host that is too busy for both routers the role would otherwise change hands every
/// few seconds; so both count as unwell for most of the time, and it stays.
const LONGEST: Duration = Duration::from_secs(16);

/// A node's place in the election; the greater one should serve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rank {
    forwarding: bool,
    willing: bool,
    links: u8,
    gateways: u8,
}

impl Rank {
    pub fn new(health: Health, maintenance: bool) -> Self {
        let Health { forwarding, links, gateways, synced: _ } = health;
        Rank { forwarding, willing: !maintenance, links, gateways }
    }

    /// What the peer says of itself.
    pub fn of(heartbeat: &Heartbeat) -> Self {
        Rank::new(heartbeat.health, heartbeat.maintenance)
    }

    /// Better in what is seen by both nodes at the same moment; gateways are not: two monitors notice the same dead
    /// gateway up to a probe apart.
    pub fn is_plainly_above(&self, other: &Rank) -> bool {
        (self.forwarding, self.willing, self.links) > (other.forwarding, other.willing, other.links)
    }
}

/// One condition with flap damping: worse at once, better after [`HOLD`], or later when it flaps.
#[derive(Clone, Copy, Debug)]
struct Damped<T> {
    shown: T,
    raw: T,
    since: Instant,
    hold: Duration,
    /// When it last counted as better.
    recovered: Option<Instant>,
}

impl<T: Copy + Ord> Damped<T> {
    fn new(now: Instant, worst: T) -> Self {
        Damped { shown: worst, raw: worst, since: now, hold: HOLD, recovered: None }
    }

    fn set(&mut self, now: Instant, raw: T) {
        if raw != self.raw {
            (self.raw, self.since) = (raw, now);
        }
        if raw < self.shown {
            self.shown = raw;
            if let Some(recovered) = self.recovered.take() {
                let flaps = now.since(recovered) < CALM;
                self.hold = if flaps { (2 * self.hold).min(LONGEST) } else { HOLD };
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        (self.raw > self.shown).then(|| self.since + self.hold)
    }

    fn settle(&mut self, now: Instant) {
        if self.due().is_some_and(|due| due <= now) {
            (self.shown, self.recovered) = (self.raw, Some(now));
        }
    }
}

/// The node's own health, damped. The first one that is told counts at once: before it nothing was known.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnHealth {
    told: bool,
    forwarding: Damped<bool>,
    links: Damped<u8>,
    gateways: Damped<u8>,
    synced: Damped<bool>,
}

impl OwnHealth {
    pub fn new(now: Instant) -> Self {
        OwnHealth {
            told: false,
            forwarding: Damped::new(now, false),
            links: Damped::new(now, 0),
            gateways: Damped::new(now, 0),
            synced: Damped::new(now, false),
        }
    }

    /// Another configuration counts other things: what is told next counts at once.
    pub fn count_anew(&mut self) {
        self.told = false;
    }

    /// The conditions as they are now.
    pub fn set(&mut self, now: Instant, health: Health) {
        let Health { forwarding, links, gateways, synced } = health;
        if !self.told {
            self.told = true;
            (self.forwarding.shown, self.links.shown) = (forwarding, links);
            (self.gateways.shown, self.synced.shown) = (gateways, synced);
        }
        self.forwarding.set(now, forwarding);
        self.links.set(now, links);
        self.gateways.set(now, gateways);
        self.synced.set(now, synced);
    }

    /// What has held long enough counts.
    pub fn settle(&mut self, now: Instant) {
        self.forwarding.settle(now);
        self.links.settle(now);
        self.gateways.settle(now);
        self.synced.settle(now);
    }

    pub fn due(&self) -> Option<Instant> {
        let due = [self.forwarding.due(), self.links.due(), self.gateways.due(), self.synced.due()];
        due.into_iter().flatten().min()
    }

    /// What counts.
    pub fn shown(&self) -> Health {
        Health {
            forwarding: self.forwarding.shown,
            links: self.links.shown,
            gateways: self.gateways.shown,
            synced: self.synced.shown,
        }
    }

    /// What is.
    pub fn raw(&self) -> Health {
        Health {
            forwarding: self.forwarding.raw,
            links: self.links.raw,
            gateways: self.gateways.raw,
            synced: self.synced.raw,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Health = Health { forwarding: true, links: 3, gateways: 1, synced: true };

    #[test]
    fn ranks_compare_in_the_order_of_the_design() {
        let cases = [
            (Health { forwarding: false, links: 9, gateways: 9, synced: true }, false, WELL, false),
            (WELL, true, Health { links: 1, ..WELL }, false),
            (Health { links: 2, gateways: 9, ..WELL }, false, WELL, false),
            (Health { gateways: 0, ..WELL }, false, WELL, false),
            (Health { forwarding: false, ..WELL }, false, WELL, true),
        ];
        for (worse, maintenance, better, other) in cases {
            assert!(Rank::new(worse, maintenance) < Rank::new(better, other), "{worse:?} {better:?}");
        }
        let unsynced = Rank::new(Health { synced: false, ..WELL }, false);
        assert_eq!(unsynced, Rank::new(WELL, false), "synced counts for preemption only");
        assert!(!Rank::new(WELL, false).is_plainly_above(&Rank::new(Health { gateways: 0, ..WELL }, false)));
    }

    #[test]
    fn worse_counts_at_once_and_better_after_a_second() {
        let at = Instant::from_millis;
        let mut own = OwnHealth::new(at(0));
        own.set(at(0), WELL);
        assert_eq!(own.shown(), WELL, "the first word counts");
        own.set(at(100), Health { links: 2, ..WELL });
        assert_eq!(own.shown().links, 2);
        own.set(at(200), WELL);
        own.settle(at(1199));
        assert_eq!((own.shown().links, own.due()), (2, Some(at(1200))));
        own.set(at(1199), Health { links: 2, ..WELL });
        own.settle(at(1300));
        assert_eq!(own.shown().links, 2, "it flapped");
        own.set(at(1400), WELL);
        own.settle(at(2400));
        assert_eq!((own.shown(), own.due()), (WELL, None));
    }

    #[test]
    fn what_gets_worse_again_soon_must_hold_longer_and_longer() {
        let mut now = Instant::from_secs(100);
        let mut own = OwnHealth::new(now);
        own.set(now, WELL);
        let mut holds = Vec::new();
        let mut falls_after = |calm: Duration| {
            now += calm;
            own.set(now, Health { forwarding: false, ..WELL });
            assert!(!own.shown().forwarding, "worse counts at once");
            own.set(now, WELL);
            let due = own.due().unwrap();
            holds.push(due.since(now).as_secs());
            now = due;
            own.settle(now);
            assert_eq!(own.shown(), WELL);
        };
        let soon = CALM - Duration::from_millis(1);
        [CALM, soon, soon, soon, soon, soon, soon, CALM, soon].into_iter().for_each(&mut falls_after);
        assert_eq!(holds, [1, 2, 4, 8, 16, 16, 16, 1, 2]);
    }
}
