//! Names of things, as small numbers on the packet path.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A physical attachment: one TAP (or macvtap) of this node. Index into the node's list of ports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PortId(pub u8);

/// A logical interface (WAN, LAN, DMZ, a VLAN): index into the configuration's list of interfaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct InterfaceId(pub u8);

impl InterfaceId {
    /// The router itself: the "interface" of packets that it originates or consumes.
    pub const SELF: InterfaceId = InterfaceId(u8::MAX);
    /// The peer's node: the "interface" of its own packets that go out through this one.
    pub const PEER: InterfaceId = InterfaceId(u8::MAX - 1);
}

/// A rule's stable number (pfSense's tracker): it survives reordering and reloads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RuleId(pub u32);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A gateway, by its name mixed down to a number: the same on both nodes of a pair and in every revision, whatever the
/// order of the document. Never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct GatewayId(pub u32);

impl GatewayId {
    /// The gateway of this name (FNV-1a). A document in which two names have one number is refused.
    pub fn of(name: &str) -> GatewayId {
        let mixed = name
            .bytes()
            .fold(0x811c_9dc5u32, |so_far, byte| (so_far ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        GatewayId(mixed.max(1))
    }
}

/// Which way a packet crosses an interface, seen from the router, in pf's sense.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Into the router.
    In,
    /// Out of the router.
    Out,
}

/// Address family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

impl Family {
    /// That of an address.
    pub const fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::Inet,
            IpAddr::V6(_) => Family::Inet6,
        }
    }
}

/// All the randomness that an engine will ever use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed(pub [u64; 2]);

impl Seed {
    /// A seed for a part of an engine, different for each `purpose`.
    pub fn derive(self, purpose: u64) -> Seed {
        let mut random = self.random();
        let mix = random.next() ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = Seed([mix, self.0[1] ^ purpose]).random();
        Seed([random.next(), random.next()])
    }

    /// A generator started from this seed.
    pub fn random(self) -> Random {
        Random { state: self.0[0] ^ self.0[1].rotate_left(32) }
    }
}

/// SplitMix64: small, fast, seeded. For jitter and the order of trials, never for keys.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "an endless sequence, not an iterator")]
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound` (which must not be zero).
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}
