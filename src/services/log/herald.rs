//! Who tells the servers of the firewall log.

use std::net::SocketAddr;

use super::LogRow;
use super::message::{announcement, message};
use crate::config::model::{Facility, Severity, System};
use crate::services::Departing;
use crate::services::notices::Notice;
use crate::wire::datagram::PAYLOAD_MAX;

/// The teller.
pub struct Herald {
    hostname: String,
    facility: Facility,
    severity: Severity,
    servers: Vec<SocketAddr>,
    /// The port that messages are sent from.
    port: u16,
    /// Messages sent.
    pub told: u64,
    /// Records that found no room on their way to the servers.
    pub missed: u64,
}

impl Herald {
    /// One who speaks from this port, and knows no server yet.
    pub fn new(system: &System, port: u16) -> Self {
        let mut herald = Herald {
            hostname: String::new(),
            facility: Facility::default(),
            severity: Severity::default(),
            servers: Vec::new(),
            port,
            told: 0,
            missed: 0,
        };
        herald.apply(system);
        herald
    }

    /// Speaks otherwise from now on.
    pub fn apply(&mut self, system: &System) {
        self.hostname.clone_from(&system.hostname);
        (self.facility, self.severity) = (system.logging.facility, system.logging.severity);
    }

    /// Speaks to others from now on.
    pub fn set_servers(&mut self, servers: Vec<SocketAddr>) {
        self.servers = servers;
    }

    /// Tells all servers.
    pub fn tell(&mut self, row: &LogRow, out: &mut Vec<Departing>) {
        if self.servers.is_empty() {
            return;
        }
        self.say(message(row, &self.hostname, self.facility, self.severity), out);
    }

    /// Tells all servers what nobody may overlook.
    pub fn announce(&mut self, notice: &Notice, out: &mut Vec<Departing>) {
        self.say(announcement(notice, &self.hostname, self.facility), out);
    }

    fn say(&mut self, mut text: String, out: &mut Vec<Departing>) {
        while text.len() > PAYLOAD_MAX {
            text.pop();
        }
        for remote in &self.servers {
            self.told += 1;
            out.push(Departing { port: self.port, remote: *remote, payload: text.clone().into_bytes() });
        }
    }
}
