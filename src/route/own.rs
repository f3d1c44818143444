//! Our own addresses on a link, and the check that nobody else has them (RFC 4862 section 5.4, RFC 5227).

use std::net::IpAddr;

use crate::types::{Instant, InterfaceId};

/// Whether an own address may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// The link is down.
    Down,
    /// Duplicate address detection is under way until then.
    Tentative(Instant),
    /// In use.
    Ready,
    /// Somebody else has it.
    Duplicate,
}

/// An own address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    pub interface: InterfaceId,
    pub address: IpAddr,
    pub standing: Standing,
    /// No defence of the address before then (RFC 5227 section 2.4: DEFEND_INTERVAL).
    pub quiet_until: Instant,
}
