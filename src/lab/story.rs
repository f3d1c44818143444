//! What must hold in the lab: who reaches whom, and who does not.

use std::net::{IpAddr, SocketAddr};

use super::probe::Probe;
use super::services::{TCP_PORT, UDP_PORT};

/// Something that a host tries.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Name of the check.
    pub name: &'static str,
    /// The host that tries.
    pub from: &'static str,
    /// Whom it wants to reach.
    pub to: &'static str,
    /// Where that is.
    pub address: &'static str,
    /// The port, where there are ports.
    pub port: u16,
    /// What it tries.
    pub probe: Probe,
    /// What must come of it.
    pub expect: Expect,
}

/// What must come of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// An answer, through a flow that leaves with this source address.
    Translated(&'static str),
    /// An answer, through a flow that keeps its addresses.
    Routed,
    /// An answer from the router itself.
    Answered,
    /// No answer, and the router has counted the refusal.
    Refused,
}

impl Attempt {
    /// Where it goes.
    pub fn destination(&self) -> SocketAddr {
        // The addresses of the table are literals; a test parses them all.
        let address: IpAddr = self.address.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        SocketAddr::new(address, self.port)
    }

    /// The words for protocol and family.
    pub fn words(&self) -> (&'static str, &'static str) {
        let protocol = match self.probe {
            Probe::Tcp | Probe::Connect => "TCP",
            Probe::Udp => "UDP",
            Probe::Ping => "ping",
            Probe::Upload => "TCP, sending",
            Probe::Download => "TCP, receiving",
        };
        (protocol, if self.destination().is_ipv6() { "IPv6" } else { "IPv4" })
    }
}

const WAN4: &str = "203.0.113.2";
const WAN6: &str = "2001:db8:1::2";
const SERVER4: &str = "198.51.100.10";
const SERVER6: &str = "2001:db8:ffff::10";
const CLIENT4: &str = "192.168.1.10";
const CLIENT6: &str = "2001:db8:10::10";
const WWW4: &str = "10.20.0.10";
const WWW6: &str = "2001:db8:20::10";
const LAN4: &str = "192.168.1.1";
const LAN6: &str = "2001:db8:10::1";
const DMZ4: &str = "10.20.0.1";
const HTTPS: u16 = 443;

/// One line of the table.
macro_rules! attempt {
    ($name:literal, $from:literal -> $to:literal $address:ident : $port:expr, $probe:ident, $expect:expr) => {
        Attempt {
            name: $name,
            from: $from,
            to: $to,
            address: $address,
            port: $port,
            probe: Probe::$probe,
            expect: $expect,
        }
    };
}

use Expect::{Answered, Refused, Routed, Translated};

/// Who reaches whom, one after the other.
pub const REACHES: &[Attempt] = &[
    attempt!("lan-internet-ping4", "client" -> "server" SERVER4: 0, Ping, Translated(WAN4)),
    attempt!("lan-internet-ping6", "client" -> "server" SERVER6: 0, Ping, Routed),
    attempt!("lan-internet-tcp4", "client" -> "server" SERVER4: TCP_PORT, Tcp, Translated(WAN4)),
    attempt!("lan-internet-tcp6", "client" -> "server" SERVER6: TCP_PORT, Tcp, Routed),
    attempt!("lan-internet-udp4", "client" -> "server" SERVER4: UDP_PORT, Udp, Translated(WAN4)),
    attempt!("lan-internet-udp6", "client" -> "server" SERVER6: UDP_PORT, Udp, Routed),
    attempt!("dmz-internet-tcp4", "www" -> "server" SERVER4: TCP_PORT, Tcp, Translated(WAN4)),
    attempt!("dmz-internet-tcp6", "www" -> "server" SERVER6: TCP_PORT, Tcp, Routed),
    attempt!("lan-dmz-tcp4", "client" -> "www" WWW4: TCP_PORT, Tcp, Routed),
    attempt!("lan-dmz-tcp6", "client" -> "www" WWW6: TCP_PORT, Tcp, Routed),
    attempt!("lan-router-ping4", "client" -> "router" LAN4: 0, Ping, Answered),
    attempt!("lan-router-ping6", "client" -> "router" LAN6: 0, Ping, Answered),
    attempt!("lan-gui", "client" -> "router" LAN4: HTTPS, Connect, Answered),
];

/// At what rate, one after the other.
pub const RATES: &[Attempt] = &[
    attempt!("rate-up-4", "client" -> "server" SERVER4: TCP_PORT, Upload, Translated(WAN4)),
    attempt!("rate-down-4", "client" -> "server" SERVER4: TCP_PORT, Download, Translated(WAN4)),
    attempt!("rate-up-6", "client" -> "server" SERVER6: TCP_PORT, Upload, Routed),
    attempt!("rate-down-6", "client" -> "server" SERVER6: TCP_PORT, Download, Routed),
    attempt!("rate-dmz-4", "client" -> "www" WWW4: TCP_PORT, Download, Routed),
];

/// What must not be reached, all at once. Where a host is the target, its service answers at home; that the router's
/// own ports answer, `lan-gui` shows.
pub const REFUSED: &[Attempt] = &[
    attempt!("wan-lan-tcp4", "outsider" -> "client" CLIENT4: TCP_PORT, Tcp, Refused),
    attempt!("wan-lan-tcp6", "outsider" -> "client" CLIENT6: TCP_PORT, Tcp, Refused),
    attempt!("internet-lan-tcp6", "server" -> "client" CLIENT6: TCP_PORT, Tcp, Refused),
    attempt!("wan-lan-udp6", "outsider" -> "client" CLIENT6: UDP_PORT, Udp, Refused),
    attempt!("wan-dmz-tcp4", "outsider" -> "www" WWW4: TCP_PORT, Tcp, Refused),
    attempt!("dmz-lan-tcp4", "www" -> "client" CLIENT4: TCP_PORT, Tcp, Refused),
    attempt!("dmz-lan-tcp6", "www" -> "client" CLIENT6: TCP_PORT, Tcp, Refused),
    attempt!("dmz-lan-ping4", "www" -> "client" CLIENT4: 0, Ping, Refused),
    attempt!("dmz-gui", "www" -> "router" DMZ4: HTTPS, Connect, Refused),
    attempt!("wan-router-22", "outsider" -> "router" WAN4: 22, Connect, Refused),
    attempt!("wan-router-80", "outsider" -> "router" WAN4: 80, Connect, Refused),
    attempt!("wan-router-443", "outsider" -> "router" WAN4: HTTPS, Connect, Refused),
    attempt!("wan-router-443-6", "outsider" -> "router" WAN6: HTTPS, Connect, Refused),
    attempt!("wan-router-ping4", "outsider" -> "router" WAN4: 0, Ping, Refused),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::lab::network::Network;

    #[test]
    fn the_table_makes_sense() {
        let hosts: HashSet<&str> = Network::story(&crate::config::parse(crate::lab::CONFIG).unwrap())
            .hosts
            .iter()
            .map(|host| host.name)
            .collect();
        let mut names = HashSet::new();
        for attempt in REACHES.iter().chain(RATES).chain(REFUSED) {
            assert!(attempt.address.parse::<IpAddr>().is_ok(), "{attempt:?}");
            assert!(hosts.contains(attempt.from), "{attempt:?}");
            assert!(attempt.to == "router" || hosts.contains(attempt.to), "{attempt:?}");
            assert!(names.insert(attempt.name), "{} is there twice", attempt.name);
        }
        assert!(REFUSED.iter().all(|attempt| attempt.expect == Refused));
    }
}
