//! The narrowest rule about a packet, into the candidate.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Reply, sentence, unexpected};
use super::edit::{More, edit, edited};
use super::flows::number_of;
use super::problem::{Kind, Outcome, Problem};
use super::route::{Route, Verb};
use super::schema::{maybe, number, object, one_of, text};
use crate::cluster::tokens::Scope;
use crate::node::{Asked, inside};
use crate::web::easy_rule::{Effect, Order};
use crate::web::edit::Rejected;
use crate::web::visitor::Right;

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let effect = object(
        &[
            ("text", text("The rule in pf's words.")),
            ("now", text("What becomes of the packet under the candidate.")),
            ("then", text("What would become of it with the rule.")),
            ("decides", maybe(number("The rule that decides then."))),
        ],
        &[],
    );
    vec![
        Route::new(
            Verb::Post,
            "/easy-rule/preview",
            "The narrowest rule about a packet, and what it would do",
            effect,
            preview,
        )
        .takes(question())
        .needs(Scope::Read, Right::Operate),
        Route::new(
            Verb::Post,
            "/easy-rule",
            "Puts the narrowest rule about a packet into the candidate",
            edited(&[("rule", number("Its number."))]),
            put,
        )
        .takes(question())
        .needs(Scope::Configure, Right::Operate)
        .edits(),
    ]
}

fn question() -> Value {
    object(
        &[
            ("action", one_of(&["pass", "block"], "What becomes of it.")),
            ("interface", text("Interface by which it comes in.")),
            ("src", text("Source address.")),
            ("dst", text("Destination address.")),
        ],
        &[
            ("protocol", text("tcp (by itself), udp, icmp or a number.")),
            ("sport", number("Source port; the rule does not ask for it.")),
            ("dport", number("Destination port; 443 by itself.")),
            ("scope", one_of(&["exact", "port", "pair", "source"], "How much of it; exact by itself.")),
            ("lasts", number("For so many seconds; for good by itself.")),
        ],
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    action: String,
    interface: String,
    src: IpAddr,
    dst: IpAddr,
    #[serde(default)]
    protocol: Option<String>,
    #[serde(default)]
    sport: Option<u16>,
    #[serde(default)]
    dport: Option<u16>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    lasts: Option<u64>,
}

impl Question {
    fn order(self) -> Outcome<Order> {
        let Question { action, interface, src, dst, protocol, sport, dport, scope, lasts } = self;
        let protocol = number_of(protocol.as_deref().unwrap_or("tcp")).map_err(|why| {
            Problem::malformed("/protocol", "This is no protocol.", format!("It is {why}."))
        })?;
        let (sport, dport) = (sport.unwrap_or(40_000), dport.unwrap_or(443));
        let asked = Asked { interface, src, sport, dst, dport, protocol, dscp: 0 };
        let wrong = |why: Vec<String>| Problem::new(Kind::Conflict, why.join(" "));
        Order::about(asked, &action, &scope, lasts).map_err(wrong)
    }
}

async fn preview(call: Call) -> Outcome<Reply> {
    let order = call.json::<Question>()?.order()?;
    let in_force = call.site.handle.in_force();
    match call.site.edit(move |editor| order.effect(editor, &in_force)).await {
        Ok(Effect { text, now, then, decides, .. }) => {
            Reply::json(&json!({ "text": text, "now": now, "then": then, "decides": decides }))
        }
        Err(Rejected::Failed(why)) => Err(Problem::new(Kind::Conflict, sentence(&why))),
        Err(Rejected::Problems(problems)) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Err(Problem::new(Kind::Conflict, lines.join(" ")))
        }
        Err(Rejected::Stale | Rejected::Gone | Rejected::NotHere) => Err(unexpected()),
    }
}

async fn put(call: Call) -> Outcome<Reply> {
    let order = call.json::<Question>()?.order()?;
    let in_force = call.site.handle.in_force();
    let conflict = |why: String| Problem::new(Kind::Conflict, sentence(&why));
    let key = inside(&in_force, &order.asked.question(&in_force).map_err(conflict)?);
    edit(&call, "added an easy rule", move |tree| {
        let rule = order.put(tree, &key).ok_or_else(unexpected)?;
        Ok(More::from_iter([("rule".to_owned(), rule.0.into())]))
    })
    .await
}
