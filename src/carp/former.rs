//! Advertisements with a wrong digest; those under the list of addresses that was ours until lately are no silence.
//!
//! A digest covers the list of virtual addresses, so to the BSDs a master whose list was not changed yet is no master,
//! and adding an address to a live VHID makes two. Whoever still signs the former list knows the password: a backup of
//! ours takes it for alive, and a master of ours gives way to it, since it cannot understand what we advertise.

use std::net::IpAddr;

use super::config::family_of;
use super::vhid::Vhid;
use super::{Event, Mode, Outbox, Reason, State, VhidConfig};
use crate::types::{Duration, Instant};
use crate::wire::carp::{Repr, Signer};

/// The time to change the list at the other end, too.
const FOREIGN: Duration = Duration::from_secs(600);
/// The pair changes both ends at nearly the same time: so long, another list is no alarm.
const PAIRED: Duration = Duration::from_secs(3);

/// How the list was signed before.
pub(super) struct Former {
    signer: Signer,
    until: Instant,
}

impl Vhid {
    /// The configuration was `before`: remembers how it was signed, when only the list is another now.
    pub(super) fn remember(&mut self, now: Instant, same_vhid: bool, before: &VhidConfig, signer: Signer) {
        if !same_vhid || self.config.password != before.password {
            self.former = None;
        } else if self.config.addresses != before.addresses {
            let lasts = match self.config.mode {
                Mode::Foreign { .. } => FOREIGN,
                Mode::Paired { .. } => PAIRED,
            };
            self.former = Some(Former { signer, until: now + lasts });
        }
    }

    /// An advertisement with a wrong digest.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        from: IpAddr,
        advert: &Repr,
        is_peer: bool,
        out: &mut Outbox,
    ) {
        self.counters.bad_digest += 1;
        let former = self.former.as_ref().filter(|former| now < former.until);
        let under_former = former.is_some_and(|former| former.signer.verify(advert));
        if under_former && self.is_repeat(now, from, advert, out) {
            return;
        }
        match (&self.config.mode, under_former) {
            (Mode::Foreign { .. }, true) => {
                self.alarms.tell(now, Event::ListsDiffer { from }, out);
                match self.state {
                    State::Init => {}
                    State::Backup => self.master_lives(now, family_of(from)),
                    State::Master => self.become_backup(now, Reason::ListsDiffer, out),
                }
            }
            (Mode::Paired { .. }, _) if is_peer => {
                // One of the two is the first to have a new list.
                let since = *self.differs.get_or_insert(now);
                if now >= since + PAIRED {
                    self.alarms.tell(now, Event::ListsDiffer { from }, out);
                }
            }
            (Mode::Paired { .. }, _) | (Mode::Foreign { .. }, false) => {
                self.alarms.tell(now, Event::BadDigest { from }, out);
            }
        }
    }
}
