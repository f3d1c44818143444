//! `[system.logging]`: where the firewall log goes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{host_name, is_default};
use crate::config::defaults;

/// `[system.logging]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// Servers that get each record as a datagram of syslog (RFC 5424).
    #[serde(skip_serializing_if = "is_default")]
    pub servers: Vec<Service>,
    /// The facility that records are of.
    #[serde(skip_serializing_if = "is_default")]
    pub facility: Facility,
    /// Their severity.
    #[serde(skip_serializing_if = "is_default")]
    pub severity: Severity,
    /// What the default deny rules drop is logged (pfSense's `nologdefaultblock`, turned around).
    pub default_block: bool,
    /// What the default rules let out is logged (pfSense's `logdefaultpass`).
    #[serde(skip_serializing_if = "is_default")]
    pub default_pass: bool,
    /// What `block_bogons` drops is logged (pfSense's `nologbogons`, turned around).
    #[serde(skip_serializing_if = "is_on")]
    pub bogons: bool,
    /// What `block_private` drops is logged (pfSense's `nologprivatenets`, turned around).
    #[serde(skip_serializing_if = "is_on")]
    pub private: bool,
    /// Bytes of the log's file; then a new one is begun.
    pub file_size: u32,
    /// Files that are kept.
    pub file_count: u8,
}

impl Default for Logging {
    fn default() -> Self {
        Logging {
            servers: Vec::new(),
            facility: Facility::default(),
            severity: Severity::default(),
            default_block: true,
            default_pass: false,
            bogons: true,
            private: true,
            file_size: defaults::LOG_FILE_SIZE,
            file_count: defaults::LOG_FILE_COUNT,
        }
    }
}

fn is_on(flag: &bool) -> bool {
    *flag
}

/// A server by address or name, with a port unless it is the usual one: `192.0.2.9`, `[2001:db8::9]:5514`,
/// `log.example.org:5514`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Service {
    /// An address, or the name of a host.
    pub host: String,
    /// The port, when it is not the usual one.
    pub port: Option<u16>,
}

impl FromStr for Service {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{text}\" is not a server; write an address or a name, and perhaps a port: 192.0.2.9:514"
            )
        };
        let is_host = |host: &str| host.parse::<std::net::IpAddr>().is_ok() || host_name(host).is_some();
        if is_host(text) {
            return Ok(Service { host: text.into(), port: None });
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.filter(|host| host.contains(':')).unwrap_or(host);
        let port: u16 = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        if !is_host(host) || (host.contains(':') && bare.is_none()) {
            return Err(wrong());
        }
        Ok(Service { host: host.into(), port: Some(port) })
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (host, None) => f.write_str(host),
            (host, Some(port)) if host.contains(':') => write!(f, "[{host}]:{port}"),
            (host, Some(port)) => write!(f, "{host}:{port}"),
        }
    }
}

impl TryFrom<String> for Service {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Service> for String {
    fn from(service: Service) -> String {
        service.to_string()
    }
}

/// Who a record comes from, in syslog's words (RFC 5424 section 6.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Facility {
    /// The kernel, whom pf's records come from elsewhere.
    Kern,
    /// Programs of users.
    User,
    /// Daemons.
    Daemon,
    /// Who may come in.
    Auth,
    /// For local use; pfSense's filter log.
    #[default]
    Local0,
    /// For local use.
    Local1,
    /// For local use.
    Local2,
    /// For local use.
    Local3,
    /// For local use.
    Local4,
    /// For local use.
    Local5,
    /// For local use.
    Local6,
    /// For local use.
    Local7,
}

impl Facility {
    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Facility::Kern => 0,
            Facility::User => 1,
            Facility::Daemon => 3,
            Facility::Auth => 4,
            Facility::Local0 => 16,
            Facility::Local1 => 17,
            Facility::Local2 => 18,
            Facility::Local3 => 19,
            Facility::Local4 => 20,
            Facility::Local5 => 21,
            Facility::Local6 => 22,
            Facility::Local7 => 23,
        }
    }
}

/// How bad it is, in syslog's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing works.
    Emerg,
    /// Somebody must act at once.
    Alert,
    /// Critical.
    Crit,
    /// An error.
    Err,
    /// A warning.
    Warning,
    /// Normal, but worth a look.
    Notice,
    /// For information; pfSense's filter log.
    #[default]
    Info,
    /// For those who look for a fault.
    Debug,
}

impl Severity {
    /// Its number.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_they_are_written() {
        for text in ["192.0.2.9", "192.0.2.9:5514", "2001:db8::9", "[2001:db8::9]:5514", "log.example.org:1"]
        {
            assert_eq!(text.parse::<Service>().unwrap().to_string(), text);
        }
        for text in
            ["", "192.0.2.9:0", "192.0.2.9:99999", "2001:db8::9:x", "a b:5", "loghost", "[192.0.2.9]:5x"]
        {
            assert!(text.parse::<Service>().is_err(), "{text}");
        }
    }
}
