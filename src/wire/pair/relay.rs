//! Frames that a node which hands over passes on to its successor, cut into pieces that fit a chunk of the stream.
//!
//! The first piece of a frame says where the frame came in, what is known of its checksum, whether it is a superpacket,
//! and how long it is; the others are bytes alone. The stream is ordered, so nothing else is needed to put them
//! together.

use super::flow::Malformed;
use crate::types::InterfaceId;
use crate::wire::{ChecksumState, FrameBuf, Gso, GsoKind};

/// The longest frame that is relayed.
pub const FRAME_MAX: usize = 65_536 + 64;
/// Bytes in front of a first piece's own ones, the kind of the change included.
pub const FIRST_LEN: usize = 1 + HEAD_LEN + 2;
/// Bytes of a head.
const HEAD_LEN: usize = 13;
/// The same of any other piece.
pub const MORE_LEN: usize = 3;

/// What is known of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Where it came in.
    pub interface: InterfaceId,
    /// What is known of its checksum.
    pub checksum: ChecksumState,
    /// Set for a superpacket.
    pub gso: Option<Gso>,
    /// Its length.
    pub len: u32,
}

impl Head {
    /// Of a frame without its tag.
    pub fn of(interface: InterfaceId, frame: &FrameBuf) -> Head {
        Head { interface, checksum: frame.checksum, gso: frame.gso, len: frame.len() as u32 }
    }

    /// # Errors
    /// When no frame is like this.
    fn check(&self) -> Result<(), Malformed> {
        let len = self.len as usize;
        let inside = match self.checksum {
            ChecksumState::Partial { start, offset } => usize::from(start) + usize::from(offset) + 2 <= len,
            ChecksumState::Unverified | ChecksumState::Valid => self.gso.is_none(),
        };
        let sized = self.gso.is_none_or(|gso| gso.size > 0);
        if inside && sized && (14..=FRAME_MAX).contains(&len) { Ok(()) } else { Err(Malformed::Value) }
    }

    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        let Head { interface, checksum, gso, len } = self;
        let (state, start, offset) = match checksum {
            ChecksumState::Unverified => (0, 0, 0),
            ChecksumState::Valid => (1, 0, 0),
            ChecksumState::Partial { start, offset } => (2, *start, *offset),
        };
        let (kind, size) = match gso {
            None => (0, 0),
            Some(Gso { kind, ecn, size }) => {
                let kind = match kind {
                    GsoKind::Tcp4 => 1,
                    GsoKind::Tcp6 => 2,
                    GsoKind::Udp => 3,
                };
                (kind | if *ecn { 0x80 } else { 0 }, *size)
            }
        };
        into.extend_from_slice(&[interface.0, state]);
        into.extend_from_slice(&start.to_be_bytes());
        into.extend_from_slice(&offset.to_be_bytes());
        into.push(kind);
        into.extend_from_slice(&size.to_be_bytes());
        into.extend_from_slice(&len.to_be_bytes());
    }

    pub(super) fn decode(bytes: [u8; HEAD_LEN]) -> Result<Head, Malformed> {
        let [interface, state, a, b, c, d, kind, e, f, g, h, i, j] = bytes;
        let (start, offset) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let size = u16::from_be_bytes([e, f]);
        let checksum = match (state, start, offset) {
            (0, 0, 0) => ChecksumState::Unverified,
            (1, 0, 0) => ChecksumState::Valid,
            (2, start, offset) => ChecksumState::Partial { start, offset },
            _ => return Err(Malformed::Value),
        };
        let gso = match (kind & 0x7f, size) {
            (0, 0) if kind == 0 => None,
            (number @ 1..=3, size) => {
                let kinds = [GsoKind::Tcp4, GsoKind::Tcp6, GsoKind::Udp];
                Some(Gso { kind: kinds[usize::from(number) - 1], ecn: kind & 0x80 != 0, size })
            }
            _ => return Err(Malformed::Value),
        };
        let head =
            Head { interface: InterfaceId(interface), checksum, gso, len: u32::from_be_bytes([g, h, i, j]) };
        head.check()?;
        Ok(head)
    }
}

/// A piece of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Of the first one.
    pub head: Option<Head>,
    /// What follows what came before.
    pub bytes: Vec<u8>,
}

/// A frame that is being put together.
#[derive(Debug, Default)]
pub struct Puzzle(Option<(Head, Vec<u8>)>);

impl Puzzle {
    /// Takes the next piece; gives the frame when that was its last one.
    ///
    /// # Errors
    /// When the piece belongs to no frame; what there was of another one is lost.
    pub fn add(&mut self, piece: Piece) -> Result<Option<(InterfaceId, FrameBuf)>, Malformed> {
        let Piece { head, bytes } = piece;
        let torn = self.0.is_some() && head.is_some();
        let (head, frame) = match (head, self.0.take()) {
            (Some(head), _) => (head, bytes),
            (None, Some((head, mut begun))) => {
                begun.extend_from_slice(&bytes);
                (head, begun)
            }
            (None, None) => return Err(Malformed::Value),
        };
        let len = head.len as usize;
        if frame.len() > len {
            return Err(Malformed::Value);
        }
        if frame.len() < len {
            self.0 = Some((head, frame));
            return if torn { Err(Malformed::Value) } else { Ok(None) };
        }
        let mut whole = FrameBuf::copy_of(&frame);
        (whole.checksum, whole.gso) = (head.checksum, head.gso);
        Ok(Some((head.interface, whole)))
    }

    /// Forgets what there was.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::flow::{self, Change};
    use super::*;
    use proptest::prelude::*;

    fn frame() -> impl Strategy<Value = (u8, FrameBuf)> {
        let state = prop_oneof![
            Just(ChecksumState::Unverified),
            Just(ChecksumState::Valid),
            (0u16..6, 0u16..6).prop_map(|(start, offset)| ChecksumState::Partial { start, offset }),
        ];
        let kind = prop_oneof![Just(GsoKind::Tcp4), Just(GsoKind::Tcp6), Just(GsoKind::Udp)];
        let gso = (kind, any::<bool>(), 1..u16::MAX).prop_map(|(kind, ecn, size)| Gso { kind, ecn, size });
        (any::<u8>(), prop::collection::vec(any::<u8>(), 14..9000), state, prop::option::of(gso)).prop_map(
            |(interface, bytes, checksum, gso)| {
                let mut frame = FrameBuf::copy_of(&bytes);
                frame.checksum = checksum;
                frame.gso = gso.filter(|_| matches!(checksum, ChecksumState::Partial { .. }));
                (interface, frame)
            },
        )
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_were_cut(frames in prop::collection::vec(frame(), 0..8), budget in 30usize..1500) {
            let (mut chunks, mut puzzle, mut seen) = (Vec::new(), Puzzle::default(), Vec::new());
            for (interface, frame) in &frames {
                let mut done = 0;
                while done < frame.len() {
                    let mut chunk = Vec::new();
                    flow::begin(&mut chunk);
                    let head = (done == 0).then(|| Head::of(InterfaceId(*interface), frame));
                    done += flow::encode_piece(head, &frame.bytes()[done..], budget, &mut chunk);
                    prop_assert!(chunk.len() <= budget);
                    chunks.push(chunk);
                }
            }
            for chunk in &chunks {
                for change in flow::decode(chunk) {
                    let Ok(Change::Relayed(piece)) = change else { panic!("{change:?}") };
                    seen.extend(puzzle.add(piece).unwrap());
                }
            }
            prop_assert_eq!(seen.len(), frames.len());
            for ((interface, frame), (at, put)) in frames.iter().zip(&seen) {
                prop_assert_eq!(InterfaceId(*interface), *at);
                prop_assert_eq!((frame.bytes(), frame.checksum, frame.gso), (put.bytes(), put.checksum, put.gso));
            }
        }
    }

    #[test]
    fn pieces_of_no_frame_are_refused() {
        let head = |len| Some(Head { len, ..Head::of(InterfaceId(1), &FrameBuf::copy_of(&[1; 20])) });
        let piece = |head, len: usize| Piece { head, bytes: vec![7; len] };
        let mut puzzle = Puzzle::default();
        assert!(puzzle.add(piece(None, 3)).is_err(), "without a beginning");
        assert!(puzzle.add(piece(head(20), 21)).is_err(), "longer than it says");
        assert!(matches!(puzzle.add(piece(head(20), 10)), Ok(None)));
        assert!(puzzle.add(piece(None, 11)).is_err());
        assert!(puzzle.add(piece(None, 1)).is_err(), "nothing of it is left");
        assert!(matches!(puzzle.add(piece(head(20), 10)), Ok(None)));
        assert!(puzzle.add(piece(head(15), 10)).is_err(), "another one in its middle");
        assert!(matches!(puzzle.add(piece(None, 5)), Ok(Some(_))), "and that one goes on");
    }
}
