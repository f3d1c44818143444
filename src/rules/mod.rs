//! The witness of a rule's verdict (the rules themselves are another commit).

use crate::types::RuleId;

/// The witness that a rule let a flow through. Only a ruleset makes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    rule: RuleId,
    log: bool,
}

impl Pass {
    /// The rule that decided.
    pub const fn rule(self) -> RuleId {
        self.rule
    }

    /// Worth a line in the firewall log.
    pub const fn log(self) -> bool {
        self.log
    }

    /// For unit tests of other modules: as if rule `rule` had let the flow through.
    #[cfg(test)]
    pub(crate) const fn forged(rule: RuleId) -> Pass {
        Pass { rule, log: false }
    }
}
