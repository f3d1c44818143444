//! The last minutes of what moves, for graphs: one sample a second.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::node::snapshot::Snapshot;
use crate::types::Instant;

/// Samples that are kept.
const SAMPLES: usize = 600;
/// Interfaces and gateways whose samples are kept.
const NAMES: usize = 256;
/// Two looks that are so far apart are no neighbours: the router was busy, or is another one.
const APART_MS: u64 = 10_000;

/// What goes through an interface.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub(in crate::web) struct Rate {
    /// Bits a second.
    pub bits_in: f64,
    pub bits_out: f64,
    /// Packets a second.
    pub packets_in: f64,
    pub packets_out: f64,
}

/// One second.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(in crate::web) struct Sample {
    /// Milliseconds since 1970.
    pub at: u64,
    /// Bits a second in and out, by interface.
    pub interfaces: BTreeMap<String, [f64; 2]>,
    /// Delay in milliseconds and loss in percent, by gateway; absent while nothing is known.
    pub gateways: BTreeMap<String, [Option<f64>; 2]>,
    /// Flows.
    pub states: u64,
}

/// Counters of an interface: bytes and packets, in and out.
type Counts = [u64; 4];

/// See the module.
#[derive(Default)]
pub(in crate::web) struct History {
    samples: VecDeque<Sample>,
    last: Option<(Instant, BTreeMap<String, Counts>)>,
    rates: BTreeMap<String, Rate>,
}

impl History {
    /// Another second has passed. `at` is the calendar's milliseconds.
    pub fn push(&mut self, now: Instant, at: u64, snapshot: &Snapshot) {
        let counts: BTreeMap<String, Counts> = snapshot
            .interfaces
            .iter()
            .take(NAMES)
            .map(|row| (row.name.clone(), [row.rx_bytes, row.tx_bytes, row.rx_packets, row.tx_packets]))
            .collect();
        let before = self.last.replace((now, counts.clone()));
        self.rates = counts.keys().map(|name| (name.clone(), Rate::default())).collect();
        if let Some((then, before)) = before {
            let passed = now.since(then).as_millis() as u64;
            if (1..APART_MS).contains(&passed) {
                let grown = counts.iter().filter_map(|(name, counts)| {
                    Some((name.clone(), rate(before.get(name)?, counts, passed)?))
                });
                self.rates.extend(grown);
            }
        }
        let gateways = snapshot.gateways.iter().take(NAMES);
        let sample = Sample {
            at,
            interfaces: self
                .rates
                .iter()
                .map(|(name, rate)| (name.clone(), [rate.bits_in.round(), rate.bits_out.round()]))
                .collect(),
            gateways: gateways
                .map(|row| (row.name.clone(), [row.delay_ms, row.loss_percent.map(f64::from)]))
                .collect(),
            states: snapshot.states.current,
        };
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// The newest sample.
    pub fn newest(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// All of them, the oldest first.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter()
    }

    /// What goes through each interface at present.
    pub fn rates(&self) -> &BTreeMap<String, Rate> {
        &self.rates
    }
}

/// Counters that have begun anew say nothing.
fn rate(before: &Counts, after: &Counts, passed_ms: u64) -> Option<Rate> {
    let per_second = |index: usize| -> Option<f64> {
        let grown = after[index].checked_sub(before[index])?;
        Some(grown as f64 * 1000.0 / passed_ms as f64)
    };
    Some(Rate {
        bits_in: per_second(0)? * 8.0,
        bits_out: per_second(1)? * 8.0,
        packets_in: per_second(2)?,
        packets_out: per_second(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::snapshot::{InterfaceRow, StatesRow};

    fn snapshot(bytes: u64) -> Snapshot {
        let interface = InterfaceRow {
            name: "wan".into(),
            rx_bytes: bytes,
            tx_bytes: bytes / 2,
            rx_packets: bytes / 100,
            ..InterfaceRow::default()
        };
        let states = StatesRow { current: bytes, ..StatesRow::default() };
        Snapshot { interfaces: vec![interface], states, ..Snapshot::default() }
    }

    #[test]
    fn rates_are_what_the_counters_have_grown_by() {
        let mut history = History::default();
        let at = Instant::from_millis;
        history.push(at(1000), 5, &snapshot(1000));
        assert_eq!(history.rates()["wan"], Rate::default(), "nothing is known yet");
        history.push(at(3000), 6, &snapshot(3000));
        let expected = Rate { bits_in: 8000.0, bits_out: 4000.0, packets_in: 10.0, packets_out: 0.0 };
        assert_eq!(history.rates()["wan"], expected);
        assert_eq!(history.newest().unwrap().interfaces["wan"], [8000.0, 4000.0]);
        history.push(at(4000), 7, &snapshot(10));
        assert_eq!(history.rates()["wan"], Rate::default(), "the router was started again");
        history.push(at(60_000), 8, &snapshot(99_999));
        assert_eq!(history.rates()["wan"], Rate::default(), "too long ago");
    }

    #[test]
    fn so_many_samples_are_kept() {
        let mut history = History::default();
        for second in 0..2000 {
            history.push(Instant::from_secs(second), second * 1000, &snapshot(second));
        }
        assert_eq!(history.samples().count(), SAMPLES);
        assert_eq!(history.newest().map(|sample| sample.states), Some(1999));
    }
}
