//! SNTP messages (RFC 4330 section 4, RFC 5905 section 7.3): what a client sends, and what it gets back.

use crate::types::{Duration, WallTime};

/// The UDP port of time servers.
pub const PORT: u16 = 123;
/// A message without extensions.
pub const LEN: usize = 48;
/// Seconds from 1900, where NTP begins to count, to 1970.
const TO_1970: u64 = 2_208_988_800;

/// The mode of an answer.
const SERVER: u8 = 4;
/// The mode of a question.
const CLIENT: u8 = 3;

/// What a server answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The two bits in front: 3 when the server itself does not know the time.
    pub leap: u8,
    /// Hops from a clock: 0 in a kiss-o'-death, 16 when there is none.
    pub stratum: u8,
    /// Round trip to that clock.
    pub root_delay: Duration,
    /// How wrong that clock may be.
    pub root_dispersion: Duration,
    /// Four letters that say why, in a kiss-o'-death.
    pub reference: [u8; 4],
    /// What the client has sent as its time.
    pub originate: u64,
    /// When the question came in.
    pub receive: u64,
    /// When the answer went out.
    pub transmit: u64,
}

/// A question. The server gives `nonce` back, by which the answer is known; it need not be a time (RFC 9109 has the
/// same for ports).
pub fn request(nonce: u64) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[0] = 4 << 3 | CLIENT;
    bytes[40..48].copy_from_slice(&nonce.to_be_bytes());
    bytes
}

impl Answer {
    /// Reads an answer; `None` when it is none, or of a version that we do not speak.
    pub fn parse(bytes: &[u8]) -> Option<Answer> {
        let head: &[u8; LEN] = bytes.first_chunk()?;
        let version = head[0] >> 3 & 7;
        if head[0] & 7 != SERVER || !(3..=4).contains(&version) {
            return None;
        }
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let stamp = |at: usize| u64::from(word(at)) << 32 | u64::from(word(at + 4));
        Some(Answer {
            leap: head[0] >> 6,
            stratum: head[1],
            root_delay: short(word(4)),
            root_dispersion: short(word(8)),
            reference: word(12).to_be_bytes(),
            originate: stamp(24),
            receive: stamp(32),
            transmit: stamp(40),
        })
    }

    /// The bytes of a server's answer, for tests and servers.
    pub fn emit(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[0] = self.leap << 6 | 4 << 3 | SERVER;
        bytes[1] = self.stratum;
        let short = |span: Duration| ((span.as_nanos() << 16) / 1_000_000_000) as u32;
        bytes[4..8].copy_from_slice(&short(self.root_delay).to_be_bytes());
        bytes[8..12].copy_from_slice(&short(self.root_dispersion).to_be_bytes());
        bytes[12..16].copy_from_slice(&self.reference);
        for (at, stamp) in [(24, self.originate), (32, self.receive), (40, self.transmit)] {
            bytes[at..at + 8].copy_from_slice(&stamp.to_be_bytes());
        }
        bytes
    }
}

/// Sixteen bits of seconds, sixteen of their fraction.
fn short(word: u32) -> Duration {
    Duration::from_nanos((u64::from(word) * 1_000_000_000) >> 16)
}

/// A moment of NTP's 64 bits. Those without the first bit are of the era that begins in 2036 (RFC 4330 section 3).
pub fn wall_time(stamp: u64) -> Option<WallTime> {
    let (seconds, fraction) = (stamp >> 32, stamp & 0xffff_ffff);
    let era = if seconds >> 31 == 1 { 0 } else { 1 << 32 };
    let seconds = (seconds + era).checked_sub(TO_1970)?;
    let nanos = (fraction * 1_000_000_000) >> 32;
    Some(WallTime::from_nanos(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

/// A moment in NTP's form, the era left out.
pub fn stamp(at: WallTime) -> u64 {
    let seconds = (at.as_secs() + TO_1970) & 0xffff_ffff;
    // Rounded up, so that reading it again gives the same nanosecond.
    let fraction = (u128::from(at.as_nanos() % 1_000_000_000) << 32).div_ceil(1_000_000_000);
    seconds << 32 | fraction as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer of an ntpd, as tcpdump shows it.
    const ANSWER: &str = "240209e9000002600000093bc0a80a01ebd04c2ad4fdf3b3\
                          0102030405060708ebd04d5b8e3a1f00ebd04d5b8e4b2c00";

    #[test]
    fn an_answer_is_read() {
        let bytes = data_encoding::HEXLOWER.decode(ANSWER.as_bytes()).unwrap();
        let answer = Answer::parse(&bytes).unwrap();
        assert_eq!((answer.leap, answer.stratum, answer.originate), (0, 2, 0x0102_0304_0506_0708));
        assert_eq!(answer.root_delay, Duration::from_nanos(9_277_343));
        assert_eq!(answer.reference, [192, 168, 10, 1]);
        assert_eq!(wall_time(answer.receive).unwrap().as_secs(), 0xebd0_4d5b - TO_1970);
        assert_eq!(Answer::parse(&bytes[..47]), None);
        let mut client = bytes.clone();
        client[0] = 0x23;
        assert_eq!(Answer::parse(&client), None, "a question is no answer");
        client[0] = 0x0c;
        assert_eq!(Answer::parse(&client), None, "version 1");
        assert_eq!(request(7)[..2], [0x23, 0]);
        assert_eq!(request(7)[40..], 7u64.to_be_bytes());
    }

    #[test]
    fn the_era_ends_in_2036_and_time_goes_on() {
        assert_eq!(wall_time(0), Some(WallTime::from_secs((1 << 32) - TO_1970)));
        assert_eq!(wall_time(u64::MAX).unwrap().as_secs(), (1 << 32) - 1 - TO_1970);
        assert_eq!(wall_time(0x8000_0000 << 32), None, "before 1970");
    }

    proptest! {
        #[test]
        fn times_come_back(nanos in 0u64..4_000_000_000_000_000_000) {
            let at = WallTime::from_nanos(nanos);
            prop_assert_eq!(wall_time(stamp(at)), Some(at));
        }

        #[test]
        fn anything_may_come_in(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(answer) = Answer::parse(&bytes) {
                prop_assert_eq!(Answer::parse(&answer.emit()).unwrap().transmit, answer.transmit);
            }
        }
    }
}
