//! Who talks most: the hosts of the flows that there are, by what they carry at present.
//!
//! Two looks at the flows, some seconds apart, tell how much each flow has carried between them. The shard gives a bounded
//! number of flows at a time, between two batches of packets; in all so many are looked at.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::node::Compiled;
use crate::node::snapshot::TalkRow;
use crate::types::Instant;

/// Flows looked at.
pub(super) const FLOWS: usize = 200_000;
/// Hosts that are shown.
const SHOWN: usize = 20;

/// A host.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(in crate::web) struct Talker {
    pub address: IpAddr,
    /// The interface behind which it is.
    pub interface: String,
    /// Bits a second from it, and to it, of flows that it began.
    pub bits_from: f64,
    pub bits_to: f64,
    /// Its flows.
    pub flows: u64,
    /// Bytes of these, from it and to it.
    pub bytes_from: u64,
    pub bytes_to: u64,
}

/// See the module.
#[derive(Default)]
pub(in crate::web) struct Talkers {
    last: Option<(Instant, HashMap<u64, [u64; 2]>)>,
    /// The loudest first.
    pub rows: Vec<Talker>,
    /// Not every flow was looked at.
    pub partial: bool,
}

impl Talkers {
    /// The flows as they are now.
    pub(super) fn look(&mut self, now: Instant, rows: &[TalkRow], partial: bool, compiled: &Compiled) {
        let before = self.last.take().filter(|(then, _)| now > *then);
        let passed = before.as_ref().map(|(then, _)| now.since(*then).as_secs_f64());
        let mut hosts: HashMap<(IpAddr, u8), Talker> = HashMap::new();
        for row in rows {
            let key = (row.source, row.ingress.0);
            let host = hosts.entry(key).or_insert_with(|| Talker {
                address: row.source,
                interface: compiled.link(row.ingress).map_or_else(|| "self".into(), |link| link.name.clone()),
                bits_from: 0.0,
                bits_to: 0.0,
                flows: 0,
                bytes_from: 0,
                bytes_to: 0,
            });
            host.flows += 1;
            host.bytes_from += row.bytes[0];
            host.bytes_to += row.bytes[1];
            // A flow that is new has carried everything since the last look.
            let known = before.as_ref().map(|(_, known)| known.get(&row.id).copied().unwrap_or([0; 2]));
            if let (Some(known), Some(passed)) = (known, passed) {
                let bits = |index: usize| row.bytes[index].saturating_sub(known[index]) as f64 * 8.0 / passed;
                host.bits_from += bits(0);
                host.bits_to += bits(1);
            }
        }
        let mut rows_shown: Vec<Talker> = hosts.into_values().collect();
        let weight =
            |talker: &Talker| (talker.bits_from + talker.bits_to, talker.bytes_from + talker.bytes_to);
        rows_shown.sort_by(|a, b| weight(b).partial_cmp(&weight(a)).unwrap_or(std::cmp::Ordering::Equal));
        rows_shown.truncate(SHOWN);
        self.rows = rows_shown;
        self.partial = partial;
        self.last = Some((now, rows.iter().map(|row| (row.id, row.bytes)).collect()));
    }

    /// Nobody looks any more: what was seen would be too old for the next look.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}
