//! A port as the command line names it: `PORT`, `PORT=TAP`, `PORT=TAP@NETNS`, `PORT=/dev/tapN`
//! or `PORT=MAC` of a network card.

use std::fmt;
use std::str::FromStr;

use crate::config::model::{Driver, Port};
use crate::types::MacAddr;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortPlan {
    /// Name of the port.
    pub name: String,
    /// Its device; the one in the document when absent.
    pub device: Option<Device>,
}

/// What carries it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// A TAP's name, the path of a macvtap, or the MAC address of a card.
    name: String,
    netns: Option<String>,
}

impl PortPlan {
    /// The port of `known` with this name, or the one that is described.
    pub(super) fn find(&self, known: &[Port]) -> Option<Port> {
        let Some(Device { name, netns }) = &self.device else {
            return known.iter().find(|port| port.name == self.name).cloned();
        };
        let nic: Option<MacAddr> = name.parse().ok();
        let path = name.starts_with('/');
        Some(Port {
            name: self.name.clone(),
            tap: (!path && nic.is_none()).then(|| name.clone()),
            macvtap: path.then(|| name.clone()),
            nic,
            netns: netns.clone(),
            driver: Driver::default(),
        })
    }
}

impl FromStr for PortPlan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, device) = match text.split_once('=') {
            Some((name, device)) => (name, Some(device)),
            None => (text, None),
        };
        let device = device.map(|device| match device.split_once('@') {
            Some((tap, netns)) => Device { name: tap.into(), netns: Some(netns.into()) },
            None => Device { name: device.into(), netns: None },
        });
        let empty = |device: &Device| device.name.is_empty() || device.netns.as_deref() == Some("");
        if name.is_empty() || device.as_ref().is_some_and(empty) {
            return Err("write PORT, PORT=TAP or PORT=TAP@NETNS, as in sync=koi-sync".into());
        }
        Ok(PortPlan { name: name.into(), device })
    }
}

impl fmt::Display for PortPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(Device { name, netns }) = &self.device {
            write!(f, "={name}")?;
            if let Some(netns) = netns {
                write!(f, "@{netns}")?;
            }
        }
        Ok(())
    }
}
