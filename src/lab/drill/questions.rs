//! A host that asks all the time who has the address of its gateway, so that a node that should be silent can be caught
//! answering: also frames that waited while it stood still are questions.
//!
//! They are ARP probes, which nobody remembers (RFC 5227, section 1.1).

use std::io::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;

use super::worker::Worker;
use crate::io::{clock, pace, stamped};
use crate::lab::network::Network;
use crate::types::MacAddr;
use crate::wire::arp::{Operation, Repr};

/// Who asks; its gateway is a virtual address.
const HOST: &str = "client";
/// The time between two questions.
const SPACING: Duration = Duration::from_millis(10);
/// The asking machine, which nobody else is.
const MAC: MacAddr = MacAddr([2, 0, 0, 0x6b, 0x6f, 0x69]);

/// The questions; they end with this value.
pub struct Questions {
    _worker: Worker,
}

impl Questions {
    /// Starts them.
    ///
    /// # Errors
    /// When the host has no gateway, or there is no thread left.
    pub fn start(network: &Network) -> anyhow::Result<Questions> {
        let host = network.hosts.iter().find(|host| host.name == HOST).context("no client")?;
        let device = host.cables.first().context("the client has no device")?.device;
        let gateways = host.routes.iter().filter_map(|(_, via)| via.parse::<Ipv4Addr>().ok());
        let target = gateways.into_iter().next().context("the client has no gateway")?;
        let question = Repr {
            operation: Operation::Request,
            sender_mac: MAC,
            sender: Ipv4Addr::UNSPECIFIED,
            target_mac: MacAddr([0; 6]),
            target,
        };
        let frame = question.emit(MacAddr::BROADCAST).to_vec();
        let worker = Worker::start("questions", Some(HOST), move |running| {
            let mut wire = stamped::sender(device)?;
            while running.goes_on() {
                // A question that gets lost is asked again.
                let _ = wire.write(&frame);
                pace::until(clock::now() + SPACING);
            }
            Ok(())
        })?;
        Ok(Questions { _worker: worker })
    }
}
