//! The router as an end host: smoltcp on its own addresses.
//!
//! The packet path decides what is for us and hands it over as bare IP packets; what the stack sends enters the packet
//! path like any other packet. [`echo`] answers ping without the stack; [`Stack`] is TCP, and the
//! datagrams of the router's own services.

mod card;
mod connection;
mod counters;
mod datagrams;
mod echo;
mod resets;
mod stack;
mod watches;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use counters::Counters;
pub use datagrams::Datagram;
pub use echo::echo;
pub use stack::{Accepted, ConnectionId, Reset, Stack};
pub use watches::{KEYS, Seen, Sighting, WatchId};
