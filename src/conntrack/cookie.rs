//! SYN cookies: an initial sequence number that remembers the SYN, so that the router need not (RFC 4987 section 3.6).
//!
//! Of the 32 bits one says under which of two keys the cookie was made, three the client's MSS, as one of eight, and 28 are
//! a keyed hash of the connection, the client's own initial sequence number, and the other four bits. A key follows from a
//! root and from the number of its turn, which lasts [`LIFETIME`]; a cookie is good for that long at least, and for twice
//! as long at most. Both nodes of a pair have the same root before the first cookie is made: whoever takes over takes all
//! that the other one has made, also in its last moment.

use std::net::IpAddr;

use super::siphash::siphash;
use crate::types::{Duration, Instant, Seed};
use crate::wire::FlowKey;

/// How long a key makes cookies.
const LIFETIME: Duration = Duration::from_secs(30);
/// The sizes of segments that a cookie can say; FreeBSD's.
const SIZES: [u16; 8] = [216, 536, 1200, 1360, 1400, 1440, 1452, 1460];

/// What keys follow from, as both nodes of a pair have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CookieRoot {
    /// The root.
    pub root: [u64; 2],
    /// The present turn.
    pub turn: u64,
    /// Until it ends, in milliseconds.
    pub left_ms: u32,
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
    turn: u64,
    /// When the next turn begins.
    due: Instant,
    /// By the lowest bit of a turn: the last one that was needed, and its key.
    keys: [(u64, [u64; 2]); 2],
    /// Until when a cookie of ours may be about.
    about: Instant,
    /// The peer has to be told of the root.
    pub(super) untold: bool,
}

impl Cookies {
    pub(super) fn new(Seed(root): Seed) -> Self {
        let keys = [0, 1].map(|turn| (turn, key_of(root, turn)));
        let due = Instant::ZERO + LIFETIME;
        Cookies { root, turn: 1, due, keys, about: Instant::ZERO, untold: false }
    }

    /// True when somebody may have a cookie.
    pub(super) fn are_about(&self, now: Instant) -> bool {
        now < self.about
    }

    /// Somebody may have a cookie from now on.
    pub(super) fn expect(&mut self, now: Instant) {
        self.about = now + LIFETIME * 2;
    }

    pub(super) fn make(&mut self, now: Instant, key: &FlowKey, isn: u32, mss: u16) -> u32 {
        self.go_on(now);
        self.expect(now);
        let size = SIZES.iter().rposition(|size| *size <= mss).unwrap_or(0) as u32;
        let low = size << 1 | (self.turn & 1) as u32;
        hash(self.key(self.turn), key, isn, low) | low
    }

    pub(super) fn redeem(&mut self, now: Instant, key: &FlowKey, isn: u32, cookie: u32) -> Option<Redeemed> {
        self.go_on(now);
        let low = cookie & 15;
        let turns = match u64::from(low & 1) == self.turn & 1 {
            true => [Some(self.turn), None],
            // The other node may be a moment ahead.
            false => [Some(self.turn.wrapping_sub(1)), Some(self.turn.wrapping_add(1))],
        };
        let right = |turn| hash(self.key(turn), key, isn, low) | low == cookie;
        let right = turns.into_iter().flatten().any(right);
        right.then(|| Redeemed { ours: cookie, mss: SIZES[(low >> 1) as usize] })
    }

    /// What the other node needs to know.
    pub(super) fn root(&mut self, now: Instant) -> CookieRoot {
        self.go_on(now);
        CookieRoot { root: self.root, turn: self.turn, left_ms: self.due.since(now).as_millis() as u32 }
    }

    /// That of the peer's node.
    pub(super) fn adopt(&mut self, now: Instant, CookieRoot { root, turn, left_ms }: CookieRoot) {
        (self.root, self.turn) = (root, turn);
        self.due = now + Duration::from_millis(left_ms.into()).min(LIFETIME);
        self.keys = [0, 1].map(|bit| (bit, key_of(root, bit)));
        self.expect(now);
    }

    /// The turns that have come meanwhile.
    fn go_on(&mut self, now: Instant) {
        if now >= self.due {
            let passed = 1 + (now.since(self.due).as_nanos() / LIFETIME.as_nanos()) as u64;
            self.turn = self.turn.wrapping_add(passed);
            self.due += Duration::from_secs(passed.saturating_mul(LIFETIME.as_secs()));
            let turn = self.turn;
            self.keys[(turn & 1) as usize] = (turn, key_of(self.root, turn));
        }
    }

    fn key(&self, turn: u64) -> [u64; 2] {
        match self.keys[(turn & 1) as usize] {
            (known, key) if known == turn => key,
            _ => key_of(self.root, turn),
        }
    }
}

fn key_of(root: [u64; 2], turn: u64) -> [u64; 2] {
    [0, 1].map(|part| {
        let mut input = [part; 9];
        input[..8].copy_from_slice(&turn.to_le_bytes());
        siphash(root, &input)
    })
}

/// The upper 28 bits.
fn hash(cookie_key: [u64; 2], key: &FlowKey, isn: u32, low: u32) -> u32 {
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
    siphash(cookie_key, &bytes) as u32 & !15
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
        // The root is told before there is any cookie.
        other.adopt(Instant::from_secs(999), one.root(Instant::from_secs(10)));
        assert!(other.are_about(Instant::from_secs(1000)));
        let mss = |redeemed: Option<Redeemed>| redeemed.map(|redeemed| redeemed.mss);
        for (made, redeemed) in [(11, 1000), (29, 1019), (31, 1018), (31, 1049), (95, 1100)] {
            let cookie = one.make(Instant::from_secs(made), &here, 1, 1440);
            let at = Instant::from_secs(redeemed);
            assert_eq!(mss(other.redeem(at, &here, 1, cookie)), Some(1440), "{made} {redeemed}");
        }
        let cookie = one.make(Instant::from_secs(96), &here, 1, 1440);
        assert_eq!(mss(other.redeem(Instant::from_secs(1300), &here, 1, cookie)), None, "long ago");
    }

    #[test]
    fn nobody_knows_a_key_before_its_turn() {
        let mut cookies = Cookies::new(Seed([5, 6]));
        let here = key(6, "192.0.2.1", 1024, "198.51.100.2", 80);
        cookies.make(Instant::from_secs(1), &here, 77, 1460);
        for low in 0..16 {
            let forged = hash([0; 2], &here, 77, low) | low;
            assert_eq!(cookies.redeem(Instant::from_secs(1), &here, 77, forged), None);
        }
    }
}
