//! Diagnostics, Reboot and Halt: the router process begins anew, or the machine does, where it is Koi's own.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::states::sentence;
use crate::io::power::PowerStep;
use crate::io::request::{Request, Response as Answer};
use crate::web::frame::Frame;
use crate::web::message::html;
use crate::web::site::Site;
use crate::web::visitor::{Posted, Visitor};

/// Where it is.
pub(super) const RESTART: &str = "/diagnostics/restart";

/// The page.
#[derive(Template)]
#[template(path = "restart.html")]
struct Page {
    frame: Frame,
    done: Option<String>,
    wrong: Option<String>,
    /// It is half of a pair whose other half could take over.
    redundant: bool,
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor) -> Page {
        let frame = Frame::new(site, visitor, "Reboot and Halt", RESTART).await;
        let redundant = site.handle.pair().await.is_some_and(|pair| pair.paired && pair.redundant);
        Page { frame, done: None, wrong: None, redundant }
    }
}

/// `GET /diagnostics/restart`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    html(&Page::new(&site, &visitor).await)
}

/// `POST /diagnostics/restart`
pub(super) async fn act(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let mut page = Page::new(&site, &visitor).await;
    let Some(step) = posted.get("step").and_then(PowerStep::of) else {
        page.wrong = Some("Say what shall begin anew.".into());
        return (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response();
    };
    match site.ask(Request::Power(step)).await {
        Answer::Done => {
            let (what, deed) = match step {
                PowerStep::Restart => ("The router process begins anew in a second.", "restarted the router"),
                PowerStep::Reboot => ("The machine begins anew.", "rebooted the machine"),
                PowerStep::Halt => ("The machine is being switched off.", "halted the machine"),
            };
            site.note(&visitor.account.name, visitor.from, deed);
            page.done = Some(what.into());
            html(&page)
        }
        Answer::Failed(why) => {
            page.wrong = Some(sentence(&why));
            (StatusCode::CONFLICT, html(&page)).into_response()
        }
        _ => {
            page.wrong = Some("The router answers something else than it was asked.".into());
            (StatusCode::CONFLICT, html(&page)).into_response()
        }
    }
}
