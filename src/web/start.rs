//! The pages begin: password, certificate, runtime, listeners.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use tokio_rustls::TlsAcceptor;

use super::auth::Password;
use super::certificate::Certificate;
use super::handle::Handle;
use super::serve;
use crate::config::{Config, NodeIndex, Valid};
use crate::io::engine::PagesSeat;
use crate::io::host_listener::HostListener;
use crate::io::{entropy, files};

/// Name of the file with the password, in the state directory.
pub const PASSWORD: &str = "web-password";
const CERTIFICATE: &str = "web-cert.pem";
const KEY: &str = "web-key.pem";
/// For which name and addresses the certificate was made; when they change, so does it.
const SUBJECT: &str = "web-cert.subject";

/// Starts the pages in a thread of their own. The working directory is the state directory.
///
/// # Errors
/// When password or certificate can be neither read nor made.
pub fn start(seat: PagesSeat) -> anyhow::Result<()> {
    let PagesSeat { config, node, host, loopback, ask } = seat;
    let handle = Handle::new(ask);
    let password = password().context("the password of the pages")?;
    let tls = TlsAcceptor::from(certificate(&config, node)?.server_config()?);
    let local = SocketAddr::new(
        addresses(&config, node).first().copied().unwrap_or([0, 0, 0, 0].into()),
        config.system.web.port,
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || {
        runtime.block_on(async move {
            if let Some(listener) = loopback {
                let (handle, password) = (handle.clone(), password.clone());
                let serving = async move {
                    listener.set_nonblocking(true)?;
                    serve::loopback(tokio::net::TcpListener::from_std(listener)?, handle, password).await
                };
                tokio::spawn(async move { log(serving.await) });
            }
            let listener = HostListener::start(host, tls, local);
            log(serve::over_tls(listener, handle, password).await);
        });
    };
    std::thread::Builder::new().name("web".into()).spawn(run)?;
    Ok(())
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

/// The stored certificate, when it is for the present name and addresses and can be used; else a new one.
fn certificate(config: &Valid<Config>, node: NodeIndex) -> anyhow::Result<Certificate> {
    let addresses = addresses(config, node);
    let subject = format!("{} {addresses:?}\n", config.system.hostname);
    if read(SUBJECT)?.as_deref() == Some(&subject)
        && let (Some(certificate), Some(key)) = (read(CERTIFICATE)?, read(KEY)?)
    {
        let stored = Certificate { certificate, key };
        match stored.server_config() {
            Ok(_) => return Ok(stored),
            Err(error) => tracing::warn!("the stored certificate is replaced: {error:#}"),
        }
    }
    let made = Certificate::make(&config.system.hostname, &addresses)?;
    files::write_atomically(Path::new(KEY), made.key.as_bytes()).context(KEY)?;
    files::write_atomically(Path::new(CERTIFICATE), made.certificate.as_bytes()).context(CERTIFICATE)?;
    files::write_atomically(Path::new(SUBJECT), subject.as_bytes()).context(SUBJECT)?;
    Ok(made)
}

fn addresses(config: &Valid<Config>, node: NodeIndex) -> Vec<IpAddr> {
    let ids = config.interface_ids();
    ids.flat_map(|id| config.addresses(node, id)).map(|prefix| prefix.addr()).collect()
}

fn read(name: &str) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(name) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(name.to_owned()),
    }
}
