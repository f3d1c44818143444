//! From nothing to a firewall, and from somebody else's file.

use super::Browser;
use super::html::filled_in;

/// What a machine has that nobody has set up yet.
const BARE: &str = r#"
schema = 1
revision = 1
[[node]]
name = "alpha"
[[node.port]]
name = "lan"
tap = "koi-lan"
[[node.port]]
name = "wan"
tap = "koi-wan"
[[node.port]]
name = "dmz"
tap = "koi-dmz"
[[node.interface]]
name = "lan"
addresses = ["192.168.1.1/24"]
[[node.interface]]
name = "wan"
[[node.interface]]
name = "dmz"
[[interface]]
name = "lan"
zone = "lan"
port = "lan"
[[interface]]
name = "wan"
zone = "wan"
port = "wan"
[[interface]]
name = "dmz"
zone = "dmz"
port = "dmz"
[outbound]
mode = "disabled"
"#;

fn fill(browser: &Browser, path: &str, values: &[(&str, &str)]) -> super::browser::Answer {
    let page = browser.get(path);
    assert_eq!(page.status, 200, "{path}");
    let mut form = filled_in(&page.body, path);
    for (name, value) in values {
        form.retain(|(field, _)| field != name);
        form.push(((*name).to_owned(), (*value).to_owned()));
    }
    let fields: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post_bare(path, &fields)
}

#[test]
fn the_wizard_makes_a_firewall_of_a_bare_machine() {
    let mut browser = Browser::new(BARE);
    let answer = browser.log_in("admin", &"b".repeat(24));
    assert_eq!(answer.header("location"), "/wizard", "whoever comes first sets it up");
    assert_eq!(browser.get("/wizard").header("location"), "/wizard/system");
    let answer = fill(&browser, "/wizard/system", &[("system.hostname", "fw.example")]);
    assert_eq!((answer.status, answer.header("location")), (303, "/wizard/wan"));
    let answer = fill(&browser, "/wizard/wan", &[("node[0].interface[1].addresses", "203.0.113.2")]);
    assert_eq!(answer.status, 422, "no prefix length");
    assert!(
        answer.body.contains("node-0--interface-1--addresses-error") || answer.body.contains("prefix"),
        "{}",
        answer.body
    );
    let answer = fill(
        &browser,
        "/wizard/wan",
        &[
            ("interface[1].port", "wan"),
            ("node[0].interface[1].addresses", "203.0.113.2/24"),
            ("gateway[0].address", "203.0.113.1"),
        ],
    );
    assert_eq!((answer.status, answer.header("location")), (303, "/wizard/lan"), "{}", answer.body);
    assert_eq!(fill(&browser, "/wizard/lan", &[]).status, 303);
    let answer = fill(
        &browser,
        "/wizard/dmz",
        &[("interface[2].port", "dmz"), ("node[0].interface[2].addresses", "10.20.0.1/24")],
    );
    assert_eq!(answer.status, 303, "{}", answer.body);
    for (password, again, status) in [("short", "short", 422), ("correct horse", "correct horse", 303)] {
        let values = [
            ("user[0].name", "ada"),
            ("user[0].password_hash", password),
            ("user[0].password_hash.again", again),
        ];
        assert_eq!(fill(&browser, "/wizard/admin", &values).status, status);
    }
    let document = browser.paper.document();
    assert_eq!(document.system.hostname, "fw.example");
    let names: Vec<&str> = document.interfaces.iter().map(|interface| interface.name.as_str()).collect();
    assert_eq!(names, ["lan", "wan", "dmz"]);
    assert_eq!(document.outbound.mode, crate::config::model::OutboundMode::Automatic);
    assert!(document.interfaces[1].block_private && document.interfaces[1].block_bogons);
    let gateway = &document.gateways[0];
    assert!(gateway.default && gateway.interface == "wan" && gateway.address.to_string() == "203.0.113.1");
    let rules: Vec<&str> = document.rules.iter().map(|rule| rule.description.as_str()).collect();
    assert_eq!(
        rules,
        [
            "lan may go anywhere",
            "dmz may not reach lan",
            "dmz may not reach these pages",
            "dmz may go anywhere",
        ]
    );
    assert_eq!(document.users[0].name, "ada");
    let page = browser.get("/wizard/finish").body;
    assert!(page.contains("Apply with confirm"), "{page}");
    // It can be run again: what is there is shown, and nothing else changes.
    for step in ["system", "wan", "lan", "dmz"] {
        let path = format!("/wizard/{step}");
        assert_eq!(fill(&browser, &path, &[]).status, 303, "{step}");
        assert_eq!(browser.paper.document(), document, "{step}");
    }
    assert_eq!(browser.get("/wizard/nowhere").status, 404);
    assert_eq!(browser.change("/wizard/finish", &[]).status, 404);
}

#[test]
fn before_there_is_a_user_only_somebody_inside_logs_in() {
    let site = super::router::site(&super::router::Paper::new(BARE));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log_in =
        |from: &str| runtime.block_on(site.log_in(from.parse().unwrap(), "admin", &"b".repeat(24), ""));
    assert!(log_in("192.168.1.10").is_ok() && log_in("127.0.0.1").is_ok());
    assert!(log_in("203.0.113.9").is_err());
}

/// A form with a file, as a browser sends it.
fn send_file(browser: &Browser, path: &str, file: &str, fields: &[(&str, &str)]) -> super::browser::Answer {
    let edition = browser.paper.document().hash();
    let mut body = String::new();
    let own = [("token", browser.token.as_str()), ("edition", edition.as_str()), ("file", file)];
    for (name, value) in own.iter().chain(fields) {
        body.push_str(&format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    body.push_str("--xyz--\r\n");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: HOST\r\nContent-Type: multipart/form-data; boundary=xyz\r\nContent-Length: {}\r\n",
        body.len()
    );
    browser.ask(&head, &body)
}

#[test]
fn a_file_of_pfsense_becomes_a_draft() {
    let text = format!("{}{}", BARE, super::router::users());
    let mut browser = Browser::new(&text);
    browser.log_in("ada", "correct horse");
    let import = "/diagnostics/import";
    assert_eq!(send_file(&browser, import, "<pfsense>", &[]).status, 422);
    assert_eq!(send_file(&browser, import, "", &[]).status, 422);
    let file = include_str!("../../../tests/pfsense/pair-first.xml");
    let answer = send_file(&browser, import, file, &[]);
    assert_eq!((answer.status, answer.header("location")), (303, import), "{}", answer.body);
    let page = browser.get(import).body;
    for words in
        ["pfSense", "Imported:", "Adapted:", "Kept, but inactive:", "Not possible:", "What would become true"]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("Take over as draft"), "ports first");
    let mapped = "/diagnostics/import/map";
    let filled = filled_in(&page, mapped);
    let fields: Vec<_> = filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(browser.post_bare(mapped, &fields).status, 303);
    let page = browser.get(import).body;
    assert!(page.contains("Take over as draft"), "{page}");
    let filled = filled_in(&page, mapped);
    let mut fields: Vec<_> = filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.push(("take", "yes"));
    let answer = browser.post_bare(mapped, &fields);
    assert_eq!((answer.status, answer.header("location")), (303, "/changes"), "{}", answer.body);
    let document = browser.paper.document();
    assert!(!document.rules.is_empty() && document.users.len() >= 3, "our own users stay");
    assert_eq!(document.interfaces[0].name, "lan", "what is there keeps its place");
    assert!(!browser.get(import).body.contains("Imported:"), "the file is not kept");
    // The document of Koi itself goes the same way.
    let answer = send_file(&browser, import, &text, &[]);
    assert_eq!((answer.status, answer.header("location")), (303, "/changes"));
}

#[test]
fn factory_defaults_keep_everybody_in() {
    let browser = Browser::of("ada");
    assert_eq!(
        browser.change("/diagnostics/factory-defaults", &[]).header("location"),
        "/diagnostics/factory-defaults"
    );
    let before = browser.paper.document();
    assert_eq!(
        browser.change("/diagnostics/factory-defaults", &[("sure", "yes")]).header("location"),
        "/changes"
    );
    let document = browser.paper.document();
    assert_eq!(document.rules.len(), 1);
    assert_eq!(
        (&document.users, &document.pair, &document.nodes),
        (&before.users, &before.pair, &before.nodes)
    );
}
