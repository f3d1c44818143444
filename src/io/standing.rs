//! What the role thread and the forward thread tell each other without ever waiting.
//!
//! The role thread publishes the node's [`Standing`] as one word, which the forward thread reads once a batch. The
//! forward thread publishes its pulse: whether it is in the middle of a batch, and since when.
//!
//! Invariant: a standing is never half old and half new; a lease never reads longer than it was given.

use std::sync::atomic::{AtomicU64, Ordering};

use super::sabotage::Sabotage;
use crate::types::{Ceding, Epoch, Instant, PortId, Role, Standing};

/// The lease ends on a multiple of this many nanoseconds (a power of two): a quarter of a millisecond.
const UNIT_BITS: u32 = 18;
const UNTIL_BITS: u32 = 40;
const EPOCH_BITS: u32 = 22;
/// Ports beyond this are not listened to; a node has fewer.
const PORTS: usize = 64;
/// What stands in the place of a lease.
const RELAYS: u64 = 0;
const DRAINS: u64 = 1;
/// Not in a batch.
const IDLE: u64 = 0;

/// Shared by the role thread, the forward thread and those who report.
#[derive(Debug)]
pub struct Published {
    /// Role, epoch, end of the lease.
    word: AtomicU64,
    /// The virtual IPs shared with foreign speakers that are MASTER here.
    foreign: AtomicU64,
    /// Until when, in nanoseconds.
    foreign_until: AtomicU64,
    /// When the forward thread began what it is doing, in nanoseconds; [`IDLE`] while it waits.
    busy_since: AtomicU64,
    /// How often it has waited.
    turns: AtomicU64,
    /// By port: when the last frame came in.
    heard: [AtomicU64; PORTS],
    /// When the stations behind each were last asked.
    asked: [AtomicU64; PORTS],
}

impl Published {
    /// Before anybody has said anything.
    pub fn new(standing: Standing) -> Self {
        let published = Published {
            word: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            foreign_until: AtomicU64::new(0),
            busy_since: AtomicU64::new(IDLE),
            turns: AtomicU64::new(0),
            heard: [const { AtomicU64::new(0) }; PORTS],
            asked: [const { AtomicU64::new(0) }; PORTS],
        };
        published.publish(standing);
        published
    }

    /// From now on this holds.
    pub fn publish(&self, standing: Standing) {
        let Standing { mut role, epoch, mut until, foreign, foreign_until, cedes } = standing;
        if Sabotage::Fence.is_on() {
            until = Instant::from_nanos(((1 << UNTIL_BITS) - 1) << UNIT_BITS);
            if self.standing().role == Role::Active {
                role = Role::Active;
            }
        }
        // Whoever sees these bits sees this lease or a newer one.
        self.foreign_until.store(foreign_until.as_nanos(), Ordering::Release);
        self.foreign.store(foreign, Ordering::Release);
        self.word.store(pack((role, cedes), epoch, until), Ordering::Release);
    }

    /// What holds. Of the epoch only the low 22 bits are known here.
    #[inline]
    pub fn standing(&self) -> Standing {
        let word = self.word.load(Ordering::Acquire);
        let end = word & ((1 << UNTIL_BITS) - 1);
        let (role, cedes) = match (word >> (EPOCH_BITS + UNTIL_BITS), end) {
            (0, _) => (Role::Alone, Ceding::No),
            (1, _) => (Role::Active, Ceding::No),
            (2, _) => (Role::Standby, Ceding::No),
            (_, RELAYS) => (Role::Standby, Ceding::Relays),
            (_, _) => (Role::Standby, Ceding::Drains),
        };
        let epoch = Epoch((word >> UNTIL_BITS) as u32 & ((1 << EPOCH_BITS) - 1));
        let until = match cedes {
            Ceding::No => Instant::from_nanos(end << UNIT_BITS),
            Ceding::Relays | Ceding::Drains => Instant::ZERO,
        };
        let foreign = self.foreign.load(Ordering::Acquire);
        let foreign_until = Instant::from_nanos(self.foreign_until.load(Ordering::Acquire));
        Standing { role, epoch, until, foreign, foreign_until, cedes }
    }

    /// The forward thread begins a turn.
    #[inline]
    pub fn busy(&self, now: Instant) {
        self.busy_since.store(now.as_nanos().max(1), Ordering::Release);
    }

    /// The forward thread is about to wait: it has read all that there was and passed it on.
    #[inline]
    pub fn idle(&self) {
        self.busy_since.store(IDLE, Ordering::Release);
        self.turns.fetch_add(1, Ordering::Release);
    }

    /// Frames came in by `port`.
    #[inline]
    pub fn hear(&self, port: usize, now: Instant) {
        if let Some(heard) = self.heard.get(port) {
            heard.store(now.as_nanos(), Ordering::Relaxed);
        }
    }

    /// When the last frame came in by `port`.
    pub fn heard(&self, port: PortId) -> Instant {
        let heard = self.heard.get(usize::from(port.0)).map_or(0, |heard| heard.load(Ordering::Relaxed));
        Instant::from_nanos(heard)
    }

    /// The stations behind `port` have been asked whether they are there.
    pub fn ask(&self, port: PortId, now: Instant) {
        if let Some(asked) = self.asked.get(usize::from(port.0)) {
            asked.store(now.as_nanos(), Ordering::Release);
        }
    }

    /// When they were last asked.
    pub fn asked(&self, port: PortId) -> Instant {
        let asked = self.asked.get(usize::from(port.0)).map_or(0, |asked| asked.load(Ordering::Acquire));
        Instant::from_nanos(asked)
    }

    /// Since when the forward thread has been in its present turn, and how many it has ended.
    pub fn pulse(&self) -> (Option<Instant>, u64) {
        let since = self.busy_since.load(Ordering::Acquire);
        ((since != IDLE).then_some(Instant::from_nanos(since)), self.turns.load(Ordering::Acquire))
    }
}

const fn pack(role: (Role, Ceding), epoch: Epoch, until: Instant) -> u64 {
    let end = (until.as_nanos() >> UNIT_BITS) & ((1 << UNTIL_BITS) - 1);
    // Whoever hands over has no lease: in its place stands what it still does.
    let (role, end) = match role {
        (Role::Alone, _) => (0, end),
        (Role::Active, _) => (1, end),
        (Role::Standby, Ceding::No) => (2, end),
        (Role::Standby, Ceding::Relays) => (3, RELAYS),
        (Role::Standby, Ceding::Drains) => (3, DRAINS),
    };
    let epoch = epoch.0 as u64 & ((1 << EPOCH_BITS) - 1);
    role << (EPOCH_BITS + UNTIL_BITS) | epoch << UNTIL_BITS | end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_comes_out_as_it_went_in_and_never_with_a_longer_lease() {
        for role in [Role::Alone, Role::Active, Role::Standby] {
            for nanos in [0, 1, 262_143, 262_144, 25_000_000, 9 * 365 * 86_400 * 1_000_000_000] {
                let until = Instant::from_nanos(nanos);
                let (foreign_until, cedes) = (until, Ceding::No);
                let given = Standing { role, epoch: Epoch(77), until, foreign: 5, foreign_until, cedes };
                let published = Published::new(given);
                let read = published.standing();
                assert_eq!((read.role, read.epoch, read.foreign), (role, Epoch(77), 5));
                assert_eq!(read.foreign_until, until);
                assert!(read.until <= given.until && given.until.since(read.until).as_nanos() < 262_144);
            }
        }
        assert_eq!(Published::new(Standing::ALONE).standing(), Standing::ALONE);
        for cedes in [Ceding::Relays, Ceding::Drains] {
            let given = Standing { role: Role::Standby, epoch: Epoch(77), cedes, ..Standing::ALONE };
            assert_eq!(Published::new(Standing { until: Instant::from_secs(9), ..given }).standing(), given);
        }
    }

    #[test]
    fn the_pulse_tells_a_turn_from_a_rest() {
        let published = Published::new(Standing::ALONE);
        assert_eq!(published.pulse(), (None, 0));
        published.busy(Instant::from_millis(3));
        assert_eq!(published.pulse(), (Some(Instant::from_millis(3)), 0));
        published.idle();
        assert_eq!(published.pulse(), (None, 1));
        published.hear(3, Instant::from_millis(4));
        published.hear(1000, Instant::from_millis(4));
        assert_eq!(published.heard(PortId(3)), Instant::from_millis(4));
        assert_eq!(published.heard(PortId(2)), Instant::ZERO);
        published.ask(PortId(2), Instant::from_millis(5));
        assert_eq!(
            [2, 3].map(|port| published.asked(PortId(port))),
            [Instant::from_millis(5), Instant::ZERO]
        );
    }
}
