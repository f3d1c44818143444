//! Copies of what is ticked, on another tab.

use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::collection::{Collection, next_id};
use super::edit::Rejected;
use super::form::tree;
use super::listing::{Done, change_list};
use super::message::Message;
use super::site::Site;
use super::visitor::{Posted, Visitor};

/// `POST slug/bulk` with `do=copy`: copies come behind what is there, in the same order.
pub(super) async fn copy(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    posted: Posted,
    keys: Vec<String>,
) -> Response {
    let (to, follow) = (posted.get("onto").unwrap_or_default().to_owned(), posted.get("follow").is_some());
    let Some(tabs) = &collection.by else {
        return Message::missing("This list has no tabs.").into_response();
    };
    let done = Done { verb: "copied", words: format!("{} to {to}", keys.join(", ")), tab: to.clone() };
    let action = move |tree: &mut Value| {
        if !(tabs.targets)(tree).contains(&to) {
            return Err(Rejected::Gone);
        }
        let found: Option<Vec<usize>> = keys.iter().map(|key| collection.find(tree, key)).collect();
        let mut indexes = found.ok_or(Rejected::Gone)?;
        indexes.sort_unstable();
        indexes.dedup();
        for index in indexes {
            let entry = tree::list(tree, collection.list).get(index).ok_or(Rejected::Gone)?;
            let mut copy = (tabs.copy)(tree, entry, &to, follow).map_err(Rejected::Failed)?;
            tree::set(&mut copy, "id", Some(next_id(tree).into()));
            tree::list_mut(tree, collection.list).ok_or(Rejected::Gone)?.push(copy);
        }
        Ok(())
    };
    change_list(collection, site, visitor, posted, done, action).await
}
