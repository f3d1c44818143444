//! The two nodes of a pair, as they can be asked from here: this one over its control socket, the other through it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Control, fail, unexpected};
use crate::cluster::upgrade::Side;
use crate::config::{self, Config, Valid};
use crate::io::control_client::Client;
use crate::io::request::{Request, Response, Status};
use crate::node::PairSnapshot;
use crate::types::Role;

/// Both nodes.
pub struct Nodes<'a> {
    control: &'a Control,
    /// This node's state directory.
    pub state: PathBuf,
    /// Its document.
    pub config: Valid<Config>,
    /// The file that holds it.
    pub file: PathBuf,
    /// How this node was at first.
    pub first: Status,
}

impl<'a> Nodes<'a> {
    /// Finds them.
    ///
    /// # Errors
    /// When this node does not run or belongs to no pair; the user has been told.
    pub fn find(control: &'a Control) -> Result<Self, ExitCode> {
        let Response::Status(first) = control.ask(&Request::Status)? else { return Err(unexpected()) };
        let file = PathBuf::from(&first.config_file);
        let text = fs::read_to_string(&file).map_err(|error| fail(format!("{}: {error}", file.display())))?;
        let config = config::load(&text).map_err(|problems| {
            super::check::print_problems(Path::new(&file), &problems);
            ExitCode::FAILURE
        })?;
        if config.pair.is_none() {
            return Err(fail("there is no pair"));
        }
        Ok(Nodes { control, state: PathBuf::from(&first.state), config, file, first: *first })
    }

    /// Asks one of them. A node that is being started again does not answer, and that is no reason to tell the user.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub fn ask(&self, side: Side, request: Request) -> Result<Response, String> {
        let request = match side {
            Side::Here => request,
            Side::There => Request::Peer(Box::new(request)),
        };
        self.ask_here(&request)
    }

    /// Asks this one.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub fn ask_here(&self, request: &Request) -> Result<Response, String> {
        let client = Client::connect(self.control.control.as_deref()).map_err(|error| error.to_string())?;
        match client.ask(request).map_err(|error| error.to_string())? {
            Response::Failed(why) => Err(why),
            Response::Refused(problems) => Err(problems.join("; ")),
            answer => Ok(answer),
        }
    }

    /// How one of them is, when it answers.
    pub fn status(&self, side: Side) -> Option<Status> {
        match self.ask(side, Request::Status) {
            Ok(Response::Status(status)) => Some(*status),
            Ok(_) | Err(_) => None,
        }
    }

    /// The pair as one of them sees it, when it answers.
    pub fn pair(&self, side: Side) -> Option<PairSnapshot> {
        match self.ask(side, Request::Pair) {
            Ok(Response::Pair(pair)) => Some(*pair),
            Ok(_) | Err(_) => None,
        }
    }
}

/// What keeps the role from moving without a loss, as one node sees it; nothing when the pair is well.
pub fn doubts(pair: &PairSnapshot) -> Vec<String> {
    let mut doubts = pair.lacks.clone();
    if pair.peer.as_ref().is_none_or(|peer| !peer.alive) {
        doubts.push("the peer is not heard".into());
    }
    if pair.role == Role::Active.name() && pair.replication.direction != "sends" {
        doubts.push("states are not being replicated".into());
    }
    if !pair.replication.synced {
        doubts.push("the standby has not all states".into());
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{PairPeerRow, ReplicationRow};

    #[test]
    fn a_pair_with_a_lack_is_a_doubt_and_a_whole_one_is_none() {
        let replication =
            ReplicationRow { direction: "sends".into(), synced: true, ..ReplicationRow::default() };
        let peer = Some(PairPeerRow { alive: true, ..Default::default() });
        let well = PairSnapshot {
            paired: true,
            role: "active".into(),
            replication,
            peer,
            ..PairSnapshot::default()
        };
        assert!(doubts(&well).is_empty(), "{:?}", doubts(&well));
        let lacking = PairSnapshot { lacks: vec!["the sync port does not carry".into()], ..well.clone() };
        assert_eq!(doubts(&lacking), ["the sync port does not carry"]);
        let off = ReplicationRow { direction: "off".into(), ..ReplicationRow::default() };
        assert_eq!(doubts(&PairSnapshot { replication: off, peer: None, ..well }).len(), 3);
    }
}
