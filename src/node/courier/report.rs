//! Replication, for people.

use super::Courier;
use crate::cluster::replica::{ProofCounters, ReceiverCounters, SenderCounters, Verdict};
use crate::node::helm::{DigestRow, Finding, PairSnapshot, RangeRow, ReplicationRow, WalkRow};
use crate::node::snapshot::CounterRow;
use crate::types::{Duration, Instant, Role};
use crate::wire::pair::Version;
use crate::wire::pair::flow::RANGE;

/// A difference that has not healed within this does not heal by itself.
const STUBBORN: Duration = Duration::from_secs(10);

impl Courier {
    /// Adds what is known of replication.
    pub fn complete(&self, now: Instant, pair: &mut PairSnapshot) {
        pair.replication = self.snapshot(now);
        let carries = pair.session && pair.paths.first().is_some_and(|sync| sync.carries);
        pair.replication.stale = pair.paired && pair.peer_name.is_some() && !carries;
        pair.counters.extend(self.counters(now));
        let oldest = pair.replication.digests.ranges.iter().map(|range| range.since_ms).max();
        if let Some(oldest) = oldest.filter(|oldest| u128::from(*oldest) >= STUBBORN.as_millis()) {
            pair.findings.push(Finding {
                what: format!(
                    "The states of the two nodes have differed in {} ranges for {} s, and that does not heal.",
                    pair.replication.digests.differing,
                    oldest / 1000
                ),
                remedy: "Run `koi pair resync`, which tells the standby everything anew; when it differs again, see in `koi show counters` why the standby refuses flows (import-own, import-limited, import-malformed).".into(),
            });
        }
    }

    /// What was counted, with a sentence for each. The streams' numbers are those of the present ones.
    pub fn counters(&self, now: Instant) -> Vec<CounterRow> {
        let sender = self.sender.as_ref().map(|sender| sender.snapshot(now).counters).unwrap_or_default();
        let SenderCounters { sent, resent, foreign: unknown_streams, impossible, overrun } = sender;
        let ReceiverCounters { received, repeated, early, foreign, beyond } =
            self.receiver.snapshot().counters;
        let ProofCounters { compared, different, healed, asked, rounds, unknown } =
            self.proof.snapshot(now).counters;
        let parcels = self.parcels.counters();
        [
            ("replica-unopened", self.unopened, "Datagrams of replication that could not be opened."),
            ("replica-sent", sent, "Chunks of states sent to the peer."),
            ("replica-resent", resent, "Chunks of states sent again."),
            ("replica-impossible", impossible, "Acknowledgements of chunks that were never sent."),
            ("replica-overrun", overrun, "Chunks refused because the peer had no room for them."),
            ("replica-received", received, "Chunks of the peer's states received."),
            ("replica-repeated", repeated, "Chunks of the peer's states that had come before."),
            ("replica-early", early, "Chunks of the peer's states that came before their turn."),
            ("replica-beyond", beyond, "Chunks of the peer's states that were too far ahead to keep."),
            (
                "replica-foreign",
                foreign + unknown_streams + self.strays,
                "Datagrams of another stream of states, or of none.",
            ),
            (
                "handover-unfinished",
                self.unfinished,
                "Handovers whose last word the peer did not acknowledge in time.",
            ),
            ("digest-compared", compared, "Ranges of states compared with the active node's digest."),
            ("digest-different", different, "Of these: the states here were others."),
            ("digest-healed", healed, "Ranges of states that had differed and were the same again."),
            ("digest-asked", asked, "Ranges of states that this node asked the active one to tell again."),
            ("digest-rounds", rounds, "Rounds in which all ranges of states were compared."),
            ("parcel-delivered", parcels.delivered, "Messages that the peer has received whole."),
            ("parcel-failed", parcels.failed, "Messages given up because the peer was silent."),
            ("parcel-arrived", parcels.arrived, "Whole messages of the peer's."),
            ("parcel-full", parcels.full, "Messages refused because too many waited for the peer."),
            ("parcel-resent", parcels.resent, "Pieces of messages sent again."),
            ("parcel-foreign", parcels.foreign, "Datagrams of messages that nobody is waiting for."),
            (
                "digest-unknown",
                unknown,
                "States that the active node only named and that had to be told in full.",
            ),
            (
                "detour-lost",
                self.detours_lost,
                "Packets on their way through the active node that were of another epoch, or had no session.",
            ),
        ]
        .map(|(name, value, meaning)| CounterRow::new(name, value, meaning))
        .into()
    }

    /// For people.
    pub fn snapshot(&self, now: Instant) -> ReplicationRow {
        let receiver = self.receiver.snapshot();
        let mut row = ReplicationRow {
            direction: "off".into(),
            synced: self.synced(),
            applied: receiver.applied,
            newest: receiver.received,
            digests: self.digest_row(now),
            walk: self.walk_row(),
            ..ReplicationRow::default()
        };
        if let Some(sender) = self.sender.as_ref().map(|sender| sender.snapshot(now)) {
            row.direction = "sends".into();
            (row.newest, row.acked) = (sender.newest, sender.acked);
            row.synced = sender.synced && (self.verdict.proven || !self.peer_speaks(Version(2)));
            row.stream = Some(sender.stream.0);
            row.lag_us = sender.lag.as_micros() as u64;
            row.resent = sender.counters.resent;
        } else if self.role == Role::Standby && self.opener.is_some() {
            row.direction = "receives".into();
            row.stream = receiver.stream.map(|stream| stream.0);
        }
        row
    }

    /// An active node has it from its peer.
    fn digest_row(&self, now: Instant) -> DigestRow {
        let mut row = DigestRow::default();
        let verdict = match self.role {
            Role::Active => {
                let differs = self.differs.map(|since| range_row(self.verdict.first, now.since(since)));
                row.ranges.extend(differs);
                self.verdict
            }
            Role::Standby => {
                let proof = self.proof.snapshot(now);
                row.round_ms = proof.round_age.map(|age| age.as_millis() as u64);
                row.compared = proof.counters.compared;
                row.ranges = proof.ranges.into_iter().map(|(first, since)| range_row(first, since)).collect();
                proof.verdict
            }
            Role::Alone => Verdict::default(),
        };
        let Verdict { proven, rounds, differing, first: _, proven_after_ms, healed } = verdict;
        (row.equal, row.rounds, row.differing) = (proven, rounds, differing);
        (row.proven_after_ms, row.healed) = (proven.then_some(proven_after_ms), healed);
        row
    }

    fn walk_row(&self) -> WalkRow {
        WalkRow {
            full: self.walk.walked.full,
            by_name: self.walk.walked.known,
            bytes: self.walk.bytes,
            took_ms: self.walk.took.map(|took| took.as_millis() as u64),
        }
    }
}

fn range_row(first: u32, since: Duration) -> RangeRow {
    let family = if first >> 31 == 0 { "IPv4" } else { "IPv6" };
    let number = first & !(1 << 31);
    RangeRow {
        family: family.into(),
        first: number,
        last: number + RANGE - 1,
        since_ms: since.as_millis() as u64,
    }
}
