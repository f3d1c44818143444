//! Captures: frames of an interface, for a while, as a pcap file.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Reply};
use super::problem::{Kind, Outcome, Problem};
use super::route::{Route, Verb};
use super::schema::{like, list, number, object, text};
use crate::cluster::tokens::Scope;
use crate::web::captures::{CaptureRow, FRAMES, Order, SECONDS};
use crate::web::visitor::Right;

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let sample = CaptureRow {
        id: 0,
        interface: String::new(),
        filter: String::new(),
        user: String::new(),
        began: 0,
        frames: 0,
        bytes: 0,
        missed: 0,
        ended: None,
    };
    let row = like(&sample);
    let one = object(&[("capture", row.clone()), ("frames", list(text("A frame in a line.")))], &[]);
    let file = object(&[("pcap", text("The file in base 64, as far as it is written."))], &[]);
    let operates = |route: Route| route.needs(Scope::Operate, Right::Operate);
    vec![
        operates(Route::get(
            "/captures",
            "Captures, the newest first",
            list(row.clone()),
            async |call: Call| Reply::json(&call.site.captures.rows()),
        )),
        operates(Route::new(Verb::Post, "/captures", "Begins a capture", row.clone(), begin))
            .takes(question())
            .makes(),
        operates(Route::get("/captures/{id}", "A capture, and its first frames in words", one, show)),
        operates(Route::get("/captures/{id}/file", "The pcap file of a capture", file, file_of)),
        operates(Route::new(Verb::Post, "/captures/{id}/stop", "Ends a capture", row, stop)),
        operates(Route::new(
            Verb::Delete,
            "/captures/{id}",
            "Ends a capture and forgets it",
            object(&[], &[]),
            forget,
        )),
    ]
}

fn question() -> Value {
    object(
        &[("interface", text("Name of the interface."))],
        &[
            ("filter", text("Which frames, in a small part of tcpdump's language; all when empty.")),
            ("frames", number("Ends after so many; 1000 by itself.")),
            ("seconds", number("Ends after so long; 60 by itself.")),
        ],
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    interface: String,
    #[serde(default)]
    filter: String,
    #[serde(default = "frames")]
    frames: u64,
    #[serde(default = "seconds")]
    seconds: u64,
}

fn frames() -> u64 {
    FRAMES
}

fn seconds() -> u64 {
    SECONDS
}

fn missing() -> Problem {
    Problem::new(Kind::Missing, "There is no such capture.")
}

fn number_of(call: &Call) -> Outcome<u64> {
    call.path("id").parse().map_err(|_| missing())
}

async fn begin(call: Call) -> Outcome<Reply> {
    let Question { interface, filter, frames, seconds } = call.json()?;
    let order = Order { interface: interface.clone(), filter, frames, seconds };
    let begun = call.site.captures.begin(&call.site.handle, order, &call.caller.account.name);
    let id = begun.map_err(|why| Problem::new(Kind::Conflict, why))?;
    call.note(format_args!("began a capture on {interface}"));
    row(&call, id)
}

fn row(call: &Call, id: u64) -> Outcome<Reply> {
    let rows = call.site.captures.rows();
    Reply::json(rows.iter().find(|row| row.id == id).ok_or_else(missing)?)
}

async fn show(call: Call) -> Outcome<Reply> {
    let (row, frames) = call.site.captures.preview(number_of(&call)?).ok_or_else(missing)?;
    Reply::json(&json!({ "capture": row, "frames": frames }))
}

async fn file_of(call: Call) -> Outcome<Reply> {
    let (_, file) = call.site.captures.file(number_of(&call)?).ok_or_else(missing)?;
    Reply::json(&json!({ "pcap": data_encoding::BASE64.encode(&file) }))
}

async fn stop(call: Call) -> Outcome<Reply> {
    let id = number_of(&call)?;
    call.site.captures.stop(id).ok_or_else(missing)?;
    row(&call, id)
}

async fn forget(call: Call) -> Outcome<Reply> {
    call.site.captures.forget(number_of(&call)?).ok_or_else(missing)?;
    Reply::json(&json!({}))
}
