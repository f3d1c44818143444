//! The certificate of the router's own addresses: made on first start, self-signed.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context;
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// The key: a secret.
    pub key: String,
}

impl Certificate {
    /// A certificate for this name and these addresses, signed by itself.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn make(hostname: &str, addresses: &[IpAddr]) -> anyhow::Result<Self> {
        let mut params =
            CertificateParams::new(vec![hostname.to_owned()]).context("the name of the certificate")?;
        params.distinguished_name.push(DnType::CommonName, hostname);
        params.subject_alt_names.extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
        let key = KeyPair::generate().context("a key for the certificate")?;
        let certificate = params.self_signed(&key).context("the certificate")?;
        Ok(Certificate { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// What TLS needs.
    ///
    /// # Errors
    /// When certificate and key are not readable, or do not belong together.
    pub fn server_config(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .context("the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).context("the key of the certificate")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_certificate_serves_and_nonsense_does_not() {
        let made =
            Certificate::make("koi", &["192.168.1.1".parse().unwrap(), "2001:db8::1".parse().unwrap()])
                .unwrap();
        made.server_config().unwrap();
        let other = Certificate::make("koi", &[]).unwrap();
        assert!(Certificate { certificate: made.certificate, key: other.key }.server_config().is_err());
        assert!(Certificate { certificate: "x".into(), key: "y".into() }.server_config().is_err());
    }
}
