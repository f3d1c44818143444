//! The whole document as a file, out and in.

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::change::rejection;
use super::edit::Rejected;
use super::frame::Frame;
use super::message::html;
use super::pending::PENDING;
use super::site::Site;
use super::visitor::{Posted, Visitor};
use crate::config::{self, pfsense};

/// Where it is.
pub(super) const BACKUP: &str = "/diagnostics/backup";

/// The page.
#[derive(Template)]
#[template(path = "backup.html")]
struct Backup {
    frame: Frame,
    text: String,
    problems: Vec<String>,
}

/// `GET /diagnostics/backup`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let frame = Frame::new(&site, &visitor, "Backup & Restore", BACKUP).await;
    html(&Backup { frame, text: String::new(), problems: Vec::new() })
}

/// `GET /diagnostics/backup/koi.toml`
pub(super) async fn download(State(site): State<Site>, visitor: Visitor) -> Response {
    match site.edit(|editor| editor.text()).await {
        Ok(text) => {
            site.note(&visitor.account.name, visitor.from, "downloaded the configuration");
            let kinds = [
                (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"koi.toml\""),
            ];
            (kinds, text).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}

/// `GET /diagnostics/backup/config.xml`: for pfSense.
pub(super) async fn download_pfsense(State(site): State<Site>, visitor: Visitor) -> Response {
    let (config, node) = (site.config(), site.node_name());
    let export = site.edit(move |_| {
        pfsense::export(&config, None, Some(&node)).map_err(|problem| Rejected::Failed(problem.to_string()))
    });
    match export.await {
        Ok(export) => {
            site.note(&visitor.account.name, visitor.from, "downloaded the configuration for pfSense");
            let kinds = [
                (header::CONTENT_TYPE, "application/xml; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"config.xml\""),
            ];
            (kinds, export.xml).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}

/// `POST /diagnostics/backup`
pub(super) async fn upload(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let text = posted.get("text").unwrap_or_default().to_owned();
    let (who, edition, given) = (visitor.author(), posted.edition().to_owned(), text.clone());
    let saved = site.edit(move |editor| {
        let document = config::load(&given).map_err(Rejected::Problems)?;
        editor.save(&who, &edition, document)
    });
    match saved.await {
        Ok(()) => {
            site.note(&visitor.account.name, visitor.from, "uploaded a configuration");
            Redirect::to(PENDING).into_response()
        }
        Err(Rejected::Problems(problems)) => {
            let problems = problems.iter().map(ToString::to_string).collect();
            let frame = Frame::new(&site, &visitor, "Backup & Restore", BACKUP).await;
            (StatusCode::UNPROCESSABLE_ENTITY, html(&Backup { frame, text, problems })).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}
