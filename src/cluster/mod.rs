//! The pair: two nodes that know each other by their keys.
//!
//! * [`identity`]: a node's key, and who is who by it.
//! * [`channel`]: authenticated, encrypted messages between the two, whatever else is on the link.
//! * [`code`], [`pairing`]: how two nodes that have never met learn each other's keys from a code that a person
//!   carries from one to the other.
//! * [`role`]: who serves: heartbeat, lease, fence and election.
//! * [`replica`]: the ordered stream of states from the active node to the standby.
//! * [`agreement`]: one configuration for both nodes.
//! * [`parcel`]: whole messages of any size, in either direction.
//!
//! Invariant: nothing here believes a message that the channel has not opened, and nothing here knows a socket.

pub mod agreement;
pub mod channel;
pub mod code;
pub mod entropy;
pub mod identity;
mod noise;
pub mod pairing;
pub mod parcel;
pub mod replica;
pub mod role;

pub use channel::Channel;
pub use code::Code;
pub use entropy::Entropy;
pub use identity::{Identity, node_id};

use crate::types::PublicKey;
