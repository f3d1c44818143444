//! The lease to serve, and the fence that stands when it lapsed.
//!
//! A lease runs from a heartbeat that was sent at the same instant and ends [`LEASE`] later; the peer waits at least
//! the dead time after hearing that heartbeat. As the dead time is longer than a lease, a node that stops for any
//! reason has lost its lease before the peer takes over, without doing anything for it.

use super::LEASE;
use crate::types::Instant;

/// Why the fence stands, and what lifts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fence {
    /// The lapse was noticed then. Nothing that was read before is believed.
    pub since: Instant,
    /// The peer was not heard before and cannot have come to serve in so short a lapse: reading the paths empty is
    /// enough.
    pub brief: bool,
}

/// The lease of an active node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lease {
    until: Instant,
    fence: Option<Fence>,
}

impl Lease {
    /// A lease from `now` on; the fence, if there was one, is lifted.
    pub fn begin(&mut self, now: Instant) {
        *self = Lease { until: now + LEASE, fence: None };
    }

    /// Renewed, unless a fence stands or the lease has lapsed.
    pub fn renew(&mut self, now: Instant) {
        if self.fence.is_none() && now < self.until {
            self.until = now + LEASE;
        }
    }

    /// Ends now.
    pub fn stop(&mut self, now: Instant) {
        self.until = self.until.min(now);
    }

    /// The fence goes up.
    pub fn fence(&mut self, fence: Fence) {
        self.stop(fence.since);
        self.fence = Some(fence);
    }

    pub fn until(&self) -> Instant {
        self.until
    }

    pub fn fenced(&self) -> Option<Fence> {
        self.fence
    }

    /// It ran out without anybody noticing.
    pub fn has_lapsed(&self, now: Instant) -> bool {
        self.fence.is_none() && now >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Duration;

    #[test]
    fn a_lapsed_or_fenced_lease_is_not_renewed() {
        let at = Instant::from_millis;
        let mut lease = Lease::default();
        lease.begin(at(100));
        lease.renew(at(110));
        assert_eq!(lease.until(), at(135));
        lease.renew(at(135));
        assert!(lease.has_lapsed(at(135)), "renewing too late does nothing");
        lease.fence(Fence { since: at(140), brief: false });
        lease.renew(at(141));
        assert_eq!(lease.until(), at(135));
        assert!(!lease.has_lapsed(at(999)), "it is known");
        lease.begin(at(150));
        assert_eq!((lease.until(), lease.fenced()), (at(150) + Duration::from_millis(25), None));
    }
}
