//! SYN cookies: an initial sequence number that remembers the SYN, so that the router need not (RFC 4987 section 3.6).
//!
//! Of the 32 bits one says under which of two keys the cookie was made, three the client's MSS, as one of eight, and 28 are
//! a keyed hash of the connection, the client's own initial sequence number, and the other four bits. Keys change every
//! [`LIFETIME`], so a cookie is good for that long at least, and for twice as long at most. The peer's node has the same
//! keys: a handshake that is half through at a takeover goes on.

use std::net::IpAddr;

use super::siphash::siphash;
use crate::types::{Duration, Instant, Seed};
use crate::wire::FlowKey;

/// How long a key makes cookies.
const LIFETIME: Duration = Duration::from_secs(30);
/// The sizes of segments that a cookie can say; FreeBSD's.
const SIZES: [u16; 8] = [216, 536, 1200, 1360, 1400, 1440, 1452, 1460];

/// The two keys, as both nodes of a pair have them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CookieKeys {
    /// By the lowest bit of a cookie.
    pub keys: [[u64; 2]; 2],
    /// Which of them makes cookies.
    pub newest: u8,
}

/// What a cookie remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redeemed {
    /// The number that the router gave itself.
    pub ours: u32,
    /// The client's MSS, or a bit less.
    pub mss: u16,
}

pub(super) struct Cookies {
    root: [u64; 2],
    /// How many keys were made.
    turns: u64,
    keys: CookieKeys,
    /// When the next key is due; `None` before the first cookie.
    due: Option<Instant>,
    /// Until when a cookie of ours may be about.
    about: Instant,
    /// The peer has to be told of the keys.
    pub(super) untold: bool,
}

impl Cookies {
    pub(super) fn new(Seed(root): Seed) -> Self {
        let keys = CookieKeys { keys: [[0; 2]; 2], newest: 0 };
        Cookies { root, turns: 0, keys, due: None, about: Instant::ZERO, untold: false }
    }

    /// True when somebody may have a cookie.
    pub(super) fn are_about(&self, now: Instant) -> bool {
        now < self.about
    }

    pub(super) fn make(&mut self, now: Instant, key: &FlowKey, isn: u32, mss: u16) -> u32 {
        self.turn(now);
        self.about = now + LIFETIME * 2;
        let size = SIZES.iter().rposition(|size| *size <= mss).unwrap_or(0) as u32;
        let low = size << 1 | u32::from(self.keys.newest);
        self.hash(key, isn, low) | low
    }

    pub(super) fn redeem(&mut self, now: Instant, key: &FlowKey, isn: u32, cookie: u32) -> Option<Redeemed> {
        self.turn(now);
        let low = cookie & 15;
        let right = self.hash(key, isn, low) | low == cookie;
        right.then(|| Redeemed { ours: cookie, mss: SIZES[(low >> 1) as usize] })
    }

    /// The keys, when there are any.
    pub(super) fn keys(&self) -> Option<CookieKeys> {
        self.due.map(|_| self.keys)
    }

    /// Those of the peer's node.
    pub(super) fn adopt(&mut self, now: Instant, keys: CookieKeys) {
        self.keys = CookieKeys { newest: keys.newest & 1, ..keys };
        self.due = Some(now + LIFETIME);
        self.about = now + LIFETIME * 2;
    }

    /// Another key, when its time has come; two when nobody has asked for long.
    fn turn(&mut self, now: Instant) {
        for _ in 0..2 {
            let due = self.due.unwrap_or(now);
            if now < due {
                return;
            }
            self.turns += 1;
            self.keys.newest ^= 1;
            self.keys.keys[usize::from(self.keys.newest)] = [0, 1].map(|part| {
                let mut input = [part; 9];
                input[..8].copy_from_slice(&self.turns.to_le_bytes());
                siphash(self.root, &input)
            });
            let late = now.since(due) >= LIFETIME;
            self.due = Some(if late { now } else { due + LIFETIME });
            self.untold = true;
        }
        self.due = Some(now + LIFETIME);
    }

    /// The upper 28 bits.
    fn hash(&self, key: &FlowKey, isn: u32, low: u32) -> u32 {
        let mut bytes = [0; 44];
        for (place, address) in bytes[..32].chunks_exact_mut(16).zip([key.src(), key.dst()]) {
            match address {
                IpAddr::V4(address) => place[..4].copy_from_slice(&address.octets()),
                IpAddr::V6(address) => place.copy_from_slice(&address.octets()),
            }
        }
        bytes[32..34].copy_from_slice(&key.src_port().to_be_bytes());
        bytes[34..36].copy_from_slice(&key.dst_port().to_be_bytes());
        bytes[36..40].copy_from_slice(&isn.to_be_bytes());
        bytes[40..].copy_from_slice(&low.to_be_bytes());
        siphash(self.keys.keys[(low & 1) as usize], &bytes) as u32 & !15
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::testing::key;

    #[test]
    fn a_cookie_is_good_for_its_connection_and_for_a_while() {
        let mut cookies = Cookies::new(Seed([5, 6]));
        let (here, other) =
            (key(6, "192.0.2.1", 1024, "198.51.100.2", 80), key(6, "192.0.2.1", 1025, "198.51.100.2", 80));
        let at = Instant::from_secs;
        assert!(!cookies.are_about(at(100)));
        for mss in [100, 216, 1460, 1459, 9000] {
            let cookie = cookies.make(at(100), &here, 77, mss);
            let redeemed = cookies.redeem(at(129), &here, 77, cookie).unwrap();
            assert!(redeemed.ours == cookie && redeemed.mss <= mss.max(216), "{redeemed:?}");
            assert_eq!(cookies.redeem(at(129), &here, 78, cookie), None);
            assert_eq!(cookies.redeem(at(129), &other, 77, cookie), None);
            for bit in 0..32 {
                assert_eq!(cookies.redeem(at(129), &here, 77, cookie ^ 1 << bit), None, "bit {bit}");
            }
        }
        let cookie = cookies.make(at(129), &here, 77, 1460);
        assert!(cookies.redeem(at(159), &here, 77, cookie).is_some(), "made just before the key changed");
        assert_eq!(cookies.redeem(at(200), &here, 77, cookie), None);
        assert!(!cookies.are_about(at(200)));
    }

    #[test]
    fn the_other_node_takes_cookies_that_this_one_has_made() {
        let (mut one, mut other) = (Cookies::new(Seed([5, 6])), Cookies::new(Seed([7, 8])));
        let here = key(6, "2001:db8::1", 1024, "2001:db8::2", 80);
        let cookie = one.make(Instant::from_secs(10), &here, 1, 1440);
        assert!(std::mem::take(&mut one.untold));
        other.adopt(Instant::from_secs(999), one.keys().unwrap());
        assert!(other.are_about(Instant::from_secs(1000)));
        assert_eq!(other.redeem(Instant::from_secs(1000), &here, 1, cookie).map(|r| r.mss), Some(1440));
    }
}
