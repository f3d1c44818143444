//! A document for somebody who helps and need not know its secrets.

use toml_edit::{DocumentMut, Item, TableLike};

use super::Config;
use super::diff::is_secret;

/// What stands in front.
const HEAD: &str = "# For support: passwords and hashes of passwords are left out, and so are comments.\n\n";

impl Config {
    /// The document as TOML without its secrets and without comments, in which people write what they like.
    pub fn to_support_text(&self) -> String {
        let text = self.to_toml();
        let Ok(mut document) = text.parse::<DocumentMut>() else { return String::new() };
        omit(document.as_table_mut());
        format!("{HEAD}{document}")
    }
}

fn omit(section: &mut dyn TableLike) {
    let keys: Vec<String> = section.iter().map(|(key, _)| key.to_owned()).collect();
    for key in keys {
        if is_secret(&key) {
            section.remove(&key);
        } else if let Some(item) = section.get_mut(&key) {
            omit_in(item);
        }
    }
}

fn omit_in(item: &mut Item) {
    if let Some(list) = item.as_array_of_tables_mut() {
        list.iter_mut().for_each(|section| omit(section));
    } else if let Some(section) = item.as_table_like_mut() {
        omit(section);
    } else if let Some(list) = item.as_array_mut() {
        list.iter_mut().filter_map(|value| value.as_inline_table_mut()).for_each(|section| omit(section));
    }
}

#[cfg(test)]
mod tests {
    use crate::config::model::{Secret, User, UserRole};
    use crate::config::parse;

    #[test]
    fn nothing_secret_is_left_and_everything_else_is() {
        let mut config = parse(include_str!("../../configs/pair.toml")).unwrap();
        config.virtual_ips.iter_mut().for_each(|vip| vip.password = Secret::new("hidden-from-all"));
        config.users.push(User {
            name: "ada".into(),
            role: UserRole::Operator,
            password_hash: Secret::new("hidden-from-all"),
            totp_secret: None,
            disabled: false,
            description: "Night shift".into(),
        });
        let text = config.to_support_text();
        assert!(
            !text.contains("hidden") && !text.contains("password ") && !text.contains("password_hash"),
            "{text}"
        );
        assert!(
            text.contains("vhid = ") && text.contains("Night shift") && text.starts_with("# For support")
        );
        assert_eq!(text.matches("[[").count(), config.to_toml().matches("[[").count());
    }
}
