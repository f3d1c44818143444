//! Who sees and changes which part of the document: as the pages have it.

use super::call::Caller;
use super::problem::{Kind, Outcome, Problem};
use crate::cluster::tokens::Scope;
use crate::config::diff::{Change, Step};
use crate::web::pages::{COLLECTIONS, SETTINGS};
use crate::web::visitor::Right;

/// Who changes what stands at this path, without the names of entries: `node.interface.addresses`.
pub(super) fn right_to_change(path: &str) -> Right {
    // What an interface is on a node belongs to the interface's page.
    let path = path.strip_prefix("node.").filter(|rest| is_within(rest, "interface")).unwrap_or(path);
    let of_list = COLLECTIONS.iter().find(|collection| is_within(path, collection.list));
    let of_form =
        || SETTINGS.iter().find(|form| form.sections.iter().any(|(_, base, _)| is_within(path, base)));
    match of_list {
        Some(collection) => collection.change,
        None => of_form().map_or(Right::Administer, |form| form.change),
    }
}

/// Who sees a section.
pub(super) fn right_to_look(section: &str) -> Right {
    let collection = COLLECTIONS.iter().find(|collection| is_within(section, collection.list));
    collection.map_or(Right::Look, |collection| collection.look)
}

/// True when `path` is `section` or something in it.
fn is_within(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Every change is one that the caller may make.
///
/// # Errors
/// At the first that is not.
pub(super) fn check(caller: &Caller, changes: &[Change]) -> Outcome<()> {
    for change in changes {
        let fields = change.path.iter().filter_map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            Step::Item(_) => None,
        });
        let path = fields.collect::<Vec<_>>().join(".");
        if !caller.may(Scope::Configure, right_to_change(&path)) {
            let detail = format!("The role of the token's user does not allow to change {}.", change.path());
            return Err(Problem::new(Kind::Forbidden, detail).with("path", change.path().into()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_may_what_their_users_may_on_pages() {
        for (path, right) in [
            ("rule", Right::Operate),
            ("rule.log", Right::Operate),
            ("outbound.rule.target", Right::Operate),
            ("outbound.mode", Right::Operate),
            ("interface.mtu", Right::Operate),
            ("node.interface.addresses", Right::Operate),
            ("node.port.tap", Right::Administer),
            ("node.port.nic", Right::Administer),
            ("node.public_key", Right::Administer),
            ("pair.preferred", Right::Administer),
            ("system.hostname", Right::Administer),
            ("system.web.port", Right::Administer),
            ("user.role", Right::Administer),
            ("schema", Right::Administer),
            ("rules", Right::Administer),
        ] {
            assert_eq!(right_to_change(path), right, "{path}");
        }
        assert_eq!((right_to_look("user"), right_to_look("rule")), (Right::Administer, Right::Look));
    }
}
