//! A change from the proposal to the commit, on either side.

use super::{ASK, Agreement, Ground, Message, Outbox, Outcome, PATIENCE, Peer, Phase, Proposal};
use crate::config::life::{Confirm, Document, Life, Record};
use crate::types::Instant;

impl Agreement {
    /// A change shall be made on both nodes.
    ///
    /// # Errors
    /// When another one is under way; nothing has changed then.
    pub fn propose(
        &mut self,
        now: Instant,
        document: Document,
        record: Record,
        confirm: Option<(u64, String)>,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) -> Result<(), Vec<String>> {
        if self.phase != Phase::Idle {
            return Err(vec!["another change is being made at this moment; try again".into()]);
        }
        if self.life.armed().is_some() {
            return Err(vec![
                "the last change waits to be confirmed: confirm it, or roll it back, first".into(),
            ]);
        }
        let record = Record { epoch: self.epoch.0, ..record };
        let base = self.life.main().hash.clone();
        let proposal = Box::new(Proposal { document, base, record, confirm });
        self.stage(&proposal, false, ground)?;
        if self.paired && self.present {
            out.messages.push(Message::Prepare(proposal.clone()).encode());
            self.phase = Phase::Asked(proposal, now + PATIENCE);
        } else {
            let peer = if self.paired { Peer::Away } else { Peer::None };
            self.enforce(proposal, peer, out);
        }
        Ok(())
    }

    pub(super) fn stage(
        &mut self,
        proposal: &Proposal,
        in_doubt: bool,
        ground: &mut dyn Ground,
    ) -> Result<(), Vec<String>> {
        let Proposal { document, base: _, record, confirm } = proposal;
        ground.check(document)?;
        let before = self.life.clone();
        let confirm = confirm.clone().map(|(seconds, back)| (Confirm { seconds, until_ms: None }, back));
        let steps = self.life.stage(document, record.clone(), confirm, in_doubt);
        ground.run(&steps).map_err(|error| {
            // What was written is of no use; should it stay, the next start finds it.
            let _ = ground.run(&self.life.abort());
            self.life = before;
            vec![format!("nothing has changed: {error}")]
        })
    }

    pub(super) fn abort(&mut self, ground: &mut dyn Ground) {
        // Should it fail, the next start finds what is left.
        let _ = ground.run(&self.life.abort());
        self.phase = Phase::Idle;
    }

    pub(super) fn enforce(&mut self, proposal: Box<Proposal>, peer: Peer, out: &mut Outbox) {
        out.enforce = Some(proposal.document.clone());
        self.phase = Phase::Enforcing(proposal, peer);
    }

    pub(super) fn enforced(
        &mut self,
        now: Instant,
        proposal: Proposal,
        peer: Peer,
        result: Result<(), Vec<String>>,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) {
        let name = proposal.document.hash.clone();
        if let Err(problems) = result.and_then(|()| self.commit(proposal.document, ground, out)) {
            self.abort(ground);
            if peer == Peer::Same {
                out.messages.push(Message::Abort(name).encode());
            }
            out.outcome = Some(Outcome::Refused(problems));
        } else if peer == Peer::Same && self.present {
            out.messages.push(Message::Commit(name.clone()).encode());
            self.phase = Phase::Telling(name, now + PATIENCE);
        } else {
            let peer = if peer == Peer::Same { Peer::Away } else { peer };
            out.outcome = Some(Outcome::Done(peer));
        }
    }

    /// What is in force is in its file; or what was before comes into force again.
    pub(super) fn commit(
        &mut self,
        document: Document,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) -> Result<(), Vec<String>> {
        let before = self.life.clone();
        let steps = self.life.commit(document, ground.now_ms());
        ground.run(&steps).map_err(|error| {
            self.life = before;
            out.enforce = Some(self.life.main().clone());
            vec![error]
        })
    }

    pub(super) fn prepare(
        &mut self,
        now: Instant,
        proposal: Box<Proposal>,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) {
        let name = proposal.document.hash.clone();
        let staged = if self.phase != Phase::Idle || self.life.armed().is_some() {
            Err(vec!["another change is being made there at this moment; try again".into()])
        } else if self.life.main().hash != proposal.base {
            self.hello(now, true, out);
            Err(vec!["it has another configuration at this moment; see koi show pair and try again".into()])
        } else {
            self.stage(&proposal, true, ground)
        };
        let answer = match staged {
            Ok(()) => {
                self.phase = Phase::Prepared(Box::new(proposal.document), now + ASK);
                Message::Ready(name)
            }
            Err(problems) => Message::Refused(name, problems),
        };
        out.messages.push(answer.encode());
    }

    /// What was prepared has happened.
    pub(super) fn obey(&mut self, document: Document, ground: &mut dyn Ground, out: &mut Outbox) {
        let staged = self.life.change().map(|change| Life::file_of(&change.record));
        let text = || staged.and_then(|name| Life::text_in(&ground.read(&name)?)).unwrap_or_default();
        let text = if document.text.is_empty() { text() } else { document.text };
        let document = Document { text, ..document };
        out.enforce = Some(document.clone());
        self.phase = Phase::Obeying(Box::new(document));
    }
}
