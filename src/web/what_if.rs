//! What would become of a packet: under what is in force or the draft, as either node, with gateways down.

use std::sync::Arc;

use super::site::Site;
use crate::conntrack::FlowState;
use crate::node::{Asked, Compiled, Explanation, Offload, explain};
use crate::route::{Reason, Status};

/// Under which circumstances.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct WhatIf {
    /// Under the draft, not under what is in force.
    pub candidate: bool,
    /// This node serves, as when the other one is down; the one that is asked when absent.
    pub node: Option<String>,
    /// These gateways are down.
    pub down: Vec<String>,
}

impl WhatIf {
    /// It asks about things as they are.
    pub fn is_real(&self) -> bool {
        *self == WhatIf::default()
    }
}

/// What was found out.
pub(super) struct Found {
    pub explanation: Explanation,
    /// The policy that was asked.
    pub compiled: Arc<Compiled>,
    /// The flow that the packet belongs to, when the question is about things as they are.
    pub flow: Option<FlowState>,
}

/// Asks.
///
/// # Errors
/// When the question makes no sense, in words.
pub(super) async fn ask(site: &Site, asked: &Asked, what: &WhatIf) -> Result<Found, String> {
    const BUSY: &str = "the router does not answer";
    let in_force = site.handle.in_force();
    let statuses = site.handle.gateways().await.ok_or(BUSY)?;
    let compiled = policy(site, &in_force, what).await?;
    let names = compiled.config.gateways.iter().map(|gateway| gateway.name.as_str());
    if let Some(unknown) = what.down.iter().find(|name| !names.clone().any(|known| known == *name)) {
        return Err(format!("there is no gateway \"{unknown}\""));
    }
    let known = |name: &str| in_force.config.gateways.iter().position(|gateway| gateway.name == name);
    let status = |name: &str| match what.down.iter().any(|down| down == name) {
        true => Status::Down(Reason::Loss),
        false => known(name).and_then(|at| statuses.get(at)).copied().unwrap_or(Status::Pending),
    };
    let statuses: Vec<Status> = names.map(status).collect();
    let question = asked.question(&compiled)?;
    let flow = match what.is_real() {
        true => site.handle.find(question.key).await.ok_or(BUSY)?,
        false => None,
    };
    Ok(Found { explanation: explain(&compiled, &statuses, &question), compiled, flow })
}

async fn policy(site: &Site, in_force: &Arc<Compiled>, what: &WhatIf) -> Result<Arc<Compiled>, String> {
    let own = &in_force.config.node_part(in_force.node).name;
    let name = what.node.clone().unwrap_or_else(|| own.clone());
    if !what.candidate && name == *own {
        return Ok(Arc::clone(in_force));
    }
    let document = if what.candidate { site.draft().await.document } else { Arc::clone(&in_force.config) };
    let node = document.node(Some(&name)).map_err(|problem| problem.message)?;
    let ports = document.node_part(node).ports.len();
    let conditions = Arc::clone(&in_force.conditions);
    let compile = move || Compiled::under(document, node, 0, vec![Offload::NONE; ports], conditions);
    site.work(compile).await.map(Arc::new).ok_or_else(|| "the policy cannot be compiled".to_owned())
}
