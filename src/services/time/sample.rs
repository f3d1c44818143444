//! One server's word on the time, and how far it can be trusted (RFC 5905 sections 8 to 11).

use crate::types::{Duration, Instant, WallTime};
use crate::wire::ntp::{self, Answer};

/// A clock that is farther from its source than this says nothing (RFC 5905's MAXDIST).
const DISTANCE_MAX: Duration = Duration::from_millis(1500);
/// A server cannot have taken longer than all of the way, but for what its clock and ours run differently.
const TOLERANCE: Duration = Duration::from_millis(10);
/// How fast a machine's clock may go wrong: nanoseconds a second (RFC 5905's PHI is 15 parts in a million; virtual
/// machines are worse).
const DRIFT: u32 = 50_000;

/// A measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When it was made.
    pub at: Instant,
    /// Nanoseconds by which the server is ahead of the machine's clock.
    pub ahead: i64,
    /// The way there and back, without the time that the server took.
    pub delay: Duration,
    /// Half of the way to the clock that it goes by, and how wrong that may be.
    pub distance: Duration,
    /// Hops to that clock.
    pub stratum: u8,
}

/// What was asked: when, by both clocks, and with which number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// By the clock that never jumps.
    pub at: Instant,
    /// By the machine's calendar.
    pub wall: WallTime,
    /// What the server gives back.
    pub nonce: u64,
    /// From which port.
    pub port: u16,
}

/// Why an answer says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is no answer to our question: anybody may have sent it.
    Stray,
    /// The server does not want to be asked.
    Denied,
    /// The server wants to be asked less often.
    Rate,
    /// The server does not know the time.
    Unsynchronised,
    /// What it says makes no sense.
    Insane,
}

impl Asked {
    /// What an answer to this question that has come in just now says.
    ///
    /// # Errors
    /// When it says nothing.
    pub fn measure(&self, now: Instant, answer: &Answer) -> Result<Sample, Refusal> {
        if answer.originate != self.nonce {
            return Err(Refusal::Stray);
        }
        match (answer.stratum, &answer.reference) {
            (0, b"RATE") => return Err(Refusal::Rate),
            (0, b"DENY" | b"RSTR") => return Err(Refusal::Denied),
            (0, _) | (16.., _) => return Err(Refusal::Unsynchronised),
            (1..16, _) => {}
        }
        if answer.leap == 3 {
            return Err(Refusal::Unsynchronised);
        }
        // A server that does not fill in its times leaves them zero.
        let time = |stamp: u64| ntp::wall_time(stamp).filter(|_| stamp != 0);
        let times = time(answer.receive).zip(time(answer.transmit));
        let (came, left) = times.filter(|(came, left)| came <= left).ok_or(Refusal::Insane)?;
        let distance = answer.root_delay / 2 + answer.root_dispersion;
        if distance > DISTANCE_MAX {
            return Err(Refusal::Insane);
        }
        let round = now.since(self.at);
        if left.since(came) > round + TOLERANCE {
            return Err(Refusal::Insane);
        }
        let back = WallTime::from_nanos(self.wall.as_nanos().saturating_add(round.as_nanos() as u64));
        let ahead = came.ahead_of(self.wall) / 2 + left.ahead_of(back) / 2;
        let delay = round.saturating_sub(left.since(came));
        Ok(Sample { at: now, ahead, delay, distance: distance + delay / 2, stratum: answer.stratum })
    }
}

impl Sample {
    /// How wrong it may be by now.
    pub fn error(&self, now: Instant) -> Duration {
        self.distance + drift(now.since(self.at))
    }
}

/// How far a machine's clock may go wrong in so long.
pub fn drift(time: Duration) -> Duration {
    Duration::from_nanos(time.as_secs().saturating_mul(u64::from(DRIFT)))
}
