//! The words that every module shares: time, addresses, ids. No logic lives here.
//!
//! Invariant: everything in this module is a small `Copy` value (or a plain name) with no behaviour
//! beyond formatting, parsing and arithmetic on itself.

mod id;
mod instant;
mod key;
mod mac;
mod pair;
mod port_range;
mod release;
mod wall_time;

pub use id::{Direction, Family, GatewayId, InterfaceId, PortId, Random, RuleId, Seed};
pub use instant::Instant;
pub use ipnet::{IpNet as Prefix, Ipv4Net, Ipv6Net};
pub use key::PublicKey;
pub use mac::MacAddr;
pub use pair::{Ceding, Epoch, NodeId, PathId, Role, Standing, Vhid};
pub use port_range::PortRange;
pub use release::{ReleaseKey, ReleaseVersion};
pub use std::time::Duration;
pub use wall_time::WallTime;
