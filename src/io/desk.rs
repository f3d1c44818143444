//! Who answers the control socket: asks the forward thread and waits for its answer.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::capture;
use super::clock;
use super::colleague::Colleague;
use super::config_request::{ConfigAnswer, ConfigRequest};
use super::control::Answer;
use super::crier::Known;
use super::engine::port_names;
use super::errands::{Errands, date_ms};
use super::flow_filter;
use super::handle::{Arrangement, Handle, Order, Placement};
use super::host_thread::HostHandle;
use super::inquiry::{self, Inquiry};
use super::log_ring::{self, Line};
use super::netlink::LinkSocket;
use super::orders::{PortNote, Report, Start};
use super::pair_threads::PairHandle;
use super::pairing;
use super::peer_log;
use super::privilege::Kept;
use super::program::{self, ProgramNote, ReleaseStep};
use super::reloads::Reloads;
use super::request::{FlowFilter, Request, Response, Status};
use super::router::Reporter;
use super::token_request::{TokenAnswer, TokenRequest};
use super::token_store::{self, TokenStore};
use super::upgrade::Progress;
use crate::cluster::release::Trust;
use crate::config::model::host_name;
use crate::config::{Conditions, Config};
use crate::conntrack::{Cursor, Survey};
use crate::node::snapshot::Snapshot;
use crate::node::{self, Asked, Command, Compiled, Policy, Reply, RuleCounts};
use crate::rules::Record;
use crate::services::log::LogRow;
use crate::services::names::NameRow;
use crate::types::{InterfaceId, WallTime};
use crate::wire::dns::Name;
use crate::wire::filter;
use crate::wire::pair::Version;

/// The first release of the pair's protocols in which nodes ask each other.
const QUESTIONS: Version = Version(2);

/// How long the forward thread may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is said then.
const NO_ANSWER: &str = "the router does not answer";
/// How long the parent may take, a reload included.
const PARENT_PATIENCE: Duration = Duration::from_secs(50);
/// How long the command that upgrades may take to begin, and how often that is looked for.
const BEGINNING: Duration = Duration::from_secs(4);
const GLANCE: Duration = Duration::from_millis(50);
/// Flows looked at between two batches of packets.
const ROUND: usize = 4096;

/// Answers the pages of the peer; `None` for what it does not understand.
pub type PagesAnswer = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Answers questions, in the thread of whoever asks.
pub struct Desk {
    start: Start,
    kept: Kept,
    reporter: Reporter,
    reloads: Arc<Reloads>,
    forward: Handle,
    /// The configuration; shared with the pages.
    in_force: Arc<ArcSwap<Compiled>>,
    changing: Mutex<()>,
    /// By port id; shared with whoever names ports in the log.
    port_names: Arc<Mutex<Vec<String>>>,
    pair: PairHandle,
    errands: Errands,
    notices: Known,
    colleague: Colleague,
    /// Who answers the peer's pages.
    pages: Mutex<Option<Arc<PagesAnswer>>>,
    tokens: Arc<TokenStore>,
    /// The router's own stack, from which questions to the network are asked.
    host: OnceLock<HostHandle>,
    /// The program that was on trial when this process started is kept.
    trial_is_over: AtomicBool,
}

impl Desk {
    /// A desk in front of the forward thread.
    #[allow(clippy::too_many_arguments, reason = "it is made in one place, of everything that can be asked")]
    pub fn new(
        start: Start,
        kept: Kept,
        reporter: Reporter,
        reloads: Arc<Reloads>,
        forward: Handle,
        in_force: Arc<ArcSwap<Compiled>>,
        port_names: Arc<Mutex<Vec<String>>>,
        pair: PairHandle,
        errands: Errands,
    ) -> Self {
        Desk {
            start,
            kept,
            reporter,
            reloads,
            forward,
            in_force,
            changing: Mutex::new(()),
            port_names,
            colleague: Colleague::new(pair.clone()),
            tokens: TokenStore::open(token_store::FILE.as_ref()),
            pair,
            pages: Mutex::default(),
            host: OnceLock::new(),
            errands,
            notices: Known::default(),
            trial_is_over: AtomicBool::new(false),
        }
    }

    /// Asks the network from this stack.
    pub fn connect_host(&self, host: HostHandle) {
        // There is one, and it stays.
        let _ = self.host.set(host);
    }

    fn inquire(&self, inquiry: &Inquiry) -> Result<Response, String> {
        let host = self.host.get().ok_or(NO_ANSWER)?;
        let found = inquiry::inquire(host, &self.compiled(), inquiry)?;
        Ok(Response::Found(Box::new(found)))
    }

    /// The tokens of programs.
    pub fn token_store(&self) -> Arc<TokenStore> {
        Arc::clone(&self.tokens)
    }

    /// What whoever tells of it knows of notices.
    pub fn notices(&self) -> Known {
        Arc::clone(&self.notices)
    }

    /// What the document bounds, when the forward thread answers.
    pub fn glance(&self) -> Option<Snapshot> {
        self.ask(Command::Glance).ok()
    }

    /// Name of this node.
    pub fn node_name(&self) -> &str {
        &self.start.node
    }

    /// Names of the ports, by id.
    pub fn port_names(&self) -> Vec<String> {
        self.port_names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ports are other ones now.
    pub fn set_ports(&self, notes: Vec<PortNote>) {
        *self.port_names.lock().unwrap_or_else(PoisonError::into_inner) = port_names(&notes);
    }

    /// The configuration in force.
    pub fn compiled(&self) -> Arc<Compiled> {
        self.in_force.load_full()
    }

    /// Puts a configuration and its ports in force between two batches; returns when they are.
    ///
    /// # Errors
    /// When the forward thread does not answer.
    pub fn put_in_force(
        &self,
        compiled: Arc<Compiled>,
        ports: Vec<Placement>,
        links: Vec<(Option<String>, LinkSocket)>,
    ) -> Result<(), String> {
        let applied = Arc::clone(&compiled);
        let (sender, receiver) = sync_channel(1);
        let command = Command::Apply(
            applied,
            Box::new(move |()| {
                // Nobody waits any more when this fails.
                let _ = sender.try_send(());
            }),
        );
        let sync = compiled.config.sync_port_id(compiled.node);
        let arrangement = Box::new(Arrangement { ports, links, command, sync });
        self.forward.order(Order::Arrange(arrangement)).map_err(|busy| busy.to_string())?;
        receiver.recv_timeout(PATIENCE).map_err(|_| NO_ANSWER.to_owned())?;
        self.in_force.store(compiled);
        Ok(())
    }

    /// Only one at a time puts something in force, and it knows what is in force meanwhile.
    pub fn begin_change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The circumstances of a moment.
    pub fn conditions(&self, config: &Config, now: WallTime) -> Conditions {
        self.errands.conditions(config, now)
    }

    /// Puts other circumstances in force between two batches, unless another configuration is by now.
    ///
    /// # Errors
    /// When the forward thread does not answer.
    pub fn renew(&self, base: &Arc<Compiled>, compiled: Arc<Compiled>) -> Result<(), String> {
        let _changing = self.begin_change();
        if !Arc::ptr_eq(base, &self.compiled()) {
            return Ok(());
        }
        let applied = Arc::clone(&compiled);
        self.ask(|reply| Command::Renew(applied, reply))?;
        self.in_force.store(compiled);
        Ok(())
    }

    /// Gives an order to the forward thread. A thread that takes none any more is about to end.
    pub fn order(&self, order: Order) {
        if self.forward.order(order).is_err() {
            tracing::error!("the forward thread takes no orders");
        }
    }

    /// Answers a question.
    pub fn answer(&self, request: Request) -> Answer {
        let response = match request {
            Request::Status => {
                self.snapshot().map(|snapshot| Response::Status(Box::new(self.status(snapshot))))
            }
            Request::Snapshot => self.whole_snapshot().map(|snapshot| Response::Snapshot(Box::new(snapshot))),
            Request::Flows { filter, limit, after } => self.flows(&filter, limit as usize, after),
            Request::Kill { filter } => self.kill(&filter),
            Request::Drops => self.ask(Command::Drops).map(|mut rows| {
                rows.reverse();
                Response::Drops(rows)
            }),
            Request::Count { filter } => self.count(&filter),
            Request::Policy => self.ask(Command::Rules).and_then(|counts| {
                let mut policy = self.policy(&counts);
                let entries = self.ask(Command::Overloaded)?;
                policy.overloads = node::overload_rows(&self.compiled(), counts.now, &entries);
                Ok(Response::Policy(Box::new(policy)))
            }),
            Request::EmptyTable { table } => self.empty_table(table),
            Request::Forget { interface, address } => self.forget(&interface, address),
            Request::Explain(asked) => self.explain(&asked),
            Request::ExplainLog { id } => self.logged(id).and_then(|asked| self.explain(&asked)),
            Request::Inquire(inquiry) => self.inquire(&inquiry),
            Request::Log { after, limit } => self.log(after, limit as usize).map(Response::Log),
            Request::SystemLog { peer, limit } => Ok(Response::SystemLog(system_log(peer, limit as usize))),
            Request::Services => {
                let mut row = self.errands.row(&self.compiled().config);
                row.notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Ok(Response::Services(Box::new(row)))
            }
            Request::Reload => self.ask_parent(|ticket| Report::Reload { ticket }),
            Request::Config(request) => self.ask_parent(|ticket| Report::Config { ticket, request }),
            Request::Tokens(request) => self.tokens(request),
            Request::Release(step) => self.take_release_step(step),
            Request::Power(step) => self.ask_parent(|ticket| Report::Power { ticket, step }),
            Request::Install => self.install(),
            Request::Upgrade => self.upgrade(),
            Request::Upgrading => Ok(Response::Upgrading(Box::new(Progress::of(".".as_ref())))),
            Request::Crash => {
                tracing::error!("an operator wants to see this router process die");
                std::process::abort()
            }
            Request::Keys(step) => {
                let key = self.pair.renew_keys(step, &self.compiled());
                key.map(|key| Response::Key(key.to_string()))
            }
            Request::Peer(request) => self.ask_peer(&request),
            Request::Pages(words) => self.hear_pages(&words),
            Request::Pair => self.pair_with_configuration(),
            Request::Role(request) => {
                let done = self.pair.request(request).and_then(|()| self.pair.snapshot());
                done.map(|snapshot| Response::Pair(Box::new(snapshot)))
            }
            Request::Resync => self.pair.resync().map(|snapshot| Response::Pair(Box::new(snapshot))),
            Request::Offer => return Answer::Pairing(pairing::offer(&self.pair, &self.compiled())),
            Request::Join { code, newcomer } => {
                match pairing::join(&self.pair, &self.compiled(), &code, &newcomer) {
                    Ok(listening) => return Answer::Pairing(listening),
                    Err(why) => Err(why),
                }
            }
            Request::Capture { interface, filter, count } => match self.capture(&interface, &filter) {
                Ok(source) => return Answer::Capture { source, count },
                Err(why) => Err(why),
            },
        };
        Answer::Reply(response.unwrap_or_else(Response::Failed))
    }

    /// Asks the forward thread and waits.
    fn ask<T: Send + 'static>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, String> {
        let (sender, receiver) = sync_channel(1);
        // When nobody waits any more, the answer is not needed.
        let command = command(Box::new(move |answer| drop(sender.try_send(answer))));
        self.forward.command(command).map_err(|busy| busy.to_string())?;
        receiver.recv_timeout(PATIENCE).map_err(|_| NO_ANSWER.to_owned())
    }

    fn snapshot(&self) -> Result<Snapshot, String> {
        self.ask(Command::Snapshot)
    }

    /// With what the pair has counted.
    fn whole_snapshot(&self) -> Result<Snapshot, String> {
        let mut snapshot = self.snapshot()?;
        snapshot.counters.extend(self.pair.snapshot()?.counters);
        Ok(snapshot)
    }

    fn status(&self, snapshot: Snapshot) -> Status {
        let compiled = self.compiled();
        let node = compiled.config.node_part(compiled.node);
        let up = snapshot.ports.iter().filter(|port| port.up).count();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            hostname: snapshot.hostname,
            node: snapshot.node,
            uptime_seconds: snapshot.uptime_seconds,
            clock: Some(Box::new(self.errands.row(&compiled.config).clock)),
            revision: snapshot.revision,
            config_hash: snapshot.config_hash,
            parent: self.start.parent,
            router: std::process::id(),
            restarts: self.start.restarts,
            ports_up: [up, snapshot.ports.len()],
            states: snapshot.states,
            privileges: self.kept.clone(),
            public_key: self.pair.public_key(&compiled).to_string(),
            pair: self.pair.snapshot().ok().map(Box::new),
            program: self.program(),
            config_file: self.start.file.display().to_string(),
            state: self.start.state.display().to_string(),
            loopback: node.loopback.map(|address| address.to_string()),
        }
    }

    /// Rules, and what names and files in aliases stand for.
    fn policy(&self, counts: &RuleCounts) -> Policy {
        let compiled = self.compiled();
        let mut policy = node::policy(&compiled, counts, clock::wall());
        let names = self.errands.row(&compiled.config).names;
        for table in &mut policy.tables {
            table.trouble = self.errands.list_trouble(&table.name);
            let alias = compiled.config.aliases.iter().find(|alias| alias.name == table.name);
            let entries = alias.into_iter().flat_map(|alias| &alias.entries);
            let inside: HashSet<Name> = entries.filter_map(|entry| host_name(&entry.value)).collect();
            let of_table = |row: &&NameRow| Name::new(&row.name).is_some_and(|name| inside.contains(&name));
            table.names = names.iter().filter(of_table).cloned().collect();
        }
        policy
    }

    fn explain(&self, asked: &Asked) -> Result<Response, String> {
        let compiled = self.compiled();
        let question = asked.question(&compiled)?;
        let statuses = self.ask(Command::Gateways)?;
        Ok(Response::Explained(Box::new(node::explain(&compiled, &statuses, &question))))
    }

    /// Records of the firewall log, the latest last.
    fn log(&self, after: u64, limit: usize) -> Result<Vec<LogRow>, String> {
        let (records, now) = self.ask(|reply| Command::Log { after, limit, reply })?;
        let (compiled, wall) = (self.compiled(), clock::wall());
        let row = |record: &Record| node::log_row(&compiled, record, date_ms(now, wall, record.at));
        Ok(records.iter().rev().map(row).collect())
    }

    /// The packet of a record as a question.
    fn logged(&self, id: u64) -> Result<Asked, String> {
        let rows = self.log(id.saturating_sub(1), usize::MAX)?;
        let row = rows.into_iter().find(|row| row.id == id);
        let row = row.ok_or_else(|| format!("there is no record {id} any more; see koi show log"))?;
        let LogRow { ingress: interface, protocol, src, sport, dst, dport, dscp, .. } = row;
        let (src, dst) = src.zip(dst).ok_or("the record names no addresses")?;
        Ok(Asked { interface, src, sport, dst, dport, protocol, dscp })
    }

    fn flows(&self, wanted: &FlowFilter, limit: usize, after: Option<u64>) -> Result<Response, String> {
        let compiled = self.compiled();
        let filter = wanted.within(&compiled)?;
        let survey = self.survey(Survey::page(filter, after.map(Cursor::behind), limit, usize::MAX))?;
        let rows = survey.rows().iter().map(|flow| node::flow_row(&compiled, flow)).collect();
        let total = self.snapshot()?.states.current;
        Ok(Response::Flows { rows, total, more: survey.next().is_some() })
    }

    /// Looks through the table to the end of the survey, some slots between two batches of packets.
    fn survey(&self, survey: Survey) -> Result<Box<Survey>, String> {
        let mut survey = Box::new(survey);
        while !survey.is_done() {
            survey = self.ask(|reply| Command::Survey { survey, limit: ROUND, reply })?;
        }
        Ok(survey)
    }

    fn empty_table(&self, table: Option<String>) -> Result<Response, String> {
        let named = table.clone();
        let count = self.ask(|reply| Command::EmptyTable { table, reply })?;
        let missing = || format!("no rule has an overload table \"{}\"", named.unwrap_or_default());
        Ok(Response::Emptied { count: count.ok_or_else(missing)? as u64 })
    }

    fn forget(&self, name: &str, address: IpAddr) -> Result<Response, String> {
        let compiled = self.compiled();
        let link = compiled.links.iter().position(|link| link.name == name);
        let interface = link.map(|place| InterfaceId(place as u8));
        let interface = interface.ok_or_else(|| format!("there is no interface \"{name}\""))?;
        match self.ask(|reply| Command::Forget { interface, address, reply })? {
            true => Ok(Response::Done),
            false => Err(format!("{address} is no neighbour on {name} (any more)")),
        }
    }

    fn count(&self, wanted: &FlowFilter) -> Result<Response, String> {
        let filter = wanted.within(&self.compiled())?;
        let survey = self.survey(Survey::page(filter, None, 0, usize::MAX).counting())?;
        Ok(Response::Counted { count: survey.found() })
    }

    fn kill(&self, wanted: &FlowFilter) -> Result<Response, String> {
        let filter = wanted.within(&self.compiled())?;
        let (mut count, mut cursor) = (0, None);
        loop {
            let (killed, next) = self.ask(|reply| Command::Kill { filter, cursor, limit: ROUND, reply })?;
            count += killed as u64;
            cursor = next;
            if cursor.is_none() {
                return Ok(Response::Killed { count });
            }
        }
    }

    fn take_release_step(&self, step: ReleaseStep) -> Result<Response, String> {
        let done = self.ask_parent(|ticket| Report::Release { ticket, step })?;
        if step == ReleaseStep::Keep && matches!(done, Response::Done) {
            self.trial_is_over.store(true, Ordering::Relaxed);
        }
        Ok(done)
    }

    /// The program that this router process runs, as the parent said at its start, but for a trial that has ended well.
    fn program(&self) -> ProgramNote {
        let note = self.start.program.clone();
        ProgramNote { trial: note.trial && !self.trial_is_over.load(Ordering::Relaxed), ..note }
    }

    /// The pair, and what the parent knows of its configuration.
    fn pair_with_configuration(&self) -> Result<Response, String> {
        let mut snapshot = self.pair.snapshot()?;
        let request = Box::new(ConfigRequest::Standing);
        if let Ok(Response::Config(answer)) = self.ask_parent(|ticket| Report::Config { ticket, request })
            && let ConfigAnswer::Standing(standing) = *answer
        {
            snapshot.findings.extend(standing.findings());
        }
        Ok(Response::Pair(Box::new(snapshot)))
    }

    fn ask_parent(&self, report: impl FnOnce(u64) -> Report) -> Result<Response, String> {
        ask_parent(&self.reporter, &self.reloads, report)
    }

    /// The peer's questions are answered from now on.
    pub fn serve_peer(self: &Arc<Self>) {
        let (answers, trusts) = (Arc::downgrade(self), Arc::downgrade(self));
        let ended = || Response::Failed("the router is about to end".into());
        let answering = move |request| match answers.upgrade().map(|desk| desk.answer(request)) {
            Some(Answer::Reply(response)) => response,
            Some(Answer::Capture { .. } | Answer::Pairing(_)) | None => ended(),
        };
        let trusting = move || {
            trusts.upgrade().map(|desk| Trust::of(&desk.compiled().config.system)).unwrap_or_default()
        };
        self.colleague.serve(Arc::new(answering), Arc::new(trusting));
    }

    fn ask_peer(&self, request: &Request) -> Result<Response, String> {
        self.speaks_with_peer()?;
        self.colleague.ask(request)
    }

    /// The peer's pages say something to ours.
    fn hear_pages(&self, words: &str) -> Result<Response, String> {
        let answering = self.pages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match answering.and_then(|answering| answering(words)) {
            Some(answer) => Ok(Response::Pages(answer)),
            None => Err("the pages do not understand".into()),
        }
    }

    /// The pages say something to the peer's.
    pub fn tell_peer_pages(&self, words: String) -> Option<String> {
        match self.ask_peer(&Request::Pages(words)) {
            Ok(Response::Pages(answer)) => Some(answer),
            Ok(_) | Err(_) => None,
        }
    }

    /// Who answers the peer's pages from now on.
    pub fn listen_to_pages(&self, answering: Arc<PagesAnswer>) {
        *self.pages.lock().unwrap_or_else(PoisonError::into_inner) = Some(answering);
    }

    fn tokens(&self, request: TokenRequest) -> Result<Response, String> {
        let compiled = self.compiled();
        let answer = self.tokens.answer(&compiled.config, request, || self.share_tokens())?;
        Ok(Response::Tokens(Box::new(answer)))
    }

    /// The peer knows the tokens of this node, and this node those of the peer; absent when there is none.
    pub fn share_tokens(&self) -> Option<bool> {
        let compiled = self.compiled();
        compiled.config.peer_of(compiled.node)?;
        let ours = TokenRequest::Merge(self.tokens.all().0);
        match self.ask_peer(&Request::Tokens(ours)) {
            Ok(Response::Tokens(answer)) => match *answer {
                TokenAnswer::Known(theirs) => {
                    self.tokens.merge(&theirs);
                    Some(true)
                }
                TokenAnswer::Made { .. } | TokenAnswer::Rows(_) | TokenAnswer::Revoked { .. } => Some(false),
            },
            // A peer of the release before knows no tokens.
            Ok(_) | Err(_) => Some(false),
        }
    }

    fn install(&self) -> Result<Response, String> {
        self.speaks_with_peer()?;
        let release = std::fs::read(program::NEXT).map_err(|error| format!("{}: {error}", program::NEXT))?;
        self.colleague.install(&release)
    }

    /// The parent starts the command; whoever asks hears when it is at it.
    fn upgrade(&self) -> Result<Response, String> {
        let here = || Progress::of(".".as_ref());
        let before = here();
        if before.runs {
            return Err("an upgrade runs already".into());
        }
        // A peer of the release before knows no such question, and has no page that would begin one.
        if let Ok(Response::Upgrading(there)) = self.ask_peer(&Request::Upgrading)
            && there.runs
        {
            let node = there.last.map(|journal| journal.node).unwrap_or_default();
            return Err(format!("an upgrade runs already, asked for on {node}"));
        }
        let done = self.ask_parent(|ticket| Report::Upgrade { ticket })?;
        if !matches!(done, Response::Done) {
            return Ok(done);
        }
        let end = clock::now() + BEGINNING;
        while clock::now() < end {
            let now = here();
            if now.runs || now.last != before.last {
                return Ok(Response::Done);
            }
            clock::pause(GLANCE);
        }
        Err("the upgrade does not begin; the log says why".into())
    }

    /// A peer of the release before hears no questions.
    fn speaks_with_peer(&self) -> Result<(), String> {
        let version = self.pair.snapshot()?.peer.map(|peer| peer.version);
        match version {
            Some(version) if Version(version) >= QUESTIONS => Ok(()),
            Some(_) => Err("the peer's release is too old to be asked".into()),
            None => Err("the peer is not heard".into()),
        }
    }

    fn capture(&self, interface: &str, filter: &str) -> Result<capture::Source, String> {
        let filter: filter::Filter = filter.parse().map_err(|error| format!("the filter: {error}"))?;
        let compiled = self.compiled();
        let interface = Some(flow_filter::number(&compiled, interface)?);
        let (mut sink, source) = capture::channel(filter);
        let sink = Box::new(move |at, frame: &[u8]| sink.offer(at, frame));
        let begin = Command::Capture { interface, sink };
        self.forward.command(begin).map_err(|busy| busy.to_string())?;
        Ok(source)
    }
}

/// The latest last.
fn system_log(peer: bool, limit: usize) -> Vec<Line> {
    if peer {
        return peer_log::tail(".".as_ref(), limit);
    }
    let mut lines = log_ring::recent();
    lines.truncate(limit);
    lines.reverse();
    lines
}

/// Asks the parent and waits.
fn ask_parent(
    reporter: &Reporter,
    reloads: &Reloads,
    report: impl FnOnce(u64) -> Report,
) -> Result<Response, String> {
    let (ticket, outcome) = reloads.register();
    reporter.say(&report(ticket));
    outcome.recv_timeout(PARENT_PATIENCE).map_err(|_| "the parent does not answer".to_owned())
}
