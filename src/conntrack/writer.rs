//! Chunks of changes: what is told of a table, in bytes.

use super::changes::{Changes, REFRESH, STEP, VISITS, Walk};
use super::digest::{self, KNOWN_KEY};
use super::index::{Slot, Way};
use super::mirror::Mirror;
use super::proxy::Proxy;
use super::record::Common;
use super::rounds::AT_ONCE;
use super::slab::Store;
use super::table::Counters;
use super::timer::{Class, Tick};
use super::witness::{Via, Witnesses};
use crate::types::Instant;
use crate::wire::pair::flow::{
    self, Change, FlowRecord, MAX_CHANGE, Progress, Proxied, RANGE, TcpEnd, Walked,
};
use crate::wire::protocol;

/// A chunk in the making.
pub(super) struct Writer<'a> {
    pub(super) store: &'a mut Store,
    pub(super) witnesses: &'a Witnesses,
    pub(super) counters: &'a mut Counters,
    /// Where the peer has flows that it need not be told in full.
    pub(super) known: Option<&'a Mirror>,
    /// The peer compares digests.
    pub(super) proves: bool,
    pub(super) walked: Walked,
    pub(super) now: Tick,
    pub(super) into: &'a mut Vec<u8>,
    pub(super) budget: usize,
}

impl Writer<'_> {
    /// One more change fits below this share of the budget.
    pub(super) fn has_room(&self, share: usize) -> bool {
        self.into.len() + MAX_CHANGE <= share
    }

    /// Tells the flow of a slot, when there is one that the peer may know.
    fn tell(&mut self, slot: Slot) {
        let common = self.store.common_mut(slot);
        common.set_dirty(false);
        if common.class == Class::Vacant || common.ends_here() {
            return;
        }
        common.set_told();
        self.walked.full += 1;
        flow::encode_record(&record(self.store, self.witnesses, self.now, slot), self.into);
    }

    /// The same; where the peer has the flow, its slot there says enough.
    fn name(&mut self, slot: Slot) {
        let dirty = self.store.common(slot).is_dirty();
        let theirs = self.known.filter(|_| !dirty).and_then(|mirror| mirror.theirs(slot));
        let Some((theirs, mixed)) =
            theirs.zip(digest::mixed(self.store, self.witnesses, KNOWN_KEY, slot.raw(), slot))
        else {
            return self.tell(slot);
        };
        self.store.common_mut(slot).set_told();
        self.walked.known += 1;
        flow::encode(&Change::Known { slot: slot.raw(), theirs, mixed: mixed as u32 }, self.into);
    }

    pub(super) fn line(&mut self, changes: &mut Changes, share: usize) {
        while self.has_room(share)
            && let Some(raw) = changes.line.pop_front()
        {
            let slot = Slot::from_raw(raw);
            // A walk may have told it meanwhile.
            if self.store.common(slot).is_dirty() {
                self.tell(slot);
            }
        }
    }

    pub(super) fn walk(&mut self, changes: &mut Changes) {
        let mut left = VISITS;
        while left > 0 && self.has_room(self.budget) {
            let Some(walk) = &mut changes.walk else {
                let Some((first, last)) = changes.dirty.take(self.store) else { return };
                changes.walk = Some(Walk { next: first, last });
                flow::encode(&Change::RangeBegin { first, last }, self.into);
                continue;
            };
            if walk.next > walk.last {
                let (first, last) = (walk.last & !(RANGE - 1), walk.last);
                flow::encode(&Change::RangeEnd { first, last }, self.into);
                changes.walk = None;
                if !changes.incomplete && self.is_told(changes, first, last) {
                    self.digest(changes, first, last);
                }
                continue;
            }
            let slot = Slot::from_raw(walk.next);
            walk.next += 1;
            left -= 1;
            self.name(slot);
        }
    }

    /// True when nothing of this range, which was just walked, waits again.
    fn is_told(&self, changes: &Changes, first: u32, last: u32) -> bool {
        let dirty = |raw| self.store.slot(raw).is_some_and(|slot| self.store.common(slot).is_dirty());
        !changes.dirty.contains(Slot::from_raw(first)) && !(first..=last).any(dirty)
    }

    /// Nothing of this range waits.
    fn digest(&mut self, changes: &mut Changes, first: u32, last: u32) {
        if !self.proves {
            return;
        }
        let digest = digest::of_range(self.store, self.witnesses, changes.rounds.key(), first, last);
        flow::encode(&Change::Digest(digest), self.into);
        self.counters.digests += 1;
    }

    /// A step of the round. Nothing waits at all.
    pub(super) fn compare(&mut self, changes: &mut Changes, now: Instant) {
        let due = self.proves && changes.rounds.due() <= now;
        if changes.incomplete || !due || !self.has_room(self.budget) {
            return;
        }
        for _ in 0..AT_ONCE {
            if !self.has_room(self.budget) {
                break;
            }
            let Some((first, last)) = changes.rounds.next(self.store) else {
                flow::encode(&Change::Round { grown: self.store.grown() }, self.into);
                self.counters.rounds += 1;
                break;
            };
            self.digest(changes, first, last);
        }
        changes.rounds.pace(now, self.store);
    }

    pub(super) fn refresh(&mut self, changes: &mut Changes, now: Instant) {
        let (mut at, due) = changes.refresh;
        if now < due {
            return;
        }
        let since = Tick(self.now.0.saturating_sub(Tick::of(Instant::ZERO + REFRESH).0 + 2));
        for _ in 0..STEP {
            if !self.has_room(self.budget) {
                break;
            }
            at = self.store.walk(at);
            let Some(slot) = at else { break };
            let common = self.store.common(slot);
            if common.is_told() && !common.is_dirty() && common.seen >= since {
                self.tell(slot);
            }
        }
        let steps = self.store.grown().iter().sum::<u32>().div_ceil(STEP).max(1);
        changes.refresh = (at, now + REFRESH / steps);
    }
}

/// A flow as the peer is told of it.
fn record(store: &Store, witnesses: &Witnesses, now: Tick, slot: Slot) -> FlowRecord {
    let common = store.common(slot);
    let (packets, bytes) = common.counted();
    let seconds = |since: Tick| now.0.saturating_sub(since.0) / 2;
    let Via { out, back } = witnesses.via(common.witness());
    FlowRecord {
        slot: slot.raw(),
        generation: common.generation,
        original: store.key(slot, Way::Original),
        reply: store.key(slot, Way::Reply),
        interfaces: common.interfaces,
        rules: witnesses.get(common.witness()).map(|pass| (pass.rule(), pass.log())),
        gateways: [out, back],
        progress: progress(common),
        packets: packets.map(|packets| packets as u32),
        bytes,
        age: seconds(common.created),
        idle: seconds(common.seen),
        proxied: store.proxy(slot).map(|Proxy { waits, number, mss }| Proxied { waits, number, mss }),
    }
}

fn progress(common: &Common) -> Progress {
    if common.protocol == protocol::TCP {
        return Progress::Tcp(common.tcp().peers.map(|peer| TcpEnd {
            phase: peer.phase as u8,
            low: peer.low,
            high: peer.high,
            acked: peer.acked,
            window: peer.window,
            scale: peer.scale,
        }));
    }
    Progress::Other {
        traffic: common.traffic().map(|traffic| traffic as u8),
        repeated: matches!(common.class, Class::UdpOneWay | Class::OtherOneWay),
    }
}
