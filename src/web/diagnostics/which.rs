//! Which flows: the fields of a filter as a person fills them in.

use serde::Deserialize;

use crate::conntrack::Stage;
use crate::io::request::FlowFilter;
use crate::types::Prefix;
use crate::web::guard::percent_encode;
use crate::web::visitor::Posted;
use crate::wire::protocol;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Which {
    pub address: String,
    pub src: String,
    pub dst: String,
    pub port: String,
    pub protocol: String,
    pub interface: String,
    pub rule: String,
    pub state: String,
    pub gateway: String,
    pub id: String,
}

impl Which {
    /// What a form says.
    pub fn of(posted: &Posted) -> Which {
        let field = |name| posted.get(name).unwrap_or_default().trim().to_owned();
        Which {
            address: field("address"),
            src: field("src"),
            dst: field("dst"),
            port: field("port"),
            protocol: field("protocol"),
            interface: field("interface"),
            rule: field("rule"),
            state: field("state"),
            gateway: field("gateway"),
            id: field("id"),
        }
    }

    /// The fields that are filled in, by their names.
    pub fn filled(&self) -> Vec<(&'static str, &str)> {
        let Which { address, src, dst, port, protocol, interface, rule, state, gateway, id } = self;
        let all = [
            ("address", address),
            ("src", src),
            ("dst", dst),
            ("port", port),
            ("protocol", protocol),
            ("interface", interface),
            ("rule", rule),
            ("state", state),
            ("gateway", gateway),
            ("id", id),
        ];
        all.into_iter().map(|(name, text)| (name, text.trim())).filter(|(_, text)| !text.is_empty()).collect()
    }

    /// Every flow fits.
    pub fn is_everything(&self) -> bool {
        self.filled().is_empty()
    }

    /// What stands behind a question mark for it.
    pub fn query(&self) -> String {
        let pairs = self.filled().into_iter().map(|(name, text)| format!("{name}={}", percent_encode(text)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// As the router is asked.
    ///
    /// # Errors
    /// Everything that means nothing, in sentences.
    pub fn filter(&self) -> Result<FlowFilter, Vec<String>> {
        let mut wrong = Vec::new();
        let filter = FlowFilter {
            address: read(&self.address, network, &mut wrong),
            src: read(&self.src, network, &mut wrong),
            dst: read(&self.dst, network, &mut wrong),
            port: read(&self.port, |text| number(text, "a port"), &mut wrong),
            protocol: read(&self.protocol, protocol_number, &mut wrong),
            rule: read(&self.rule, |text| number(text, "the number of a rule"), &mut wrong),
            id: read(&self.id, |text| number(text, "the number of a state"), &mut wrong),
            interface: filled(&self.interface),
            state: filled(&self.state),
            gateway: filled(&self.gateway),
        };
        if wrong.is_empty() { Ok(filter) } else { Err(wrong) }
    }

    /// In words: `all states`, or the states that it is about.
    pub fn words(&self) -> String {
        let filled = self.filled();
        if filled.is_empty() {
            return "all states".into();
        }
        let parts: Vec<String> = filled.into_iter().map(|(name, text)| format!("{name} {text}")).collect();
        format!("states with {}", parts.join(", "))
    }
}

/// The words of stages, as a list to choose from.
pub(in crate::web) fn stages() -> [&'static str; 3] {
    Stage::ALL.map(Stage::word)
}

fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn read<T>(text: &str, read: impl Fn(&str) -> Result<T, String>, wrong: &mut Vec<String>) -> Option<T> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    read(text).map_err(|why| wrong.push(format!("\"{text}\" is not {why}."))).ok()
}

fn network(text: &str) -> Result<Prefix, String> {
    let address = || text.parse::<std::net::IpAddr>().map(Prefix::from);
    text.parse::<Prefix>().or_else(|_| address()).map_err(|_| "an address or a network".to_owned())
}

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| what.to_owned())
}

/// The number of a protocol.
///
/// # Errors
/// When it is none; what it should be.
pub(in crate::web) fn protocol_number(text: &str) -> Result<u8, String> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(protocol::TCP),
        "udp" => Ok(protocol::UDP),
        "icmp" => Ok(protocol::ICMP),
        "icmp6" => Ok(protocol::ICMPV6),
        number => number.parse().map_err(|_| "tcp, udp, icmp, icmp6 or a number up to 255".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_asked_for_and_what_means_nothing_is_named() {
        let which = Which {
            address: " 10.0.0.0/8 ".into(),
            port: "53".into(),
            protocol: "UDP".into(),
            state: "opening".into(),
            ..Which::default()
        };
        let filter = which.filter().unwrap();
        assert_eq!((filter.port, filter.protocol), (Some(53), Some(17)));
        assert_eq!(filter.address, Some("10.0.0.0/8".parse().unwrap()));
        assert_eq!(which.query(), "address=10.0.0.0/8&port=53&protocol=UDP&state=opening");
        assert_eq!(which.words(), "states with address 10.0.0.0/8, port 53, protocol UDP, state opening");
        let wrong = Which { address: "lan".into(), port: "70000".into(), ..Which::default() };
        assert_eq!(wrong.filter().unwrap_err().len(), 2);
        assert!(Which::default().is_everything() && Which::default().filter() == Ok(FlowFilter::default()));
    }
}
