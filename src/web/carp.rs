//! Status, CARP (failover): how the pair is and why, what should be put right, and what one can ask of it.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::drills::{self, key_of};
use super::frame::Frame;
use super::message::{Message, html};
use super::pages::BESIDE_PAIR;
use super::site::Site;
use super::status::filters;
use super::visitor::{Posted, Visitor};
use crate::cluster::role;
use crate::io::drill::Report;
use crate::io::program::ProgramNote;
use crate::io::request::{Request, Response as Answer};
use crate::node::{PairSnapshot, ReplicationRow};

/// Where it is.
pub(super) const CARP: &str = "/status/carp";

/// What moves on the page.
#[derive(Template)]
#[template(path = "part/carp.html")]
struct Moving<'a> {
    pair: Option<&'a PairSnapshot>,
}

/// The page.
#[derive(Template)]
#[template(path = "carp.html")]
struct Page {
    frame: Frame,
    pair: Option<PairSnapshot>,
    moving: String,
    /// The newest first.
    drills: Vec<Report>,
    /// A drill runs.
    running: Option<Report>,
    /// Which program each node runs, in words; of those that answer.
    releases: Vec<(String, String)>,
    problems: Vec<String>,
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor, problems: Vec<String>) -> Page {
        let pair = site.handle.pair().await;
        let heard = pair
            .as_ref()
            .is_some_and(|pair| pair.session && pair.peer.as_ref().is_some_and(|peer| peer.alive));
        Page {
            frame: Frame::new(site, visitor, "CARP (failover)", CARP).await.with_tabs(BESIDE_PAIR),
            moving: fragment(pair.as_ref()).unwrap_or_default(),
            pair,
            drills: drills::known(site).await,
            running: drills::running(site),
            releases: releases(site, heard).await,
            problems,
        }
    }

    /// This node belongs to a pair.
    fn is_paired(&self) -> bool {
        self.pair.as_ref().is_some_and(|pair| pair.paired)
    }

    fn has_virtual_ips(&self) -> bool {
        self.pair.as_ref().is_some_and(|pair| !pair.virtual_ips.is_empty())
    }

    fn leads(&self) -> bool {
        self.pair.as_ref().is_some_and(|pair| pair.leads)
    }

    fn maintenance(&self) -> bool {
        self.pair.as_ref().is_some_and(|pair| pair.maintenance)
    }

    fn disabled(&self) -> bool {
        self.pair.as_ref().is_some_and(|pair| pair.disabled)
    }
}

/// What the nodes run. A peer that is not heard is not asked: its silence would hold up the page.
async fn releases(site: &Site, heard: bool) -> Vec<(String, String)> {
    let mut asked = vec![Request::Status];
    if heard {
        asked.push(Request::Peer(Box::new(Request::Status)));
    }
    let mut found = Vec::new();
    for request in asked {
        if let Answer::Status(status) = site.ask(request).await {
            let ProgramNote { version, trial, gave_up, trials: _ } = status.program;
            let trial = if trial { ", on trial" } else { "" };
            let gave_up =
                gave_up.map_or(String::new(), |(version, why)| format!(", has given up {version}: {why}"));
            found.push((status.node, format!("{version}{trial}{gave_up}")));
        }
    }
    found
}

/// What moves on the page, by itself.
pub(super) fn fragment(pair: Option<&PairSnapshot>) -> Option<String> {
    Moving { pair }.render().ok()
}

/// How sure it is that both nodes have the same states.
fn proof(row: &ReplicationRow) -> String {
    let digests = &row.digests;
    let ranges = match digests.differing {
        0 => "no range differs".to_owned(),
        1 => "1 range differs at present".to_owned(),
        ranges => format!("{ranges} ranges differ at present"),
    };
    let equal = if digests.equal { "proven equal" } else { "not proven equal yet" };
    let after = digests.proven_after_ms.map_or(String::new(), |ms| format!(", first after {ms} ms"));
    format!("{equal}{after}; {ranges}, {} healed in {} rounds", digests.healed, digests.rounds)
}

/// How far behind the standby is.
fn lag(row: &ReplicationRow) -> String {
    match row.lag_us {
        0 => "none".to_owned(),
        us => format!("{}.{} ms", us / 1000, us / 100 % 10),
    }
}

/// `GET /status/carp`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    html(&Page::new(&site, &visitor, Vec::new()).await)
}

async fn refuse(site: &Site, visitor: &Visitor, why: String) -> Response {
    let page = Page::new(site, visitor, vec![why]).await;
    (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
}

/// What a button asks of this node's role.
pub(super) fn wish(word: Option<&str>) -> Option<Request> {
    Some(match word? {
        "hand-over" => Request::Role(role::Request::HandOver),
        "take-over" => Request::Role(role::Request::TakeOver),
        "maintenance-on" => Request::Role(role::Request::Maintenance(true)),
        "maintenance-off" => Request::Role(role::Request::Maintenance(false)),
        "disable" => Request::Role(role::Request::Disable(true)),
        "enable" => Request::Role(role::Request::Disable(false)),
        "resync" => Request::Resync,
        _ => return None,
    })
}

/// `POST /status/carp/role`
pub(super) async fn act(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let Some(request) = wish(posted.get("do")) else { return StatusCode::BAD_REQUEST.into_response() };
    let what = match &request {
        Request::Role(request) => format!("asked this node to {request}"),
        _ => "asked for a new synchronisation of the pair".to_owned(),
    };
    match site.ask(request).await {
        Answer::Pair(_) => {
            site.note(&visitor.account.name, visitor.from, what);
            Redirect::to(CARP).into_response()
        }
        Answer::Failed(why) => refuse(&site, &visitor, why).await,
        _ => refuse(&site, &visitor, "The router answers something else than it was asked.".into()).await,
    }
}

/// `POST /status/carp/drill`
pub(super) async fn drill(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let field = |name: &str| posted.get(name).unwrap_or_default().trim().to_owned();
    let count = field("count").parse::<u8>().ok().filter(|count| (1..=drills::MOST).contains(count));
    let Some(count) = count else { return StatusCode::BAD_REQUEST.into_response() };
    let probe = match field("probe").as_str() {
        "" => None,
        text => match text.parse() {
            Ok(address) => Some(address),
            Err(_) => return refuse(&site, &visitor, format!("\u{201c}{text}\u{201d} is no address.")).await,
        },
    };
    match drills::start(&site, count, probe) {
        Ok(()) => {
            let what = format!("began a drill: the role moves {count} times");
            site.note(&visitor.account.name, visitor.from, what);
            Redirect::to(CARP).into_response()
        }
        Err(why) => refuse(&site, &visitor, why).await,
    }
}

/// The report of a drill.
#[derive(Template)]
#[template(path = "drill.html")]
struct ReportPage {
    frame: Frame,
    report: Report,
}

/// `GET /status/carp/drill/key`
pub(super) async fn report(State(site): State<Site>, visitor: Visitor, Path(key): Path<String>) -> Response {
    let known = drills::known(&site).await;
    let Some(report) = known.into_iter().find(|report| key_of(report) == key) else {
        return Message::missing("There is no such report.").into_response();
    };
    let title = format!("Drill {} of {}", report.number, report.node);
    let frame = Frame::new(&site, &visitor, title, CARP).await.with_tabs(BESIDE_PAIR);
    html(&ReportPage { frame, report })
}

#[cfg(test)]
mod tests {
    use super::super::status::tests::lonely_pair;
    use super::*;
    use crate::io::drill::Round;
    use crate::io::prober::Tally;
    use crate::node::{DigestRow, PairSnapshot};

    #[test]
    fn the_pair_is_shown_with_what_should_be_put_right() {
        let page = |pair: &PairSnapshot| fragment(Some(pair)).unwrap();
        let html = page(&lonely_pair());
        for fact in [
            "role active",
            "epoch 41",
            "for 1 min 01 s",
            "the peer fell silent",
            "beta",
            "heard 4321 ms ago",
            "sends, 5 chunks acknowledged of 9, not complete yet",
            "not proven equal yet",
            "no link",
            "silent",
            "1.5 %",
            "VHID 7",
            "203.0.113.20",
            "The peer is silent.",
            "See whether it runs.",
            "there is no &#60;session&#62;",
        ] {
            assert!(html.contains(fact), "{fact}: {html}");
        }
        let healthy = PairSnapshot { redundant: true, lacks: Vec::new(), ..lonely_pair() };
        assert!(page(&healthy).contains("could fail over now"));
        assert!(page(&PairSnapshot { node: "a".into(), ..PairSnapshot::default() }).contains("no peer"));
        assert!(fragment(None).unwrap().contains("does not answer"));
    }

    #[test]
    fn proofs_and_lags_are_words() {
        let digests = DigestRow {
            equal: true,
            rounds: 4,
            healed: 2,
            proven_after_ms: Some(120),
            ..DigestRow::default()
        };
        let row = ReplicationRow { lag_us: 1_540, digests, ..ReplicationRow::default() };
        assert_eq!(proof(&row), "proven equal, first after 120 ms; no range differs, 2 healed in 4 rounds");
        assert_eq!((lag(&row), lag(&ReplicationRow::default())), ("1.5 ms".into(), "none".into()));
    }

    #[test]
    fn a_report_tells_what_was_measured() {
        let tally = Tally { sent: 2000, lost: 0, silence_ms: 6.5, sender_gap_ms: 1.2 };
        let round = Round {
            from: "alpha".into(),
            to: "beta".into(),
            takeover_ms: 7,
            why: "handed <over>".into(),
            probes: Some(tally),
            ..Round::default()
        };
        let report = Report { number: 3, rounds: vec![round], ok: true, ..Report::default() };
        let html = ReportPage { frame: Frame::example(), report }.render().unwrap();
        for fact in ["alpha", "beta", "7 ms", "handed &#60;over&#62;", "6.5 ms", "as it should be"] {
            assert!(html.contains(fact), "{fact}: {html}");
        }
    }
}
