//! What stands in front of every message of the pair, readable for everybody.
//!
//! ```text
//!  0        1        2        3        4               8                       16
//! +--------+--------+--------+--------+---------------+-----------------------+----
//! |version |  kind  | space  |   0    |    session    |        counter        | body
//! +--------+--------+--------+--------+---------------+-----------------------+----
//! ```
//!
//! All numbers are big-endian. Of a sealed message these 16 bytes are the additional data, and space and counter its
//! nonce, so none of them can be changed on the way. In a handshake message the space is the step.

use crate::types::PathId;

const VERSION: u8 = 1;

/// What kind of message follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A handshake of the channel.
    Handshake,
    /// A message under a session of the channel.
    Sealed,
    /// A step of the pairing with a one-time code.
    Pairing,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Kind::Handshake => 0,
            Kind::Sealed => 1,
            Kind::Pairing => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Kind> {
        match number {
            0 => Some(Kind::Handshake),
            1 => Some(Kind::Sealed),
            2 => Some(Kind::Pairing),
            _ => None,
        }
    }
}

/// A sequence of sealed messages with counters of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Space {
    /// Heartbeats over one path, of which there are at most [`Space::PATHS`].
    Heartbeat(PathId),
    /// Replicated states.
    Replica,
    /// Everything else.
    Control,
    /// Whole messages of any size.
    Parcel,
    /// The standby's own packets on their way through the active node, and their answers.
    Detour,
}

impl Space {
    /// How many paths have a space.
    pub const PATHS: u8 = 64;
    /// How many spaces there are.
    pub const COUNT: usize = Self::PATHS as usize + 4;

    /// On the wire; `None` for a path beyond [`Space::PATHS`].
    pub const fn number(self) -> Option<u8> {
        match self {
            Space::Heartbeat(PathId(path)) if path < Self::PATHS => Some(path),
            Space::Heartbeat(_) => None,
            Space::Replica => Some(128),
            Space::Control => Some(129),
            Space::Parcel => Some(130),
            Space::Detour => Some(131),
        }
    }

    /// From the wire.
    pub const fn from_number(number: u8) -> Option<Space> {
        match number {
            path if path < Self::PATHS => Some(Space::Heartbeat(PathId(path))),
            128 => Some(Space::Replica),
            129 => Some(Space::Control),
            130 => Some(Space::Parcel),
            131 => Some(Space::Detour),
            _ => None,
        }
    }

    /// Below [`Space::COUNT`]; `None` for a path beyond [`Space::PATHS`].
    pub const fn index(self) -> Option<usize> {
        match self {
            Space::Heartbeat(PathId(path)) if path < Self::PATHS => Some(path as usize),
            Space::Heartbeat(_) => None,
            Space::Replica => Some(Self::PATHS as usize),
            Space::Control => Some(Self::PATHS as usize + 1),
            Space::Parcel => Some(Self::PATHS as usize + 2),
            Space::Detour => Some(Self::PATHS as usize + 3),
        }
    }
}

/// The first 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// What follows.
    pub kind: Kind,
    /// Number of the [`Space`], or the step of a handshake.
    pub space: u8,
    /// The session, or the attempt of a handshake.
    pub session: u32,
    /// Counts the messages of the space.
    pub counter: u64,
}

impl Envelope {
    /// Length on the wire.
    pub const LEN: usize = 16;

    /// The bytes.
    pub fn emit(&self) -> [u8; Self::LEN] {
        let Envelope { kind, space, session, counter } = *self;
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&[VERSION, kind.number(), space, 0]);
        bytes[4..8].copy_from_slice(&session.to_be_bytes());
        bytes[8..].copy_from_slice(&counter.to_be_bytes());
        bytes
    }

    /// The envelope and what follows it; `None` for what is none of ours.
    pub fn parse(bytes: &[u8]) -> Option<(Envelope, &[u8])> {
        let (head, body) = bytes.split_first_chunk::<{ Self::LEN }>()?;
        let [version, kind, space, zero, a, b, c, d, counter @ ..] = *head;
        if version != VERSION || zero != 0 {
            return None;
        }
        let session = u32::from_be_bytes([a, b, c, d]);
        let counter = u64::from_be_bytes(counter);
        Some((Envelope { kind: Kind::from_number(kind)?, space, session, counter }, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelope_to_the_byte() {
        let envelope =
            Envelope { kind: Kind::Sealed, space: 129, session: 0x0102_0304, counter: 0x1122_3344_5566_7788 };
        let bytes = [1, 1, 129, 0, 1, 2, 3, 4, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, b'x'];
        assert_eq!(envelope.emit(), bytes[..16]);
        assert_eq!(Envelope::parse(&bytes), Some((envelope, &b"x"[..])));
        for (at, wrong) in [(0, 2), (1, 3), (3, 1)] {
            let mut bytes = bytes;
            bytes[at] = wrong;
            assert_eq!(Envelope::parse(&bytes), None, "byte {at}");
        }
        assert_eq!(Envelope::parse(&bytes[..15]), None);
    }

    #[test]
    fn spaces_have_numbers_and_places_of_their_own() {
        let spaces: Vec<Space> = (0..=255).filter_map(Space::from_number).collect();
        assert_eq!(spaces.len(), Space::COUNT);
        for (place, space) in spaces.iter().enumerate() {
            assert_eq!(space.index(), Some(place));
            assert_eq!(space.number().and_then(Space::from_number), Some(*space));
        }
        let beyond = Space::Heartbeat(PathId(Space::PATHS));
        assert_eq!((beyond.number(), beyond.index()), (None, None));
    }
}
