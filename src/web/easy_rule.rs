//! Easy rule: from a line of the log, a state or an answer of Why? to the narrowest rule that blocks or passes just that. It is
//! shown first, with what would become of the packet then; the draft gets it, and nothing is in force yet.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::change::{judge, rejection};
use super::collection::Collection;
use super::diagnostics::packet::Packet;
use super::diagnostics::why::meant;
use super::edit::{Editor, Rejected};
use super::form::tree;
use super::frame::Frame;
use super::message::{busy, html};
use super::pages::COLLECTIONS;
use super::pending::PENDING;
use super::site::Site;
use super::visitor::{Posted, Visitor};
use crate::config::model::{Moment, RuleFamily};
use crate::config::{Config, Valid};
use crate::io::clock;
use crate::node::{Asked, Compiled, Offload, explain, inside};
use crate::types::RuleId;
use crate::wire::{FlowKey, protocol};

/// Where it is.
pub(super) const EASY_RULE: &str = "/firewall/easy-rule";
const HOUR: u64 = 3600;

/// For how long: the word of the form, the words for people, and seconds.
pub(super) const SPANS: [(&str, &str, Option<u64>); 5] = [
    ("", "for good", None),
    ("1h", "for an hour", Some(HOUR)),
    ("4h", "for four hours", Some(4 * HOUR)),
    ("1d", "for a day", Some(24 * HOUR)),
    ("7d", "for a week", Some(7 * 24 * HOUR)),
];

/// How much of the packet the rule asks for: the word of the form, and words for people.
const SCOPES: [(&str, &str); 4] = [
    ("exact", "just this: source, destination, protocol and port"),
    ("port", "from this source to this port of any destination"),
    ("pair", "from this source to this destination, whatever it is"),
    ("source", "everything from this source"),
];

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(flatten)]
    packet: Packet,
    action: String,
    scope: String,
    expires: String,
    log: String,
    flow: String,
}

/// What the rule shall be.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub asked: Asked,
    /// `pass` or `block`.
    pub action: String,
    pub scope: String,
    /// For so many seconds.
    pub lasts: Option<u64>,
    pub description: String,
    pub log: bool,
}

/// What it would do.
pub(super) struct Effect {
    pub edition: String,
    pub document: Valid<Config>,
    pub rule: RuleId,
    /// In pf's words.
    pub text: String,
    pub now: String,
    pub then: String,
    /// The rule that decides then.
    pub decides: Option<u32>,
}

/// The page.
#[derive(Template)]
#[template(path = "easy-rule.html")]
struct Page {
    frame: Frame,
    packet: Packet,
    action: String,
    scope: String,
    expires: String,
    wrong: Vec<String>,
    effect: Option<Effect>,
    edition: String,
}

fn rules() -> Option<&'static Collection> {
    COLLECTIONS.iter().copied().find(|collection| collection.slug == "/firewall/rules")
}

/// Seconds of a word of [`SPANS`].
pub(super) fn span_of(word: &str) -> Option<u64> {
    SPANS.iter().find(|(known, ..)| *known == word).and_then(|(_, _, seconds)| *seconds)
}

impl Order {
    fn of(packet: &Packet, action: &str, scope: &str, expires: &str) -> Result<Order, Vec<String>> {
        Order::about(packet.asked()?, action, scope, span_of(expires))
    }

    /// A rule of this scope about a packet, for so many seconds.
    ///
    /// # Errors
    /// When that is no rule, in sentences.
    pub(super) fn about(
        asked: Asked,
        action: &str,
        scope: &str,
        lasts: Option<u64>,
    ) -> Result<Order, Vec<String>> {
        if !scope.is_empty() && !SCOPES.iter().any(|(word, _)| *word == scope) {
            return Err(vec![format!("\"{scope}\" is not exact, port, pair or source.")]);
        }
        if !["pass", "block"].contains(&action) {
            return Err(vec!["Say whether it shall pass or be blocked.".into()]);
        }
        if asked.interface == "self" {
            let text = "This firewall's own packets leave by the default policy; a floating rule would be asked about them.";
            return Err(vec![text.into()]);
        }
        let verb = if action == "pass" { "Passed" } else { "Blocked" };
        Ok(Order {
            description: format!("Easy rule: {verb} {} to {}", asked.src, asked.dst),
            asked,
            action: action.to_owned(),
            scope: if scope.is_empty() { "exact".to_owned() } else { scope.to_owned() },
            lasts,
            log: action == "block",
        })
    }

    /// The rule as it stands in the document.
    fn entry(&self, id: &Value, key: &FlowKey) -> Value {
        let number = key.protocol();
        let family = if key.src().is_ipv4() { RuleFamily::Inet } else { RuleFamily::Inet6 };
        let mut entry = json!({
            "id": id,
            "interface": self.asked.interface,
            "action": self.action,
            "family": family,
            "source": key.src().to_string(),
            "description": self.description,
        });
        let mut put = |name: &str, value: Value| {
            entry[name] = value;
        };
        if matches!(self.scope.as_str(), "exact" | "pair") {
            put("destination", key.dst().to_string().into());
        }
        if matches!(self.scope.as_str(), "exact" | "port") {
            let words = match number {
                protocol::TCP => "tcp".to_owned(),
                protocol::UDP => "udp".to_owned(),
                protocol::ICMP | protocol::ICMPV6 => "icmp".to_owned(),
                other => other.to_string(),
            };
            put("protocol", words.into());
            match number {
                protocol::TCP | protocol::UDP => {
                    put("destination_port", key.dst_port().to_string().into());
                }
                protocol::ICMP | protocol::ICMPV6 if matches!(key.dst_port(), 8 | 128) => {
                    put("icmp_types", json!(["echoreq"]));
                }
                _ => {}
            }
        }
        if self.log {
            put("log", true.into());
        }
        if let Some(seconds) = self.lasts {
            put("expires", Moment::from_secs(clock::wall_seconds() + seconds).to_string().into());
        }
        entry
    }

    /// Puts the rule into a document, at the top of its interface's; says its number. `key` is the packet as rules see it.
    pub(super) fn put(&self, tree: &mut Value, key: &FlowKey) -> Option<RuleId> {
        let index = rules()?.insert(tree, None, &self.asked.interface, true)?;
        let place = format!("rule[{index}]");
        let id = tree::get(tree, &format!("{place}.id")).cloned()?;
        tree::set(tree, &place, Some(self.entry(&id, key)));
        Some(RuleId(id.as_u64()? as u32))
    }

    /// What the draft would be with the rule, and what would become of the packet.
    pub(super) fn effect(&self, editor: &dyn Editor, in_force: &Compiled) -> Result<Effect, Rejected> {
        let draft = editor.draft();
        let before = under(&draft.document, in_force)?;
        let question =
            self.asked.question(&before).map_err(|why| Rejected::Failed(format!("There: {why}.")))?;
        let mut tree = tree::tree(&draft.document);
        let rule = self.put(&mut tree, &inside(&before, &question)).ok_or(Rejected::Gone)?;
        let document = judge(&tree, Vec::new()).map_err(Rejected::Problems)?;
        let after = under(&Arc::new(document.clone()), in_force)?;
        let (now, then) = (explain(&before, &[], &question), explain(&after, &[], &question));
        let last = then.steps.iter().rev().find(|step| step.what.starts_with("rules"));
        Ok(Effect {
            edition: draft.edition,
            document,
            rule,
            text: after.ruleset.rule(rule).map_or_else(String::new, |info| info.text.clone()),
            now: now.verdict,
            decides: last.and_then(|step| step.rule),
            then: then.verdict,
        })
    }
}

fn under(document: &Arc<Valid<Config>>, in_force: &Compiled) -> Result<Compiled, Rejected> {
    let name = in_force.config.node_part(in_force.node).name.as_str();
    let node = document.node(Some(name)).map_err(|_| Rejected::Gone)?;
    let ports = document.node_part(node).ports.len();
    let conditions = Arc::clone(&in_force.conditions);
    Ok(Compiled::under(Arc::clone(document), node, 0, vec![Offload::NONE; ports], conditions))
}

/// `GET /firewall/easy-rule`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Response {
    let Wanted { mut packet, action, scope, expires, log, flow } = wanted;
    let mut wrong = Vec::new();
    // Addresses that are given say it all; a record may be gone from the log by now.
    if packet.is_empty() {
        match meant(&site, &site.handle.in_force(), &log, &flow).await {
            None => return busy(),
            Some(Ok(Some(found))) => packet = found,
            Some(Ok(None)) => {}
            Some(Err(why)) => wrong.push(why),
        }
    }
    page(&site, &visitor, packet, [action, scope, expires], wrong).await
}

async fn page(
    site: &Site,
    visitor: &Visitor,
    packet: Packet,
    [action, scope, expires]: [String; 3],
    mut wrong: Vec<String>,
) -> Response {
    let scope = if scope.is_empty() { "exact".to_owned() } else { scope };
    let action = if action.is_empty() { "block".to_owned() } else { action };
    let order = Order::of(&packet, &action, &scope, &expires);
    let mut effect = None;
    if !packet.is_empty() {
        match order {
            Err(problems) => wrong.extend(problems),
            Ok(order) => {
                let in_force = site.handle.in_force();
                match site.edit(move |editor| order.effect(editor, &in_force)).await {
                    Ok(found) => effect = Some(found),
                    Err(Rejected::Problems(problems)) => {
                        wrong.extend(problems.iter().map(ToString::to_string));
                    }
                    Err(rejected) => return rejection(rejected),
                }
            }
        }
    }
    let edition = effect.as_ref().map_or_else(String::new, |effect| effect.edition.clone());
    html(&Page {
        frame: Frame::new(site, visitor, "Easy Rule", EASY_RULE).await,
        packet,
        action,
        scope,
        expires,
        wrong,
        effect,
        edition,
    })
}

/// `POST /firewall/easy-rule`
pub(super) async fn save(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let field = |name| posted.get(name).unwrap_or_default().trim().to_owned();
    let packet = Packet {
        interface: field("interface"),
        protocol: field("protocol"),
        src: field("src"),
        sport: field("sport"),
        dst: field("dst"),
        dport: field("dport"),
        dscp: field("dscp"),
    };
    let choice = [field("action"), field("scope"), field("expires")];
    let order = Order::of(&packet, &choice[0], &choice[1], &choice[2]);
    let order = match order {
        Ok(order) => order,
        Err(wrong) => {
            let page = page(&site, &visitor, Packet::default(), choice, wrong).await;
            return (StatusCode::UNPROCESSABLE_ENTITY, page).into_response();
        }
    };
    let (who, edition, in_force) = (visitor.author(), posted.edition().to_owned(), site.handle.in_force());
    let saved = site.edit(move |editor| {
        let effect = order.effect(editor, &in_force)?;
        if effect.edition != edition {
            return Err(Rejected::Stale);
        }
        editor.save(&who, &edition, effect.document)?;
        Ok(effect.rule)
    });
    match saved.await {
        Ok(rule) => {
            site.note(&visitor.account.name, visitor.from, format!("added rule {rule} as an easy rule"));
            Redirect::to(PENDING).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}
