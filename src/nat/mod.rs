//! Address translation: choosing the outside of a flow, and rewriting packets in place.
//!
//! [`Translations`] are the document's port forwards, 1:1, prefix and outbound entries, compiled; [`Outbound`] chooses
//! among several addresses and ports.
//!
//! Nothing is remembered here. A translation is the difference between the two keys of a flow in the state table
//! ([`crate::conntrack`]); a port is free when the index does not know the key of its answers. So a port may serve many
//! flows at once, to different destinations (RFC 7857 section 3), and is free again the moment its flow ends.
//!
//! Invariant: after [`rewrite()`] or [`rewrite_error`] every checksum that was right is right.

mod addresses;
mod compile;
mod mapping;
mod outbound;
mod rewrite;
mod rewrite_error;
mod translations;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

pub use addresses::Addresses;
pub use compile::{Surroundings, compile};
pub use mapping::Mapping;
pub use outbound::{Outbound, Outside};
pub use rewrite::rewrite;
pub use rewrite_error::rewrite_error;
pub use translations::{Forward, Inward, Outward, Source, Translations, Whole};
