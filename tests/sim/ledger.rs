//! Which flows each node has acknowledged to its peer: those it must not have lost.
//!
//! It reads what the active node's courier was handed over and what the standby acknowledged, as they happen. A node
//! that takes over must have every flow that it has acknowledged since its own start and of whose end it was not told.
//! What nobody has acknowledged may die with the node that had it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use koi::types::Instant;
use koi::wire::pair::flow::{self, Change};

/// A flow of one datagram lives for 30 s: nobody says earlier that it has ended.
const YOUNG: Duration = Duration::from_secs(25);
const UDP: u8 = 17;

/// What a courier did.
pub enum Deed {
    /// It took over a chunk of its shard's for this stream, as this number.
    Told { stream: Option<u64>, sequence: u64, chunk: Vec<u8> },
    /// The peer has applied all up to this number.
    Acked(u64),
}

enum Word {
    Has(String, String),
    /// Only the other node's slot was named: it may say that it has something else there.
    Named(String, String),
    Ended(String),
}

/// What one node has told.
#[derive(Default)]
struct Teller {
    stream: Option<u64>,
    /// Its flows by slot: original key, reply key.
    slots: BTreeMap<u32, (String, String)>,
    /// Slots named since the range began.
    named: BTreeSet<u32>,
    under_way: VecDeque<(u64, Vec<Word>)>,
}

/// See the module.
#[derive(Default)]
pub struct Ledger {
    tellers: [Teller; 2],
    /// By node: original keys that it has acknowledged, with the reply keys.
    held: [BTreeMap<String, String>; 2],
    /// The same of what was only named; held once it is proven that both tables are equal.
    named: [BTreeMap<String, String>; 2],
    /// By node that leads: what it had acknowledged when it took over.
    inherited: [BTreeSet<String>; 2],
    /// When a datagram's flow was first told of.
    born: BTreeMap<String, Instant>,
    /// Flows may end because other rules are in force.
    pub rules_change: bool,
    /// How many flows have been acknowledged.
    pub acknowledged: usize,
}

impl Ledger {
    /// The node's memory is empty.
    pub fn forget(&mut self, node: usize) {
        self.tellers[node] = Teller::default();
        self.held[node].clear();
        self.named[node].clear();
        self.inherited[node].clear();
    }

    /// A node serves that did not; these must be in its table from now on.
    pub fn take_over(&mut self, node: usize) -> BTreeSet<String> {
        self.named[node].clear();
        let held: BTreeSet<String> = std::mem::take(&mut self.held[node]).into_keys().collect();
        self.inherited[node] = held.clone();
        held
    }

    /// It is proven that this standby has the same as its peer.
    pub fn prove(&mut self, node: usize) {
        let named = std::mem::take(&mut self.named[node]);
        self.held[node].extend(named);
    }

    /// A node serves no more.
    pub fn step_down(&mut self, node: usize) {
        self.inherited[node].clear();
    }

    /// What a node had acknowledged before it took over.
    pub fn inherited(&self, node: usize) -> &BTreeSet<String> {
        &self.inherited[node]
    }

    /// What a standby has acknowledged.
    pub fn held(&self, node: usize) -> impl Iterator<Item = &String> {
        self.held[node].keys()
    }

    /// A node's courier did something.
    pub fn note(&mut self, now: Instant, node: usize, deed: Deed) {
        match deed {
            Deed::Told { stream, sequence, chunk } => self.note_told(now, node, stream, sequence, &chunk),
            Deed::Acked(acked) => self.note_acked(node, acked),
        }
    }

    fn note_told(&mut self, now: Instant, node: usize, stream: Option<u64>, sequence: u64, chunk: &[u8]) {
        let mut words = Vec::new();
        if self.tellers[node].stream != stream {
            self.tellers[node].stream = stream;
            self.tellers[node].under_way.clear();
        }
        for change in flow::decode(chunk) {
            match change.expect("what a node tells can be read") {
                Change::Upsert(record) => {
                    let key = record.original.to_string();
                    if record.original.protocol() == UDP {
                        self.born.entry(key.clone()).or_insert(now);
                    }
                    let reply = record.reply.to_string();
                    self.note_slot(node, record.slot, (&key, &reply), &mut words);
                    words.push(Word::Has(key, reply));
                }
                Change::Known { slot, theirs, .. } => {
                    if let Some((key, reply)) = self.tellers[1 - node].slots.get(&theirs).cloned() {
                        self.note_slot(node, slot, (&key, &reply), &mut words);
                        words.push(Word::Named(key, reply));
                    }
                }
                Change::Close { slot, .. } => {
                    if let Some((key, _)) = self.tellers[node].slots.remove(&slot) {
                        let born = self.born.remove(&key);
                        let old = born.is_none_or(|born| now.since(born) >= YOUNG);
                        assert!(old || self.rules_change, "{key} has ended early");
                        self.end(node, key, &mut words);
                    }
                }
                Change::RangeBegin { .. } => self.tellers[node].named.clear(),
                Change::RangeEnd { first, last } => {
                    let Teller { slots, named, .. } = &self.tellers[node];
                    let gone = slots.range(first..=last).map(|(slot, _)| *slot);
                    let gone: Vec<u32> = gone.filter(|slot| !named.contains(slot)).collect();
                    for slot in gone {
                        if let Some((key, _)) = self.tellers[node].slots.remove(&slot) {
                            self.end(node, key, &mut words);
                        }
                    }
                }
                Change::Complete => {
                    let told: BTreeSet<&String> =
                        self.tellers[node].slots.values().map(|(key, _)| key).collect();
                    self.held[1 - node].retain(|key, _| told.contains(key));
                    self.named[1 - node].retain(|key, _| told.contains(key));
                }
                Change::Neighbour { .. }
                | Change::Frozen
                | Change::Relayed(_)
                | Change::Drained
                | Change::Left
                | Change::Digest(_)
                | Change::Round { .. }
                | Change::Walked(_)
                | Change::Overload { .. }
                | Change::CookieRoot { .. } => {}
            }
        }
        self.tellers[node].under_way.push_back((sequence, words));
    }

    fn note_slot(&mut self, node: usize, slot: u32, (key, reply): (&String, &String), words: &mut Vec<Word>) {
        self.tellers[node].named.insert(slot);
        let before = self.tellers[node].slots.insert(slot, (key.clone(), reply.clone()));
        if let Some((old, _)) = before.filter(|(old, _)| old != key) {
            self.end(node, old, words);
        }
        // It takes the place of what has one of its keys.
        self.held[1 - node].retain(|known, its| (known == key) == (its == reply));
        self.named[1 - node].retain(|known, its| (known == key) == (its == reply));
    }

    fn end(&mut self, node: usize, key: String, words: &mut Vec<Word>) {
        self.held[1 - node].remove(&key);
        self.named[1 - node].remove(&key);
        words.push(Word::Ended(key));
    }

    fn note_acked(&mut self, node: usize, acked: u64) {
        while self.tellers[node].under_way.front().is_some_and(|(sequence, _)| *sequence <= acked) {
            let (_, words) = self.tellers[node].under_way.pop_front().unwrap();
            let mut words: VecDeque<Word> = words.into();
            while let Some(word) = words.pop_front() {
                let (proven, key, reply) = match word {
                    Word::Has(key, reply) => (true, key, reply),
                    Word::Named(key, reply) => (false, key, reply),
                    Word::Ended(_) => continue,
                };
                let later = self.tellers[node].under_way.iter().flat_map(|(_, words)| words);
                // What has ended since, or lost one of its keys, the standby may have dropped already.
                let over = |word: &Word| match word {
                    Word::Ended(other) => *other == key,
                    Word::Has(other, its) | Word::Named(other, its) => (*other == key) != (*its == reply),
                };
                if words.iter().chain(later).any(over) {
                    continue;
                }
                let known = if proven { &mut self.held } else { &mut self.named };
                if known[1 - node].insert(key, reply).is_none() && proven {
                    self.acknowledged += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use koi::types::{InterfaceId, RuleId};
    use koi::wire::FlowKey;
    use koi::wire::pair::flow::{FlowRecord, Progress};

    fn record(slot: u32, port: u16) -> Change {
        let original =
            FlowKey::new(1, "10.0.0.1".parse().unwrap(), port, "198.51.100.7".parse().unwrap(), 8).unwrap();
        Change::Upsert(Box::new(FlowRecord {
            slot,
            generation: 1,
            original,
            reply: original.inverse(),
            interfaces: [InterfaceId(0); 2],
            rules: [(RuleId(1), false); 2],
            gateways: [None; 2],
            progress: Progress::Other { traffic: [1, 1], repeated: false },
            packets: [0; 2],
            bytes: [0; 2],
            age: 0,
            idle: 0,
            proxied: None,
        }))
    }

    fn tell(ledger: &mut Ledger, sequence: u64, changes: &[Change]) {
        let mut chunk = Vec::new();
        flow::begin(&mut chunk);
        changes.iter().for_each(|change| flow::encode(change, &mut chunk));
        ledger.note(Instant::from_secs(1), 0, Deed::Told { stream: Some(1), sequence, chunk });
    }

    #[test]
    fn what_was_acknowledged_and_has_not_ended_is_held() {
        let mut ledger = Ledger::default();
        tell(&mut ledger, 1, &[record(1, 1000), record(2, 1001)]);
        assert_eq!(ledger.held(1).count(), 0, "nobody has acknowledged it");
        tell(&mut ledger, 2, &[Change::Close { slot: 2, generation: 1 }, record(3, 1002)]);
        ledger.note(Instant::from_secs(1), 0, Deed::Acked(1));
        assert_eq!(ledger.held(1).count(), 1, "one of the two has ended since");
        ledger.note(Instant::from_secs(1), 0, Deed::Acked(2));
        assert_eq!((ledger.held(1).count(), ledger.acknowledged), (2, 2));
        assert_eq!((ledger.take_over(1).len(), ledger.inherited(1).len()), (2, 2));
        ledger.forget(1);
        assert_eq!(ledger.inherited(1).len() + ledger.held(0).count(), 0);
        // A walk that does not name a flow says that there is none.
        tell(&mut ledger, 3, &[record(1, 1000), record(3, 1002)]);
        ledger.note(Instant::from_secs(1), 0, Deed::Acked(3));
        let range = (Change::RangeBegin { first: 0, last: 255 }, Change::RangeEnd { first: 0, last: 255 });
        tell(&mut ledger, 4, &[range.0, record(3, 1002), range.1, Change::Complete]);
        assert_eq!(ledger.held(1).count(), 1);
    }
}
