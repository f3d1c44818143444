//! A paired VHID: the pair decides, advertisements are for third parties, and what is heard only raises alarms.
//!
//! They can be replayed and do not cover the skew, so they never move the pair.

use std::net::IpAddr;

use super::config::Interval;
use super::vhid::Vhid;
use super::{Event, Outbox, State};
use crate::types::Instant;
use crate::wire::carp::Repr;

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
        let leaves = Interval::new(advert.advbase, advert.advskew).is_goodbye();
        match is_peer {
            true => self.master_heard = now,
            false => self.alarms.tell(now, Event::Stranger { from }, out),
        }
        if self.state == State::Master && !leaves {
            self.suspect(now, from, out);
        }
    }
}
