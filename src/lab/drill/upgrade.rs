//! The upgrade that the lab drills: its own program, signed by its own key as a newer release.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::io::request::{Request, Response};
use crate::lab::claim::Claim;
use crate::lab::keys;
use crate::lab::nodes::Nodes;
use crate::types::ReleaseVersion;
use crate::wire::pair::Version;

/// This program, also when its file has been replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";

/// Upgrades both nodes, asked for at one of them; returns when that is done.
///
/// # Errors
/// When it stops on the way: with what it said.
pub fn run(nodes: &Nodes, asked: usize, claim: &Claim) -> anyhow::Result<()> {
    let node = nodes.all.get(asked).context("there is no such node")?;
    let Response::Status(status) = node.ask(&Request::Status)? else { bail!("no status") };
    let version = ReleaseVersion { patch: status.program.version.patch + 1, ..status.program.version };
    let program = fs::read(PROGRAM).context("this program")?;
    let signed = keys::signing(&claim.directory)?.sign(&program, version, Version::NEWEST);
    let signed = signed.map_err(|why| anyhow::anyhow!("this program: {why}"))?;
    let file = claim.directory.join("release.signed");
    fs::write(&file, signed).with_context(|| file.display().to_string())?;
    let mut command = Command::new(PROGRAM);
    command.args(["pair", "upgrade", "--binary"]).arg(&file).arg("--control").arg(node.control());
    let output = command.stdin(Stdio::null()).output().context("koi pair upgrade")?;
    if !output.status.success() {
        let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("koi pair upgrade to {version}: {}{}", said, why.trim());
    }
    Ok(())
}
