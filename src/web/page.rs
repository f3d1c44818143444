//! The status page: one struct, one handler, one template.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::serve::Site;
use crate::node::snapshot::{CounterRow, DropRow, FlowRow, Snapshot};

/// Flows on the page.
const FLOWS: usize = 100;
/// Recent drops on the page.
const DROPS: usize = 50;

/// Everything that the page shows.
#[derive(Template, Serialize)]
#[template(path = "status.html")]
struct Status {
    #[serde(flatten)]
    snapshot: Snapshot,
    flows: Vec<FlowRow>,
    drops: Vec<DropRow>,
}

impl Status {
    async fn gather(site: &Site) -> Option<Self> {
        let snapshot = site.handle.snapshot().await?;
        let flows = site.handle.flows(None, FLOWS).await?;
        let mut drops = site.handle.drops().await?;
        drops.truncate(DROPS);
        Some(Status { snapshot, flows, drops })
    }

    /// Counters that are not zero.
    fn counters(&self) -> impl Iterator<Item = &CounterRow> {
        self.snapshot.counters.iter().filter(|counter| counter.value > 0)
    }

    fn uptime(&self) -> String {
        let seconds = self.snapshot.uptime_seconds;
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        format!("{days} d {hours:02}:{minutes:02}:{:02}", seconds % 60)
    }

    fn fullness(&self) -> String {
        let states = &self.snapshot.states;
        format!("{:.1} %", states.current as f64 * 100.0 / states.limit.max(1) as f64)
    }

    /// Bytes, in the unit that people read.
    fn size(&self, bytes: &u64) -> String {
        size(*bytes)
    }

    /// The hash, as short as people compare it.
    fn short_hash(&self) -> &str {
        self.snapshot.config_hash.get(..12).unwrap_or(&self.snapshot.config_hash)
    }
}

/// Bytes, in the unit that people read.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// `GET /`
pub(super) async fn status(State(site): State<Site>) -> Response {
    let Some(status) = Status::gather(&site).await else { return busy() };
    match status.render() {
        Ok(html) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
        Err(error) => {
            tracing::error!(%error, "the status page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `GET /status.json`
pub(super) async fn status_json(State(site): State<Site>) -> Response {
    match Status::gather(&site).await {
        Some(status) => Json(status).into_response(),
        None => busy(),
    }
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "the router is busy; try again\n")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_the_unit_that_people_read() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
