//! The menu as a person drives it, without a machine.

use super::*;
use crate::appliance::factory::{self, Wishes};
use crate::config;
use crate::config::model::OutboundMode;

fn mac(number: u8) -> MacAddr {
    MacAddr([0x52, 0x54, 0, 0, 0, number])
}

fn facts() -> Facts {
    let cards: Vec<Card> = (0..3)
        .map(|number| Card { name: format!("eth{number}"), mac: mac(number), carries: number != 2 })
        .collect();
    let document = factory::document(&[mac(0), mac(1)], &Wishes::default());
    let interface = |name: &str, number, address: &[&str]| Interface {
        name: name.into(),
        zone: name.into(),
        device: mac(number).to_string(),
        addresses: address.iter().map(|text| (*text).into()).collect(),
    };
    Facts {
        release: "0.1.0".into(),
        hostname: "koi".into(),
        node: "koi".into(),
        router: Some(String::new()),
        cards,
        interfaces: vec![interface("wan", 0, &[]), interface("lan", 1, &["192.168.1.1/24"])],
        pages: Some("https://192.168.1.1/".into()),
        document,
        ..Facts::default()
    }
}

/// Types lines; gives what the last one leads to.
fn type_in(menu: &mut Menu, facts: &Facts, lines: &[&str]) -> Step {
    lines.iter().fold(Step::default(), |_, line| menu.handle(line, facts))
}

#[test]
fn the_heading_says_what_is_where_and_ends_with_the_prompt() {
    let text = Menu::heading(&Facts { warnings: vec!["no disk".into()], ..facts() });
    for words in [
        "WAN (wan)",
        "52:54:00:00:00:01",
        "192.168.1.1/24",
        "https://192.168.1.1/",
        "WARNING: no disk",
        "no address",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(text.ends_with(PROMPT));
    assert_eq!(type_in(&mut Menu::default(), &facts(), &[""]).text, Menu::heading(&facts()));
    assert!(type_in(&mut Menu::default(), &facts(), &["99"]).text.contains("no option \"99\""));
}

#[test]
fn single_words_are_orders() {
    let run = |words: &str| Some(Order::Run(words.split(' ').map(str::to_owned).collect()));
    for (lines, order) in [
        (&["9"][..], run("show pair")),
        (&["10"], Some(Order::Log)),
        (&["11"], Some(Order::Router)),
        (&["8", "show flows"], run("show flows")),
        (&["8", "koi  show  flows"], run("show flows")),
        (&["8", ""], None),
        (&["7", "192.168.1.9"], run("ping 192.168.1.9")),
        (&["15", ""], None),
    ] {
        assert_eq!(type_in(&mut Menu::default(), &facts(), lines).order, order, "{lines:?}");
    }
    let restored = type_in(&mut Menu::default(), &facts(), &["15", "7"]).order;
    assert!(matches!(restored, Some(Order::Run(words)) if words[..3] == ["config", "restore", "7"]));
}

#[test]
fn what_is_dangerous_wants_a_yes() {
    for (option, order) in [("4", Order::Factory), ("5", Order::Restart), ("6", Order::Off)] {
        let mut menu = Menu::default();
        assert_eq!(type_in(&mut menu, &facts(), &[option]).order, None);
        for no in ["", "y", "Yes!", "no"] {
            assert_eq!(type_in(&mut menu, &facts(), &[option, no]).order, None);
            assert!(menu.handle("", &facts()).text.ends_with(PROMPT));
        }
        assert_eq!(type_in(&mut menu, &facts(), &[option, "yes"]).order, Some(order));
    }
}

#[test]
fn a_password_is_typed_twice_and_never_seen() {
    let mut menu = Menu::default();
    assert!(menu.handle("3", &facts()).hidden && menu.handle("good password", &facts()).hidden);
    assert_eq!(menu.handle("good password", &facts()).order, Some(Order::Password("good password".into())));
    let step = type_in(&mut menu, &facts(), &["3", "one", "other"]);
    assert!(step.order.is_none() && step.text.contains("not the same") && !step.hidden);
}

#[test]
fn an_address_changes_the_document_and_nonsense_does_not() {
    let mut menu = Menu::default();
    for line in ["lan", "2"] {
        let step = type_in(&mut menu, &facts(), &["2", line, "10.1.0.1/16"]);
        let Some(Order::Document { text, restart: false, .. }) = step.order else { panic!("{step:?}") };
        let config = config::load(&text).unwrap();
        assert_eq!(config.nodes[0].interfaces[1].addresses, ["10.1.0.1/16".parse().unwrap()]);
        assert_eq!(config.revision, 2);
    }
    let step = type_in(&mut menu, &facts(), &["2", "wan", "198.51.100.2/24"]);
    let Some(Order::Document { text, .. }) = step.order else { panic!("{step:?}") };
    assert_eq!(
        config::load(&text).unwrap().outbound.mode,
        OutboundMode::Automatic,
        "now there is something to translate to"
    );
    for (lines, words) in [
        (&["2", "lan", "10.1.0.1"][..], "no address"),
        (&["2", "lan", "10.1.0.0/16"], "stands for the network"),
        (&["2", "nowhere"], "Nothing has changed"),
        (&["2", "wan", "192.168.1.9/24"], "overlaps"),
    ] {
        let step = type_in(&mut menu, &facts(), lines);
        assert!(step.order.is_none() && step.text.contains(words), "{lines:?}: {}", step.text);
    }
}

#[test]
fn cards_are_assigned_exchanged_and_added() {
    let ports = |step: Step| {
        let Some(Order::Document { text, restart: true, .. }) = step.order else { panic!("{step:?}") };
        let config = config::load(&text).unwrap_or_else(|problems| panic!("{text}{problems:#?}"));
        let node = config.nodes[0].clone();
        let macs: Vec<_> = node.interfaces.iter().map(|part| part.mac).collect();
        let nics: Vec<_> = node.ports.iter().map(|port| port.nic).collect();
        assert_eq!(macs, nics, "an interface has its card's address");
        node.ports.into_iter().map(|port| (port.name, port.nic.unwrap())).collect::<Vec<_>>()
    };
    let named = |pairs: &[(&str, u8)]| -> Vec<(String, MacAddr)> {
        pairs.iter().map(|(name, number)| ((*name).into(), mac(*number))).collect()
    };
    let mut menu = Menu::default();
    assert!(menu.handle("1", &facts()).text.contains("link up"));
    menu.handle("2", &facts());
    menu.handle("1", &facts());
    assert_eq!(ports(menu.handle("", &facts())), named(&[("wan", 1), ("lan", 0)]));
    assert_eq!(ports(type_in(&mut menu, &facts(), &["1", "2", "", ""])), named(&[("wan", 1), ("lan", 0)]));
    let added = type_in(&mut menu, &facts(), &["1", "", "", "3"]);
    assert_eq!(ports(added), named(&[("wan", 0), ("lan", 1), ("dmz", 2)]));
    let step = type_in(&mut menu, &facts(), &["1", "1", "1"]);
    assert!(step.text.contains("taken already"), "{}", step.text);
    assert!(type_in(&mut Menu::default(), &facts(), &["1", "", "", ""]).text.contains("Nothing has changed"));
}

#[test]
fn a_card_is_found_by_its_cable() {
    let mut menu = Menu::default();
    let step = type_in(&mut menu, &facts(), &["1", "a"]);
    assert_eq!(step.order, Some(Order::Watch));
    assert!(menu.plugged(None, &facts()).text.contains("No cable"));
    menu.handle("a", &facts());
    let step = menu.plugged(Some(mac(2)), &facts());
    assert!(
        step.text.contains("It is 52:54:00:00:00:02") && step.text.contains("Card of LAN"),
        "{}",
        step.text
    );
}
