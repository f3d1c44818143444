//! Documents of older versions of the format in the words of the present one, comments included.
//!
//! Each step is a function from a document of one version to one of the next. A document that is frozen in
//! `tests/schemas` shows for each that it still does what it did.

use std::borrow::Cow;

use toml_edit::{DocumentMut, Table};

use super::defaults::SCHEMA;

/// A document that was of an older version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migrated {
    /// What it says, in the present format.
    pub text: String,
    /// The version that it was of.
    pub from: u32,
    /// What stands elsewhere now, or under another name.
    pub changes: Vec<String>,
}

/// A document of one version becomes one of the next; says what it did.
type Step = fn(&mut Table) -> Vec<String>;

/// The steps, the first from version 0.
static STEPS: [Step; SCHEMA as usize] = [loopback_belongs_to_the_node];

/// The document in the present format; `None` when it is of it already, when it is of a newer one, and when its version
/// cannot be read.
pub fn migrate(text: &str) -> Option<Migrated> {
    let from = version(text).filter(|version| *version < SCHEMA)?;
    let mut document: DocumentMut = text.parse().ok()?;
    let steps = STEPS.iter().skip(usize::try_from(from).ok()?);
    let changes = steps.flat_map(|step| step(document.as_table_mut())).collect();
    if let Some(schema) = document.get_mut("schema").and_then(|item| item.as_value_mut()) {
        let decor = schema.decor().clone();
        *schema = i64::from(SCHEMA).into();
        *schema.decor_mut() = decor;
    }
    Some(Migrated { text: document.to_string(), from, changes })
}

/// The text in the present format, as it is when it is of that already.
pub(super) fn present(text: &str) -> Cow<'_, str> {
    migrate(text).map_or(Cow::Borrowed(text), |migrated| Cow::Owned(migrated.text))
}

/// The version that a text names in front of its first section. Whoever writes it in another way is told so by the reader.
fn version(text: &str) -> Option<u32> {
    let mut lines = text.lines().map(str::trim).take_while(|line| !line.starts_with('['));
    lines.find_map(|line| {
        let rest = line.strip_prefix("schema")?.trim_start().strip_prefix('=')?;
        rest.split('#').next()?.trim().parse().ok()
    })
}

/// From 0: the address of the pages for the person at the machine was one of the system, and two nodes on one machine could
/// not both have it.
fn loopback_belongs_to_the_node(document: &mut Table) -> Vec<String> {
    let web = document.get_mut("system").and_then(|system| system.get_mut("web")?.as_table_like_mut());
    let key = web.as_ref().and_then(|web| web.key("loopback").cloned());
    let Some((key, loopback)) = key.zip(web.and_then(|web| web.remove("loopback"))) else {
        return Vec::new();
    };
    let nodes = document.get_mut("node").and_then(|nodes| nodes.as_array_of_tables_mut());
    for node in
        nodes.into_iter().flat_map(|nodes| nodes.iter_mut()).filter(|node| !node.contains_key("loopback"))
    {
        node.insert_formatted(&key, loopback.clone());
    }
    vec!["system.web.loopback is node.loopback, since each node has its own".into()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{amend, load, parse};

    const FROZEN: &str = include_str!("../../tests/schemas/0.toml");

    #[test]
    fn a_document_of_version_0_is_read_as_it_was_meant() {
        let Migrated { text, from, changes } = migrate(FROZEN).unwrap();
        assert_eq!((from, changes.len()), (0, 1));
        let config = load(&text).unwrap();
        assert_eq!(config.nodes[0].loopback, Some("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(config.schema, SCHEMA);
        // Everything else is as it stands there.
        let mut there =
            parse(&FROZEN.replace("schema = 0", "schema = 1").replace("\nloopback", "\n#")).unwrap();
        there.nodes[0].loopback = config.nodes[0].loopback;
        assert_eq!(*config, there);
        // The remark moves with its line, all others stay where they are.
        assert!(text.contains("a loopback address is allowed.\nloopback = \"127.0.0.1:8080\"\n"), "{text}");
        let remarks = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
        assert_eq!(remarks(&text), remarks(FROZEN));
    }

    #[test]
    fn whoever_reads_an_older_document_need_not_know() {
        assert_eq!(load(FROZEN).unwrap(), load(&migrate(FROZEN).unwrap().text).unwrap());
        let edited = amend::set(FROZEN, "node[alpha].loopback", "127.0.0.1:9090").unwrap();
        assert_eq!(parse(&edited).unwrap().nodes[0].loopback, Some("127.0.0.1:9090".parse().unwrap()));
        assert!(amend::renumber(FROZEN, 8).unwrap().contains("schema = 1 "));
        // Lines of a text that nobody has are not told.
        let problems = load(&FROZEN.replace("zone = \"lan\"", "zone = \"lam\"")).unwrap_err();
        assert_eq!((problems[0].path.as_str(), problems[0].line), ("interface[1].zone", None));
    }

    #[test]
    fn each_node_gets_what_was_one_for_all_and_keeps_its_own() {
        let text = "schema = 0\nrevision = 1\nsystem = { web = { loopback = \"127.0.0.1:80\" } }\n[[node]]\nname = \"a\"\n\
                    [[node]]\nname = \"b\"\nloopback = \"127.0.0.1:81\"\n";
        let text = migrate(text).unwrap().text;
        assert!(text.contains("loopback = \"127.0.0.1:80\"") && text.contains("127.0.0.1:81"), "{text}");
        assert_eq!(text.matches("loopback").count(), 2);
    }

    #[test]
    fn other_texts_are_left_alone() {
        for text in [
            "",
            "schema = 1\n",
            "schema = 2\n",
            "schema = -1\n",
            "schema = x\n",
            "[a]\nschema = 0\n",
            "schema = 0\n[[",
        ] {
            assert_eq!(migrate(text), None, "{text}");
        }
        let newer = load("schema = 2\nnew = true\n").unwrap_err();
        assert_eq!(newer.len(), 1);
        assert!(newer[0].remedy.contains("use the release that wrote it"), "{}", newer[0]);
    }
}
