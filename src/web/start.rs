//! The pages begin: password, certificate, runtime, listeners.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::auth::Password;
use super::certificate::{Certificate, InUse, Subject, chosen};
use super::drills;
use super::events;
use super::handle::Handle;
use super::preferences::Preferences;
use super::serve;
use super::share::{self, Known, Own, Share};
use super::site::Site;
use super::steward::Steward;
use crate::config::model::Zone;
use crate::config::{Config, NodeIndex, Valid};
use crate::io::config_request::ConfigRequest;
use crate::io::engine::PagesSeat;
use crate::io::host_listener::HostListener;
use crate::io::request::Request;
use crate::io::{clock, entropy, files};
use crate::types::Duration;

/// Name of the file with the password, in the state directory.
pub const PASSWORD: &str = "web-password";
const CERTIFICATE: &str = "web-cert.pem";
const KEY: &str = "web-key.pem";
/// For which name and addresses the certificate was made, and until when.
const NOTE: &str = "web-cert.note";
/// How users want their pages.
const PREFERENCES: &str = "web-preferences.json";
/// Threads for what takes long.
const BLOCKING: usize = 4;
/// How often the certificate is looked at.
const RENEWAL: Duration = Duration::from_secs(60);
/// How often it is seen whether the document is another one.
const GLANCE: Duration = Duration::from_secs(1);

/// Starts the pages in a thread of their own. The working directory is the state directory.
///
/// # Errors
/// When password or certificate can be neither read nor made.
pub fn start(seat: PagesSeat) -> anyhow::Result<()> {
    let PagesSeat {
        config,
        node,
        host,
        loopback,
        ask,
        ask_pair,
        in_force,
        desk,
        tokens,
        tell_peer,
        listen,
        pair,
    } = seat;
    let handle = Handle::new(ask, ask_pair, in_force);
    let (asked, question) = (Arc::clone(&desk), |request| Request::Config(Box::new(request)));
    let configure = move |request: ConfigRequest| asked(question(request));
    let share = Share::new(tell_peer);
    let editor = Arc::new(Steward::new(handle.clone(), Box::new(configure), Some(share.clone())));
    let (password, is_new) = password().context("the password of the pages")?;
    announce(&config, node, &password, is_new);
    let mut site =
        Site::new(handle, Some(Arc::clone(&editor) as _), password, clock::now).with_desk(desk, tokens);
    site.share = Some(share);
    site.pair = Some(Arc::new(pair));
    let sessions = Arc::clone(&site.sessions);
    let (following, telling) = (Arc::clone(&editor), Arc::clone(&editor));
    let follow = move |drafted| {
        if let Err(rejected) = following.follow(drafted) {
            tracing::info!(?rejected, "the draft of the peer's pages is not taken over");
        }
    };
    let own = move || Own { certificate: stored().ok().flatten(), draft: telling.present().ok() };
    site.preferences = Arc::new(Preferences::open(PREFERENCES.into()));
    let (preferences, drill, state) =
        (Arc::clone(&site.preferences), Arc::clone(&site.drill), site.state.clone());
    listen(Arc::new(move |words: &str| {
        let answering = share::Answering {
            sessions: &sessions,
            preferences: &preferences,
            own: &own,
            follow: &follow,
            drilled: &|report| drills::hear(&drill, &state, report),
        };
        share::answer(&answering, words)
    }));
    let subject = Subject::of(&config);
    let certificate = InUse::new(present(&config, &subject)?);
    let tls = TlsAcceptor::from(certificate.server_config()?);
    let own = subject.addresses.first().copied().unwrap_or([0, 0, 0, 0].into());
    let local = SocketAddr::new(own, config.system.web.port);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build()?;
    let run = move || {
        runtime.block_on(async move {
            tokio::spawn(renew(site.handle.clone(), certificate));
            tokio::spawn(agree(site.clone(), editor));
            tokio::spawn(events::run(site.clone()));
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
async fn renew(handle: Handle, in_use: Arc<InUse>) {
    let (mut last, mut since) = (Arc::clone(&handle.in_force().config), Duration::ZERO);
    loop {
        tokio::time::sleep(GLANCE).await;
        since += GLANCE;
        let config = Arc::clone(&handle.in_force().config);
        if since < RENEWAL && Arc::ptr_eq(&config, &last) {
            continue;
        }
        since = Duration::ZERO;
        match present(&config, &Subject::of(&config)) {
            Ok(certificate) => in_use.exchange(certificate),
            Err(error) => tracing::error!("the certificate of the pages: {error:#}"),
        }
        last = config;
    }
}

/// The certificate that the document chooses; without one, or when it cannot be used, the node's own.
fn present(config: &Config, subject: &Subject) -> anyhow::Result<Arc<CertifiedKey>> {
    match chosen(config) {
        Some(Ok(certified)) => Ok(certified),
        Some(Err(error)) => {
            tracing::error!("the chosen certificate cannot be used: {error:#}");
            certificate(subject)
        }
        None => certificate(subject),
    }
}

/// Asks the peer now and then for what it knows. The node that does not serve has the other one's certificate, as long
/// as it is for the same names, so that a browser sees the same one after a takeover.
async fn agree(site: Site, editor: Arc<Steward>) {
    // After a start there is much to catch up with.
    let mut round = GLANCE;
    loop {
        tokio::time::sleep(round).await;
        let Some(pair) = site.handle.pair().await.filter(|pair| pair.paired) else { continue };
        let Some(share) = site.share.clone() else { continue };
        let (sessions, subject) = (Arc::clone(&site.sessions), Subject::of(&site.config()));
        let editor = Arc::clone(&editor);
        let preferences = Arc::clone(&site.preferences);
        let asking = move || {
            let known = share.catch_up(&sessions, &preferences)?;
            Some(if pair.leads { Ok(()) } else { follow(known, &editor, &subject) })
        };
        match tokio::task::spawn_blocking(asking).await {
            Ok(Some(Ok(()))) => round = share::ROUND,
            Ok(Some(Err(error))) => tracing::warn!("what the peer's pages know is not taken over: {error:#}"),
            Ok(None) | Err(_) => {}
        }
    }
}

/// The node that does not serve has the draft and the certificate of the one that does.
fn follow(known: Known, editor: &Steward, subject: &Subject) -> anyhow::Result<()> {
    if let Some(draft) = known.draft {
        editor.catch_up(draft).map_err(|rejected| anyhow::anyhow!("the draft: {rejected:?}"))?;
    }
    let Some(theirs) = known.certificate else { return Ok(()) };
    let same = stored().ok().flatten().is_some_and(|ours| ours.certificate == theirs.certificate);
    let good = theirs.serves(subject, clock::wall_seconds()) && theirs.certified_key().is_ok();
    if same || !good { Ok(()) } else { keep(&theirs).context("the certificate") }
}

fn log(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "the pages are not served any more");
    }
}

/// Says where the machine is set up, while nobody has; and the code for that when it was made just now.
fn announce(config: &Valid<Config>, node: NodeIndex, password: &Password, is_new: bool) {
    if !config.users.is_empty() {
        return;
    }
    let lans = config.interface_ids().zip(&config.interfaces).filter(|(_, part)| part.zone == Zone::Lan);
    let addresses: Vec<String> =
        lans.flat_map(|(id, _)| config.addresses(node, id)).map(|prefix| prefix.addr().to_string()).collect();
    let addresses = addresses.join(", ");
    if is_new {
        let code = password.reveal();
        tracing::warn!(%addresses, %code, "nobody can log in yet: from LAN, as admin, with this code, until there is a user");
    } else {
        tracing::warn!(%addresses, "nobody can log in yet: from LAN, as admin, with the code in {PASSWORD} of the state directory");
    }
}

/// The password of the first start, and whether it is new.
fn password() -> anyhow::Result<(Password, bool)> {
    if let Some(stored) = read(PASSWORD)?.as_deref().and_then(Password::from_stored) {
        return Ok((stored, false));
    }
    let mut random = [0; 24];
    entropy::fill(&mut random)?;
    let password = Password::from_random(random);
    files::write_atomically(Path::new(PASSWORD), format!("{}\n", password.reveal()).as_bytes())?;
    Ok((password, true))
}

/// The stored certificate, when it is for this subject and can be used; else a new one.
fn certificate(subject: &Subject) -> anyhow::Result<Arc<CertifiedKey>> {
    let now = clock::wall_seconds();
    if let Some(stored) = stored()? {
        match stored.certified_key() {
            Ok(certified) if stored.serves(subject, now) => return Ok(certified),
            Ok(_) => tracing::info!("a new certificate for the pages: name, addresses or date have changed"),
            Err(error) => tracing::warn!("the stored certificate is replaced: {error:#}"),
        }
    }
    let made = Certificate::make(subject, now)?;
    keep(&made)?;
    made.certified_key()
}

/// The certificate in the state directory.
fn stored() -> anyhow::Result<Option<Certificate>> {
    let (note, certificate, key) = (read(NOTE)?, read(CERTIFICATE)?, read(KEY)?);
    let parts = note.zip(certificate).zip(key);
    Ok(parts.map(|((note, certificate), key)| Certificate { certificate, key, note }))
}

fn keep(made: &Certificate) -> anyhow::Result<()> {
    for (name, text) in [(KEY, &made.key), (CERTIFICATE, &made.certificate), (NOTE, &made.note)] {
        files::write_atomically(Path::new(name), text.as_bytes()).context(name)?;
    }
    Ok(())
}

fn read(name: &str) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(name) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(name.to_owned()),
    }
}
