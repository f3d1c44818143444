//! `[system.notification]`: who is told at once what nobody may overlook.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Secret, host_name, is_default};

/// `[system.notification]`
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notification {
    /// Where a notice goes, as JSON.
    #[serde(skip_serializing_if = "is_default")]
    pub url: Option<WebAddress>,
    /// Signs each notice (HMAC-SHA256 of its body), so that its receiver knows whose it is.
    #[serde(skip_serializing_if = "is_default")]
    pub secret: Option<Secret>,
    /// PEM: who vouches for the receiver's certificate, beside the authorities that browsers know.
    #[serde(skip_serializing_if = "is_default")]
    pub authority: Option<String>,
}

/// An address of the web that is asked with TLS: `https://example.org/hook`, `https://192.0.2.9:8443/`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebAddress {
    /// An address, or the name of a host.
    pub host: String,
    /// The port, when it is not 443.
    pub port: Option<u16>,
    /// Path and query, from the first slash on.
    pub path: String,
}

/// Letters of the longest one.
const LONGEST: usize = 1024;

impl WebAddress {
    /// The host as an address, when it is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Host and port, as a request names them.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }
}

impl FromStr for WebAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{text}\" is no address that is asked with TLS; write one as in \"https://example.org/hook\""
            )
        };
        let rest = text.strip_prefix("https://").filter(|_| text.len() <= LONGEST).ok_or_else(wrong)?;
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(wrong());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, Some(port.parse().ok().filter(|port: &u16| *port != 0).ok_or_else(wrong)?))
            }
            Some(_) | None => (authority, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_v6 = bare.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        let is_host = host.parse::<std::net::Ipv4Addr>().is_ok() || host_name(host).is_some();
        if !is_v6 && !is_host {
            return Err(wrong());
        }
        let host = bare.unwrap_or(host).to_owned();
        Ok(WebAddress { host, port: port.filter(|port| *port != 443), path: path.to_owned() })
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.path)
    }
}

impl TryFrom<String> for WebAddress {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<WebAddress> for String {
    fn from(address: WebAddress) -> String {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in [
            "https://example.org/",
            "https://example.org/hook?a=b",
            "https://192.0.2.9:8443/x",
            "https://[2001:db8::9]/",
            "https://[2001:db8::9]:8443/a/b",
        ] {
            assert_eq!(text.parse::<WebAddress>().unwrap().to_string(), text);
        }
        let usual: WebAddress = "https://example.org:443".parse().unwrap();
        assert_eq!(usual.to_string(), "https://example.org/");
        for text in [
            "",
            "http://example.org/",
            "https://",
            "https:///x",
            "https://a b/",
            "https://example.org:0/",
            "https://example.org:x/",
            "https://ann:secret@example.org/",
            "https://example.org/a b",
            "https://example.org/#x",
            "https://[192.0.2.9]/",
            "https://2001:db8::9/",
        ] {
            assert!(text.parse::<WebAddress>().is_err(), "{text}");
        }
    }
}
