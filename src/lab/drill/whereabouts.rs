//! Where packets ended that did not arrive: what the nodes say they dropped, and what the kernel dropped between them.
//!
//! Invariant: no figure comes from here. It explains a promise that was not kept.

use std::collections::BTreeMap;
use std::fs;

use crate::io::netns;
use crate::lab::network::{Network, namespace};
use crate::lab::nodes::Nodes;

/// The queues of the processors, where what a host sends waits for the kernel's time: a line for each, in hexadecimal.
const PROCESSORS: &str = "/proc/net/softnet_stat";
/// The devices of a network namespace, which is the thread's.
const DEVICES: &str = "/proc/thread-self/net/dev";
/// The UDP of a network namespace.
const UDP: &str = "/proc/thread-self/net/snmp";

/// Packets that were dropped so far, by place.
#[derive(Clone, Debug, Default)]
pub struct Whereabouts(BTreeMap<String, u64>);

impl Whereabouts {
    /// What can be learnt now; a place that does not answer has dropped nothing.
    pub fn now(network: &Network, nodes: &Nodes) -> Whereabouts {
        let mut found = BTreeMap::new();
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        found.insert("the processors' queues".to_owned(), processors(&read(PROCESSORS)));
        let switches = network.switches.iter().map(|switch| switch.name);
        for place in switches.chain(network.hosts.iter().map(|host| host.name)) {
            let both = netns::within(Some(&namespace(place)), || Ok((read(DEVICES), read(UDP))));
            let (table, protocols) = both.unwrap_or_default();
            found.insert(format!("UDP sockets of {place}"), udp(&protocols));
            found.extend(devices(&table).map(|(device, count)| (format!("{device} at {place}"), count)));
        }
        for node in &nodes.all {
            let counters = node.snapshot().map(|snapshot| snapshot.counters).unwrap_or_default();
            found.extend(
                counters.into_iter().map(|row| (format!("{} of {}", row.name, node.name), row.value)),
            );
        }
        Whereabouts(found)
    }

    /// Where more was dropped since, in words.
    pub fn since(&self, before: &Whereabouts) -> Vec<String> {
        let more = |(place, count): (&String, &u64)| {
            let more = count.saturating_sub(before.0.get(place).copied().unwrap_or(0));
            (more > 0).then(|| format!("{place}: {more} more"))
        };
        self.0.iter().filter_map(more).collect()
    }
}

/// The second number of each line.
fn processors(text: &str) -> u64 {
    let second = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    text.lines().filter_map(second).sum()
}

/// The twelfth number of each device: what it should have sent.
fn devices(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (device, numbers) = line.split_once(':')?;
        Some((device.trim(), numbers.split_whitespace().nth(11)?.parse().ok()?))
    })
}

/// What the sockets had no room for: in the second line that begins with `Udp:`, the number below `RcvbufErrors`.
fn udp(text: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp:"));
    let (names, numbers) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut pairs = names.split_whitespace().zip(numbers.split_whitespace());
    pairs.find(|(name, _)| *name == "RcvbufErrors").and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let processors = "1c606db8 00000153 0000002a 00000000\n1bbfa639 00000445 0000001a 00000000\n";
        assert_eq!(super::processors(processors), 0x153 + 0x445);
        let table = "Inter-|   Receive                |  Transmit\n face |bytes packets errs drop fifo frame\n    \
                     lo:       0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\nkoi-lan-a: 364 16 0 2 0 0 0 0 105 15 1 7 0 0 0 0\n";
        let devices: Vec<(&str, u64)> = super::devices(table).collect();
        assert_eq!(devices, [("lo", 0), ("koi-lan-a", 7)]);
        let protocols = "Tcp: RtoAlgorithm\nTcp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\n\
                         Udp: 51979 0 0 51979 12\nUdpLite: InDatagrams\nUdpLite: 0\n";
        assert_eq!((udp(protocols), udp("")), (12, 0));
    }

    #[test]
    fn only_what_grew_is_told() {
        let of = |counts: &[(&str, u64)]| {
            Whereabouts(counts.iter().map(|(place, count)| ((*place).to_owned(), *count)).collect())
        };
        // A node that began anew has dropped less than before.
        let before = of(&[("a", 5), ("b", 9), ("c", 3)]);
        assert_eq!(of(&[("a", 7), ("b", 9), ("c", 1), ("d", 2)]).since(&before), ["a: 2 more", "d: 2 more"]);
    }
}
