//! A paired VHID: the pair decides, advertisements are for third parties, and what is heard only raises alarms.
//!
//! They can be replayed and do not cover the skew, so they never move the pair.

use std::net::IpAddr;

use super::config::Interval;
use super::vhid::Vhid;
use super::{Event, Outbox, State};
use crate::types::Instant;
use crate::wire::carp::Repr;

/// Counters are remembered for this many advertisements.
const REMEMBERED: usize = 16;

/// The counters of the last advertisements, ours and others'.
#[derive(Default)]
pub(super) struct Recent {
    counters: [Option<u64>; REMEMBERED],
    next: usize,
}

impl Recent {
    pub(super) fn contains(&self, counter: u64) -> bool {
        self.counters.contains(&Some(counter))
    }

    pub(super) fn push(&mut self, counter: u64) {
        self.counters[self.next] = Some(counter);
        self.next = (self.next + 1) % REMEMBERED;
    }
}

impl Vhid {
    /// A valid advertisement of a paired VHID.
    pub(super) fn watch(
        &mut self,
        now: Instant,
        from: IpAddr,
        advert: &Repr,
        is_peer: bool,
        out: &mut Outbox,
    ) {
        // Ours under another source address, or one that was heard before: somebody plays it back.
        if self.sent.contains(advert.counter) || self.heard.contains(advert.counter) {
            self.counters.replayed += 1;
            return;
        }
        self.heard.push(advert.counter);
        let leaves = Interval::new(advert.advbase, advert.advskew).is_goodbye();
        if !is_peer {
            self.alarms.tell(now, Event::Stranger { from }, out);
        }
        if self.state == State::Master && !leaves {
            self.suspect(now, from, out);
        }
    }
}
