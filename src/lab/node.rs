//! A node of the lab: a Koi in processes of its own, as an operator would start it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::build;
use super::claim::Claim;
use crate::config::{self, Config};
use crate::io::arrivals::Arrivals;
use crate::io::control_client::Client;
use crate::io::process::{self, Identity};
use crate::io::request::{FlowFilter, Request, Response};
use crate::node::snapshot::{DropRow, FlowRow, Snapshot};
use crate::web;

/// This program, also when its file has been replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";
/// What the node logs when it serves.
const READY: &str = "the router is ready";
/// How long a node may take to end.
const GRACE: Duration = Duration::from_secs(6);

/// What happens to a node.
#[derive(Debug)]
pub enum Event {
    /// It serves (again).
    Ready,
    /// It has ended.
    Ended(String),
    /// Somebody wants the lab to end.
    Interrupted,
}

/// A node that runs; it ends with this value.
pub struct RunningNode {
    /// Its name.
    pub name: String,
    /// The status page for this machine.
    pub page: SocketAddr,
    child: Child,
    identity: Identity,
    control: PathBuf,
    state: PathBuf,
    log: PathBuf,
}

impl RunningNode {
    /// Starts it. Its events go to `events`, what it logs to a file in the lab's directory.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, text: &str, claim: &mut Claim, events: Sender<Event>) -> anyhow::Result<Self> {
        let path = |extension: &str| claim.directory.join(format!("{name}.{extension}"));
        let (config_path, control, log) = (path("toml"), path("sock"), path("log"));
        let state = claim.directory.join(name);
        let mut document = config::parse(text)
            .map_err(|problems| anyhow::anyhow!("the lab's configuration: {problems:?}"))?;
        let node = document.nodes.iter_mut().find(|node| node.name == name);
        let node = node.with_context(|| format!("the lab's configuration has no node {name}"))?;
        let page = free_address(node.loopback)?;
        node.loopback = Some(page);
        fs::write(&config_path, document.to_toml())?;
        plug_in_when_they_come(&document, name)?;
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--node", name, "--config"]).arg(&config_path);
        command.arg("--state").arg(&state).arg("--control").arg(&control);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = process::spawn_bound(&mut command).context("the node cannot be started")?;
        let identity = Identity::of(child.id()).context("the node ended at once")?;
        if let Some(stderr) = child.stderr.take() {
            let file = File::create(&log)?;
            let name = name.to_owned();
            let copy = move || copy_log(stderr, &file, &name, &events);
            thread::Builder::new().name("log".into()).spawn(copy)?;
        }
        claim.note(identity)?;
        Ok(RunningNode { name: name.to_owned(), page, child, identity, control, state, log })
    }

    /// The password of the status page.
    ///
    /// # Errors
    /// When the node has not made one.
    pub fn password(&self) -> anyhow::Result<web::Password> {
        let path = self.state.join(web::PASSWORD);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        web::Password::from_stored(&text).context("the node has no password")
    }

    /// Asks the router.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub fn ask(&self, request: &Request) -> anyhow::Result<Response> {
        match Client::connect(Some(&self.control))?.ask(request)? {
            Response::Failed(why) => bail!(why),
            answer => Ok(answer),
        }
    }

    /// The flows that fit, a few at most.
    ///
    /// # Errors
    /// As [`RunningNode::ask`].
    pub fn flows(&self, filter: FlowFilter) -> anyhow::Result<Vec<FlowRow>> {
        match self.ask(&Request::Flows { filter, limit: 16 })? {
            Response::Flows { rows, .. } => Ok(rows),
            other => bail!("not about flows: {other:?}"),
        }
    }

    /// The recent drops.
    ///
    /// # Errors
    /// As [`RunningNode::ask`].
    pub fn drops(&self) -> anyhow::Result<Vec<DropRow>> {
        match self.ask(&Request::Drops)? {
            Response::Drops(rows) => Ok(rows),
            other => bail!("not about drops: {other:?}"),
        }
    }

    /// Everything but the flows.
    ///
    /// # Errors
    /// As [`RunningNode::ask`].
    pub fn snapshot(&self) -> anyhow::Result<Snapshot> {
        match self.ask(&Request::Snapshot)? {
            Response::Snapshot(snapshot) => Ok(*snapshot),
            other => bail!("not a snapshot: {other:?}"),
        }
    }

    /// Its control socket.
    pub fn control(&self) -> &Path {
        &self.control
    }

    /// The last lines that it has logged.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        if let Err(error) = self.identity.end(GRACE) {
            eprintln!("koi: node {}: {error}", self.name);
        }
        // It has ended, or cannot be ended; waiting takes no time either way unless the kernel still tidies up.
        let _ = self.child.try_wait();
    }
}

/// The address of the status page: the configured one when it is free.
fn free_address(wanted: Option<SocketAddr>) -> anyhow::Result<SocketAddr> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = wanted.map(TcpListener::bind).and_then(Result::ok);
    let listener = match listener {
        Some(listener) => listener,
        None => TcpListener::bind(any).context("the loopback address")?,
    };
    Ok(listener.local_addr()?)
}

/// Whenever a TAP of the node appears in the namespace of a switch, it is plugged in: at the start, and when it was
/// deleted and made again.
fn plug_in_when_they_come(config: &Config, name: &str) -> anyhow::Result<()> {
    let ports = config.nodes.iter().filter(|node| node.name == name).flat_map(|node| &node.ports);
    for port in ports {
        let (Some(netns), Some(tap)) = (port.netns.clone(), port.tap.clone()) else { continue };
        let mut arrivals = Arrivals::watch(Some(&netns), &tap)?;
        let plug = move || {
            while arrivals.next_device().is_ok() {
                if let Err(error) = build::plug_into_switch(&netns, &tap) {
                    eprintln!("koi: {error:#}");
                }
            }
        };
        thread::Builder::new().name("patch".into()).spawn(plug)?;
    }
    Ok(())
}

fn copy_log(stderr: ChildStderr, mut log: &File, name: &str, events: &Sender<Event>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        // The log is for people; when it cannot be written, the lab goes on.
        let _ = writeln!(log, "{line}");
        if line.contains(READY) {
            let _ = events.send(Event::Ready);
        }
    }
    let _ = events.send(Event::Ended(name.to_owned()));
}
