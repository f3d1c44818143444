//! The parent: the small process that keeps the privileges, and never looks at a packet.
//!
//! It reads and validates the configuration, opens what needs a privilege, starts the router (this same program
//! again) and hands everything over a socket pair. It starts the router again when that dies, reloads the
//! configuration, opens devices again that were gone, and ends cleanly on SIGTERM or SIGINT.
//!
//! Invariant: it trusts nothing that the router says beyond the words that the two have agreed on; a router that breaks their
//! form or does not answer in time is killed and started again.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::backoff::Backoff;
use super::child::Child;
use super::devices::{Changes, Devices};
use super::lists::Copyist;
use super::log_ring::{self, Line};
use super::orders::{Apply, Order, Report, Start};
use super::places::Places;
use super::power::{self, PowerStep};
use super::program::{Programs, ReleaseStep};
use super::request::{Reloaded, Response};
use super::steward;
use super::sys::{self, PollEntry};
use super::upgrader::Upgrader;
use super::{archive::Archive, clock, log, sys_process};
use crate::cluster::agreement::Agreement;
use crate::cluster::release::Trust;
use crate::config::life::Document;
use crate::config::{self, Problem};
use crate::types::{Duration, Instant};

/// The longest configuration file.
const CONFIG_MAX: u64 = 32 << 20;
/// How long a router may take to begin, or to put a configuration in force.
const WORK_LIMIT: Duration = Duration::from_secs(60);
/// How long a router goes on that another program replaces.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a router may take to end.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Reloads that wait for the one under way.
const RELOADS_MAX: usize = 16;
/// Lines that a router hears of its parent's log.
const SAID: usize = 100;
/// The ticket of a reload that a signal asks for; nobody waits for its answer.
pub(super) const NOBODY: u64 = 0;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Which node of it this is; not needed when there is only one.
    pub node: Option<String>,
    /// The state directory, when it is not the usual one.
    pub state: Option<PathBuf>,
    /// The control socket, when it is not the usual one.
    pub control: Option<PathBuf>,
    /// How log lines look.
    pub log_format: log::Format,
}

/// Why Koi does not run.
#[derive(Debug)]
pub enum Failure {
    /// The configuration is wrong: every problem.
    Config(Vec<Problem>),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Other(error)
    }
}

/// Runs a node until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot be started. Once it runs, errors are logged and dealt with.
pub fn run(options: &Options) -> Result<(), Failure> {
    // Before any thread is started, so that no thread takes a signal.
    let signals = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGCHLD];
    let signals = sys_process::signal_descriptor(&signals).context("signals")?;
    let archive = Archive::of(&options.config);
    let life = steward::open(&archive, read_config(&options.config)?).map_err(Failure::Config)?;
    let text = life.main().text.clone();
    let config = config::load(&text).map_err(Failure::Config)?;
    let node = config.node(options.node.as_deref()).map_err(|problem| Failure::Config(vec![problem]))?;
    let name = config.node_part(node).name.clone();
    let places = Places::take(options.state.as_deref(), options.control.as_deref(), &name)?;
    let mut devices = Devices::default();
    let changes = devices.prepare(&config, node).map_err(|problems| anyhow!(problems.join("\n")))?;
    devices.commit(changes);
    let paired = config.peer_of(node).is_some();
    let programs = Programs::find(&places.state, &Trust::of(&config.system));
    let mut parent = Parent {
        agreement: Agreement::new(life, paired, clock::now()),
        archive,
        present: false,
        waiting_for_outcome: None,
        later: None,
        options: options.clone(),
        node: name,
        text,
        places,
        programs,
        switching: false,
        switch_at: None,
        devices,
        copyist: Copyist::default(),
        signals,
        child: None,
        restart_at: Some(clock::now()),
        backoff: Backoff::default(),
        starts: 0,
        told: 0,
        served: false,
        failure: None,
        resignation: Vec::new(),
        pending: None,
        waiting: Vec::new(),
        ending: None,
        upgrader: Upgrader::default(),
    };
    parent.serve()?;
    Ok(())
}

fn read_config(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut text = String::new();
    file.take(CONFIG_MAX + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    if text.len() as u64 > CONFIG_MAX {
        bail!("{} is longer than {CONFIG_MAX} bytes", path.display());
    }
    Ok(text)
}

/// A configuration that the router is putting in force.
pub(super) struct Pending {
    pub ticket: u64,
    /// It is a change that the agreement wants, and no reload.
    pub agreed: bool,
    pub text: String,
    pub hash: String,
    pub changes: Changes,
    pub revision: u64,
    deadline: Instant,
}

pub(super) struct Parent {
    options: Options,
    pub node: String,
    /// The configuration in force.
    pub text: String,
    /// The life of the configuration, with the peer.
    pub agreement: Agreement,
    pub archive: Archive,
    /// The peer can be spoken to.
    pub present: bool,
    /// Who waits for what becomes of the change under way.
    pub waiting_for_outcome: Option<Waiter>,
    /// What the agreement wants in force while something else comes into force.
    pub later: Option<Document>,
    places: Places,
    programs: Programs,
    /// The router ends because another program takes its place.
    switching: bool,
    /// When it is told so; whoever has asked hears first that it was done.
    switch_at: Option<Instant>,
    pub devices: Devices,
    /// The files of aliases.
    copyist: Copyist,
    signals: File,
    pub child: Option<Child>,
    /// When to start a router, while there is none.
    restart_at: Option<Instant>,
    backoff: Backoff,
    starts: u64,
    /// Routers have heard of so many lines of this process's log.
    told: u64,
    /// A router has been ready at least once; from then on every death is followed by a new start.
    served: bool,
    /// What the router said before it died.
    failure: Option<String>,
    /// What is said to the peer when the router dies; see [`Report::Resignation`].
    resignation: Vec<(String, Vec<u8>)>,
    pub pending: Option<Pending>,
    /// Tickets of those who want a reload after the one under way.
    waiting: Vec<u64>,
    /// The clean end has begun: when patience ends.
    ending: Option<Instant>,
    /// Upgrades the pair when the pages ask for it.
    upgrader: Upgrader,
}

/// Who waits for what becomes of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waiter {
    /// Somebody who changes the configuration.
    Change(u64),
    /// Somebody who has edited the file, in a pair.
    Reload(u64),
}

impl Parent {
    fn serve(&mut self) -> anyhow::Result<()> {
        loop {
            self.run_timers()?;
            let (signalled, spoken) = self.wait().context("waiting")?;
            if signalled {
                self.take_signals()?;
                self.upgrader.look();
            }
            if spoken {
                self.listen();
            }
            if let Some((status, started)) = self.child.as_mut().and_then(Child::ended) {
                self.child = None;
                if self.ending.is_none() {
                    self.ended(&status, started)?;
                }
            }
            if self.ending.is_some() && self.child.is_none() {
                tracing::info!("ended");
                return Ok(());
            }
        }
    }

    /// Waits for a signal, a word of the router, or the time of the next timer.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let mut entries = vec![PollEntry::readable(self.signals.as_fd())];
        entries.extend(self.child.as_ref().and_then(Child::channel_fd).map(PollEntry::readable));
        sys::poll(&mut entries, self.next_timer().map(|at| at.since(clock::now())))?;
        Ok((entries[0].ready(), entries.get(1).is_some_and(|entry| entry.ready())))
    }

    fn next_timer(&self) -> Option<Instant> {
        let pending = self.pending.as_ref().map(|pending| pending.deadline);
        let begin = self.child.as_ref().and_then(Child::deadline);
        let agreed = self.next_agreement_timer();
        let release = [self.switch_at, self.programs.deadline()].into_iter().flatten().min();
        let copies = self.copyist.deadline();
        let timers = [self.restart_at, self.ending, pending, begin, release, agreed, copies];
        timers.into_iter().flatten().min()
    }

    fn run_timers(&mut self) -> anyhow::Result<()> {
        let now = clock::now();
        self.run_agreement_timers(now);
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.restart_at) {
            self.restart_at = None;
            self.start(now)?;
        }
        if due(self.copyist.deadline()) {
            self.copyist.copy(now, &self.text, &self.places.state);
        }
        if due(self.switch_at) {
            self.switch();
        }
        if due(self.programs.deadline()) {
            self.go_back("nobody has said that the pair is well with it");
        }
        let late = due(self.child.as_ref().and_then(Child::deadline))
            || due(self.pending.as_ref().map(|pending| pending.deadline))
            || due(self.ending);
        if late && let Some(child) = &mut self.child {
            tracing::error!("the router does not answer in time and is killed");
            child.kill();
            self.lose_pending("the router does not answer");
            self.ending = self.ending.map(|_| now + END_LIMIT);
        }
        Ok(())
    }

    fn start(&mut self, now: Instant) -> anyhow::Result<()> {
        self.devices.look_again();
        self.copyist.copy(now, &self.text, &self.places.state);
        let child = Child::spawn(self.programs.present(), self.options.log_format, now, now + WORK_LIMIT);
        let mut child = match child {
            // A release for another machine, perhaps.
            Err(error) if self.programs.back(&format!("it cannot be started: {error}")) => {
                self.restart_at = Some(now);
                return Ok(());
            }
            child => child.context("the router cannot be started")?,
        };
        let start = Start {
            config: self.text.clone(),
            file: std::path::absolute(&self.options.config).unwrap_or_else(|_| self.options.config.clone()),
            node: self.node.clone(),
            state: self.places.state.clone(),
            account: self.places.account,
            owner: sys_process::effective_user(),
            parent: std::process::id(),
            restarts: self.starts,
            program: self.programs.note(),
            said: self.said(),
            loopback: self.devices.has_loopback(),
            links: self.devices.namespaces(),
            ports: self.devices.notes(),
        };
        let mut descriptors = vec![self.places.listener.as_fd()];
        descriptors.extend(self.devices.descriptors());
        child.order(&Order::Start(Box::new(start)), &descriptors);
        self.starts += 1;
        self.child = Some(child);
        Ok(())
    }

    /// What this process has said since it last started a router: the next one shows it, and tells the peer.
    fn said(&mut self) -> Vec<Line> {
        let (lines, mark) = log_ring::after(self.told, SAID);
        self.told = mark;
        lines
    }

    fn ended(&mut self, status: &str, started: Instant) -> anyhow::Result<()> {
        self.switch_at = None;
        if !std::mem::take(&mut self.switching) {
            return self.died(status, started);
        }
        self.resign();
        self.lose_pending("another program takes the router's place");
        self.waiting.clear();
        self.restart_at = Some(clock::now());
        self.peer_is(false, None);
        Ok(())
    }

    fn died(&mut self, status: &str, started: Instant) -> anyhow::Result<()> {
        self.resign();
        let reason = self.failure.take().unwrap_or_else(|| format!("the router process ended: {status}"));
        if !self.served {
            bail!(reason);
        }
        let given_up = self.programs.back(&reason);
        // What was being put in force may have been the cause; the next router gets the configuration before it.
        self.lose_pending(&reason);
        self.waiting.clear();
        let now = clock::now();
        let at = if given_up { now } else { self.backoff.died(now, started) };
        tracing::error!(%reason, wait_ms = at.since(now).as_millis() as u64, "the router died and is started again");
        self.restart_at = Some(at);
        self.peer_is(false, None);
        Ok(())
    }

    /// The peer need not wait for silence. Each frame is good for once.
    fn resign(&mut self) {
        for (port, frame) in std::mem::take(&mut self.resignation) {
            if let Err(error) = self.devices.send(&port, &frame) {
                tracing::warn!(port, %error, "the peer cannot be told that the router has died");
            }
        }
    }

    fn take_signals(&mut self) -> anyhow::Result<()> {
        let mut records = [0; sys_process::SIGNAL_RECORD * 8];
        let len = match (&self.signals).read(&mut records) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            result => result.context("signals")?,
        };
        for signal in sys_process::signals_in(&records[..len]) {
            match signal {
                libc::SIGTERM | libc::SIGINT => self.end(),
                libc::SIGHUP => self.want_reload(NOBODY),
                // The main loop looks after its child anyway.
                _ => {}
            }
        }
        Ok(())
    }

    /// Asks the router to end; asked twice, it is not asked any more.
    fn end(&mut self) {
        let insistent = self.ending.is_some();
        self.restart_at = None;
        self.ending = Some(clock::now() + END_LIMIT);
        match &mut self.child {
            Some(child) if insistent => child.kill(),
            Some(child) => child.order(&Order::End, &[]),
            None => {}
        }
    }

    /// Takes one word of the router.
    fn listen(&mut self) {
        let Some(report) = self.child.as_mut().and_then(Child::report) else { return };
        match report {
            Report::Ready => {
                self.served = true;
                self.programs.serves(clock::now());
                tracing::info!(node = %self.node, control = %self.places.control.display(), "the router is ready");
            }
            // It may go on all the same.
            Report::Failed(reason) if self.child.as_ref().is_some_and(Child::is_ready) => {
                tracing::error!(%reason, "the router");
            }
            Report::Failed(reason) => self.failure = Some(reason),
            Report::Reload { ticket } => self.want_reload(ticket),
            Report::Config { ticket, request } => self.config(ticket, *request),
            Report::Peer { present, epoch } => self.peer_is(present, Some(epoch)),
            Report::Heard { message } => self.peer_says(&message),
            Report::Release { ticket, step } => self.release(ticket, step),
            Report::Power { ticket, step } => self.power(ticket, step),
            Report::Upgrade { ticket } => self.upgrade(ticket),
            Report::Applied { ticket } => self.applied(ticket),
            Report::NotApplied { ticket, problems } => {
                let pending = self.pending.take_if(|pending| pending.ticket == ticket);
                log_refusal(ticket, &problems);
                if pending.is_some_and(|pending| pending.agreed) {
                    self.enforced(Err(problems));
                }
                self.next_reload();
            }
            Report::Gone { name } => {
                tracing::warn!(port = %name, "the device of a port is gone");
                if self.devices.gone(&name) {
                    self.open_again(&name);
                }
            }
            Report::Precede { thread } => {
                if let Some(Err(error)) = self.child.as_ref().map(|child| child.let_precede(thread)) {
                    tracing::warn!(%error, "no real-time scheduling: a loaded machine makes the pair slower to react");
                }
            }
            Report::Back { name } => self.open_again(&name),
            Report::Resignation { frames } => self.resignation = frames,
        }
    }

    fn open_again(&mut self, name: &str) {
        let Some(child) = &mut self.child else { return };
        match self.devices.open_again(name) {
            Ok(Some((port, fd))) => {
                tracing::info!(port = name, device = %port.device, "the device is open again");
                child.order(&Order::Attached { port }, &[fd]);
            }
            Ok(None) => {}
            Err(reason) => {
                tracing::warn!(%reason, "the device stays gone");
                child.order(&Order::NotAttached { name: name.into() }, &[]);
            }
        }
    }
}

/// Releases: another program takes the place of the one that runs.
impl Parent {
    fn release(&mut self, ticket: u64, step: ReleaseStep) {
        let done = match step {
            ReleaseStep::Try if self.ending.is_some() || self.switching => {
                Err("the node is about to end".into())
            }
            ReleaseStep::Try => self.trust().and_then(|trust| self.programs.try_next(trust)),
            ReleaseStep::Keep => self.programs.keep(),
            ReleaseStep::Back if self.programs.back("the upgrade was stopped") => Ok(()),
            ReleaseStep::Back => Err("no release is on trial".into()),
        };
        let switches = done.is_ok() && step != ReleaseStep::Keep;
        if let Some(child) = &mut self.child {
            child.order(&Order::Released { ticket, problem: done.err() }, &[]);
        }
        if switches {
            self.switch_at = Some(clock::now() + FAREWELL);
        }
    }

    /// The command does the rest, as if somebody had typed it.
    fn upgrade(&mut self, ticket: u64) {
        let done = match self.ending.is_some() || self.switching {
            true => Err("the node is about to end".into()),
            false => self.upgrader.begin(&self.places.state, &self.places.control),
        };
        self.answer(ticket, done.map_or_else(Response::Failed, |()| Response::Done));
    }

    /// Whoever has asked hears first that it was done.
    fn power(&mut self, ticket: u64, step: PowerStep) {
        let done = match (self.ending.is_some() || self.switching, step) {
            (true, _) => Err("the node is about to end".into()),
            (false, PowerStep::Restart) => {
                self.switch_at = Some(clock::now() + FAREWELL);
                Ok(())
            }
            (false, PowerStep::Reboot | PowerStep::Halt) => power::tell_machine(step),
        };
        tracing::warn!(?step, problem = ?done.as_ref().err(), "an operator wants a restart");
        self.answer(ticket, done.map_or_else(Response::Failed, |()| Response::Done));
    }

    /// As the document says that is in force.
    fn trust(&self) -> Result<Trust, String> {
        let config =
            config::load(&self.text).map_err(|_| "the document in force cannot be read".to_owned())?;
        Ok(Trust::of(&config.system))
    }

    fn go_back(&mut self, why: &str) {
        if self.programs.back(why) {
            self.switch();
        }
    }

    /// The router ends cleanly, so its peer takes over first; then the present program is started.
    fn switch(&mut self) {
        (self.switching, self.switch_at) = (true, None);
        if let Some(child) = &mut self.child {
            child.order(&Order::End, &[]);
            child.must_end(clock::now() + END_LIMIT);
        }
    }
}

/// Reloads: one at a time, the others wait.
impl Parent {
    fn want_reload(&mut self, ticket: u64) {
        if self.ending.is_some() || self.child.is_none() {
            // A router that starts now gets the configuration that was in force; its operator asks again.
            tracing::warn!("no reload: there is no router at present");
        } else if self.pending.is_none() && self.agreement.is_idle() {
            self.reload(ticket);
        } else if self.waiting.len() < RELOADS_MAX {
            self.waiting.push(ticket);
        } else {
            self.refuse(ticket, vec!["too many reloads wait already".into()]);
        }
    }

    pub(super) fn next_reload(&mut self) {
        if self.pending.is_none()
            && let Some(document) = self.later.take()
        {
            self.enforce(document);
        }
        while self.pending.is_none() && self.agreement.is_idle() && !self.waiting.is_empty() {
            let ticket = self.waiting.remove(0);
            self.reload(ticket);
        }
    }

    fn reload(&mut self, ticket: u64) {
        let text = match read_config(&self.options.config) {
            Ok(text) => text,
            Err(error) => return self.refuse(ticket, vec![format!("{error:#}")]),
        };
        if self.is_for_both(&text) {
            return self.propose_file(ticket, text);
        }
        match self.prepare(ticket, text) {
            Ok((pending, apply)) => self.put_in_force(pending, apply),
            Err(problems) => self.refuse(ticket, problems),
        }
    }

    /// The router is told; with none, the next one begins with it.
    pub(super) fn put_in_force(&mut self, pending: Pending, apply: Apply) {
        self.copyist.copy(clock::now(), &pending.text, &self.places.state);
        let descriptors = pending.changes.descriptors();
        if let Some(child) = &mut self.child {
            child.order(&Order::Apply(Box::new(apply)), &descriptors);
            drop(descriptors);
            self.pending = Some(pending);
            return;
        }
        drop(descriptors);
        let ticket = pending.ticket;
        self.pending = Some(pending);
        self.applied(ticket);
    }

    /// Opens what the text wants in addition; nothing changes yet.
    pub(super) fn prepare(&self, ticket: u64, text: String) -> Result<(Pending, Apply), Vec<String>> {
        let config = config::load(&text).map_err(steward::texts)?;
        let node = config.node(Some(&self.node)).map_err(|problem| steward::texts(vec![problem]))?;
        let changes = self.devices.prepare(&config, node)?;
        let reloaded = Reloaded {
            revision: config.revision,
            hash: config.hash(),
            opened: changes.opened(),
            closed: changes.closed(),
        };
        let apply = Apply {
            ticket,
            config: text.clone(),
            loopback: changes.loopback(),
            links: changes.namespaces(),
            ports: changes.notes(&self.devices),
            reloaded,
        };
        let deadline = clock::now() + WORK_LIMIT;
        let (revision, hash) = (config.revision, apply.reloaded.hash.clone());
        Ok((Pending { ticket, agreed: false, text, hash, changes, revision, deadline }, apply))
    }

    fn applied(&mut self, ticket: u64) {
        let Some(pending) = self.pending.take_if(|pending| pending.ticket == ticket) else { return };
        let Pending { ticket: _, agreed, text, hash, changes, revision, deadline: _ } = pending;
        self.text = text.clone();
        self.devices.commit(changes);
        tracing::info!(revision, "the new configuration is in force");
        self.look_for_peer();
        match agreed {
            true => self.enforced(Ok(())),
            false => self.adopted(Document { revision, hash, text }),
        }
        self.next_reload();
    }

    pub(super) fn refuse(&mut self, ticket: u64, problems: Vec<String>) {
        log_refusal(ticket, &problems);
        if let Some(child) = &mut self.child {
            child.order(&Order::Refuse { ticket, problems }, &[]);
        }
    }
}

/// Whoever asked by a signal finds the problems in the log only.
fn log_refusal(ticket: u64, problems: &[String]) {
    tracing::warn!(problems = problems.len(), "the new configuration is refused, the old one stays in force");
    if ticket == NOBODY {
        problems.iter().for_each(|problem| tracing::warn!(%problem, "in the new configuration"));
    }
}
