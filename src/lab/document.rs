//! The one document of all nodes of the lab: the example, with what only this run of the lab knows.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context;
use toml::{Table, Value};

use super::keys;
use crate::config::{self, Config, defaults};

/// The document, and what the lab wants to know of it.
#[derive(Clone, Debug)]
pub struct Document {
    /// As each node reads it.
    pub text: String,
    /// The same.
    pub config: Config,
    /// Where the status page of each node is.
    pub pages: Vec<SocketAddr>,
    /// The node that speaks as the release before would.
    pub old: Option<String>,
}

/// When the preferred node takes its role again after it has come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preemption {
    /// As the document says.
    AsWritten,
    /// It waits until it is needed: a drill decides itself when something happens.
    Never,
    /// As soon as it has been well for a moment.
    Soon,
}

/// Seconds.
const SOON: i64 = 2;
/// The table is so many times as large as what a drill puts into it, so that timers stay as long as they are with few
/// flows (adaptive ones begin at six tenths).
const ROOM: i64 = 3;

impl Document {
    /// Fills in free loopback addresses for the status pages and, where the nodes are a pair, the public halves of new
    /// keys; the secret halves go into the nodes' state directories, that of the releases' key stays with the lab.
    ///
    /// There will be so many `flows`; where the state limit of the document is for fewer, it is raised.
    ///
    /// # Errors
    /// When the example is no document, or a key cannot be written.
    pub fn prepare(
        example: &str,
        directory: &Path,
        preemption: Preemption,
        flows: usize,
    ) -> anyhow::Result<Document> {
        let mut table: Table = example.parse().context("the lab's configuration")?;
        let system = table.entry("system").or_insert_with(|| Value::Table(Table::new()));
        let system = system.as_table_mut().context("[system] is no section")?;
        let limit = system.get("state_limit").and_then(Value::as_integer);
        let wanted = ROOM * flows as i64;
        if limit.unwrap_or_else(|| defaults::STATE_LIMIT.into()) < wanted {
            system.insert("state_limit".into(), Value::Integer(wanted));
        }
        let pair = table.get_mut("pair").and_then(Value::as_table_mut);
        let paired = pair.is_some();
        if let Some(pair) = pair {
            match preemption {
                Preemption::AsWritten => {}
                Preemption::Never => drop(pair.insert("preempt".into(), Value::Boolean(false))),
                Preemption::Soon => drop(pair.insert("preempt_delay".into(), Value::Integer(SOON))),
            }
        }
        let mut pages = Vec::new();
        let nodes = table.get_mut("node").and_then(Value::as_array_mut).context("there is no node")?;
        // Each listener is kept until all nodes have one, so that no two get the same port.
        let mut kept = Vec::new();
        for node in nodes.iter_mut().filter_map(Value::as_table_mut) {
            let name = node.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let wanted = node.get("loopback").and_then(Value::as_str).and_then(|text| text.parse().ok());
            let listener = free_address(wanted)?;
            let page = listener.local_addr()?;
            kept.push(listener);
            pages.push(page);
            node.insert("loopback".into(), Value::String(page.to_string()));
            if paired {
                let public = keys::make(&state(directory, &name))?;
                node.insert("public_key".into(), Value::String(public));
            }
        }
        if paired {
            let key = Value::String(keys::signing(directory)?.public().to_string());
            let system = table.entry("system").or_insert_with(|| Value::Table(Table::new()));
            let system = system.as_table_mut().context("[system] is no section")?;
            system.insert("release_keys".into(), Value::Array(vec![key]));
        }
        let text = toml::to_string(&table).context("the lab's configuration")?;
        let config = config::parse(&text)
            .map_err(|problems| anyhow::anyhow!("the lab's configuration: {problems:?}"))?;
        Ok(Document { text, config, pages, old: None })
    }
}

/// The state directory of a node.
pub fn state(directory: &Path, node: &str) -> PathBuf {
    directory.join(node)
}

/// A listener on the wanted address when that is free, on another one otherwise.
fn free_address(wanted: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    match wanted.map(TcpListener::bind).and_then(Result::ok) {
        Some(listener) => Ok(listener),
        None => TcpListener::bind(any).context("the loopback address"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CONFIG;
    use super::*;

    #[test]
    fn what_is_filled_in_is_all_that_differs() {
        let directory = std::env::temp_dir().join(format!("koi-test-document-{}", std::process::id()));
        let document = Document::prepare(CONFIG, &directory, Preemption::AsWritten, 10_000).unwrap();
        let example = config::parse(CONFIG).unwrap();
        assert_eq!(document.pages.len(), example.nodes.len());
        assert_eq!(document.config.interfaces, example.interfaces);
        assert_eq!(document.config.rules, example.rules);
        for (node, page) in document.config.nodes.iter().zip(&document.pages) {
            assert_eq!(node.loopback, Some(*page));
        }
        assert_eq!(document.config.system.state_limit, example.system.state_limit);
        let other = Document::prepare(CONFIG, &directory, Preemption::Never, 1_000_000).unwrap();
        assert_eq!(other.config.system.state_limit, 3_000_000);
        assert_eq!(other.text.contains("preempt = false"), CONFIG.contains("[pair]"));
        let _ = std::fs::remove_dir_all(directory);
    }
}
