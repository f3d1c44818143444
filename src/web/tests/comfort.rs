//! What makes rules bearable: ticks, drags, names that are followed, rules that belong to something, search.

use super::Browser;
use super::editing::{fields, with};
use super::html::filled_in;
use crate::web::form::{text_of, tree};

fn rules(browser: &Browser, tab: &str) -> Vec<(u32, bool)> {
    let document = browser.paper.document();
    let on_tab = document.rules.iter().filter(|rule| rule.interface.names().eq([tab]));
    on_tab.map(|rule| (rule.id.0, rule.disabled)).collect()
}

/// A browser in front of a router with five more rules on LAN and an alias in three places.
fn busy() -> Browser {
    let mut text = format!("{}{}", super::DOCUMENT, super::router::users());
    for id in 0..5 {
        text.push_str(&format!(
            "[[rule]]\nid = {}\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"tcp\"\nsource = \"servers\"\ndestination_port = \"{}\"\n",
            2_000_000 + id,
            id + 1
        ));
    }
    text.push_str("[[alias]]\nname = \"servers\"\ntype = \"host\"\nentries = [\"192.168.1.20\"]\n");
    text.push_str("[[alias]]\nname = \"all\"\ntype = \"host\"\nentries = [\"servers\"]\n");
    let mut browser = Browser::new(&text);
    browser.log_in("otto", "correct horse");
    browser
}

#[test]
fn what_is_ticked_is_changed_at_once() {
    let browser = busy();
    let keys = [("key", "2000001"), ("key", "2000003"), ("tab", "lan")];
    let all = |what: &'static str| [&keys[..], &[("do", what)]].concat();
    let answer = browser.change("/firewall/rules/bulk", &all("disable"));
    assert_eq!((answer.status, answer.header("location")), (303, "/firewall/rules?tab=lan"));
    let disabled: Vec<u32> =
        rules(&browser, "lan").iter().filter(|(_, disabled)| *disabled).map(|(id, _)| *id).collect();
    assert_eq!(disabled, [2_000_001, 2_000_003]);
    assert_eq!(browser.change("/firewall/rules/bulk", &all("enable")).status, 303);
    assert!(rules(&browser, "lan").iter().all(|(_, disabled)| !disabled));
    assert_eq!(browser.change("/firewall/rules/bulk", &all("delete")).status, 303);
    let left: Vec<u32> = rules(&browser, "lan").iter().map(|(id, _)| *id).collect();
    assert!(left.ends_with(&[2_000_000, 2_000_002, 2_000_004]), "{left:?}");
    assert_eq!(browser.change("/firewall/rules/bulk", &all("delete")).status, 404, "they are gone");
    assert_eq!(browser.change("/firewall/rules/bulk", &all("fold")).status, 400);
    let aliases = [("key", "all"), ("key", "servers"), ("do", "delete")];
    assert_eq!(browser.change("/firewall/aliases/bulk", &aliases).status, 422, "one is in use");
    assert_eq!(browser.paper.document().aliases.len(), 2, "all or nothing");
}

#[test]
fn a_rule_is_dragged_before_another_one() {
    let browser = busy();
    let drag = |key: &str, before: &str| {
        let path = format!("/firewall/rules/move/{key}");
        browser.change(&path, &[("before", before), ("tab", "lan")]).status
    };
    let order = || rules(&browser, "lan").iter().map(|(id, _)| *id % 10).collect::<Vec<_>>();
    assert_eq!(drag("2000004", "2000001"), 303);
    assert!(order().ends_with(&[0, 4, 1, 2, 3]), "{:?}", order());
    assert_eq!(drag("2000000", "2000003"), 303);
    assert!(order().ends_with(&[4, 1, 2, 0, 3]), "{:?}", order());
    assert_eq!(drag("2000000", "7"), 404);
}

#[test]
fn a_name_that_changes_is_followed_in_one_change() {
    let browser = busy();
    assert!(browser.get("/firewall/aliases").body.contains("in 6 places"));
    let page = browser.get("/firewall/aliases/edit/servers").body;
    assert!(page.contains("Used by") && page.contains("/firewall/rules/edit/2000003"), "{page}");
    let filled = filled_in(&page, "/firewall/aliases/edit/servers");
    let answer = browser.post_bare("/firewall/aliases/edit/servers", &with(&filled, "alias[0].name", "web"));
    assert_eq!(answer.status, 303, "{}", answer.body);
    let document = browser.paper.document();
    assert!(
        document
            .rules
            .iter()
            .filter(|rule| rule.id.0 >= 2_000_000)
            .all(|rule| { String::from(rule.source.clone()) == "web" })
    );
    assert_eq!(document.aliases[1].entries[0].value, "web");
    // A name that is taken is refused, and nothing has moved.
    let page = browser.get("/firewall/aliases/edit/web").body;
    let filled = filled_in(&page, "/firewall/aliases/edit/web");
    let answer = browser.post_bare("/firewall/aliases/edit/web", &with(&filled, "alias[0].name", "all"));
    assert_eq!(answer.status, 422);
    assert_eq!(browser.paper.document(), document);
}

#[test]
fn an_interface_gets_another_name_and_keeps_its_mac_addresses() {
    let browser = Browser::of("otto");
    let before = browser.paper.document();
    let mac = crate::config::mac_for(&before.nodes[0].name, "lan");
    let filled = filled_in(&browser.get("/interfaces/edit/lan").body, "/interfaces/edit/lan");
    let answer = browser.post_bare("/interfaces/edit/lan", &with(&filled, "interface[1].name", "office"));
    assert_eq!(answer.status, 303, "{}", answer.body);
    let document = browser.paper.document();
    assert!(
        !document.to_toml().contains("\"lan\"\n") || document.interfaces.iter().all(|it| it.name != "lan")
    );
    let part = document.nodes[0].interfaces.iter().find(|part| part.name == "office").unwrap();
    assert_eq!(part.mac, Some(mac));
    assert!(document.virtual_ips.iter().any(|vip| vip.interface == "office"));
}

#[test]
fn a_port_forward_has_a_rule_that_comes_and_goes_with_it() {
    let browser = Browser::of("otto");
    let path = "/firewall/nat/port-forward/new?tab=";
    let filled = filled_in(&browser.get("/firewall/nat/port-forward/new").body, path);
    let mut form = fields(&filled);
    for (name, value) in [
        ("port_forward[0].interface", "wan"),
        ("port_forward[0].family", "inet"),
        ("port_forward[0].protocol", "tcp"),
        ("port_forward[0].destination", "wan address"),
        ("port_forward[0].destination_port", "8443"),
        ("port_forward[0].target", "192.168.1.20"),
        ("port_forward[0].association", "rule"),
        ("port_forward[0].description", "Mail"),
    ] {
        form.retain(|(field, _)| *field != name);
        form.push((name, value));
    }
    let answer = browser.post_bare(path, &form);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let document = browser.paper.document();
    let id = document.port_forwards[0].id;
    let rule = document.rules.last().unwrap().clone();
    assert_eq!((rule.port_forward, rule.description.as_str()), (Some(id), "NAT Mail"));
    let edit = format!("/firewall/nat/port-forward/edit/{id}");
    let page = browser.get(&edit).body;
    assert!(page.contains("value=\"rule\" selected"), "{page}");
    let filled = filled_in(&page, &edit);
    assert_eq!(browser.post_bare(&edit, &fields(&filled)).status, 303);
    assert_eq!(browser.paper.document(), document, "nothing was touched");
    let none = with(&filled, "port_forward[0].association", "none");
    assert_eq!(browser.post_bare(&edit, &none).status, 303);
    assert!(browser.paper.document().rules.iter().all(|rule| rule.port_forward.is_none()));
    let filled = filled_in(&browser.get(&edit).body, &edit);
    let linked = with(&filled, "port_forward[0].association", "rule");
    assert_eq!(browser.post_bare(&edit, &linked).status, 303);
    assert_eq!(browser.change(&format!("/firewall/nat/port-forward/delete/{id}"), &[]).status, 303);
    let document = browser.paper.document();
    assert!(
        document.port_forwards.is_empty() && document.rules.iter().all(|rule| rule.port_forward.is_none())
    );
}

#[test]
fn one_box_finds_everything_that_one_may_see() {
    let browser = busy();
    for (query, hits) in [
        ("virtual", &["/firewall/virtual-ips"][..]),
        ("servers", &["/firewall/aliases/edit/servers", "/firewall/rules/edit/2000002"]),
        ("192.168.1.20", &["/firewall/aliases/edit/servers", "/interfaces/edit/lan"]),
        ("udp first", &["/system/advanced#system-timeouts-udp-first"]),
        ("handover", &["/help/pair"]),
        ("WANGW", &["/system/gateways/edit/WANGW"]),
    ] {
        for part in ["", "&part=1"] {
            let page = browser.get(&format!("/search?q={}{part}", query.replace(' ', "+")));
            assert_eq!(page.status, 200);
            for hit in hits {
                assert!(page.body.contains(&format!("href=\"{hit}\"")), "{query}: {hit}: {}", page.body);
            }
        }
    }
    let page = browser.get("/search?q=rita").body;
    assert!(!page.contains("/system/users"), "an operator does not see users");
    assert!(browser.get("/search?q=%3Cscript%3E").body.contains("&#60;script&#62;"));
    let part = browser.get("/search?q=lan&part=1").body;
    assert!(!part.contains("<html"));
}

#[test]
fn all_rules_stand_in_the_order_in_which_they_are_asked() {
    let browser = busy();
    let page = browser.get("/firewall/rules/all").body;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(at("Anti-lockout") < at("rule 2000000") && at("rule 2000000") < at("rule 2000004"));
    assert!(
        page.contains("href=\"/system/advanced\"") && page.contains("href=\"/firewall/rules/edit/2000001\"")
    );
}

#[test]
fn automatic_mappings_stand_among_the_outbound_ones() {
    let browser = Browser::of("otto");
    let page = browser.get("/firewall/nat/outbound").body;
    assert!(
        page.contains("leaves with 198.51.100.2") && page.contains("href=\"/firewall/nat/mode\""),
        "{page}"
    );
}

#[test]
fn a_separator_stands_above_its_rule() {
    let browser = busy();
    let path = "/firewall/rules/edit/2000002";
    let page = browser.get(path).body;
    let filled = filled_in(&page, path);
    let name = filled.iter().find(|(name, _)| name.ends_with(".separator")).unwrap().0.clone();
    assert_eq!(browser.post_bare(path, &with(&filled, &name, "The <mail> servers")).status, 303);
    let page = browser.get("/firewall/rules?tab=lan").body;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    let separator = at("The &#60;mail&#62; servers");
    assert!(at("data-key=\"2000001\"") < separator && separator < at("data-key=\"2000002\""));
}

#[test]
fn rules_are_copied_to_another_interface_with_their_networks() {
    let browser = busy();
    let path = "/firewall/rules/edit/2000003";
    let filled = filled_in(&browser.get(path).body, path);
    let name = filled.iter().find(|(name, _)| name.ends_with(".destination")).unwrap().0.clone();
    assert_eq!(browser.post_bare(path, &with(&filled, &name, "! lan net")).status, 303);
    let page = browser.get("/firewall/rules?tab=lan").body;
    assert!(page.contains("name=\"onto\"") && !page.contains("<option value=\"lan\">"), "{page}");
    let keys = [("key", "2000003"), ("key", "2000001"), ("tab", "lan"), ("do", "copy"), ("onto", "wan")];
    let before = rules(&browser, "wan").len();
    let answer = browser.change("/firewall/rules/bulk", &[&keys[..], &[("follow", "yes")]].concat());
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, "/firewall/rules?tab=wan"),
        "{}",
        answer.body
    );
    assert_eq!(browser.change("/firewall/rules/bulk", &keys).status, 303);
    let document = browser.paper.document();
    let tree = tree::tree(&document);
    let on_wan = tree::list(&tree, "rule").iter().filter(|rule| rule["interface"] == "wan");
    let said: Vec<_> = on_wan
        .skip(before)
        .map(|rule| (text_of(rule.get("destination_port")), text_of(rule.get("destination"))))
        .collect();
    let say = |port: &str, destination: &str| (port.to_owned(), destination.to_owned());
    assert_eq!(said, [say("2", ""), say("4", "! wan net"), say("2", ""), say("4", "! lan net")]);
    let mut ids: Vec<u32> = document.rules.iter().map(|rule| rule.id.0).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "ids of their own");
    for nowhere in ["floating", "moon", ""] {
        let keys = [("key", "2000001"), ("do", "copy"), ("onto", nowhere)];
        assert_eq!(browser.change("/firewall/rules/bulk", &keys).status, 404, "{nowhere}");
    }
}
