//! Pages with much on them are small and quick.

use std::time::Duration;

use axum::http::Method;

use super::Browser;
use crate::web::collection::Collection;
use crate::web::form::tree;
use crate::web::pages::COLLECTIONS;
use crate::web::routes;

/// Bytes of a first view: the page, and what it needs.
const FIRST_VIEW: usize = 150_000;
/// How long the router may take for a page.
const PATIENCE: Duration = Duration::from_millis(20);
const RULES: u32 = 2000;

/// A browser in front of a router with much to show.
fn large() -> Browser {
    let mut text = format!("{}{}", super::DOCUMENT, super::router::users());
    for number in 0..RULES {
        text.push_str(&format!(
            "[[rule]]\nid = {}\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"tcp\"\nsource = \"lan net\"\n\
             destination = \"alias_{}\"\ndestination_port = \"{}\"\nlog = true\ndescription = \"Rule {number} of many rules\"\n",
            2_000_000 + number,
            number % 1000,
            number + 1
        ));
    }
    for number in 0..1000 {
        text.push_str(&format!(
            "[[alias]]\nname = \"alias_{number}\"\ntype = \"host\"\nentries = [\"10.9.{}.{}\"]\n",
            number / 250,
            number % 250 + 1
        ));
    }
    for number in 0..100 {
        text.push_str(&format!(
            "[[schedule]]\nname = \"hours_{number}\"\n[[schedule.time_range]]\nweekdays = [\"mon\"]\nhours = \"8-{}\"\n",
            9 + number % 15
        ));
    }
    let mut browser = Browser::new(&text);
    browser.log_in("ada", "correct horse");
    browser
}

/// Every page, one of each kind.
fn pages(browser: &Browser) -> Vec<String> {
    let document = tree::tree(&browser.paper.document());
    let first = |collection: &Collection| {
        let entry = tree::list(&document, collection.list).first()?;
        Some(format!("{}/edit/{}", collection.slug, collection.key_of(0, entry)))
    };
    let all = routes::all();
    let is_file = |path: &str| [".xml", ".toml", ".tar"].iter().any(|end| path.ends_with(end));
    let fixed = all.iter().filter(|route| route.method == Method::GET && !route.path.contains('{'));
    let fixed = fixed.filter(|route| !is_file(&route.path));
    let fixed = fixed.map(|route| route.path.clone());
    let others = [
        "/firewall/rules?tab=lan&page=11",
        "/firewall/rules/new?tab=lan",
        "/search?q=rule",
        "/diagnostics/support?file=koi.toml",
        "/diagnostics/support?file=policy.json",
    ];
    fixed.chain(COLLECTIONS.iter().filter_map(|one| first(one))).chain(others.map(String::from)).collect()
}

#[test]
fn the_first_view_of_every_page_is_small() {
    let browser = large();
    let around: usize = ["/style.css", "/koi.js", "/live.js", "/favicon.svg"]
        .iter()
        .map(|path| browser.get(path).body.len())
        .sum();
    let sizes = pages(&browser).into_iter().map(|path| (browser.get(&path).body.len(), path));
    let large: Vec<_> = sizes.filter(|(size, _)| size + around >= FIRST_VIEW).collect();
    assert!(large.is_empty(), "{large:?}, and {around} around each");
}

/// In an optimised build: `cargo test --release -- --ignored pages_are_quick`.
#[test]
#[ignore = "a measurement"]
fn pages_are_quick_with_two_thousand_rules() {
    let browser = large();
    let mut slow = Vec::new();
    for path in pages(&browser) {
        let mut times = [Duration::MAX; 15];
        for time in &mut times {
            let begin = crate::io::clock::now();
            browser.get(&path);
            *time = crate::io::clock::now().since(begin);
        }
        times.sort_unstable();
        let median = times[times.len() / 2];
        let [median_ms, slowest_ms] = [median, times[14]].map(|time| time.as_micros() as f64 / 1000.0);
        println!("{median_ms:8.2} ms, {slowest_ms:8.2} at most  {path}");
        if median >= PATIENCE {
            slow.push(path);
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}
