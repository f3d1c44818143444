//! Where the configuration comes from: the disk, or whoever has made the virtual machine, or nobody.

use std::collections::HashMap;
use std::fmt;

use data_encoding::BASE64;
use quick_xml::events::Event;

use super::factory::Wishes;
use crate::config::{Config, Valid};
use crate::types::MacAddr;

/// The longest document that is taken from outside.
pub const LONGEST: usize = 8 << 20;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The configuration partition, as it was.
    Disk,
    /// A file that QEMU was given.
    FwCfg,
    /// A variable that VMware was given.
    Guestinfo,
    /// The properties of a deployed OVF.
    Ovf,
    /// A disk with the label of a seed.
    Seed(String),
    /// The last revision in the history that makes sense; the document on the disk does not.
    History(u64),
    /// Nobody has said anything.
    Factory,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Disk => f.write_str("the configuration partition"),
            Origin::FwCfg => f.write_str("QEMU (fw_cfg)"),
            Origin::Guestinfo => f.write_str("VMware (guestinfo)"),
            Origin::Ovf => f.write_str("VMware (OVF properties)"),
            Origin::Seed(device) => write!(f, "the seed disk {device}"),
            Origin::History(revision) => write!(f, "revision {revision} of the history"),
            Origin::Factory => f.write_str("factory default"),
        }
    }
}

/// A document as others hand it over: as it is, or in base64.
pub fn plain(text: &str) -> String {
    let dense: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let decoded = BASE64.decode(dense.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.filter(|_| !dense.is_empty()).unwrap_or_else(|| text.to_owned())
}

/// What the environment of a deployed OVF says: a whole document, or single wishes. Wishes that make no sense are not
/// heard; `None` when there is nothing.
pub fn ovf(environment: &str) -> Option<(Option<String>, Wishes)> {
    let properties = properties(environment);
    let word = |key: &str| properties.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
    let wishes = Wishes {
        hostname: word("koi.hostname").map(str::to_owned),
        wan: word("koi.wan.address").and_then(|text| text.parse().ok()),
        gateway: word("koi.wan.gateway").and_then(|text| text.parse().ok()),
        lan: word("koi.lan.address").and_then(|text| text.parse().ok()),
        dmz: word("koi.dmz.address").and_then(|text| text.parse().ok()),
    };
    let document = word("koi.config").map(plain);
    (document.is_some() || wishes != Wishes::default()).then_some((document, wishes))
}

/// Keys and values of `<Property key value/>`, whatever the prefix of their names. Ends where the text makes no sense.
fn properties(text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut reader = quick_xml::Reader::from_str(text);
    while let Ok(event) = reader.read_event() {
        let element = match event {
            Event::Start(element) | Event::Empty(element) => element,
            Event::Eof => break,
            _ => continue,
        };
        if element.local_name().as_ref() != "Property" {
            continue;
        }
        let (mut key, mut value) = (None, None);
        for attribute in element.attributes().flatten() {
            let text = quick_xml::escape::unescape(&attribute.value).ok().map(String::from);
            match attribute.key.local_name().as_ref() {
                "key" => key = text,
                "value" => value = text,
                _ => {}
            }
        }
        if let (Some(key), Some(value)) = (key, value) {
            found.insert(key, value);
        }
    }
    found
}

/// Which node of the document a machine with these cards is; the only one when there is one, and nobody when two fit
/// alike.
pub fn node<'a>(config: &'a Valid<Config>, cards: &[MacAddr]) -> Option<&'a str> {
    if let [only] = config.nodes.as_slice() {
        return Some(&only.name);
    }
    let fits = |index: usize| {
        let ports = config.nodes.get(index).map(|node| node.ports.as_slice()).unwrap_or_default();
        ports.iter().filter(|port| port.nic.is_some_and(|mac| cards.contains(&mac))).count()
    };
    let best = (0..config.nodes.len()).max_by_key(|index| fits(*index))?;
    let alone = (0..config.nodes.len()).filter(|index| fits(*index) == fits(best)).count() == 1;
    config.nodes.get(best).filter(|_| alone).map(|node| node.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::factory;
    use crate::config;

    const ENVIRONMENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1" xmlns:oe="http://schemas.dmtf.org/ovf/environment/1">
   <PropertySection>
      <Property oe:key="koi.hostname" oe:value="fw.example"/>
      <Property oe:key="koi.lan.address" oe:value="10.0.0.1/24"/>
      <Property oe:key="koi.wan.gateway" oe:value="not an address"/>
      <Property oe:key="koi.config" oe:value="CONFIG"/>
   </PropertySection>
</Environment>"#;

    #[test]
    fn properties_of_an_ovf_are_wishes_or_a_document() {
        let (document, wishes) = ovf(&ENVIRONMENT.replace("CONFIG", "")).unwrap();
        assert_eq!(document, None);
        assert_eq!(wishes.hostname.as_deref(), Some("fw.example"));
        assert_eq!((wishes.lan, wishes.gateway), (Some("10.0.0.1/24".parse().unwrap()), None));
        let encoded = BASE64.encode(b"schema = 1\n");
        assert_eq!(ovf(&ENVIRONMENT.replace("CONFIG", &encoded)).unwrap().0.as_deref(), Some("schema = 1\n"));
        let escaped = ENVIRONMENT.replace("CONFIG", "a = &quot;1&quot;&#10;");
        assert_eq!(ovf(&escaped).unwrap().0.as_deref(), Some("a = \"1\""));
        assert_eq!(ovf("<Environment"), None);
        assert_eq!(ovf(""), None);
    }

    #[test]
    fn a_document_comes_as_it_is_or_in_base64() {
        for text in ["schema = 1\n[system]\n", "", "  "] {
            assert_eq!(plain(text), text);
            assert_eq!(plain(&BASE64.encode(text.as_bytes())), text);
        }
        assert_eq!(plain("c2NoZW1h\r\nID0gMQ==\n"), "schema = 1");
    }

    #[test]
    fn a_machine_is_the_node_that_has_its_cards() {
        let cards: Vec<MacAddr> = (0..4).map(|number| MacAddr([2, 0, 0, 0, 0, number])).collect();
        let single = config::load(&factory::document(&cards[..2], &Wishes::default())).unwrap();
        assert_eq!(node(&single, &[]), Some("koi"));
        let mut pair = single.clone().into_inner();
        let mut second = pair.nodes[0].clone();
        second.name = "beta".into();
        for (port, mac) in second.ports.iter_mut().zip(&cards[2..]) {
            port.nic = Some(*mac);
        }
        second.interfaces.iter_mut().zip(&cards[2..]).for_each(|(part, mac)| part.mac = Some(*mac));
        second.interfaces[1].addresses = vec!["192.168.1.2/24".parse().unwrap()];
        pair.nodes.push(second);
        let pair = config::validate(pair).unwrap();
        assert_eq!(node(&pair, &cards[..2]), Some("koi"));
        assert_eq!(node(&pair, &cards[2..]), Some("beta"));
        assert_eq!(node(&pair, &[]), None, "somebody has to say");
    }
}
