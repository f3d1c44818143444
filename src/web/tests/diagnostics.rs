//! Diagnostics: what the pages show of a router with states in it, and what becomes of what is clicked.

use super::{Browser, DOCUMENT};
use crate::config;
use crate::web::diagnostics::support;
use crate::web::menu;

#[test]
fn states_are_filtered_grouped_and_killed_after_a_preview() {
    let browser = Browser::of("otto");
    let page = browser.get("/diagnostics/states?address=lan&port=99999");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("&#34;lan&#34; is not an address or a network."), "{}", page.body);
    assert!(browser.get("/diagnostics/states?interface=nowhere").body.contains("No interface"));
    assert!(browser.get("/diagnostics/states?state=opening&protocol=tcp").body.contains("No state fits."));
    assert!(browser.get("/diagnostics/states").body.contains("No connection passes"));
    for by in ["source", "destination", "rule", "interface"] {
        let page = browser.get(&format!("/diagnostics/states?by={by}"));
        assert!(page.body.contains("0 of 0 in 0 groups"), "{by}");
    }
    // What moves is asked for by itself, and is the same as in the page.
    for (path, fact) in
        [("/diagnostics/states", "No connection passes"), ("/diagnostics/states?by=rule", "in 0 groups")]
    {
        let page = browser.get(path).body;
        let piece = browser.get(&format!("{path}{}part=1", if path.contains('?') { '&' } else { '?' })).body;
        assert!(page.contains("data-again=\"3\"") && piece.contains(fact), "{page}");
        assert!(page.contains(piece.trim()) && !piece.contains("<html"), "{piece}");
    }
    assert!(!browser.get("/diagnostics/states?whole=yes").body.contains("data-again="), "that would be dear");
    // Nothing is ended that was not named.
    let answer = browser.post("/diagnostics/states/kill", &[]);
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("Name some states."));
}

#[test]
fn why_walks_a_packet_through_the_policy_and_links_to_who_decides() {
    let browser = Browser::of("rita");
    let ask = |more: &str| {
        let packet = "interface=lan&src=192.168.1.77&dst=192.0.2.9&dport=443";
        browser.get(&format!("/diagnostics/why?{packet}{more}"))
    };
    let page = ask("");
    assert_eq!(page.status, 200);
    for part in ["mark pass", "Rules, coming in", "/firewall/rules/edit/", "Route", "Source NAT"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    // With the only gateway down, and as the other node.
    let document = config::load(DOCUMENT).unwrap();
    let gateway = &document.gateways[0].name;
    let down = ask(&format!("&down={gateway}"));
    assert_eq!(down.status, 200);
    let other = ask("&node=beta");
    assert!(other.body.contains("mark pass"), "{}", other.body);
    assert!(ask("&node=gamma").body.contains("No answer"));
    assert!(ask("&under=candidate").body.contains("mark pass"));
    let wrong = browser.get("/diagnostics/why?interface=lan&src=x&dst=192.0.2.9");
    assert!(wrong.body.contains("is not an address"));
    let gone = browser.get("/diagnostics/why?log=7");
    assert!(gone.body.contains("does not have this record"));
    assert!(browser.get("/diagnostics/explain?flow=7").body.contains("This state is over."));
}

#[test]
fn an_easy_rule_is_shown_first_and_goes_into_the_draft_with_its_expiry() {
    let browser = Browser::of("otto");
    let packet = "interface=lan&protocol=tcp&src=192.168.1.77&sport=4000&dst=192.0.2.9&dport=443";
    let page = browser.get(&format!("/firewall/easy-rule?action=block&{packet}"));
    assert_eq!(page.status, 200);
    assert!(page.body.contains("with the rule <span class=\"mark block\">block</span>"), "{}", page.body);
    let fields = [
        ("interface", "lan"),
        ("protocol", "tcp"),
        ("src", "192.168.1.77"),
        ("sport", "4000"),
        ("dst", "192.0.2.9"),
        ("dport", "443"),
        ("action", "block"),
        ("scope", "exact"),
        ("expires", "1h"),
    ];
    let answer = browser.change("/firewall/easy-rule", &fields);
    assert_eq!((answer.status, answer.header("location")), (303, "/changes"), "{}", answer.body);
    let document = browser.paper.document();
    let rule = document.rules.iter().find(|rule| rule.description.starts_with("Easy rule")).unwrap();
    assert_eq!(String::from(rule.source.clone()), "192.168.1.77/32");
    assert_eq!(String::from(rule.destination.clone()), "192.0.2.9/32");
    let wall = crate::io::clock::wall_seconds();
    let left = rule.expires.unwrap().as_secs() - wall;
    assert!((3590..=3600).contains(&left), "{left}");
    // It stands before the others of its tab, and is why the packet is blocked then.
    let first = document.rules.iter().find(|rule| rule.interface.names().eq(["lan"])).unwrap();
    assert_eq!(first.id, rule.id);
    let why = browser.get(&format!("/diagnostics/why?under=candidate&{packet}"));
    assert!(why.body.contains(&format!("rule {}", rule.id)), "{}", why.body);
    // A stale form changes nothing, and packets of the firewall's own have no easy rule.
    let mut stale = fields.to_vec();
    stale.push(("edition", "old"));
    assert_eq!(browser.post("/firewall/easy-rule", &stale).status, 409);
    let own = browser.get(&format!("/firewall/easy-rule?action=block&{}", packet.replace("lan", "self")));
    assert!(own.body.contains("floating rule"));
}

#[test]
fn a_rule_expires_or_pauses_and_the_list_counts_down() {
    let browser = Browser::of("otto");
    let id = browser.paper.document().rules[0].id;
    let path = format!("/firewall/rules/time/{id}");
    assert!(browser.get(&path).body.contains("It is in force for good"));
    assert_eq!(browser.change(&path, &[("expires", "1h")]).status, 303);
    assert_eq!(browser.change(&path, &[("pause", "4h")]).status, 303);
    let rule = browser.paper.document().rules[0].clone();
    assert!(rule.expires.is_some() && rule.paused_until.is_some());
    let tab = rule.interface.names().next().unwrap_or("floating").to_owned();
    let list = browser.get(&format!("/firewall/rules?tab={tab}"));
    // Within the second of the click it is the whole hour still.
    let told = ["pauses for 4 h 00 min, ends in 1 h 00 min", "pauses for 3 h 59 min, ends in 59 min 5"];
    assert!(told.iter().any(|told| list.body.contains(told)), "{}", list.body);
    assert_eq!(browser.change(&path, &[("expires", ""), ("pause", "")]).status, 303);
    let rule = browser.paper.document().rules[0].clone();
    assert!(rule.expires.is_none() && rule.paused_until.is_none());
    assert_eq!(browser.change(&path, &[]).status, 422);
    assert_eq!(browser.get("/firewall/rules/time/5").status, 404);
    assert_eq!(Browser::of("rita").get(&path).status, 403);
}

#[test]
fn a_capture_is_begun_looked_at_and_taken_away() {
    let browser = Browser::of("otto");
    let wrong = browser.post("/diagnostics/capture", &[("interface", "lan"), ("filter", "port x")]);
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("Not begun"));
    let begun = browser.post("/diagnostics/capture", &[("interface", "lan"), ("seconds", "60")]);
    assert_eq!((begun.status, begun.header("location")), (303, "/diagnostics/capture/1"));
    assert!(browser.get("/diagnostics/capture/1").body.contains("It runs."));
    assert_eq!(browser.post("/diagnostics/capture", &[("interface", "wan")]).status, 303);
    let third = browser.post("/diagnostics/capture", &[("interface", "wan")]);
    assert!(third.body.contains("2 captures run already"));
    assert_eq!(browser.post("/diagnostics/capture/1/stop", &[]).status, 303);
    assert_eq!(browser.post("/diagnostics/capture/2/delete", &[]).status, 303);
    assert_eq!(browser.get("/diagnostics/capture/2").status, 404);
    assert!(browser.get("/diagnostics/capture").body.contains("/diagnostics/capture/1/pcap"));
}

#[test]
fn what_the_machine_does_not_allow_is_said() {
    let browser = Browser::of("ada");
    assert_eq!(browser.post("/diagnostics/restart", &[("step", "explode")]).status, 422);
    let answer = browser.post("/diagnostics/restart", &[("step", "reboot")]);
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("Not done"));
    assert_eq!(Browser::of("otto").post("/diagnostics/restart", &[("step", "restart")]).status, 403);
}

#[test]
fn questions_to_the_network_name_what_is_wrong_with_them() {
    let browser = Browser::of("otto");
    for (path, fields) in [
        ("/diagnostics/ping", vec![("host", "192.0.2.1"), ("count", "99")]),
        ("/diagnostics/traceroute", vec![("host", "")]),
        ("/diagnostics/test-port", vec![("host", "192.0.2.1")]),
        ("/diagnostics/dns", vec![("host", "example.org"), ("server", "x")]),
    ] {
        let answer = browser.post(path, &fields);
        assert_eq!(answer.status, 422, "{path}");
        assert!(answer.body.contains("No answer"), "{path}");
    }
    let ping = browser.get("/diagnostics/ping?host=192.0.2.1");
    assert!(ping.body.contains("192.168.1.1</option>"), "a shared address to ask from: {}", ping.body);
}

#[test]
fn a_neighbour_is_deleted_by_whoever_may() {
    let browser = Browser::of("otto");
    let page = browser.get("/diagnostics/arp").body;
    assert!(page.contains("192.168.1.10") && !page.contains("2001:db8::7"), "{page}");
    assert!(page.contains("name=\"address\" value=\"192.168.1.10\""), "{page}");
    assert!(browser.get("/diagnostics/ndp").body.contains("name=\"address\" value=\"2001:db8::7\""));
    let forget =
        |address: &str| browser.post("/diagnostics/arp", &[("interface", "lan"), ("address", address)]);
    assert_eq!(forget("somebody").status, 422);
    let answer = forget("192.168.1.10");
    assert!(answer.status == 409 && answer.body.contains("Nobody answers"), "{}", answer.body);
    let rita = Browser::of("rita");
    assert!(!rita.get("/diagnostics/arp").body.contains("Delete<"));
    assert_eq!(
        rita.post("/diagnostics/ndp", &[("interface", "lan"), ("address", "2001:db8::7")]).status,
        403
    );
}

#[test]
fn the_files_of_a_support_bundle_are_looked_at_one_by_one() {
    let browser = Browser::of("ada");
    let page = browser.get("/diagnostics/support").body;
    assert!(page.contains("?file=koi.toml#shown") && !page.contains("For support:"), "{page}");
    let page = browser.get("/diagnostics/support?file=koi.toml").body;
    assert!(page.contains("For support:") && page.contains("hostname"), "{page}");
    assert!(browser.get("/diagnostics/support?file=policy.json").body.contains("Nobody answers"));
    assert_eq!(browser.get("/diagnostics/support?file=web-password").status, 404);
}

#[test]
fn a_support_bundle_holds_no_secret() {
    // Every field whose name says that it is secret, filled with the same words wherever the document has one.
    const SECRET: &str = "hidden-from-everybody";
    let mut config = config::load(DOCUMENT).unwrap().into_inner();
    config
        .virtual_ips
        .iter_mut()
        .for_each(|vip| vip.password = config::model::Secret::new("hidden-from-ever"));
    let hash = crate::web::hash::hash_password(SECRET).unwrap();
    config.users.push(config::model::User {
        name: "ada".into(),
        role: config::model::UserRole::Administrator,
        password_hash: config::model::Secret::new(hash.clone()),
        totp_secret: Some(config::model::Secret::new("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")),
        disabled: false,
        description: "Night shift".into(),
    });
    let key = rcgen::generate_simple_self_signed(vec!["gate.example".into()]).unwrap();
    let private = key.signing_key.serialize_pem();
    config.certificates.push(config::model::Certificate {
        name: "gate".into(),
        certificate: key.cert.pem(),
        private_key: config::model::Secret::new(private.clone()),
        description: String::new(),
    });
    let line = private.lines().nth(1).unwrap().to_owned();
    let text = config::validate(config).unwrap().to_toml();
    let browser = Browser::new(&text);
    let (site, runtime) =
        (browser.site.clone(), tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    let archive = runtime.block_on(support::bundle(&site));
    let archive = String::from_utf8_lossy(&archive).into_owned();
    assert!(archive.contains("koi-support/koi.toml") && archive.contains("Night shift"));
    for secret in [SECRET, "hidden-from-ever", "JBSWY3DPEHPK3PXP", hash.as_str(), line.as_str()] {
        assert!(!archive.contains(secret), "{secret}");
    }
    let mut count = 0;
    let tree = serde_json::to_value(&**site.config()).unwrap();
    every_secret(&tree, &mut |secret| {
        count += 1;
        assert!(!archive.contains(secret), "{secret}");
    });
    assert!(count >= 4, "{count} secrets");
}

/// Each text whose key is one of a secret.
fn every_secret(value: &serde_json::Value, found: &mut impl FnMut(&str)) {
    match value {
        serde_json::Value::Object(table) => table.iter().for_each(|(key, value)| match value.as_str() {
            Some(text) if config::diff::is_secret(key) && !text.is_empty() => found(text),
            Some(_) | None => every_secret(value, found),
        }),
        serde_json::Value::Array(list) => list.iter().for_each(|value| every_secret(value, found)),
        _ => {}
    }
}

#[test]
fn the_menu_of_diagnostics_has_what_pfsense_s_has() {
    let paths: Vec<&str> = menu::paths().collect();
    for path in [
        "/diagnostics/arp",
        "/diagnostics/ndp",
        "/diagnostics/dns",
        "/diagnostics/capture",
        "/diagnostics/ping",
        "/diagnostics/restart",
        "/diagnostics/routes",
        "/diagnostics/states",
        "/diagnostics/states-summary",
        "/diagnostics/tables",
        "/diagnostics/test-port",
        "/diagnostics/traceroute",
        "/diagnostics/why",
        "/diagnostics/support",
    ] {
        assert!(paths.contains(&path), "{path}");
    }
}
