//! The two threads of the pair, and how they are connected with the rest of the router.

use std::io;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;

use super::child::SPEAKS_VARIABLE;
use super::courier_thread::{CourierHandle, CourierThread};
use super::entropy::{self, System};
use super::favoured::Favoured;
use super::forward::Forward;
use super::handle::Order;
use super::helm_thread::{HelmHandle, HelmOrder, HelmThread, Listeners, PairingListener};
use super::keys::KeyStep;
use super::orders::{Report, Start};
use super::poller::Poller;
use super::post::{Done, Listener};
use super::router::Reporter;
use super::standing::Published;
use super::{clock, courier_link, files, helm_link, keys, pace};
use crate::cluster::keyring::Renewal;
use crate::cluster::parcel::Kind;
use crate::cluster::role::Request;
use crate::cluster::{Entropy, Identity, Keyring};
use crate::node::{Compiled, Helm, HelmNotice, HelmOutbox, MakeEntropy, PairSnapshot, PairingOrder};
use crate::types::{PublicKey, Role, Standing};
use crate::wire::pair::Version;

/// How long the role thread may take to answer, or to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it may take until both nodes are proven to have the same states, and how often that is looked at.
const PROOF: Duration = Duration::from_secs(45);
const LOOK: Duration = Duration::from_millis(50);

/// This file in the state directory: the node is in maintenance.
const MAINTENANCE: &str = "maintenance";
/// A planned move of the role takes this long at most, or has not happened.
const OUTCOME: Duration = Duration::from_secs(2);
/// The same when the node is about to end.
const LEAVE: Duration = Duration::from_secs(1);
/// How often that is looked at.
const LOOK_CLOSELY: Duration = Duration::from_millis(2);
const NO_ANSWER: &str = "the role thread does not answer";
/// Lines that may wait for the log.
const NOTICES: usize = 256;

/// The role thread, as others see it.
#[derive(Clone)]
pub struct PairHandle {
    helm: HelmHandle,
    courier: CourierHandle,
    keyring: Arc<Mutex<Keyring>>,
}

impl PairHandle {
    /// Starts both threads and connects the forward thread, which has not been started yet, with them.
    ///
    /// # Errors
    /// When the key can be neither read nor made, or when there can be no more threads.
    pub fn start(
        start: &Start,
        compiled: &Arc<Compiled>,
        forward: &mut Forward,
        replica: Favoured,
        reporter: &Reporter,
        names: &Arc<Mutex<Vec<String>>>,
    ) -> anyhow::Result<PairHandle> {
        let identity = keys::load_or_make(Path::new(".")).context("the key of the pair")?;
        let mut keyring = Keyring::new(identity.clone());
        keyring.renewal = keys::renewal(Path::new(".")).context("the renewal of the keys")?;
        let fresh = start.restarts == 0;
        let make: MakeEntropy = Box::new(|| Box::new(System) as Box<dyn Entropy + Send>);
        let mut out = HelmOutbox::default();
        let (seed, now) = (entropy::seed()?, clock::now());
        let mut helm = Helm::new(Arc::clone(compiled), identity, make, fresh, seed, now, &mut out);
        if let Some(version) = spoken() {
            tracing::warn!(%version, "this node speaks as an earlier release would");
            helm.speak(version);
        }
        if keyring.renewal.is_some() {
            helm.handle_keyring(now, keyring.clone(), &mut out);
        }
        // Nothing is forwarded and no virtual address is answered for before the helm has said so.
        let published = Arc::new(Published::new(Standing { until: clock::now(), ..helm.standing() }));
        let sync = helm.sync_port();

        let poller = Poller::new().context("the replica thread")?;
        let (shard_end, courier_end) = courier_link::pair(poller.waker());
        let courier = CourierThread::new(courier_end, forward.handle(), poller);
        let courier_handle = courier.handle();
        courier_handle.set_way(compiled);

        let poller = Poller::new().context("the role thread")?;
        let (forward_end, helm_end) = helm_link::pair(poller.waker(), Arc::clone(&published));
        let listeners = listeners(forward, reporter, names);
        let helm =
            HelmThread::new((helm, out), helm_end, published, courier_handle.clone(), listeners, poller);
        let handle = helm.handle();
        courier_handle.connect_helm(handle.clone());
        forward.connect_helm(forward_end, sync);
        forward.connect_courier(shard_end);
        if Path::new(MAINTENANCE).exists() {
            handle.order(HelmOrder::Request(Request::Maintenance(true), Box::new(drop)));
        }
        courier.start(replica);
        helm.start().context("the role thread")?;
        Ok(PairHandle { helm: handle, courier: courier_handle, keyring: Arc::new(Mutex::new(keyring)) })
    }

    /// A configuration comes into force next; returns when the role thread is ready for it.
    pub fn prepare(&self, compiled: &Compiled) {
        let config = &compiled.config;
        let peer = config.peer_of(compiled.node).and_then(|peer| config.node_part(peer).public_key);
        let (sender, receiver) = sync_channel(1);
        let done = move || {
            // Whoever waited has lost patience when this fails.
            let _ = sender.try_send(());
        };
        self.order(HelmOrder::Prepare(peer, Box::new(done)));
        if receiver.recv_timeout(PATIENCE).is_err() {
            tracing::error!("the role thread does not answer");
        }
    }

    /// Another configuration is in force; returns when the role thread has it. Until then the caller keeps the one
    /// before: a large document takes longer to be freed than a lease lasts.
    pub fn apply(&self, compiled: Arc<Compiled>) {
        let (sender, receiver) = sync_channel(1);
        let done = move || {
            // Whoever waited has lost patience when this fails.
            let _ = sender.try_send(());
        };
        self.order(HelmOrder::Apply(compiled, Box::new(done)));
        if receiver.recv_timeout(PATIENCE).is_err() {
            tracing::error!("{NO_ANSWER}");
        }
    }

    /// The pair, for people.
    ///
    /// # Errors
    /// When the role thread does not answer.
    pub fn snapshot(&self) -> Result<PairSnapshot, String> {
        let (sender, receiver) = sync_channel(1);
        // When nobody waits any more, the answer is not needed.
        self.ask(Box::new(move |snapshot| drop(sender.try_send(snapshot))));
        receiver.recv_timeout(PATIENCE).map_err(|_| NO_ANSWER.to_owned())
    }

    /// The pair, for people who cannot wait: `reply` is called when there is an answer. False when too many ask.
    pub fn ask(&self, reply: Box<dyn FnOnce(PairSnapshot) + Send>) -> bool {
        self.helm.order(HelmOrder::Snapshot(reply))
    }

    /// Tells the standby everything anew; returns when both nodes are proven to have the same states.
    ///
    /// # Errors
    /// When nothing is being replicated, or when it is not proven in time: what differs.
    pub fn resync(&self) -> Result<PairSnapshot, String> {
        let before = self.snapshot()?.replication.stream;
        let (sender, receiver) = sync_channel(1);
        // When nobody waits any more, the answer is not needed.
        self.courier.again(Box::new(move |begun| {
            let _ = sender.try_send(begun);
        }));
        let begun = receiver.recv_timeout(PATIENCE).map_err(|_| "the replica thread does not answer")?;
        begun.map_err(|why| format!("The states cannot be told anew: {why}."))?;
        let end = clock::now() + PROOF;
        loop {
            let snapshot = self.snapshot()?;
            let replication = &snapshot.replication;
            if replication.stream != before && replication.synced && replication.digests.equal {
                return Ok(snapshot);
            }
            if clock::now() >= end {
                let differing = replication.digests.differing;
                return Err(format!(
                    "Not proven within {} s: {} rounds of digests since then, {differing} ranges differ at present.",
                    PROOF.as_secs(),
                    replication.digests.rounds
                ));
            }
            pace::until(clock::now() + LOOK);
        }
    }

    /// An operator asks. Of a handover and a takeover the outcome is waited for.
    ///
    /// # Errors
    /// When that is refused, or does not happen; or when a wish that shall outlive a restart cannot be written down:
    /// nothing has changed then.
    pub fn request(&self, request: Request) -> Result<(), String> {
        let written = match request {
            Request::Maintenance(true) => files::write_atomically(Path::new(MAINTENANCE), b""),
            Request::Maintenance(false) => match std::fs::remove_file(MAINTENANCE) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
            Request::Disable(_) | Request::Resign | Request::HandOver | Request::TakeOver => Ok(()),
        };
        written.map_err(|error| format!("the state directory: {error}"))?;
        self.ask_helm(request)?;
        match request {
            Request::HandOver => self.wait_until(OUTCOME, has_handed_over),
            Request::TakeOver => self.wait_until(OUTCOME, |pair| pair.role == Role::Active.name()),
            Request::Maintenance(_) | Request::Disable(_) | Request::Resign => Ok(()),
        }
    }

    /// # Errors
    /// Why the request is not followed.
    fn ask_helm(&self, request: Request) -> Result<(), String> {
        let (sender, receiver) = sync_channel(1);
        let answer = move |followed| {
            // Whoever waited has lost patience when this fails.
            let _ = sender.try_send(followed);
        };
        self.order(HelmOrder::Request(request, Box::new(answer)));
        let followed = receiver.recv_timeout(PATIENCE).map_err(|_| NO_ANSWER.to_owned())?;
        followed.map_err(|refusal| format!("cannot {request}: {refusal}"))
    }

    /// Looks at the pair until it is as wanted.
    ///
    /// # Errors
    /// When it does not become so in time.
    fn wait_until(&self, limit: Duration, wanted: impl Fn(&PairSnapshot) -> bool) -> Result<(), String> {
        let deadline = clock::now() + limit;
        loop {
            let pair = self.snapshot()?;
            if wanted(&pair) {
                return Ok(());
            }
            if clock::now() >= deadline {
                let peer = pair.peer.map_or_else(|| "not heard".into(), |peer| peer.role);
                return Err(format!(
                    "the role has not moved within {} ms: this node is {}, the other one {peer}",
                    limit.as_millis(),
                    pair.role
                ));
            }
            pace::until(clock::now() + LOOK_CLOSELY);
        }
    }

    /// An active node that is about to end hands over first, as far as that is possible within a second.
    pub fn leave(&self) {
        let serves =
            |pair: PairSnapshot| pair.role == Role::Active.name() && pair.peer.is_some_and(|peer| peer.alive);
        if !self.snapshot().is_ok_and(serves) {
            return;
        }
        let left =
            self.ask_helm(Request::Disable(true)).and_then(|()| self.wait_until(LEAVE, has_handed_over));
        if let Err(why) = left {
            tracing::warn!("ends without a handover: {why}");
        }
    }

    /// This node's key, for its peer's document.
    pub fn public_key(&self, compiled: &Compiled) -> PublicKey {
        let own = compiled.config.node_part(compiled.node).public_key;
        self.keyring.lock().unwrap_or_else(PoisonError::into_inner).identity(own).public()
    }

    /// Takes a step of a renewal of the keys; gives the key that it is about.
    ///
    /// # Errors
    /// When it cannot be taken now; nothing has changed then.
    pub fn renew_keys(&self, step: KeyStep, compiled: &Compiled) -> Result<PublicKey, String> {
        let config = &compiled.config;
        let peer = config.peer_of(compiled.node).and_then(|peer| config.node_part(peer).public_key);
        let own = config.node_part(compiled.node).public_key;
        let in_use = self.snapshot()?.keys_in_use;
        let mut keyring = self.keyring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = keyring.clone();
        let key = match (step, next.renewal.take()) {
            (KeyStep::Make, Some(renewal)) => return Ok(renewal.identity.public()),
            (KeyStep::Make, None) => {
                let peer_before = peer.ok_or("there is no peer")?;
                let renewal = Renewal { identity: Identity::generate(&mut System), peer: None, peer_before };
                next.renewal.insert(renewal).identity.public()
            }
            (KeyStep::Learn(_), None) => return Err("no renewal of the keys has been begun here".into()),
            (KeyStep::Learn(key), Some(renewal)) => {
                next.renewal = Some(Renewal { peer: Some(key), ..renewal });
                key
            }
            (KeyStep::Finish, None) => return Ok(next.identity.public()),
            (KeyStep::Finish, Some(renewal)) => {
                if own != Some(renewal.identity.public()) || peer != renewal.peer {
                    return Err("the document does not name the new keys yet".into());
                }
                if !in_use {
                    return Err("the two nodes do not speak with each other under the new keys yet".into());
                }
                keys::finish_renewal(Path::new("."), &renewal)
                    .map_err(|error| format!("the keys: {error}"))?;
                next.identity = renewal.identity;
                next.identity.public()
            }
        };
        if let Some(renewal) = &next.renewal {
            keys::write_renewal(Path::new("."), renewal).map_err(|error| format!("the keys: {error}"))?;
        }
        *keyring = next.clone();
        self.order(HelmOrder::Keyring(Box::new(next)));
        Ok(key)
    }

    /// Begins or ends a pairing; whoever listened to the one before hears no more of it.
    pub fn pairing(&self, order: PairingOrder, listener: PairingListener) {
        self.order(HelmOrder::Pairing(order, listener));
    }

    /// Sends a parcel to the peer; `done` hears what became of it. Neither this nor `done` waits for the peer.
    pub fn send_parcel(&self, kind: Kind, bytes: Vec<u8>, done: Done) {
        self.courier.send_parcel(kind, bytes, done);
    }

    /// The peer's parcels of this kind go to `listener`, which must not wait.
    pub fn listen(&self, kind: Kind, listener: Listener) {
        self.courier.listen(kind, listener);
    }

    /// Hands over and takes leave; returns when the last word is out.
    pub fn stop(&self) {
        let (sender, receiver) = sync_channel(1);
        let done = move || {
            // Whoever waited has lost patience when this fails.
            let _ = sender.try_send(());
        };
        self.order(HelmOrder::Stop(Box::new(done)));
        if receiver.recv_timeout(PATIENCE).is_err() {
            tracing::error!("the role thread does not end");
        }
    }

    fn order(&self, order: HelmOrder) {
        if !self.helm.order(order) {
            tracing::error!("the role thread takes no orders");
        }
    }
}

/// What a drill wants this node to speak.
fn spoken() -> Option<Version> {
    let version = std::env::var(SPEAKS_VARIABLE).ok()?.parse().ok().map(Version)?;
    (Version::OLDEST..=Version::NEWEST).contains(&version).then_some(version)
}

/// The other node leads, and has got everything that this one had left.
fn has_handed_over(pair: &PairSnapshot) -> bool {
    let taken = pair.peer.as_ref().is_some_and(|peer| peer.role == Role::Active.name());
    pair.role == Role::Standby.name() && taken && pair.replication.direction != "sends"
}

fn listeners(forward: &Forward, reporter: &Reporter, names: &Arc<Mutex<Vec<String>>>) -> Listeners {
    let (reporter, names) = (reporter.clone(), Arc::clone(names));
    let asks = reporter.clone();
    let handle = forward.handle();
    let (wake_forward, probing) = (handle.waker(), handle.clone());
    let (notices, heard) = sync_channel::<HelmNotice>(NOTICES);
    let speak = move || {
        for HelmNotice { wrong, place, text } in heard {
            match wrong {
                true => tracing::warn!(place, "{text}"),
                false => tracing::info!(place, "{text}"),
            }
        }
    };
    // Without this thread the log lacks lines, and nothing else.
    let _ = std::thread::Builder::new().name("pair-log".into()).spawn(speak);
    Listeners {
        notice: Box::new(move |notice| drop(notices.try_send(notice))),
        resignation: Box::new(move |frames| {
            let names = names.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let named = frames.into_iter().filter_map(|(port, frame)| {
                Some((names.get(usize::from(port.0))?.clone(), frame.bytes().to_vec()))
            });
            reporter.say(&Report::Resignation { frames: named.collect() });
        }),
        precede: Box::new(move |thread| asks.say(&Report::Precede { thread })),
        wake_forward,
        probe: Box::new(move |interface, port| {
            // It is asked for again until it has been asked.
            let _ = probing.order(Order::Probe(interface, port));
        }),
        packets: Box::new(move |packets| {
            // An advertisement that is not sent is like one that was lost.
            let _ = handle.order(Order::Packets(packets));
        }),
    }
}
