//! What moves: the stream, the dashboard, the CARP page, the log, the numbers.

use ring::digest::{SHA256, digest};

use super::Browser;
use super::html::filled_in;
use crate::web::events;

/// uPlot 1.6.32, as npm has it.
const UPLOT: &str = "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f";

#[test]
fn what_others_wrote_is_what_they_published() {
    let file = include_bytes!("../../../web/vendor/uplot.js");
    assert_eq!(data_encoding::HEXLOWER.encode(digest(&SHA256, file).as_ref()), UPLOT);
    let browser = Browser::new(super::DOCUMENT);
    let served = browser.get("/vendor/uplot.js");
    assert!(served.header("content-type").starts_with("text/javascript"));
    assert!(browser.get("/vendor/uplot-LICENSE").body.contains("MIT"));
}

/// How often the producer has looked while somebody listened.
fn looks(said: &str) -> usize {
    said.matches("event: tick").count()
}

#[test]
fn a_stream_tells_what_was_asked_for_and_ends_with_its_session() {
    let browser = Browser::of("rita");
    browser.spawn(events::run(browser.site.clone()));
    let facts = [
        "content-type: text/event-stream",
        "retry: 2000",
        "event: tick",
        "event: banner",
        "REDUNDANCY LOST",
        "there is no &#60;session&#62;",
        "event: carp",
        "epoch 77",
        "event: rates",
        "event: system",
        "gate&#60;way&#62;",
        "event: traffic",
        "event: talkers",
    ];
    let topics = "banner,carp,rates,log,services,system,traffic,talkers";
    let all = |said: &str| looks(said) >= 2 && facts.iter().all(|fact| said.contains(fact));
    let said = browser.listen(&format!("/events?topics={topics}"), all);
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    for fact in facts {
        assert!(said.contains(fact), "{fact}: {said}");
    }
    assert!(!said.contains("event: gateways"), "nobody asked for that");
    for wrong in ["/events", "/events?topics=", "/events?topics=nonsense"] {
        assert_eq!(browser.get(wrong).status, 400, "{wrong}");
    }
    let begun = browser.site.events.counters().begun;
    assert_eq!(begun, 1);
    let over = browser.listen_while("/events?topics=banner", |browser| {
        browser.post("/logout", &[]);
    });
    assert!(over, "it ends when somebody logs out");
    assert_eq!(browser.site.events.counters().over, 1);
}

#[test]
fn a_stream_does_not_keep_a_session_alive() {
    let browser = Browser::of("rita");
    browser.spawn(events::run(browser.site.clone()));
    let cookie = browser.cookie.split_once('=').unwrap().1.to_owned();
    let shared = |browser: &Browser| {
        let sessions = crate::web::site::lock(&browser.site.sessions);
        serde_json::to_string(&sessions.share_one(crate::types::Instant::from_secs(2000), &cookie)).unwrap()
    };
    let before = shared(&browser);
    let said = browser.listen("/events?topics=banner", |said| looks(said) >= 2);
    assert!(looks(&said) >= 2 && said.contains("event: banner"), "{said}");
    assert_eq!(shared(&browser), before);
    // The clock of these tests stands still; so does what was asked last, whatever a page asks for by itself.
    let idle = |browser: &Browser| {
        let value: serde_json::Value = serde_json::from_str(&shared(browser)).unwrap();
        value["last_ms"].as_u64().unwrap()
    };
    crate::web::site::lock(&browser.site.sessions)
        .find(crate::types::Instant::from_secs(400), &cookie)
        .unwrap();
    let before = idle(&browser);
    assert_eq!(browser.get("/diagnostics/states?part=1").status, 200);
    assert_eq!(browser.get("/status/log?part=1").status, 200);
    assert_eq!(idle(&browser), before);
    browser.get("/diagnostics/states");
    assert!(idle(&browser) < before, "somebody has asked for it");
}

#[test]
fn each_user_has_a_dashboard_of_their_own_without_a_script() {
    let browser = Browser::of("rita");
    let page = browser.get("/").body;
    assert!(page.contains("data-live=\"system\"") && page.contains("data-live=\"pair\""));
    assert!(!page.contains("data-widget=\"log\""));
    assert!(browser.get("/?arrange=true").body.contains("action=\"/dashboard\""));
    let act = |deed: &str, widget: &str, rest: &str| {
        let answer = browser.post("/dashboard", &[("do", deed), ("widget", widget), ("rest", rest)]);
        assert_eq!((answer.status, answer.header("location")), (303, "/?arrange=true"), "{deed}");
        browser.get("/").body
    };
    let page = act("add", "log", "");
    assert!(page.contains("data-widget=\"log\"") && page.contains("data-log"), "{page}");
    let page = act("before", "log", "system");
    let at = |page: &str, widget: &str| page.find(&format!("data-widget=\"{widget}\"")).unwrap();
    assert!(at(&page, "log") < at(&page, "system"));
    assert!(act("columns", "", "3").contains("class=\"board c3\""));
    assert!(act("wider", "log", "").contains("class=\"tile w2 h0\" data-widget=\"log\""));
    assert!(!act("remove", "pair", "").contains("data-widget=\"pair\""));
    for wrong in [("fly", "log"), ("add", "clock"), ("", "")] {
        assert_eq!(browser.post("/dashboard", &[("do", wrong.0), ("widget", wrong.1)]).status, 400);
    }
    assert!(browser.site.preferences.layout("ada").is_none(), "others see theirs");
    assert!(!act("reset", "", "").contains("data-widget=\"log\""));
}

#[test]
fn the_pair_is_asked_from_its_page_and_refusals_are_shown() {
    let browser = Browser::of("ada");
    let page = browser.get("/status/carp").body;
    for fact in
        ["Timeline", "Conditions", "Enter maintenance mode", "Temporarily disable CARP", "Run a drill"]
    {
        assert!(page.contains(fact), "{fact}: {page}");
    }
    assert_eq!(
        filled_in(&page, "/status/carp/drill").iter().find(|(name, _)| name == "count").unwrap().1,
        "2"
    );
    for (path, form) in [
        ("/status/carp/role", &[("do", "hand-over")][..]),
        ("/status/carp/role", &[("do", "resync")]),
        ("/status/carp/drill", &[("count", "2")]),
        ("/status/carp/drill", &[("count", "2"), ("probe", "nonsense")]),
    ] {
        let answer = browser.post(path, form);
        assert_eq!(answer.status, 422, "{path} {form:?}");
        assert!(answer.body.contains("Not done"), "{path} {form:?}");
    }
    for (path, form) in [
        ("/status/carp/role", &[("do", "explode")][..]),
        ("/status/carp/drill", &[("count", "11")]),
        ("/status/carp/drill", &[("count", "0")]),
    ] {
        assert_eq!(browser.post(path, form).status, 400, "{path} {form:?}");
    }
    assert_eq!(browser.get("/status/carp/drill/alpha-1").status, 404);
    let page = Browser::of("otto").get("/status/carp").body;
    assert!(
        page.contains("Timeline") && !page.contains("Run a drill"),
        "only who may do something has buttons"
    );
}

#[test]
fn numbers_are_for_programs_with_a_token() {
    let browser = Browser::of("ada");
    let answer = browser.get("/metrics");
    assert_eq!(answer.status, 401, "a cookie opens nothing here");
}

#[test]
fn a_webhook_is_set_and_taken_away_with_a_form() {
    let browser = Browser::of("ada");
    let path = "/system/notifications";
    let save = |url: &str, secret: &str| {
        let filled = filled_in(&browser.get(path).body, path);
        let mut form: Vec<(&str, &str)> =
            filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        form.retain(|(name, _)| !name.ends_with(".url") && !name.ends_with(".secret"));
        form.extend([("system.notification.url", url), ("system.notification.secret", secret)]);
        browser.post_bare(path, &form)
    };
    let url = |browser: &Browser| browser.paper.document().system.notification.url.clone();
    assert_eq!(save("http://192.0.2.9/", "").status, 422, "not without TLS");
    assert_eq!(save("https://192.0.2.9/hook", "correct horse").status, 303);
    assert_eq!(url(&browser).map(|url| url.to_string()).as_deref(), Some("https://192.0.2.9/hook"));
    assert!(!browser.get(path).body.contains("correct horse"));
    assert_eq!(save("", "").status, 422, "the secret would have no effect");
    assert_eq!(save("", "-").status, 303);
    assert_eq!(url(&browser), None);
}
