//! What names stand for: a small resolver that asks the configured name servers and remembers their answers for a while.
//!
//! [`Resolver`] knows a bounded set of names, which aliases, time servers and log servers have. Each is asked about in both
//! families, again when its answer has lived for as long as it may, within bounds. A server that does not answer is
//! followed by the next one; when none does, the last good answer stays, and the error stands beside it.
//!
//! Invariant: pure and bounded: so many names, so many addresses of each, so many questions under way. An answer counts
//! when number, port, server, name and type are those of a question that waits; number and port cannot be guessed.

mod entry;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use entry::{Entry, Side, Waiting};

use super::Departing;
use super::nonces::Nonces;
use crate::types::{Duration, Instant, Seed};
use crate::wire::dns::{self, Name, Refusal};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Addresses of a name that are remembered, of each family.
pub const ADDRESSES_MAX: usize = 128;
/// Questions under way at once.
const UNDER_WAY: usize = 64;

/// The resolver.
pub struct Resolver {
    servers: Vec<IpAddr>,
    entries: BTreeMap<Name, Entry>,
    nonces: Nonces,
    counters: Counters,
}

/// What it has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Questions sent.
    pub asked: u64,
    /// Answers that counted.
    pub answered: u64,
    /// Questions that nobody answered in time.
    pub unanswered: u64,
    /// Messages to a waiting port that were no answer.
    pub strays: u64,
}

/// A name as people see it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NameRow {
    /// It.
    pub name: String,
    /// What it stands for.
    pub addresses: Vec<IpAddr>,
    /// Seconds until it is asked about again.
    pub ttl: u64,
    /// What was wrong with the last try; the addresses are those of the one before.
    pub error: Option<String>,
}

impl Resolver {
    /// One that asks these servers.
    pub fn new(servers: Vec<IpAddr>, seed: Seed) -> Self {
        Resolver {
            servers,
            entries: BTreeMap::new(),
            nonces: Nonces::new(seed),
            counters: Counters::default(),
        }
    }

    /// Other servers and other names from now on; names that stay keep what they stand for.
    pub fn apply(&mut self, now: Instant, servers: &[IpAddr], names: &BTreeSet<Name>) {
        if self.servers != servers {
            self.servers = servers.to_vec();
            for (_, side) in self.entries.values_mut().flat_map(Entry::sides_mut) {
                if side.error.is_some() {
                    (side.next, side.waiting) = (now, None);
                }
            }
        }
        self.entries.retain(|name, _| names.contains(name));
        for name in names {
            self.entries.entry(name.clone()).or_insert_with(|| Entry::new(name.clone(), now));
        }
    }

    /// What a name stands for; `None` when nobody has said yet.
    pub fn addresses(&self, name: &Name) -> Option<Vec<IpAddr>> {
        let entry = self.entries.get(name)?;
        entry.sides().any(|(_, side)| side.known).then(|| entry.addresses())
    }

    /// Every name that is known, with what it stands for.
    pub fn known(&self) -> impl Iterator<Item = (&Name, Vec<IpAddr>)> {
        let known = self.entries.values().filter(|entry| entry.sides().any(|(_, side)| side.known));
        known.map(|entry| (&entry.name, entry.addresses()))
    }

    /// When to call [`Resolver::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.servers.is_empty() {
            return None;
        }
        let sides = || self.entries.values().flat_map(Entry::sides).map(|(_, side)| side);
        match sides().filter(|side| side.waiting.is_some()).count() < UNDER_WAY {
            true => sides().map(Side::due).min(),
            // One more is asked when one of these has its answer.
            false => sides().filter_map(|side| Some(side.waiting?.until)).min(),
        }
    }

    /// Gives up what nobody has answered, and asks what it is time to ask.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Departing>) {
        let Resolver { servers, entries, nonces, counters } = self;
        if servers.is_empty() {
            return;
        }
        let mut under_way = 0;
        for (_, side) in entries.values_mut().flat_map(Entry::sides_mut) {
            if side.waiting.is_some_and(|waiting| waiting.until <= now) {
                counters.unanswered += 1;
                side.fail(now, "no name server answers".into(), servers.len() as u32);
            }
            under_way += usize::from(side.waiting.is_some());
        }
        for entry in entries.values_mut() {
            let name = entry.name.clone();
            for (kind, side) in entry.sides_mut() {
                if under_way >= UNDER_WAY || side.waiting.is_some() || side.next > now {
                    continue;
                }
                under_way += 1;
                counters.asked += 1;
                let server = servers[side.tried as usize % servers.len()];
                let (id, port) = (nonces.next() as u16, nonces.port());
                side.waiting = Some(Waiting { id, port, server, until: now + PATIENCE });
                let remote = SocketAddr::new(server, dns::PORT);
                out.push(Departing { port, remote, payload: dns::query(id, &name, kind) });
            }
        }
    }

    /// A datagram to a port of ours. Says whether it was for the resolver, and then which name stands for something else
    /// now, if any.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        port: u16,
        from: SocketAddr,
        payload: &[u8],
    ) -> Option<Option<Name>> {
        let servers = self.servers.len() as u32;
        let waits = |side: &Side| {
            from.port() == dns::PORT
                && side.waiting.is_some_and(|waiting| waiting.port == port && waiting.server == from.ip())
        };
        let entry = self.entries.values_mut().find(|entry| entry.sides().any(|(_, side)| waits(side)))?;
        let name = entry.name.clone();
        let (kind, side) = entry.sides_mut().find(|(_, side)| waits(side))?;
        let id = side.waiting.map_or(0, |waiting| waiting.id);
        let changed = match dns::answer(payload, id, &name, kind, ADDRESSES_MAX) {
            Ok(answer) => {
                self.counters.answered += 1;
                side.take(now, answer)
            }
            Err(Refusal::Stray) => {
                self.counters.strays += 1;
                false
            }
            Err(Refusal::NoSuchName) => {
                self.counters.answered += 1;
                side.deny(now);
                false
            }
            Err(refusal @ (Refusal::Malformed | Refusal::Failed(_))) => {
                side.fail(now, refusal.to_string(), servers);
                false
            }
        };
        Some(changed.then_some(name))
    }

    /// As people see it.
    pub fn rows(&self, now: Instant) -> Vec<NameRow> {
        let row = |entry: &Entry| NameRow {
            name: entry.name.to_string(),
            addresses: entry.addresses(),
            ttl: entry.sides().map(|(_, side)| side.next.since(now).as_secs()).min().unwrap_or(0),
            error: match (entry.error(), self.servers.is_empty()) {
                (Some(error), _) => Some(error.into()),
                (None, true) => Some("there are no name servers: system.dns_servers".into()),
                (None, false) => None,
            },
        };
        self.entries.values().map(row).collect()
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

#[cfg(test)]
mod tests;
