//! The pair as people see it: `koi show pair`, the status page, the API.

use serde::{Deserialize, Serialize};

use super::preflight::{self, Facts, Finding};
use super::vips::Alarm;
use super::{Helm, PairingRow, Vip, counters};
use crate::carp::State;
use crate::cluster::role;
use crate::node::snapshot::CounterRow;
use crate::types::Instant;

/// The pair, seen from this node.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PairSnapshot {
    /// There is a pair; otherwise only virtual IPs.
    pub paired: bool,
    pub node: String,
    pub peer_name: Option<String>,
    /// `alone`, `active` or `standby`.
    pub role: String,
    /// It forwards and has the virtual addresses at this moment.
    pub leads: bool,
    pub fenced: bool,
    pub epoch: u32,
    pub since_ms: u64,
    /// Why it has this role, in words.
    pub why: String,
    pub maintenance: bool,
    pub disabled: bool,
    /// A session of the channel stands.
    pub session: bool,
    /// It could fail over now.
    pub redundant: bool,
    /// What a fail-over would lack, in words.
    pub lacks: Vec<String>,
    /// Silence of this many milliseconds is death at present.
    pub dead_ms: u64,
    pub lateness_us: u64,
    pub peer: Option<PeerRow>,
    pub conditions: Vec<ConditionRow>,
    pub paths: Vec<PathRow>,
    pub timeline: Vec<TransitionRow>,
    pub virtual_ips: Vec<VirtualIpRow>,
    /// How far replication is; filled in by the courier.
    pub replication: ReplicationRow,
    /// What should be put right, and how.
    pub findings: Vec<Finding>,
    /// What the pair has counted.
    pub counters: Vec<CounterRow>,
    /// The present session was made under the keys that the document names.
    #[serde(default)]
    pub keys_in_use: bool,
    /// The node has been asked to let another one join.
    pub pairing: Option<PairingRow>,
}

/// The peer, as it last said.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PeerRow {
    pub alive: bool,
    pub heard_ms: Option<u64>,
    pub role: String,
    pub epoch: u32,
    pub lateness_us: u32,
    pub maintenance: bool,
    pub applied: u64,
    pub version: u16,
}

/// A condition of health, in the order in which they count.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ConditionRow {
    pub name: String,
    pub own: u8,
    pub peer: Option<u8>,
}

/// A way between the nodes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PathRow {
    pub name: String,
    pub up: bool,
    pub carries: bool,
    /// The peer hears this node on it.
    pub echoed: bool,
    pub heard_ms: Option<u64>,
    pub loss_permille: u16,
    pub lateness_us: u64,
}

/// A change of role.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct TransitionRow {
    pub ago_ms: u64,
    pub from: String,
    pub to: String,
    pub epoch: u32,
    pub why: String,
}

impl PairSnapshot {
    /// Virtual IPs of which this node, the standby, hears nothing, although it hears the active node there.
    pub fn unheard(&self) -> impl Iterator<Item = &VirtualIpRow> {
        let is_served = self.peer.as_ref().is_some_and(|peer| peer.alive && peer.role == "active");
        let is_cut =
            |vip: &VirtualIpRow| self.paths.iter().any(|path| path.name == vip.interface && !path.carries);
        self.virtual_ips.iter().filter(move |vip| is_served && vip.silent && !vip.foreign && !is_cut(vip))
    }
}

/// A virtual IP.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct VirtualIpRow {
    pub interface: String,
    pub vhid: u8,
    pub addresses: Vec<String>,
    pub mac: String,
    /// `MASTER`, `BACKUP` or `INIT`.
    pub state: String,
    pub foreign: bool,
    /// BACKUP, and no advertisement of the master has come for long.
    #[serde(default)]
    pub silent: bool,
    pub adverts_sent: u64,
    pub adverts_received: u64,
    pub bad_digests: u64,
    pub reflected: u64,
}

/// Replication of the connection table.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ReplicationRow {
    /// `sends`, `receives` or `off`.
    pub direction: String,
    pub synced: bool,
    pub newest: u64,
    pub acked: u64,
    pub applied: u64,
    /// How long the oldest change that the peer does not have has been waiting.
    pub lag_us: u64,
    pub resent: u64,
    /// The number of the stream; another one tells everything anew.
    pub stream: Option<u64>,
    /// Whether both nodes have the same states.
    pub digests: DigestRow,
    /// What telling everything took, or has taken so far.
    pub walk: WalkRow,
    /// The cable between the nodes carries nothing: what the standby has is getting old.
    #[serde(default)]
    pub stale: bool,
}

/// Whether both nodes have the same states, since the stream began.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct DigestRow {
    /// It is proven.
    pub equal: bool,
    /// Rounds in which all ranges were compared.
    pub rounds: u32,
    /// Since the end of the last one; the standby knows it.
    pub round_ms: Option<u64>,
    /// Ranges that differ at present.
    pub differing: u32,
    /// Some of them.
    pub ranges: Vec<RangeRow>,
    /// Ranges compared, by the standby.
    pub compared: u64,
    /// Ranges that had differed.
    pub healed: u32,
    /// From the beginning of the stream to the first proof.
    pub proven_after_ms: Option<u32>,
}

/// Slots of the active node's states that differ.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct RangeRow {
    pub family: String,
    pub first: u32,
    pub last: u32,
    pub since_ms: u64,
}

/// Telling everything.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct WalkRow {
    /// States told in full.
    pub full: u32,
    /// States that the standby had and was told only the names of.
    pub by_name: u32,
    pub bytes: u64,
    pub took_ms: Option<u64>,
}

impl Helm {
    /// The pair could fail over now: what [`PairSnapshot::redundant`] says, for those who ask at every step.
    pub fn is_redundant(&self) -> bool {
        self.elector.redundancy().is_full()
    }

    /// The pair at `now`.
    pub fn snapshot(&self, now: Instant) -> PairSnapshot {
        let (config, node) = (&self.compiled.config, self.compiled.node);
        let role::RoleSnapshot {
            role,
            leads,
            fenced,
            epoch,
            since_ms,
            cause: _,
            why,
            maintenance,
            disabled,
            listens_ms: _,
            session,
            redundant,
            lacks,
            dead_ms,
            lateness_us,
            peer,
            conditions,
            paths,
            timeline,
            counters: role_counters,
        } = self.elector.snapshot(now);
        let mut snapshot = PairSnapshot {
            paired: config.pair.is_some(),
            node: config.node_part(node).name.clone(),
            peer_name: config.peer_of(node).map(|peer| config.node_part(peer).name.clone()),
            role: role.name().into(),
            leads,
            fenced,
            epoch,
            since_ms,
            why: why.into(),
            maintenance,
            disabled,
            session,
            redundant,
            lacks: lacks.iter().map(|lack| lack.words().into()).collect(),
            dead_ms,
            lateness_us,
            peer: peer.map(peer_row),
            conditions: conditions
                .into_iter()
                .map(|row| ConditionRow { name: row.name.into(), own: row.own, peer: row.peer })
                .collect(),
            paths: paths.into_iter().map(|row| self.path_row(row)).collect(),
            timeline: timeline.into_iter().map(transition_row).collect(),
            virtual_ips: self.vips.iter().map(|vip| vip_row(now, vip)).collect(),
            replication: ReplicationRow::default(),
            findings: Vec::new(),
            keys_in_use: self
                .channel
                .as_ref()
                .is_some_and(|channel| channel.stands() && channel.is_current()),
            pairing: self.pairing.row(now),
            counters: counters::rows(
                &role_counters,
                self.channel.as_ref().map(|channel| channel.counters()).as_ref(),
                self.vips.iter().map(|vip| vip.engine.snapshot(now).counters),
            ),
        };
        let alarms = self.vips.iter().enumerate();
        let alarms: Vec<(usize, Alarm)> = alarms
            .flat_map(|(index, vip)| vip.present_alarms(now).map(move |alarm| (index, alarm)))
            .collect();
        snapshot.findings = preflight::findings(
            &snapshot,
            &Facts {
                lacks: &lacks,
                alarms: &alarms,
                gateways: config.gateways.len(),
                preferred: config.is_preferred(node),
                preempts: config.pair.as_ref().is_some_and(|pair| pair.preempt),
                real_time: self.real_time,
                clocks_apart: self.clocks_apart,
            },
        );
        snapshot
    }

    fn path_row(&self, row: role::PathRow) -> PathRow {
        let role::PathRow { path, up, carries, heard_ms, echoed, loss_permille, lateness_us } = row;
        let way = self.ways.iter().find(|way| way.path.0 == path);
        let name = way.map_or_else(|| path.to_string(), |way| way.name.clone());
        PathRow { name, up, carries, echoed, heard_ms, loss_permille, lateness_us }
    }
}

fn peer_row(row: role::PeerRow) -> PeerRow {
    let role::PeerRow {
        alive,
        heard_ms,
        role,
        epoch,
        preference: _,
        lateness_us,
        maintenance,
        applied,
        version,
    } = row;
    PeerRow { alive, heard_ms, role: role.name().into(), epoch, lateness_us, maintenance, applied, version }
}

fn transition_row(row: role::TransitionRow) -> TransitionRow {
    let role::TransitionRow { ago_ms, from, to, epoch, cause: _, why } = row;
    TransitionRow { ago_ms, from: from.name().into(), to: to.name().into(), epoch, why: why.into() }
}

fn vip_row(now: Instant, vip: &Vip) -> VirtualIpRow {
    let snapshot = vip.engine.snapshot(now);
    VirtualIpRow {
        interface: vip.place.name.clone(),
        vhid: snapshot.vhid.0,
        addresses: vip.place.addresses.iter().map(ToString::to_string).collect(),
        mac: vip.place.mac.to_string(),
        state: match snapshot.state {
            State::Init => "INIT".into(),
            State::Backup => "BACKUP".into(),
            State::Master => "MASTER".into(),
        },
        foreign: vip.place.foreign,
        silent: snapshot.silent,
        adverts_sent: snapshot.counters.sent,
        adverts_received: snapshot.counters.received,
        bad_digests: snapshot.counters.bad_digest,
        reflected: snapshot.counters.reflected,
    }
}
