//! Drills: something is done to a node while much traffic goes through the pair, and what that does is measured.
//!
//! Invariant: every figure comes from a receiver on a host or from what was seen at a switch, never from what a node
//! says of itself; and before each fault, the same is measured while nothing happens.

mod background;
mod bulk;
mod change;
mod fault;
mod figures;
mod machine;
mod mastership;
mod ping;
mod promise;
mod questions;
mod readiness;
mod report;
mod sessions;
mod sighting;
mod stream;
mod traffic;
mod trial;
mod upgrade;
mod watch;
mod whereabouts;
mod worker;

use std::io::Write;
use std::net::IpAddr;

use anyhow::Context;

use super::claim::Claim;
use super::network::Network;
use super::nodes::Nodes;
use crate::io::process;
pub use fault::Drill;
use fault::Scene;
pub use machine::Machine;
pub use report::Summary;
pub use traffic::Load;
use traffic::Traffic;
use trial::Trial;
use watch::Watch;

/// So many trials, and as many again as are wanted, may say nothing because the machine stood still; after that they
/// count, whatever the machine did.
const VOID: usize = 2;

/// Which drills, how often, and with how much traffic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// In this order.
    pub drills: Vec<Drill>,
    /// Each so often.
    pub trials: usize,
    /// What goes through meanwhile.
    pub load: Load,
}

/// Runs the drills of a plan, one after the other, under the same traffic; `check` is called between two trials and
/// says whether to go on.
///
/// # Errors
/// When somebody wants the lab to end, or a node ends by itself. A promise that is not kept and a trial that cannot be
/// ended are no errors; after the latter there are no further drills.
pub fn run(
    plan: &Plan,
    (network, nodes, claim): (&Network, &mut Nodes, &mut Claim),
    out: &mut dyn Write,
    check: &mut dyn FnMut(&Nodes) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Summary>> {
    process::as_many_descriptors_as_permitted().context("descriptors")?;
    let Load { sessions, flows, rate } = plan.load;
    writeln!(
        out,
        "\nTraffic: 4 streams (up to {rate} messages a second), {sessions} TCP sessions, {flows} UDP flows, 1,000 new ones a second, a bulk transfer, pings"
    )?;
    out.flush()?;
    let mut traffic = None;
    let mut summaries = Vec::new();
    for &drill in &plan.drills {
        writeln!(out, "\nDrill {}", drill.name())?;
        let (mut trials, mut void) = (Vec::new(), 0);
        let mut failed = None;
        while trials.len() < plan.trials && failed.is_none() {
            check(nodes)?;
            let (nodes, claim) = (&mut *nodes, &mut *claim);
            let scene = Scene { network, nodes, claim, victim: 0, hogs: Vec::new() };
            match try_once(drill, plan.load, scene, traffic.take()) {
                Ok((trial, present)) => {
                    report::line(out, trials.len() + 1, &trial)?;
                    // What one trial has destroyed is no loss of the next one.
                    traffic = Some(present).filter(|_| trial.is_whole(plan.load));
                    if promise::is_void(drill, plan.load, &trial) && void < VOID + plan.trials {
                        report::void(out, &trial)?;
                        void += 1;
                    } else {
                        trials.push(trial);
                    }
                }
                Err(error) => failed = Some(format!("trial {}: {error:#}", trials.len() + 1)),
            }
        }
        let over = failed.is_some();
        let summary = Summary::of(drill, plan.load, &trials, void, failed);
        summary.tell(out)?;
        summaries.push(summary);
        if over {
            // Who knows what the next drill would begin with.
            break;
        }
    }
    Ok(summaries)
}

/// One trial, with the traffic that there is or new one.
fn try_once(
    drill: Drill,
    load: Load,
    mut scene: Scene<'_>,
    traffic: Option<Traffic>,
) -> anyhow::Result<(Trial, Traffic)> {
    let traffic = match traffic {
        Some(traffic) => traffic,
        None => {
            readiness::wait(scene.nodes, None)?;
            let config = &scene.nodes.document.config;
            let watch = Watch::start(scene.network, config, &virtual_ips(scene.nodes))?;
            Traffic::start(scene.network, watch, load)?
        }
    };
    let trial = trial::run(drill, &mut scene, &traffic)?;
    Ok((trial, traffic))
}

/// The addresses that belong to whoever leads; the nodes' own where there are no others.
fn virtual_ips(nodes: &Nodes) -> Vec<IpAddr> {
    let table: toml::Table = nodes.document.text.parse().unwrap_or_default();
    let sections = table.get("virtual_ip").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let addresses = sections.iter().filter_map(|section| section.get("addresses")?.as_array());
    let texts = addresses.flatten().filter_map(toml::Value::as_str);
    texts.filter_map(|text| text.split('/').next()?.parse().ok()).collect()
}
