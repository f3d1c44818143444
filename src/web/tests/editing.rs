//! From a form to the document and back.

use super::Browser;
use super::html::filled_in;
use crate::web::form::tree;
use crate::web::pages::{COLLECTIONS, SETTINGS};

pub(super) fn fields(filled: &[(String, String)]) -> Vec<(&str, &str)> {
    filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// A form as it stands, with one field otherwise.
pub(super) fn with<'f>(
    filled: &'f [(String, String)],
    name: &'f str,
    value: &'f str,
) -> Vec<(&'f str, &'f str)> {
    let mut fields = fields(filled);
    fields.retain(|(field, _)| *field != name);
    fields.push((name, value));
    fields
}

#[test]
fn every_form_comes_back_as_it_was() {
    let browser = Browser::of("ada");
    let before = browser.paper.document();
    let mut pages: Vec<String> = SETTINGS.iter().map(|settings| settings.slug.to_owned()).collect();
    for collection in COLLECTIONS {
        let tree = tree::tree(&before);
        let keys = tree::list(&tree, collection.list).iter().enumerate();
        pages.extend(
            keys.map(|(at, entry)| format!("{}/edit/{}", collection.slug, collection.key_of(at, entry))),
        );
    }
    assert!(pages.len() > 12, "{pages:?}");
    for path in pages {
        let page = browser.get(&path);
        assert_eq!(page.status, 200, "{path}");
        let answer = browser.post_bare(&path, &fields(&filled_in(&page.body, &path)));
        assert_eq!(answer.status, 303, "{path}: {}", answer.body);
        assert_eq!(browser.paper.document(), before, "{path}");
    }
}

#[test]
fn a_change_stays_a_draft_until_it_is_applied() {
    let browser = Browser::of("ada");
    let page = browser.get("/system/general");
    let filled = filled_in(&page.body, "/system/general");
    let answer = browser.post_bare("/system/general", &with(&filled, "system.hostname", "other"));
    assert_eq!(answer.status, 303);
    assert_eq!(browser.paper.document().system.hostname, "other");
    assert_eq!(browser.site.config().system.hostname, "fw.example", "not in force yet");
    let page = browser.get("/system/general");
    assert!(page.body.contains("1 change not in force yet") && page.body.contains("value=\"other\""));
    assert!(browser.get("/changes").body.contains("Something is &#60;different&#62;."));
    let answer = browser.post_bare("/system/general", &with(&filled, "system.hostname", "third"));
    assert_eq!(answer.status, 409, "a form of before is refused");
    assert_eq!(browser.change("/changes/apply", &[("trial", "yes"), ("seconds", "77")]).status, 303);
    assert_eq!(browser.site.config().system.hostname, "other");
    assert!(browser.get("/").body.contains("<b>77 s</b>"), "on trial");
    assert_eq!(browser.post("/changes/confirm", &[]).status, 303);
    assert!(!browser.get("/").body.contains("On trial"));
    assert_eq!(browser.post("/changes/confirm", &[]).status, 404);
    let rule = browser.paper.document().rules[0].id;
    assert_eq!(browser.change(&format!("/firewall/rules/toggle/{rule}"), &[]).status, 303);
    assert_eq!(browser.change("/changes/discard", &[("change", "7")]).status, 404);
    assert_eq!(browser.change("/changes/discard", &[("change", "1")]).status, 303);
    assert_eq!(browser.paper.document(), browser.site.config());
    browser.change("/firewall/virtual-ips/delete/1", &[]);
    assert_eq!(browser.post("/changes/discard", &[]).status, 303);
    assert_eq!(browser.paper.document(), browser.site.config());
}

#[test]
fn what_is_wrong_stands_beside_its_field() {
    let browser = Browser::of("ada");
    for (path, field, value, text) in [
        ("/system/general", "system.hostname", "-koi", "is not a host name"),
        ("/system/advanced", "system.web.port", "0", "0 is not a port"),
        ("/system/advanced", "system.web.port", "https", "whole number"),
        ("/system/advanced", "system.timeouts.udp_first", "0", "not possible"),
        ("/system/high-availability", "pair.preempt_delay", "99999999", "not possible"),
        ("/system/gateways/edit/WANGW", "gateway[0].address", "203.0.113.1/24", "without prefix length"),
        ("/system/gateways/edit/WANGW", "gateway[0].interface", "wann", "Did you mean"),
        ("/interfaces/edit/lan", "interface[1].mtu", "12", "12"),
        ("/interfaces/edit/lan", "node[1].interface[1].addresses", "192.168.1.3/33", "192.168.1.3/33"),
        ("/firewall/virtual-ips/edit/0", "virtual_ip[0].vhid", "0", "1 to 255"),
        ("/firewall/virtual-ips/edit/0", "virtual_ip[0].password", "with space", "spaces"),
        ("/system/users/edit/otto", "user[1].password_hash", "short", "The two are not the same."),
        ("/system/users/edit/otto", "user[1].role", "king", "king"),
    ] {
        let before = browser.paper.document();
        let page = browser.get(path);
        let filled = filled_in(&page.body, path);
        let answer = browser.post_bare(path, &with(&filled, field, value));
        assert_eq!(answer.status, 422, "{path} {field}: {}", answer.body);
        let id = format!("{}-error", field.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        let elements = answer.elements();
        let error = elements.iter().find(|element| element.attribute("id") == Some(&id));
        let error = error.unwrap_or_else(|| panic!("{path}: nothing at {field}: {}", answer.body));
        assert!(error.text.contains(text), "{path} {field}: {}", error.text);
        assert!(!error.text.contains("in quotes"), "advice about TOML: {}", error.text);
        let input = elements.iter().find(|element| element.attribute("name") == Some(field)).unwrap();
        assert_eq!(input.attribute("aria-invalid"), Some("true"));
        assert_eq!(browser.paper.document(), before);
    }
}

#[test]
fn rules_are_added_copied_moved_toggled_and_deleted() {
    let browser = Browser::of("otto");
    let rules = || {
        let document = browser.paper.document();
        let on_lan = document.rules.iter().filter(|rule| rule.interface.names().eq(["lan"]));
        on_lan.map(|rule| (rule.id.0, rule.description.clone(), rule.disabled)).collect::<Vec<_>>()
    };
    let before = rules();
    let others = browser.paper.document().rules.len() - before.len();
    let add = |path: &str, description: &str| {
        let page = browser.get(path);
        let action = path.replace('&', "&#38;");
        let filled = filled_in(&page.body, &action);
        let name = filled.iter().find(|(name, _)| name.ends_with(".description")).unwrap().0.clone();
        let answer = browser.post_bare(path, &with(&filled, &name, description));
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, "/firewall/rules?tab=lan"),
            "{}",
            answer.body
        );
    };
    add("/firewall/rules/new?tab=lan", "last");
    add("/firewall/rules/new?tab=lan&top=true", "first");
    let now = rules();
    assert_eq!(now.len(), before.len() + 2);
    assert_eq!((now[0].1.as_str(), now.last().unwrap().1.as_str()), ("first", "last"));
    let (first, last) = (now[0].0, now.last().unwrap().0);
    assert!(first != last && !before.iter().any(|(id, ..)| *id == first || *id == last), "ids of their own");
    add(&format!("/firewall/rules/new?tab=lan&copy={first}"), "copy");
    assert_eq!(rules()[1].1, "copy", "behind the original");
    let act = |what: &str, id: u32, fields: &[(&str, &str)]| {
        let mut fields = fields.to_vec();
        fields.push(("tab", "lan"));
        browser.change(&format!("/firewall/rules/{what}/{id}"), &fields).status
    };
    assert_eq!(act("move", first, &[("to", "down")]), 303);
    assert_eq!((rules()[0].1.as_str(), rules()[1].0), ("copy", first));
    assert_eq!(act("move", last, &[("to", "top")]), 303);
    assert_eq!(rules()[0].0, last);
    assert_eq!(act("move", last, &[("to", "bottom")]), 303);
    assert_eq!(act("move", last, &[("to", "down")]), 303, "already there");
    assert_eq!(rules().last().unwrap().0, last);
    assert_eq!(act("move", last, &[("to", "sideways")]), 400);
    assert_eq!(act("toggle", last, &[]), 303);
    assert!(rules().last().unwrap().2);
    assert!(browser.get("/firewall/rules?tab=lan").body.contains("<tr class=\"disabled\" "));
    assert_eq!(act("toggle", last, &[]), 303);
    assert_eq!(act("delete", last, &[]), 303);
    assert_eq!(act("delete", last, &[]), 404);
    assert_eq!(rules().len(), before.len() + 2);
    assert_eq!(browser.paper.document().rules.len() - rules().len(), others, "other tabs are as they were");
}

#[test]
fn what_others_refer_to_is_not_deleted() {
    let browser = Browser::of("ada");
    let answer = browser.change("/interfaces/delete/lan", &[]);
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("There is no interface &#34;lan&#34;"), "{}", answer.body);
    assert_eq!(browser.paper.document(), browser.site.config());
}

#[test]
fn an_interface_is_added_with_its_addresses_on_each_node_and_deleted_with_them() {
    let browser = Browser::of("otto");
    let path = "/interfaces/new?tab=";
    let filled = filled_in(&browser.get("/interfaces/new").body, path);
    let mut fields = with(&filled, "interface[2].name", "guests");
    for (name, value) in [
        ("interface[2].zone", "dmz"),
        ("interface[2].port", "lan"),
        ("interface[2].vlan", "30"),
        ("node[0].interface[2].addresses", "10.30.0.2/24\r\n2001:db8:30::2/64"),
        ("node[1].interface[2].addresses", "10.30.0.3/24\r\n2001:db8:30::3/64"),
    ] {
        fields.retain(|(field, _)| *field != name);
        fields.push((name, value));
    }
    let answer = browser.post_bare(path, &fields);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let document = browser.paper.document();
    let added = document.nodes[1].interfaces.last().unwrap();
    assert_eq!((added.name.as_str(), added.addresses.len()), ("guests", 2));
    assert_eq!(document.interfaces[2].vlan, Some(30));
    assert!(browser.get("/firewall/rules").body.contains(">GUESTS</a>"), "it has a tab");
    assert_eq!(browser.change("/interfaces/delete/guests", &[]).status, 303);
    assert_eq!(browser.paper.document(), browser.site.config());
}

#[test]
fn a_user_is_made_with_a_password_that_nobody_sees() {
    let browser = Browser::of("ada");
    let path = "/system/users/new?tab=";
    let filled = filled_in(&browser.get("/system/users/new").body, path);
    let fields = |password: &'static str, again: &'static str| {
        let mut fields = with(&filled, "user[3].name", "carol");
        fields.retain(|(name, _)| !name.contains("password"));
        fields.extend([("user[3].password_hash", password), ("user[3].password_hash.again", again)]);
        fields
    };
    for (password, again, text) in [
        ("", "", "Set a password."),
        ("battery staple", "battery stable", "The two are not the same."),
        ("short", "short", "at least 8 characters"),
        ("i am Carol", "i am Carol", "contains the name"),
    ] {
        let answer = browser.post_bare(path, &fields(password, again));
        assert_eq!(answer.status, 422);
        assert!(answer.body.contains(text), "{}", answer.body);
        assert!(password.is_empty() || !answer.body.contains(password));
        assert!(
            !answer.body.contains("hash of a password") && !answer.body.contains("is missing"),
            "{}",
            answer.body
        );
    }
    assert_eq!(browser.post_bare(path, &fields("battery staple", "battery staple")).status, 303);
    assert_eq!(browser.change("/changes/apply", &[]).status, 303);
    let mut carol = Browser::new(&browser.site.config().to_toml());
    assert_eq!(carol.log_in("carol", "battery staple").status, 303);
    for path in ["/system/users", "/system/users/edit/carol", "/firewall/virtual-ips/edit/0"] {
        let page = browser.get(path).body;
        assert!(!page.contains("argon2id") && !page.contains("write-your-own"), "{path}");
    }
}

#[test]
fn lists_show_what_the_document_says() {
    let browser = Browser::of("ada");
    for (path, facts) in [
        ("/system/users", &["otto", "The operator", "read-only"][..]),
        ("/system/gateways", &["WANGW", "198.51.100.1", "default"]),
        ("/firewall/virtual-ips", &["198.51.100.2/24", "fe80::1/64", "The gateway of the office"]),
        ("/interfaces", &["wan", "untagged", "1500"]),
        (
            "/firewall/rules?tab=lan",
            &["Anti-lockout rule", "Default deny rule IPv4", "mark pass", "mark block"],
        ),
        ("/firewall/rules?tab=wan", &["Block private networks", "/interfaces/edit/wan"]),
    ] {
        let page = browser.get(path);
        for fact in facts {
            assert!(page.body.contains(fact), "{path}: {fact}");
        }
    }
}

#[test]
fn two_thousand_rules_are_shown_a_page_at_a_time() {
    let mut text = format!("{}{}", super::DOCUMENT, super::router::users());
    for id in 0..2000 {
        text.push_str(&format!(
            "[[rule]]\nid = {}\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"tcp\"\nsource = \"lan net\"\ndestination_port = \"{}\"\ndescription = \"Rule {id}\"\n",
            2_000_000 + id,
            id + 1
        ));
    }
    let mut browser = Browser::new(&text);
    browser.log_in("rita", "correct horse");
    let page = browser.get("/firewall/rules?tab=lan");
    assert!(page.body.len() < 150_000, "{} bytes", page.body.len());
    assert!(page.body.contains("Page 1 of 37") && page.body.contains("Next"));
    let last = browser.get("/firewall/rules?tab=lan&page=99");
    assert!(last.body.contains("Rule 1999") && !last.body.contains("Delete"), "who may look does not change");
}

#[test]
fn the_history_is_shown_compared_and_gone_back_to() {
    let browser = Browser::of("ada");
    let page = browser.get("/diagnostics/config-history").body;
    assert!(
        page.find("otto").unwrap() < page.rfind("192.0.2.7").unwrap()
            && page.contains("because &#60;of it&#62;")
    );
    let page = browser.get("/diagnostics/config-history/1").body;
    assert!(
        page.contains("the &#60;name&#62; is another one") && page.contains("Put revision 1 in force again")
    );
    assert_eq!(browser.get("/diagnostics/config-history/7").status, 404);
    assert_eq!(browser.post("/diagnostics/config-history/1", &[]).status, 303);
    assert_eq!(browser.post("/diagnostics/config-history/7", &[]).status, 404);
    assert_eq!(browser.post("/diagnostics/config-history/1/label", &[("label", "good")]).status, 303);
    assert_eq!(browser.post("/diagnostics/config-history/7/label", &[("label", "good")]).status, 404);
    let operator = Browser::of("otto").get("/diagnostics/config-history/1").body;
    assert!(!operator.contains("in force again"));
}

#[test]
fn the_whole_document_goes_out_and_comes_in_as_a_draft() {
    let browser = Browser::of("ada");
    let file = browser.get("/diagnostics/backup/koi.toml");
    assert!(file.header("content-disposition").contains("koi.toml"));
    let xml = browser.get("/diagnostics/backup/config.xml");
    assert!(xml.body.contains("<pfsense>") && xml.body.contains("fw"), "{}", xml.body);
    let other = file.body.replace("fw.example", "restored.example");
    let answer = browser.change("/diagnostics/backup", &[("text", &other)]);
    assert_eq!((answer.status, answer.header("location")), (303, "/changes"));
    assert_eq!(browser.paper.document().system.hostname, "restored.example");
    assert_eq!(browser.site.config().system.hostname, "fw.example");
    let answer = browser.change("/diagnostics/backup", &[("text", "schema = 1")]);
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("is missing"), "{}", answer.body);
}

#[test]
fn translations_are_tables_like_everything_else() {
    let browser = Browser::of("otto");
    let add = |slug: &str, list: &str, values: &[(&str, &str)]| {
        let path = format!("{slug}/new?tab=");
        let filled = filled_in(&browser.get(&format!("{slug}/new")).body, &path);
        let mut fields = fields(&filled);
        let named: Vec<_> =
            values.iter().map(|(name, value)| (format!("{list}[0].{name}"), *value)).collect();
        for (name, value) in &named {
            fields.retain(|(field, _)| field != name);
            fields.push((name.as_str(), *value));
        }
        let answer = browser.post_bare(&path, &fields);
        assert_eq!(answer.status, 303, "{slug}: {}", answer.body);
    };
    add(
        "/firewall/aliases",
        "alias",
        &[("name", "web"), ("type", "host"), ("entries", "192.168.1.20 the first\r\n192.168.1.21")],
    );
    add(
        "/firewall/nat/port-forward",
        "port_forward",
        &[
            ("interface", "wan"),
            ("family", "inet"),
            ("protocol", "tcp"),
            ("destination", "wan address"),
            ("destination_port", "443"),
            ("target", "web"),
        ],
    );
    let document = browser.paper.document();
    assert_eq!(document.aliases[0].entries[0].description, "the first");
    assert_eq!(document.port_forwards[0].id.0, document.rules[0].id.0 + 1, "numbers are shared");
    let page = browser.get("/firewall/nat/port-forward").body;
    assert!(page.contains("wan address") && page.contains("web"));
    let page = browser.get("/firewall/aliases/edit/web").body;
    assert!(page.contains("192.168.1.20 the first\n192.168.1.21</textarea>"), "{page}");
    assert_eq!(browser.change("/firewall/aliases/delete/web", &[]).status, 422, "it is in use");
}
