//! The filter of a capture: a small part of tcpdump's language, as a pure predicate on a frame.
//!
//! ```text
//! filter    = term { "or" term }
//! term      = factor { ["and"] factor }
//! factor    = "not" factor | "(" filter ")" | primitive
//! primitive = "host" ADDRESS | "net" NETWORK | "port" NUMBER
//!           | "tcp" | "udp" | "icmp" | "icmp6" | "arp" | "ip" | "ip6"
//! ```
//!
//! Invariant: parsing and matching are total; a frame that is cut short matches nothing that its missing bytes
//! would have to prove.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{ethertype, protocol};
use crate::types::Prefix;

/// More words than anybody types.
const WORDS_MAX: usize = 256;
/// Parentheses and negations within each other.
const DEPTH_MAX: usize = 32;
/// IPv6 extension headers that are looked behind.
const EXTENSIONS_MAX: usize = 8;

/// Which frames a capture keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    /// Every frame: the empty text.
    Everything,
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// At least one.
    Or(Box<Filter>, Box<Filter>),
    /// The others.
    Not(Box<Filter>),
    /// Source or destination lies in a network; in ARP, the sender's or the target's address.
    Net(Prefix),
    /// Source or destination port.
    Port(u16),
    /// TCP, UDP, ICMP or ICMPv6.
    Protocol(u8),
    /// IPv4, IPv6 or ARP.
    EtherType(u16),
}

impl Filter {
    /// True when the frame is kept.
    pub fn matches(&self, frame: &[u8]) -> bool {
        match self {
            Filter::Everything => true,
            _ => self.holds(&Facts::of(frame)),
        }
    }

    fn holds(&self, facts: &Facts) -> bool {
        match self {
            Filter::Everything => true,
            Filter::And(left, right) => left.holds(facts) && right.holds(facts),
            Filter::Or(left, right) => left.holds(facts) || right.holds(facts),
            Filter::Not(inner) => !inner.holds(facts),
            Filter::Net(net) => facts.addresses.iter().flatten().any(|address| net.contains(address)),
            Filter::Port(port) => facts.ports.iter().flatten().any(|found| found == port),
            Filter::Protocol(number) => facts.protocol == Some(*number),
            Filter::EtherType(number) => facts.ethertype == Some(*number),
        }
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Filter, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().take(WORDS_MAX + 1).collect();
        if words.is_empty() {
            return Ok(Filter::Everything);
        }
        if words.len() > WORDS_MAX {
            return Err(format!("the filter has more than {WORDS_MAX} words"));
        }
        let mut reader = Reader { words: &words, depth: 0 };
        let filter = reader.filter()?;
        match reader.words.first() {
            None => Ok(filter),
            Some(word) => Err(format!("\"{word}\" is one parenthesis too many")),
        }
    }
}

/// The words that are still to be read.
struct Reader<'a> {
    words: &'a [&'a str],
    depth: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn skip(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn filter(&mut self) -> Result<Filter, String> {
        let mut filter = self.term()?;
        while self.skip("or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.term()?));
        }
        Ok(filter)
    }

    fn term(&mut self) -> Result<Filter, String> {
        let mut filter = self.factor()?;
        // "tcp port 443" means "tcp and port 443".
        while self.skip("and") || self.words.first().is_some_and(|word| !matches!(*word, "or" | ")")) {
            filter = Filter::And(Box::new(filter), Box::new(self.factor()?));
        }
        Ok(filter)
    }

    fn factor(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("the filter is nested more than {DEPTH_MAX} deep"));
        }
        let filter = if self.skip("not") {
            Filter::Not(Box::new(self.factor()?))
        } else if self.skip("(") {
            let inner = self.filter()?;
            if !self.skip(")") {
                return Err("a \")\" is missing".into());
            }
            inner
        } else {
            self.primitive()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn primitive(&mut self) -> Result<Filter, String> {
        let word = self.take().ok_or("the filter ends too early")?;
        match word {
            "tcp" => Ok(Filter::Protocol(protocol::TCP)),
            "udp" => Ok(Filter::Protocol(protocol::UDP)),
            "icmp" => Ok(Filter::Protocol(protocol::ICMP)),
            "icmp6" => Ok(Filter::Protocol(protocol::ICMPV6)),
            "arp" => Ok(Filter::EtherType(ethertype::ARP)),
            "ip" => Ok(Filter::EtherType(ethertype::IPV4)),
            "ip6" => Ok(Filter::EtherType(ethertype::IPV6)),
            "host" => self.value("host", "an address").map(|address: IpAddr| Filter::Net(address.into())),
            "net" => self.value("net", "a network like 10.0.0.0/8").map(Filter::Net),
            "port" => self.value("port", "a number up to 65535").map(Filter::Port),
            other => Err(format!(
                "\"{other}\" is no part of a filter; write host, net, port, tcp, udp, icmp, icmp6, arp, ip, ip6, \
                 and, or, not and parentheses"
            )),
        }
    }

    fn value<T: FromStr>(&mut self, after: &str, what: &str) -> Result<T, String> {
        let word = self.take().ok_or_else(|| format!("after \"{after}\" comes {what}"))?;
        word.parse().map_err(|_| format!("after \"{after}\" comes {what}, not \"{word}\""))
    }
}

/// What a filter can ask of a frame.
#[derive(Default)]
struct Facts {
    ethertype: Option<u16>,
    addresses: [Option<IpAddr>; 2],
    protocol: Option<u8>,
    ports: [Option<u16>; 2],
}

impl Facts {
    fn of(frame: &[u8]) -> Facts {
        let mut facts = Facts::default();
        let mut at = 12;
        let mut kind = u16_at(frame, at);
        if kind == Some(ethertype::VLAN) {
            at += 4;
            kind = u16_at(frame, at);
        }
        facts.ethertype = kind;
        let packet = frame.get(at + 2..).unwrap_or_default();
        match kind {
            Some(ethertype::IPV4) => facts.ipv4(packet),
            Some(ethertype::IPV6) => facts.ipv6(packet),
            Some(ethertype::ARP) => {
                facts.addresses = [14, 24].map(|at| ipv4_at(packet, at).map(IpAddr::V4));
            }
            Some(_) | None => {}
        }
        facts
    }

    /// RFC 791 section 3.1.
    fn ipv4(&mut self, packet: &[u8]) {
        self.addresses = [12, 16].map(|at| ipv4_at(packet, at).map(IpAddr::V4));
        self.protocol = packet.get(9).copied();
        let first_fragment = u16_at(packet, 6).is_some_and(|word| word & 0x1fff == 0);
        let header = packet.first().map_or(0, |byte| usize::from(byte & 15) * 4);
        if first_fragment && header >= 20 {
            self.transport(packet.get(header..).unwrap_or_default());
        }
    }

    /// RFC 8200 sections 3 and 4.
    fn ipv6(&mut self, packet: &[u8]) {
        self.addresses = [8, 24].map(|at| ipv6_at(packet, at).map(IpAddr::V6));
        let mut next = packet.get(6).copied();
        let mut rest = packet.get(40..).unwrap_or_default();
        for _ in 0..EXTENSIONS_MAX {
            let len = match next {
                // Hop-by-hop options, routing, destination options.
                Some(0 | 43 | 60) => rest.get(1).map_or(0, |len| 8 + usize::from(*len) * 8),
                // Fragment: later ones have no ports.
                Some(44) if u16_at(rest, 2).is_some_and(|word| word & 0xfff8 == 0) => 8,
                Some(44) => {
                    self.protocol = rest.first().copied();
                    return;
                }
                Some(_) | None => break,
            };
            next = rest.first().copied();
            rest = rest.get(len.max(8)..).unwrap_or_default();
        }
        self.protocol = next;
        self.transport(rest);
    }

    fn transport(&mut self, segment: &[u8]) {
        if let Some(protocol::TCP | protocol::UDP) = self.protocol {
            self.ports = [0, 2].map(|at| u16_at(segment, at));
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn ipv4_at(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

fn ipv6_at(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(octets.into())
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    fn built(builder: etherparse::PacketBuilderStep<etherparse::UdpHeader>) -> Vec<u8> {
        let mut frame = Vec::new();
        builder.write(&mut frame, b"payload").unwrap();
        frame
    }

    fn udp4() -> Vec<u8> {
        built(PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64).udp(5353, 53))
    }

    fn udp6() -> Vec<u8> {
        let (mut src, mut dst) = ([0; 16], [0; 16]);
        (src[0], src[1], src[15]) = (0x20, 0x01, 1);
        (dst[0], dst[1], dst[15]) = (0x20, 0x01, 2);
        built(PacketBuilder::ethernet2([1; 6], [2; 6]).ipv6(src, dst, 64).udp(1000, 443))
    }

    fn arp() -> Vec<u8> {
        let mut frame = vec![0; 42];
        frame[12..14].copy_from_slice(&ethertype::ARP.to_be_bytes());
        frame[28..32].copy_from_slice(&[10, 0, 0, 1]);
        frame[38..42].copy_from_slice(&[10, 0, 0, 2]);
        frame
    }

    #[test]
    fn frames_match_what_a_person_would_expect() {
        let mut tagged = udp4();
        tagged.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
        let frames = [udp4(), udp6(), arp(), tagged];
        for (text, expected) in [
            ("", [true, true, true, true]),
            ("ip", [true, false, false, true]),
            ("ip6", [false, true, false, false]),
            ("arp", [false, false, true, false]),
            ("udp", [true, true, false, true]),
            ("tcp", [false, false, false, false]),
            ("host 10.0.0.1", [true, false, true, true]),
            ("host 10.0.0.2", [false, false, true, false]),
            ("host 2001::2", [false, true, false, false]),
            ("net 192.0.2.0/24", [true, false, false, true]),
            ("net 2000::/3", [false, true, false, false]),
            ("port 53", [true, false, false, true]),
            ("udp port 443", [false, true, false, false]),
            ("udp and port 443 or arp", [false, true, true, false]),
            ("udp and (port 443 or arp)", [false, true, false, false]),
            ("not udp", [false, false, true, false]),
            ("not (udp and ip)", [false, true, true, false]),
            ("not not arp", [false, false, true, false]),
        ] {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(frames.each_ref().map(|frame| filter.matches(frame)), expected, "{text}");
        }
    }

    #[test]
    fn later_fragments_have_no_ports() {
        let mut frame = udp4();
        frame[21] = 1;
        assert!(!"port 53".parse::<Filter>().unwrap().matches(&frame));
        assert!("udp".parse::<Filter>().unwrap().matches(&frame));
    }

    #[test]
    fn mistakes_are_explained() {
        let deep = format!("{}tcp", "not ".repeat(40));
        let long = "tcp ".repeat(300);
        for (text, part) in [
            ("host", "comes an address"),
            ("host example.org", "not \"example.org\""),
            ("net 10.0.0.0/40", "a network"),
            ("port 70000", "a number"),
            ("tcp or", "ends too early"),
            ("(tcp", "missing"),
            ("tcp)", "too many"),
            ("vlan 3", "no part of a filter"),
            (&deep, "nested"),
            (&long, "words"),
        ] {
            let error = text.parse::<Filter>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_and_any_frame_are_survived(text in "[a-z0-9 ().:/]{0,60}", frame in any::<Vec<u8>>()) {
            if let Ok(filter) = text.parse::<Filter>() {
                filter.matches(&frame);
            }
            for mut good in [udp4(), udp6(), arp()] {
                good.truncate(frame.len());
                let _ = Facts::of(&good);
            }
        }
    }
}
