//! What a node says about itself every 10 ms on every path.
//!
//! A byte with the format, then the fields as `postcard` writes them. A later release appends fields, which this one
//! does not read; another order is another format, which it refuses.

use serde::{Deserialize, Serialize};

use super::Space;
use crate::types::{Epoch, PathId, Role};

const FORMAT: u8 = 1;
/// Longer than any heartbeat of this format, with room for what later releases append.
const LEN_MAX: usize = 1_200;

/// How a node fares; compared in elections from the first field to the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Health {
    /// Its packet path is alive.
    pub forwarding: bool,
    /// Critical links that are up.
    pub links: u8,
    /// Gateways that answer.
    pub gateways: u8,
    /// It has all the states of the other one.
    pub synced: bool,
}

/// The sender's part in a handover: a planned move of the role, without a packet lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Handover {
    /// None.
    #[default]
    No,
    /// It gives up its role, and relays until the other node leads.
    Gives,
    /// It stands by and wants the role.
    Wants,
}

impl Handover {
    const fn byte(self) -> u8 {
        match self {
            Handover::No => 0,
            Handover::Gives => 1,
            Handover::Wants => 2,
        }
    }

    fn from_byte(byte: Option<&u8>) -> Handover {
        match byte {
            Some(1) => Handover::Gives,
            Some(2) => Handover::Wants,
            Some(_) | None => Handover::No,
        }
    }
}

/// One heartbeat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The sender's epoch.
    pub epoch: Epoch,
    /// What it is.
    pub role: Role,
    /// Breaks ties of health; higher wins.
    pub preference: u8,
    /// How it fares.
    pub health: Health,
    /// Counts the heartbeats on this path.
    pub sequence: u64,
    /// The sender's clock, in nanoseconds.
    pub sent: u64,
    /// The newest sequence number that the sender has heard on each path; at most [`Space::PATHS`].
    pub heard: Vec<(PathId, u64)>,
    /// The sender's worst own lateness within the last second.
    pub lateness_micros: u32,
    /// It gives up its role.
    pub resigns: bool,
    /// It wants no role.
    pub maintenance: bool,
    /// Hash of the shared configuration.
    pub config_hash: u64,
    /// The newest sequence number of the replication that it has applied.
    pub applied: u64,
    /// The sender's release of the pair's protocols.
    pub version: u16,
    /// What the sender's calendar says: milliseconds since 1970, zero when it does not know.
    pub calendar_ms: u64,
    /// Its part in a handover: a byte behind the fields of the first release, which has none.
    #[serde(skip)]
    pub handover: Handover,
}

impl Heartbeat {
    /// The bytes; paths beyond [`Space::PATHS`] are left out.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        let bounded;
        let heartbeat = if self.heard.len() <= usize::from(Space::PATHS) {
            self
        } else {
            let heard = self.heard[..usize::from(Space::PATHS)].to_vec();
            bounded = Heartbeat { heard, ..self.clone() };
            &bounded
        };
        // Encoding plain fields into a vector cannot fail; if it did, the empty rest would be refused.
        bytes.extend(postcard::to_allocvec(heartbeat).unwrap_or_default());
        bytes.push(self.handover.byte());
        bytes
    }

    /// From the wire; `None` for another format and for what makes no sense.
    pub fn decode(bytes: &[u8]) -> Option<Heartbeat> {
        let (&format, fields) = bytes.split_first()?;
        if format != FORMAT || bytes.len() > LEN_MAX {
            return None;
        }
        let (heartbeat, later) = postcard::take_from_bytes::<Heartbeat>(fields).ok()?;
        let heartbeat = Heartbeat { handover: Handover::from_byte(later.first()), ..heartbeat };
        (heartbeat.heard.len() <= usize::from(Space::PATHS)).then_some(heartbeat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(paths: u8) -> Heartbeat {
        Heartbeat {
            epoch: Epoch(7),
            role: Role::Standby,
            preference: 200,
            health: Health { forwarding: true, links: 2, gateways: 1, synced: false },
            sequence: 300,
            sent: u64::MAX,
            heard: (0..paths).map(|path| (PathId(path), u64::MAX)).collect(),
            lateness_micros: 128,
            resigns: false,
            maintenance: true,
            config_hash: 5,
            applied: 6,
            version: 1,
            calendar_ms: 3,
            handover: Handover::Wants,
        }
    }

    #[test]
    fn heartbeat_to_the_byte() {
        let heartbeat = Heartbeat { sent: 1, heard: vec![(PathId(3), 130)], ..sample(0) };
        // FORMAT, epoch, role, preference, health, sequence (varint), sent, heard, lateness, flags, hash, applied, version, calendar, handover.
        let bytes = [1, 7, 2, 200, 1, 2, 1, 0, 0xac, 2, 1, 1, 3, 0x82, 1, 0x80, 1, 0, 1, 5, 6, 1, 3, 2];
        assert_eq!(heartbeat.encode(), bytes);
        assert_eq!(Heartbeat::decode(&bytes), Some(heartbeat.clone()));
        let first_release = Heartbeat::decode(&bytes[..bytes.len() - 1]);
        assert_eq!(first_release, Some(Heartbeat { handover: Handover::No, ..heartbeat }));
    }

    #[test]
    fn the_longest_one_fits_and_too_many_paths_are_left_out() {
        let longest = sample(Space::PATHS);
        assert!(longest.encode().len() < LEN_MAX);
        assert_eq!(Heartbeat::decode(&longest.encode()), Some(longest.clone()));
        assert_eq!(Heartbeat::decode(&sample(200).encode()), Some(longest));
        assert_eq!(Heartbeat::decode(&[1].repeat(LEN_MAX + 1)), None);
    }

    #[test]
    fn later_fields_are_passed_over_and_another_format_is_refused() {
        let mut bytes = sample(2).encode();
        bytes.extend([1, 2, 3]);
        assert_eq!(Heartbeat::decode(&bytes), Some(sample(2)));
        bytes[0] = 2;
        assert_eq!(Heartbeat::decode(&bytes), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_heartbeat_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(heartbeat) = Heartbeat::decode(&bytes) {
                prop_assert_eq!(Heartbeat::decode(&heartbeat.encode()), Some(heartbeat));
            }
        }
    }
}
