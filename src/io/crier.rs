//! The thread that tells what nobody may overlook: to the log, to servers of syslog, and to a webhook.
//!
//! It looks at the pair and the gateways once a second ([`Notices`] decides what is worth a word). The webhook is reached like
//! anything else that the router itself sends: from its own address toward the receiver, through its own stack, under its own
//! rules; with TLS, and a receiver whose certificate nobody vouches for hears nothing.
//!
//! Invariant: everything is bounded, in number and in time; who tells never holds up anybody else.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use data_encoding::HEXLOWER;
use ring::hmac;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::errands::Errands;
use super::host_listener::HostStream;
use super::host_thread::HostHandle;
use super::{clock, pace};
use crate::config::model::{Notification, WebAddress};
use crate::node::snapshot::{GatewayRow, Snapshot};
use crate::node::{Compiled, PairSnapshot};
use crate::services::notices::{Notice, Notices, NoticesRow, View};

/// How often the thread looks.
const LOOK: Duration = Duration::from_secs(1);
/// For all of a try.
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of an answer that are looked at.
const HEAD: usize = 1024;
/// The port of the web with TLS.
const PORT: u16 = 443;

/// What is known of notices, for whoever asks.
pub type Known = Arc<Mutex<NoticesRow>>;

/// Whom the thread asks.
pub struct Crier {
    /// The pair; an error when nobody answers.
    pub pair: Box<dyn Fn() -> Result<PairSnapshot, String> + Send>,
    /// The gateways, among other things; nothing when nobody answers.
    pub glance: Box<dyn Fn() -> Option<Snapshot> + Send>,
    /// What is in force.
    pub in_force: Box<dyn Fn() -> Arc<Compiled> + Send>,
    /// Who tells servers of syslog, and knows names.
    pub errands: Errands,
    /// The router's own stack.
    pub host: HostHandle,
    /// For whoever asks.
    pub known: Known,
}

impl Crier {
    /// Starts the thread; it ends with the process.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let telling = move || {
            let mut notices = Notices::default();
            loop {
                let now = clock::now();
                self.turn(&mut notices, &runtime);
                pace::until(now + LOOK);
            }
        };
        std::thread::Builder::new().name("crier".into()).spawn(telling).map(drop)
    }

    fn turn(&self, notices: &mut Notices, runtime: &tokio::runtime::Runtime) {
        let compiled = (self.in_force)();
        let notification = &compiled.config.system.notification;
        if let (Ok(pair), Some(snapshot)) = ((self.pair)(), (self.glance)()) {
            let view = view(&compiled, pair, snapshot.gateways);
            let news = notices.look(clock::now(), clock::calendar_ms(), &view, notification.url.is_some());
            for notice in &news {
                match notice.event.is_bad() {
                    true => tracing::warn!(event = notice.event.name(), "{}", notice.text),
                    false => tracing::info!(event = notice.event.name(), "{}", notice.text),
                }
            }
            self.errands.announce(news);
        }
        match &notification.url {
            None => notices.forget(),
            Some(url) => {
                if let Some(notice) = notices.next(clock::now()).cloned() {
                    let told = runtime.block_on(self.tell(&compiled, url, notification, &notice));
                    match told {
                        Ok(()) => notices.taken(notice.id),
                        Err(why) => notices.failed(clock::now(), notice.id, &format!("{why:#}")),
                    }
                }
            }
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = notices.row();
    }

    async fn tell(
        &self,
        compiled: &Compiled,
        url: &WebAddress,
        notification: &Notification,
        notice: &Notice,
    ) -> anyhow::Result<()> {
        let addresses = self.errands.addresses(&url.host);
        let toward = |address: &IpAddr| Some((compiled.address_toward(*address)?, *address));
        let (own, address) = addresses
            .iter()
            .find_map(toward)
            .ok_or_else(|| anyhow!("there is no address of {}, or no way to it", url.host))?;
        let remote = SocketAddr::new(address, url.port.unwrap_or(PORT));
        let trying = async {
            let stream = HostStream::connect(&self.host, own, remote).await.context("no connection")?;
            post(stream, url, notification, notice).await
        };
        let outcome = tokio::time::timeout(PATIENCE, trying).await;
        outcome.map_err(|_| anyhow!("{remote} does not answer in time"))?
    }
}

fn view(compiled: &Compiled, pair: PairSnapshot, gateways: Vec<GatewayRow>) -> View {
    let PairSnapshot { paired, node, leads, epoch, why, redundant, lacks, .. } = pair;
    let gateways = gateways.into_iter().map(|row| (row.name, row.status == "down", row.text));
    View {
        firewall: compiled.config.system.hostname.clone(),
        node,
        paired,
        leads,
        epoch,
        why,
        lacks: if redundant { Vec::new() } else { lacks },
        gateways: gateways.collect(),
    }
}

/// Tells one notice over a connection.
///
/// # Errors
/// When the receiver is not who it should be, or does not take it.
pub async fn post<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    url: &WebAddress,
    notification: &Notification,
    notice: &Notice,
) -> anyhow::Result<()> {
    let name = ServerName::try_from(url.host.clone()).context("the name of the receiver")?;
    let connector = TlsConnector::from(client(notification.authority.as_deref())?);
    let mut stream = connector.connect(name, stream).await.context("TLS")?;
    stream.write_all(&request(url, notification, notice)?).await.context("the request")?;
    stream.flush().await.context("the request")?;
    let mut head = Vec::with_capacity(HEAD);
    while head.len() < HEAD && !head.contains(&b'\n') {
        if stream.read_buf(&mut head).await.context("the answer")? == 0 {
            break;
        }
    }
    let line = String::from_utf8_lossy(&head);
    let line = line.lines().next().unwrap_or_default();
    match line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()) {
        Some(200..=299) => Ok(()),
        Some(status) => bail!("the receiver answers {status}"),
        None => bail!("the receiver does not speak HTTP"),
    }
}

/// One that trusts the authorities that browsers know, and this one.
fn client(authority: Option<&str>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(text) = authority {
        for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
            roots.add(certificate.context("the authority")?).context("the authority")?;
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The request; its body is signed when there is a secret.
fn request(url: &WebAddress, notification: &Notification, notice: &Notice) -> anyhow::Result<Vec<u8>> {
    let body = serde_json::to_vec(notice)?;
    let mut head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Koi/{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n",
        url.path,
        url.authority(),
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    if let Some(secret) = &notification.secret {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
        let signature = HEXLOWER.encode(hmac::sign(&key, &body).as_ref());
        head.push_str(&format!("X-Koi-Signature: sha256={signature}\r\n"));
    }
    head.push_str("\r\n");
    Ok([head.into_bytes(), body].concat())
}
