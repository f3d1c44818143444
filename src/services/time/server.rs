//! One time server: when it is asked, what it has said of late.

use std::net::IpAddr;

use super::sample::{Asked, Refusal, Sample};
use crate::types::{Duration, Instant};

/// Questions at first come this fast (ntpd's iburst).
const BURST: Duration = Duration::from_secs(2);
/// So many of them.
const BURST_LENGTH: u8 = 4;
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(3);
/// Least and greatest exponent of seconds between questions (RFC 5905: 64 s to 1024 s).
const POLL: std::ops::RangeInclusive<u8> = 6..=10;
/// A server that does not want to be asked is left alone for so long.
const DENIED: Duration = Duration::from_secs(24 * 3600);
/// Measurements of which the one with the shortest way counts (RFC 5905 section 10 has eight).
const KEPT: usize = 8;
/// A measurement that is older counts no more.
const STALE: Duration = Duration::from_secs(6 * 3600);

/// A server.
pub struct Server {
    /// As the document has it.
    pub name: String,
    /// Where it is asked.
    pub address: Option<IpAddr>,
    /// The question that waits for its answer.
    pub asked: Option<Asked>,
    samples: Vec<Sample>,
    /// A bit for each of the last eight questions: the lowest is the last.
    pub reach: u8,
    burst: u8,
    poll: u8,
    next: Instant,
    /// Why its last answer said nothing.
    pub trouble: Option<Refusal>,
}

impl Server {
    /// One that is asked at once.
    pub fn new(name: String, now: Instant) -> Self {
        Server {
            address: name.parse().ok(),
            name,
            asked: None,
            samples: Vec::new(),
            reach: 0,
            burst: BURST_LENGTH,
            poll: *POLL.start(),
            next: now,
            trouble: None,
        }
    }

    /// Its name stands for these addresses now; one that it has still is kept.
    pub fn set_addresses(&mut self, now: Instant, addresses: &[IpAddr]) {
        if self.name.parse::<IpAddr>().is_ok() || self.address.is_some_and(|known| addresses.contains(&known))
        {
            return;
        }
        self.address = addresses.first().copied();
        self.asked = None;
        self.samples.clear();
        self.begin_anew(now);
    }

    /// Is asked quickly again.
    pub fn begin_anew(&mut self, now: Instant) {
        if self.trouble != Some(Refusal::Denied) {
            self.burst = BURST_LENGTH;
            self.poll = *POLL.start();
            self.next = now;
        }
    }

    /// When it is to be asked, or given up waiting for.
    pub fn due(&self) -> Option<Instant> {
        self.address?;
        Some(self.asked.map_or(self.next, |asked| asked.at + PATIENCE))
    }

    /// A question goes out.
    pub fn ask(&mut self, now: Instant, asked: Asked) {
        self.asked = Some(asked);
        self.reach <<= 1;
        self.burst = self.burst.saturating_sub(1);
        let wait = if self.burst > 0 { BURST } else { Duration::from_secs(1 << self.poll) };
        self.next = now + wait;
    }

    /// Nobody has answered.
    pub fn give_up(&mut self) {
        self.asked = None;
        if self.reach == 0 {
            self.back_off();
        }
    }

    /// What it has answered.
    pub fn note(&mut self, now: Instant, measured: Result<Sample, Refusal>) {
        match measured {
            Err(Refusal::Stray) => return,
            Ok(sample) => {
                self.reach |= 1;
                self.trouble = None;
                self.samples.retain(|old| now.since(old.at) < STALE);
                if self.samples.len() == KEPT {
                    self.samples.remove(0);
                }
                self.samples.push(sample);
                if self.burst == 0 {
                    self.back_off();
                }
            }
            Err(refusal @ Refusal::Denied) => {
                self.trouble = Some(refusal);
                self.samples.clear();
                self.next = now + DENIED;
            }
            Err(refusal @ Refusal::Rate) => {
                self.trouble = Some(refusal);
                self.burst = 0;
                self.poll = *POLL.end();
                self.next = now + Duration::from_secs(1 << self.poll);
            }
            Err(refusal @ (Refusal::Unsynchronised | Refusal::Insane)) => {
                self.trouble = Some(refusal);
                self.back_off();
            }
        }
        self.asked = None;
    }

    fn back_off(&mut self) {
        self.poll = (self.poll + 1).min(*POLL.end());
    }

    /// The machine's clock was put ahead by so much; what was measured before is about the old one.
    pub fn shift(&mut self, by: i64) {
        self.asked = None;
        for sample in &mut self.samples {
            sample.ahead = sample.ahead.saturating_sub(by);
        }
    }

    /// The measurement with the least error.
    pub fn best(&self, now: Instant) -> Option<Sample> {
        let fresh = self.samples.iter().filter(|sample| now.since(sample.at) < STALE);
        fresh.min_by_key(|sample| sample.error(now)).copied()
    }
}
