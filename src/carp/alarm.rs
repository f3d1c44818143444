//! Alarms that do not become a flood: each kind is told at most every ten seconds.

use super::{Event, Outbox};
use crate::types::{Duration, Family, Instant};

const QUIET: Duration = Duration::from_secs(10);
const KINDS: usize = 7;

/// When each kind may be told again.
#[derive(Default)]
pub(super) struct Alarms {
    quiet_until: [Option<Instant>; KINDS],
}

impl Alarms {
    /// Tells the event, unless one of its kind was told lately.
    pub(super) fn tell(&mut self, now: Instant, event: Event, out: &mut Outbox) {
        let quiet_until = &mut self.quiet_until[kind(event)];
        if quiet_until.is_none_or(|until| until <= now) {
            *quiet_until = Some(now + QUIET);
            out.events.push(event);
        }
    }
}

fn kind(event: Event) -> usize {
    match event {
        Event::ListsDiffer { .. } => 0,
        Event::BadDigest { .. } => 1,
        Event::Stranger { .. } => 2,
        Event::OtherMaster { .. } => 3,
        Event::FamilySilent { family: Family::Inet } => 4,
        Event::FamilySilent { family: Family::Inet6 } => 5,
        Event::Repeat { .. } => 6,
    }
}
