//! The document of a machine that nobody has told anything: made from its network cards.
//!
//! The first card is WAN, the second LAN, the third DMZ; a fourth one is meant for the cable to the peer and is named in
//! a comment, since a port that nobody uses is no part of a document.

use std::fmt::Write;

use crate::types::{MacAddr, Prefix};

/// Where the LAN is found.
pub const LAN: &str = "192.168.1.1/24";
/// The machine's name.
pub const NAME: &str = "koi";

/// What somebody may have said about the first configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wishes {
    /// Name of the machine.
    pub hostname: Option<String>,
    /// Address of WAN; none, until somebody gives one.
    pub wan: Option<Prefix>,
    /// The provider's router.
    pub gateway: Option<std::net::IpAddr>,
    /// Address of LAN.
    pub lan: Option<Prefix>,
    /// Address of DMZ.
    pub dmz: Option<Prefix>,
}

/// An interface that the document may have: name, zone, address.
type Side = (&'static str, &'static str, String);

/// The document. Without cards it has a LAN on a TAP, so that there is one.
pub fn document(cards: &[MacAddr], wishes: &Wishes) -> String {
    let Wishes { hostname, wan, gateway, lan, dmz } = wishes;
    let name = hostname.as_deref().unwrap_or(NAME);
    let node: String = name.split('.').next().unwrap_or(NAME).to_ascii_lowercase();
    let lan = lan.map_or_else(|| LAN.to_owned(), |lan| lan.to_string());
    let text = |prefix: &Option<Prefix>| prefix.map(|prefix| prefix.to_string()).unwrap_or_default();
    let sides: [Side; 3] = [("wan", "wan", text(wan)), ("lan", "lan", lan), ("dmz", "dmz", text(dmz))];
    // A single card is LAN: nothing else can be reached then.
    let plugs: Vec<(MacAddr, &Side)> = match cards {
        [only] => vec![(*only, &sides[1])],
        cards => cards.iter().copied().zip(&sides).collect(),
    };
    let plugs: Vec<(Option<MacAddr>, &Side)> = match plugs.is_empty() {
        true => vec![(None, &sides[1])],
        false => plugs.into_iter().map(|(mac, side)| (Some(mac), side)).collect(),
    };
    let mut out = format!(
        "schema = 1\nrevision = 1\n\n[system]\nhostname = \"{name}\"\n\n[[node]]\nname = \"{node}\"\n"
    );
    let mut interfaces = String::new();
    for (mac, (name, _, address)) in &plugs {
        let device = mac.map_or_else(|| format!("tap = \"koi-{name}\""), |mac| format!("nic = \"{mac}\""));
        let _ = write!(out, "\n[[node.port]]\nname = \"{name}\"\n{device}\n");
        let _ = write!(interfaces, "\n[[node.interface]]\nname = \"{name}\"\n");
        if let Some(mac) = mac {
            let _ = writeln!(interfaces, "mac = \"{mac}\"");
        }
        if !address.is_empty() {
            let _ = writeln!(interfaces, "addresses = [\"{address}\"]");
        }
    }
    out.push_str(&interfaces);
    if let Some(fourth) = cards.get(3) {
        let _ = write!(out, "\n# For the cable to a second Koi: koi pair create --sync sync={fourth} ...\n");
    }
    for (_, (name, zone, _)) in &plugs {
        let _ = write!(out, "\n[[interface]]\nname = \"{name}\"\nzone = \"{zone}\"\nport = \"{name}\"\n");
    }
    let has_wan = plugs.iter().any(|(_, (name, _, _))| *name == "wan");
    if !has_wan || wan.is_none() {
        out.push_str(UNTRANSLATED);
    }
    if let Some(gateway) = gateway.filter(|_| has_wan && wan.is_some()) {
        let _ = write!(
            out,
            "\n[[gateway]]\nname = \"WANGW\"\ninterface = \"wan\"\naddress = \"{gateway}\"\ndefault = true\n"
        );
    }
    out.push_str(RULE);
    out
}

/// Nothing can be translated to an address that is not there; the console's menu and the pages change that with it.
const UNTRANSLATED: &str = r#"
# WAN has no address yet. With one, translation is "automatic".
[outbound]
mode = "disabled"
"#;

/// As pfSense has it.
const RULE: &str = r#"
[[rule]]
id = 1000000
interface = "lan"
action = "pass"
source = "lan net"
description = "Default allow LAN to any rule"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn card(number: u8) -> MacAddr {
        MacAddr([0x52, 0x54, 0, 0, 0, number])
    }

    #[test]
    fn any_number_of_cards_gives_a_document_that_works() {
        for (count, ports) in [(0, "lan"), (1, "lan"), (2, "wan lan"), (3, "wan lan dmz"), (4, "wan lan dmz")]
        {
            let cards: Vec<MacAddr> = (0..count).map(card).collect();
            let text = document(&cards, &Wishes::default());
            let config = config::load(&text).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"));
            let node = &config.nodes[0];
            let names: Vec<&str> = node.ports.iter().map(|port| port.name.as_str()).collect();
            assert_eq!(names.join(" "), ports);
            let lan = node.interfaces.iter().find(|interface| interface.name == "lan").unwrap();
            assert_eq!(lan.addresses[0].to_string(), LAN);
            assert_eq!(text.contains(&card(3).to_string()), count == 4, "the fourth is named");
        }
    }

    #[test]
    fn what_was_wished_is_there() {
        let wishes = Wishes {
            hostname: Some("Gate.example".into()),
            wan: Some("198.51.100.2/24".parse().unwrap()),
            gateway: Some("198.51.100.1".parse().unwrap()),
            lan: Some("10.0.0.1/16".parse().unwrap()),
            dmz: Some("10.9.0.1/24".parse().unwrap()),
        };
        let config = config::load(&document(&[card(0), card(1), card(2)], &wishes)).unwrap();
        assert_eq!(
            (config.system.hostname.as_str(), config.nodes[0].name.as_str()),
            ("Gate.example", "gate")
        );
        let ports: Vec<_> = config.nodes[0].ports.iter().map(|port| port.nic.unwrap()).collect();
        assert_eq!(ports, [card(0), card(1), card(2)]);
        assert_eq!(config.nodes[0].interfaces[0].mac, Some(card(0)), "the card's own address");
        assert_eq!(Some(config.gateways[0].address), wishes.gateway);
    }
}
