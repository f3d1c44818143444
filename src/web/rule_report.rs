//! Rule report: rules that were never hit, do less than they seem to, let in more than they should, or are in force for a
//! time only.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

use super::form::tree;
use super::frame::Frame;
use super::message::{busy, html};
use super::pages::{BESIDE_RULES, COLLECTIONS};
use super::rule_time::{TIME, told};
use super::site::Site;
use super::status::span;
use super::visitor::Visitor;
use super::whereabouts;
use crate::io::clock;
use crate::node::{Compiled, RuleCounts, RuleRow, rule_rows};
use crate::rules::{Finding, Kind, lint};
use crate::types::RuleId;

/// Where it is.
pub(super) const REPORT: &str = "/firewall/rules/report";
/// Rules that are told of each kind.
const MOST: usize = 150;

/// Something about a rule.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    pub rule: u32,
    /// What it is for.
    pub description: String,
    /// `never hit`, `shadowed`, `duplicate`, `never matches`, `too wide` or `temporary`.
    pub kind: &'static str,
    /// In words.
    pub text: String,
    /// Its page.
    #[serde(skip)]
    path: String,
}

/// The page.
#[derive(Template)]
#[template(path = "rule-report.html")]
struct Page {
    frame: Frame,
    /// Title, what it is about, and its lines.
    groups: Vec<(&'static str, &'static str, Vec<Line>)>,
    uptime: String,
}

/// `GET /firewall/rules/report`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let Some(snapshot) = site.handle.snapshot().await else { return busy() };
    let Some(lines) = lines(&site).await else { return busy() };
    let of = |kinds: &[&str]| {
        let found = lines.iter().filter(|line| kinds.contains(&line.kind));
        found.take(MOST).cloned().collect::<Vec<_>>()
    };
    let groups = vec![
        ("Never hit", "No packet has matched since the router started.", of(&["never hit"])),
        ("Shadowed", "Others decide all that these could match.", of(&["shadowed", "never matches"])),
        ("Duplicate", "Another rule matches the same and does the same.", of(&["duplicate"])),
        ("Too wide", "They let in more than one would think.", of(&["too wide"])),
        ("Temporary", "In force for a time only.", of(&["temporary"])),
    ];
    let frame = Frame::new(&site, &visitor, "Rule Report", REPORT).await.with_tabs(BESIDE_RULES);
    html(&Page { frame, groups, uptime: span(snapshot.uptime_seconds) })
}

/// Everything that is to be told; `None` when the router is too busy to answer.
pub(super) async fn lines(site: &Site) -> Option<Vec<Line>> {
    let counts = site.handle.rules().await?;
    let (compiled, known) = (site.handle.in_force(), site.review.clone());
    site.work(move || known.of(&compiled, Review::of).tell(&compiled, &counts)).await
}

/// What follows from the rules in force alone: looked for once.
pub(super) struct Review {
    findings: Vec<Finding>,
    /// Pages of rules and translations, by their numbers.
    paths: HashMap<u32, String>,
}

impl Review {
    fn of(compiled: &Compiled) -> Review {
        let tree = tree::tree(&compiled.config);
        let mut paths = HashMap::new();
        for collection in COLLECTIONS.iter().filter(|collection| collection.key == "id") {
            for (index, entry) in tree::list(&tree, collection.list).iter().enumerate() {
                let number = entry.get("id").and_then(Value::as_u64).map(|number| number as u32);
                if let Some((number, found)) = number.zip(whereabouts::entry(collection, &tree, index)) {
                    paths.insert(number, found.path);
                }
            }
        }
        Review { findings: lint(&compiled.config, compiled.node), paths }
    }

    fn path(&self, rule: u32) -> String {
        self.paths.get(&rule).cloned().unwrap_or_else(|| "/firewall/rules".into())
    }

    fn tell(&self, compiled: &Compiled, counts: &RuleCounts) -> Vec<Line> {
        let about = |rule: RuleId| {
            compiled.ruleset.rule(rule).map_or_else(String::new, |info| info.description.clone())
        };
        let rows = rule_rows(compiled, counts);
        let own = rows.into_iter().filter(|row| row.setting.is_none() && !row.interfaces.is_empty());
        let idle = own.filter(is_idle).map(|row| Line {
            rule: row.id,
            path: self.path(row.id),
            description: row.description,
            kind: "never hit",
            text: row.text,
        });
        let found = self.findings.iter().map(|finding| Line {
            rule: finding.rule.0,
            description: about(finding.rule),
            kind: kind(finding),
            text: finding.words(),
            path: self.path(finding.rule.0),
        });
        idle.chain(found).chain(temporary(compiled)).collect()
    }
}

/// Rules that are in force for a time only.
fn temporary(compiled: &Compiled) -> impl Iterator<Item = Line> {
    let now = clock::wall_seconds();
    compiled.config.rules.iter().filter_map(move |rule| {
        let told = told(rule.expires, rule.paused_until, now);
        (!told.is_empty()).then(|| Line {
            rule: rule.id.0,
            description: rule.description.clone(),
            kind: "temporary",
            text: told,
            path: format!("{TIME}/{}", rule.id),
        })
    })
}

/// Nothing has matched it.
fn is_idle(row: &RuleRow) -> bool {
    row.last_hit_seconds.is_none() && row.evaluations == 0 && row.states == 0 && row.states_made == 0
}

fn kind(finding: &Finding) -> &'static str {
    match finding.kind {
        Kind::Shadowed(_) | Kind::Together(..) | Kind::Overruled(_) => "shadowed",
        Kind::Duplicate(_) => "duplicate",
        Kind::NeverMatches => "never matches",
        Kind::WholeFamily(_) | Kind::Open => "too wide",
    }
}
