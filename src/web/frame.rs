//! What stands around every page: the menu, who is logged in, what has been changed, how the pair is.

use askama::Template;

use super::edit::Draft;
use super::fragment::Banner;
use super::help;
use super::menu::{Link, Menu, menu};
use super::session::Theme;
use super::site::Site;
use super::visitor::{Right, Visitor};
use crate::config::model::UserRole;

/// What stands around a page.
pub(super) struct Frame {
    pub title: String,
    /// Where this page is.
    pub path: String,
    pub hostname: String,
    pub node: String,
    pub menus: Vec<Menu>,
    /// Pages beside this one.
    pub tabs: Vec<Link>,
    pub user: String,
    pub role: &'static str,
    pub token: String,
    pub theme: Theme,
    /// The draft, and whether this visitor may put it in force.
    pub changes: usize,
    pub edition: String,
    pub trial: Option<u32>,
    pub may_apply: bool,
    pub may_administer: bool,
    /// Nobody has set a password yet.
    pub first: bool,
    /// What nobody may overlook.
    pub banner: String,
    /// The page of the manual about this one.
    pub help: Option<Link>,
}

impl Frame {
    /// Around a page of this name at this path.
    pub async fn new(site: &Site, visitor: &Visitor, title: impl Into<String>, path: &str) -> Frame {
        Frame::around(site, visitor, title, path, &site.draft().await).await
    }

    /// The same, for a page that has looked at the draft.
    pub async fn around(
        site: &Site,
        visitor: &Visitor,
        title: impl Into<String>,
        path: &str,
        draft: &Draft,
    ) -> Frame {
        let banner = Banner::of(site.handle.pair().await.as_ref());
        let in_force = site.handle.in_force();
        let config = &in_force.config;
        Frame {
            title: title.into(),
            path: path.to_owned(),
            hostname: config.system.hostname.clone(),
            node: config.node_part(in_force.node).name.clone(),
            menus: menu(visitor, &draft.document, path),
            tabs: Vec::new(),
            user: visitor.account.name.clone(),
            role: role_name(visitor.account.role),
            token: visitor.token.clone(),
            theme: visitor.theme,
            changes: draft.changes.len(),
            edition: draft.edition.clone(),
            trial: draft.trial,
            may_apply: site.is_editable() && visitor.may(Right::Operate),
            may_administer: site.is_editable() && visitor.may(Right::Administer),
            first: config.users.is_empty(),
            banner: banner.render().unwrap_or_default(),
            help: help::about(path),
        }
    }

    /// With tabs; the one whose path this page's begins with is the present one, the longest when there are several.
    pub fn with_tabs(mut self, tabs: &[(&str, &str)]) -> Frame {
        let leads = |path: &str| self.path == path || self.path.starts_with(&format!("{path}/"));
        let present =
            tabs.iter().map(|(_, path)| *path).filter(|path| leads(path)).max_by_key(|path| path.len());
        let link = |(label, path): &(&str, &str)| Link {
            label: (*label).to_owned(),
            path: (*path).to_owned(),
            current: present == Some(*path),
        };
        self.tabs = tabs.iter().map(link).collect();
        self
    }

    /// For `data-theme`.
    pub fn theme_name(&self) -> &'static str {
        match self.theme {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// As the document writes it.
pub fn role_name(role: UserRole) -> &'static str {
    match role {
        UserRole::ReadOnly => "read-only",
        UserRole::Operator => "operator",
        UserRole::Administrator => "administrator",
    }
}

#[cfg(test)]
impl Frame {
    /// Around a page without a router.
    pub fn example() -> Frame {
        Frame {
            title: "Example".into(),
            path: "/".into(),
            hostname: "gate".into(),
            node: "a<b>".into(),
            menus: Vec::new(),
            tabs: Vec::new(),
            user: "alice".into(),
            role: "operator",
            token: "token".into(),
            theme: Theme::System,
            changes: 0,
            edition: String::new(),
            trial: None,
            may_apply: true,
            may_administer: true,
            first: false,
            banner: String::new(),
            help: None,
        }
    }
}
