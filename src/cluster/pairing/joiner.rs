//! The node on which the code is typed: it asks, and repeats until it is answered.

use snow::HandshakeState;

use super::super::noise::{Keys, Pattern, Start};
use super::super::{Code, Entropy, Identity, PublicKey};
use super::line::Line;
use super::{CHUNK, Ended, Outbox, PAYLOAD_MAX, Reply, Request, Step, message, psk};
use crate::types::{Duration, Instant};
use crate::wire::pair::{Envelope, Kind};

const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// Without any progress for so long it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a joiner gave up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Nobody answers.
    Silence,
    /// The other side refused: the code is wrong, used up or too old.
    Refused,
    /// The other side sends what makes no sense.
    Nonsense,
}

/// How far it has come.
enum Stage {
    /// Hello is sent.
    Hello(Box<HandshakeState>),
    /// The proof is sent; when the creator has accepted it, the payloads go over.
    Exchange { peer: PublicKey, line: Box<Line>, accepted: bool },
    /// There is nothing more to be done.
    Ended,
}

/// The side on which the code is typed.
pub struct Joiner {
    code: Code,
    stage: Stage,
    attempt: u32,
    /// What is repeated: the hello, the proof.
    message: Vec<u8>,
    given: usize,
    own: Vec<u8>,
    total: Option<usize>,
    document: Vec<u8>,
    at: Instant,
    wait: Duration,
    progress: Instant,
    failure: Option<Failure>,
}

impl Joiner {
    /// Looks for the creator of `code`, to give it `own` (see [`super::Party`]); `None` when that is longer than
    /// [`PAYLOAD_MAX`].
    pub fn new(
        identity: &Identity,
        code: Code,
        own: Vec<u8>,
        entropy: &mut dyn Entropy,
        now: Instant,
    ) -> Option<Self> {
        if own.len() > PAYLOAD_MAX {
            return None;
        }
        let mut attempt = [0; 4];
        entropy.fill(&mut attempt);
        let attempt = u32::from_be_bytes(attempt);
        let start = Start { pattern: Pattern::Code, identity, peer: None, psk: None, initiator: true };
        let mut handshake = start.build(entropy).ok()?;
        let mut room = [0; 256];
        let len = handshake.write_message(&[], &mut room).ok()?;
        Some(Joiner {
            code,
            stage: Stage::Hello(Box::new(handshake)),
            attempt,
            message: message(Step::Hello, attempt, room.get(..len)?),
            given: 0,
            own,
            total: None,
            document: Vec::new(),
            at: now,
            wait: RETRY_MIN,
            progress: now,
            failure: None,
        })
    }

    /// A datagram of a pairing.
    pub fn handle_datagram(&mut self, now: Instant, bytes: &[u8], out: &mut Outbox) {
        let parsed = Envelope::parse(bytes).filter(|(envelope, _)| envelope.kind == Kind::Pairing);
        let Some((envelope, body)) = parsed else { return };
        let advanced = match Step::from_number(envelope.space) {
            Some(Step::Introduction) => envelope.session == self.attempt && self.handle_introduction(body),
            Some(Step::Refusal) => envelope.session == self.attempt && self.handle_refusal(),
            Some(Step::Hello | Step::Proof) => false,
            None => self.handle_reply(bytes, out),
        };
        if advanced {
            (self.at, self.wait, self.progress) = (now, RETRY_MIN, now);
            self.handle_timeout(now, out);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        if matches!(self.stage, Stage::Ended) {
            return;
        }
        if now.since(self.progress) >= PATIENCE {
            self.failure = Some(Failure::Silence);
        }
        if let Some(failure) = self.failure {
            self.stage = Stage::Ended;
            out.ended = Some(Ended::Failed(failure));
            return;
        }
        if now >= self.at {
            self.at = now + self.wait;
            self.wait = (self.wait * 2).min(RETRY_MAX);
            out.datagrams.extend(self.question());
        }
    }

    /// When it wants to be called again; `None` after the end.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Hello(_) | Stage::Exchange { .. } => Some(self.at.min(self.progress + PATIENCE)),
            Stage::Ended => None,
        }
    }

    /// What it has of the document, and how long that is, as far as it knows.
    pub fn progress(&self) -> (usize, Option<usize>) {
        (self.document.len(), self.total)
    }

    /// What is to be said now.
    fn question(&mut self) -> Option<Vec<u8>> {
        match &mut self.stage {
            Stage::Hello(_) | Stage::Exchange { accepted: false, .. } => Some(self.message.clone()),
            Stage::Exchange { peer: _, line, accepted: true } => {
                let request = if self.given < self.own.len() {
                    let rest = &self.own[self.given..];
                    let bytes = rest.get(..CHUNK).unwrap_or(rest).to_vec();
                    Request::Give { total: self.own.len() as u32, at: self.given as u32, bytes }
                } else if self.total != Some(self.document.len()) {
                    Request::Take { at: self.document.len() as u32 }
                } else {
                    Request::Done
                };
                line.seal(&request)
            }
            Stage::Ended => None,
        }
    }

    /// The creator shows its key; the proof is made for that key and no other.
    fn handle_introduction(&mut self, body: &[u8]) -> bool {
        let Stage::Hello(handshake) = &mut self.stage else { return false };
        let mut room = [0; 256];
        if body.len() > room.len() || handshake.read_message(body, &mut room).is_err() {
            return false;
        }
        let proven = prove(handshake, &self.code);
        let Some((creator, proof, keys)) = proven else {
            self.failure = Some(Failure::Nonsense);
            return true;
        };
        self.message = message(Step::Proof, self.attempt, &proof);
        self.stage = Stage::Exchange { peer: creator, line: Box::new(Line::new(keys)), accepted: false };
        true
    }

    fn handle_refusal(&mut self) -> bool {
        match self.stage {
            Stage::Hello(_) | Stage::Exchange { accepted: false, .. } => {
                self.failure = Some(Failure::Refused);
                true
            }
            // A late one, or a stranger's.
            Stage::Exchange { accepted: true, .. } | Stage::Ended => false,
        }
    }

    /// True when there is something new to ask for.
    fn handle_reply(&mut self, bytes: &[u8], out: &mut Outbox) -> bool {
        let Stage::Exchange { peer, line, accepted } = &mut self.stage else { return false };
        let peer = *peer;
        let Some(reply) = line.open::<Reply>(bytes) else { return false };
        // The first word on the line says that the creator has accepted the proof.
        let first = !std::mem::replace(accepted, true);
        match reply {
            Reply::Has(count) => self.handle_has(count as usize) || first,
            Reply::Chunk { total, at, bytes } => {
                self.handle_chunk(total as usize, at as usize, &bytes) || first
            }
            Reply::Done => {
                if self.total == Some(self.document.len()) && self.given == self.own.len() {
                    self.stage = Stage::Ended;
                    out.ended = Some(Ended::Paired { peer, payload: std::mem::take(&mut self.document) });
                }
                first
            }
        }
    }

    fn handle_has(&mut self, count: usize) -> bool {
        let news = count > self.given && count <= self.own.len();
        if news {
            self.given = count;
        }
        news
    }

    fn handle_chunk(&mut self, total: usize, at: usize, bytes: &[u8]) -> bool {
        if total > PAYLOAD_MAX || self.total.is_some_and(|known| known != total) {
            self.failure = Some(Failure::Nonsense);
            return true;
        }
        let news = at == self.document.len()
            && at + bytes.len() <= total
            && (self.total.is_none() || !bytes.is_empty());
        if news {
            self.total = Some(total);
            self.document.extend(bytes);
        }
        news
    }
}

/// The creator's key, the proof for it, and the keys of the line.
fn prove(handshake: &mut HandshakeState, code: &Code) -> Option<(PublicKey, Vec<u8>, Keys)> {
    let creator = PublicKey(<[u8; 32]>::try_from(handshake.get_remote_static()?).ok()?);
    handshake.set_psk(3, &psk(code, &creator)).ok()?;
    let mut room = [0; 256];
    let len = handshake.write_message(&[], &mut room).ok()?;
    Some((creator, room.get(..len)?.to_vec(), Keys::of(handshake)?))
}
