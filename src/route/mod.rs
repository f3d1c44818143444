//! Where packets go next: routes, the neighbours behind them, and what this router tells hosts about itself.
//!
//! [`Fib`] finds the next hop, [`Neighbours`] its MAC address, [`RouterAdvertiser`] announces the router, [`Gateways`]
//! watches the gateways and selects which of them flows go by. Each
//! speaks through an [`Outbox`] and never waits.

mod advertiser;
mod arp;
mod budget;
mod entry;
mod fib;
mod gateways;
mod membership;
mod monitor;
mod nd;
mod neighbours;
mod own;
mod resolve;
mod selection;
mod table;
mod virtual_ips;

#[cfg(test)]
mod tests;

pub use advertiser::{AdvertiserLink, RouterAdvertiser};
pub use entry::NeighbourId;
pub use fib::{Fib, NextHop};
pub use gateways::{Change, Doomed, GatewayState, Gateways, GatewaysOutbox, Probe};
pub use monitor::{Monitor, MonitorConfig, Reason, Report, Status};
pub use neighbours::{LinkConfig, NeighbourConfig, NeighbourRow, Neighbours};
pub use selection::{GatewayConfig, GatewaysConfig, GroupConfig, Selection, Watch};
pub use virtual_ips::VirtualAddress;

use std::net::IpAddr;

use crate::types::{InterfaceId, MacAddr};
use crate::wire::{Drop, FrameBuf};

/// What the neighbours say; `P` is a packet that waited.
#[derive(Debug)]
pub struct Outbox<P> {
    /// Frames of the link layer itself.
    pub frames: Vec<(InterfaceId, FrameBuf)>,
    /// Packets whose next hop's MAC address is known now.
    pub ready: Vec<(InterfaceId, MacAddr, P)>,
    /// Packets whose next hop does not answer.
    pub failed: Vec<(InterfaceId, IpAddr, P)>,
    /// Packets that may wait no longer.
    pub dropped: Vec<(Drop, P)>,
    /// Neighbours that have just answered, or were overheard, and their MAC addresses.
    pub met: Vec<(InterfaceId, IpAddr, MacAddr)>,
    /// Losses without a packet of the node's.
    pub counted: Vec<Drop>,
    /// What an operator should know.
    pub events: Vec<Event>,
}

impl<P> Default for Outbox<P> {
    fn default() -> Self {
        Outbox {
            frames: Vec::new(),
            ready: Vec::new(),
            failed: Vec::new(),
            dropped: Vec::new(),
            met: Vec::new(),
            counted: Vec::new(),
            events: Vec::new(),
        }
    }
}

/// What happened on a link that the rest of the router, or an operator, should know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// An IPv6 address of ours passed duplicate address detection.
    Usable {
        /// Where.
        interface: InterfaceId,
        /// The address.
        address: IpAddr,
    },
    /// Another station has an address that we wanted: it is not used. Tried, and told, again each minute.
    Duplicate {
        /// Where.
        interface: InterfaceId,
        /// The address.
        address: IpAddr,
        /// The other station.
        mac: MacAddr,
    },
    /// Another station uses an address of ours, which we keep and defend. Told at most every ten seconds.
    Conflict {
        /// Where.
        interface: InterfaceId,
        /// The address.
        address: IpAddr,
        /// The other station.
        mac: MacAddr,
    },
    /// A neighbour has another MAC address now.
    Moved {
        /// Where.
        interface: InterfaceId,
        /// The neighbour.
        address: IpAddr,
        /// Before.
        from: MacAddr,
        /// Now.
        to: MacAddr,
    },
    /// A watched gateway answers, or no longer does.
    Gateway {
        /// Where.
        interface: InterfaceId,
        /// The gateway.
        address: IpAddr,
        /// It answers.
        reachable: bool,
    },
}
