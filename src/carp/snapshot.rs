//! A VHID as an operator sees it.

use std::net::IpAddr;

use serde::Serialize;

use super::{Reason, State};
use crate::types::Vhid;

/// What a VHID has sent and heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counters {
    /// Advertisements sent.
    pub sent: u64,
    /// Advertisements received with the right digest.
    pub received: u64,
    /// Advertisements with a wrong digest.
    pub bad_digest: u64,
    /// Our own advertisements that came back.
    pub reflected: u64,
    /// Advertisements that had been heard before.
    pub replayed: u64,
    /// Advertisements of other VHIDs, or while in INIT.
    pub ignored: u64,
}

/// A VHID at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// Its number.
    pub vhid: Vhid,
    /// Where it stands.
    pub state: State,
    /// For how long.
    pub seconds: u64,
    /// Why.
    pub reason: Reason,
    /// What it advertises, or would: the skew with the demotion.
    pub advskew: u8,
    /// The last master that was heard, other than us.
    pub master: Option<IpAddr>,
    /// A backup has not heard its master for long.
    pub silent: bool,
    /// Counters.
    pub counters: Counters,
}
