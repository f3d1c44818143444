//! What a VHID is told to be, and the arithmetic of its intervals.

use std::fmt;
use std::net::IpAddr;

use crate::types::{Duration, Family, Vhid};

/// FreeBSD's CARP_MAXSKEW: what a demoted node advertises at most.
const MAX_SKEW: u8 = 240;
/// Both fields of an advertisement that takes leave, as the older BSDs sent it.
pub(super) const GOODBYE: u8 = 255;

/// A VHID as this node has it.
#[derive(Clone, PartialEq, Eq)]
pub struct VhidConfig {
    /// Its number.
    pub vhid: Vhid,
    /// All its virtual addresses: the CARP address and the aliases stacked on it.
    pub addresses: Vec<IpAddr>,
    /// The password, as typed.
    pub password: String,
    /// Seconds between advertisements; less than one counts as one, as in FreeBSD.
    pub advbase: u8,
    /// This node's skew, in 256ths of a second.
    pub advskew: u8,
    /// This node's own addresses on the interface. The first of each family is where advertisements come from.
    pub own: Vec<IpAddr>,
    /// Who elects.
    pub mode: Mode,
}

/// Who decides which node is MASTER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// The VHID itself, among CARP speakers that are not our peer.
    Foreign {
        /// Take the addresses from a master that advertises less often.
        preempt: bool,
        /// Advertise to this address instead of the group of its family.
        peer: Option<IpAddr>,
    },
    /// The pair, through [`super::Vhid::set_master`].
    Paired {
        /// The peer's own addresses on the interface.
        peer: Vec<IpAddr>,
    },
}

impl VhidConfig {
    /// The families in which the VHID has addresses, and so advertises.
    pub(super) fn families(&self) -> impl Iterator<Item = Family> + '_ {
        [Family::Inet, Family::Inet6]
            .into_iter()
            .filter(|family| self.addresses.iter().any(|address| family_of(*address) == *family))
    }

    /// FreeBSD adds the demotion to the skew, up to [`MAX_SKEW`].
    pub(super) fn effective_skew(&self, demotion: u8) -> u8 {
        self.advskew.saturating_add(demotion).min(MAX_SKEW)
    }

    /// Silence for this long makes a backup master. FreeBSD leaves its own demotion out of this.
    pub(super) fn master_down(&self) -> Duration {
        Interval::longest(self.base(), self.advskew).duration()
    }

    /// A master that was silent for this long is one no longer: nobody who counts its advertisements waits less.
    pub(super) fn lease(&self) -> Duration {
        Interval::longest(self.base(), 0).duration()
    }

    pub(super) fn base(&self) -> u8 {
        self.advbase.max(1)
    }

    /// Where advertisements of a family come from.
    pub(super) fn source(&self, family: Family) -> Option<IpAddr> {
        self.own.iter().copied().find(|address| family_of(*address) == family)
    }
}

impl fmt::Debug for VhidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VhidConfig { vhid, addresses, password: _, advbase, advskew, own, mode } = self;
        f.debug_struct("VhidConfig")
            .field("vhid", vhid)
            .field("addresses", addresses)
            .field("advbase", advbase)
            .field("advskew", advskew)
            .field("own", own)
            .field("mode", mode)
            .finish_non_exhaustive()
    }
}

/// The family of an address.
pub(super) fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Inet,
        IpAddr::V6(_) => Family::Inet6,
    }
}

/// Time between advertisements, in 256ths of a second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Interval(u32);

impl Interval {
    /// What an advertisement with these fields says.
    pub(super) fn new(advbase: u8, advskew: u8) -> Self {
        Interval(u32::from(advbase) * 256 + u32::from(advskew))
    }

    /// A master that advertises less often than this would time out.
    pub(super) fn longest(advbase: u8, advskew: u8) -> Self {
        Interval(3 * u32::from(advbase) * 256 + u32::from(advskew))
    }

    /// True when whoever sent this takes leave.
    pub(super) fn is_goodbye(self) -> bool {
        self == Interval::new(GOODBYE, GOODBYE)
    }

    pub(super) fn duration(self) -> Duration {
        // A 256th of a second has a whole number of nanoseconds.
        Duration::from_nanos(u64::from(self.0) * 3_906_250)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_the_usual_pair() {
        let config = |advbase, advskew| VhidConfig {
            vhid: Vhid(1),
            addresses: Vec::new(),
            password: String::from("sekrit"),
            advbase,
            advskew,
            own: Vec::new(),
            mode: Mode::Foreign { preempt: true, peer: None },
        };
        let table = [
            // base, skew, demotion; interval and master-down time in ms
            (1, 0, 0, 1_000, 3_000),
            (1, 100, 0, 1_390, 3_390),
            (1, 100, 100, 1_781, 3_390),
            (1, 100, 255, 1_937, 3_390),
            (1, 254, 0, 1_937, 3_992),
            (0, 0, 0, 1_000, 3_000),
            (255, 254, 0, 255_937, 765_992),
        ];
        for (base, skew, demotion, interval, down) in table {
            let config = config(base, skew);
            let interval_of = Interval::new(config.base(), config.effective_skew(demotion));
            assert_eq!(interval_of.duration().as_millis(), interval, "{base} {skew} {demotion}");
            assert_eq!(config.master_down().as_millis(), down, "{base} {skew} {demotion}");
        }
        assert!(!format!("{:?}", config(1, 0)).contains("sekrit"));
    }
}
