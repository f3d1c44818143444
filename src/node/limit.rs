//! How many flows a rule may have.

use std::net::IpAddr;

use super::Shard;
use super::refusal::Refusal;
use crate::conntrack::Usage;
use crate::rules::{Limits, Pass};
use crate::wire::Drop;

impl Shard {
    /// May the rule that let a flow in have one more, from this source?
    pub(super) fn check_limits(&self, pass: Option<Pass>, source: IpAddr) -> Result<(), Refusal> {
        let Some(pass) = pass.filter(|pass| pass.is_limited()) else { return Ok(()) };
        let Some(info) = self.compiled.ruleset.rule(pass.rule()) else { return Ok(()) };
        let Limits { max_states, max_src_nodes, max_src_states, .. } = info.limits;
        let Usage { states, sources, of_source } = self.table.usage(pass.rule(), source);
        let below = |used: u32, most: Option<u32>| most.is_none_or(|most| used < most);
        let known = of_source > 0;
        if below(states, max_states)
            && (known || below(sources, max_src_nodes))
            && below(of_source, max_src_states)
            && self.table.can_count(pass.rule(), source)
        {
            return Ok(());
        }
        Err(Refusal { drop: Drop::RuleLimit, rule: Some(pass.rule()), at: None, answer: None, log: true })
    }
}
