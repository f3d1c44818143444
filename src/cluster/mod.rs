//! The pair: two nodes that know each other by their keys.
//!
//! * [`keyring`]: how the keys of two nodes are renewed without an interruption.
//! * [`identity`]: a node's key, and who is who by it.
//! * [`channel`]: authenticated, encrypted messages between the two, whatever else is on the link.
//! * [`code`], [`pairing`]: how two nodes that have never met learn each other's keys from a code that a person
//!   carries from one to the other.
//! * [`role`]: who serves: heartbeat, lease, fence and election.
//! * [`release`]: signed programs, of which a node installs no others.
//! * [`upgrade`]: one program after the other, the standby first.
//! * [`replica`]: the ordered stream of states from the active node to the standby.
//! * [`agreement`]: one configuration for both nodes.
//! * [`parcel`]: whole messages of any size, in either direction.
//! * [`tokens`]: what programs show instead of a password, the same on both nodes.
//!
//! Invariant: nothing here believes a message that the channel has not opened, and nothing here knows a socket.

pub mod agreement;
pub mod channel;
pub mod code;
pub mod entropy;
pub mod identity;
pub mod keyring;
mod noise;
pub mod pairing;
pub mod parcel;
pub mod release;
pub mod replica;
pub mod role;
pub mod tokens;
pub mod upgrade;

pub use channel::Channel;
pub use code::Code;
pub use entropy::Entropy;
pub use identity::{Identity, node_id};
pub use keyring::Keyring;

use crate::types::PublicKey;
