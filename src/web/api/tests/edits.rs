//! The life of a change, by programs.

use serde_json::{Value, json};

use super::Program;
use super::program::FLOWS;
use crate::cluster::tokens::Scope;
use crate::node::{PairPeerRow, PairSnapshot};

fn hostname(program: &Program, version: &str) -> Value {
    program.get(&format!("/config/{version}/system")).json()["hostname"].clone()
}

#[test]
fn a_change_that_nobody_confirms_goes_back_by_itself() {
    let program = Program::new();
    let before = hostname(&program, "running");
    let changed = program.send("PATCH", "/config/candidate/system", &json!({ "hostname": "other" }));
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(changed.json()["changes"][0]["path"], "system.hostname");
    assert_eq!(
        (hostname(&program, "candidate"), hostname(&program, "running")),
        (json!("other"), before.clone())
    );
    let trial = json!({ "confirm": { "seconds": 600 }, "why": "to see" });
    let applied = program.send("POST", "/config/apply", &trial);
    assert_eq!((applied.status, &applied.json()["confirm_within"]), (200, &json!(600)), "{}", applied.body);
    assert_eq!(hostname(&program, "running"), "other");
    assert_eq!(program.site.config().system.hostname, "other", "in force");
    program.office.pass(601);
    assert_eq!(hostname(&program, "running"), before);
    assert_eq!(program.site.config().system.hostname, before);
    let history = program.get("/config/history").json();
    assert_eq!(history["revisions"][1]["why"], "to see");
    assert_eq!(history["revisions"][1]["author"]["who"], "ada");
    assert!(history["revisions"][0]["why"].as_str().unwrap().contains("was not confirmed"));
    // And one that is confirmed stays.
    program.send("PATCH", "/config/candidate/system", &json!({ "hostname": "third" }));
    assert_eq!(program.send("POST", "/config/apply", &trial).status, 200);
    assert_eq!(program.send("POST", "/config/confirm", &Value::Null).status, 200);
    program.office.pass(601);
    assert_eq!(hostname(&program, "running"), "third");
    assert_eq!(program.send("POST", "/config/confirm", &Value::Null).status, 409);
    // One that is taken back is gone at once.
    program.send("PATCH", "/config/candidate/system", &json!({ "hostname": "fourth" }));
    assert_eq!(program.send("POST", "/config/apply", &trial).status, 200);
    assert_eq!(program.send("POST", "/config/rollback", &Value::Null).status, 200);
    assert_eq!(hostname(&program, "running"), "third");
}

#[test]
fn an_edit_of_an_older_edition_is_refused_with_the_difference() {
    let program = Program::new();
    let base = program.edition();
    let path = "/config/candidate/system";
    let first = program.based_on(&base, "PATCH", path, &json!({ "hostname": "one" }));
    assert_eq!(first.status, 200, "{}", first.body);
    let second = program.based_on(&base, "PATCH", path, &json!({ "hostname": "two" }));
    let problem = second.json();
    assert_eq!((second.status, &problem["type"]), (409, &json!("urn:koi:problem:stale")));
    assert!(problem["changes"][0]["words"].as_str().unwrap().contains("one"), "{problem}");
    let now = problem["edition"].as_str().unwrap();
    assert_eq!(format!("\"{now}\""), first.header("etag"));
    assert_eq!(program.based_on(now, "PATCH", path, &json!({ "hostname": "two" })).status, 200);
    assert_eq!(
        program.based_on(now, "POST", "/config/apply", &json!({})).status,
        409,
        "apply what was seen only"
    );
    let without = program.ask("PATCH", path, "", Some(b"{}"));
    assert_eq!((without.status, &without.json()["type"]), (428, &json!("urn:koi:problem:base-needed")));
    let odd = program.ask("PATCH", path, "If-Match: 17\r\n", Some(b"{}"));
    assert_eq!(odd.status, 400);
}

#[test]
fn every_problem_has_its_place_and_a_remedy() {
    let program = Program::new();
    let patch = json!({ "interface": null, "system": { "hostname": "-no" } });
    let answer = program.send("PATCH", "/config/candidate", &patch);
    assert_eq!(answer.status, 422);
    let problem = answer.json();
    assert!(problem["problems"].as_array().unwrap().len() > 1, "all of them at once: {problem}");
    let answer = program.send("PATCH", "/config/candidate/interface/lan", &json!({ "zone": "elsewhere" }));
    let found = answer.json()["problems"][0].clone();
    assert_eq!(
        (answer.status, &found["path"], &found["place"]),
        (422, &json!("interface[1].zone"), &json!("/interface/1/zone"))
    );
    assert!(!found["remedy"].as_str().unwrap().is_empty() && !found["message"].as_str().unwrap().is_empty());
    let text = program.get("/config/running/text").json()["text"]
        .as_str()
        .unwrap()
        .replace("zone = \"lan\"", "zone = \"x\"");
    let answer = program.send("PUT", "/config/candidate", &json!({ "text": text }));
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.json()["problems"][0]["place"].as_str().unwrap().starts_with("line "));
    let verdict = program.send("POST", "/config/validate", &json!({ "text": text })).json();
    assert_eq!(
        (&verdict["valid"], &verdict["problems"][0]["path"]),
        (&json!(false), &json!("interface[1].zone"))
    );
    assert_eq!(program.get("/config").json()["candidate"], Value::Null, "nothing has changed");
}

#[test]
fn entries_come_go_and_move_and_lists_have_their_own_paths() {
    let program = Program::new();
    let keys = || -> Vec<u64> {
        let rules = program.get("/config/candidate/rule").json();
        rules.as_array().unwrap().iter().map(|rule| rule["id"].as_u64().unwrap()).collect()
    };
    let before = keys();
    let rule = json!({ "interface": "lan", "action": "block", "description": "Ours" });
    let path = format!("/config/candidate/rule?position=before:{}", before[0]);
    let made = program.send("POST", &path, &rule);
    assert_eq!(made.status, 201, "{}", made.body);
    let key = made.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(keys()[0].to_string(), key);
    let path = format!("/config/candidate/rule/{key}?position=bottom");
    assert_eq!(program.send("PATCH", &path, &json!({ "log": true })).status, 200);
    assert_eq!(keys().last().unwrap().to_string(), key);
    let path = format!("/config/candidate/rule/{key}");
    assert_eq!(program.get(&path).json()["log"], true);
    assert_eq!(program.send("PATCH", &path, &json!({ "log": null })).status, 200);
    assert_eq!(program.get(&path).json().get("log"), None);
    assert_eq!(program.send("DELETE", &path, &Value::Null).status, 200);
    assert_eq!(program.send("DELETE", &path, &Value::Null).status, 404);
    assert_eq!(keys(), before);
    assert_eq!(program.send("POST", "/config/candidate/rule?position=after:nobody", &rule).status, 404);
    assert_eq!(program.send("POST", "/config/candidate/rule?position=there", &rule).status, 400);
    let address = program.get("/config/candidate/node/alpha/interface/lan").json()["addresses"].clone();
    assert!(address.is_array(), "{address}");
    assert_eq!(program.get("/config/candidate/node/gamma/interface/lan").status, 404);
    assert_eq!(program.get("/config/nothing/rule").status, 404);
    let alias = json!({ "name": "ours", "type": "host", "entries": ["192.0.2.9"] });
    assert_eq!(program.send("POST", "/config/candidate/alias", &alias).status, 201);
    assert_eq!(program.get("/config/candidate/alias/ours").json()["type"], "host");
    assert_eq!(program.send("PUT", "/config/candidate/alias", &json!({})).status, 400, "a list is a list");
}

#[test]
fn one_change_can_be_discarded_and_the_difference_told() {
    let program = Program::new();
    let both = json!({ "system": { "hostname": "one", "state_limit": 5000 } });
    assert_eq!(program.send("PATCH", "/config/candidate", &both).status, 200);
    let difference = program.get("/config/diff").json();
    assert_eq!(difference["changes"].as_array().unwrap().len(), 2, "{difference}");
    assert!(difference["text"].as_str().unwrap().contains("+hostname"));
    let path = |at: usize| difference["changes"][at]["path"].as_str().unwrap().to_owned();
    let kept = if path(0) == "system.hostname" { 1 } else { 0 };
    let gone = json!({ "change": 2 - kept });
    let left = program.send("POST", "/config/discard", &gone).json();
    assert_eq!(left["changes"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left["changes"][0]["path"], path(kept).as_str());
    assert_eq!(program.send("POST", "/config/discard", &json!({ "change": 9 })).status, 409);
    assert_eq!(program.send("DELETE", "/config/candidate", &Value::Null).status, 200);
    assert_eq!(program.get("/config/diff").json()["changes"], json!([]));
}

#[test]
fn secrets_stay_and_roles_count() {
    let mut program = Program::new();
    let shown = program.get("/config/running");
    assert!(shown.body.contains("\"password_hash\":\"***\"") && !shown.body.contains("$argon2id"));
    let document = shown.json()["document"].clone();
    let put = program.send("PUT", "/config/candidate", &json!({ "document": document }));
    assert_eq!(
        (put.status, &put.json()["changes"]),
        (200, &json!([])),
        "stars stand for what was there: {}",
        put.body
    );
    assert!(program.get("/config/running?secrets=true").body.contains("$argon2id"));
    program.become_one("ada", Scope::Read);
    assert_eq!(program.get("/config/running?secrets=true").status, 403);
    program.become_one("otto", Scope::Configure);
    let shown = program.get("/config/running").json();
    assert_eq!((&shown["withheld"], shown["document"].get("user")), (&json!(["user"]), None));
    assert_eq!(program.get("/config/running/user").status, 403);
    let mut document = shown["document"].clone();
    document["rule"][0]["log"] = json!(true);
    let put = program.send("PUT", "/config/candidate", &json!({ "document": document }));
    assert_eq!(put.status, 200, "what is not seen stays: {}", put.body);
    assert_eq!(put.json()["changes"].as_array().unwrap().len(), 1, "{}", put.body);
    let refused = program.send("PATCH", "/config/candidate", &json!({ "system": { "hostname": "x" } }));
    assert_eq!((refused.status, &refused.json()["path"]), (403, &json!("system.hostname")));
    program.become_one("ada", Scope::Configure);
    let user = json!({ "name": "eva", "role": "operator", "password": "correct horse" });
    assert_eq!(program.send("POST", "/users", &user).status, 201);
    let weak = json!({ "name": "udo", "role": "operator", "password": "short" });
    let weak = program.send("POST", "/users", &weak);
    assert_eq!((weak.status, &weak.json()["problems"][0]["place"]), (422, &json!("/password")));
    let users = program.get("/users");
    assert!(users.body.contains("eva") && !users.body.contains("argon2"));
}

#[test]
fn history_is_told_labelled_and_restored() {
    let program = Program::new();
    let before = hostname(&program, "running");
    let revision = program.site.config().revision;
    program.send("PATCH", "/config/candidate/system", &json!({ "hostname": "other" }));
    assert_eq!(program.send("POST", "/config/apply", &json!({ "confirm": "never" })).status, 200);
    let label =
        program.send("PUT", &format!("/config/history/{revision}/label"), &json!({ "label": "good one" }));
    assert_eq!((label.status, &label.json()["label"]), (200, &json!("good one")), "{}", label.body);
    assert_eq!(program.get("/config/history/good%20one").json()["revision"], revision);
    assert_eq!(hostname(&program, "good%20one"), before);
    let page = program.get("/config/history?limit=1").json();
    assert_eq!((page["revisions"].as_array().unwrap().len(), &page["more"]), (1, &json!(true)));
    let between = program.get("/config/diff?from=good%20one&to=running").json();
    assert_eq!(between["changes"].as_array().unwrap().len(), 1);
    let restored = program.send("POST", "/config/history/good%20one/restore", &json!({ "confirm": "never" }));
    assert_eq!(restored.status, 200, "{}", restored.body);
    assert_eq!(hostname(&program, "running"), before);
    assert_eq!(program.get("/config/history/99").status, 404);
}

#[test]
fn a_standby_names_the_active_node() {
    let program = Program::new();
    let peer = PairPeerRow { alive: true, role: "active".into(), ..PairPeerRow::default() };
    let standby = PairSnapshot {
        paired: true,
        role: "standby".into(),
        peer_name: Some("beta".into()),
        peer: Some(peer),
        ..PairSnapshot::default()
    };
    *program.pair.lock().unwrap() = standby.clone();
    let answer = program.send("PATCH", "/config/candidate/system", &json!({ "hostname": "x" }));
    let problem = answer.json();
    assert_eq!(
        (answer.status, &problem["type"], &problem["active"]),
        (409, &json!("urn:koi:problem:standby"), &json!("beta"))
    );
    assert_eq!(program.get("/config/running").status, 200, "it can be looked at");
    *program.pair.lock().unwrap() = PairSnapshot { peer: None, ..standby };
    assert_eq!(
        program.send("PATCH", "/config/candidate/system", &json!({ "hostname": "x" })).status,
        200,
        "nobody else is there"
    );
}

#[test]
fn flows_come_in_pages_and_end_only_when_it_is_clear_which() {
    let program = Program::new();
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = program.get(&format!("/flows?limit=100{next}")).json();
        seen.extend(page["flows"].as_array().unwrap().iter().map(|flow| flow["id"].as_u64().unwrap()));
        match page["next"].as_u64() {
            Some(id) => next = format!("&after={id}"),
            None => break,
        }
    }
    assert_eq!(seen, (0..FLOWS).collect::<Vec<_>>());
    for (which, status) in [
        (json!({}), 400),
        (json!({ "all": true, "port": 53 }), 400),
        (json!({ "prot": 53 }), 400),
        (json!({ "src": "example.org" }), 400),
        (json!({ "all": true }), 200),
        (json!({ "port": 53 }), 200),
    ] {
        assert_eq!(program.send("POST", "/flows/kill", &which).status, status, "{which}");
        assert_eq!(program.send("POST", "/flows/count", &which).status, status, "{which}");
    }
    assert_eq!(program.get("/flows?src=nonsense").status, 400);
    let question =
        json!({ "interface": "lan", "src": "192.168.1.10", "dst": "192.0.2.1", "under": "candidate" });
    let explained = program.send("POST", "/explain", &question).json();
    assert!(explained["steps"].as_array().is_some_and(|steps| !steps.is_empty()), "{explained}");
    let nowhere = json!({ "interface": "nowhere", "src": "192.168.1.10", "dst": "192.0.2.1" });
    assert_eq!(program.send("POST", "/explain", &nowhere).status, 409);
    for (address, status) in [("192.168.1.10", 200), ("2001:db8::7", 409), ("somebody", 400)] {
        let neighbour = json!({ "interface": "lan", "address": address });
        assert_eq!(program.send("POST", "/neighbours/forget", &neighbour).status, status, "{address}");
    }
    let deeds: Vec<String> = program.site.deeds().into_iter().map(|deed| deed.what).collect();
    let told =
        deeds.iter().filter(|what| what.starts_with("made alpha forget the neighbour 192.168.1.10 on lan"));
    assert_eq!(told.count(), 1, "{deeds:?}");
}

#[test]
fn files_go_out_and_come_in_again() {
    let program = Program::new();
    for (format, password) in
        [("koi", Some("correct horse")), ("koi", None), ("toml", None), ("pfsense", None)]
    {
        let mut order = json!({ "format": format });
        if let Some(password) = password {
            order["password"] = password.into();
        }
        let written = program.send("POST", "/config/export", &order);
        assert_eq!(written.status, 200, "{format}: {}", written.body);
        let file = written.json()["file"].clone();
        let mut given = json!({ "file": file });
        if let Some(password) = password {
            assert_eq!(program.send("POST", "/config/import/preview", &given).status, 422, "sealed");
            given["password"] = password.into();
        }
        match format {
            "koi" => {
                let preview = program.send("POST", "/config/import/preview", &given);
                assert_eq!(preview.json()["report"]["node"], "alpha", "{}", preview.body);
                let import = program.send("POST", "/config/import", &given);
                assert_eq!((import.status, &import.json()["changes"]), (200, &json!([])), "{}", import.body);
            }
            "pfsense" => {
                let preview = program.send("POST", "/config/import/preview", &given);
                assert_eq!(
                    (preview.status, &preview.json()["kind"]),
                    (200, &json!("pfsense")),
                    "{}",
                    preview.body
                );
                assert_eq!(
                    program.send("POST", "/config/import", &given).status,
                    422,
                    "devices wait for their places"
                );
            }
            _ => assert!(file.as_str().unwrap().contains("schema = 1")),
        }
    }
    assert_eq!(program.send("POST", "/config/import/preview", &json!({ "file": "<nonsense" })).status, 422);
}

#[test]
fn hostile_bodies_are_bounded() {
    let program = Program::new();
    let edition = program.edition();
    let based = format!("If-Match: \"{edition}\"\r\n");
    let put = |headers: &str, body: &[u8]| {
        program.ask("PUT", "/config/candidate", &format!("{based}{headers}"), Some(body))
    };
    let deep = format!("{{\"document\":{{\"x\":{}", "[".repeat(100_000));
    let wide = format!("{{\"document\":{{\"rule\":[{}{{}}]}}}}", "{},".repeat(20_000));
    for (what, answer, statuses) in [
        ("long", put("", &vec![b' '; 5 << 20]), vec![413]),
        ("said to be long", put("Content-Length: 99999999999\r\n", b"{}"), vec![413]),
        ("deep", put("", deep.as_bytes()), vec![400]),
        ("wide", put("", wide.as_bytes()), vec![422]),
        ("no UTF-8", put("", b"{\"text\":\"\xff\xfe\"}"), vec![400]),
        ("cut off", put("", b"{\"text\":\"abc"), vec![400]),
        ("nothing", put("", b""), vec![400]),
        ("another kind", put("Content-Type: text/plain\r\n", b"{}"), vec![415]),
        ("a form", put("Content-Type: application/x-www-form-urlencoded\r\n", b"text=x"), vec![415]),
        ("a body where none belongs", program.ask("GET", "/status", "", Some(b"{}")), vec![413]),
        ("a path that is no text", program.get("/config/%ff/rule"), vec![400]),
        ("both", put("", b"{\"text\":\"\",\"document\":{}}"), vec![400]),
    ] {
        assert!(
            statuses.contains(&answer.status),
            "{what}: {} {}",
            answer.head,
            &answer.body[..answer.body.len().min(300)]
        );
        assert!(answer.body.len() < 4 << 20, "{what}");
    }
    assert_eq!(program.get("/config").status, 200, "and it goes on");
}
