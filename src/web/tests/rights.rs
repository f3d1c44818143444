//! Every route, so that a new one cannot be forgotten: who may ask, and how a form must come.

use axum::http::Method;

use super::Browser;
use crate::config::model::UserRole;
use crate::web::menu;
use crate::web::routes;
use crate::web::visitor::Right;

fn path(route: &routes::Route) -> String {
    route.path.replace("{key}", "nobody")
}

/// What is answered to whoever is not logged in, or whose role is too small.
fn is_refusal(status: u16, location: &str) -> bool {
    matches!(status, 401 | 403) || (status == 303 && location.starts_with("/login"))
}

#[test]
fn nobody_asks_for_what_their_role_does_not_allow() {
    let stranger = Browser::new(super::DOCUMENT);
    let roles = [
        (Browser::of("rita"), UserRole::ReadOnly),
        (Browser::of("otto"), UserRole::Operator),
        (Browser::of("ada"), UserRole::Administrator),
    ];
    let routes = routes::all();
    assert!(routes.len() > 50);
    for route in &routes {
        let ask = |browser: &Browser| match route.method {
            Method::GET => browser.get(&path(route)),
            _ if route.path == "/logout" => browser.post_bare("/logout", &[("token", &browser.token)]),
            _ => browser.post(&path(route), &[]),
        };
        let answer = ask(&stranger);
        let refused = is_refusal(answer.status, answer.header("location"));
        let open = matches!(route.right, Right::Anyone);
        assert!(open || refused, "{} {} for a stranger: {}", route.method, route.path, answer.status);
        for (browser, role) in roles.iter().filter(|_| route.path != "/logout" && route.path != "/login") {
            let answer = ask(browser);
            let refused = is_refusal(answer.status, answer.header("location"));
            let may = route.right.role().is_none_or(|least| *role >= least);
            assert_eq!(refused, !may, "{} {} for {role:?}: {}", route.method, route.path, answer.status);
        }
    }
}

#[test]
fn a_form_comes_from_its_own_site_and_session() {
    let mut browser = Browser::of("ada");
    let posts: Vec<_> = routes::all().into_iter().filter(|route| route.method == Method::POST).collect();
    assert!(posts.len() > 25);
    for route in posts.iter().filter(|route| route.right != Right::Anyone) {
        let path = path(route);
        assert_eq!(browser.post_bare(&path, &[]).status, 403, "{path} without a token");
        let wrong = "x".repeat(browser.token.len());
        assert_eq!(browser.post_bare(&path, &[("token", &wrong)]).status, 403, "{path} with a wrong token");
    }
    for route in &posts {
        let path = path(route);
        for header in [
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-site\r\n",
            "Sec-Fetch-Site: none\r\n",
            "Origin: https://evil.example\r\n",
            "Origin: null\r\n",
        ] {
            browser.headers = header.into();
            assert_eq!(browser.post(&path, &[]).status, 403, "{path} with {header}");
        }
    }
    browser.headers = "Sec-Fetch-Site: same-origin\r\n".into();
    assert_eq!(browser.post("/theme", &[("theme", "dark")]).status, 303);
    browser.headers.clear();
    assert!(browser.get("/").body.contains("data-theme=\"dark\""));
}

#[test]
fn the_menu_leads_to_pages() {
    let routes = routes::all();
    for path in menu::paths() {
        let found = routes.iter().any(|route| route.path == path && route.method == Method::GET);
        assert!(found, "{path}");
    }
}

#[test]
fn every_page_renders_well_formed_without_script_or_style_of_its_own() {
    let browser = Browser::of("ada");
    let mut paths: Vec<String> = routes::all()
        .into_iter()
        .filter(|route| {
            route.method == Method::GET
                && !route.path.contains('{')
                && !["/events", "/wizard"].contains(&route.path.as_str())
        })
        .map(|route| route.path)
        .collect();
    paths.extend(
        [
            "/interfaces/edit/wan",
            "/firewall/virtual-ips/edit/1",
            "/system/gateways/edit/WANGW",
            "/wizard/system",
            "/wizard/wan",
            "/wizard/admin",
            "/wizard/finish",
            "/help/pair",
            "/search?q=lan",
        ]
        .map(Into::into),
    );
    for path in paths {
        let answer = browser.get(&path);
        assert_eq!(answer.status, 200, "{path}");
        if !answer.header("content-type").starts_with("text/html") {
            continue;
        }
        assert!(answer.body.len() < 150_000, "{path}: {} bytes", answer.body.len());
        let elements = answer.elements();
        let named = |name: &str| elements.iter().filter(|element| element.name == name).count();
        assert_eq!((named("main"), named("style")), (1, 0), "{path}");
        for script in elements.iter().filter(|element| element.name == "script") {
            let own = ["/koi.js", "/live.js", "/vendor/uplot.js"];
            assert!(own.contains(&script.attribute("src").unwrap()) && script.text.is_empty(), "{path}");
        }
        let mut ids: Vec<_> = elements.iter().filter_map(|element| element.attribute("id")).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{path}: an id twice");
        for element in &elements {
            assert!(element.attribute("style").is_none() && element.attribute("onclick").is_none(), "{path}");
            for reference in ["for", "list", "aria-labelledby", "aria-describedby"] {
                for id in element.attribute(reference).unwrap_or_default().split_whitespace() {
                    assert!(ids.contains(&id), "{path}: {reference}=\"{id}\" leads nowhere");
                }
            }
            let labelled = element.attribute("aria-label").is_some()
                || element.attribute("type") == Some("hidden")
                || elements.iter().any(|label| label.attribute("for") == element.attribute("id"));
            let is_control = ["input", "select", "textarea"].contains(&element.name.as_str());
            assert!(!is_control || labelled, "{path}: {:?} has no label", element.attribute("name"));
        }
    }
}
