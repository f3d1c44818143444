//! The forward thread's ports: links and devices that come and go, and other ports with a new configuration.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::clock;
use super::forward::{Forward, LINK_TOKENS, Slot};
use super::handle::{Arrangement, Placement, PortEvent};
use super::links::PortState;
use super::poller::Ready;
use super::port::PortError;
use crate::types::{Instant, PortId};

/// A device that is busy is tried again this often, with this pause.
const ATTACH_TRIES: u32 = 50;
const ATTACH_PAUSE: Duration = Duration::from_millis(20);

impl Forward {
    /// Ports that nobody watches are taken for up while they have a device.
    pub(super) fn take_unwatched_for_up(&mut self, now: Instant) {
        for number in 0..self.slots.len() {
            if !self.links.watches(number) && self.slots[number].port.fd().is_some() {
                self.set_link(number, true, now);
            }
        }
    }

    fn set_link(&mut self, number: usize, up: bool, now: Instant) {
        if self.slots[number].up != up {
            self.slots[number].up = up;
            self.shard.handle_link(now, PortId(number as u8), up, &mut self.out);
            // Not through `flush`: a port that fails again must not bring us back here.
            for (number, slot) in self.slots.iter_mut().enumerate() {
                let (frames, pool) = self.out.frames(PortId(number as u8));
                slot.port.send_batch(frames, pool);
            }
            self.tell_helm(number, false);
        }
    }

    pub(super) fn port_failed(&mut self, number: usize, error: PortError, now: Instant) {
        match error {
            PortError::Gone => self.lose_device(number, now),
            // Netlink says when it is up again; without netlink only the next frame can tell.
            PortError::Down if self.links.watches(number) => self.set_link(number, false, now),
            PortError::Down | PortError::Refused(_) => {}
        }
    }

    pub(super) fn lose_device(&mut self, number: usize, now: Instant) {
        if self.slots[number].port.fd().is_some() {
            self.slots[number].port.detach();
            self.slots[number].ready = false;
            self.stale = true;
            (self.listener)(PortEvent::Gone(PortId(number as u8)));
            self.tell_helm(number, true);
        }
        self.set_link(number, false, now);
    }

    pub(super) fn read_links(&mut self, ready: &[Ready]) {
        let numbers = ready.iter().filter_map(|at| at.token.checked_sub(LINK_TOKENS));
        let mut changes = Vec::new();
        for number in numbers {
            self.links.receive(number, self.slots.iter().map(|slot| &slot.port), &mut changes);
        }
        for (number, state) in changes {
            let now = clock::now();
            match state {
                PortState::Up => self.set_link(number, true, now),
                PortState::Down => self.set_link(number, false, now),
                PortState::Left => self.follow_or_lose(number, now),
                PortState::Back => self.attach_again(number, ATTACH_TRIES, now),
            }
        }
    }

    /// The device left its namespace: it was deleted, or moved elsewhere and still works.
    fn follow_or_lose(&mut self, number: usize, now: Instant) {
        self.stale = true;
        if !self.slots[number].port.is_attached() {
            self.lose_device(number, now);
            self.slots[number].port.forget_index();
            return;
        }
        self.set_link(number, false, now);
        self.slots[number].port.renumber();
        if self.links.follow(number, &self.slots[number].port).is_err() {
            self.set_link(number, true, now);
        }
    }

    fn attach_again(&mut self, number: usize, tries: u32, now: Instant) {
        let slot = &mut self.slots[number];
        slot.retry = None;
        match slot.port.attach_again() {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && tries > 0 => {
                slot.retry = Some((now + ATTACH_PAUSE, tries - 1));
            }
            result => self.attached(number, result, now),
        }
    }

    pub(super) fn retry_attaching(&mut self, now: Instant) {
        for number in 0..self.slots.len() {
            if let Some((at, tries)) = self.slots[number].retry
                && at <= now
            {
                self.attach_again(number, tries, now);
            }
        }
    }

    pub(super) fn adopt(&mut self, number: usize, fd: OwnedFd, index: Option<u32>, now: Instant) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        // Whoever opened it may have been asked twice; the device that works stays.
        if !slot.port.is_attached() {
            slot.retry = None;
            let result = slot.port.adopt_again(fd, index);
            self.attached(number, result, now);
        }
    }

    fn attached(&mut self, number: usize, result: io::Result<()>, now: Instant) {
        let id = PortId(number as u8);
        self.stale = true;
        match result {
            Ok(()) => {
                self.links.return_home(number, &self.slots[number].port);
                self.links.ask_again(number);
                self.take_unwatched_for_up(now);
                self.tell_helm(number, true);
                (self.listener)(PortEvent::Attached(id));
            }
            Err(error) => (self.listener)(PortEvent::NotAttached(id, error)),
        }
    }

    /// A new configuration comes into force, with its ports.
    pub(super) fn arrange(&mut self, arrangement: Arrangement, now: Instant) {
        let Arrangement { ports, links, command, sync } = arrangement;
        let mut old: Vec<Option<Slot>> = self.slots.drain(..).map(Some).collect();
        let mut from = Vec::new();
        for placement in ports {
            let kept = match placement {
                Placement::Kept(id) => {
                    old.get_mut(usize::from(id.0)).and_then(Option::take).map(|slot| (slot, id))
                }
                Placement::New(port) => {
                    self.slots.push(Slot::new(*port));
                    from.push(None);
                    continue;
                }
            };
            // A port that was not there cannot be kept; whoever arranged the ports has lost count.
            let Some((slot, id)) = kept else { continue };
            self.slots.push(slot);
            from.push(Some(usize::from(id.0)));
        }
        for (number, slot) in self.slots.iter_mut().enumerate() {
            slot.port.set_id(PortId(number as u8));
        }
        self.stale = true;
        self.links.rearrange(links, self.slots.iter().map(|slot| &slot.port), &from);
        self.shard.handle_command(now, command, &mut self.out);
        for number in 0..self.slots.len() {
            self.shard.handle_link(now, PortId(number as u8), self.slots[number].up, &mut self.out);
        }
        self.flush(now);
        self.take_unwatched_for_up(now);
        self.reserve(sync);
        for number in 0..self.slots.len() {
            self.tell_helm(number, true);
        }
    }
}
