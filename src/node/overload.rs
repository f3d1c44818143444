//! Overload tables: sources that made connections too fast, and what becomes of their flows.
//!
//! A source gets in by a rule's `overload`, is blocked on the way in while it is there (but for the anti-lockout rule, which
//! keeps its promise), and gets out when its time is over or a person empties the table. Its flows end as the rule says, a
//! bounded number in each turn.
//!
//! Invariant: at most [`MOST`] sources, which the peer's node knows as well.

use std::collections::VecDeque;
use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt};

use super::Shard;
use super::refusal::Refusal;
use crate::config::model::Flush;
use crate::conntrack::{Connected, Cursor, Filter, Hit};
use crate::rules::{Limits, Pass, id};
use crate::types::{Duration, Instant, Prefix, RuleId};
use crate::wire::Drop;
use crate::wire::pair::flow::Change;

/// The most sources in all tables.
const MOST: usize = 1 << 16;
/// The most sources whose flows are about to end.
const FLUSHES: usize = 256;
/// Flows looked at in one turn.
const TURN: usize = 1024;

/// A source in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OverloadEntry {
    /// The table, by its place among those of the document.
    pub table: u8,
    /// The source.
    pub source: IpAddr,
    /// Until when.
    pub until: Instant,
}

/// The tables.
pub(super) struct Overloads {
    members: HashMap<IpAddr, (u8, Instant)>,
    /// In the order in which their time is over, as long as that time is not changed.
    queue: VecDeque<(Instant, IpAddr)>,
    /// What the peer's node has to be told.
    untold: VecDeque<IpAddr>,
    flushes: VecDeque<Purge>,
    /// Sources that found no room.
    pub(super) refused: u64,
    /// Sources that got in.
    pub(super) entered: u64,
}

/// Flows of a source that are about to end.
struct Purge {
    source: IpAddr,
    rule: Option<RuleId>,
    cursor: Option<Cursor>,
}

impl Overloads {
    pub(super) fn new() -> Self {
        Overloads {
            members: HashMap::new(),
            queue: VecDeque::new(),
            untold: VecDeque::new(),
            flushes: VecDeque::new(),
            refused: 0,
            entered: 0,
        }
    }

    /// True when the source is in a table.
    #[inline]
    pub(super) fn holds(&self, source: IpAddr) -> bool {
        !self.members.is_empty() && self.members.contains_key(&source)
    }

    fn enter(&mut self, table: u8, source: IpAddr, until: Instant) {
        if self.members.len() >= MOST && !self.members.contains_key(&source) {
            self.refused += 1;
            return;
        }
        self.entered += u64::from(self.members.insert(source, (table, until)).is_none());
        self.queue.push_back((until, source));
    }

    /// What is in the tables.
    pub(super) fn entries(&self) -> Vec<OverloadEntry> {
        let entry = |(source, (table, until)): (&IpAddr, &(u8, Instant))| OverloadEntry {
            table: *table,
            source: *source,
            until: *until,
        };
        let mut entries: Vec<_> = self.members.iter().map(entry).collect();
        entries.sort_by_key(|entry| (entry.table, entry.until, entry.source));
        entries
    }

    /// Takes everybody out of a table, or out of all; says how many.
    pub(super) fn empty(&mut self, table: Option<u8>) -> usize {
        let before = self.members.len();
        let untold = &mut self.untold;
        self.members.retain(|source, (of, _)| {
            let stays = table.is_some_and(|table| table != *of);
            if !stays {
                untold.push_back(*source);
            }
            stays
        });
        before - self.members.len()
    }

    /// Other tables are in force: each stays under its name.
    pub(super) fn rename(&mut self, before: &[String], after: &[String]) {
        if before == after {
            return;
        }
        let place = |table: u8| {
            let name = before.get(usize::from(table))?;
            after.iter().position(|other| other == name).map(|place| place as u8)
        };
        self.members.retain(|_, (table, _)| place(*table).map(|place| *table = place).is_some());
    }

    /// Whose time is over gets out.
    fn expire(&mut self, now: Instant) {
        while let Some((until, source)) = self.queue.front().copied().filter(|(until, _)| *until <= now) {
            self.queue.pop_front();
            if self.members.get(&source).is_some_and(|(_, last)| *last <= until) {
                self.members.remove(&source);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let flush = self.flushes.front().map(|_| Instant::ZERO);
        flush.or_else(|| self.queue.front().map(|(until, _)| *until))
    }

    /// Everybody has to be told again.
    pub(super) fn tell_all(&mut self) {
        self.untold = self.members.keys().copied().collect();
    }

    pub(super) fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// The next thing to tell.
    pub(super) fn take_untold(&mut self, now: Instant) -> Option<Change> {
        let source = self.untold.pop_front()?;
        let (table, seconds) = match self.members.get(&source) {
            Some((table, until)) => (*table, until.since(now).as_secs().max(1) as u32),
            None => (0, 0),
        };
        Some(Change::Overload { table, source, seconds })
    }

    /// What the peer's node tells.
    pub(super) fn import(&mut self, now: Instant, table: u8, source: IpAddr, seconds: u32) {
        match seconds {
            0 => drop(self.members.remove(&source)),
            _ => self.enter(table, source, now + Duration::from_secs(seconds.into())),
        }
    }
}

impl Shard {
    /// A source in an overload table gets in nowhere, but where nobody may be locked out.
    pub(super) fn check_overload(&self, pass: Pass, source: IpAddr) -> Result<(), Refusal> {
        if pass.rule() == id::ANTI_LOCKOUT || !self.overloads.holds(source) {
            return Ok(());
        }
        Err(Refusal { drop: Drop::Overload, rule: Some(id::OVERLOAD), at: None, answer: None, log: true })
    }

    /// The handshake of a flow whose rule has limits is complete: pf's `pf_src_connlimit`. Too many connections, or too
    /// fast ones, end with the newest of them.
    pub(super) fn check_connections(&mut self, now: Instant, hit: Hit) -> Result<(), Refusal> {
        let [pass, _] = self.table.passes(hit);
        let Some(limits) = self.compiled.ruleset.rule(pass.rule()).map(|info| info.limits) else {
            return Ok(());
        };
        let Limits { max_src_conn, max_src_conn_rate, overload, flush, .. } = limits;
        let Some(counted) = self.table.count_connection(now, hit, max_src_conn_rate) else { return Ok(()) };
        let Connected { connections, too_fast } = counted;
        if !too_fast && max_src_conn.is_none_or(|most| connections <= most) {
            return Ok(());
        }
        let source = self.table.admission(hit).original.src();
        if let Some(table) = overload {
            self.overload(now, table, source);
            self.flush(source, pass.rule(), flush);
        }
        self.table.end(hit);
        Err(Refusal {
            drop: Drop::ConnectionLimit,
            rule: Some(pass.rule()),
            at: None,
            answer: None,
            log: true,
        })
    }

    fn overload(&mut self, now: Instant, table: u8, source: IpAddr) {
        let expire = self.compiled.config.system.overload_seconds();
        self.overloads.enter(table, source, now + Duration::from_secs(expire.into()));
        if self.table.keeps_changes() && self.overloads.untold.len() < MOST {
            self.overloads.untold.push_back(source);
        }
    }

    fn flush(&mut self, source: IpAddr, rule: RuleId, flush: Flush) {
        let rule = match flush {
            Flush::None => return,
            Flush::Rule => Some(rule),
            Flush::All => None,
        };
        if self.overloads.flushes.len() < FLUSHES {
            self.overloads.flushes.push_back(Purge { source, rule, cursor: None });
        }
    }

    /// Ends flows of overloading sources, some in each turn; takes out of the tables whose time is over.
    pub(super) fn work_on_overloads(&mut self, now: Instant) {
        self.overloads.expire(now);
        let Some(purge) = self.overloads.flushes.front_mut() else { return };
        let Purge { source, rule, cursor } = purge;
        let filter = Filter { source: Some(Prefix::from(*source)), rule: *rule, ..Filter::default() };
        let (_, next) = self.table.kill(&filter, *cursor, TURN);
        *cursor = next;
        if next.is_none() {
            self.overloads.flushes.pop_front();
        }
    }

    /// Takes everybody out of a table; `None` when there is no such table.
    pub(super) fn empty_table(&mut self, name: Option<&str>) -> Option<usize> {
        let place = |name: &str| self.compiled.overload_tables.iter().position(|table| table == name);
        let table = match name {
            Some(name) => Some(place(name)? as u8),
            None => None,
        };
        Some(self.overloads.empty(table))
    }

    /// Who is in the overload tables.
    pub fn overloaded(&self) -> Vec<OverloadEntry> {
        self.overloads.entries()
    }
}
