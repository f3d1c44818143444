//! Wrong passwords make a source wait.
//!
//! Invariant: pure, and bounded: the source that has been quiet for longest makes room for a new one.

use std::net::IpAddr;

use crate::types::{Duration, Instant};

/// Mistakes that cost nothing.
const FREE: u32 = 5;
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);
/// Mistakes are forgotten after this long without a new one.
const MEMORY: Duration = Duration::from_secs(600);
/// Sources remembered.
const SOURCES: usize = 256;

struct Source<K> {
    key: K,
    failures: u32,
    last: Instant,
}

/// Who has given wrong passwords of late.
pub(super) struct Throttle<K> {
    sources: Vec<Source<K>>,
}

impl<K> Default for Throttle<K> {
    fn default() -> Self {
        Throttle { sources: Vec::new() }
    }
}

impl<K: PartialEq> Throttle<K> {
    /// How much longer this source has to wait, if at all.
    pub fn wait(&self, now: Instant, key: &K) -> Option<Duration> {
        let source = self.sources.iter().find(|source| source.key == *key)?;
        let doublings = source.failures.checked_sub(FREE)?.min(6);
        let until = source.last + LONGEST.min(Duration::from_secs(1 << doublings));
        (now < until).then(|| until.since(now))
    }

    /// A wrong password came from this source.
    pub fn failed(&mut self, now: Instant, key: K) {
        self.sources.retain(|source| now.since(source.last) < MEMORY);
        if let Some(source) = self.sources.iter_mut().find(|source| source.key == key) {
            source.failures += 1;
            source.last = now;
            return;
        }
        if self.sources.len() >= SOURCES
            && let Some(quiet) = (0..self.sources.len()).min_by_key(|&index| self.sources[index].last)
        {
            self.sources.swap_remove(quiet);
        }
        self.sources.push(Source { key, failures: 1, last: now });
    }

    /// The right password came from this source.
    pub fn succeeded(&mut self, key: &K) {
        self.sources.retain(|source| source.key != *key);
    }
}

/// An IPv6 host has a whole /64 to guess from.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + last).into())
    }

    #[test]
    fn waits_grow_to_a_minute_and_a_success_ends_them() {
        let mut throttle = Throttle::<IpAddr>::default();
        let now = Instant::from_secs(100);
        let waits: Vec<_> = (0..14)
            .map(|_| {
                throttle.failed(now, address(1));
                throttle.wait(now, &address(1)).map_or(0, |wait| wait.as_secs())
            })
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(throttle.wait(now, &address(2)), None, "others are not held up");
        assert_eq!(throttle.wait(now + LONGEST, &address(1)), None);
        throttle.succeeded(&address(1));
        assert_eq!(throttle.wait(now, &address(1)), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_sources_are_bounded() {
        let mut throttle = Throttle::<IpAddr>::default();
        let now = Instant::from_secs(100);
        for host in 0..6u128 {
            throttle.failed(now, network(IpAddr::V6(((0x2001_0db8 << 96) + host).into())));
        }
        assert!(throttle.wait(now, &network("2001:db8::77".parse().unwrap())).is_some());
        for host in 0..1000 {
            throttle.failed(now + Duration::from_secs(1), address(host));
        }
        assert!(throttle.sources.len() <= SOURCES);
        throttle.failed(now + MEMORY + MEMORY, address(1));
        assert_eq!(throttle.sources.len(), 1, "forgotten after a while");
    }
}
