//! A shard's part in replication: it tells what changes in its tables, or takes over what the peer's tells.
//!
//! Chunks are made at the end of a batch, while its records are in the cache, and only while there is credit: the
//! packet path never waits for the peer. Credit adds up: whoever carries the chunks grants as many as have been
//! applied at the other end.

use std::net::IpAddr;
use std::sync::Arc;

use super::Shard;
use super::command::{Imported, Replication};
use super::outbox::Outbox;
use crate::cluster::replica::{self, Evidence};
use crate::conntrack::{Backlog, CookieRoot, Taken};
use crate::types::{Instant, InterfaceId, MacAddr};
use crate::wire::pair::Version;
use crate::wire::pair::flow::{self, Change, MAX_CHANGE};

/// The bytes of a chunk, such that a sealed datagram fits an Ethernet frame: IPv6, UDP, the envelope, the seal, and the
/// stream's header come off.
pub const CHUNK: usize = 1500 - 40 - 8 - 16 - 16 - replica::HEADER;
/// The most chunks made at once.
const AT_ONCE: usize = 8;
/// The most neighbours that wait to be told.
const MET: usize = 1 << 15;

/// A station whose MAC address is known.
pub(super) type Met = (InterfaceId, IpAddr, MacAddr);

impl Shard {
    /// The peer's node has room for so many more chunks.
    pub fn grant(&mut self, credit: usize) {
        self.credit = self.credit.saturating_add(credit);
    }

    /// What the two nodes speak with each other from now on.
    pub(super) fn speak(&mut self, version: Version) {
        self.speaks = version;
        self.table.set_proves(self.peer_speaks(Version(2)));
    }

    /// True when the peer's node knows this release of the pair's protocols, and so does this one.
    pub fn peer_speaks(&self, version: Version) -> bool {
        self.speaks >= version
    }

    /// While passive, flows end when the peer's node says so; whoever stops being so has taken over.
    pub fn set_passive(&mut self, now: Instant, passive: bool) {
        self.table.set_passive(now, passive);
    }

    /// How many more chunks may be made.
    pub fn credit(&self) -> usize {
        self.credit
    }

    /// What waits to be told.
    pub fn backlog(&self) -> Backlog {
        self.table.backlog()
    }

    pub(super) fn replicate(&mut self, now: Instant, replication: Replication, out: &mut Outbox) {
        self.credit = 0;
        self.relay.stop();
        self.met.clear();
        out.chunks.clear();
        self.renumber_chunks(now, out);
        match replication {
            Replication::Off => self.table.keep_changes(now, false),
            Replication::Tell { by_name } => {
                match by_name {
                    true => self.table.keep_changes_by_name(now),
                    false => self.table.keep_changes(now, true),
                }
                self.tell_neighbours();
                self.overloads.tell_all();
                self.table.tell_cookie_root();
            }
            Replication::Listen => {
                self.table.keep_changes(now, false);
                self.table.forget_peer();
                self.end_assumption();
            }
        }
        self.finish(now, out);
    }

    pub(super) fn has_to_tell(&self) -> bool {
        self.credit > 0 && self.has_changes_to_tell() && !self.is_mute()
    }

    /// All neighbours are told (again): the peer's node could not take those of an address that was not its own yet.
    pub(super) fn tell_neighbours(&mut self) {
        let known = |row: crate::route::NeighbourRow| Some((row.interface, row.address, row.mac?));
        self.met.clear();
        self.met.extend(self.neighbours.rows().into_iter().filter_map(known).take(MET));
    }

    pub(super) fn has_changes_to_tell(&self) -> bool {
        self.table.has_changes() || !self.met.is_empty() || self.has_defence_to_tell()
    }

    /// When the next digests are due, if the peer's node has room for them.
    pub(super) fn poll_digests(&self) -> Option<Instant> {
        self.table.poll_changes().filter(|_| self.credit > 0 && !self.is_mute())
    }

    /// The peer's node has other flows in these ranges, and lacks these flows.
    pub(super) fn correct(&mut self, now: Instant, ranges: &[u32], flows: &[u32], out: &mut Outbox) {
        ranges.iter().for_each(|first| self.table.tell_range(*first));
        flows.iter().for_each(|slot| self.table.tell_flow(*slot));
        self.finish(now, out);
    }

    /// Neighbours that have answered.
    pub(super) fn note_met(&mut self, met: &mut Vec<Met>) {
        if self.table.keeps_changes() {
            let room = MET - self.met.len().min(MET);
            self.met.extend(met.drain(..).take(room));
        }
        met.clear();
    }

    /// Makes chunks of what there is to tell.
    pub(super) fn tell_peer(&mut self, now: Instant, out: &mut Outbox) {
        let asides = !self.met.is_empty() || self.has_defence_to_tell();
        if self.credit == 0 || self.is_mute() || !self.table.has_news(now) && !asides {
            return;
        }
        for _ in 0..AT_ONCE.min(self.credit) {
            let mut chunk = Vec::with_capacity(CHUNK);
            if !self.met.is_empty() {
                flow::begin(&mut chunk);
                while chunk.len() + MAX_CHANGE <= CHUNK
                    && let Some((interface, address, mac)) = self.met.pop()
                {
                    flow::encode(&Change::Neighbour { interface, address, mac }, &mut chunk);
                }
            } else if self.has_defence_to_tell() {
                self.tell_defence(now, &mut chunk);
            } else if !self.table.take_changes(now, CHUNK, &mut chunk) {
                break;
            }
            out.chunks.push(chunk);
            self.credit -= 1;
            self.deferral.count_chunk();
        }
        self.number_deferred();
    }

    /// Overload tables and the root of cookies, for a peer that knows them.
    fn has_defence_to_tell(&self) -> bool {
        self.table.keeps_changes()
            && self.peer_speaks(Version(2))
            && (self.overloads.has_untold() || self.table.has_cookie_root())
    }

    fn tell_defence(&mut self, now: Instant, chunk: &mut Vec<u8>) {
        flow::begin(chunk);
        if let Some(CookieRoot { root, turn, left_ms }) = self.table.take_cookie_root(now) {
            flow::encode(&Change::CookieRoot { root, turn, left_ms }, chunk);
        }
        while chunk.len() + MAX_CHANGE <= CHUNK
            && let Some(change) = self.overloads.take_untold(now)
        {
            flow::encode(&change, chunk);
        }
    }

    /// Takes over what the peer's node tells.
    pub(super) fn import(&mut self, now: Instant, bytes: &[u8]) -> Imported {
        let compiled = Arc::clone(&self.compiled);
        let resolve = |rule, direction| compiled.ruleset.recall(rule, direction);
        let mut imported = Imported::default();
        for change in flow::decode(bytes) {
            let taken = match change {
                Ok(Change::Neighbour { interface, address, mac }) => {
                    self.neighbours.import(now, interface, address, mac, &mut self.route_out)
                }
                Ok(Change::Overload { table, source, seconds }) => {
                    self.overloads.import(now, table, source, seconds);
                    true
                }
                Ok(Change::CookieRoot { root, turn, left_ms }) => {
                    self.table.import_cookie_root(now, CookieRoot { root, turn, left_ms });
                    true
                }
                Ok(Change::Frozen) => self.begin_assumption(now),
                Ok(Change::Relayed(piece)) => self.take_piece(piece),
                Ok(Change::Drained) => {
                    self.note_drained(now);
                    true
                }
                Ok(Change::Left) => {
                    self.note_left(now);
                    true
                }
                Ok(change) => match self.table.import(now, compiled.epoch, &change, &resolve) {
                    Ok(taken) => {
                        note(taken, &mut imported.evidence);
                        true
                    }
                    Err(_) => false,
                },
                Err(malformed) => {
                    imported.malformed = Some(malformed);
                    break;
                }
            };
            if taken {
                imported.taken += 1;
            } else {
                imported.refused += 1;
            }
        }
        imported
    }
}

fn note(taken: Taken, evidence: &mut Evidence) {
    match taken {
        Taken::Applied => {}
        Taken::Compared { first, equal } => evidence.compared.push((first, equal)),
        Taken::Round { strays } => evidence.round = Some(strays),
        Taken::Unknown(slot) => evidence.unknown.push(slot),
        Taken::Walked(walked) => evidence.walked = Some(walked),
    }
}

#[cfg(test)]
#[path = "replication_tests.rs"]
mod tests;
