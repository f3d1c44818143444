//! Diagnostics, Packet Capture: frames of an interface, looked at here and taken away as a pcap file.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::states::name_of;
use super::which::protocol_number;
use crate::conntrack::FlowState;
use crate::node::{Compiled, protocol_name};
use crate::web::captures::{CaptureRow, FRAMES, MOST_FRAMES, MOST_SECONDS, Order, SECONDS};
use crate::web::frame::Frame;
use crate::web::journal::moment;
use crate::web::message::{Message, busy, html};
use crate::web::site::Site;
use crate::web::visitor::{Posted, Visitor};
use crate::wire::protocol;

/// Where it is.
pub(super) const CAPTURE: &str = "/diagnostics/capture";

/// The form, as it is filled in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    interface: String,
    /// A host; two with a space between for what goes between them.
    host: String,
    port: String,
    protocol: String,
    /// A filter in words of its own.
    filter: String,
    frames: String,
    seconds: String,
    /// Fills in the rest by a flow.
    flow: String,
}

/// The list and the form.
#[derive(Template)]
#[template(path = "capture.html")]
struct Page {
    frame: Frame,
    wanted: Wanted,
    interfaces: Vec<String>,
    rows: Vec<CaptureRow>,
    wrong: Vec<String>,
}

/// One of them.
#[derive(Template)]
#[template(path = "captured.html")]
struct One {
    frame: Frame,
    row: CaptureRow,
    lines: Vec<String>,
}

impl One {
    /// Not all frames are told.
    fn is_cut(&self) -> bool {
        self.row.frames > self.lines.len() as u64
    }
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor, wanted: Wanted, wrong: Vec<String>) -> Page {
        Page {
            frame: Frame::new(site, visitor, "Packet Capture", CAPTURE).await,
            wanted,
            interfaces: site.config().interfaces.iter().map(|one| one.name.clone()).collect(),
            rows: site.captures.rows(),
            wrong,
        }
    }
}

/// `GET /diagnostics/capture`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(mut wanted): Query<Wanted>,
) -> Response {
    let mut wrong = Vec::new();
    if let Ok(id) = wanted.flow.parse::<u64>() {
        match site.handle.flow(id).await {
            Some(Some(flow)) => wanted = Wanted::of_flow(&site.handle.in_force(), &flow),
            Some(None) => wrong.push("This state is over.".to_owned()),
            None => return busy(),
        }
    }
    html(&Page::new(&site, &visitor, wanted, wrong).await)
}

/// `POST /diagnostics/capture`
pub(super) async fn begin(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let wanted = Wanted::of(&posted);
    let begun = wanted.order().and_then(|order| {
        let about = format!("began a capture on {}", order.interface);
        let begun = site.captures.begin(&site.handle, order, &visitor.account.name);
        begun.map(|id| (id, about)).map_err(|why| vec![why])
    });
    match begun {
        Ok((id, about)) => {
            site.note(&visitor.account.name, visitor.from, about);
            Redirect::to(&format!("{CAPTURE}/{id}")).into_response()
        }
        Err(wrong) => {
            let page = Page::new(&site, &visitor, wanted, wrong).await;
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
        }
    }
}

fn gone() -> Response {
    Message::missing("This capture is not kept any more.").into_response()
}

/// `GET /diagnostics/capture/{key}`
pub(super) async fn one(State(site): State<Site>, visitor: Visitor, Path(key): Path<String>) -> Response {
    let found = key.parse().ok().and_then(|id| site.captures.preview(id));
    let Some((row, lines)) = found else { return gone() };
    let path = format!("{CAPTURE}/{}", row.id);
    let frame = Frame::new(&site, &visitor, format!("Capture {}", row.id), &path).await;
    html(&One { frame, row, lines })
}

/// `GET /diagnostics/capture/{key}/pcap`
pub(super) async fn download(State(site): State<Site>, Path(key): Path<String>) -> Response {
    let Some((row, file)) = key.parse().ok().and_then(|id| site.captures.file(id)) else { return gone() };
    let name = format!("attachment; filename=\"capture-{}-{}.pcap\"", row.id, row.interface);
    let headers =
        [(header::CONTENT_TYPE, "application/vnd.tcpdump.pcap"), (header::CONTENT_DISPOSITION, &name)];
    (headers, file).into_response()
}

/// `POST /diagnostics/capture/{key}/stop`
pub(super) async fn stop(State(site): State<Site>, Path(key): Path<String>) -> Response {
    match key.parse().ok().and_then(|id| site.captures.stop(id).map(|()| id)) {
        Some(id) => Redirect::to(&format!("{CAPTURE}/{id}")).into_response(),
        None => gone(),
    }
}

/// `POST /diagnostics/capture/{key}/delete`
pub(super) async fn delete(State(site): State<Site>, Path(key): Path<String>) -> Response {
    match key.parse().ok().and_then(|id| site.captures.forget(id)) {
        Some(()) => Redirect::to(CAPTURE).into_response(),
        None => gone(),
    }
}

impl Wanted {
    fn of(posted: &Posted) -> Wanted {
        let field = |name| posted.get(name).unwrap_or_default().trim().to_owned();
        Wanted {
            interface: field("interface"),
            host: field("host"),
            port: field("port"),
            protocol: field("protocol"),
            filter: field("filter"),
            frames: field("frames"),
            seconds: field("seconds"),
            flow: String::new(),
        }
    }

    /// The packets of a flow where it comes in.
    fn of_flow(compiled: &Compiled, flow: &FlowState) -> Wanted {
        let key = &flow.original;
        let with_ports = matches!(key.protocol(), protocol::TCP | protocol::UDP);
        let ports = format!("port {} and port {}", key.src_port(), key.dst_port());
        Wanted {
            interface: name_of(compiled, flow.ingress),
            host: format!("{} {}", key.src(), key.dst()),
            protocol: protocol_name(key.protocol()),
            filter: if with_ports { ports } else { String::new() },
            ..Wanted::default()
        }
    }

    /// What shall be captured.
    ///
    /// # Errors
    /// Everything that is wrong with it, in sentences.
    fn order(&self) -> Result<Order, Vec<String>> {
        let mut wrong = Vec::new();
        let mut parts: Vec<String> = Vec::new();
        match self.protocol.to_ascii_lowercase().as_str() {
            "" => {}
            name @ ("tcp" | "udp" | "icmp" | "icmp6" | "arp" | "ip" | "ip6") => parts.push(name.to_owned()),
            other => match protocol_number(other) {
                Ok(_) | Err(_) => {
                    wrong.push(format!("\"{other}\" is not tcp, udp, icmp, icmp6, arp, ip or ip6."))
                }
            },
        }
        parts.extend(self.host.split_whitespace().map(|host| match host.contains('/') {
            true => format!("net {host}"),
            false => format!("host {host}"),
        }));
        parts.extend((!self.port.is_empty()).then(|| format!("port {}", self.port)));
        parts.extend((!self.filter.is_empty()).then(|| format!("({})", self.filter)));
        let mut number = |text: &str, usual: u64, most: u64| match text.parse::<u64>() {
            Ok(number) if (1..=most).contains(&number) => number,
            Err(_) if text.is_empty() => usual,
            Ok(_) | Err(_) => {
                wrong.push(format!("\"{text}\" is not a number from 1 to {most}."));
                usual
            }
        };
        let frames = number(&self.frames, FRAMES, MOST_FRAMES);
        let seconds = number(&self.seconds, SECONDS, MOST_SECONDS);
        let filter = parts.join(" and ");
        if wrong.is_empty() {
            Ok(Order { interface: self.interface.clone(), filter, frames, seconds })
        } else {
            Err(wrong)
        }
    }
}

/// What the template writes with.
mod filters {
    use askama::Values;

    /// A date and time of UTC.
    #[askama::filter_fn]
    pub fn moment(seconds: &u64, _: &dyn Values) -> askama::Result<String> {
        Ok(super::moment(*seconds))
    }

    /// Bytes, in the unit that people read.
    #[askama::filter_fn]
    pub fn size(bytes: &u64, _: &dyn Values) -> askama::Result<String> {
        Ok(crate::web::status::size(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::filter::Filter;

    #[test]
    fn fields_become_one_filter_in_the_language_of_captures() {
        let wanted = Wanted {
            interface: "lan".into(),
            host: "192.168.1.5 10.0.0.0/8".into(),
            port: "53".into(),
            protocol: "UDP".into(),
            filter: "not host 10.0.0.1 or ip6".into(),
            ..Wanted::default()
        };
        let order = wanted.order().unwrap();
        assert_eq!(
            order.filter,
            "udp and host 192.168.1.5 and net 10.0.0.0/8 and port 53 and (not host 10.0.0.1 or ip6)"
        );
        assert!(order.filter.parse::<Filter>().is_ok());
        assert_eq!((order.frames, order.seconds), (FRAMES, SECONDS));
        let wrong = Wanted { protocol: "ftp".into(), frames: "0".into(), seconds: "9999".into(), ..wanted };
        assert_eq!(wrong.order().unwrap_err().len(), 3);
    }
}
