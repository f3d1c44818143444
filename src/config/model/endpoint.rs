//! Where packets come from and go to: the text forms of addresses and ports in rules.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::alias::is_alias_name;
use crate::types::{PortRange, Prefix};

/// Source or destination of a rule.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    /// Everything but.
    pub not: bool,
    /// The addresses.
    pub place: Place,
}

/// The addresses of an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Place {
    /// Any address.
    #[default]
    Any,
    /// A network or one address.
    Prefix(Prefix),
    /// From one address to another: `10.0.0.5-10.0.0.9`.
    Range(AddressRange),
    /// The networks of an interface: `lan net`.
    Net(String),
    /// The addresses of this firewall on an interface: `lan address`.
    Address(String),
    /// Any address of this firewall: `this firewall`.
    ThisFirewall,
    /// The addresses of an alias, by its bare name.
    Alias(String),
}

/// An inclusive range of addresses of one family; the first is not above the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// Ports of a rule: a port, a range, or the bare name of an alias.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Ports {
    /// A port or a range.
    Range(PortRange),
    /// The ports of an alias.
    Alias(String),
}

impl Endpoint {
    /// These addresses, and not the others.
    pub const fn at(place: Place) -> Self {
        Endpoint { not: false, place }
    }
}

impl AddressRange {
    /// From `first` to `last`; `None` when they are of two families or the wrong way round.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(AddressRange { first, last })
    }

    /// The lowest address.
    pub const fn first(self) -> IpAddr {
        self.first
    }

    /// The highest address.
    pub const fn last(self) -> IpAddr {
        self.last
    }

    /// How many addresses it has, less one.
    pub fn span(self) -> u128 {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => u128::from(u32::from(last) - u32::from(first)),
            (first, last) => bits(last).saturating_sub(bits(first)),
        }
    }

    /// The address so far behind the first.
    pub fn nth(self, offset: u128) -> IpAddr {
        match self.first {
            IpAddr::V4(first) => IpAddr::V4(u32::from(first).wrapping_add(offset as u32).into()),
            IpAddr::V6(first) => IpAddr::V6(u128::from(first).wrapping_add(offset).into()),
        }
    }

    /// True when the address lies in the range.
    pub fn contains(self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

impl From<Prefix> for AddressRange {
    fn from(prefix: Prefix) -> Self {
        match prefix {
            Prefix::V4(v4) => AddressRange { first: v4.network().into(), last: v4.broadcast().into() },
            Prefix::V6(v6) => {
                let last = Ipv6Addr::from(u128::from(v6.network()) | u128::from(v6.hostmask()));
                AddressRange { first: v6.network().into(), last: last.into() }
            }
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for AddressRange {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, last) = text.split_once('-').ok_or(())?;
        let address = |text: &str| text.trim().parse::<IpAddr>().map_err(drop);
        AddressRange::new(address(first)?, address(last)?).ok_or(())
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (not, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text.as_str()),
        };
        let place = if rest == "any" {
            Place::Any
        } else if rest == "this firewall" {
            Place::ThisFirewall
        } else if let Some(name) = rest.strip_suffix(" net") {
            Place::Net(name.into())
        } else if let Some(name) = rest.strip_suffix(" address") {
            Place::Address(name.into())
        } else if let Ok(prefix) = rest.parse::<Prefix>() {
            Place::Prefix(prefix)
        } else if let Ok(address) = rest.parse::<IpAddr>() {
            Place::Prefix(Prefix::from(address))
        } else if let Ok(range) = rest.parse() {
            Place::Range(range)
        } else if is_alias_name(rest) {
            Place::Alias(rest.into())
        } else {
            return Err(format!(
                "\"{rest}\" is not an endpoint; write any, an address, a network, a range, an alias, \"lan net\", \
                 \"lan address\" or \"this firewall\""
            ));
        };
        Ok(Endpoint { not, place })
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        let place = match endpoint.place {
            Place::Any => "any".into(),
            Place::Prefix(prefix) => prefix.to_string(),
            Place::Range(range) => range.to_string(),
            Place::Net(name) => format!("{name} net"),
            Place::Address(name) => format!("{name} address"),
            Place::ThisFirewall => "this firewall".into(),
            Place::Alias(name) => name,
        };
        if endpoint.not { format!("! {place}") } else { place }
    }
}

impl TryFrom<String> for Ports {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.parse() {
            Ok(range) => Ok(Ports::Range(range)),
            Err(_) if is_alias_name(&text) => Ok(Ports::Alias(text)),
            Err(why) => Err(format!("{why}, or the name of an alias")),
        }
    }
}

impl From<Ports> for String {
    fn from(ports: Ports) -> String {
        match ports {
            Ports::Range(range) => range.to_string(),
            Ports::Alias(name) => name,
        }
    }
}
