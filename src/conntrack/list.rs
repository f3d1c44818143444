//! What people are shown of the table, and what they kill.
//!
//! A listing goes through the slots in order, so many at a time; flows that come and go meanwhile may or may not be
//! in it, all others are in it exactly once.

use std::time::Duration;

use super::index::{Slot, Way};
use super::record::Common;
use super::table::Table;
use super::tcp::Phase;
use super::timer::{Class, Tick};
use super::witness::Via;
use crate::rules::Pass;
use crate::types::{GatewayId, Instant, InterfaceId, Prefix, RuleId};
use crate::wire::{FlowKey, protocol};

/// Which flows; every part that is set must fit, with none set all do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// The flow with this number.
    pub id: Option<u64>,
    /// IP protocol.
    pub protocol: Option<u8>,
    /// Source of the original way.
    pub source: Option<Prefix>,
    /// Destination of the original way.
    pub destination: Option<Prefix>,
    /// Any of the flow's addresses, before or after translation.
    pub address: Option<Prefix>,
    /// Any of the flow's ports, before or after translation.
    pub port: Option<u16>,
    /// Either interface.
    pub interface: Option<InterfaceId>,
    /// Either rule.
    pub rule: Option<RuleId>,
    /// The gateway that it goes by, or its answers.
    pub gateway: Option<GatewayId>,
    /// How far it has come.
    pub stage: Option<Stage>,
}

/// How far a flow has come, in the few words that a filter needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Nobody has answered, or the handshake is not complete.
    Opening,
    /// Both sides speak.
    Established,
    /// One side has ended it, or both.
    Closing,
}

impl Stage {
    /// Every one.
    pub const ALL: [Stage; 3] = [Stage::Opening, Stage::Established, Stage::Closing];

    /// As commands and pages call it.
    pub const fn word(self) -> &'static str {
        match self {
            Stage::Opening => "opening",
            Stage::Established => "established",
            Stage::Closing => "closing",
        }
    }

    /// The one of this word.
    pub fn of(word: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.word() == word)
    }

    const fn of_class(class: Class) -> Option<Stage> {
        match class {
            Class::Vacant => None,
            Class::TcpFirst
            | Class::TcpOpening
            | Class::UdpFirst
            | Class::UdpOneWay
            | Class::IcmpFirst
            | Class::OtherFirst
            | Class::OtherOneWay => Some(Stage::Opening),
            Class::TcpEstablished
            | Class::UdpSingle
            | Class::UdpMultiple
            | Class::IcmpAnswered
            | Class::OtherSingle
            | Class::OtherMultiple => Some(Stage::Established),
            Class::TcpClosing | Class::TcpFinWait | Class::TcpClosed => Some(Stage::Closing),
        }
    }
}

/// Where a listing goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor(Slot);

impl Cursor {
    /// Goes on behind the flow of this number, which need not exist any more.
    pub const fn behind(id: u64) -> Cursor {
        Cursor(Slot::from_raw(id as u32))
    }

    pub(super) const fn at(slot: Slot) -> Cursor {
        Cursor(slot)
    }

    /// What [`Cursor::behind`] makes the same cursor of.
    pub const fn number(self) -> u64 {
        self.0.raw() as u64
    }
}

/// One flow, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowState {
    /// Its number: no other flow will have it for a very long time.
    pub id: u64,
    /// Key of its first packet, as it came in.
    pub original: FlowKey,
    /// Key of the answers, as they come in.
    pub reply: FlowKey,
    /// pf's name for where it stands, `source:destination`.
    pub state: String,
    /// The interface by which it came in.
    pub ingress: InterfaceId,
    /// The interface by which it leaves.
    pub egress: InterfaceId,
    /// The rules that let it in and out.
    pub rules: [RuleId; 2],
    /// The gateways that it goes by.
    pub via: Via,
    /// Time since it began.
    pub age: Duration,
    /// Time left to live.
    pub expires: Duration,
    /// Packets by way; the counter stays at 2^32 - 1 when it gets there.
    pub packets: [u64; 2],
    /// Bytes by way, IP headers included.
    pub bytes: [u64; 2],
}

impl FlowState {
    /// True when the flow looks different on its two sides.
    pub fn translated(&self) -> bool {
        self.original.inverse() != self.reply
    }
}

impl Table {
    /// The flows that fit `filter`, from `cursor` on, looking at `limit` slots at most. The cursor that comes back leads
    /// on; `None` means that this was the end.
    pub fn list(
        &self,
        now: Instant,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> (Vec<FlowState>, Option<Cursor>) {
        let mut rows = Vec::new();
        let cursor = self.walk(filter, cursor, limit, |slot| rows.push(self.row(now, slot)));
        (rows, cursor)
    }

    /// Ends the flows that fit `filter`, walking like [`Table::list`]. Says how many.
    pub fn kill(&mut self, filter: &Filter, cursor: Option<Cursor>, limit: usize) -> (usize, Option<Cursor>) {
        let mut doomed = Vec::new();
        let cursor = self.walk(filter, cursor, limit, |slot| doomed.push(slot));
        for slot in &doomed {
            self.remove(*slot);
        }
        self.counters.killed += doomed.len() as u64;
        (doomed.len(), cursor)
    }

    /// Ends the flows whose verdicts and gateways are such, walking like [`Table::list`].
    pub fn cull(
        &mut self,
        cursor: Option<Cursor>,
        limit: usize,
        is_doomed: impl Fn([Pass; 2], Via) -> bool,
    ) -> Option<Cursor> {
        let mut doomed = Vec::new();
        let cursor = self.walk(&Filter::default(), cursor, limit, |slot| {
            let number = self.store.common(slot).witness();
            if is_doomed(self.witnesses.get(number), self.witnesses.via(number)) {
                doomed.push(slot);
            }
        });
        for slot in &doomed {
            self.remove(*slot);
        }
        self.counters.killed += doomed.len() as u64;
        cursor
    }

    /// The flow that a packet with this key belongs to.
    pub fn flow(&self, now: Instant, key: &FlowKey) -> Option<FlowState> {
        self.find(key).map(|hit| self.row(now, hit.slot))
    }

    pub(super) fn walk(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
        mut found: impl FnMut(Slot),
    ) -> Option<Cursor> {
        if let Some(id) = filter.id {
            if let Some(slot) = self.store.slot(id as u32).filter(|slot| self.fits(filter, *slot)) {
                found(slot);
            }
            return None;
        }
        let mut at = cursor.map(|Cursor(slot)| slot);
        for _ in 0..limit {
            let slot = self.store.walk(at)?;
            if self.fits(filter, slot) {
                found(slot);
            }
            at = Some(slot);
        }
        at.filter(|slot| self.store.walk(Some(*slot)).is_some()).map(Cursor)
    }

    fn fits(&self, filter: &Filter, slot: Slot) -> bool {
        let Filter { id, protocol, source, destination, address, port, interface, rule, gateway, stage } =
            *filter;
        let common = self.store.common(slot);
        if common.class == Class::Vacant {
            return false;
        }
        if *filter == Filter::default() {
            return true;
        }
        let keys = [self.store.key(slot, Way::Original), self.store.key(slot, Way::Reply)];
        let [original, _] = keys;
        id.is_none_or(|id| id == identity(slot, common))
            && protocol.is_none_or(|protocol| protocol == common.protocol)
            && stage.is_none_or(|stage| Stage::of_class(common.class) == Some(stage))
            && source.is_none_or(|prefix| prefix.contains(&original.src()))
            && destination.is_none_or(|prefix| prefix.contains(&original.dst()))
            && address.is_none_or(|prefix| {
                keys.iter().any(|key| prefix.contains(&key.src()) || prefix.contains(&key.dst()))
            })
            && port.is_none_or(|port| keys.iter().any(|key| key.src_port() == port || key.dst_port() == port))
            && interface.is_none_or(|interface| common.interfaces.contains(&interface))
            && gateway.is_none_or(|gateway| {
                let Via { out, back } = self.witnesses.via(common.witness());
                [out, back].contains(&Some(gateway))
            })
            && rule.is_none_or(|rule| {
                self.witnesses.get(common.witness()).iter().any(|pass| pass.rule() == rule)
            })
    }

    pub(super) fn row(&self, now: Instant, slot: Slot) -> FlowState {
        let common = self.store.common(slot);
        let [ingress, egress] = common.interfaces;
        let (packets, bytes) = common.counted();
        let deadline = common.seen.max(self.floor).after(self.seconds(slot, common.class));
        FlowState {
            id: identity(slot, common),
            original: self.store.key(slot, Way::Original),
            reply: self.store.key(slot, Way::Reply),
            state: state(common),
            ingress,
            egress,
            rules: self.witnesses.get(common.witness()).map(|pass| pass.rule()),
            via: self.witnesses.via(common.witness()),
            age: now.since(common.created.instant()),
            expires: deadline.instant().since(now),
            packets,
            bytes,
        }
    }
}

/// Slot, generation and the low half of the time of birth.
fn identity(slot: Slot, common: &Common) -> u64 {
    let Tick(created) = common.created;
    u64::from(slot.raw()) | u64::from(common.generation) << 32 | u64::from(created as u16) << 48
}

/// pf's names of states, as `pfctl -s states` prints them.
fn state(common: &Common) -> String {
    if common.protocol == protocol::TCP {
        let [a, b] = common.tcp().peers.map(|peer| match peer.phase {
            Phase::Closed => "CLOSED",
            Phase::SynSent => "SYN_SENT",
            Phase::Established => "ESTABLISHED",
            Phase::Closing => "FIN_WAIT_1",
            Phase::FinWait2 => "FIN_WAIT_2",
            Phase::TimeWait => "TIME_WAIT",
        });
        return format!("{a}:{b}");
    }
    use super::timer::Traffic;
    let [a, b] = common.traffic().map(|traffic| match traffic {
        Traffic::None => "NO_TRAFFIC",
        Traffic::Single => "SINGLE",
        Traffic::Multiple => "MULTIPLE",
    });
    format!("{a}:{b}")
}
