//! Packets and bytes per interface.

use crate::types::InterfaceId;
use crate::wire::FrameBuf;

/// Received and sent.
#[derive(Clone, Copy, Default, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Tally {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
}

/// A tally per interface. A superpacket counts once, with all its bytes.
#[derive(Default)]
pub struct Traffic {
    tallies: Vec<Tally>,
}

impl Traffic {
    /// Zeros for `interfaces` interfaces.
    pub fn new(interfaces: usize) -> Self {
        Traffic { tallies: vec![Tally::default(); interfaces] }
    }

    /// Makes room for interfaces that a new configuration adds.
    pub fn resize(&mut self, interfaces: usize) {
        self.tallies.resize(interfaces, Tally::default());
    }

    /// Counts a frame that came in.
    #[inline]
    pub fn received(&mut self, interface: InterfaceId, frame: &FrameBuf) {
        if let Some(tally) = self.tallies.get_mut(usize::from(interface.0)) {
            tally.rx_packets += 1;
            tally.rx_bytes += frame.len() as u64;
        }
    }

    /// Counts a frame that goes out.
    #[inline]
    pub fn sent(&mut self, interface: InterfaceId, frame: &FrameBuf) {
        if let Some(tally) = self.tallies.get_mut(usize::from(interface.0)) {
            tally.tx_packets += 1;
            tally.tx_bytes += frame.len() as u64;
        }
    }

    /// The tally of an interface.
    pub fn of(&self, interface: InterfaceId) -> Tally {
        self.tallies.get(usize::from(interface.0)).copied().unwrap_or_default()
    }
}
