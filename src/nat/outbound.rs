//! Choosing the outside of a flow that leaves translated (outbound NAT).

use std::hash::Hasher;
use std::net::IpAddr;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use super::addresses::Addresses;
use super::translations::Source;
use crate::config::model::Pool;
use crate::conntrack::Table;
use crate::types::{Duration, Family, Instant, PortRange, Random, Seed};
use crate::wire::{Drop, FlowKey, protocol};

/// IKE wants its own port (RFC 3947); pfSense keeps it static.
const ISAKMP: u16 = 500;
/// Addresses of a pool tried before a flow is refused.
const POOL_TRIES: u64 = 8;
/// Ports tried at random before all are tried in turn.
const TRIES: usize = 16;
/// Destinations remembered to have no port left.
const DRY: usize = 64;
/// How long that is believed.
const DRY_TIME: Duration = Duration::from_millis(250);

/// Lines whose turns are told apart; lines beyond share them.
const TURNS: usize = 256;

/// What flows are translated to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outside {
    /// The source address that they leave with.
    pub address: IpAddr,
    /// The ports that TCP and UDP may leave with.
    pub ports: PortRange,
    /// They keep the port that they have.
    pub static_port: bool,
    /// A port that nobody has, whomever he speaks with.
    pub independent: bool,
}

impl Outside {
    /// With pf's range of ports, all but the well-known ones.
    pub fn new(address: IpAddr) -> Self {
        Outside { address, ports: Source::PORTS, static_port: false, independent: false }
    }
}

/// The chooser of outside ports.
///
/// When a destination has no port left, finding that out takes a look at each. The answer is remembered for a
/// moment, so that a host which runs a destination dry does not also stop the router.
pub struct Outbound {
    random: Random,
    seed: u64,
    shared: SharedSeed,
    /// By hash of outside and destination: until when no port is left there.
    dry: [(u64, Instant); DRY],
    /// Flows refused.
    exhausted: u64,
    /// Whose turn it is, by line of the translations.
    turns: [u32; TURNS],
}

impl Outbound {
    /// A chooser with its own randomness.
    pub fn new(seed: Seed) -> Self {
        let mut random = seed.derive(3).random();
        let (seed, shared) = (random.next(), SharedSeed::from_u64(random.next()));
        Outbound { random, seed, shared, dry: [(0, Instant::ZERO); DRY], exhausted: 0, turns: [0; TURNS] }
    }

    /// Flows that were refused because no port, or for protocols without ports no address, was left.
    pub const fn exhausted(&self) -> u64 {
        self.exhausted
    }

    /// The next of these addresses, one after the other; each line has its own turn.
    pub fn take_turn(&mut self, line: usize, addresses: &Addresses, family: Family) -> Option<IpAddr> {
        let turn = &mut self.turns[line % TURNS];
        let address = addresses.nth(family, u64::from(*turn));
        *turn = turn.wrapping_add(1);
        address
    }

    /// Which of its addresses an outbound mapping begins with for a flow. The same source gets the same address when the
    /// pool says so by itself (a hash) or by `sticky`.
    fn turn(&mut self, line: usize, source: &Source, key: &FlowKey) -> u64 {
        match source.pool {
            Pool::RoundRobin | Pool::Random if source.sticky || source.independent => self.hash(key.src()),
            Pool::SourceHash => self.hash(key.src()),
            Pool::RoundRobin => {
                let turn = &mut self.turns[line % TURNS];
                let now = *turn;
                *turn = turn.wrapping_add(1);
                now.into()
            }
            Pool::Random => self.random.next(),
        }
    }

    /// The key with which the first packet of a flow leaves by an outbound mapping. An address that has no port left gives
    /// way to the next ones of the pool (RFC 7857 section 4).
    pub fn translate_by(
        &mut self,
        now: Instant,
        table: &mut Table,
        key: &FlowKey,
        (line, source): (usize, &Source),
    ) -> Result<FlowKey, Drop> {
        let (ports, static_port) = (source.ports.unwrap_or(Source::PORTS), source.ports.is_none());
        let independent = source.independent && !static_port;
        let turn = self.turn(line, source, key);
        let count = source.addresses.count(key.family()).min(POOL_TRIES);
        let address = |step| source.addresses.nth(key.family(), turn.wrapping_add(step));
        let known = (0..count).filter(|_| independent).filter_map(address);
        let known = known.filter_map(|address| Some((address, table.mapped(key, address)?))).next();
        let chosen = match known {
            // Also when somebody who is not bound to it speaks with the same end by it: there is no other for this one.
            Some((address, port)) => {
                let ports = PortRange::new(port, port).unwrap_or(ports);
                self.choose(now, table, key, &Outside { address, ports, static_port, independent: false })
            }
            None => (0..count).find_map(|step| {
                let address = address(step)?;
                self.choose(now, table, key, &Outside { address, ports, static_port, independent })
            }),
        };
        if chosen.is_none() {
            self.exhausted += 1;
        }
        chosen.ok_or(Drop::PortsExhausted)
    }

    fn hash(&self, source: IpAddr) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        match source {
            IpAddr::V4(address) => hasher.write_u32(u32::from(address)),
            IpAddr::V6(address) => hasher.write_u128(u128::from(address)),
        }
        hasher.finish()
    }

    /// The key with which the first packet of a flow leaves, such that its answers are nobody else's.
    pub fn translate_out(
        &mut self,
        now: Instant,
        table: &mut Table,
        key: &FlowKey,
        outside: &Outside,
    ) -> Result<FlowKey, Drop> {
        let chosen = self.choose(now, table, key, outside);
        if chosen.is_none() {
            self.exhausted += 1;
        }
        chosen.ok_or(Drop::PortsExhausted)
    }

    fn choose(
        &mut self,
        now: Instant,
        table: &mut Table,
        key: &FlowKey,
        outside: &Outside,
    ) -> Option<FlowKey> {
        let independent = outside.independent && has_ports(key.protocol());
        let mut with_port = |port: u16| {
            FlowKey::new(key.protocol(), outside.address, port, key.dst(), key.dst_port())
                .filter(|sent| table.look_up(&sent.inverse()).is_none())
                .filter(|_| !independent || table.can_map(key, (outside.address, port)))
        };
        if outside.static_port {
            return with_port(key.src_port());
        }
        let (first, last) = match key.protocol() {
            protocol::TCP | protocol::UDP => (outside.ports.first(), outside.ports.last()),
            protocol::ICMP | protocol::ICMPV6 => (1, u16::MAX),
            _ => return with_port(key.src_port()),
        };
        if key.protocol() == protocol::UDP
            && key.src_port() == ISAKMP
            && let Some(sent) = with_port(ISAKMP)
        {
            return Some(sent);
        }
        let count = u32::from(last - first) + 1;
        let mut port = || first + self.random.below(u64::from(count)) as u16;
        for _ in 0..TRIES {
            if let Some(sent) = with_port(port()) {
                return Some(sent);
            }
        }
        let start = u32::from(port() - first);
        let place = self.place(key, outside);
        let (dry, until) = self.dry[place as usize % DRY];
        if dry == place && now < until {
            return None;
        }
        let found = (0..count).find_map(|step| with_port(first + ((start + step) % count) as u16));
        if found.is_none() {
            self.dry[place as usize % DRY] = (place, now + DRY_TIME);
        }
        found
    }

    fn place(&self, key: &FlowKey, outside: &Outside) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        for address in [outside.address, key.dst()] {
            match address {
                IpAddr::V4(address) => hasher.write_u32(u32::from(address)),
                IpAddr::V6(address) => hasher.write_u128(u128::from(address)),
            }
        }
        let ports = u64::from(outside.ports.first()) << 32 | u64::from(outside.ports.last()) << 16;
        hasher.write_u64(u64::from(key.protocol()) << 48 | ports | u64::from(key.dst_port()));
        hasher.write_u8(outside.independent.into());
        hasher.finish()
    }
}

const fn has_ports(number: u8) -> bool {
    matches!(number, protocol::TCP | protocol::UDP)
}
