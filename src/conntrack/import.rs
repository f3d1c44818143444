//! What the peer tells of its table comes into ours.
//!
//! A flow is found again by the peer's slot, else by its keys. A flow of ours that has the same two keys is that flow;
//! one that has either of them makes room, unless it is the router's own. Imported flows wait in the wheel, never in
//! the queues, which are ordered by the last packet. While this table is passive, what waits there ends when the peer
//! says so, the router's own flows excepted. At a takeover all of them count as just seen ([`Table::set_passive`]), and their TCP numbers are learned anew.
//!
//! A flow is as good as new when both of its rules still let flows through here; otherwise its epoch is an old one, and its
//! first packet asks the rules again.

use super::NO_HOP;
use super::advance::class_of;
use super::digest::{self, KNOWN_KEY};
use super::index::{Hit, Slot, Way};
use super::mirror::Mirror;
use super::proxy::Proxy;
use super::record::Common;
use super::table::Table;
use super::tcp::{Peer, Phase, Tcp};
use super::timer::{Class, Tick, Traffic};
use super::witness::Via;
use crate::rules::Pass;
use crate::types::{Direction, Instant, InterfaceId, RuleId};
use crate::wire::pair::digest::Digest;
use crate::wire::pair::flow::{Change, FlowRecord, Progress, Proxied, Walked};
use crate::wire::protocol;

/// Slots that are looked at in one step for flows that the peer did not tell of.
const SWEEP: usize = 256;

/// What came of a change that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// The table is as the peer says.
    Applied,
    /// Our flows of the peer's range, which begins there, are the same, or not.
    Compared {
        /// The peer's slot.
        first: u32,
        /// They are.
        equal: bool,
    },
    /// All ranges have been compared.
    Round {
        /// Flows were here that the peer never told of.
        strays: bool,
    },
    /// The flow of this slot of the peer's is not here, or not the same.
    Unknown(u32),
    /// The peer has told all ranges.
    Walked(Walked),
}

/// Why a change was not taken. Each is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The router itself has a flow with the same key.
    Own,
    /// The table is full, and a bit more.
    Full,
    /// It makes no sense here.
    Malformed,
}

/// What the rules say now about a rule that let a flow through.
pub type Resolve<'a> = &'a dyn Fn(RuleId, Direction) -> Option<Pass>;

impl Table {
    /// Takes over what the peer tells. `epoch` is that of the configuration that `resolve` asks. What a node does with
    /// a neighbour is not this table's business.
    ///
    /// # Errors
    /// When a flow is refused; the table is then without it.
    pub fn import(
        &mut self,
        now: Instant,
        epoch: u32,
        change: &Change,
        resolve: Resolve<'_>,
    ) -> Result<Taken, Refused> {
        let result = self.take(now, epoch, change, resolve);
        match result {
            Ok(_) => {}
            Err(Refused::Own) => self.counters.import_own += 1,
            Err(Refused::Full) => self.counters.import_limited += 1,
            Err(Refused::Malformed) => self.counters.import_malformed += 1,
        }
        result
    }

    fn take(
        &mut self,
        now: Instant,
        epoch: u32,
        change: &Change,
        resolve: Resolve<'_>,
    ) -> Result<Taken, Refused> {
        match change {
            Change::Upsert(record) => self.upsert(now, epoch, record, resolve)?,
            Change::Known { slot, theirs, mixed } => return self.recognise(*slot, *theirs, *mixed),
            Change::Digest(digest) if self.passive => {
                return Ok(Taken::Compared { first: digest.first, equal: self.digest_of(digest) == *digest });
            }
            Change::Round { grown } if self.passive => {
                return Ok(Taken::Round { strays: self.look_for_strays(*grown) });
            }
            // From the takeover on this table goes its own way.
            Change::Digest(_) | Change::Round { .. } => {}
            Change::Walked(walked) => return Ok(Taken::Walked(*walked)),
            Change::Close { slot, generation: _ } => {
                // The generation need not be asked: ends come before whatever is told of their slot afterwards.
                if let Some(ours) = self.mirrored(*slot) {
                    self.remove(ours);
                }
            }
            Change::RangeBegin { first, last } => self.mirror_mut().begin_range(*first, *last),
            Change::RangeEnd { first, last } => {
                for untold in self.mirror_mut().end_range(*first, *last) {
                    self.remove(untold);
                }
            }
            Change::Complete => self.mirror_mut().sweep = self.passive.then_some(None),
            Change::Neighbour { .. }
            | Change::Frozen
            | Change::Relayed(_)
            | Change::Drained
            | Change::Left
            | Change::Overload { .. }
            | Change::CookieRoot { .. } => {}
        }
        Ok(Taken::Applied)
    }

    /// Our flows of the peer's range, under the same key.
    fn digest_of(&self, theirs: &Digest) -> Digest {
        let Digest { first, last, key, .. } = *theirs;
        let mut ours = Digest::new(first, last, key);
        for name in first..=last {
            let slot = self.mirrored(name);
            if let Some(mixed) =
                slot.and_then(|slot| digest::mixed(&self.store, &self.witnesses, key, name, slot))
            {
                ours.add(mixed);
            }
        }
        ours
    }

    /// Flows that the peer never told of, though it has told all of its own, are about to end.
    fn look_for_strays(&mut self, grown: [u32; 2]) -> bool {
        let beyond = self.mirror_mut().beyond(grown);
        self.counters.import_strays += beyond.len() as u64;
        beyond.into_iter().for_each(|slot| self.remove(slot));
        let shared = self.len - self.own;
        let mirror = self.mirror_mut();
        if mirror.sweep.is_some() || shared <= mirror.bound() {
            return false;
        }
        let strays = shared - mirror.bound();
        mirror.sweep = Some(None);
        self.counters.import_strays += u64::from(strays);
        true
    }

    /// The peer names the slot that one of its flows had here when this node told of it.
    fn recognise(&mut self, name: u32, place: u32, looks: u32) -> Result<Taken, Refused> {
        if !Mirror::may_be(name) {
            return Err(Refused::Malformed);
        }
        let same = |slot: &Slot| {
            let mixed = digest::mixed(&self.store, &self.witnesses, KNOWN_KEY, name, *slot);
            mixed.is_some_and(|mixed| mixed as u32 == looks)
        };
        let Some(ours) = self.store.slot(place).filter(same) else {
            self.counters.import_unknown += 1;
            return Ok(Taken::Unknown(name));
        };
        if let Some(other) = self.mirrored(name).filter(|other| *other != ours) {
            self.remove(other);
        }
        if self.mirrored(name).is_none() {
            self.reschedule(ours);
            let common = self.store.common_mut(ours);
            if common.protocol == protocol::TCP {
                common.set_relearn(is_moving(&common.tcp()));
            }
        }
        self.mirror_mut().bind(name, ours);
        self.counters.import_known += 1;
        Ok(Taken::Applied)
    }

    /// A stream begins anew: the slots that the peer names mean nothing yet. Flows stay until it has told all of its own.
    pub fn forget_peer(&mut self) {
        self.mirror = None;
    }

    /// Imported flows end when the peer says so (passive), or when their time is over. Whoever takes over gives all
    /// flows their full time from now: nobody here knows when they were last used.
    pub fn set_passive(&mut self, now: Instant, passive: bool) {
        if self.passive && !passive {
            self.floor = Tick::of(now);
            self.expect_cookies(now);
            // From now on flows begin here.
            if let Some(mirror) = &mut self.mirror {
                mirror.sweep = None;
            }
        }
        self.passive = passive;
    }

    /// True when the flow ends only when the peer says so.
    pub(super) fn is_kept_alive(&self, slot: Slot) -> bool {
        self.passive && !self.store.common(slot).ends_here()
    }

    fn mirror_mut(&mut self) -> &mut Mirror {
        self.mirror.get_or_insert_default()
    }

    fn mirrored(&self, theirs: u32) -> Option<Slot> {
        self.mirror.as_ref().and_then(|mirror| mirror.ours(theirs))
    }

    fn upsert(
        &mut self,
        now: Instant,
        epoch: u32,
        record: &FlowRecord,
        resolve: Resolve<'_>,
    ) -> Result<(), Refused> {
        if !Mirror::may_be(record.slot)
            || record.interfaces.iter().any(|interface| interface.0 >= InterfaceId::PEER.0)
        {
            return Err(Refused::Malformed);
        }
        // The peer's slot may have another flow than it had.
        if let Some(other) = self.mirrored(record.slot).filter(|ours| !self.has_keys(*ours, record)) {
            self.remove(other);
        }
        let known = self.mirrored(record.slot);
        let ours = match self.claim(record)? {
            Some(ours) => {
                self.update(now, ours, epoch, record, resolve);
                ours
            }
            None => self.adopt(now, epoch, record, resolve)?,
        };
        if known != Some(ours) {
            // Whatever it waited in so far, it waits in the wheel from now on.
            self.reschedule(ours);
        }
        self.mirror_mut().bind(record.slot, ours);
        Ok(())
    }

    fn has_keys(&self, slot: Slot, record: &FlowRecord) -> bool {
        self.store.holds(slot, Way::Original, &record.original)
            && self.store.holds(slot, Way::Reply, &record.reply)
    }

    /// The flow of ours that this is; others that have one of its keys make room.
    fn claim(&mut self, record: &FlowRecord) -> Result<Option<Slot>, Refused> {
        if let Some(known) = self.mirrored(record.slot) {
            return Ok(Some(known));
        }
        for key in [&record.original, &record.reply] {
            let Some(hit) = self.index.find(key) else { continue };
            if !self.store.holds(hit.slot, hit.way, key) {
                // Its flow does not have this key, or no longer: nobody else would ever take it away.
                self.index.remove(key, hit);
                self.counters.import_dangling += 1;
                continue;
            }
            if self.store.common(hit.slot).ends_here() {
                return Err(Refused::Own);
            }
            if self.has_keys(hit.slot, record) {
                return Ok(Some(hit.slot));
            }
        }
        for key in [&record.original, &record.reply] {
            if let Some(hit) = self.index.find(key) {
                self.remove(hit.slot);
                self.counters.displaced += 1;
            }
        }
        Ok(None)
    }

    /// A flow that is not known here.
    fn adopt(
        &mut self,
        now: Instant,
        epoch: u32,
        record: &FlowRecord,
        resolve: Resolve<'_>,
    ) -> Result<Slot, Refused> {
        // The peer's table is as large, and has no room for flows that end here.
        let limit = self.config.state_limit;
        if self.len >= limit.saturating_add(limit / 8).saturating_add(1024) {
            return Err(Refused::Full);
        }
        let mut common = Common::VACANT;
        fill(&mut common, record, now);
        let (passes, epoch) = verdicts(record, epoch, resolve);
        (common.epoch, common.next_hop) = (epoch, [NO_HOP; 2]);
        let slot = self.store.insert(&record.original, &record.reply, common).ok_or(Refused::Malformed)?;
        if !self.enter(&record.original, &record.reply, slot) {
            self.store.remove(slot);
            return Err(Refused::Malformed);
        }
        if !self.take_proxy(slot, record) {
            self.index.remove(&record.original, Hit { slot, way: Way::Original });
            self.index.remove(&record.reply, Hit { slot, way: Way::Reply });
            self.store.remove(slot);
            return Err(Refused::Full);
        }
        let connected = common.class.is_connection();
        let witness = self.hold(passes, via(record), record.original.src(), connected);
        self.mappings.add(&record.original, &record.reply);
        let stored = self.store.common_mut(slot);
        stored.set_witness(witness);
        if connected {
            stored.set_connected();
        }
        self.recount(slot, Class::Vacant, common.class);
        self.len += 1;
        self.counters.imported += 1;
        Ok(slot)
    }

    /// The peer knows more of a flow of ours.
    fn update(&mut self, now: Instant, slot: Slot, epoch: u32, record: &FlowRecord, resolve: Resolve<'_>) {
        let Common { class: before, interfaces, epoch: admitted, .. } = *self.store.common(slot);
        let common = self.store.common_mut(slot);
        fill(common, record, now);
        self.take_proxy(slot, record);
        let common = self.store.common(slot);
        let (class, number) = (common.class, common.witness());
        if class.is_connection() {
            self.count_connection(now, Hit { slot, way: Way::Original }, None);
        }
        self.recount(slot, before, class);
        let rules = self.witnesses.get(number).map(|pass| pass.rule());
        let told = (record.rules.map(|(rule, _)| rule), via(record), record.interfaces);
        if admitted == epoch && (rules, self.witnesses.via(number), interfaces) == told {
            if class != before {
                self.reschedule(slot);
            }
            return;
        }
        let (passes, epoch) = verdicts(record, epoch, resolve);
        let source = self.store.key(slot, Way::Original).src();
        let connected = self.store.common(slot).is_connected();
        let witness = self.hold(passes, via(record), source, connected);
        let common = self.store.common_mut(slot);
        common.set_witness(witness);
        (common.epoch, common.next_hop) = (epoch, [NO_HOP; 2]);
        self.release(number, source, connected);
        // Its rule may have timers of its own.
        self.reschedule(slot);
    }

    /// The handshake that the peer made, or makes; false when there is no room for it.
    fn take_proxy(&mut self, slot: Slot, record: &FlowRecord) -> bool {
        let Some(Proxied { waits, number, mss }) = record.proxied else { return true };
        self.store.set_proxy(slot, Proxy { waits, number, mss })
    }

    fn reschedule(&mut self, slot: Slot) {
        let Common { class, seen, .. } = *self.store.common(slot);
        self.chains.unlink(&mut self.store, slot);
        self.wait(slot, seen.after(self.seconds(slot, class)));
    }

    pub(super) fn is_sweeping(&self) -> bool {
        self.mirror.as_ref().is_some_and(|mirror| mirror.sweep.is_some())
    }

    /// Ends flows that the peer, which has told of all of its own, does not know.
    pub(super) fn sweep(&mut self, limit: usize) {
        let Some(mut at) = self.mirror.as_ref().and_then(|mirror| mirror.sweep) else { return };
        for _ in 0..limit.min(SWEEP) {
            let Some(slot) = self.store.walk(at) else {
                self.mirror_mut().sweep = None;
                return;
            };
            let common = self.store.common(slot);
            if common.is_shared() && !self.mirror.as_ref().is_some_and(|mirror| mirror.knows(slot)) {
                self.remove(slot);
            }
            at = Some(slot);
        }
        self.mirror_mut().sweep = Some(at);
    }
}

/// Verdicts and epoch of an imported flow.
fn verdicts(record: &FlowRecord, epoch: u32, resolve: Resolve<'_>) -> ([Pass; 2], u32) {
    let [(rule_in, _), (rule_out, _)] = record.rules;
    match (resolve(rule_in, Direction::In), resolve(rule_out, Direction::Out)) {
        (Some(pass_in), Some(pass_out)) => ([pass_in, pass_out], epoch),
        (Some(_) | None, Some(_) | None) => {
            ([Pass::unasked(rule_in), Pass::unasked(rule_out)], epoch.wrapping_sub(1))
        }
    }
}

/// The gateways of an imported flow; what they are here is asked when it is needed.
fn via(record: &FlowRecord) -> Via {
    let [out, back] = record.gateways;
    Via { out, back }
}

/// What the record says, but for what depends on this node.
fn fill(common: &mut Common, record: &FlowRecord, now: Instant) {
    let FlowRecord {
        slot: _,
        generation: _,
        original,
        reply: _,
        interfaces,
        rules: _,
        gateways: _,
        progress,
        packets,
        bytes,
        age,
        idle,
        proxied: _,
    } = record;
    let Tick(now) = Tick::of(now);
    let before = |seconds: u32| Tick(now.saturating_sub(seconds.saturating_mul(2)));
    (common.created, common.seen) = (before(*age), before(*idle));
    common.interfaces = *interfaces;
    common.set_counted(*packets, *bytes);
    match progress {
        Progress::Tcp(ends) => {
            let tcp = Tcp {
                peers: ends.map(|end| Peer {
                    phase: Phase::from_bits(end.phase),
                    low: end.low,
                    high: end.high,
                    acked: end.acked,
                    window: end.window,
                    scale: end.scale,
                }),
                loose: false,
            };
            common.set_tcp(&tcp);
            common.class = Class::of_tcp(&tcp);
            common.set_relearn(is_moving(&tcp));
        }
        Progress::Other { traffic, repeated } => {
            let traffic = traffic.map(Traffic::from_bits);
            common.set_traffic(traffic);
            common.class = class_of(original.protocol(), traffic, *repeated);
        }
    }
}

/// Both ends have sent something and may send more: the numbers of a told connection are old.
fn is_moving(tcp: &Tcp) -> bool {
    let moving = |peer: &Peer| (Phase::Established..=Phase::FinWait2).contains(&peer.phase);
    tcp.peers.iter().all(moving)
}
