//! Diagnostics, States: the connection table, filtered, grouped and paged where it is.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::which::Which;
use crate::conntrack::{By, Cursor, Filter, FlowState, Group, Sum, Survey};
use crate::node::snapshot::FlowRow;
use crate::node::{Compiled, flow_row};
use crate::types::InterfaceId;
use crate::web::frame::Frame;
use crate::web::guard::percent_encode;
use crate::web::message::{busy, html};
use crate::web::site::Site;
use crate::web::status::count;
use crate::web::visitor::{Right, Visitor};

/// Where it is.
pub(super) const STATES: &str = "/diagnostics/states";
/// Where the sums are.
pub(super) const SUMMARY: &str = "/diagnostics/states-summary";
/// Pages beside each other.
pub(super) const BESIDE: &[(&str, &str)] = &[("States", STATES), ("States Summary", SUMMARY)];
/// Rows of a page.
const PAGE: usize = 100;
/// Groups of a page.
const GROUPS: usize = 100;
/// Slots that a page looks at by itself: some milliseconds.
pub(in crate::web) const REACH: usize = 1 << 17;
/// More than a table has.
pub(in crate::web) const WHOLE: usize = 1 << 26;

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(flatten)]
    which: Which,
    /// Behind this flow.
    after: String,
    by: String,
    /// The whole table is looked at, however long that takes.
    whole: String,
    /// Only what moves.
    part: Option<u8>,
}

/// A flow, and where it leads.
struct Row {
    flow: FlowRow,
    /// The packet that began it, as a question.
    packet: String,
    rule: String,
}

/// A group.
struct GroupRow {
    name: String,
    /// Its states.
    path: String,
    sum: Sum,
}

/// The page.
#[derive(Template)]
#[template(path = "states.html")]
struct Page {
    frame: Frame,
    /// Where it is.
    path: &'static str,
    which: Which,
    by: String,
    interfaces: Vec<String>,
    wrong: Vec<String>,
    /// What moves, by itself.
    found: String,
    /// It asks for that again and again.
    again: bool,
    may_kill: bool,
}

/// What was found.
#[derive(Template)]
#[template(path = "part/flows.html")]
struct Flows {
    path: &'static str,
    which: Which,
    by: String,
    rows: Vec<Row>,
    groups: Vec<GroupRow>,
    others: Sum,
    /// How many there are, in words.
    told: String,
    /// The same question over the whole table.
    whole: Option<String>,
    next: Option<String>,
    is_first: bool,
    may_kill: bool,
    token: String,
}

/// Groups by their word.
pub(in crate::web) fn by_word(word: &str) -> Option<By> {
    match word {
        "source" => Some(By::Source),
        "destination" => Some(By::Destination),
        "rule" => Some(By::Rule),
        "interface" => Some(By::Interface),
        _ => None,
    }
}

/// `GET /diagnostics/states`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Response {
    page(STATES, site, visitor, wanted).await
}

/// `GET /diagnostics/states-summary`
pub(super) async fn summary(
    State(site): State<Site>,
    visitor: Visitor,
    Query(mut wanted): Query<Wanted>,
) -> Response {
    if by_word(&wanted.by).is_none() {
        wanted.by = "source".into();
    }
    page(SUMMARY, site, visitor, wanted).await
}

async fn page(path: &'static str, site: Site, visitor: Visitor, wanted: Wanted) -> Response {
    let Wanted { which, after, by, whole, part } = wanted;
    let compiled = site.handle.in_force();
    let mut flows = Flows::new(path, &visitor, which, by, after.is_empty());
    let filter = flows.which.filter();
    let wrong = match filter.and_then(|filter| filter.within(&compiled).map_err(|why| vec![sentence(&why)])) {
        Ok(filter) => {
            let reach = if whole.is_empty() { REACH } else { WHOLE };
            let after = after.parse().ok().map(Cursor::behind);
            let looked = match by_word(&flows.by) {
                Some(by) => flows.group(&site, &compiled, filter, by, reach).await,
                None => flows.list(&site, &compiled, filter, after, reach).await,
            };
            if looked.is_none() {
                return busy();
            }
            Vec::new()
        }
        Err(wrong) => wrong,
    };
    if part.is_some() {
        return html(&flows);
    }
    let title = if path == STATES { "States" } else { "States Summary" };
    html(&Page {
        frame: Frame::new(&site, &visitor, title, path).await.with_tabs(BESIDE),
        path,
        interfaces: compiled.links.iter().map(|link| link.name.clone()).collect(),
        found: flows.render().unwrap_or_default(),
        // A look at the whole table is too dear for that.
        again: wrong.is_empty() && whole.is_empty(),
        wrong,
        may_kill: flows.may_kill,
        which: flows.which,
        by: flows.by,
    })
}

impl Flows {
    /// Nothing was looked for yet.
    fn new(path: &'static str, visitor: &Visitor, which: Which, by: String, is_first: bool) -> Flows {
        Flows {
            path,
            which,
            by,
            rows: Vec::new(),
            groups: Vec::new(),
            others: Sum::default(),
            told: String::new(),
            whole: None,
            next: None,
            is_first,
            may_kill: visitor.may(Right::Operate),
            token: visitor.token.clone(),
        }
    }

    async fn list(
        &mut self,
        site: &Site,
        compiled: &Compiled,
        filter: Filter,
        after: Option<Cursor>,
        reach: usize,
    ) -> Option<()> {
        let survey = Survey::page(filter, after, PAGE, reach);
        // Without a filter the table knows how many there are.
        let counts = filter != Filter::default() && after.is_none();
        let survey = if counts { survey.counting() } else { survey };
        let survey = site.handle.survey(survey).await?;
        let total = site.handle.snapshot().await?.states.current;
        self.rows = survey.rows().iter().map(|flow| Row::new(compiled, flow)).collect();
        self.next = survey.next().map(|at| self.link(&[("after", &at.number().to_string())]));
        self.told = match (counts, survey.is_over()) {
            (true, true) => format!("{} of {}", count(survey.found()), count(total)),
            (true, false) => {
                self.whole = Some(self.link(&[("whole", "yes")]));
                let (found, looked) = (count(survey.found()), count(survey.looked()));
                format!("at least {found} of {}; {looked} were looked at", count(total))
            }
            (false, _) => format!("{} in all", count(total)),
        };
        Some(())
    }

    async fn group(
        &mut self,
        site: &Site,
        compiled: &Compiled,
        filter: Filter,
        by: By,
        reach: usize,
    ) -> Option<()> {
        let survey = site.handle.survey(Survey::sums(filter, by, reach)).await?;
        let total = site.handle.snapshot().await?.states.current;
        let largest = survey.largest(GROUPS);
        self.groups =
            largest.into_iter().map(|(group, sum)| self.group_row(compiled, by, group, sum)).collect();
        self.others = survey.others();
        self.told = format!(
            "{} of {} in {} groups",
            count(survey.found()),
            count(total),
            count(survey.groups() as u64)
        );
        if !survey.is_over() {
            self.told += &format!("; {} were looked at", count(survey.looked()));
            self.whole = Some(self.link(&[("by", self.by.as_str()), ("whole", "yes")]));
        }
        Some(())
    }

    fn group_row(&self, compiled: &Compiled, by: By, group: Group, sum: Sum) -> GroupRow {
        let mut which = self.which.clone();
        let name = match group {
            Group::Address(address) => {
                let place = if by == By::Source { &mut which.src } else { &mut which.dst };
                *place = address.to_string();
                address.to_string()
            }
            Group::Rule(rule) => {
                which.rule = rule.to_string();
                let info = compiled.ruleset.rule(rule).map_or("", |info| info.description.as_str());
                format!("{rule} {info}").trim_end().to_owned()
            }
            Group::Interface(id) => {
                which.interface = name_of(compiled, id);
                which.interface.clone()
            }
        };
        GroupRow { name, path: format!("{STATES}?{}", which.query()), sum }
    }

    /// The same page with something else behind the question mark.
    fn link(&self, more: &[(&str, &str)]) -> String {
        let more = more.iter().map(|(name, text)| format!("{name}={}", percent_encode(text)));
        let parts: Vec<String> =
            Some(self.which.query()).filter(|query| !query.is_empty()).into_iter().chain(more).collect();
        format!("{}?{}", self.path, parts.join("&"))
    }
}

impl Row {
    fn new(compiled: &Compiled, flow: &FlowState) -> Row {
        let rule = flow.rules[0];
        Row {
            flow: flow_row(compiled, flow),
            packet: super::packet::of_flow(&name_of(compiled, flow.ingress), &flow.original),
            rule: compiled.ruleset.rule(rule).map_or_else(String::new, |info| info.description.clone()),
        }
    }
}

pub(super) fn name_of(compiled: &Compiled, id: InterfaceId) -> String {
    compiled.link(id).map_or_else(|| "self".into(), |link| link.name.clone())
}

/// With a capital letter in front and a full stop behind.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let Some(first) = letters.next() else { return String::new() };
    let end = if text.trim_end().ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}

/// What the template writes with.
mod filters {
    use askama::Values;

    pub use crate::web::status::filters::{count, size, span, way};

    /// A pair of words that may be broken behind its colon.
    #[askama::filter_fn]
    pub fn breakable(words: &str, _: &dyn Values) -> askama::Result<String> {
        Ok(words.replace(':', ":\u{200b}"))
    }
}
