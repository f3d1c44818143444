//! A router that answers, and an editor that keeps its draft in memory.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use crate::config::diff::Row;
use crate::config::life::{Author, Record};
use crate::config::model::Secret;
use crate::config::{self, Config, Valid};
use crate::node::snapshot::{CounterRow, NeighbourRow, Snapshot};
use crate::node::{Command, Compiled, Offload, Outbox, PairSnapshot, Reply, RuleCounts, Shard};
use crate::types::{Instant, MacAddr, Seed};
use crate::web::auth::Password;
use crate::web::edit::{Draft, Editor, Rejected};
use crate::web::handle::Handle;
use crate::web::hash::hash_password;
use crate::web::site::Site;

/// A pair with something on every page.
pub(super) const DOCUMENT: &str = include_str!("../../../configs/pair.toml");

/// Compiled for the first node.
pub(in crate::web) fn compile(document: Arc<Valid<Config>>) -> Arc<Compiled> {
    let node = document.node(Some("alpha")).or_else(|_| document.node(None)).unwrap();
    let ports = document.node_part(node).ports.len();
    Arc::new(Compiled::new(document, node, 1, vec![Offload::NONE; ports]))
}

/// Users of each role by name, all with the password `correct horse`.
pub(super) fn users() -> String {
    let hash = hash_password("correct horse").unwrap();
    let user = |name: &str, role: &str| {
        format!(
            "\n[[user]]\nname = \"{name}\"\nrole = \"{role}\"\npassword_hash = \"{hash}\"\ndescription = \"The {role}\"\n"
        )
    };
    [user("ada", "administrator"), user("otto", "operator"), user("rita", "read-only")].concat()
}

/// A draft in memory beside what is in force.
pub(super) struct Paper {
    pub in_force: Arc<ArcSwap<Compiled>>,
    draft: Mutex<Option<Arc<Valid<Config>>>>,
    trial: Mutex<Option<u32>>,
}

impl Paper {
    pub fn new(text: &str) -> Arc<Paper> {
        let document = config::load(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let in_force = Arc::new(ArcSwap::from(compile(Arc::new(document))));
        Arc::new(Paper { in_force, draft: Mutex::default(), trial: Mutex::default() })
    }

    /// What is being edited.
    pub fn document(&self) -> Arc<Valid<Config>> {
        self.draft().document
    }

    /// Puts another document in force.
    pub fn put_in_force(&self, text: &str) {
        self.in_force.store(compile(Arc::new(config::load(text).unwrap())));
    }
}

impl Editor for Paper {
    fn draft(&self) -> Draft {
        let running = Arc::clone(&self.in_force.load().config);
        let trial = *self.trial.lock().unwrap();
        match &*self.draft.lock().unwrap() {
            Some(draft) => Draft {
                document: Arc::clone(draft),
                edition: draft.hash(),
                changes: vec!["Something is <different>.".into()],
                trial,
            },
            None => Draft { trial, ..Draft::of(running) },
        }
    }

    fn save(&self, _: &Author, edition: &str, document: Valid<Config>) -> Result<(), Rejected> {
        if self.draft().edition != edition {
            return Err(Rejected::Stale);
        }
        let same = document == *self.in_force.load().config;
        *self.draft.lock().unwrap() = (!same).then(|| Arc::new(document));
        Ok(())
    }

    fn apply(&self, _: &Author, edition: &str, confirm_within: Option<u32>) -> Result<(), Rejected> {
        if self.draft().edition != edition {
            return Err(Rejected::Stale);
        }
        let draft = self.draft.lock().unwrap().take().ok_or(Rejected::Gone)?;
        self.in_force.store(compile(draft));
        *self.trial.lock().unwrap() = confirm_within;
        Ok(())
    }

    fn adopt(&self, who: &Author, document: Valid<Config>) -> Result<(), Rejected> {
        let edition = self.draft().edition;
        self.save(who, &edition, document)?;
        let edition = self.draft().edition;
        self.apply(who, &edition, None)
    }

    fn confirm(&self) -> Result<(), Rejected> {
        self.trial.lock().unwrap().take().map(drop).ok_or(Rejected::Gone)
    }

    fn discard(&self, _: &Author) -> Result<(), Rejected> {
        self.draft.lock().unwrap().take();
        self.trial.lock().unwrap().take();
        Ok(())
    }

    fn discard_one(&self, _: &Author, edition: &str, change: usize) -> Result<(), Rejected> {
        if self.draft().edition != edition {
            return Err(Rejected::Stale);
        }
        if change == 1 {
            self.draft.lock().unwrap().take().map(drop).ok_or(Rejected::Gone)
        } else {
            Err(Rejected::Gone)
        }
    }

    fn label(&self, revision: &str, label: &str) -> Result<(), Rejected> {
        let known = revision == "1" && !label.is_empty();
        if known { Ok(()) } else { Err(Rejected::Gone) }
    }

    fn keep_password(&self, who: &Author, hash: &str) -> Result<(), Rejected> {
        if self.draft.lock().unwrap().is_some() {
            return Err(Rejected::Stale);
        }
        let mut document = self.in_force.load().config.as_ref().clone().into_inner();
        let user = document.users.iter_mut().find(|user| user.name == who.who).unwrap();
        user.password_hash = Secret::new(hash);
        self.in_force.store(compile(Arc::new(config::validate(document).unwrap())));
        Ok(())
    }

    fn history(&self) -> Result<Vec<Record>, Rejected> {
        let record = |revision, who: &str| Record {
            revision,
            author: Author { who: who.into(), from: "192.0.2.7".into() },
            why: "because <of it>".into(),
            ..Record::default()
        };
        Ok(vec![record(1, "ada"), record(2, "otto")])
    }

    fn since(&self, revision: &str) -> Result<Vec<Row>, Rejected> {
        let row =
            Row { number: 1, path: "system.hostname".into(), words: "the <name> is another one".into() };
        if revision == "1" { Ok(vec![row]) } else { Err(Rejected::Gone) }
    }

    fn restore(&self, _: &Author, revision: &str) -> Result<(), Rejected> {
        if revision == "1" { Ok(()) } else { Err(Rejected::Gone) }
    }

    fn text(&self) -> Result<String, Rejected> {
        Ok(self.in_force.load().config.to_toml())
    }
}

/// A shard, and what it sends.
pub(super) type Real = Arc<Mutex<(Shard, Outbox)>>;

/// A shard with nothing in it.
pub(super) fn real(in_force: &ArcSwap<Compiled>) -> Real {
    let compiled = in_force.load_full();
    let out = Outbox::new(compiled.offloads.len());
    Arc::new(Mutex::new((Shard::new(compiled, Seed([1, 2]), Instant::from_secs(900)), out)))
}

/// Somebody on LAN.
fn neighbour(address: &str) -> NeighbourRow {
    let (address, mac) = (address.parse().unwrap(), Some(MacAddr([2, 0, 0, 0, 0, 9])));
    NeighbourRow { address, interface: "lan".into(), mac, state: "reachable".into() }
}

pub(super) fn handle(in_force: Arc<ArcSwap<Compiled>>, real: Real) -> Handle {
    let pair = |reply: Reply<PairSnapshot>| {
        let counters = vec![CounterRow::new("channel-forged", 4242, "Forged.")];
        let lacks = vec!["there is no <session>".into()];
        let role = "standby".into();
        reply(PairSnapshot { paired: true, role, epoch: 77, lacks, counters, ..PairSnapshot::default() });
        true
    };
    let shard = move |command| {
        match command {
            Command::Snapshot(reply) => {
                let neighbours = vec![neighbour("192.168.1.10"), neighbour("2001:db8::7")];
                reply(Snapshot { hostname: "gate<way>".into(), neighbours, ..Snapshot::default() })
            }
            Command::Glance(reply) => reply(Snapshot { hostname: "gate<way>".into(), ..Snapshot::default() }),
            Command::Flows { reply, .. } => reply((Vec::new(), None)),
            Command::Talkers { reply, .. } => reply((Vec::new(), None)),
            Command::Drops(reply) => reply(Vec::new()),
            Command::Rules(reply) => reply(RuleCounts::default()),
            Command::Gateways(reply) => reply(Vec::new()),
            command @ (Command::Survey { .. }
            | Command::Find { .. }
            | Command::Log { .. }
            | Command::Overloaded(_)
            | Command::Capture { .. }) => {
                let (shard, out) = &mut *real.lock().unwrap();
                shard.handle_command(Instant::from_secs(1000), command, out);
            }
            Command::Apply(..)
            | Command::Renew(..)
            | Command::Kill { .. }
            | Command::Import { .. }
            | Command::Replicate(_)
            | Command::Speak(_)
            | Command::Detour(_)
            | Command::Correct { .. }
            | Command::Probe(_)
            | Command::Grant(_)
            | Command::EmptyTable { .. }
            | Command::Forget { .. } => panic!("not asked by pages"),
        }
        true
    };
    Handle::new(shard, pair, move || in_force.load_full())
}

/// The site of this router; `admin` has the password of the first start `bbbb...`.
pub(super) fn site(paper: &Arc<Paper>) -> Site {
    site_before(paper, real(&paper.in_force))
}

/// The site of this router with this shard in it.
pub(super) fn site_before(paper: &Arc<Paper>, real: Real) -> Site {
    let editor: Arc<dyn Editor> = Arc::clone(paper) as _;
    let handle = handle(Arc::clone(&paper.in_force), real);
    Site::new(handle, Some(editor), Password::from_random([1; 24]), || Instant::from_secs(1000))
}
