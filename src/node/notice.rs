//! What an operator should read in the log.

use super::Shard;
use super::rate::Rate;
use crate::route::{Change, Event, Status};
use crate::types::{Instant, InterfaceId};

/// Notices per second: strangers on a link must not fill the log.
const PER_SECOND: u64 = 10;

/// Notices that wait for [`Shard::take_notices`].
const WAITING: usize = 1024;

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// Something is wrong; otherwise it is good to know.
    pub wrong: bool,
    /// The interface's name.
    pub interface: String,
    /// The line.
    pub text: String,
}

/// What waits for the log, and how much may still go there.
pub(super) struct Notices {
    rate: Rate,
    /// Events that found no room in the log since the last that did.
    unsaid: u64,
    waiting: Vec<Notice>,
}

impl Notices {
    /// An empty log.
    pub fn new(now: Instant) -> Self {
        Notices { rate: Rate::new(PER_SECOND, now), unsaid: 0, waiting: Vec::new() }
    }

    /// Nobody takes them.
    fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING
    }
}

impl Shard {
    /// Puts an event into the log's words.
    pub(super) fn notice(&mut self, now: Instant, event: Event) {
        if self.notices.is_full() || !self.notices.rate.take(now) {
            self.notices.unsaid += 1;
            return;
        }
        let (interface, wrong, mut text) = words(event);
        match std::mem::take(&mut self.notices.unsaid) {
            0 => {}
            unsaid => text.push_str(&format!(" ({unsaid} more events were not logged)")),
        }
        self.say(wrong, interface, text);
    }

    /// A gateway is another way than it was.
    pub(super) fn tell_of_gateway(&mut self, now: Instant, change: &Change) {
        let Change { place, before, after } = *change;
        let Some(gateway) = self.compiled.config.gateways.get(place) else { return };
        // That it answers for the first time is no news.
        if (before, after) == (Status::Pending, Status::Online) || self.notices.is_full() {
            return;
        }
        if !self.notices.rate.take(now) {
            self.notices.unsaid += 1;
            return;
        }
        let text = format!("the gateway {} is {}", gateway.name, after.words());
        let interface =
            self.compiled.uplinks.gateways.get(place).map_or(InterfaceId::SELF, |it| it.interface);
        self.say(after != Status::Online, interface, text);
    }

    fn say(&mut self, wrong: bool, interface: InterfaceId, text: String) {
        let interface = self.compiled.link(interface).map(|link| link.name.clone()).unwrap_or_default();
        self.notices.waiting.push(Notice { wrong, interface, text });
    }

    /// What the log shall say since the last call; at most a few lines a second.
    pub fn take_notices(&mut self) -> impl Iterator<Item = Notice> + '_ {
        self.notices.waiting.drain(..)
    }
}

/// Where, whether it is wrong, and what.
fn words(event: Event) -> (InterfaceId, bool, String) {
    match event {
        Event::Usable { interface, address } => {
            (interface, false, format!("{address} is in use: nobody else has it"))
        }
        Event::Duplicate { interface, address, mac } => {
            (interface, true, format!("{address} is not used: {mac} has it already; tried again each minute"))
        }
        Event::Conflict { interface, address, mac } => {
            (interface, true, format!("{mac} uses {address}, which is this router's"))
        }
        Event::Moved { interface, address, from, to } => {
            (interface, false, format!("{address} moved from {from} to {to}"))
        }
        Event::Gateway { interface, address, reachable: true } => {
            (interface, false, format!("the gateway {address} answers"))
        }
        Event::Gateway { interface, address, reachable: false } => {
            (interface, true, format!("the gateway {address} does not answer"))
        }
    }
}
