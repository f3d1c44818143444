//! `[system.timeouts]`, `rule.timeouts` and `system.optimization`: pf's timers and pf's profiles of them.

use serde::{Deserialize, Serialize};

use super::is_default;

macro_rules! timers {
    ($($name:ident: $normal:literal;)* ; $(#[$doc:meta])* $other:ident: $its:literal;) => {
        /// pf's timers in seconds, as they are in force.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "the names are pf's own")]
        pub struct Timeouts {
            $(pub $name: u32,)*
            $(#[$doc])* pub $other: u32,
        }

        impl Default for Timeouts {
            /// pf's own.
            fn default() -> Self {
                Timeouts { $($name: $normal,)* $other: $its }
            }
        }

        /// `[system.timeouts]`: the timers that a person has set; the others are the profile's.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[allow(missing_docs, reason = "the names are pf's own")]
        pub struct SetTimeouts {
            $(#[serde(skip_serializing_if = "is_default")] pub $name: Option<u32>,)*
            $(#[$doc])* #[serde(skip_serializing_if = "is_default")] pub $other: Option<u32>,
        }

        impl SetTimeouts {
            /// The timers in force under a profile.
            pub fn under(&self, profile: Optimization) -> Timeouts {
                let of_profile = profile.timeouts();
                Timeouts {
                    $($name: self.$name.unwrap_or(of_profile.$name),)*
                    $other: self.$other.unwrap_or(of_profile.$other),
                }
            }

            /// Those that are set, by name.
            pub fn set(&self) -> impl Iterator<Item = (&'static str, u32)> {
                [$((stringify!($name), self.$name),)* (stringify!($other), self.$other)]
                    .into_iter()
                    .filter_map(|(name, set)| Some((name, set?)))
            }
        }

        /// `rule.timeouts`: the timers of a rule's flows that a person has set; the others are the system's.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[allow(missing_docs, reason = "the names are pf's own")]
        pub struct StateTimeouts {
            $(#[serde(skip_serializing_if = "is_default")] pub $name: Option<u32>,)*
        }

        impl StateTimeouts {
            /// The timers of the rule's flows.
            pub fn over(&self, system: &Timeouts) -> Timeouts {
                Timeouts { $($name: self.$name.unwrap_or(system.$name),)* $other: system.$other }
            }

            /// Those that are set, by name.
            pub fn set(&self) -> impl Iterator<Item = (&'static str, u32)> {
                [$((stringify!($name), self.$name),)*].into_iter().filter_map(|(name, set)| Some((name, set?)))
            }
        }
    };
}

timers! {
    tcp_first: 120;
    tcp_opening: 30;
    tcp_established: 86_400;
    tcp_closing: 900;
    tcp_finwait: 45;
    tcp_closed: 90;
    udp_first: 60;
    udp_single: 30;
    udp_multiple: 60;
    icmp_first: 20;
    icmp_error: 10;
    other_first: 60;
    other_single: 30;
    other_multiple: 60;
    ;
    /// Reassembly gives up on a datagram after this long.
    frag: 30;
}

/// pf's optimisation profiles: how long idle flows are remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimization {
    /// pf's own timers.
    #[default]
    Normal,
    /// For lines such as satellites.
    HighLatency,
    /// Idle flows end early.
    Aggressive,
    /// Idle flows are kept, whatever it costs.
    Conservative,
    /// No timer is shorter than RFC 5382, RFC 4787 and RFC 5508 ask of a NAT.
    Rfc,
}

impl Optimization {
    /// Its timers: a profile sets those of TCP; conservative, as in pfSense, those of UDP as well.
    pub fn timeouts(self) -> Timeouts {
        let normal = Timeouts::default();
        let tcp = |[first, opening, established, closing, finwait, closed]: [u32; 6]| Timeouts {
            tcp_first: first,
            tcp_opening: opening,
            tcp_established: established,
            tcp_closing: closing,
            tcp_finwait: finwait,
            tcp_closed: closed,
            ..normal
        };
        match self {
            Optimization::Normal => normal,
            Optimization::HighLatency => tcp([180, 35, 86_400, 905, 50, 95]),
            Optimization::Aggressive => tcp([30, 5, 18_000, 60, 30, 30]),
            Optimization::Conservative => Timeouts {
                udp_first: 300,
                udp_single: 150,
                udp_multiple: 900,
                ..tcp([3600, 900, 432_000, 3600, 600, 180])
            },
            // RFC 5382 REQ-5: four minutes, two hours and four minutes; RFC 4787 REQ-5: two minutes, five recommended;
            // RFC 5508 REQ-2: a minute; RFC 6092 REC-12: two minutes for other protocols.
            Optimization::Rfc => Timeouts {
                udp_first: 300,
                udp_single: 300,
                udp_multiple: 300,
                icmp_first: 60,
                icmp_error: 60,
                other_first: 120,
                other_single: 120,
                other_multiple: 120,
                ..tcp([240, 240, 86_400, 900, 240, 240])
            },
        }
    }
}
