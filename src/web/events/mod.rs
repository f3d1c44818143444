//! One event stream for everything that moves on a page (server-sent events).
//!
//! One producer looks at the router once a second ([`Command::Glance`](crate::node::Command::Glance)), keeps a short history
//! for graphs, and renders what somebody wants to see, once for all of them: a fragment of a page as the page itself has it, or
//! numbers as JSON. While nobody looks, nothing is rendered, and nothing ever waits on the packet path.
//!
//! Invariant: streams are bounded, in all and for each session, and so is what waits for each; whoever does not keep up is
//! let go and counted. A stream ends with its session, and does not keep it alive.

mod history;
mod hub;
mod producer;
mod stream;
mod talkers;
mod topic;

use std::sync::Mutex;

pub(super) use history::{History, Rate};
pub(super) use hub::Counters;
pub(super) use producer::{look_at_talkers, run};
pub(super) use stream::{EVENTS, show};
pub(super) use talkers::Talkers;

use hub::Hub;

/// Who looks, and what there was to be seen of late.
#[derive(Default)]
pub(super) struct Events {
    hub: Hub,
    /// The last minutes.
    pub history: Mutex<History>,
    /// Who talks most.
    pub talkers: Mutex<Talkers>,
}

impl Events {
    /// What the streams have counted.
    pub fn counters(&self) -> Counters {
        self.hub.counters()
    }
}
