//! What an operator may ask of a node's role.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Asked by an operator. Whether a wish outlives a restart is the caller's matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// pfSense's persistent maintenance mode: the node serves only when its peer cannot.
    Maintenance(bool),
    /// pfSense's "temporarily disable CARP": the node gives up, and serves no more whatever happens.
    Disable(bool),
    /// The active gives the role up at once, whatever is under way.
    Resign,
    /// The active hands over without losing a packet, if the standby has everything.
    HandOver,
    /// The standby takes over.
    TakeOver,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Request::Maintenance(true) => "enter maintenance",
            Request::Maintenance(false) => "leave maintenance",
            Request::Disable(true) => "disable",
            Request::Disable(false) => "enable",
            Request::Resign => "resign",
            Request::HandOver => "hand over",
            Request::TakeOver => "take over",
        })
    }
}

/// Why a request was not followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is no pair.
    NoPair,
    /// The node is not active.
    NotActive,
    /// The node is active already.
    NotStandby,
    /// The peer is not heard, or does not hear this node.
    PeerSilent,
    /// The peer cannot serve.
    PeerUnable,
    /// This node cannot serve.
    Unable,
    /// The other node is healthier: it would take the role back.
    Worse,
    /// This node is in maintenance.
    Maintenance,
    /// The standby has not got all states.
    NotSynced,
    /// The cable between the nodes carries nothing.
    SyncDown,
    /// The standby is behind with the changes that it is told.
    Behind,
    /// The peer's release knows of no handover.
    PeerOlder,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NoPair => "there is no pair",
            Refusal::NotActive => "this node is not active",
            Refusal::NotStandby => "this node is active already",
            Refusal::PeerSilent => "the peer is not heard",
            Refusal::PeerUnable => "the peer cannot serve",
            Refusal::Unable => "this node cannot serve",
            Refusal::Worse => "the other node is healthier and would take the role back",
            Refusal::Maintenance => "this node is in maintenance",
            Refusal::NotSynced => "the standby has not got all connections yet",
            Refusal::SyncDown => "the sync port carries nothing",
            Refusal::Behind => "the standby is behind with the changes that it is told",
            Refusal::PeerOlder => "the peer runs a release that cannot take over without loss; use resign",
        })
    }
}
