//! The pages begin: password, certificate, runtime, listeners.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::auth::Password;
use super::certificate::{Certificate, InUse, Subject};
use super::handle::Handle;
use super::serve;
use super::site::Site;
use super::steward::Steward;
use crate::config::{Config, NodeIndex, Valid};
use crate::io::config_request::ConfigRequest;
use crate::io::engine::PagesSeat;
use crate::io::host_listener::HostListener;
use crate::io::request::Request;
use crate::io::{clock, entropy, files};
use crate::node::snapshot::{InterfaceRow, Snapshot};
use crate::types::{Duration, Prefix};

/// Name of the file with the password, in the state directory.
pub const PASSWORD: &str = "web-password";
const CERTIFICATE: &str = "web-cert.pem";
const KEY: &str = "web-key.pem";
/// For which name and addresses the certificate was made, and until when.
const NOTE: &str = "web-cert.note";
/// Threads for what takes long.
const BLOCKING: usize = 4;
/// How often the certificate is looked at.
const RENEWAL: Duration = Duration::from_secs(60);

/// Starts the pages in a thread of their own. The working directory is the state directory.
///
/// # Errors
/// When password or certificate can be neither read nor made.
pub fn start(seat: PagesSeat) -> anyhow::Result<()> {
    let PagesSeat { config, node, host, loopback, ask, ask_pair, in_force, desk, tokens } = seat;
    let handle = Handle::new(ask, ask_pair, in_force);
    let (asked, question) = (Arc::clone(&desk), |request| Request::Config(Box::new(request)));
    let configure = move |request: ConfigRequest| asked(question(request));
    let editor = Arc::new(Steward::new(handle.clone(), Box::new(configure)));
    let first = password().context("the password of the pages")?;
    let site = Site::new(handle, Some(editor), first, clock::now).with_desk(desk, tokens);
    let subject = Subject::new(&config.system.hostname, addresses(&config, node));
    let certificate = InUse::new(certificate(&subject)?);
    let tls = TlsAcceptor::from(certificate.server_config()?);
    let own = subject.addresses.first().copied().unwrap_or([0, 0, 0, 0].into());
    let local = SocketAddr::new(own, config.system.web.port);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build()?;
    let run = move || {
        runtime.block_on(async move {
            tokio::spawn(renew(site.handle.clone(), certificate, subject));
            if let Some(listener) = loopback {
                let site = site.clone();
                let serving = async move {
                    listener.set_nonblocking(true)?;
                    serve::loopback(tokio::net::TcpListener::from_std(listener)?, site).await
                };
                tokio::spawn(async move { log(serving.await) });
            }
            let listener = HostListener::start(host, tls, local);
            log(serve::over_tls(listener, site).await);
        });
    };
    std::thread::Builder::new().name("web".into()).spawn(run)?;
    Ok(())
}

/// Keeps the certificate true to the firewall's name and addresses, and young enough.
async fn renew(handle: Handle, in_use: Arc<InUse>, mut subject: Subject) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        if let Some(snapshot) = handle.snapshot().await {
            subject = Subject::new(&snapshot.hostname, present_addresses(&snapshot));
        }
        match certificate(&subject) {
            Ok(certificate) => in_use.exchange(certificate),
            Err(error) => tracing::error!("the certificate of the pages: {error:#}"),
        }
    }
}

fn log(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "the pages are not served any more");
    }
}

/// The password of the first start.
fn password() -> anyhow::Result<Password> {
    if let Some(stored) = read(PASSWORD)?.as_deref().and_then(Password::from_stored) {
        return Ok(stored);
    }
    let mut random = [0; 24];
    entropy::fill(&mut random)?;
    let password = Password::from_random(random);
    files::write_atomically(Path::new(PASSWORD), format!("{}\n", password.reveal()).as_bytes())?;
    Ok(password)
}

/// The stored certificate, when it is for this subject and can be used; else a new one.
fn certificate(subject: &Subject) -> anyhow::Result<Arc<CertifiedKey>> {
    let now = clock::wall_seconds();
    if let (Some(note), Some(certificate), Some(key)) = (read(NOTE)?, read(CERTIFICATE)?, read(KEY)?) {
        let stored = Certificate { certificate, key, note };
        match stored.certified_key() {
            Ok(certified) if stored.serves(subject, now) => return Ok(certified),
            Ok(_) => tracing::info!("a new certificate for the pages: name, addresses or date have changed"),
            Err(error) => tracing::warn!("the stored certificate is replaced: {error:#}"),
        }
    }
    let made = Certificate::make(subject, now)?;
    for (name, text) in [(KEY, &made.key), (CERTIFICATE, &made.certificate), (NOTE, &made.note)] {
        files::write_atomically(Path::new(name), text.as_bytes()).context(name)?;
    }
    made.certified_key()
}

/// Own and virtual ones: a browser comes by either.
fn addresses(config: &Valid<Config>, node: NodeIndex) -> impl Iterator<Item = IpAddr> {
    let own = config.interface_ids().flat_map(move |id| config.addresses(node, id));
    let virtual_ones = config.virtual_ips().flat_map(|(_, vip)| &vip.addresses);
    own.chain(virtual_ones).map(Prefix::addr)
}

fn present_addresses(snapshot: &Snapshot) -> impl Iterator<Item = IpAddr> {
    let of_one = |interface: &InterfaceRow| {
        let virtual_ones = interface.virtual_ips.iter().flat_map(|vip| &vip.addresses);
        interface.addresses.iter().chain(virtual_ones).map(Prefix::addr).collect::<Vec<_>>()
    };
    snapshot.interfaces.iter().flat_map(of_one)
}

fn read(name: &str) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(name) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Compiled, Offload, Shard};
    use crate::types::{Instant, Seed};

    #[test]
    fn the_certificate_is_for_own_and_virtual_addresses_at_the_start_and_at_each_look() {
        let config = Arc::new(crate::config::load(include_str!("../../configs/pair.toml")).unwrap());
        let node = config.node(Some("alpha")).unwrap();
        let at_first = Subject::new(&config.system.hostname, addresses(&config, node));
        let vips = config.virtual_ips().flat_map(|(_, vip)| &vip.addresses);
        let own = config.interface_ids().flat_map(|id| config.addresses(node, id));
        let link_local = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        for address in vips.chain(own).map(Prefix::addr).filter(|address| !link_local(address)) {
            assert!(at_first.addresses.contains(&address), "{address}");
        }
        let ports = config.node_part(node).ports.len();
        let compiled = Compiled::new(Arc::clone(&config), node, 1, vec![Offload::NONE; ports]);
        let snapshot = Shard::new(Arc::new(compiled), Seed([1, 2]), Instant::ZERO).snapshot(Instant::ZERO);
        assert_eq!(Subject::new(&snapshot.hostname, present_addresses(&snapshot)), at_first);
    }
}
