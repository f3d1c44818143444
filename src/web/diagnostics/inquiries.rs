//! Diagnostics: Ping, Traceroute, DNS Lookup, Test Port, asked from the router itself.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::states::sentence;
use crate::io::inquiry::{Finding, Inquiry, own_addresses};
use crate::io::request::{Request, Response as Answer};
use crate::web::frame::Frame;
use crate::web::message::html;
use crate::web::site::Site;
use crate::web::visitor::{Posted, Visitor};

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Ping,
    Trace,
    Names,
    Port,
}

impl Kind {
    /// Every one.
    pub const ALL: [Kind; 4] = [Kind::Ping, Kind::Trace, Kind::Names, Kind::Port];

    /// Where it is.
    pub const fn path(self) -> &'static str {
        match self {
            Kind::Ping => "/diagnostics/ping",
            Kind::Trace => "/diagnostics/traceroute",
            Kind::Names => "/diagnostics/dns",
            Kind::Port => "/diagnostics/test-port",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Kind::Ping => "Ping",
            Kind::Trace => "Traceroute",
            Kind::Names => "DNS Lookup",
            Kind::Port => "Test Port",
        }
    }

    const fn about(self) -> &'static str {
        match self {
            Kind::Ping => "Echo requests from this firewall to a host, and what comes back.",
            Kind::Trace => {
                "The way from this firewall to a host: who on it says that a packet has come too far."
            }
            Kind::Names => "What name servers say about a name, and how long they take.",
            Kind::Port => "Whether a host takes TCP connections at a port. Nothing is sent but the greeting.",
        }
    }
}

/// The form, as it is filled in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    host: String,
    source: String,
    count: String,
    hops: String,
    icmp: String,
    port: String,
    server: String,
}

/// The page.
#[derive(Template)]
#[template(path = "inquiry.html")]
struct Page {
    frame: Frame,
    kind: Kind,
    wanted: Wanted,
    sources: Vec<String>,
    wrong: Vec<String>,
    found: Option<Finding>,
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor, kind: Kind, wanted: Wanted) -> Page {
        let sources = own_addresses(&site.handle.in_force());
        Page {
            frame: Frame::new(site, visitor, kind.title(), kind.path()).await,
            kind,
            wanted,
            sources: sources.iter().map(IpAddr::to_string).collect(),
            wrong: Vec::new(),
            found: None,
        }
    }

    /// How many of the requests were answered, and how fast.
    fn summary(&self) -> String {
        let Some(found) = &self.found else { return String::new() };
        let times: Vec<f64> =
            found.rows.iter().filter(|row| row.outcome == "answer").filter_map(|row| row.millis).collect();
        let lost = found.rows.len() - times.len();
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        let most = times.iter().copied().fold(0.0, f64::max);
        let mean = times.iter().sum::<f64>() / times.len().max(1) as f64;
        let counts = format!("{} sent, {} answered, {lost} lost", found.rows.len(), times.len());
        match times.is_empty() {
            true => counts,
            false => format!("{counts}; least {least:.2} ms, mean {mean:.2} ms, most {most:.2} ms"),
        }
    }
}

/// `GET` of one.
pub(super) async fn show(
    kind: Kind,
    State(site): State<Site>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Response {
    html(&Page::new(&site, &visitor, kind, wanted).await)
}

/// `POST` of one: asks.
pub(super) async fn ask(kind: Kind, State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let wanted = Wanted::of(&posted);
    let mut page = Page::new(&site, &visitor, kind, wanted).await;
    match page.wanted.inquiry(kind) {
        Err(wrong) => page.wrong = wrong,
        Ok(inquiry) => {
            let what = format!("{} {}", kind.title().to_ascii_lowercase(), page.wanted.host);
            site.note(&visitor.account.name, visitor.from, what);
            match site.ask(Request::Inquire(inquiry)).await {
                Answer::Found(found) => page.found = Some(*found),
                Answer::Failed(why) => page.wrong.push(sentence(&why)),
                _ => page.wrong.push("The router answers something else than it was asked.".into()),
            }
        }
    }
    let status = if page.wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    (status, html(&page)).into_response()
}

impl Wanted {
    fn of(posted: &Posted) -> Wanted {
        let field = |name| posted.get(name).unwrap_or_default().trim().to_owned();
        Wanted {
            host: field("host"),
            source: field("source"),
            count: field("count"),
            hops: field("hops"),
            icmp: field("icmp"),
            port: field("port"),
            server: field("server"),
        }
    }

    fn inquiry(&self, kind: Kind) -> Result<Inquiry, Vec<String>> {
        let mut wrong = Vec::new();
        if self.host.is_empty() {
            wrong.push("Name a host.".to_owned());
        }
        let mut address = |text: &str| {
            if text.is_empty() {
                return None;
            }
            text.parse::<IpAddr>().map_err(|_| wrong.push(format!("\"{text}\" is not an address."))).ok()
        };
        let (source, server) = (address(&self.source), address(&self.server));
        let mut number = |text: &str, usual: u16, most: u16| match text.parse::<u16>() {
            Ok(number) if (1..=most).contains(&number) => number,
            Err(_) if text.is_empty() && usual > 0 => usual,
            Ok(_) | Err(_) => {
                wrong.push(format!("\"{text}\" is not a number from 1 to {most}."));
                usual
            }
        };
        let host = self.host.clone();
        let inquiry = match kind {
            Kind::Ping => Inquiry::Ping { host, source, count: number(&self.count, 3, 10) as u8 },
            Kind::Trace => Inquiry::Trace {
                host,
                source,
                icmp: !self.icmp.is_empty(),
                hops: number(&self.hops, 18, 30) as u8,
            },
            Kind::Names => Inquiry::Names { name: host, server },
            Kind::Port => Inquiry::Port { host, source, port: number(&self.port, 0, u16::MAX) },
        };
        if wrong.is_empty() { Ok(inquiry) } else { Err(wrong) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_become_questions_and_what_is_wrong_is_named() {
        let wanted = Wanted { host: "example.org".into(), ..Wanted::default() };
        let inquiry = wanted.inquiry(Kind::Ping).unwrap();
        assert_eq!(inquiry, Inquiry::Ping { host: "example.org".into(), source: None, count: 3 });
        assert!(wanted.inquiry(Kind::Port).is_err(), "a port has to be named");
        let wrong = Wanted { source: "lan".into(), count: "11".into(), ..Wanted::default() };
        assert_eq!(wrong.inquiry(Kind::Ping).unwrap_err().len(), 3);
    }
}
