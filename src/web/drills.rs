//! Drills that pages begin: one at a time, in a thread of its own, told to the other node's pages, whose browser perhaps is
//! the same.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use super::site::{Site, lock};
use crate::io::both::{Both, answered};
use crate::io::clock;
use crate::io::drill::{self, Plan, Report};
use crate::io::request::Request;

/// Times that the role may move in one drill.
pub(super) const MOST: u8 = 10;
/// A drill that was begun so long ago is over, whatever became of it.
const LONGEST_MS: u64 = 10 * 60_000;

/// Begins a drill.
///
/// # Errors
/// When one runs already, or there can be none.
pub(super) fn start(site: &Site, count: u8, probe: Option<IpAddr>) -> Result<(), String> {
    let Some(desk) = site.desk() else { return Err("Nobody answers that here.".into()) };
    {
        let (now, mut present) = (clock::calendar_ms(), lock(&site.drill));
        if present.as_ref().is_some_and(|report| runs(report, now)) {
            return Err("A drill runs already.".into());
        }
        *present = Some(Report { runs: true, at_ms: now, ..Report::default() });
    }
    let (seen, share) = (Arc::clone(&site.drill), site.share.clone());
    let (node, state) = (site.node_name(), site.state.clone());
    let run = move || {
        let ask = |request: &Request| answered(desk(request.clone()));
        let tell = |report: &Report| {
            *lock(&seen) = Some(report.clone());
            if let Some(share) = &share {
                share.drilled(report);
            }
        };
        let plan = Plan { crash: false, count, probe };
        let (_, kept) = drill::run(&Both::new(&ask), plan, &node, &state, tell);
        if let Err(error) = kept {
            tracing::warn!(%error, "the report of a drill cannot be kept");
        }
    };
    let begun = std::thread::Builder::new().name("drill".into()).spawn(run);
    begun.map(drop).map_err(|error| {
        *lock(&site.drill) = None;
        format!("There can be no drill now: {error}.")
    })
}

/// The drill that runs. One of a node that has died meanwhile does not.
pub(super) fn running(site: &Site) -> Option<Report> {
    let now = clock::calendar_ms();
    lock(&site.drill).clone().filter(|report| runs(report, now))
}

fn runs(report: &Report, now: u64) -> bool {
    report.runs && now.saturating_sub(report.at_ms) < LONGEST_MS
}

/// The reports that are known here, the newest first.
pub(super) async fn known(site: &Site) -> Vec<Report> {
    let state = site.state.clone();
    let mut reports = tokio::task::spawn_blocking(move || drill::reports(&state)).await.unwrap_or_default();
    reports.reverse();
    reports
}

/// What the peer's pages tell of a drill of theirs.
pub(super) fn hear(drill: &std::sync::Mutex<Option<Report>>, state: &Path, report: Report) {
    if !report.runs
        && let Err(error) = drill::keep(state, &report)
    {
        tracing::warn!(%error, "the report of the peer's drill cannot be kept");
    }
    *lock(drill) = Some(report);
}

/// How a report is called in an address.
pub(super) fn key_of(report: &Report) -> String {
    format!("{}-{}", report.node, report.at_ms)
}
