//! Advertisements that are heard again: nothing in them tells a recorded one from a new one but the counter.
//!
//! A digest covers the counter, not the skew and not the sender. To the BSDs and ucarp the counter is a random number,
//! another one in each advertisement, until they have heard a master; then they count on from it. So none is too small,
//! and the last ones heard are remembered. OpenBSD's is the same for as long as it runs: that must be no replay.
//!
//! Invariant: what was sent by us, what is one of a row, and what is not a speaker's newest is heard once.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::vhid::Vhid;
use super::{Event, Mode, Outbox};
use crate::types::Instant;
use crate::wire::carp::Repr;

/// Some minutes of advertisements.
const REMEMBERED: usize = 128;
/// A row has gaps where advertisements were lost.
const GAP: u64 = 4;

/// An advertisement that was sent or heard.
struct Known {
    counter: u64,
    digest: [u8; 20],
    /// Who said it; our own are nobody's.
    from: Option<IpAddr>,
    /// It was heard again, and believed.
    again: bool,
}

impl Known {
    fn is(&self, advert: &Repr) -> bool {
        (self.counter, self.digest) == (advert.counter, advert.digest)
    }

    fn is_followed_by(&self, counter: u64) -> bool {
        (1..=GAP).contains(&counter.wrapping_sub(self.counter))
    }
}

/// The last advertisements, ours or others'.
#[derive(Default)]
pub(super) struct Recent(VecDeque<Known>);

impl Recent {
    pub(super) fn push(&mut self, advert: &Repr, from: Option<IpAddr>) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(Known { counter: advert.counter, digest: advert.digest, from, again: false });
    }

    fn contains(&self, advert: &Repr) -> bool {
        self.0.iter().any(|known| known.is(advert))
    }

    fn leads_to(&self, counter: u64) -> bool {
        self.0.iter().any(|known| known.is_followed_by(counter))
    }

    /// True when `from` says the same each time: this is its newest, and what it said before it said again, too.
    fn is_constant(&mut self, advert: &Repr, from: IpAddr) -> bool {
        let mut its = self.0.iter_mut().rev().filter(|known| known.from == Some(from));
        let (newest, before) = (its.next(), its.next());
        let Some(newest) = newest.filter(|known| known.is(advert)) else { return false };
        let constant = before.is_none_or(|before| before.again);
        newest.again |= constant;
        constant
    }
}

impl Vhid {
    /// True for an advertisement that must move nothing, since it was heard before; otherwise it is remembered.
    pub(super) fn is_repeat(&mut self, now: Instant, from: IpAddr, advert: &Repr, out: &mut Outbox) -> bool {
        let ours = self.sent.contains(advert);
        if !ours && !self.heard.contains(advert) {
            self.heard.push(advert, Some(from));
            return false;
        }
        let in_a_row = self.sent.leads_to(advert.counter) || self.heard.leads_to(advert.counter);
        if !ours && !in_a_row && self.heard.is_constant(advert, from) {
            return false;
        }
        self.counters.replayed += 1;
        self.alarms.tell(now, Event::Repeat { from }, out);
        // Or two counted on from the same advertisement at the same moment: not the next time.
        if ours && matches!(self.config.mode, Mode::Foreign { .. }) {
            self.counter = self.random.next();
        }
        true
    }
}
