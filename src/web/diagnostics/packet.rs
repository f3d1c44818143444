//! The first packet of a flow, as an address of a page writes it.

use std::net::IpAddr;

use serde::Deserialize;

use super::states::name_of;
use super::which::protocol_number;
use crate::conntrack::FlowState;
use crate::node::{Asked, Compiled, protocol_name};
use crate::rules::Record;
use crate::web::guard::percent_encode;
use crate::wire::FlowKey;

/// What stands behind the question mark.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Packet {
    pub interface: String,
    pub protocol: String,
    pub src: String,
    pub sport: String,
    pub dst: String,
    pub dport: String,
    pub dscp: String,
}

impl Packet {
    /// Of a flow that exists.
    pub fn of_flow(compiled: &Compiled, flow: &FlowState) -> Packet {
        Packet::of(name_of(compiled, flow.ingress), &flow.original, 0)
    }

    /// Of a record of the firewall log.
    pub fn of_record(compiled: &Compiled, record: &Record) -> Packet {
        Packet::of(name_of(compiled, record.ingress), &record.key, record.dscp)
    }

    fn of(interface: String, key: &FlowKey, dscp: u8) -> Packet {
        Packet {
            interface,
            protocol: protocol_name(key.protocol()),
            src: key.src().to_string(),
            sport: key.src_port().to_string(),
            dst: key.dst().to_string(),
            dport: key.dst_port().to_string(),
            dscp: if dscp == 0 { String::new() } else { dscp.to_string() },
        }
    }

    /// Nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.src.is_empty() && self.dst.is_empty()
    }

    /// The fields that are filled in, by their names.
    pub fn filled(&self) -> Vec<(&'static str, &str)> {
        let Packet { interface, protocol, src, sport, dst, dport, dscp } = self;
        let pairs = [
            ("interface", interface),
            ("protocol", protocol),
            ("src", src),
            ("sport", sport),
            ("dst", dst),
            ("dport", dport),
            ("dscp", dscp),
        ];
        pairs
            .into_iter()
            .map(|(name, text)| (name, text.as_str()))
            .filter(|(_, text)| !text.is_empty())
            .collect()
    }

    /// What stands behind a question mark for it.
    pub fn query(&self) -> String {
        let pairs = self.filled().into_iter().map(|(name, text)| format!("{name}={}", percent_encode(text)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// As a question. What is left out is as it usually is: TCP from some port to HTTPS.
    ///
    /// # Errors
    /// Everything that means nothing, in sentences.
    pub fn asked(&self) -> Result<Asked, Vec<String>> {
        let mut wrong = Vec::new();
        let mut address = |text: &str, what: &str| {
            let read = text.trim().parse::<IpAddr>();
            read.map_err(|_| wrong.push(format!("The {what}, \"{text}\", is not an address."))).ok()
        };
        let (src, dst) = (address(&self.src, "source"), address(&self.dst, "destination"));
        let mut number = |text: &str, usual: u16, most: u16| {
            let read = if text.trim().is_empty() { Ok(usual) } else { text.trim().parse::<u16>() };
            match read {
                Ok(number) if number <= most => number,
                Ok(_) | Err(_) => {
                    wrong.push(format!("\"{text}\" is not a number from 0 to {most}."));
                    usual
                }
            }
        };
        let (sport, dport) = (number(&self.sport, 40_000, u16::MAX), number(&self.dport, 443, u16::MAX));
        let dscp = number(&self.dscp, 0, 63);
        let protocol = match self.protocol.trim() {
            "" => Ok(crate::wire::protocol::TCP),
            text => protocol_number(text),
        };
        let protocol =
            protocol.map_err(|why| wrong.push(format!("\"{}\" is not {why}.", self.protocol))).ok();
        match (src, dst, protocol) {
            (Some(src), Some(dst), Some(protocol)) if wrong.is_empty() => Ok(Asked {
                interface: self.interface.trim().to_owned(),
                src,
                sport,
                dst,
                dport,
                protocol,
                dscp: dscp as u8,
            }),
            _ => Err(wrong),
        }
    }
}

/// What stands behind a question mark for the packet that began a flow.
pub(super) fn of_flow(interface: &str, key: &FlowKey) -> String {
    Packet::of(interface.to_owned(), key, 0).query()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_usual_and_what_is_wrong_is_named() {
        let packet = Packet {
            interface: "lan".into(),
            src: "192.168.1.5".into(),
            dst: "2001:db8::1".into(),
            ..Packet::default()
        };
        let asked = packet.asked().unwrap();
        assert_eq!((asked.protocol, asked.sport, asked.dport), (6, 40_000, 443));
        assert_eq!(packet.query(), "interface=lan&src=192.168.1.5&dst=2001%3Adb8%3A%3A1");
        let wrong = Packet { src: "x".into(), dport: "70000".into(), protocol: "ftp".into(), ..packet };
        assert_eq!(wrong.asked().unwrap_err().len(), 3);
    }
}
