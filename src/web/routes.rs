//! Every path, who may ask for it, and what answers.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};

use super::collection::Collection;
use super::guard::{self, Door, HEALTH, LOGIN, admit};
use super::message::Message;
use super::pages::{COLLECTIONS, SETTINGS};
use super::serve::patience;
use super::settings::Settings;
use super::site::Site;
use super::status::{self, Part};
use super::visitor::{Posted, Right, Visitor};
use super::{api, backup, components, entries, history, journal, login, pending, settings};

/// Bytes of a form.
const FORM: usize = 192 << 10;

/// One way to ask.
pub(super) struct Route {
    pub method: Method,
    pub path: String,
    pub right: Right,
    answer: MethodRouter<Site>,
}

fn looks(path: impl Into<String>, right: Right, answer: MethodRouter<Site>) -> Route {
    Route { method: Method::GET, path: path.into(), right, answer }
}

fn changes(path: impl Into<String>, right: Right, answer: MethodRouter<Site>) -> Route {
    Route { method: Method::POST, path: path.into(), right, answer }
}

/// Every one.
pub(super) fn all() -> Vec<Route> {
    use Right::{Administer, Anyone, Look, Operate};
    let mut routes = vec![
        looks(HEALTH, Anyone, get(async || "ok\n")),
        looks("/style.css", Anyone, get(style)),
        looks(LOGIN, Anyone, get(login::show)),
        changes(LOGIN, Anyone, post(login::log_in)),
        changes("/logout", Look, post(login::log_out)),
        changes("/theme", Look, post(login::set_theme)),
        looks("/status.json", Look, get(status::status_json)),
        looks(journal::AUDIT, Administer, get(journal::show)),
        looks(components::COMPONENTS, Look, get(components::show)),
        looks(pending::PENDING, Look, get(pending::show)),
        changes("/changes/apply", Operate, post(pending::apply)),
        changes("/changes/confirm", Operate, post(pending::confirm)),
        changes("/changes/discard", Operate, post(pending::discard)),
        looks(history::HISTORY, Look, get(history::show)),
        looks("/diagnostics/config-history/{key}", Look, get(history::compare)),
        changes("/diagnostics/config-history/{key}", Administer, post(history::restore)),
        looks(backup::BACKUP, Administer, get(backup::show)),
        changes(backup::BACKUP, Administer, post(backup::upload)),
        looks("/diagnostics/backup/koi.toml", Administer, get(backup::download)),
    ];
    routes.extend(Part::ALL.map(|part| {
        let answer = move |State(site): State<Site>, visitor: Visitor, Query(wanted)| {
            status::show(part, site, visitor, wanted)
        };
        looks(part.about().1, Look, get(answer))
    }));
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
        entries::show(table, site, visitor, wanted)
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
    let delete = move |State(site): State<Site>, visitor: Visitor, Path(key), posted: Posted| {
        entries::delete(table, site, visitor, key, posted)
    };
    let mut routes = vec![
        looks(table.slug, look, get(list)),
        looks(at("new"), change, get(add)),
        changes(at("new"), change, post(make)),
        looks(at("edit/{key}"), look, get(edit)),
        changes(at("edit/{key}"), change, post(save)),
        changes(at("delete/{key}"), change, post(delete)),
    ];
    if table.toggles() {
        let toggle = move |State(site): State<Site>, visitor: Visitor, Path(key), posted: Posted| {
            entries::toggle(table, site, visitor, key, posted)
        };
        routes.push(changes(at("toggle/{key}"), change, post(toggle)));
    }
    if table.ordered {
        let shift = move |State(site): State<Site>, visitor: Visitor, Path(key), posted: Posted| {
            entries::shift(table, site, visitor, key, posted)
        };
        routes.push(changes(at("move/{key}"), change, post(shift)));
    }
    routes
}

/// The router of requests: each route behind its door, all behind the guard.
pub(super) fn router(site: Site) -> Router {
    let mut router = Router::new();
    for Route { method, path, right, answer } in all() {
        let door = Door { site: site.clone(), right, writes: method != Method::GET };
        router = router.route(&path, answer.route_layer(from_fn_with_state(door, admit)));
    }
    router
        .nest(api::BASE, api::router(&site))
        .fallback(async || Message::missing("There is no such page.").into_response())
        .layer(DefaultBodyLimit::max(FORM))
        .layer(from_fn(patience))
        .layer(from_fn_with_state(site.clone(), guard::guard))
        .with_state(site)
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../web/style.css"))
}
