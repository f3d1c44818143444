//! Who gets in.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::Program;
use crate::cluster::tokens::Scope;

#[test]
fn a_token_ends_when_it_expires_is_revoked_or_its_user_is_gone() {
    let mut program = Program::new();
    let about = program.get("/token").json();
    assert_eq!((&about["token"]["user"], &about["role"]), (&json!("ada"), &json!("administrator")));
    let order = json!({ "name": "nightly", "scope": "read", "lifetime": 600, "user": "otto" });
    let made = program.send("POST", "/tokens", &order);
    assert_eq!(made.status, 201, "{}", made.body);
    let ada = std::mem::replace(&mut program.token, made.json()["token"].as_str().unwrap().to_owned());
    assert_eq!(program.get("/status").status, 200);
    program.calendar.fetch_add(601, Ordering::Relaxed);
    let answer = program.get("/status");
    assert_eq!((answer.status, &answer.json()["type"]), (401, &json!("urn:koi:problem:unauthorized")));
    program.token = ada.clone();
    let otto = program.token_of("otto", Scope::Configure);
    let rows = program.get("/tokens").json();
    assert!(rows.as_array().unwrap().iter().any(|row| row["user"] == "otto" && row["state"] == "expired"));
    let id = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["user"] == "otto" && row["state"] == "active")
        .unwrap()["id"]
        .clone();
    program.token = otto.clone();
    assert_eq!(program.get("/status").status, 200);
    program.token = ada.clone();
    assert_eq!(program.ask("DELETE", &format!("/tokens/{}", id.as_str().unwrap()), "", None).status, 200);
    assert_eq!(program.ask("DELETE", "/tokens/nothing", "", None).status, 404);
    program.token = otto;
    assert_eq!(program.get("/status").status, 401, "revoked");
    program.become_one("otto", Scope::Configure);
    let otto = std::mem::replace(&mut program.token, ada);
    assert_eq!(program.send("PATCH", "/users/otto", &json!({ "role": "read-only" })).status, 200);
    assert_eq!(program.send("POST", "/config/apply", &json!({ "confirm": "never" })).status, 200);
    let ada = std::mem::replace(&mut program.token, otto.clone());
    assert_eq!(program.get("/status").status, 200);
    let order = json!({ "port": 53 });
    assert_eq!(program.send("POST", "/flows/kill", &order).status, 403, "no more than its user may now");
    program.token = ada;
    assert_eq!(program.send("PATCH", "/users/otto", &json!({ "disabled": true })).status, 200);
    assert_eq!(program.send("POST", "/config/apply", &json!({ "confirm": "never" })).status, 200);
    program.token = otto;
    assert_eq!(program.get("/status").status, 401, "its user may not log in");
}

#[test]
fn only_a_bearer_token_opens_the_door_and_guessing_is_slowed_down() {
    let mut program = Program::new();
    let good = std::mem::take(&mut program.token);
    for (headers, status) in [
        (String::new(), 401),
        (format!("Authorization: Basic {good}\r\n"), 401),
        (format!("Cookie: koi={good}\r\n"), 401),
        (format!("Authorization: {good}\r\n"), 401),
        (format!("authorization: bearer {good}\r\n"), 200),
    ] {
        assert_eq!(program.ask("GET", "/status", &headers, None).status, status, "{headers}");
    }
    let wrong = good.replace("koi_", "koi-");
    let statuses: Vec<u16> = (0..7)
        .map(|_| program.ask("GET", "/status", &format!("Authorization: Bearer {wrong}\r\n"), None).status)
        .collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
    program.token = good;
    assert_eq!(program.get("/status").status, 200, "a good token does not wait for others' mistakes");
    let deeds = program.get("/audit").json();
    let wrong = deeds.as_array().unwrap().iter().filter(|deed| deed["who"] == "(token)").count();
    assert_eq!(wrong, 5, "{deeds}");
}

#[test]
fn what_tokens_do_is_written_down() {
    let program = Program::new();
    let made = program.send("POST", "/tokens", &json!({ "name": "backup", "scope": "read" }));
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(
        program.send("PATCH", "/config/candidate/system", &json!({ "hostname": "other" })).status,
        200
    );
    assert_eq!(program.send("POST", "/flows/kill", &json!({ "port": 53 })).json()["count"], 3);
    let deeds = program.get("/audit").json();
    let words: Vec<&str> =
        deeds.as_array().unwrap().iter().filter_map(|deed| deed["what"].as_str()).collect();
    assert!(words[0].starts_with("ended 3 flows (token "), "{words:?}");
    assert!(words[1].starts_with("changed system"), "{words:?}");
    assert!(
        words[2].starts_with("made the token ") && words[2].contains("(backup) of ada to read"),
        "{words:?}"
    );
    assert!(!deeds.to_string().contains(made.json()["token"].as_str().unwrap()));
}

#[test]
fn orders_for_tokens_that_make_no_sense_are_refused() {
    let program = Program::new();
    for (order, status) in [
        (json!({ "name": "x", "scope": "everything" }), 400),
        (json!({ "name": "x" }), 400),
        (json!({ "name": "x", "scope": "read", "more": 1 }), 400),
        (json!({ "name": "", "scope": "read" }), 409),
        (json!({ "name": "x", "scope": "read", "lifetime": 5 }), 409),
        (json!({ "name": "x", "scope": "read", "user": "nobody" }), 409),
        (json!({ "name": "x", "scope": "operate", "user": "rita" }), 409),
        (Value::Array(Vec::new()), 400),
    ] {
        let answer = program.send("POST", "/tokens", &order);
        assert_eq!(answer.status, status, "{order}: {}", answer.body);
    }
}

#[test]
fn metrics_are_for_a_token_and_in_the_text_of_prometheus() {
    let mut program = Program::new();
    let ask = |program: &Program| program.ask_at("/metrics");
    program.become_one("rita", Scope::Read);
    let answer = ask(&program);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in
        ["# HELP koi_states Flows in the connection table.", "# TYPE koi_states gauge", "koi_states 0"]
    {
        assert!(answer.body.lines().any(|known| known == line), "{line}: {}", answer.body);
    }
    program.token = "koi_nonsense".into();
    assert_eq!(ask(&program).status, 401);
    program.token.clear();
    assert_eq!(ask(&program).status, 401);
}
