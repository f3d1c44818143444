//! A change that waits to be confirmed.

use super::{Agreement, Ground, Message, Outbox, Outcome, Peer, Phase};
use crate::config::life::{Author, Document, Name};
use crate::types::Instant;

impl Agreement {
    /// The change that waits stays, on both nodes.
    ///
    /// # Errors
    /// When nothing waits, or the disk fails.
    pub fn confirm(&mut self, ground: &mut dyn Ground, out: &mut Outbox) -> Result<(), String> {
        if self.life.armed().is_none() {
            return Err("nothing waits to be confirmed".into());
        }
        let before = self.life.clone();
        ground.run(&self.life.confirm()).map_err(|error| {
            self.life = before;
            format!("not confirmed: {error}")
        })?;
        if self.paired && self.present {
            out.messages.push(Message::Confirmed(self.life.main().hash.clone()).encode());
        }
        Ok(())
    }

    /// The change that waits goes back, on both nodes.
    ///
    /// # Errors
    /// When nothing waits, or something else is under way.
    pub fn roll_back(
        &mut self,
        author: Author,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let Some(change) = self.life.armed() else { return Err("nothing waits to be confirmed".into()) };
        if self.phase != Phase::Idle {
            return Err("another change is being made at this moment; try again".into());
        }
        let text = ground.read(&Name::Back).and_then(|bytes| String::from_utf8(bytes).ok());
        let (Some(text), Some(hash)) = (text, change.back.clone()) else {
            return Err("the way back is missing on the disk".into());
        };
        let document = Document { revision: change.record.revision + 1, hash, text };
        out.enforce = Some(document.clone());
        self.phase = Phase::GoingBack(Box::new(document), author);
        Ok(())
    }

    pub(super) fn gone_back(
        &mut self,
        now: Instant,
        document: Document,
        author: Author,
        result: Result<(), Vec<String>>,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) {
        if let Err(problems) = &result {
            out.notes.push(format!("the way back: {}", problems.join("; ")));
        }
        let [first, entry, clean] = self.life.roll_back(document, ground.now_ms(), author);
        let done = ground.run(&first);
        // On a full disk the history misses an entry until the next start; what is in force counts.
        let _ = ground.run(&entry);
        let done = done.and_then(|()| ground.run(&clean));
        let problems = done.err().map(|error| vec![error]).or(result.err());
        let peer = if self.paired { Peer::Away } else { Peer::None };
        out.outcome = Some(problems.map_or(Outcome::Done(peer), Outcome::Refused));
        self.hello(now, true, out);
    }
}
