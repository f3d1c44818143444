//! `ifgroups`: interfaces with rules in common.

use super::super::report::Group;
use super::context::{Context, Key};
use crate::config::defaults::INTERFACE_LIMIT;
use crate::config::model::InterfaceGroup;

pub(super) fn read(ctx: &mut Context<'_>) {
    for (path, element) in ctx.list_up_to(INTERFACE_LIMIT, &["ifgroups"], "ifgroupentry", "interface group") {
        let there = element.text_of("ifname").unwrap_or_default();
        // Names of interfaces and groups are narrow here.
        let fits = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let mut name: String = there.chars().take(31).map(fits).collect();
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            name = format!("g{}", name.chars().take(30).collect::<String>());
        }
        let mut adapted = Vec::new();
        if name != there {
            adapted.push(format!("it is called {name}"));
        }
        let words =
            element.text_of("members").unwrap_or_default().split([' ', ',']).filter(|word| !word.is_empty());
        let mut members = Vec::new();
        for member in words {
            match ctx.interface(member) {
                Some(member) => members.push(member.to_owned()),
                None => adapted.push(format!("without {member}, which is not in force")),
            }
        }
        if members.is_empty() {
            ctx.say(Group::Inactive, "interface group", "none of its interfaces is in force", &path, element);
            continue;
        }
        let description = element.text_of("descr").unwrap_or_default().into();
        ctx.config.interface_groups.push(InterfaceGroup { name: name.clone(), members, description });
        ctx.names.insert(there.to_ascii_lowercase(), name.clone());
        ctx.adopt(Key::Group(name), "interface group", &path, element, &adapted);
    }
}
