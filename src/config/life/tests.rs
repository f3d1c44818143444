//! A disk that is killed at every step.

use super::*;
use crate::config::{amend, parse};

const TEXT: &str = include_str!("../../../configs/single.toml");

/// A disk whose unflushed names may be lost.
#[derive(Clone, Default)]
struct Disk {
    files: BTreeMap<Name, Vec<u8>>,
    /// What a crash may bring back.
    flushed: BTreeMap<Name, Vec<u8>>,
}

impl Disk {
    fn with(text: &str) -> Disk {
        let mut disk = Disk::default();
        disk.files.insert(Name::Main, text.into());
        disk.flushed = disk.files.clone();
        disk
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Write(name, bytes) => drop(self.files.insert(name.clone(), bytes.clone())),
            Step::Rename(from, to) => {
                let bytes = self.files.remove(from).expect("what is renamed is there");
                self.files.insert(to.clone(), bytes);
            }
            Step::Remove(name) => drop(self.files.remove(name)),
            Step::Flush => self.flushed = self.files.clone(),
        }
    }

    fn run(&mut self, steps: &[Step]) {
        steps.iter().for_each(|step| self.step(step));
    }

    /// Both things that a crash may leave.
    fn crashes(&self) -> [Disk; 2] {
        [&self.files, &self.flushed].map(|files| Disk { files: files.clone(), flushed: files.clone() })
    }

    fn found(&self) -> Found {
        let inside = self.files.iter().filter_map(|(name, bytes)| match name {
            Name::Inside(name) => Some((name.clone(), bytes.clone())),
            Name::Main | Name::Next | Name::Back => None,
        });
        let text = String::from_utf8(self.files[&Name::Main].clone()).unwrap();
        let next = self.files.get(&Name::Next).cloned();
        Found { main: document(&text), next, inside: inside.collect() }
    }

    /// Starts again; what a start finds to do is done.
    fn start(&mut self, now_ms: u64) -> Life {
        let (life, steps) = Life::open(self.found(), now_ms);
        self.run(&steps);
        life
    }
}

fn document(text: &str) -> Document {
    let config = parse(text).unwrap();
    Document { revision: config.revision, hash: config.hash(), text: text.into() }
}

fn edited(hostname: &str, revision: u64) -> Document {
    let text = amend::set(TEXT, "system.hostname", hostname).unwrap();
    document(&amend::renumber(&text, revision).unwrap())
}

fn record(at_ms: u64) -> Record {
    Record { at_ms, author: Author { who: "ann".into(), from: "cli".into() }, ..Record::default() }
}

fn confirm(seconds: u64) -> Option<(Confirm, String)> {
    Some((Confirm { seconds, until_ms: None }, back().text))
}

/// What revision 2 goes back to.
fn back() -> Document {
    document(&amend::renumber(TEXT, 3).unwrap())
}

/// Calls `check` with what each crash in the middle of `steps` leaves.
fn at_every_step(disk: &Disk, steps: &[Step], mut check: impl FnMut(usize, Disk)) {
    let mut disk = disk.clone();
    for at in 0..=steps.len() {
        disk.crashes().into_iter().for_each(|left| check(at, left));
        if let Some(step) = steps.get(at) {
            disk.step(step);
        }
    }
}

#[test]
fn a_change_survives_a_crash_at_every_step_as_one_of_two_documents() {
    for wanted in [None, confirm(60)] {
        let mut disk = Disk::with(TEXT);
        let mut life = disk.start(0);
        let new = edited("new", 2);
        let mut steps = life.stage(&new, record(1000), wanted.clone(), false);
        let staged = steps.len();
        steps.extend(life.commit(new.clone(), 1000));
        at_every_step(&disk, &steps, |at, mut left| {
            let life = left.start(2000);
            let after = life.main().hash == new.hash;
            assert!(after || life.main().text == TEXT, "step {at}");
            assert!(!after || at > staged, "step {at}: nothing is different before the commit");
            assert!(after || at < steps.len(), "what was committed is not lost");
            assert_eq!(life.armed().is_some(), after && wanted.is_some(), "step {at}: the promise");
            assert!(life.records().all(|record| after || record.hash != new.hash), "step {at}");
            // A second start finds nothing to do, and the text of every record.
            let again = left.clone().start(2000);
            assert_eq!(again.main(), life.main());
            for record in life.records() {
                let text = Life::text_in(&left.files[&Life::file_of(record)]).unwrap();
                assert_eq!(document(&text).hash, record.hash);
            }
        });
        disk.run(&steps);
        assert_eq!(life.records().map(|record| record.revision).collect::<Vec<_>>(), [1, 2]);
    }
}

#[test]
fn going_back_survives_a_crash_at_every_step() {
    let mut disk = Disk::with(TEXT);
    let mut life = disk.start(0);
    let new = edited("new", 2);
    disk.run(&life.stage(&new, record(1000), confirm(60), false));
    disk.run(&life.commit(new.clone(), 1000));
    let back = back();
    let [first, entry, clean] = life.roll_back(back.clone(), 61_000, Author::default());
    let needs_room = |step: &Step| matches!(step, Step::Write(..));
    assert!(!first.iter().chain(&clean).any(needs_room), "a full disk does not matter");
    at_every_step(&disk, &[first, entry, clean].concat(), |at, mut left| {
        let life = left.start(61_000);
        match life.armed() {
            Some(change) => {
                assert_eq!((change.left_ms(61_000), &life.main().hash), (0, &new.hash), "step {at}")
            }
            None => {
                assert_eq!(life.main().hash, back.hash, "step {at}");
                let last = life.records().next_back().unwrap();
                assert_eq!(last.hash, back.hash, "step {at}");
                assert_eq!(last.undoes.as_ref(), Some(&new.hash), "step {at}");
            }
        }
    });
}

#[test]
fn the_deadline_holds_after_a_start_and_whatever_the_calendar_says() {
    let mut disk = Disk::with(TEXT);
    let mut life = disk.start(0);
    disk.run(&life.stage(&edited("new", 2), record(100_000), confirm(60), false));
    disk.run(&life.commit(edited("new", 2), 100_000));
    assert_eq!(life.armed().unwrap().left_ms(100_000), 60_000);
    for (now, left) in [(101_000, 59_000), (160_000, 0), (999_999, 0), (5, 60_000)] {
        assert_eq!(disk.clone().start(now).armed().unwrap().left_ms(now), left, "at {now}");
    }
    disk.run(&life.confirm());
    assert!(disk.start(999_999).armed().is_none());
    assert_eq!(disk.start(0).main().hash, edited("new", 2).hash);
}

#[test]
fn an_aborted_change_leaves_nothing_but_the_history_of_the_document_before() {
    let mut disk = Disk::with(TEXT);
    let mut life = disk.start(0);
    disk.run(&life.stage(&edited("new", 2), record(1000), confirm(60), false));
    disk.run(&life.abort());
    assert_eq!(life.records().count(), 1);
    assert_eq!(disk.files.len(), 2, "{:?}", disk.files.keys());
    assert_eq!(life.next_revision(), 2);
}

#[test]
fn what_was_staged_for_the_peer_stays_in_doubt_until_somebody_knows() {
    let mut disk = Disk::with(TEXT);
    let mut life = disk.start(0);
    let new = edited("new", 2);
    disk.run(&life.stage(&new, record(1000), None, true));
    let mut life = disk.start(2000);
    assert!(life.change().is_some_and(|change| change.in_doubt && change.record.hash == new.hash));
    disk.run(&life.commit(new.clone(), 3000));
    assert_eq!(disk.start(4000).main().hash, new.hash);
    assert!(disk.start(4000).change().is_none());
}

#[test]
fn a_candidate_is_there_after_a_start_and_gone_with_its_change() {
    let mut disk = Disk::with(TEXT);
    let mut life = disk.start(0);
    let candidate = Candidate {
        author: Author { who: "ann".into(), from: "cli".into() },
        text: edited("new", 1).text,
        base: (1, life.main().hash.clone()),
    };
    disk.run(&life.edit(Some(candidate.clone())));
    let mut life = disk.start(0);
    assert_eq!(life.candidate(), Some(&candidate));
    disk.run(&life.stage(&edited("new", 2), record(1000), None, false));
    disk.run(&life.commit(edited("new", 2), 1000));
    assert_eq!(disk.start(0).candidate(), None);
}

#[test]
fn a_file_that_somebody_edited_is_found_and_recorded() {
    let mut disk = Disk::with(TEXT);
    let mut life = disk.start(0);
    disk.run(&life.stage(&edited("new", 2), record(1000), confirm(60), false));
    disk.run(&life.commit(edited("new", 2), 1000));
    disk.files.insert(Name::Main, edited("by-hand", 7).text.into());
    let life = disk.start(2000);
    assert!(life.armed().is_none() && life.change().is_none());
    let last = life.records().next_back().unwrap();
    assert_eq!((last.revision, last.author.from.as_str()), (7, "file"));
}

#[test]
fn the_history_keeps_enough_and_is_bounded_and_labels_stay() {
    let mut disk = Disk::with(TEXT);
    let mut life = disk.start(0);
    for revision in 2..1300 {
        let new = Document { revision, hash: format!("{revision}"), text: String::new() };
        life.stage(&new, record(revision), None, false);
        life.commit(new, revision);
        if revision == 3 {
            let sequence = life.find("3").unwrap().sequence;
            life.label(sequence, "before the move", "");
        }
    }
    assert_eq!(life.records().count(), KEPT_MAX);
    assert_eq!(life.find("before the move").map(|record| record.revision), Some(3));
    for revision in 1300..1700 {
        // A megabyte each: the bytes decide.
        let new = Document { revision, hash: format!("{revision}"), text: "x".repeat(1 << 20) };
        life.stage(&new, record(revision), None, false);
        life.commit(new, revision);
    }
    assert_eq!(life.records().count(), KEPT);
    assert!(life.find("1600").is_some() && life.find("1400").is_none());
}
