//! What a VHID says: advertisements, leave, and the announcements of its addresses.

use super::config::{GOODBYE, family_of};
use super::vhid::Vhid;
use super::{Advert, Mode, Outbox, State, To};
use crate::types::Instant;
use crate::wire::carp::Repr;

/// Advertisements after which a new master announces its addresses once more.
const ANNOUNCE_AGAIN: u8 = 2;

impl Vhid {
    /// An advertisement in each family in which there are addresses.
    pub(super) fn advertise(&mut self, now: Instant, out: &mut Outbox) {
        self.say(self.config.base(), self.effective_skew(), out);
        self.advertised = now;
        self.announce_in = match self.announce_in {
            1 => {
                out.announce.extend(&self.config.addresses);
                0
            }
            more => more.saturating_sub(1),
        };
    }

    /// Advertises, and tells the link where the addresses live, now and [`ANNOUNCE_AGAIN`] advertisements later.
    pub(super) fn speak_up(&mut self, now: Instant, out: &mut Outbox) {
        self.announce_in = 0;
        self.advertise(now, out);
        out.announce.extend(&self.config.addresses);
        self.announce_in = ANNOUNCE_AGAIN;
    }

    /// A master's last advertisement: so seldom would be never.
    pub(super) fn take_leave(&mut self, out: &mut Outbox) {
        if self.state == State::Master {
            self.say(GOODBYE, GOODBYE, out);
        }
    }

    fn say(&mut self, advbase: u8, advskew: u8, out: &mut Outbox) {
        for family in self.config.families() {
            self.counter = self.counter.wrapping_add(1);
            self.counters.sent += 1;
            let (vhid, counter) = (self.config.vhid, self.counter);
            let digest = self.signer.sign(counter);
            let repr = Repr { vhid, advskew, advbase, demotion: 0, counter, digest };
            self.sent.push(&repr, None);
            let to = match self.config.mode {
                Mode::Foreign { peer: Some(peer), .. } if family_of(peer) == family => To::Peer(peer),
                Mode::Foreign { .. } | Mode::Paired { .. } => To::Group,
            };
            out.adverts.push(Advert { family, repr, to });
        }
    }
}
