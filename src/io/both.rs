//! The two nodes of a pair, as they can be asked from one of them: itself, and the other one through it.

use super::request::{Request, Response, Status};
use crate::cluster::upgrade::Side;
use crate::node::PairSnapshot;
use crate::types::Role;

/// Asks this node.
type Asking<'a> = dyn Fn(&Request) -> Result<Response, String> + 'a;

/// Both nodes.
pub struct Both<'a>(&'a Asking<'a>);

impl<'a> Both<'a> {
    /// The nodes, of which one is asked by `ask`.
    pub fn new(ask: &'a Asking<'a>) -> Self {
        Both(ask)
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
        (self.0)(&request)
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

/// An answer, or why there is none.
///
/// # Errors
/// When it is a refusal.
pub fn answered(response: Response) -> Result<Response, String> {
    match response {
        Response::Failed(why) => Err(why),
        Response::Refused(problems) => Err(problems.join("; ")),
        answer => Ok(answer),
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
