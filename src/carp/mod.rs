//! One virtual host id of CARP: who on the link has its virtual addresses.
//!
//! [`Vhid`] is the state machine INIT, BACKUP, MASTER, in one of two modes. A *foreign* VHID is shared with a CARP
//! speaker that is not our peer (FreeBSD, OpenBSD, ucarp) and elects alone, by their rules. A *paired* one is told by
//! the pair whether it is MASTER; it advertises for third parties, and what it hears only raises alarms.
//!
//! Invariants: a foreign VHID is MASTER only while it hears no better master in any family; a paired one exactly while
//! it is told so and its link is up; only a MASTER advertises.

mod advertise;
mod alarm;
mod config;
mod election;
mod former;
mod paired;
mod repeat;
mod snapshot;
mod vhid;

#[cfg(test)]
mod tests;

pub use config::{Mode, VhidConfig};
pub use snapshot::{Counters, Snapshot};
pub use vhid::{Vhid, Why};

use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use crate::types::{Family, MacAddr};
use crate::wire::FrameBuf;
use crate::wire::arp;
use crate::wire::carp::Repr;
use crate::wire::icmpv6::Envelope;
use crate::wire::nd;

/// Where a VHID stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// The link is down, or the VHID was stopped.
    Init,
    /// Another has the addresses.
    Backup,
    /// We have them.
    Master,
}

/// Why a VHID went from one state to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The engine is new.
    Start,
    /// The link came up.
    LinkUp,
    /// The link went down.
    LinkDown,
    /// No advertisement in any family for the master-down time.
    Silence,
    /// The master took its leave.
    Goodbye,
    /// The master advertises less often than we would, and we preempt.
    Preempts,
    /// The master advertises so seldom that it would time out.
    WillTimeOut,
    /// Another master advertises more often.
    BetterMaster,
    /// Another master advertises as often, and wins the tie.
    EqualMaster,
    /// Another master still has the former list of addresses, and cannot understand us.
    ListsDiffer,
    /// We were stopped for so long that another must have taken over.
    Late,
    /// The pair said so.
    Told,
    /// The VHID or its mode is another now.
    Applied,
    /// A clean stop.
    Stopped,
}

/// A step of the state machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

/// Where an advertisement goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// To the CARP group.
    Group,
    /// To one address (the other's own, whose MAC address the neighbour table knows).
    Peer(IpAddr),
}

/// An advertisement to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advert {
    /// Over IPv4 or IPv6.
    pub family: Family,
    /// What it says.
    pub repr: Repr,
    /// Where it goes.
    pub to: To,
}

/// What an operator should know. Each kind is told at most every ten seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Our peer's advertisement has a wrong digest: its list of virtual addresses, or the password, is another. Or a
    /// foreign speaker's is right for the list that was ours before.
    ListsDiffer {
        /// Who.
        from: IpAddr,
    },
    /// Somebody advertises our VHID with a wrong digest: another password, other addresses, or another use of the VHID.
    BadDigest {
        /// Who.
        from: IpAddr,
    },
    /// Somebody who is not our peer advertises our VHID, with the right password.
    Stranger {
        /// Who.
        from: IpAddr,
    },
    /// An advertisement was heard again.
    Repeat {
        /// Who sent it, by what it says.
        from: IpAddr,
    },
    /// We are MASTER and so is another.
    OtherMaster {
        /// Who.
        from: IpAddr,
    },
    /// The master's advertisements no longer arrive in this family, though they do in the other one: the addresses
    /// stay with it.
    FamilySilent {
        /// The silent family.
        family: Family,
    },
}

/// What a VHID says; belongs to one VHID. To be sent in this order: advertisements, then announcements.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outbox {
    /// Advertisements.
    pub adverts: Vec<Advert>,
    /// Virtual addresses to be announced on the link: see [`announcement`].
    pub announce: Vec<IpAddr>,
    /// Steps of the state machine, in order.
    pub changes: Vec<Change>,
    /// Alarms.
    pub events: Vec<Event>,
}

/// The frame that tells a link that a virtual address lives at `mac` now: gratuitous ARP (RFC 5227 section 2.3), or an
/// unsolicited neighbour advertisement to all nodes (RFC 4861 section 7.2.6), as the BSDs send them.
///
/// `mac` is the VHID's ([`crate::wire::carp::virtual_mac`]) or the interface's own. The frame comes from it, so
/// that switches learn it too.
pub fn announcement(mac: MacAddr, address: IpAddr) -> FrameBuf {
    match address {
        IpAddr::V4(address) => FrameBuf::copy_of(&gratuitous(mac, address).emit(MacAddr::BROADCAST)),
        IpAddr::V6(address) => {
            let message = nd::Message::Advertisement {
                target: address,
                target_mac: Some(mac),
                router: true,
                solicited: false,
                overriding: true,
            };
            message.frame(Envelope::to_group(mac, address, nd::ALL_NODES), &[])
        }
    }
}

fn gratuitous(mac: MacAddr, address: Ipv4Addr) -> arp::Repr {
    arp::Repr {
        operation: arp::Operation::Request,
        sender_mac: mac,
        sender: address,
        target_mac: MacAddr::default(),
        target: address,
    }
}
