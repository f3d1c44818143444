//! Status, CARP (failover), upgrade: a release is taken, what would happen is said, and both nodes are upgraded by the command
//! that somebody would type, which the parent starts. The page follows its journal, wherever it is kept.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::message::html;
use super::pages::BESIDE_PAIR;
use super::site::{Site, lock};
use super::status::filters;
use super::visitor::{Files, Posted, Visitor};
use crate::cluster::release::{Release, SIZE_MAX, Trust};
use crate::cluster::upgrade::{View, plan, will};
use crate::io::both::{Both, answered};
use crate::io::files;
use crate::io::request::{Request, Response as Answer};
use crate::io::upgrade::{Journal, Progress, UPLOADED, look};

/// Where it is.
pub(super) const UPGRADE: &str = "/status/carp/upgrade";
/// Where a release is sent to.
pub(super) const RELEASE: &str = "/status/carp/upgrade/release";
/// Bytes of a form with a release.
pub(super) const FORM: usize = SIZE_MAX + 4096;

/// A release that was taken.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(super) struct Taken {
    /// Its version.
    pub version: String,
    /// Who has signed it.
    pub key: String,
    /// What would happen, in words.
    pub plan: Vec<String>,
}

/// An upgrade that is known here.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    /// Somebody is at it.
    pub runs: bool,
    /// What has happened.
    pub journal: Journal,
    /// The node that keeps the journal answers.
    pub heard: bool,
}

impl Known {
    fn words(&self) -> &'static str {
        match (self.heard, self.journal.done) {
            (false, None) => "ran when its node was last heard",
            (_, _) => self.journal.words(self.runs),
        }
    }

    fn is_bad(&self) -> bool {
        self.heard && !self.runs && self.journal.done != Some(true)
    }
}

/// What moves on the page.
#[derive(Template)]
#[template(path = "part/upgrade.html")]
struct Moving<'a> {
    known: Option<&'a Known>,
}

/// The page.
#[derive(Template)]
#[template(path = "upgrade.html")]
struct Page {
    frame: Frame,
    paired: bool,
    /// What is wrong with the file.
    wrong: Option<String>,
    problem: Option<String>,
    taken: Option<Taken>,
    runs: bool,
    moving: String,
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor, wrong: Option<String>, problem: Option<String>) -> Page {
        let known = known(site).await;
        Page {
            frame: Frame::new(site, visitor, "Upgrade of the pair", UPGRADE).await.with_tabs(BESIDE_PAIR),
            paired: site.config().pair.is_some(),
            wrong,
            problem,
            taken: taken(site).await,
            runs: known.as_ref().is_some_and(|known| known.runs),
            moving: Moving { known: known.as_ref() }.render().unwrap_or_default(),
        }
    }
}

/// What moves on the page, by itself.
pub(super) async fn fragment(site: &Site) -> Option<String> {
    Moving { known: known(site).await.as_ref() }.render().ok()
}

/// The upgrade that runs, or else the last one: of this node, or of its peer, which is asked when it is heard.
pub(super) async fn known(site: &Site) -> Option<Known> {
    let here = progress(site, Request::Upgrading).await;
    let pair = site.handle.pair().await;
    let heard = pair.is_some_and(|pair| pair.session && pair.peer.as_ref().is_some_and(|peer| peer.alive));
    let asked = if heard { progress(site, Request::Peer(Box::new(Request::Upgrading))).await } else { None };
    let there = match asked {
        Some(known) => {
            *lock(&site.peers_upgrade) = Some(known.clone());
            Some(known)
        }
        None => lock(&site.peers_upgrade).clone().map(|known| Known { heard: false, runs: false, ..known }),
    };
    newest(here, there)
}

fn newest(here: Option<Known>, there: Option<Known>) -> Option<Known> {
    [here, there].into_iter().flatten().max_by_key(|known| (known.runs, known.journal.at_ms))
}

async fn progress(site: &Site, request: Request) -> Option<Known> {
    match site.ask(request).await {
        Answer::Upgrading(progress) => {
            let Progress { runs, last } = *progress;
            last.map(|journal| Known { runs, journal, heard: true })
        }
        _ => None,
    }
}

/// The nodes as the command sees them.
async fn view(site: &Site) -> Option<View> {
    let (desk, config, node) = (site.desk()?, site.config(), site.node_name());
    let looking = move || {
        let ask = |request: &Request| answered(desk(request.clone()));
        look(&Both::new(&ask), &config, &node)
    };
    tokio::task::spawn_blocking(looking).await.ok()
}

/// The release that waits to be installed, and what would happen now.
pub(super) async fn taken(site: &Site) -> Option<Taken> {
    let release = (*lock(&site.release))?;
    let plan = match view(site).await {
        Some(view) => plan(&view, release.version).map_or_else(
            |why| vec![format!("Nothing would be done now: {why}.")],
            |acts| acts.iter().map(|act| will(&view, act, release.version)).collect(),
        ),
        None => Vec::new(),
    };
    Some(Taken { version: release.version.to_string(), key: release.key.to_string(), plan })
}

/// Checks a release and keeps it for the command.
///
/// # Errors
/// Says what is wrong with it.
pub(super) async fn take(site: &Site, bytes: Bytes) -> Result<Release, String> {
    if bytes.is_empty() {
        return Err("choose a file".into());
    }
    let trust = Trust::of(&site.config().system);
    let bytes = Arc::new(bytes);
    let checked = Arc::clone(&bytes);
    let failed = || "the check has failed; the log says why".to_owned();
    let release = site.work(move || trust.check(&checked)).await.ok_or_else(failed)?;
    let release = release.map_err(|refusal| refusal.to_string())?;
    let view = view(site).await.ok_or("nobody answers that here")?;
    plan(&view, release.version)?;
    if known(site).await.is_some_and(|known| known.runs) {
        return Err("an upgrade runs; the next one can be prepared when that is over".into());
    }
    let path = site.state.join(UPLOADED);
    let kept = site.work(move || files::write_atomically(&path, &bytes)).await.ok_or_else(failed)?;
    kept.map_err(|error| format!("the state directory: {error}"))?;
    *lock(&site.release) = Some(release);
    Ok(release)
}

/// Begins the upgrade to the release that was taken, which must still be this version.
///
/// # Errors
/// Says why it does not begin.
pub(super) async fn begin(site: &Site, version: &str) -> Result<(), String> {
    let Some(release) = *lock(&site.release) else {
        return Err("no release waits on this node; upload it again".into());
    };
    if release.version.to_string() != version {
        return Err(format!("meanwhile version {} was uploaded; look again", release.version));
    }
    if known(site).await.is_some_and(|known| known.runs) {
        return Err("an upgrade runs already".into());
    }
    match site.ask(Request::Upgrade).await {
        Answer::Done => {
            *lock(&site.release) = None;
            Ok(())
        }
        Answer::Failed(why) => Err(why),
        _ => Err("the router answers something else than it was asked".into()),
    }
}

/// `GET /status/carp/upgrade`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    html(&Page::new(&site, &visitor, None, None).await)
}

/// `POST /status/carp/upgrade/release`
pub(super) async fn upload(State(site): State<Site>, visitor: Visitor, files: Files) -> Response {
    match take(&site, files.get("release")).await {
        Ok(release) => {
            let what = format!("uploaded the release {}, signed by {}", release.version, release.key);
            site.note(&visitor.account.name, visitor.from, what);
            Redirect::to(UPGRADE).into_response()
        }
        Err(why) => {
            let page = Page::new(&site, &visitor, Some(why), None).await;
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
        }
    }
}

/// `POST /status/carp/upgrade`
pub(super) async fn start(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    if posted.get("sure").is_none() {
        return Redirect::to(UPGRADE).into_response();
    }
    let version = posted.get("version").unwrap_or_default().to_owned();
    match begin(&site, &version).await {
        Ok(()) => {
            let what = format!("began the upgrade of both nodes to {version}");
            site.note(&visitor.account.name, visitor.from, what);
            Redirect::to(UPGRADE).into_response()
        }
        Err(why) => {
            let page = Page::new(&site, &visitor, None, Some(why)).await;
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(node: &str, at_ms: u64, runs: bool, done: Option<bool>) -> Known {
        let lines = vec![(1500, format!("{node} <tries> it."))];
        Known {
            runs,
            journal: Journal { node: node.into(), at_ms, lines, done, ..Journal::default() },
            heard: true,
        }
    }

    #[test]
    fn the_one_that_runs_is_shown_or_else_the_newest() {
        let (old, new) = (known("alpha", 1, false, Some(true)), known("beta", 2, false, Some(false)));
        let running = known("alpha", 1, true, None);
        assert_eq!(newest(Some(old.clone()), Some(new.clone())), Some(new.clone()));
        assert_eq!(newest(Some(running.clone()), Some(new)), Some(running));
        assert_eq!(newest(Some(old.clone()), None), Some(old));
        assert_eq!(newest(None, None), None);
    }

    #[test]
    fn every_line_is_shown_and_how_it_goes() {
        let page = |known: &Known| Moving { known: Some(known) }.render().unwrap();
        for (known, words) in [
            (known("alpha", 1, true, None), "runs"),
            (known("alpha", 1, false, Some(true)), "is done"),
            (known("alpha", 1, false, Some(false)), "has stopped"),
            (known("alpha", 1, false, None), "was interrupted"),
            (Known { heard: false, ..known("alpha", 1, false, None) }, "ran when its node was last heard"),
        ] {
            let html = page(&known);
            for fact in [words, "alpha &#60;tries&#62; it.", "1.5 s"] {
                assert!(html.contains(fact), "{fact}: {html}");
            }
        }
        assert!(Moving { known: None }.render().unwrap().contains("There was none yet"));
    }
}
