//! Runs scripts on a router on the bench.

use std::time::Duration;

use koi::conntrack::Filter;
use koi::wire::icmp_error;
use koi::wire::{Drop, Packet, Transport, mss};

use super::SetUp;
use super::language::{Line, Variables, What, host, read};
use super::packet;
use super::rig::{Rig, Sent};

/// A router with three ports: WAN, LAN and DMZ.
pub struct Bench {
    rig: Rig,
    variables: Variables,
    /// The last packet that left and was no error.
    last: Option<Vec<u8>>,
}

impl Bench {
    pub fn new(set_up: &SetUp) -> Self {
        Bench { rig: Rig::new(&document(set_up)), variables: Variables::default(), last: None }
    }

    /// Runs a script; the first line that is wrong, and why.
    pub fn run(&mut self, script: &str) -> Result<(), String> {
        for line in script.lines() {
            let Some(step) = read(line) else { continue };
            self.step(&step).map_err(|why| {
                let drops = self.rig.shard.recent_drops();
                format!("{}: {why} (last drop {:?})", line.trim(), drops.first().map(|drop| &drop.reason))
            })?;
        }
        Ok(())
    }

    fn step(&mut self, line: &Line<'_>) -> Result<(), String> {
        match line {
            Line::Wait(seconds) => {
                self.rig.wait(Duration::from_secs(*seconds));
                Ok(())
            }
            Line::States(count) => match self.states() {
                found if found == *count => Ok(()),
                found => Err(format!("{found} states")),
            },
            Line::Packet { port, words, what } => self.packet(*port, words, what),
        }
    }

    /// Flows, but for those of the router itself, which watches its gateways.
    fn states(&self) -> usize {
        let (flows, _) = self.rig.shard.flows(self.rig.now, &Filter::default(), None, 1 << 20);
        flows.iter().filter(|flow| flow.ingress != "self").count()
    }

    fn packet(&mut self, port: u8, words: &[&str], what: &[What<'_>]) -> Result<(), String> {
        let before: Vec<u64> = Drop::ALL.iter().map(|drop| self.rig.shard.drops_of(*drop)).collect();
        let bytes = packet::build(words, &self.variables, self.last.as_deref());
        let sent: Vec<Sent> =
            self.rig.packet(port, bytes).into_iter().filter(|sent| sent.ip().is_some()).collect();
        let leaves = what.iter().filter(|what| matches!(what, What::Leaves(..))).count();
        if sent.len() != leaves {
            return Err(format!(
                "{} packets left: {:?}",
                sent.len(),
                sent.iter().map(words_of).collect::<Vec<_>>()
            ));
        }
        for what in what {
            match what {
                What::Dropped(name) => {
                    let at = Drop::ALL.iter().position(|drop| drop.name() == *name);
                    let at = at.unwrap_or_else(|| panic!("no drop {name}"));
                    if self.rig.shard.drops_of(Drop::ALL[at]) == before[at] {
                        return Err(format!("{name} did not count"));
                    }
                }
                What::Leaves(port, pairs) => {
                    let found = sent.iter().find(|sent| sent.port == *port);
                    self.compare(found.ok_or(format!("nothing left by port {port}"))?, pairs)?;
                }
            }
        }
        // What may be quoted: no error is made about an error.
        let is_error = |packet: &Packet| matches!(packet.layout.transport, Transport::IcmpError { .. });
        if let Some(last) = sent.last().and_then(Sent::ip).filter(|packet| !is_error(packet)) {
            self.last = Some(last.ip().to_vec());
        }
        Ok(())
    }

    fn compare(&mut self, sent: &Sent, pairs: &[(&str, &str)]) -> Result<(), String> {
        let packet = sent.ip().ok_or("no IP packet")?;
        if !packet.transport_checksum_ok() {
            return Err("a wrong checksum".into());
        }
        for (name, expected) in pairs {
            let found = value(&packet, name);
            // An end has two values.
            let right = match (expected.rsplit_once(':'), found.rsplit_once(':')) {
                _ if *name == "quotes" => {
                    let ends = |text: &str| -> Vec<String> {
                        let ends = text.split('>').filter_map(|end| end.rsplit_once(':'));
                        ends.flat_map(|(address, port)| [host(address).to_owned(), port.to_owned()]).collect()
                    };
                    let (expected, found) = (ends(expected), ends(&found));
                    expected.len() == found.len()
                        && expected.iter().zip(&found).all(|(a, b)| self.variables.fits(a, b))
                }
                (Some((address, port)), Some((found, number))) if matches!(*name, "src" | "dst") => {
                    self.variables.fits(host(address), found) && self.variables.fits(port, number)
                }
                (None, Some((found, _))) if matches!(*name, "src" | "dst") => {
                    self.variables.fits(host(expected), found)
                }
                _ => self.variables.fits(expected, &found),
            };
            if !right {
                return Err(format!("{name} is {found}"));
            }
        }
        Ok(())
    }
}

fn words_of(sent: &Sent) -> String {
    sent.ip().map_or(String::new(), |packet| {
        ["src", "dst", "flags", "icmp"].map(|name| format!("{name}={}", value(&packet, name))).join(" ")
    })
}

/// A fact of a packet, as scripts write it.
fn value(packet: &Packet, name: &str) -> String {
    let key = packet.layout.key;
    let ip = packet.ip();
    let tcp = match packet.layout.transport {
        Transport::Tcp { flags, seq, ack, window, .. } => (flags, seq, ack, window),
        _ => (0, 0, 0, 0),
    };
    let word = |bytes: &[u8]| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    match name {
        "src" => format!("{}:{}", key.src(), key.src_port()),
        "dst" => format!("{}:{}", key.dst(), key.dst_port()),
        "flags" => {
            "FSRPAUEW".chars().enumerate().filter(|(at, _)| tcp.0 >> at & 1 == 1).map(|(_, c)| c).collect()
        }
        "seq" => tcp.1.to_string(),
        "ack" => tcp.2.to_string(),
        "win" => tcp.3.to_string(),
        "ttl" => packet.layout.hop_limit.to_string(),
        "mss" => mss::announced(packet).unwrap_or(0).to_string(),
        "id" => u16::from_be_bytes([ip[4], ip[5]]).to_string(),
        "df" => u8::from(packet.layout.dont_fragment).to_string(),
        "flow" => ip[2].to_string(),
        "tos" => packet.layout.traffic_class.to_string(),
        "len" => packet.payload_len().to_string(),
        "size" => ip.len().to_string(),
        "proto" => key.protocol().to_string(),
        "echo" => u16::from_be_bytes([packet.transport()[4], packet.transport()[5]]).to_string(),
        "icmp" => match packet.layout.transport {
            Transport::IcmpError { kind, code } => format!("{kind}/{code}"),
            Transport::IcmpQuery { .. } => packet.transport()[0].to_string(),
            _ => String::new(),
        },
        "mtu" => (word(&packet.transport()[4..8]) & 0xffff).to_string(),
        "quotes" => icmp_error::quoted(packet).map_or("nothing".into(), |quoted| {
            let key = quoted.key;
            format!("{}:{}>{}:{}", key.src(), key.src_port(), key.dst(), key.dst_port())
        }),
        other => panic!("no fact {other}"),
    }
}

fn document(SetUp { nat, system, rules }: &SetUp) -> String {
    let outbound = if *nat { "" } else { "[outbound]\nmode = \"disabled\"\n" };
    let part = |name: &str, addresses: &str| {
        format!("[[node.interface]]\nname = \"{name}\"\naddresses = [{addresses}]\n")
    };
    let ports: String = ["wan", "lan", "dmz"]
        .map(|name| format!("[[node.port]]\nname = \"{name}\"\ntap = \"{name}\"\n"))
        .concat();
    let interfaces: String = ["wan", "lan", "dmz"]
        .map(|name| {
            let more = if name == "dmz" { "mtu = 1400\n" } else { "" };
            format!("[[interface]]\nname = \"{name}\"\nzone = \"{name}\"\nport = \"{name}\"\n{more}")
        })
        .concat();
    let parts = [
        part("wan", "\"198.51.100.2/24\", \"2001:db8:1::2/64\""),
        part("lan", "\"192.168.1.1/24\", \"2001:db8:10::1/64\""),
        part("dmz", "\"10.20.0.1/24\", \"2001:db8:20::1/64\""),
    ]
    .concat();
    format!(
        "schema = 1\nrevision = 1\n[system]\nhostname = \"koi\"\n{system}\n[[node]]\nname = \"alpha\"\n{ports}{parts}\
         {interfaces}[[gateway]]\nname = \"GW\"\ninterface = \"wan\"\naddress = \"198.51.100.1\"\ndefault = true\n\
         [[gateway]]\nname = \"GW6\"\ninterface = \"wan\"\naddress = \"2001:db8:1::1\"\ndefault = true\n\
         {rules}{outbound}"
    )
}
