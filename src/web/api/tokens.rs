//! Tokens, by tokens.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Reply};
use super::problem::{Kind, Outcome, Problem};
use super::route::{Route, Verb};
use super::schema::{flag, list, maybe, number, object, one_of, text};
use crate::cluster::tokens::{LONGEST, SHORTEST, Scope};
use crate::web::tokens::{self, NewToken, Order};
use crate::web::visitor::Right;

/// The lifetime of a token when nobody says how long: 30 days.
const USUAL: u64 = 30 * 86_400;

fn scopes() -> Value {
    one_of(&Scope::ALL.map(Scope::name), "What it may do, as far as its user may.")
}

fn row() -> Value {
    let author = object(&[("who", text("Name of the user.")), ("from", text("From where."))], &[]);
    object(
        &[
            ("id", text("What it is called here.")),
            ("name", text("What it is for.")),
            ("user", text("Whose it is.")),
            ("scope", scopes()),
            ("state", one_of(&["active", "expired", "revoked"], "What it is good for.")),
            ("made_at", number("Seconds since 1970.")),
            ("made_by", author),
            ("expires_at", number("Seconds since 1970.")),
            ("used_at", maybe(number("Seconds since 1970."))),
        ],
        &[],
    )
}

/// `GET /token`: for whoever wants to know what they have in their hands.
pub(super) fn own() -> Route {
    let about = object(&[("token", row()), ("role", text("Of its user, at the moment."))], &[]);
    Route::get("/token", "The token that is shown, and what its user may", about, async |call: Call| {
        let row = call.caller.token.row(crate::io::clock::wall_seconds());
        Reply::json(&json!({ "token": row, "role": call.caller.account.role }))
    })
}

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let shared = || {
        maybe(flag("The peer knows, too; null when there is none. One that is away is told when it is back."))
    };
    let made = object(
        &[
            ("token", text("To be kept by the program: it is not shown again.")),
            ("row", row()),
            ("shared", shared()),
        ],
        &[],
    );
    let order = object(
        &[("name", text("What it is for, in words.")), ("scope", scopes())],
        &[
            ("lifetime", number(&format!("Seconds, from {SHORTEST} to {LONGEST}; 30 days by itself."))),
            ("user", text("Whose it is; the only administrator's by itself.")),
        ],
    );
    let revoked = object(&[("row", row()), ("shared", shared())], &[]);
    vec![
        Route::get("/tokens", "Tokens, the newest first", list(row()), show)
            .needs(Scope::Read, Right::Administer),
        Route::new(Verb::Post, "/tokens", "Makes a token and shows it, once", made, create)
            .takes(order)
            .needs(Scope::Configure, Right::Administer)
            .makes(),
        Route::new(Verb::Delete, "/tokens/{token}", "Ends a token at once, on both nodes", revoked, revoke)
            .needs(Scope::Configure, Right::Administer),
    ]
}

async fn show(call: Call) -> Outcome<Reply> {
    Reply::json(&tokens::list(&call.site).await?)
}

/// What somebody wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    scope: Scope,
    #[serde(default = "usual")]
    lifetime: u64,
    user: Option<String>,
}

fn usual() -> u64 {
    USUAL
}

async fn create(call: Call) -> Outcome<Reply> {
    let Wanted { name, scope, lifetime, user } = call.json()?;
    let made =
        tokens::create(&call.site, &call.caller.author(), Order { name, scope, lifetime, user }).await?;
    let NewToken { token, row, shared } = made;
    Reply::json(&json!({ "token": token, "row": row, "shared": shared }))
}

async fn revoke(call: Call) -> Outcome<Reply> {
    let id = call.path("token");
    let gone = |rejected| match rejected {
        crate::web::edit::Rejected::Gone => {
            Problem::new(Kind::Missing, format!("There is no token \"{id}\"."))
        }
        other => other.into(),
    };
    let (row, shared) = tokens::revoke(&call.site, &call.caller.author(), id).await.map_err(gone)?;
    Reply::json(&json!({ "row": row, "shared": shared }))
}
