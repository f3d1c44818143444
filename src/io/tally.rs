//! What the edge has carried and lost, added to the shard's snapshot.

use super::port::Port;
use crate::host::Counters;
use crate::node::Command;
use crate::node::snapshot::{CounterRow, Snapshot};

/// Counters of the edge: name and meaning.
const COUNTERS: [(&str, &str); 7] = [
    ("port-malformed", "Frames read from a port with an offload header that makes no sense."),
    ("port-full", "Frames dropped because a port's device had no room."),
    ("port-down", "Frames dropped because a port's device was down or gone."),
    ("port-refused", "Frames that the kernel refused to take."),
    ("port-attached-again", "Times that a port was attached again after its device was gone."),
    ("pair-queue-full", "Packets of the pair and of CARP dropped because the role thread was behind."),
    ("host-queue-full", "Packets for the router itself dropped because its own stack was behind."),
];

/// A snapshot also tells what the ports have carried, as they saw it, and what was lost on the way to the router's own
/// stack and within it. Other commands stay as they are.
pub fn add<'a>(
    command: Command,
    ports: impl Iterator<Item = &'a Port>,
    pair_missed: u64,
    host_full: u64,
    host: Counters,
) -> Command {
    let Command::Snapshot(reply) = command else { return command };
    let counters: Vec<_> = ports.map(Port::counters).collect();
    Command::Snapshot(Box::new(move |mut snapshot: Snapshot| {
        let mut sums = [0; 5];
        for (row, port) in snapshot.ports.iter_mut().zip(&counters) {
            (row.rx_packets, row.rx_bytes) = (port.rx_frames, port.rx_bytes);
            (row.tx_packets, row.tx_bytes, row.drops) = (port.tx_frames, port.tx_bytes, port.drops());
        }
        for port in &counters {
            let losses =
                [port.rx_malformed, port.tx_full, port.tx_down, port.tx_refused, port.attached_again];
            sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss);
        }
        let values = sums.into_iter().chain([pair_missed, host_full]);
        snapshot.counters.extend(COUNTERS.iter().zip(values).map(|((name, meaning), value)| CounterRow {
            name: (*name).into(),
            value,
            meaning: (*meaning).into(),
        }));
        snapshot.counters.extend(host.rows().into_iter().map(|(name, value, meaning)| CounterRow {
            name: name.into(),
            value,
            meaning: meaning.into(),
        }));
        reply(snapshot);
    }))
}
