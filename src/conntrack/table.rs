//! The flows of one worker: how they begin and end, and how many there may be.

use super::chains::{Chain, Chains};
use super::changes::Changes;
use super::cookie::Cookies;
use super::index::{FlowIndex, Hit, Slot, Way};
use super::mappings::Mappings;
use super::mirror::Mirror;
use super::pressure::Pressure;
use super::record::Common;
use super::segment::Segment;
use super::slab::Store;
use super::sources::Sources;
use super::tcp::Tcp;
use super::timer::{Class, RuleTimers, Tick, Traffic};
use super::usage::Usages;
use super::witness::{RuleTotals, Via, Witnesses};
use crate::config::model::{Syncookies, Timeouts};
use crate::rules::Pass;
use crate::types::{Instant, InterfaceId, Random, RuleId, Seed};
use crate::wire::{Drop, FlowKey, Fragment, Packet, Transport, protocol};

/// A next hop that nobody has looked up yet.
pub const NO_HOP: u32 = u32::MAX;
/// So many of the router's own flows find room in a full table, and make none for others.
const OWN_RESERVE: u32 = 128;
/// At most this many flows are looked at by one [`Table::handle_timeout`].
const SWEEP: usize = 256;

/// What the configuration says about the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConntrackConfig {
    /// The most flows.
    pub state_limit: u32,
    /// pf's timers.
    pub timeouts: Timeouts,
    /// The most unanswered or half-open flows of one source (an IPv4 address, or an IPv6 /64).
    pub half_open_per_source: u32,
    /// From so many flows on timers are shortened, and with so many there would be nothing left of them.
    pub adaptive: Option<[u32; 2]>,
    /// When TCP connections begin with a cookie.
    pub syncookies: Syncookies,
    /// Adaptive: with so many half-open ones, and until there are so few again.
    pub cookie_marks: [u32; 2],
    /// Connections whose handshake the router makes.
    pub proxies: u32,
    /// Sources of rules with limits.
    pub source_nodes: u32,
    /// Endpoints that keep their port outside, whomever they speak with.
    pub mappings: u32,
}

impl ConntrackConfig {
    /// With the default limit per source: a sixteenth of the table, at most 10,000.
    pub fn new(state_limit: u32, timeouts: Timeouts) -> Self {
        ConntrackConfig {
            state_limit,
            timeouts,
            half_open_per_source: (state_limit / 16).clamp(1, 10_000),
            adaptive: None,
            syncookies: Syncookies::Never,
            cookie_marks: [u32::MAX; 2],
            proxies: 0,
            source_nodes: 0,
            mappings: 0,
        }
    }
}

/// A flow that every check has let through and that does not exist yet.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// Key of the first packet as it came in.
    pub original: FlowKey,
    /// Key of the answers as they will come in.
    pub reply: FlowKey,
    /// The rule that let it in.
    pub pass_in: Pass,
    /// The rule that let it out.
    pub pass_out: Pass,
    /// The gateways that it goes by.
    pub via: Via,
    /// The interface by which it came in.
    pub ingress: InterfaceId,
    /// The interface by which it leaves.
    pub egress: InterfaceId,
    /// By way, the node's own meaning; [`NO_HOP`] when not looked up yet.
    pub next_hop: [u32; 2],
    /// The configuration and routes that all this was decided under.
    pub epoch: u32,
    /// The flow is the router's own: it is never replicated.
    pub ends_here: bool,
}

/// What happened to flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Flows that began.
    pub inserted: u64,
    /// Flows that ended, for whatever reason.
    pub removed: u64,
    /// Of these: their timer ran out.
    pub expired: u64,
    /// Of these: half-open or unanswered flows that made room in a full table.
    pub evicted: u64,
    /// Of these: killed by a person.
    pub killed: u64,
    /// Of these: a new connection took the place of a closed one.
    pub restarted: u64,
    /// Flows refused because the table was full.
    pub limited: u64,
    /// Flows refused because their source had too many half-open ones.
    pub source_limited: u64,
    /// Flows refused because one of their keys was taken.
    pub clashed: u64,
    /// Packets outside their flow's window or state.
    pub mismatched: u64,
    /// Packets that the index led to another flow's record.
    pub stale: u64,
    /// ICMP errors refused because they fit no flow.
    pub icmp_unmatched: u64,
    /// Flows that the peer told of and that were not known here.
    pub imported: u64,
    /// Flows that made room for the peer's, which has the same key.
    pub displaced: u64,
    /// Flows of the peer refused because the router itself has the same key.
    pub import_own: u64,
    /// Flows of the peer refused because the table was full.
    pub import_limited: u64,
    /// Flows of the peer refused because they make no sense here.
    pub import_malformed: u64,
    /// Flows of the peer that it only had to name, because they were here already and the same.
    pub import_known: u64,
    /// Flows that the peer named and that were not the same here.
    pub import_unknown: u64,
    /// Flows that the peer had never told of, found at the end of a round of digests.
    pub import_strays: u64,
    /// Keys in the index that led to no flow, found by an import.
    pub import_dangling: u64,
    /// Digests made for the peer.
    pub digests: u64,
    /// Rounds of digests made for the peer.
    pub rounds: u64,
    /// Ranges told again because the peer's digest was another one.
    pub corrected: u64,
    /// SYNs that were answered with a cookie.
    pub cookies_sent: u64,
    /// Cookies that came back.
    pub cookies_redeemed: u64,
    /// SYNs on connections that exist, answered with a challenge.
    pub challenged: u64,
}

/// Why the table wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// A flow may have reached its timeout.
    FlowTimeout,
}

/// All flows of one worker.
pub struct Table {
    pub(super) config: ConntrackConfig,
    pub(super) index: FlowIndex,
    pub(super) store: Store,
    pub(super) chains: Chains,
    pub(super) sources: Sources,
    pub(super) witnesses: Witnesses,
    pub(super) usages: Usages,
    pub(super) mappings: Mappings,
    /// pf's timers of rules that have their own.
    pub(super) timers: RuleTimers,
    pub(super) pressure: Pressure,
    pub(super) cookies: Cookies,
    pub(super) cookies_wanted: bool,
    /// TCP connections whose handshake is not complete.
    pub(super) half_open: u32,
    pub(super) counters: Counters,
    pub(super) len: u32,
    /// Of these the router's own.
    pub(super) own: u32,
    /// What the peer has to be told; `None` when there is nobody to tell.
    pub(super) changes: Option<Box<Changes>>,
    /// Which of our flows are which of the peer's; `None` when it has never told of any.
    pub(super) mirror: Option<Box<Mirror>>,
    /// The peer compares digests.
    pub(super) proves: bool,
    /// Flows that the peer tells of end when it says so, not when their time is over.
    pub(super) passive: bool,
    /// No flow has been idle since before this.
    pub(super) floor: Tick,
    /// For the keys of digests.
    pub(super) random: Random,
}

impl Table {
    /// An empty table.
    pub fn new(config: ConntrackConfig, seed: Seed, now: Instant) -> Self {
        let mut table = Table {
            config,
            index: FlowIndex::new(seed.derive(1)),
            store: Store::new(),
            chains: Chains::new(Tick::of(now)),
            sources: Sources::new(seed.derive(2)),
            witnesses: Witnesses::new(),
            usages: Usages::new(seed.derive(4)),
            mappings: Mappings::new(seed.derive(11)),
            timers: RuleTimers::default(),
            pressure: Pressure::new(now),
            cookies: Cookies::new(seed.derive(5)),
            cookies_wanted: false,
            half_open: 0,
            counters: Counters::default(),
            len: 0,
            own: 0,
            changes: None,
            mirror: None,
            proves: true,
            passive: false,
            floor: Tick::ZERO,
            random: seed.derive(3).random(),
        };
        table.apply(config);
        table
    }

    /// Takes a new configuration. Flows keep going, also above a lowered limit; a changed timer holds for a flow
    /// from its next packet, and at the latest when its old deadline, or half an hour, is over.
    pub fn apply(&mut self, config: ConntrackConfig) {
        self.config = config;
        self.usages.reserve(config.source_nodes);
        self.mappings.reserve(config.mappings);
        self.reserve_proxies();
    }

    /// The timers of rules that have their own.
    pub fn apply_timers(&mut self, timers: impl IntoIterator<Item = (RuleId, Timeouts)>) {
        self.timers = timers.into_iter().collect();
    }

    /// Asks the index for the flow that a packet belongs to. [`Table::advance`] makes sure that it really does.
    #[inline]
    pub fn find(&self, key: &FlowKey) -> Option<Hit> {
        self.index.find(key)
    }

    /// [`Table::find`] for the packet path: without a lock, and the cache misses of a batch overlap.
    #[inline]
    pub fn look_up(&mut self, key: &FlowKey) -> Option<Hit> {
        self.index.look_up(key)
    }

    /// Reads a flow's record early, so that the cache misses of a batch overlap. The value means nothing, but using
    /// it (adding up a batch's) keeps the compiler from leaving the read out.
    #[inline]
    pub fn touch(&self, hit: Hit) -> u64 {
        self.store.touch(hit.slot)
    }

    /// Brings a flow into being with its first packet, which passes. Both keys go in, or neither.
    pub fn insert(&mut self, now: Instant, pending: Pending, packet: &Packet) -> Result<Hit, Drop> {
        let Pending { original, reply, pass_in, pass_out, via, ingress, egress, next_hop, epoch, ends_here } =
            pending;
        let tick = Tick::of(now);
        let (class, tcp) = first_packet(packet, pass_in)?;
        if self.sources.get(original.src()) >= self.config.half_open_per_source {
            self.counters.source_limited += 1;
            return Err(Drop::SourceLimit);
        }
        // A full table does not lock anybody out of the router itself.
        let sheltered = ends_here && self.own < OWN_RESERVE;
        let counted = self.len - self.own.min(OWN_RESERVE);
        if counted >= self.config.state_limit && !sheltered && !self.evict() {
            self.counters.limited += 1;
            return Err(Drop::StateLimit);
        }
        let mut common = Common::VACANT;
        common.class = class;
        common.interfaces = [ingress, egress];
        (common.seen, common.created) = (tick, tick);
        (common.epoch, common.next_hop) = (epoch, next_hop);
        common.set_ends_here(ends_here);
        match tcp {
            Some(tcp) => {
                common.set_tcp(&tcp);
                if tcp.loose {
                    common.set_learned();
                }
            }
            None => common.set_traffic([Traffic::Single, Traffic::None]),
        }
        let (packets, bytes) = segments(packet);
        common.count(Way::Original, packets, bytes);
        let slot = self.store.insert(&original, &reply, common).ok_or(Drop::StateLimit)?;
        let hit = Hit { slot, way: Way::Original };
        if !self.enter(&original, &reply, slot) {
            self.store.remove(slot);
            self.counters.clashed += 1;
            return Err(Drop::StateClash);
        }
        let witness = self.hold([pass_in, pass_out], via, original.src(), false);
        self.mappings.add(&original, &reply);
        self.witnesses.begun(witness);
        self.witnesses.count(witness, packets, bytes);
        self.store.common_mut(slot).set_witness(witness);
        self.recount(slot, Class::Vacant, class);
        self.join(slot, class);
        self.len += 1;
        self.own += u32::from(ends_here);
        self.counters.inserted += 1;
        self.note(slot);
        Ok(hit)
    }

    pub(super) fn enter(&mut self, original: &FlowKey, reply: &FlowKey, slot: Slot) -> bool {
        let hit = Hit { slot, way: Way::Original };
        if !self.index.insert(original, hit) {
            return false;
        }
        if !self.index.insert(reply, Hit { slot, way: Way::Reply }) {
            self.index.remove(original, hit);
            return false;
        }
        true
    }

    /// Ends a flow.
    pub(super) fn remove(&mut self, slot: Slot) {
        let common = self.store.common(slot);
        let (class, witness, own) = (common.class, common.witness(), common.ends_here());
        let connected = common.is_connected();
        if class == Class::Vacant {
            return;
        }
        self.note_end(slot);
        let (original, reply) = (self.store.key(slot, Way::Original), self.store.key(slot, Way::Reply));
        self.index.remove(&original, Hit { slot, way: Way::Original });
        self.index.remove(&reply, Hit { slot, way: Way::Reply });
        self.mappings.take(&original, &reply);
        self.recount(slot, class, Class::Vacant);
        self.chains.unlink(&mut self.store, slot);
        self.release(witness, original.src(), connected);
        self.store.remove(slot);
        self.len -= 1;
        self.own -= u32::from(own);
        self.counters.removed += 1;
    }

    /// Ends the oldest flow that nobody has answered or whose handshake is not complete. Never an established one.
    fn evict(&mut self) -> bool {
        let heads = (0..Class::EMBRYONIC.len()).filter_map(|queue| self.chains.head(Chain::queue(queue)));
        let oldest = heads.min_by_key(|slot| self.store.common(*slot).seen);
        let Some(oldest) = oldest.or_else(|| self.pressure.oldest(&self.store)) else { return false };
        self.remove(oldest);
        self.counters.evicted += 1;
        true
    }

    /// Puts a flow that is in no chain into that of its class.
    pub(super) fn join(&mut self, slot: Slot, class: Class) {
        let common = self.store.common_mut(slot);
        common.class = class;
        let (seen, generation, ends_here) = (common.seen, common.generation, common.ends_here());
        // A queue is in order only when all in it have the same timer, and it is where flows make room for others.
        let timed = self.is_timed(slot);
        let sheltered = ends_here && self.own <= OWN_RESERVE;
        let chain = match class.embryonic() {
            Some(queue) if !timed && !sheltered => Chain::queue(queue),
            Some(_) | None => self.chains.bucket(seen.after(self.seconds(slot, class))),
        };
        if timed && !sheltered && class.embryonic().is_some() {
            self.pressure.note(slot, generation);
        }
        self.chains.push(&mut self.store, chain, slot);
    }

    /// Remembers where packets of this way go. When the epoch is new, the other way has to be looked up again too.
    pub fn set_route(&mut self, slot: Slot, way: Way, egress: InterfaceId, next_hop: u32, epoch: u32) {
        let common = self.store.common_mut(slot);
        if common.epoch != epoch {
            common.next_hop[way.other().index()] = NO_HOP;
        }
        let before = std::mem::replace(&mut common.interfaces[way.other().index()], egress);
        common.next_hop[way.index()] = next_hop;
        common.epoch = epoch;
        if before != egress {
            self.note(slot);
        }
    }

    /// Ends the flows whose time is over: some of them, when there are many. Call again while
    /// [`Table::poll_timeout`] is not later than `now`.
    pub fn handle_timeout(&mut self, instant: Instant) {
        let now = Tick::of(instant);
        let mut left = SWEEP;
        for (queue, class) in Class::EMBRYONIC.into_iter().enumerate() {
            let seconds = self.pressed(class.seconds(&self.config.timeouts));
            while left > 0
                && let Some(slot) = self.chains.head(Chain::queue(queue))
                && self.store.common(slot).seen.after(seconds) <= now
            {
                self.expire(slot);
                left -= 1;
            }
        }
        while left > 0
            && let Some(slot) = self.chains.due(now)
        {
            left -= 1;
            let Common { class, seen, .. } = *self.store.common(slot);
            let seconds = self.seconds(slot, class);
            let deadline = if self.is_kept_alive(slot) {
                now.after(seconds)
            } else {
                seen.max(self.floor).after(seconds)
            };
            if deadline <= now {
                self.expire(slot);
            } else {
                self.chains.unlink(&mut self.store, slot);
                self.wait(slot, deadline);
            }
        }
        self.sweep(left);
        self.press(instant);
    }

    /// Puts a flow that is in no chain into the wheel.
    pub(super) fn wait(&mut self, slot: Slot, deadline: Tick) {
        let bucket = self.chains.bucket(deadline);
        self.chains.push(&mut self.store, bucket, slot);
    }

    fn expire(&mut self, slot: Slot) {
        self.remove(slot);
        self.counters.expired += 1;
    }

    /// When [`Table::handle_timeout`] should be called, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        let queued = Class::EMBRYONIC.into_iter().enumerate().filter_map(|(queue, class)| {
            let slot = self.chains.head(Chain::queue(queue))?;
            Some(self.store.common(slot).seen.after(self.pressed(class.seconds(&self.config.timeouts))))
        });
        if self.is_sweeping() {
            return Some((Instant::ZERO, Why::FlowTimeout));
        }
        let waiting = queued.chain(self.chains.next_bucket()).min().map(Tick::instant);
        let at = waiting.into_iter().chain(self.poll_pressure()).min()?;
        Some((at, Why::FlowTimeout))
    }

    /// What the flows of each rule have come to, in no order.
    pub fn rule_totals(&self) -> Vec<(RuleId, RuleTotals)> {
        self.witnesses.totals()
    }

    /// How many flows there are.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// True when there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most flows that there may be.
    pub const fn limit(&self) -> usize {
        self.config.state_limit as usize
    }

    /// How many keys the index holds: two for each flow, or something is wrong.
    pub fn keys(&self) -> usize {
        self.index.len()
    }

    /// What happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }
}

/// The class of the flow that a packet may begin, and its connection.
fn first_packet(packet: &Packet, pass: Pass) -> Result<(Class, Option<Tcp>), Drop> {
    if packet.layout.fragment != Fragment::Whole {
        return Err(Drop::NoFlow);
    }
    match packet.layout.transport {
        Transport::Tcp { .. } => {
            let segment = Segment::of(packet).ok_or(Drop::NoFlow)?;
            match segment {
                segment if segment.is_impossible() => Err(Drop::TcpFlags),
                segment if segment.is_first() => Ok((Class::TcpFirst, Some(Tcp::begin(&segment)))),
                segment if pass.begins_anywhere() => {
                    let tcp = Tcp::pick_up(&segment).ok_or(Drop::NoFlow)?;
                    Ok((Class::of_tcp(&tcp), Some(tcp)))
                }
                _ => Err(Drop::NoFlow),
            }
        }
        Transport::Udp => Ok((Class::UdpFirst, None)),
        Transport::IcmpQuery { request: true } => Ok((Class::IcmpFirst, None)),
        Transport::IcmpQuery { request: false } | Transport::IcmpOther { .. } => Err(Drop::NoFlow),
        Transport::IcmpError { .. } => Err(Drop::IcmpUnmatched),
        Transport::Other => match packet.layout.key.protocol() {
            protocol::TCP | protocol::UDP | protocol::ICMP | protocol::ICMPV6 => Err(Drop::NoFlow),
            _ => Ok((Class::OtherFirst, None)),
        },
    }
}

/// Packets and bytes that a packet is on a wire; a superpacket is as many as its segments.
#[inline]
pub(super) fn segments(packet: &Packet) -> (u32, u32) {
    let bytes = packet.layout.end - u32::from(packet.layout.l3);
    match packet.frame.gso {
        None => (1, bytes),
        Some(gso) => {
            let payload = packet.payload_len();
            let count = payload.div_ceil(u32::from(gso.size.max(1))).max(1);
            (count, bytes + (count - 1) * (bytes - payload))
        }
    }
}
