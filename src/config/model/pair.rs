//! `[pair]`: two machines that act as one.

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::config::defaults;

/// `[pair]`: two machines that act as one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The port, on each node, of the cable between the two; it carries nothing else.
    pub sync: String,
    /// The node that wins ties.
    pub preferred: String,
    /// The preferred node takes the role back when it returns.
    #[serde(default = "Pair::default_preempt", skip_serializing_if = "Pair::has_default_preempt")]
    pub preempt: bool,
    /// Seconds that it must have been healthy and in sync before it does.
    #[serde(default = "Pair::default_delay", skip_serializing_if = "Pair::has_default_delay")]
    pub preempt_delay: u32,
    /// Holds a flow's first packet until the peer knows the flow.
    #[serde(default, skip_serializing_if = "is_default")]
    pub defer: bool,
}

impl Pair {
    fn default_preempt() -> bool {
        true
    }

    fn has_default_preempt(preempt: &bool) -> bool {
        *preempt
    }

    fn default_delay() -> u32 {
        defaults::PREEMPT_DELAY
    }

    fn has_default_delay(seconds: &u32) -> bool {
        *seconds == defaults::PREEMPT_DELAY
    }
}
