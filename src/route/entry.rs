//! One neighbour, and the states of RFC 4861 section 7.3.2, which serve ARP as well.

use std::net::IpAddr;
use std::time::Duration;

use crate::types::{Instant, InterfaceId, MacAddr};

/// RFC 4861 section 10: REACHABLE_TIME, of which half to one and a half times is taken (section 6.3.2).
pub(super) const REACHABLE: Duration = Duration::from_secs(30);
/// DELAY_FIRST_PROBE_TIME.
pub(super) const DELAY: Duration = Duration::from_secs(5);
/// RETRANS_TIMER; also the rate limit of requests per neighbour (RFC 1122 section 2.3.2.1).
pub(super) const RETRANSMIT: Duration = Duration::from_secs(1);
/// MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT.
pub(super) const TRIES: u8 = 3;
/// A neighbour that nobody sends to is forgotten after this long.
pub(super) const FORGET: Duration = Duration::from_secs(1200);
/// Who did not answer is not asked again for this long.
pub(super) const HOLD_DOWN: Duration = Duration::from_secs(3);
/// Who was sent to within this time keeps its place in a full table.
pub(super) const IN_USE: Duration = Duration::from_secs(60);
/// A gateway that is watched closely is asked this often, answers within this time, and is silent after [`TRIES`].
pub(super) const CLOSELY: Duration = Duration::from_millis(200);
/// One that sends other things meanwhile is asked so often: what is lost then are packets, not the gateway.
pub(super) const TRIES_HEARD: u8 = 15;
/// An operator hears at most this often that a neighbour moved.
pub(super) const TOLD: Duration = Duration::from_secs(1);

/// Names an entry, as long as it lives: index and generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeighbourId(u32);

impl NeighbourId {
    /// No neighbour.
    pub const NONE: NeighbourId = NeighbourId(u32::MAX);

    pub(super) const fn new(index: u16, generation: u16) -> Self {
        NeighbourId((generation as u32) << 16 | index as u32)
    }

    /// As a number, for a flow's record.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// From the number.
    pub const fn from_raw(raw: u32) -> Self {
        NeighbourId(raw)
    }

    pub(super) const fn index(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    pub(super) const fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

/// What is known of a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Nobody has asked for it yet.
    New,
    /// Asked for; `tries` requests are out.
    Incomplete { tries: u8 },
    /// Known and recently confirmed.
    Reachable,
    /// Known; to be confirmed when somebody sends to it.
    Stale,
    /// Somebody sends to it; asked again soon.
    Delay,
    /// Asked again, by unicast.
    Probe { tries: u8 },
    /// Does not answer.
    Failed,
    /// The slot is free.
    Free,
}

impl State {
    /// The MAC address may be used.
    #[inline]
    pub(super) const fn is_usable(self) -> bool {
        match self {
            State::Reachable | State::Stale | State::Delay | State::Probe { .. } => true,
            State::New | State::Incomplete { .. } | State::Failed | State::Free => false,
        }
    }

    /// A question of ours is out, so that an answer is one.
    pub(super) const fn is_asked(self) -> bool {
        match self {
            State::Incomplete { .. } | State::Probe { .. } => true,
            State::New | State::Reachable | State::Stale | State::Delay | State::Failed | State::Free => {
                false
            }
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            State::New | State::Incomplete { .. } => "incomplete",
            State::Reachable => "reachable",
            State::Stale => "stale",
            State::Delay => "delay",
            State::Probe { .. } => "probe",
            State::Failed => "failed",
            State::Free => "free",
        }
    }
}

/// A neighbour.
pub(super) struct Entry<P> {
    /// Counts the neighbours that had this slot.
    pub generation: u16,
    pub state: State,
    pub mac: MacAddr,
    /// When somebody last sent to it.
    pub used: Instant,
    pub interface: InterfaceId,
    pub address: IpAddr,
    /// When the state has had its time.
    pub deadline: Instant,
    /// Since when it does not answer (or has not yet).
    pub silent: Instant,
    /// When an operator was last told that it moved.
    pub told: Option<Instant>,
    /// When something else of it came in while a question was out.
    pub heard: Option<Instant>,
    /// Asked for whether or not there is traffic.
    pub watched: bool,
    /// Packets that wait for the MAC address.
    pub parked: Vec<P>,
}
