//! Changes of both nodes at once: a large configuration comes into force and goes again, keys are renewed.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::config::{self, Config, life::Author};
use crate::io::clock;
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Confirmation, Version};
use crate::io::request::{Request, Response};
use crate::lab::interruption;
use crate::lab::node::RunningNode;
use crate::lab::nodes::Nodes;
use crate::types::RuleId;

/// This program, also when its file has been replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";
/// The identities of the rules that are added begin here.
const FIRST: u32 = 5_000_000;
/// Both nodes have it within this.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// A configuration with so many rules in all comes into force on both nodes. None of those that are added fits the
/// lab's traffic.
///
/// # Errors
/// When one of the nodes does not take it.
pub fn fill_up(nodes: &Nodes, total: usize) -> anyhow::Result<()> {
    let (mut text, base) = running(leader(nodes)?)?;
    for number in 0..total.saturating_sub(read(&text)?.rules.len()) {
        let id = FIRST + number as u32;
        let [high, low] = [number / 250, number % 250 + 1];
        text += &format!(
            "\n[[rule]]\nid = {id}\ninterface = \"lan\"\naction = \"block\"\nprotocol = \"tcp\"\n\
             source = \"172.16.{high}.{low}\"\ndestination_port = \"{}\"\n",
            1000 + number
        );
    }
    apply(nodes, text, base)
}

/// A configuration without those rules comes into force on both nodes.
///
/// # Errors
/// When one of the nodes does not take it.
pub fn take_back(nodes: &Nodes) -> anyhow::Result<()> {
    let (text, base) = running(leader(nodes)?)?;
    let mut config = read(&text)?;
    config.rules.retain(|rule| rule.id < RuleId(FIRST));
    apply(nodes, config.to_toml(), base)
}

/// Both nodes get new keys, asked for at one of them.
///
/// # Errors
/// With what `koi pair rotate` said.
pub fn rotate(nodes: &Nodes, asked: usize) -> anyhow::Result<()> {
    let node = nodes.all.get(asked).context("there is no such node")?;
    let mut command = Command::new(PROGRAM);
    command.args(["pair", "rotate", "--control"]).arg(node.control()).stdin(Stdio::null());
    let output = command.output().context("koi pair rotate")?;
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "koi pair rotate: {said}{}", why.trim());
    Ok(())
}

fn read(text: &str) -> anyhow::Result<Config> {
    config::parse(text).map_err(|problems| anyhow::anyhow!("the document in force: {problems:?}"))
}

fn leader(nodes: &Nodes) -> anyhow::Result<&RunningNode> {
    let leads = |node: &&RunningNode| node.word().is_ok_and(|word| word.role == "active");
    nodes.all.iter().find(leads).context("no node is active")
}

fn running(node: &RunningNode) -> anyhow::Result<(String, (u64, String))> {
    match ask(node, ConfigRequest::Show { version: Version::Running, secrets: true })? {
        ConfigAnswer::Text { text, base } => Ok((text, base)),
        other => bail!("not a text: {other:?}"),
    }
}

fn apply(nodes: &Nodes, text: String, base: (u64, String)) -> anyhow::Result<()> {
    let author = Author { who: "the lab".into(), from: "cli".into() };
    let node = leader(nodes)?;
    match ask(node, ConfigRequest::Save { text, base: Some(base), author: author.clone() })? {
        ConfigAnswer::Difference { problems, .. } if problems.is_empty() => {}
        ConfigAnswer::Difference { problems, .. } => bail!("the rules are refused: {}", problems.join("; ")),
        ConfigAnswer::Stale { .. } => bail!("somebody else has changed the configuration"),
        other => bail!("not a difference: {other:?}"),
    }
    let apply = ConfigRequest::Apply {
        version: Version::Candidate,
        confirmation: Confirmation::Never,
        why: "a drill".into(),
        author,
    };
    let ConfigAnswer::Applied { hash, .. } = ask(node, apply)? else { bail!("the rules do not apply") };
    let limit = clock::now() + PATIENCE;
    while !nodes.all.iter().all(|node| has(node, &hash)) {
        ensure!(clock::now() < limit, "the nodes do not have the same configuration");
        interruption::wait_until(clock::now() + LOOK)?;
    }
    Ok(())
}

fn has(node: &RunningNode, hash: &str) -> bool {
    matches!(node.ask(&Request::Status), Ok(Response::Status(status)) if status.config_hash == hash)
}

fn ask(node: &RunningNode, request: ConfigRequest) -> anyhow::Result<ConfigAnswer> {
    match node.ask(&Request::Config(Box::new(request)))? {
        Response::Config(answer) => Ok(*answer),
        other => bail!("not about the configuration: {other:?}"),
    }
}
