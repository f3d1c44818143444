//! The manual: Markdown in `web/help`, one page for each task.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use pulldown_cmark::{Options, Parser, html::push_html};

use super::frame::Frame;
use super::menu::Link;
use super::message::{Message, html};
use super::search::fits;
use super::site::Site;
use super::visitor::Visitor;
use super::whereabouts::Whereabouts;

/// Where it is.
pub(super) const HELP: &str = "/help";

/// A page of the manual.
struct Page {
    slug: &'static str,
    /// Its first line without the sign of a heading.
    text: &'static str,
    /// Pages that it explains: what their paths begin with.
    explains: &'static [&'static str],
}

macro_rules! page {
    ($slug:literal, $explains:expr) => {
        Page {
            slug: $slug,
            text: include_str!(concat!("../../web/help/", $slug, ".md")),
            explains: $explains,
        }
    };
}

static PAGES: &[Page] = &[
    page!("first-setup", &["/wizard", "/system/users", "/system/general"]),
    page!("zones", &["/interfaces", "/interface-groups"]),
    page!(
        "rules-and-nat",
        &["/firewall/rules", "/firewall/nat", "/firewall/aliases", "/firewall/schedules", "/status/drops"]
    ),
    page!("changes", &["/changes", "/diagnostics/config-history"]),
    page!(
        "diagnostics",
        &[
            "/diagnostics/states",
            "/diagnostics/states-summary",
            "/diagnostics/why",
            "/diagnostics/explain",
            "/diagnostics/arp",
            "/diagnostics/ndp",
            "/diagnostics/routes",
            "/diagnostics/tables",
            "/diagnostics/capture",
            "/diagnostics/ping",
            "/diagnostics/traceroute",
            "/diagnostics/dns",
            "/diagnostics/test-port",
            "/diagnostics/restart",
            "/diagnostics/support",
            "/firewall/easy-rule",
        ]
    ),
    page!("pair", &["/system/high-availability", "/system/pair", "/status/carp", "/firewall/virtual-ips"]),
    page!("drills", &[]),
    page!("upgrade", &["/status/carp/upgrade"]),
    page!("from-pfsense", &["/diagnostics/import"]),
    page!(
        "watching",
        &[
            "/status/log",
            "/status/services",
            "/status/traffic",
            "/status/gateways",
            "/status/system-log",
            "/system/notifications",
        ]
    ),
    page!("recovery", &["/diagnostics/backup", "/diagnostics/factory-defaults"]),
];

impl Page {
    fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ")
    }

    fn path(&self) -> String {
        format!("{HELP}/{}", self.slug)
    }
}

/// The list of pages, or one.
#[derive(Template)]
#[template(path = "help.html")]
struct Manual {
    frame: Frame,
    pages: Vec<Link>,
    /// Its text, as HTML of our own making.
    text: String,
}

impl Manual {
    async fn new(site: &Site, visitor: &Visitor, title: &str, path: &str, text: String) -> Manual {
        let link = |page: &Page| Link {
            label: page.title().to_owned(),
            path: page.path(),
            current: page.path() == path,
        };
        let frame = Frame::new(site, visitor, title, path).await;
        Manual { frame, pages: PAGES.iter().map(link).collect(), text }
    }
}

/// `GET /help`
pub(super) async fn index(State(site): State<Site>, visitor: Visitor) -> Response {
    html(&Manual::new(&site, &visitor, "Manual", HELP, String::new()).await)
}

/// `GET /help/{page}`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor, Path(slug): Path<String>) -> Response {
    let Some(page) = PAGES.iter().find(|page| page.slug == slug) else {
        return Message::missing("The manual has no such page.").into_response();
    };
    html(&Manual::new(&site, &visitor, page.title(), &page.path(), rendered(page.text)).await)
}

/// Markdown as HTML.
fn rendered(text: &str) -> String {
    let mut html = String::with_capacity(text.len() * 2);
    push_html(&mut html, Parser::new_ext(text, Options::ENABLE_TABLES));
    html
}

/// The page of the manual that explains the page at a path.
pub(super) fn about(path: &str) -> Option<Link> {
    let explains = |page: &&Page| {
        page.explains.iter().any(|prefix| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let page = PAGES.iter().find(explains)?;
    Some(Link { label: format!("Manual: {}", page.title()), path: page.path(), current: false })
}

/// Pages in which the words stand.
pub(super) fn search(words: &[String]) -> impl Iterator<Item = Whereabouts> {
    PAGES.iter().filter(move |page| fits(words, page.text)).map(|page| Whereabouts {
        words: page.title().to_owned(),
        about: String::new(),
        path: page.path(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_links_to_pages_that_exist() {
        let routes = crate::web::routes::all();
        for page in PAGES {
            assert!(page.text.starts_with("# "), "{}", page.slug);
            let html = rendered(page.text);
            for link in html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let known = routes.iter().any(|route| route.path == link)
                    || PAGES.iter().any(|page| page.path() == link);
                assert!(known, "{}: {link}", page.slug);
            }
            for prefix in page.explains {
                let known = routes.iter().any(|route| route.path.starts_with(prefix));
                assert!(known, "{}: {prefix}", page.slug);
            }
        }
        assert_eq!(about("/firewall/rules/edit/7").unwrap().path, "/help/rules-and-nat");
        assert!(about("/").is_none() && about("/interfacesx").is_none());
    }
}
