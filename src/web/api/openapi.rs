//! The OpenAPI 3.1 document, from the table of routes.

use serde_json::{Map, Value, json};

use super::call::Reply;
use super::problem::Kind;
use super::query::Parameter;
use super::route::{FILE_KIND as FILE, Route, Verb};
use super::schema::{anything, list, maybe, named, number, object, text};
use super::{BASE, routes};
use crate::config::outline;

/// `GET /openapi.json`
pub(super) fn route() -> Route {
    Route::get("/openapi.json", "This document", anything(), async |_| Reply::json(&document()))
}

/// The whole document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for route in routes() {
        let verb = route.verb.method().as_str().to_ascii_lowercase();
        let path = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        path[verb] = operation(&route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Koi",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the pages and the command koi can do. Make a token with: koi token create. A token's scopes \
                are read, operate and configure; each may do all that the ones before it may, as far as its user may. Every \
                edit is of the candidate, and says by If-Match which edition it was made from.",
        },
        "servers": [{ "url": BASE }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "bearerFormat": "koi_..." } },
            "schemas": schemas(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let at =
        |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    let mut parameters: Vec<Value> = route.parameters().map(at).collect();
    parameters.extend(route.query.iter().map(query));
    if route.based {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": true, "schema": { "type": "string" },
            "description": "The ETag of what was edited.",
        }));
    }
    let role = route.right.role().map_or("", crate::web::frame::role_name);
    let mut operation = json!({
        "operationId": name(route),
        "tags": [route.tag],
        "summary": route.summary,
        "description": format!("Scope {}; for users who are at least {role}.", route.scope),
        "x-koi-scope": route.scope.name(),
        "x-koi-role": role,
        "parameters": parameters,
        "responses": responses(route),
    });
    if let Some((schema, bytes)) = &route.takes {
        let kind = match route.verb {
            _ if route.is_file => FILE,
            Verb::Patch => "application/merge-patch+json",
            Verb::Get | Verb::Post | Verb::Put | Verb::Delete => "application/json",
        };
        operation["requestBody"] = json!({
            "required": true,
            "description": format!("At most {bytes} bytes."),
            "content": { kind: { "schema": schema } },
        });
    }
    operation
}

fn query(parameter: &Parameter) -> Value {
    let Parameter { name, takes, about } = parameter;
    json!({ "name": name, "in": "query", "description": about, "schema": takes.schema() })
}

fn responses(route: &Route) -> Value {
    let status = if route.makes { "201" } else { "200" };
    let mut responses = json!({
        status: { "description": "Done.", "content": { "application/json": { "schema": route.gives } } },
    });
    let mut kinds =
        vec![Kind::Malformed, Kind::Unauthorized, Kind::Forbidden, Kind::TooMany, Kind::Busy, Kind::Late];
    if route.parameters().next().is_some() {
        kinds.push(Kind::Missing);
    }
    if route.takes.is_some() {
        kinds.extend([Kind::TooLarge, Kind::MediaType, Kind::Invalid]);
    }
    if route.based {
        kinds.push(Kind::BaseNeeded);
    }
    kinds.push(Kind::Conflict);
    for kind in kinds {
        let (_, status, title) = kind.about();
        responses[status.as_str()] = json!({
            "description": title,
            "content": { "application/problem+json": { "schema": named("Problem") } },
        });
    }
    responses
}

/// `getConfigVersionRuleKey`: unique, and stable.
fn name(route: &Route) -> String {
    let mut name = route.verb.method().as_str().to_ascii_lowercase();
    for part in route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

fn schemas() -> Value {
    let trouble = object(
        &[
            (
                "path",
                text(
                    "Where in the document, as in rule[2].destination; empty when it is nowhere in particular.",
                ),
            ),
            ("place", maybe(text("Where in what was sent: a JSON pointer, or a line and a column."))),
            ("message", text("What is wrong.")),
            ("remedy", text("What to do.")),
        ],
        &[],
    );
    let names: Vec<String> = Kind::ALL.map(|kind| format!("urn:koi:problem:{}", kind.about().0)).to_vec();
    let change = object(
        &[
            ("number", number("Counts from one.")),
            ("path", text("Where, as in rule[1000010].port.")),
            ("words", text("What, in words.")),
        ],
        &[],
    );
    let problem = json!({
        "type": "object",
        "description": "RFC 9457.",
        "properties": {
            "type": { "type": "string", "enum": names },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "problems": list(trouble),
            "changes": list(named("Change")),
            "edition": text("Of the candidate, when that is another one."),
            "active": text("The node that serves."),
        },
        "required": ["type", "title", "status", "detail"],
    });
    json!({ "Problem": problem, "Change": change, "Document": outline::document() })
}
