//! The certificate of the router's own addresses: made on first start, self-signed, and made again before it ends.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, crypto};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::types::Prefix;

pub(super) const DAY: u64 = 86_400;
/// The longest that browsers accept.
pub(super) const VALID: u64 = 398 * DAY;
/// A clock that is a little behind still accepts it.
const BACKDATED: u64 = 2 * DAY;
/// Made again when it has less than this left.
const RENEWED: u64 = 30 * DAY;

/// What a certificate is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// Name of the firewall.
    pub hostname: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Subject {
    /// Of this name and those of `addresses` that a browser can use; the order does not matter.
    pub fn new(hostname: &str, addresses: impl Iterator<Item = IpAddr>) -> Self {
        let mut addresses: Vec<_> = addresses.filter(|address| !is_link_local(*address)).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Subject { hostname: hostname.to_owned(), addresses }
    }

    /// Of a firewall: its name, and the addresses of all its nodes, own and shared ones, so that one certificate does for
    /// both nodes of a pair.
    pub fn of(config: &Config) -> Self {
        let own = config.nodes.iter().flat_map(|node| &node.interfaces).flat_map(|part| &part.addresses);
        let shared = config.virtual_ips.iter().flat_map(|vip| &vip.addresses);
        Subject::new(&config.system.hostname, own.chain(shared).map(Prefix::addr))
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// A certificate and its key, as PEM.
#[derive(Clone, Serialize, Deserialize)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// The key: a secret.
    pub key: String,
    /// What it is for and how long, as text: kept beside it, compared as a whole.
    pub note: String,
}

impl Certificate {
    /// A certificate for this subject, signed by itself. `now` counts seconds since 1970.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn make(subject: &Subject, now: u64) -> anyhow::Result<Self> {
        let Subject { hostname, addresses } = subject;
        let (certificate, key, until) = sign(std::slice::from_ref(hostname), addresses, now, VALID)?;
        let note = format!("{hostname} {addresses:?}\n{until}\n");
        Ok(Certificate { certificate, key, note })
    }

    /// True when it is for this subject and has a good while left.
    pub fn serves(&self, subject: &Subject, now: u64) -> bool {
        let Subject { hostname, addresses } = subject;
        let mut lines = self.note.lines();
        let same = lines.next() == Some(&format!("{hostname} {addresses:?}"));
        let until = lines.next().and_then(|line| line.parse::<u64>().ok()).unwrap_or(0);
        // One from the future was made while the clock was wrong.
        same && (now + RENEWED..=now + VALID).contains(&until)
    }

    /// What TLS signs with.
    ///
    /// # Errors
    /// When certificate and key are not readable, or do not belong together.
    pub fn certified_key(&self) -> anyhow::Result<Arc<CertifiedKey>> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .context("the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).context("the key of the certificate")?;
        let certified = CertifiedKey::from_der(chain, key, &crypto::ring::default_provider())?;
        Ok(Arc::new(certified))
    }
}

/// The certificate that a document chooses for the pages, if it does.
pub(super) fn chosen(config: &Config) -> Option<anyhow::Result<Arc<CertifiedKey>>> {
    let name = config.system.web.certificate.as_ref()?;
    let entry = config.certificates.iter().find(|entry| entry.name == *name)?;
    let certificate = Certificate {
        certificate: entry.certificate.clone(),
        key: entry.private_key.reveal().to_owned(),
        note: String::new(),
    };
    Some(certificate.certified_key())
}

/// A certificate for these names and addresses that signs itself, its key, and until when it is good.
///
/// # Errors
/// When a name cannot stand in a certificate.
pub(super) fn sign(
    names: &[String],
    addresses: &[IpAddr],
    now: u64,
    valid: u64,
) -> anyhow::Result<(String, String, u64)> {
    let mut params = CertificateParams::new(names.to_vec()).context("the name of the certificate")?;
    if let Some(name) = names.first() {
        params.distinguished_name.push(DnType::CommonName, name.as_str());
    }
    params.distinguished_name.push(DnType::OrganizationName, "Koi");
    params.subject_alt_names.extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let from = now.saturating_sub(BACKDATED);
    let until = from + valid;
    let date = |seconds: u64| {
        let (year, month, day) = civil(seconds / DAY);
        rcgen::date_time_ymd(year, month, day)
    };
    (params.not_before, params.not_after) = (date(from), date(until));
    let key = KeyPair::generate().context("a key for the certificate")?;
    let certificate = params.self_signed(&key).context("the certificate")?;
    Ok((certificate.pem(), key.serialize_pem(), until))
}

/// The certificate in use; it is exchanged while connections go on.
#[derive(Debug)]
pub struct InUse(ArcSwap<CertifiedKey>);

impl InUse {
    /// With this one at first.
    pub fn new(first: Arc<CertifiedKey>) -> Arc<Self> {
        Arc::new(InUse(ArcSwap::new(first)))
    }

    /// New connections are shown this one from now on.
    pub fn exchange(&self, next: Arc<CertifiedKey>) {
        self.0.store(next);
    }

    /// What TLS needs.
    ///
    /// # Errors
    /// When the provider has no usable protocol version.
    pub fn server_config(self: &Arc<Self>) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for InUse {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The calendar date of a day since 1970 (Howard Hinnant's `civil_from_days`).
pub(super) fn civil(days: u64) -> (i32, u8, u8) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year as i32, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_440_000;

    fn subject(addresses: &[&str]) -> Subject {
        Subject::new("koi", addresses.iter().map(|address| address.parse().unwrap()))
    }

    #[test]
    fn a_fresh_certificate_serves_and_nonsense_does_not() {
        let own = subject(&["2001:db8::1", "192.168.1.1", "fe80::1"]);
        assert_eq!(own, subject(&["192.168.1.1", "2001:db8::1"]), "link-local addresses are left out");
        let made = Certificate::make(&own, NOW).unwrap();
        InUse::new(made.certified_key().unwrap()).server_config().unwrap();
        let other = Certificate::make(&subject(&[]), NOW).unwrap();
        let mixed = Certificate { key: other.key, ..made.clone() };
        assert!(mixed.certified_key().is_err());
        let nonsense = Certificate { certificate: "x".into(), key: "y".into(), note: String::new() };
        assert!(nonsense.certified_key().is_err() && !nonsense.serves(&own, NOW));
    }

    #[test]
    fn it_is_made_again_when_it_ends_or_what_it_is_for_has_changed() {
        let own = subject(&["192.168.1.1"]);
        let made = Certificate::make(&own, NOW).unwrap();
        for (day, serves) in [(0, true), (300, true), (365, true), (370, false), (400, false)] {
            assert_eq!(made.serves(&own, NOW + day * DAY), serves, "day {day}");
        }
        assert!(!made.serves(&own, NOW - 1000 * DAY), "made while the clock was wrong");
        assert!(!made.serves(&subject(&["192.168.1.2"]), NOW));
        assert!(!made.serves(&Subject { hostname: "other".into(), ..own }, NOW));
    }

    #[test]
    fn one_certificate_is_for_the_addresses_of_both_nodes() {
        let config = crate::config::load(include_str!("../../configs/pair.toml")).unwrap();
        let subject = Subject::of(&config);
        let vips = config.virtual_ips.iter().flat_map(|vip| &vip.addresses);
        let own = config.nodes.iter().flat_map(|node| &node.interfaces).flat_map(|part| &part.addresses);
        for address in vips.chain(own).map(Prefix::addr).filter(|address| !is_link_local(*address)) {
            assert!(subject.addresses.contains(&address), "{address}");
        }
        assert!(subject.addresses.len() > 8);
    }

    #[test]
    fn days_have_dates() {
        for (day, date) in
            [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (20_780, (2026, 11, 23))]
        {
            assert_eq!(civil(day), date);
        }
    }
}
