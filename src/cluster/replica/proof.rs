//! What a standby knows of its table being the active's.
//!
//! The stream carries digests of ranges; the table compares each at its place in the stream. Equality is proven when a
//! whole round has been compared since the stream began and no range differs. One that differs is asked for until a
//! later digest of it is the same.
//!
//! Invariant: a difference is forgotten only when it has healed, or with its stream. Of very many at once only
//! [`KEPT`] are remembered; the round then proves nothing, and the next one finds the others.

use std::collections::BTreeMap;

use crate::types::{Duration, Instant};
use crate::wire::pair::flow::Walked;

/// Differing ranges that are remembered.
const KEPT: usize = 4096;
/// A range that still differs is asked for again after this.
const AGAIN: Duration = Duration::from_millis(500);
/// Ranges asked for at once, and the time until the next ones.
pub(super) const AT_ONCE: usize = 64;
const PAUSE: Duration = Duration::from_millis(20);
/// Ranges that people are shown.
const SHOWN: usize = 8;

/// What a chunk has shown when it was applied.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    /// Ranges by their first slot, and whether they are the same here, in order.
    pub compared: Vec<(u32, bool)>,
    /// Slots whose flows are to be told in full.
    pub unknown: Vec<u32>,
    /// A round ended: whether there was anything that the peer never told of.
    pub round: Option<bool>,
    /// The peer has told all ranges.
    pub walked: Option<Walked>,
}

/// What was counted, of all streams together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProofCounters {
    /// Digests compared.
    pub compared: u64,
    /// Of these: the range was another one.
    pub different: u64,
    /// Ranges that were the same again.
    pub healed: u64,
    /// Ranges asked for.
    pub asked: u64,
    /// Whole rounds.
    pub rounds: u64,
    /// Flows asked for that the peer had only named.
    pub unknown: u64,
}

/// A range that differs.
#[derive(Clone, Copy, Debug)]
struct Difference {
    since: Instant,
    asked: Option<Instant>,
}

/// What is known, in short: what the standby tells the active of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// Everything is the same.
    pub proven: bool,
    /// Rounds since the stream began.
    pub rounds: u32,
    /// Ranges that differ.
    pub differing: u32,
    /// The first slot of one of them.
    pub first: u32,
    /// Milliseconds from the beginning of the stream to the first proof; zero as long as there is none.
    pub proven_after_ms: u32,
    /// Ranges that have healed since the stream began.
    pub healed: u32,
}

/// For people.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProofSnapshot {
    /// In short.
    pub verdict: Verdict,
    /// Since the end of the last round.
    pub round_age: Option<Duration>,
    /// Some ranges that differ: the first slot, and for how long it has been known.
    pub ranges: Vec<(u32, Duration)>,
    /// What was counted.
    pub counters: ProofCounters,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Proof {
    begun: Instant,
    differing: BTreeMap<u32, Difference>,
    /// Something in the present round, and in the last whole one, that proves it wrong and is not remembered.
    spoilt: bool,
    last_spoilt: bool,
    rounds: u32,
    round_at: Option<Instant>,
    proven_at: Option<Instant>,
    healed: u32,
    /// Nothing is asked before.
    pause: Instant,
    counters: ProofCounters,
}

impl Proof {
    /// A stream begins: nothing is known.
    pub fn begin(&mut self, now: Instant) {
        *self = Proof { begun: now, counters: self.counters, ..Proof::default() };
    }

    /// What another chunk has shown.
    pub fn note(&mut self, now: Instant, evidence: &Evidence) {
        let Evidence { compared, unknown, round, walked: _ } = evidence;
        for (first, equal) in compared {
            self.counters.compared += 1;
            match equal {
                true if self.differing.remove(first).is_some() => {
                    self.healed += 1;
                    self.counters.healed += 1;
                }
                true => {}
                false => self.differ(now, *first),
            }
        }
        self.counters.unknown += unknown.len() as u64;
        if let Some(strays) = round {
            self.rounds = self.rounds.saturating_add(1);
            self.counters.rounds += 1;
            self.round_at = Some(now);
            self.last_spoilt = std::mem::take(&mut self.spoilt) || *strays;
        }
        if self.proven_at.is_none() && self.is_proven() {
            self.proven_at = Some(now);
        }
    }

    fn differ(&mut self, now: Instant, first: u32) {
        self.counters.different += 1;
        match self.differing.get(&first) {
            // Also when it was told again: what cannot heal must not keep both nodes busy.
            Some(_) => {}
            None if self.differing.len() >= KEPT => self.spoilt = true,
            None => {
                self.differing.insert(first, Difference { since: now, asked: None });
            }
        }
    }

    /// Both tables are the same.
    pub fn is_proven(&self) -> bool {
        self.rounds > 0 && !self.last_spoilt && !self.spoilt && self.differing.is_empty()
    }

    /// The ranges that are to be asked for now.
    pub fn ask(&mut self, now: Instant) -> Vec<u32> {
        if now < self.pause {
            return Vec::new();
        }
        let due = |difference: &Difference| difference.asked.is_none_or(|asked| asked + AGAIN <= now);
        let waiting = self.differing.iter_mut().filter(|(_, difference)| due(difference)).take(AT_ONCE);
        let asked = waiting.map(|(first, difference)| {
            difference.asked = Some(now);
            *first
        });
        let asked: Vec<u32> = asked.collect();
        if !asked.is_empty() {
            self.pause = now + PAUSE;
            self.counters.asked += asked.len() as u64;
        }
        asked
    }

    /// When [`Proof::ask`] has something to ask.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = |difference: &Difference| difference.asked.map_or(Instant::ZERO, |asked| asked + AGAIN);
        self.differing.values().map(due).min().map(|due| due.max(self.pause))
    }

    /// In short.
    pub fn verdict(&self) -> Verdict {
        Verdict {
            proven: self.is_proven(),
            rounds: self.rounds,
            differing: self.differing.len() as u32,
            first: self.differing.keys().next().copied().unwrap_or_default(),
            proven_after_ms: self.proven_at.map_or(0, |at| at.since(self.begun).as_millis().max(1) as u32),
            healed: self.healed,
        }
    }

    /// For people.
    pub fn snapshot(&self, now: Instant) -> ProofSnapshot {
        let shown = self.differing.iter().take(SHOWN);
        ProofSnapshot {
            verdict: self.verdict(),
            round_age: self.round_at.map(|at| now.since(at)),
            ranges: shown.map(|(first, difference)| (*first, now.since(difference.since))).collect(),
            counters: self.counters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn compared(compared: &[(u32, bool)]) -> Evidence {
        Evidence { compared: compared.to_vec(), ..Evidence::default() }
    }

    const ROUND: Evidence =
        Evidence { compared: Vec::new(), unknown: Vec::new(), round: Some(false), walked: None };

    #[test]
    fn only_a_whole_round_without_a_difference_proves_anything() {
        let mut proof = Proof::default();
        proof.begin(at(1000));
        proof.note(at(1001), &compared(&[(0, true), (256, true)]));
        assert!(!proof.is_proven(), "the round is not over");
        proof.note(at(1007), &ROUND);
        assert!(proof.is_proven());
        assert_eq!(proof.verdict().proven_after_ms, 7);
        proof.note(at(1100), &compared(&[(256, false)]));
        assert!(!proof.is_proven());
        proof.note(at(1200), &ROUND);
        assert!(!proof.is_proven(), "the difference is still there");
        proof.note(at(1300), &compared(&[(256, true)]));
        assert!(proof.is_proven(), "it has healed");
        assert_eq!((proof.verdict().healed, proof.verdict().proven_after_ms), (1, 7));
        proof.note(at(1400), &Evidence { round: Some(true), ..Evidence::default() });
        assert!(!proof.is_proven(), "something was here that the peer does not have");
        proof.note(at(1500), &ROUND);
        assert!(proof.is_proven());
        proof.begin(at(2000));
        assert!(!proof.is_proven() && proof.verdict().proven_after_ms == 0, "another stream");
    }

    #[test]
    fn what_differs_is_asked_for_until_it_has_healed() {
        let mut proof = Proof::default();
        proof.begin(at(0));
        assert_eq!((proof.poll_timeout(), proof.ask(at(0))), (None, vec![]));
        proof.note(at(0), &compared(&[(0, true), (512, false)]));
        assert_eq!(proof.poll_timeout(), Some(Instant::ZERO));
        assert_eq!(proof.ask(at(1)), [512]);
        assert_eq!((proof.ask(at(400)), proof.poll_timeout()), (vec![], Some(at(501))));
        assert_eq!(proof.ask(at(501)), [512], "the question may have been lost");
        proof.note(at(510), &compared(&[(512, false)]));
        assert_eq!(proof.poll_timeout(), Some(at(1001)), "told again, and still another one");
        proof.note(at(520), &compared(&[(512, true)]));
        assert_eq!((proof.poll_timeout(), proof.ask(at(9999))), (None, vec![]));
        assert_eq!(proof.snapshot(at(9999)).counters.asked, 2);
    }

    #[test]
    fn very_many_differences_are_dealt_with_one_after_the_other() {
        let mut proof = Proof::default();
        proof.begin(at(0));
        let all: Vec<(u32, bool)> = (0..KEPT as u32 + 10).map(|range| (range * 256, false)).collect();
        proof.note(at(0), &compared(&all));
        proof.note(at(0), &ROUND);
        let mut now = at(0);
        while let Some(due) = proof.poll_timeout() {
            now = now.max(due);
            let asked = proof.ask(now);
            assert!(!asked.is_empty() && asked.len() <= AT_ONCE);
            proof.note(now, &compared(&asked.iter().map(|first| (*first, true)).collect::<Vec<_>>()));
        }
        assert!(!proof.is_proven(), "ten were not remembered");
        assert_eq!(proof.snapshot(now).counters.healed, KEPT as u64);
        proof.note(now, &compared(&all[KEPT..].iter().map(|(first, _)| (*first, true)).collect::<Vec<_>>()));
        proof.note(now, &ROUND);
        assert!(proof.is_proven(), "the next round finds them equal");
    }
}
