//! What the two ends of a parcel say to each other. All numbers are big-endian.

use super::{CHUNK, Kind, PARCEL_MAX, WINDOW};

/// Words of an acknowledgement's map.
pub(super) const WORDS: usize = (WINDOW / 64) as usize;

/// A chunk of a parcel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Data<'a> {
    /// The sender's life.
    pub life: u32,
    /// The parcel's number in that life.
    pub parcel: u32,
    pub kind: Kind,
    /// Bytes of the whole parcel.
    pub length: u32,
    /// Which chunk.
    pub index: u32,
    pub bytes: &'a [u8],
}

/// What the receiver has of a parcel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ack {
    /// The sender's life.
    pub life: u32,
    /// The receiver's, so that the sender notices when it has forgotten.
    pub receiver: u32,
    pub parcel: u32,
    /// Every chunk below has come.
    pub received: u32,
    /// Bit n: so has `received + 1 + n`.
    pub beyond: [u64; WORDS],
}

/// A datagram, opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Datagram<'a> {
    Data(Data<'a>),
    Ack(Ack),
}

const DATA: u8 = 1;
const ACK: u8 = 2;

/// How many chunks a parcel has; an empty one has an empty chunk.
pub(super) const fn chunks(length: u32) -> u32 {
    let chunks = length.div_ceil(CHUNK as u32);
    if chunks == 0 { 1 } else { chunks }
}

/// Where a chunk lies in its parcel.
pub(super) fn range(length: usize, index: u32) -> std::ops::Range<usize> {
    let start = (index as usize * CHUNK).min(length);
    start..(start + CHUNK).min(length)
}

impl<'a> Datagram<'a> {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Datagram::Data(Data { life, parcel, kind, length, index, bytes }) => {
                let mut datagram = Vec::with_capacity(18 + bytes.len());
                datagram.push(DATA);
                for number in [life, parcel, length, index] {
                    datagram.extend_from_slice(&number.to_be_bytes());
                }
                datagram.push(kind.0);
                datagram.extend_from_slice(bytes);
                datagram
            }
            Datagram::Ack(Ack { life, receiver, parcel, received, beyond }) => {
                let mut datagram = vec![ACK];
                for number in [life, receiver, parcel, received] {
                    datagram.extend_from_slice(&number.to_be_bytes());
                }
                beyond.iter().for_each(|word| datagram.extend_from_slice(&word.to_be_bytes()));
                datagram
            }
        }
    }

    /// `None` for what is none. Of data, what the numbers promise has been checked.
    pub fn decode(bytes: &'a [u8]) -> Option<Datagram<'a>> {
        let (&kind, rest) = bytes.split_first()?;
        let (numbers, rest) = rest.split_at_checked(16)?;
        let mut numbers = numbers.as_chunks::<4>().0.iter().map(|number| u32::from_be_bytes(*number));
        let (first, second, third, fourth) =
            (numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()?);
        match kind {
            DATA => {
                let (&kind, bytes) = rest.split_first()?;
                let (life, parcel, length, index) = (first, second, third, fourth);
                let sound = length as usize <= PARCEL_MAX
                    && index < chunks(length)
                    && bytes.len() == range(length as usize, index).len();
                let data = Data { life, parcel, kind: Kind(kind), length, index, bytes };
                sound.then_some(Datagram::Data(data))
            }
            ACK => {
                let (words, rest) = rest.as_chunks::<8>();
                let beyond: [u64; WORDS] =
                    words.iter().map(|word| u64::from_be_bytes(*word)).collect::<Vec<_>>().try_into().ok()?;
                let ack = Ack { life: first, receiver: second, parcel: third, received: fourth, beyond };
                rest.is_empty().then_some(Datagram::Ack(ack))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Release 2 of the pair's protocols wrote them so; a peer of that release reads nothing else.
    #[test]
    fn parcels_are_what_release_2_sent() {
        let data = Datagram::Data(Data {
            life: 0x0102_0304,
            parcel: 5,
            kind: Kind::AGREEMENT,
            length: 3,
            index: 0,
            bytes: b"koi",
        });
        let bytes = [&[1, 1, 2, 3, 4, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 0, 1][..], b"koi"].concat();
        assert_eq!((data.encode(), Datagram::decode(&bytes)), (bytes.clone(), Some(data)));
        let mut beyond = [0; WORDS];
        beyond[0] = 0x8000_0000_0000_0001;
        let ack = Datagram::Ack(Ack { life: 1, receiver: 0x0a0b_0c0d, parcel: 5, received: 258, beyond });
        let mut bytes = vec![2, 0, 0, 0, 1, 10, 11, 12, 13, 0, 0, 0, 5, 0, 0, 1, 2, 128, 0, 0, 0, 0, 0, 0, 1];
        bytes.resize(17 + 8 * 2, 0);
        assert_eq!((ack.encode(), Datagram::decode(&bytes)), (bytes.clone(), Some(ack)));
        assert_eq!((Kind::AGREEMENT.0, Kind::UPGRADE.0, CHUNK, WINDOW), (1, 2, 1400, 128));
    }
}
