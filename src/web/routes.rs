//! Every path, who may ask for it, and what answers.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};

use super::collection::Collection;
use super::guard::{self, Door, HEALTH, LOGIN, admit};
use super::listing::Deed;
use super::message::Message;
use super::pages::{COLLECTIONS, SETTINGS};
use super::serve::patience;
use super::settings::Settings;
use super::site::Site;
use super::status::{self, Part};
use super::visitor::{Posted, Right, Visitor};
use super::{
    all_rules, api, authenticator, backup, carp, certificates, components, dashboard, diagnostics, easy_rule,
    entries, events, factory, help, history, import, journal, listing, log_page, login, pairing, pending,
    rule_report, rule_time, search, services, settings, system_log, token_page, traffic, upgrade, week,
    wizard, zones,
};

/// Bytes of a form.
const FORM: usize = 192 << 10;
/// Bytes of a form with a file.
const UPLOAD: usize = 8 << 20;

/// One way to ask.
pub(super) struct Route {
    pub method: Method,
    pub path: String,
    pub right: Right,
    answer: MethodRouter<Site>,
}

pub(super) fn looks(path: impl Into<String>, right: Right, answer: MethodRouter<Site>) -> Route {
    Route { method: Method::GET, path: path.into(), right, answer }
}

pub(super) fn changes(path: impl Into<String>, right: Right, answer: MethodRouter<Site>) -> Route {
    Route { method: Method::POST, path: path.into(), right, answer }
}

/// Every one.
pub(super) fn all() -> Vec<Route> {
    use Right::{Administer, Anyone, Look, Operate};
    let mut routes = vec![
        looks(HEALTH, Anyone, get(async || "ok\n")),
        looks("/style.css", Anyone, get(style)),
        looks("/koi.js", Anyone, get(script)),
        looks("/live.js", Anyone, get(live)),
        looks("/vendor/uplot.js", Anyone, get(graphs)),
        looks("/vendor/uplot-LICENSE", Anyone, get(graphs_licence)),
        looks("/favicon.svg", Anyone, get(icon)),
        looks(LOGIN, Anyone, get(login::show)),
        changes(LOGIN, Anyone, post(login::log_in)),
        changes("/logout", Look, post(login::log_out)),
        changes("/theme", Look, post(login::set_theme)),
        looks("/status.json", Look, get(status::status_json)),
        looks(events::EVENTS, Look, get(events::show)),
        looks(dashboard::DASHBOARD, Look, get(dashboard::show)),
        changes("/dashboard", Look, post(dashboard::arrange)),
        looks(carp::CARP, Look, get(carp::show)),
        changes("/status/carp/role", Administer, post(carp::act)),
        changes("/status/carp/drill", Administer, post(carp::drill)),
        looks("/status/carp/drill/{key}", Look, get(carp::report)),
        looks(upgrade::UPGRADE, Look, get(upgrade::show)),
        changes(upgrade::UPGRADE, Administer, post(upgrade::start)),
        changes(upgrade::RELEASE, Administer, post(upgrade::upload)),
        looks(traffic::TRAFFIC, Look, get(traffic::show)),
        looks(traffic::HISTORY, Look, get(traffic::history)),
        looks(services::SERVICES, Look, get(services::show)),
        looks(log_page::LOG, Look, get(log_page::show)),
        looks(system_log::SYSTEM_LOG, Administer, get(system_log::show)),
        looks(journal::AUDIT, Administer, get(journal::show)),
        looks(components::COMPONENTS, Look, get(components::show)),
        looks(help::HELP, Look, get(help::index)),
        looks("/help/{key}", Look, get(help::show)),
        looks(all_rules::ALL_RULES, Look, get(all_rules::show)),
        looks(easy_rule::EASY_RULE, Operate, get(easy_rule::show)),
        changes(easy_rule::EASY_RULE, Operate, post(easy_rule::save)),
        looks(rule_report::REPORT, Look, get(rule_report::show)),
        looks(format!("{}/{{key}}", rule_time::TIME), Operate, get(rule_time::show)),
        changes(format!("{}/{{key}}", rule_time::TIME), Operate, post(rule_time::save)),
        looks(format!("{}/{{key}}", week::WEEK), Look, get(week::show)),
        changes(format!("{}/{{key}}", week::WEEK), Operate, post(week::save)),
        looks(zones::ZONES, Look, get(zones::show)),
        looks(search::SEARCH, Look, get(search::show)),
        looks(pending::PENDING, Look, get(pending::show)),
        changes("/changes/apply", Operate, post(pending::apply)),
        changes("/changes/confirm", Operate, post(pending::confirm)),
        changes("/changes/discard", Operate, post(pending::discard)),
        looks(history::HISTORY, Look, get(history::show)),
        looks("/diagnostics/config-history/{key}", Look, get(history::compare)),
        changes("/diagnostics/config-history/{key}", Administer, post(history::restore)),
        changes("/diagnostics/config-history/{key}/label", Administer, post(history::label)),
        looks("/diagnostics/backup/config.xml", Administer, get(backup::download_pfsense)),
        looks(backup::BACKUP, Administer, get(backup::show)),
        changes(backup::BACKUP, Administer, post(backup::upload)),
        looks("/diagnostics/backup/koi.toml", Administer, get(backup::download)),
        looks(import::IMPORT, Administer, get(import::show)),
        changes(import::IMPORT, Administer, post(import::upload)),
        changes("/diagnostics/import/map", Administer, post(import::map)),
        looks(pairing::PAIRING, Look, get(pairing::show)),
        changes("/system/pair/create", Administer, post(pairing::create)),
        changes("/system/pair/offer", Administer, post(pairing::offer)),
        changes("/system/pair/role", Administer, post(pairing::give_role)),
        looks(token_page::TOKENS, Administer, get(token_page::show)),
        changes(token_page::TOKENS, Administer, post(token_page::make)),
        changes("/system/tokens/revoke/{key}", Administer, post(token_page::revoke)),
        looks(authenticator::AUTHENTICATOR, Administer, get(authenticator::show)),
        changes(authenticator::AUTHENTICATOR, Administer, post(authenticator::save)),
        looks(certificates::SELF_SIGNED, Administer, get(certificates::show)),
        changes(certificates::SELF_SIGNED, Administer, post(certificates::make)),
        looks(factory::FACTORY, Administer, get(factory::show)),
        changes(factory::FACTORY, Administer, post(factory::reset)),
        looks(wizard::WIZARD, Administer, get(wizard::begin)),
        looks("/wizard/{key}", Administer, get(wizard::show)),
        changes("/wizard/{key}", Administer, post(wizard::save)),
    ];
    routes.extend(Part::ALL.map(|part| {
        let answer = move |State(site): State<Site>, visitor: Visitor, Query(wanted)| {
            status::show(part, site, visitor, wanted)
        };
        looks(part.about().1, Look, get(answer))
    }));
    routes.extend(diagnostics::routes());
    routes.extend(SETTINGS.iter().copied().flat_map(of_settings));
    routes.extend(COLLECTIONS.iter().copied().flat_map(of_collection));
    routes
}

fn of_settings(table: &'static Settings) -> [Route; 2] {
    let show = move |State(site): State<Site>, visitor: Visitor| settings::show(table, site, visitor);
    let save = move |State(site): State<Site>, visitor: Visitor, posted: Posted| {
        settings::save(table, site, visitor, posted)
    };
    [looks(table.slug, Right::Look, get(show)), changes(table.slug, table.change, post(save))]
}

fn of_collection(table: &'static Collection) -> Vec<Route> {
    let at = |rest: &str| format!("{}/{rest}", table.slug);
    let (look, change) = (table.look, table.change);
    let list = move |State(site): State<Site>, visitor: Visitor, Query(wanted)| {
        listing::show(table, site, visitor, wanted)
    };
    let add = move |State(site): State<Site>, visitor: Visitor, Query(wanted)| {
        entries::add(table, site, visitor, wanted)
    };
    let make = move |State(site): State<Site>, visitor: Visitor, Query(wanted), posted: Posted| {
        entries::make(table, site, visitor, wanted, posted)
    };
    let edit =
        move |State(site): State<Site>, visitor: Visitor, Path(key)| entries::edit(table, site, visitor, key);
    let save = move |State(site): State<Site>, visitor: Visitor, Path(key), posted: Posted| {
        entries::save(table, site, visitor, key, posted)
    };
    let bulk = move |State(site): State<Site>, visitor: Visitor, posted: Posted| {
        listing::bulk(table, site, visitor, posted)
    };
    let mut routes = vec![
        looks(table.slug, look, get(list)),
        looks(at("new"), change, get(add)),
        changes(at("new"), change, post(make)),
        looks(at("edit/{key}"), look, get(edit)),
        changes(at("edit/{key}"), change, post(save)),
        changes(at("bulk"), change, post(bulk)),
    ];
    let deeds = [(Deed::Delete, true), (Deed::Toggle, table.toggles()), (Deed::Move, table.ordered)];
    routes.extend(deeds.into_iter().filter(|(_, has)| *has).map(|(deed, _)| {
        let act = move |State(site): State<Site>, visitor: Visitor, Path(key), posted: Posted| {
            listing::act(table, deed, site, visitor, key, posted)
        };
        changes(at(&format!("{}/{{key}}", deed.words().0)), change, post(act))
    }));
    routes
}

/// The router of requests: each route behind its door, all behind the guard.
pub(super) fn router(site: Site) -> Router {
    let mut router = Router::new();
    for Route { method, path, right, answer } in all() {
        let takes_files = path == upgrade::RELEASE;
        let door = Door { site: site.clone(), right, writes: method != Method::GET, takes_files };
        let most = match path.as_str() {
            import::IMPORT => UPLOAD,
            upgrade::RELEASE => upgrade::FORM,
            _ => FORM,
        };
        let answer = answer.route_layer(from_fn_with_state(door, admit)).layer(DefaultBodyLimit::max(most));
        router = router.route(&path, answer);
    }
    router
        .nest(api::BASE, api::router(&site))
        .merge(api::metrics(&site))
        .fallback(async || Message::missing("There is no such page.").into_response())
        .layer(from_fn(patience))
        .layer(from_fn_with_state(site.clone(), guard::guard))
        .with_state(site)
}

async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../../web/koi.js"))
}

async fn live() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../../web/live.js"))
}

/// uPlot, as it is published (web/vendor/README.md).
async fn graphs() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../../web/vendor/uplot.js"))
}

async fn graphs_licence() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], include_str!("../../web/vendor/uplot-LICENSE"))
}

async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], include_str!("../../web/favicon.svg"))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../web/style.css"))
}
