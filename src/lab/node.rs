//! A node of the lab: a Koi in processes of its own, as an operator would start it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::claim::Claim;
use super::document::{self, Document};
use super::word::Word;
use crate::io::child::SPEAKS_VARIABLE;
use crate::io::control_client::Client;
use crate::io::process::{self, Blow, Identity, Target};
use crate::io::request::{FlowFilter, Request, Response};
use crate::node::snapshot::{DropRow, FlowRow, Snapshot};
use crate::web;
use crate::wire::pair::Version;

/// This program, also when its file has been replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";
/// Lines of a node's log that explain a trial.
const STORY: usize = 60;
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
    Ended(Identity),
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
    /// Something was done to it that it need not survive.
    struck: bool,
    control: PathBuf,
    state: PathBuf,
    log: PathBuf,
}

impl RunningNode {
    /// Starts the node at this place in the document. Its events go to `events`, what it logs to a file in the lab's
    /// directory.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        document: &Document,
        index: usize,
        claim: &mut Claim,
        events: Sender<Event>,
    ) -> anyhow::Result<Self> {
        let node = document.config.nodes.get(index).context("the document has no such node")?;
        let page = *document.pages.get(index).context("the node has no page")?;
        let name = node.name.clone();
        let path = |extension: &str| claim.directory.join(format!("{name}.{extension}"));
        let (config_path, control, log) = (path("toml"), path("sock"), path("log"));
        let state = document::state(&claim.directory, &name);
        fs::write(&config_path, &document.text)?;
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--node", &name, "--config"]).arg(&config_path);
        command.arg("--state").arg(&state).arg("--control").arg(&control);
        if document.old.as_ref() == Some(&name) {
            command.env(SPEAKS_VARIABLE, Version::OLDEST.to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = process::spawn_bound(&mut command).context("the node cannot be started")?;
        let identity = Identity::of(child.id()).context("the node ended at once")?;
        if let Some(stderr) = child.stderr.take() {
            let file = File::options().create(true).append(true).open(&log)?;
            let copy = move || copy_log(stderr, &file, identity, &events);
            thread::Builder::new().name("log".into()).spawn(copy)?;
        }
        claim.note(identity)?;
        Ok(RunningNode { name, page, child, identity, struck: false, control, state, log })
    }

    /// The processes of the node, held so that they can be hit at once: its parent first, then what that has started.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn targets(&self) -> io::Result<Vec<Target>> {
        let all = std::iter::once(self.identity).chain(self.identity.children());
        all.filter_map(|process| process.aim().transpose()).collect()
    }

    /// KiB of memory that its router has.
    pub fn resident_kib(&self) -> Option<u64> {
        self.identity.children().into_iter().find_map(Identity::resident_kib)
    }

    /// From now on nobody is surprised when it ends.
    pub fn expect_its_end(&mut self) {
        self.struck = true;
    }

    /// True when `process` is the one that should be running.
    pub fn should_run_as(&self, process: Identity) -> bool {
        self.identity == process && !self.struck
    }

    /// What `koi show pair --json` says.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn word(&self) -> anyhow::Result<Word> {
        let mut command = Command::new(PROGRAM);
        command.args(["show", "pair", "--json", "--control"]).arg(&self.control).stdin(Stdio::null());
        let output = command.output().context("koi show pair")?;
        if !output.status.success() {
            bail!("koi show pair: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Word::read(&serde_json::from_slice(&output.stdout)?))
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
        match self.ask(&Request::Flows { filter, limit: 16, after: None })? {
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

    /// How many lines it has logged so far.
    pub fn log_lines(&self) -> usize {
        fs::read_to_string(&self.log).map_or(0, |text| text.lines().count())
    }

    /// What it has logged after so many lines, at most [`STORY`] of them, the first ones.
    pub fn logged_after(&self, lines: usize) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().skip(lines).take(STORY).map(|line| format!("{}: {line}", self.name)).collect()
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
        // A process that stands still hears nothing.
        for target in self.targets().unwrap_or_default() {
            let _ = target.hit(Blow::Go);
        }
        if let Err(error) = self.identity.end(GRACE) {
            eprintln!("koi: node {}: {error}", self.name);
        }
        // It has ended, or cannot be ended; waiting takes no time either way unless the kernel still tidies up.
        let _ = self.child.try_wait();
    }
}

fn copy_log(stderr: ChildStderr, mut log: &File, process: Identity, events: &Sender<Event>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        // The log is for people; when it cannot be written, the lab goes on.
        let _ = writeln!(log, "{line}");
        if line.contains(READY) {
            let _ = events.send(Event::Ready);
        }
    }
    let _ = events.send(Event::Ended(process));
}
