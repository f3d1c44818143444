//! Users, as their page has them: passwords are hashed here.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::call::{Call, Reply};
use super::edit::{More, edit, edited};
use super::problem::{Kind, Outcome, Problem, Trouble};
use super::route::{Route, Verb};
use super::schema::{flag, list, object, one_of, text};
use crate::cluster::tokens::Scope;
use crate::web::form::tree;
use crate::web::visitor::Right;
use crate::web::{acceptable_password, hash_password};

const ROLES: [&str; 3] = ["administrator", "operator", "read-only"];

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let user = object(
        &[
            ("name", text("What is typed to log in.")),
            ("role", one_of(&ROLES, "What they may do.")),
            ("disabled", flag("May not log in.")),
            ("description", text("For people.")),
        ],
        &[],
    );
    let change = |verb, path: &str, summary: &str| {
        let answer = move |call| change(call, verb);
        Route::new(verb, path, summary, edited(&[]), answer)
            .needs(Scope::Configure, Right::Administer)
            .edits()
    };
    let optional = |required: bool| {
        let all = [
            ("role", one_of(&ROLES, "What they may do.")),
            ("password", text("At least 8 characters; only its hash is kept.")),
        ];
        let more = [("disabled", flag("May not log in.")), ("description", text("For people."))];
        match required {
            true => object(&[&[("name", text("What is typed to log in."))][..], &all].concat(), &more),
            false => object(&[], &[&all[..], &more].concat()),
        }
    };
    vec![
        Route::get("/users", "Users of the candidate", list(user), show)
            .needs(Scope::Read, Right::Administer),
        change(Verb::Post, "/users", "Adds a user to the candidate").takes(optional(true)).makes(),
        change(Verb::Patch, "/users/{user}", "Changes a user of the candidate").takes(optional(false)),
        change(Verb::Delete, "/users/{user}", "Takes a user out of the candidate"),
    ]
}

async fn show(call: Call) -> Outcome<Reply> {
    let draft = call.site.draft().await;
    let row = |user: &crate::config::model::User| {
        json!({
            "name": user.name, "role": user.role, "disabled": user.disabled, "description": user.description,
        })
    };
    let rows: Vec<Value> = draft.document.users.iter().map(row).collect();
    Ok(Reply::json(&rows)?.of_edition(draft.edition))
}

/// What is said of a user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    name: Option<String>,
    role: Option<String>,
    password: Option<String>,
    disabled: Option<bool>,
    description: Option<String>,
}

impl Said {
    /// As the document has it.
    fn entry(self, name: &str) -> Outcome<Map<String, Value>> {
        let Said { name: _, role, password, disabled, description } = self;
        let hash = password.map(|password| hashed(name, &password)).transpose()?;
        let fields = [
            ("role", role.map(Value::from)),
            ("password_hash", hash.map(Value::from)),
            ("disabled", disabled.map(Value::from)),
            ("description", description.map(Value::from)),
        ];
        Ok(fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
    }
}

fn hashed(name: &str, password: &str) -> Outcome<String> {
    acceptable_password(name, password).map_err(|why| {
        Problem::invalid(vec![Trouble {
            path: "user.password_hash".into(),
            place: Some("/password".into()),
            message: why.into(),
            remedy: "Choose another password.".into(),
        }])
    })?;
    hash_password(password).map_err(|error| Problem::new(Kind::Busy, format!("{error:#}")))
}

async fn change(call: Call, verb: Verb) -> Outcome<Reply> {
    let key = call.path("user").to_owned();
    let said = match verb {
        Verb::Post | Verb::Patch | Verb::Put => Some(call.json::<Said>()?),
        Verb::Delete | Verb::Get => None,
    };
    let name = said.as_ref().and_then(|said| said.name.clone());
    if verb != Verb::Post && name.is_some() {
        return Err(Problem::malformed("/name", "A user keeps its name.", "Leave it out."));
    }
    let who = name.clone().unwrap_or_else(|| key.clone());
    let what = format!("{} the user {who}", if said.is_none() { "took away" } else { "changed" });
    edit(&call, what, move |tree| {
        let users = tree::list(tree, "user");
        let found =
            users.iter().position(|user| user.get("name").and_then(Value::as_str) == Some(key.as_str()));
        let list =
            tree::list_mut(tree, "user").ok_or_else(|| Problem::new(Kind::Missing, "There are no users."))?;
        match (said, verb, found) {
            (Some(said), Verb::Post, _) => {
                let mut entry = said.entry(&who)?;
                entry.extend(name.map(|name| ("name".to_owned(), name.into())));
                list.push(Value::Object(entry));
            }
            (Some(said), _, Some(index)) => {
                let entry = said.entry(&who)?;
                if let Some(user) = list.get_mut(index).and_then(Value::as_object_mut) {
                    user.extend(entry);
                }
            }
            (None, _, Some(index)) => drop(list.remove(index)),
            (_, _, None) => return Err(Problem::new(Kind::Missing, format!("There is no user \"{who}\"."))),
        }
        Ok(More::new())
    })
    .await
}
