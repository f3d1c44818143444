//! Router and OpenAPI document are the same, and every route asks for its scope: a walk over the table, so that a new route
//! cannot be forgotten.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Program;
use super::validator::faults;
use crate::cluster::tokens::Scope;
use crate::config::diff::names;
use crate::config::model::UserRole;
use crate::io::config_request::ConfigRequest;
use crate::web::api::route::{Route, Verb};
use crate::web::api::{openapi, routes};
use crate::web::form::tree;

/// The route's path, of things that are there.
fn path(program: &Program, route: &Route) -> String {
    let config = program.site.config();
    let document = tree::tree(&config);
    let mut place = String::new();
    let parts = route.path.split('/').map(|part| {
        let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            if part != "candidate" && part != "config" {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(part);
            }
            return part.to_owned();
        };
        match name {
            "version" => "running".to_owned(),
            "revision" => config.revision.to_string(),
            "token" => "none".to_owned(),
            field => {
                let list = if route.path.starts_with("/users") { "user".to_owned() } else { place.clone() };
                place.push_str("[0]");
                let first = names(field, tree::list(&document, &list)).into_iter().next();
                first.unwrap_or_else(|| "nobody".into()).replace('/', "%2F")
            }
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

fn ask(program: &Program, route: &Route, path: &str, body: &Value) -> super::program::Answer {
    let body = if route.takes.is_some() { body.clone() } else { Value::Null };
    program.send(route.verb.method().as_str(), path, &body)
}

#[test]
fn every_route_asks_for_its_scope_and_role() {
    let mut program = Program::new();
    let all = routes();
    assert!(all.len() > 100, "{}", all.len());
    for route in &all {
        let path = path(&program, route);
        let whole = program.token_of("ada", Scope::Configure);
        program.token.clear();
        let answer = ask(&program, route, &path, &json!({}));
        assert_eq!(answer.status, 401, "{:?} {path} without a token: {}", route.verb, answer.body);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{}", answer.head);
        for scope in Scope::ALL.into_iter().filter(|scope| *scope < route.scope) {
            program.become_one("ada", scope);
            let answer = ask(&program, route, &path, &json!({}));
            assert_eq!(answer.status, 403, "{:?} {path} with {scope}", route.verb);
            assert_eq!(answer.json()["scope"], route.scope.name());
        }
        for (user, role) in [("rita", UserRole::ReadOnly), ("otto", UserRole::Operator)] {
            if route.right.role().is_some_and(|least| role < least) {
                program.become_one(user, Scope::Configure);
                let answer = ask(&program, route, &path, &json!({}));
                assert_eq!(answer.status, 403, "{:?} {path} for {user}", route.verb);
            }
        }
        for row in program.store.rows() {
            program.store.revoke(&row.id).unwrap();
        }
        drop(whole);
        // Revoked ones are forgotten in time, so that the walk has room for more.
        program.calendar.fetch_add(200_000, std::sync::atomic::Ordering::Relaxed);
        program.become_one("ada", Scope::Configure);
        let answer = ask(&program, route, &format!("{path}?nonsense=1"), &json!({}));
        assert_eq!(
            answer.status, 400,
            "{:?} {path} with a key that nobody knows: {}",
            route.verb, answer.body
        );
    }
}

#[test]
fn what_is_answered_is_what_the_document_says() {
    let program = Program::new();
    let document = openapi::document();
    let all = routes();
    for route in &all {
        let path = path(&program, route);
        let body = match route.verb {
            Verb::Get | Verb::Delete | Verb::Patch => json!({}),
            // What is there is put back as it is.
            Verb::Put if route.path.starts_with("/config/candidate/") => program.get(&path).json(),
            Verb::Put | Verb::Post => json!({}),
        };
        let answer = ask(&program, route, &path, &body);
        let name = format!("{:?} {path}", route.verb);
        assert!(
            !matches!(answer.status, 0 | 401 | 403 | 405 | 500..),
            "{name}: {} {}",
            answer.head,
            answer.body
        );
        if answer.status < 300 {
            assert_eq!(answer.status, if route.makes { 201 } else { 200 }, "{name}");
            assert_eq!(answer.header("content-type"), "application/json", "{name}");
            let wrong = faults(&document, &route.gives, &answer.json(), "");
            assert!(wrong.is_empty(), "{name}: {wrong:#?}");
        } else {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{name}");
            let problem = answer.json();
            assert_ne!(
                problem["detail"], "There is nothing at this path; see /api/v1/openapi.json.",
                "{name}"
            );
            assert_eq!(problem["status"], answer.status, "{name}");
            let wrong = faults(
                &document,
                &document["components"]["schemas"]["Problem"]["properties"]["type"],
                &problem["type"],
                "",
            );
            assert!(wrong.is_empty(), "{name}: {wrong:?}");
        }
        let there = !path.contains("nobody") && !path.contains("none");
        let looks = route.verb == Verb::Get && there && !path.starts_with("/config/history/");
        assert!(!looks || answer.status == 200, "{name}: {}", answer.body);
        let _ = program.office.answer(ConfigRequest::Discard { change: None });
    }
}

#[test]
fn the_document_describes_the_table() {
    let program = Program::new();
    let served = program.get("/openapi.json").json();
    assert_eq!(served, openapi::document());
    assert_eq!(served["openapi"], "3.1.0");
    let all = routes();
    let (mut names, mut operations) = (BTreeSet::new(), 0);
    for (path, verbs) in served["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            operations += 1;
            let fits = |route: &&Route| {
                route.path == *path && route.verb.method().as_str().eq_ignore_ascii_case(verb)
            };
            let mut found = all.iter().filter(fits);
            let route = found.next().unwrap_or_else(|| panic!("{verb} {path} has no route"));
            assert!(found.next().is_none(), "{verb} {path} twice");
            assert_eq!(operation["x-koi-scope"], route.scope.name());
            assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{verb} {path}");
            let declared = operation["parameters"].as_array().unwrap().iter();
            let in_path: BTreeSet<&str> = declared
                .filter(|parameter| parameter["in"] == "path")
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            assert_eq!(in_path, route.parameters().collect(), "{path}");
            assert!(
                !operation["summary"].as_str().unwrap().is_empty()
                    && !operation["tags"][0].as_str().unwrap().is_empty()
            );
            assert_eq!(operation.get("requestBody").is_some(), route.takes.is_some());
        }
    }
    assert_eq!(operations, all.len(), "every route is in the document");
    let text = served.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(served.pointer(pointer).is_some(), "{pointer}");
    }
    let missing = program.get("/nothing");
    assert_eq!((missing.status, missing.header("content-type")), (404, "application/problem+json"));
    let method = program.ask("DELETE", "/status", "", None);
    assert_eq!((method.status, method.header("content-type")), (405, "application/problem+json"));
}
