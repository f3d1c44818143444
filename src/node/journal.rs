//! The firewall log of a shard: a bounded ring of the recent decisions that rules want logged, and those that wait to be
//! taken to wherever else they go.

use std::collections::VecDeque;

use super::Shard;
use super::compiled::Compiled;
use super::rate::Rate;
use crate::rules::{Logged, Pass, Record};
use crate::services::log::LogRow;
use crate::types::{Direction, Instant, InterfaceId, RuleId};
use crate::wire::{Drop, Packet};

/// Recent decisions that are kept.
const RING: usize = 4096;
/// Decisions that wait to be taken.
const WAITING: usize = 1024;
/// So many a second are handed on: whoever writes and sends them must not be drowned.
const PER_SECOND: u64 = 1000;

/// pf's letters for TCP's flags, in the order of the bits.
const FLAG_LETTERS: &str = "FSRPAUEW";

/// See the module.
pub(super) struct Journal {
    ring: VecDeque<Record>,
    last: u64,
    rate: Rate,
    waiting: Vec<Record>,
    /// Decisions that are in the ring only, because too many came.
    missed: u64,
}

impl Journal {
    /// An empty one.
    pub fn new(now: Instant) -> Self {
        Journal {
            ring: VecDeque::new(),
            last: 0,
            rate: Rate::new(PER_SECOND, now),
            waiting: Vec::new(),
            missed: 0,
        }
    }

    fn note(&mut self, now: Instant, record: Record) {
        self.last += 1;
        let record = Record { id: self.last, ..record };
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.ring.push_back(record);
        if self.waiting.len() < WAITING && self.rate.take(now) {
            self.waiting.push(record);
        } else {
            self.missed += 1;
        }
    }
}

impl Shard {
    /// A flow begins; its rule may want that in the log.
    #[inline]
    pub(super) fn log_pass(&mut self, now: Instant, ingress: InterfaceId, packet: &Packet, pass: Pass) {
        if pass.log() {
            let record = record(now, pass.rule(), Logged::Passed, packet);
            self.journal.note(now, Record { interface: ingress, ingress, ..record });
        }
    }

    /// The same of a rule on the way out.
    pub(super) fn log_pass_out(
        &mut self,
        now: Instant,
        [ingress, egress]: [InterfaceId; 2],
        packet: &Packet,
        pass: Pass,
    ) {
        if pass.log() {
            let record = record(now, pass.rule(), Logged::Passed, packet);
            let way = Record { interface: egress, direction: Direction::Out, ..record };
            self.journal.note(now, Record { ingress, ..way });
        }
    }

    /// A rule has refused a packet, and wants that in the log. `at` is where the packet was crossing.
    #[cold]
    pub(super) fn log_block(
        &mut self,
        now: Instant,
        (rule, drop, told): (RuleId, Drop, bool),
        at: Option<(InterfaceId, Direction)>,
        packet: &Packet,
        ingress: InterfaceId,
    ) {
        let action = if told { Logged::Rejected(drop) } else { Logged::Blocked(drop) };
        let (interface, direction) = at.unwrap_or((ingress, Direction::In));
        let record = record(now, rule, action, packet);
        self.journal.note(now, Record { interface, direction, ingress, ..record });
    }

    /// The recent records, newest first, that have a higher number than `after`.
    pub fn records(&self, after: u64, limit: usize) -> Vec<Record> {
        self.journal.ring.iter().rev().take_while(|record| record.id > after).take(limit).copied().collect()
    }

    /// Records that nobody has taken yet.
    pub fn take_records(&mut self) -> impl Iterator<Item = Record> + '_ {
        self.journal.waiting.drain(..)
    }

    /// How many records were too many to be taken anywhere.
    pub(super) fn records_missed(&self) -> u64 {
        self.journal.missed
    }
}

fn record(now: Instant, rule: RuleId, action: Logged, packet: &Packet) -> Record {
    let length = packet.layout.end.saturating_sub(u32::from(packet.layout.l3));
    Record::new(now, rule, action, &packet.layout, length)
}

/// A record in words; `at_ms` is its time by the calendar.
pub fn log_row(compiled: &Compiled, record: &Record, at_ms: u64) -> LogRow {
    let name =
        |id: InterfaceId| compiled.link(id).map_or_else(|| "self".to_owned(), |link| link.name.clone());
    let Record { id, at: _, rule, action, interface, direction, ingress, key, flags, dscp, length } = *record;
    let (action, reason) = match action {
        Logged::Passed => ("pass", None),
        Logged::Blocked(drop) => ("block", Some(drop)),
        Logged::Rejected(drop) => ("reject", Some(drop)),
    };
    LogRow {
        id,
        at_ms,
        action: action.into(),
        reason: reason.map(|drop| drop.name().into()),
        interface: name(interface),
        direction: match direction {
            Direction::In => "in".into(),
            Direction::Out => "out".into(),
        },
        ingress: name(ingress),
        rule: rule.0,
        description: compiled.ruleset.rule(rule).map_or(String::new(), |info| info.description.clone()),
        protocol: key.protocol(),
        src: Some(key.src()),
        sport: key.src_port(),
        dst: Some(key.dst()),
        dport: key.dst_port(),
        flags: flags.map(letters),
        dscp,
        length,
    }
}

fn letters(flags: u8) -> String {
    let set = FLAG_LETTERS.chars().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
    set.map(|(_, letter)| letter).collect()
}
