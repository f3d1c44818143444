//! The audit log as a page.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::audit::Deed;
use super::certificate::civil;
use super::frame::Frame;
use super::message::html;
use super::site::Site;
use super::visitor::Visitor;

/// Where it is.
pub(super) const AUDIT: &str = "/status/audit";

/// What was done of late.
#[derive(Template)]
#[template(path = "audit.html")]
struct Journal {
    frame: Frame,
    deeds: Vec<Deed>,
}

/// `GET /status/audit`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let frame = Frame::new(&site, &visitor, "Audit Log", AUDIT).await;
    html(&Journal { frame, deeds: site.deeds() })
}

/// A date and time of UTC.
pub(super) fn moment(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// What the template writes with.
mod filters {
    /// A date and time of UTC.
    #[askama::filter_fn]
    pub fn moment(seconds: &u64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::moment(*seconds))
    }
}
