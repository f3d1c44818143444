//! The node that shows the code: it answers, and never sends by itself.

use std::collections::VecDeque;

use serde::Serialize;
use snow::HandshakeState;

use super::super::channel::Bucket;
use super::super::noise::{Keys, Pattern, Start};
use super::super::{Code, Entropy, Identity, PublicKey};
use super::line::Line;
use super::{CHUNK, Ended, Outbox, PAYLOAD_MAX, Reply, Request, Step, message, psk};
use crate::types::{Duration, Instant};
use crate::wire::pair::{Envelope, Kind};

const LIFE: Duration = Duration::from_secs(600);
const TRIES: u8 = 5;
/// Handshakes begun in a second, and waiting for their proof at once.
const HELLOS: u64 = 20;
const OPEN_MAX: usize = 4;

/// How a creator stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It waits for a joiner, who has so many tries.
    Waiting(u8),
    /// A joiner has proven the code.
    Joining,
    /// It is over: both have everything.
    Paired,
    /// Five tries were wrong.
    TooManyTries,
    /// Ten minutes are over.
    Expired,
}

/// What a creator has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CreatorCounters {
    /// Datagrams that were no message of a pairing, or of no use now.
    pub ignored: u64,
    /// Hellos beyond what may be computed in a second.
    pub over_budget: u64,
    /// Proofs that were wrong.
    pub wrong: u64,
    /// Hellos and proofs after the end.
    pub refused: u64,
}

/// A handshake that waits for its proof.
struct Open {
    attempt: u32,
    hello: Vec<u8>,
    introduction: Vec<u8>,
    handshake: Box<HandshakeState>,
}

/// The joiner that has proven the code.
struct Guest {
    peer: PublicKey,
    proof: Vec<u8>,
    line: Line,
    total: usize,
    received: Vec<u8>,
    done: bool,
}

/// The side that shows the code.
pub struct Creator {
    identity: Identity,
    psk: [u8; 32],
    document: Vec<u8>,
    entropy: Box<dyn Entropy + Send>,
    expires: Instant,
    tries: u8,
    hellos: Bucket,
    open: VecDeque<Open>,
    guest: Option<Guest>,
    counters: CreatorCounters,
}

impl Creator {
    /// Waits for whoever knows `code`, to give him `document`; `None` when that is longer than [`PAYLOAD_MAX`].
    pub fn new(
        identity: Identity,
        code: &Code,
        document: Vec<u8>,
        entropy: Box<dyn Entropy + Send>,
        now: Instant,
    ) -> Option<Self> {
        (document.len() <= PAYLOAD_MAX).then(|| Creator {
            psk: psk(code, &identity.public()),
            identity,
            document,
            entropy,
            expires: now + LIFE,
            tries: TRIES,
            hellos: Bucket::new(HELLOS, now),
            open: VecDeque::new(),
            guest: None,
            counters: CreatorCounters::default(),
        })
    }

    /// A datagram of a pairing; what it answers goes back to the sender.
    pub fn handle_datagram(&mut self, now: Instant, bytes: &[u8], out: &mut Outbox) {
        let parsed = Envelope::parse(bytes).filter(|(envelope, _)| envelope.kind == Kind::Pairing);
        let Some((envelope, body)) = parsed else {
            self.counters.ignored += 1;
            return;
        };
        match Step::from_number(envelope.space) {
            Some(Step::Hello) => self.handle_hello(now, envelope.session, body, out),
            Some(Step::Proof) => self.handle_proof(now, envelope.session, body, out),
            Some(Step::Introduction | Step::Refusal) => self.counters.ignored += 1,
            None => self.handle_request(now, bytes, out),
        }
    }

    /// How it stands.
    pub fn standing(&self, now: Instant) -> Standing {
        match &self.guest {
            Some(guest) if guest.done => Standing::Paired,
            Some(_) | None if now >= self.expires => Standing::Expired,
            Some(_) => Standing::Joining,
            None if self.tries == 0 => Standing::TooManyTries,
            None => Standing::Waiting(self.tries),
        }
    }

    /// When the code expires. There is nothing to be done then.
    pub fn expires(&self) -> Instant {
        self.expires
    }

    /// What it has counted.
    pub fn counters(&self) -> CreatorCounters {
        self.counters
    }

    fn handle_hello(&mut self, now: Instant, attempt: u32, body: &[u8], out: &mut Outbox) {
        if let Some(open) = self.open.iter().find(|open| open.attempt == attempt && open.hello == body) {
            out.datagrams.push(open.introduction.clone());
            return;
        }
        if !self.hellos.take(now) {
            self.counters.over_budget += 1;
            return;
        }
        match self.standing(now) {
            Standing::Waiting(_) => {}
            Standing::Joining | Standing::Paired | Standing::TooManyTries | Standing::Expired => {
                self.counters.refused += 1;
                out.datagrams.push(message(Step::Refusal, attempt, &[]));
                return;
            }
        }
        let Some((introduction, handshake)) = self.introduce(body) else {
            self.counters.ignored += 1;
            return;
        };
        if self.open.len() >= OPEN_MAX {
            self.open.pop_front();
        }
        let introduction = message(Step::Introduction, attempt, &introduction);
        out.datagrams.push(introduction.clone());
        self.open.push_back(Open { attempt, hello: body.to_vec(), introduction, handshake });
    }

    fn introduce(&mut self, hello: &[u8]) -> Option<(Vec<u8>, Box<HandshakeState>)> {
        let start = Start {
            pattern: Pattern::Code,
            identity: &self.identity,
            peer: None,
            psk: Some(self.psk),
            initiator: false,
        };
        let mut handshake = start.build(self.entropy.as_mut()).ok()?;
        let mut room = [0; 256];
        if hello.len() > room.len() || handshake.read_message(hello, &mut room).ok()? != 0 {
            return None;
        }
        let len = handshake.write_message(&[], &mut room).ok()?;
        Some((room.get(..len)?.to_vec(), Box::new(handshake)))
    }

    fn handle_proof(&mut self, now: Instant, attempt: u32, body: &[u8], out: &mut Outbox) {
        if let Some(guest) = self.guest.as_mut().filter(|guest| guest.proof == body) {
            // The answer was lost.
            out.datagrams.extend(guest.line.seal(&Reply::Has(guest.received.len() as u32)));
            return;
        }
        let Some(place) = self.open.iter().position(|open| open.attempt == attempt) else {
            self.counters.ignored += 1;
            return;
        };
        let Some(open) = self.open.remove(place) else { return };
        match self.standing(now) {
            Standing::Waiting(_) => {}
            Standing::Joining | Standing::Paired | Standing::TooManyTries | Standing::Expired => {
                self.counters.refused += 1;
                out.datagrams.push(message(Step::Refusal, attempt, &[]));
                return;
            }
        }
        let Some((peer, keys)) = prove(open.handshake, body) else {
            self.tries = self.tries.saturating_sub(1);
            self.counters.wrong += 1;
            out.datagrams.push(message(Step::Refusal, attempt, &[]));
            return;
        };
        self.open.clear();
        let mut line = Line::new(keys);
        out.datagrams.extend(line.seal(&Reply::Has(0)));
        self.guest =
            Some(Guest { peer, proof: body.to_vec(), line, total: 0, received: Vec::new(), done: false });
    }

    fn handle_request(&mut self, now: Instant, bytes: &[u8], out: &mut Outbox) {
        let alive = match self.standing(now) {
            Standing::Joining | Standing::Paired => true,
            Standing::Waiting(_) | Standing::TooManyTries | Standing::Expired => false,
        };
        let guest = self.guest.as_mut().filter(|_| alive);
        let Some((guest, request)) =
            guest.and_then(|guest| guest.line.open::<Request>(bytes).map(|request| (guest, request)))
        else {
            self.counters.ignored += 1;
            return;
        };
        let reply = match request {
            Request::Give { total, at, bytes } => guest.receive(total as usize, at as usize, &bytes),
            Request::Take { at } => chunk(&self.document, at as usize),
            Request::Done => guest.finish(out),
        };
        match reply {
            Some(reply) => out.datagrams.extend(guest.line.seal(&reply)),
            None => self.counters.ignored += 1,
        }
    }
}

impl Guest {
    fn receive(&mut self, total: usize, at: usize, bytes: &[u8]) -> Option<Reply> {
        if total > PAYLOAD_MAX || (self.total != 0 && self.total != total) {
            return None;
        }
        self.total = total;
        // What came before is there already; what comes too early comes again.
        if at == self.received.len() && at + bytes.len() <= total {
            self.received.extend(bytes);
        }
        Some(Reply::Has(self.received.len() as u32))
    }

    fn finish(&mut self, out: &mut Outbox) -> Option<Reply> {
        if self.received.len() != self.total {
            return None;
        }
        if !self.done {
            self.done = true;
            out.ended = Some(Ended::Paired { peer: self.peer, payload: self.received.clone() });
        }
        Some(Reply::Done)
    }
}

fn chunk(document: &[u8], at: usize) -> Option<Reply> {
    let rest = document.get(at..)?;
    let bytes = rest.get(..CHUNK).unwrap_or(rest).to_vec();
    Some(Reply::Chunk { total: document.len() as u32, at: at as u32, bytes })
}

fn prove(mut handshake: Box<HandshakeState>, proof: &[u8]) -> Option<(PublicKey, Keys)> {
    let mut room = [0; 256];
    if proof.len() > room.len() {
        return None;
    }
    handshake.read_message(proof, &mut room).ok()?;
    let peer = PublicKey(<[u8; 32]>::try_from(handshake.get_remote_static()?).ok()?);
    Some((peer, Keys::of(&mut handshake)?))
}
