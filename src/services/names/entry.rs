//! One name: what it stands for, and when it is asked about again.

use std::net::IpAddr;

use crate::types::{Duration, Instant};
use crate::wire::dns::{Answer, Kind, Name, Refusal};

/// The bounds of an answer's life: a short one would have us ask all the time, a long one keep what is wrong.
const TTL: std::ops::RangeInclusive<u32> = 30..=3600;
/// A name that has no answer is asked about again after so long, and ever more seldom.
const RETRY: Duration = Duration::from_secs(10);
/// The longest such wait; pfSense asks every 300 seconds.
const RETRY_MAX: Duration = Duration::from_secs(300);
/// Doublings from one to the other.
const DOUBLINGS: u32 = 5;

/// A question that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Its number.
    pub id: u16,
    /// The port that it was asked from.
    pub port: u16,
    /// Whom it was asked.
    pub server: IpAddr,
    /// When it is given up.
    pub until: Instant,
}

/// The addresses of one family.
#[derive(Debug)]
pub struct Side {
    /// The last good answer.
    pub addresses: Vec<IpAddr>,
    /// Whether there ever was one.
    pub known: bool,
    /// When it is asked about (again).
    pub next: Instant,
    /// Of the last good answer, within bounds.
    pub ttl: u32,
    /// The question under way.
    pub waiting: Option<Waiting>,
    /// Servers tried since the last answer.
    pub tried: u32,
    failures: u32,
    /// What was wrong with the last try.
    pub error: Option<String>,
}

/// A name.
#[derive(Debug)]
pub struct Entry {
    /// It.
    pub name: Name,
    sides: [Side; 2],
}

impl Side {
    fn new(now: Instant) -> Side {
        Side {
            addresses: Vec::new(),
            known: false,
            next: now,
            ttl: 0,
            waiting: None,
            tried: 0,
            failures: 0,
            error: None,
        }
    }

    /// When something is to be done.
    pub fn due(&self) -> Instant {
        self.waiting.map_or(self.next, |waiting| waiting.until)
    }

    /// A server has answered; true when the name stands for other addresses now.
    pub fn take(&mut self, now: Instant, answer: Answer) -> bool {
        let Answer { mut addresses, ttl, truncated } = answer;
        addresses.sort_unstable();
        addresses.dedup();
        self.ttl = ttl.clamp(*TTL.start(), *TTL.end());
        self.next = now + Duration::from_secs(self.ttl.into());
        (self.waiting, self.tried, self.failures) = (None, 0, 0);
        self.error = truncated.then(|| "the answer has more addresses than a datagram holds".into());
        self.known = true;
        let other = self.addresses != addresses;
        self.addresses = addresses;
        other
    }

    /// A server could not say; when all were tried, it is time to wait. What was known stays.
    pub fn fail(&mut self, now: Instant, why: String, servers: u32) {
        self.waiting = None;
        self.tried += 1;
        self.error = Some(why);
        if self.tried < servers {
            self.next = now;
            return;
        }
        self.tried = 0;
        self.next = now + (RETRY * 2u32.pow(self.failures)).min(RETRY_MAX);
        self.failures = (self.failures + 1).min(DOUBLINGS);
    }

    /// There is no such name, says a server: the others need not be asked.
    pub fn deny(&mut self, now: Instant) {
        self.fail(now, Refusal::NoSuchName.to_string(), 1);
    }
}

impl Entry {
    /// A name that nobody has asked about.
    pub fn new(name: Name, now: Instant) -> Entry {
        Entry { name, sides: [Side::new(now), Side::new(now)] }
    }

    /// Both families.
    pub fn sides(&self) -> impl Iterator<Item = (Kind, &Side)> {
        Kind::ALL.into_iter().zip(&self.sides)
    }

    /// Both families.
    pub fn sides_mut(&mut self) -> impl Iterator<Item = (Kind, &mut Side)> {
        Kind::ALL.into_iter().zip(&mut self.sides)
    }

    /// All addresses, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.sides.iter().flat_map(|side| side.addresses.iter().copied()).collect()
    }

    /// What is wrong with it, when no family has an answer, or else when an old answer is all there is.
    pub fn error(&self) -> Option<&str> {
        let errors = || self.sides.iter().filter_map(|side| side.error.as_deref());
        errors().next()
    }
}
