//! What the rules answer, and the witnesses that they did.

use crate::config::model::{Flush, SourceRate, StatePolicy, StateType, Timeouts};
use crate::types::RuleId;
use crate::wire::Drop;

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It passes.
    Pass(Pass),
    /// It is dropped.
    Block {
        /// The rule that decided.
        rule: RuleId,
        /// The counter.
        drop: Drop,
        /// Worth a line in the firewall log.
        log: bool,
        /// The sender is told: a RST for TCP, an ICMP error for everything else.
        reject: bool,
    },
}

impl Verdict {
    /// The rule that decided.
    pub const fn rule(&self) -> RuleId {
        match self {
            Verdict::Pass(pass) => pass.rule(),
            Verdict::Block { rule, .. } => *rule,
        }
    }
}

/// How many flows a rule may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// In all.
    pub max_states: Option<u32>,
    /// Sources that have any.
    pub max_src_nodes: Option<u32>,
    /// Of one source.
    pub max_src_states: Option<u32>,
    /// TCP connections of one source whose handshake is complete.
    pub max_src_conn: Option<u32>,
    /// Such connections that one source makes.
    pub max_src_conn_rate: Option<SourceRate>,
    /// The overload table into which a source gets that has more, by its place among all.
    pub overload: Option<u8>,
    /// What happens to its flows then.
    pub flush: Flush,
}

impl Limits {
    /// None of them is set.
    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }
}

/// What a rule says of its flows besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// pf's timers, where the rule has its own.
    pub timers: Option<Timeouts>,
    /// The largest MSS of its TCP connections.
    pub max_mss: Option<u16>,
}

/// What a rule names as its way out: a gateway or a gateway group, by its place in the document, gateways first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Choice(u16);

impl Choice {
    /// No gateway: the routes decide.
    const NONE: Choice = Choice(u16::MAX);

    /// The gateway or group at a place.
    pub const fn at(place: u16) -> Choice {
        Choice(place)
    }

    /// The place.
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}

/// The witness that a rule let a flow through. Only a ruleset makes one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pass {
    rule: RuleId,
    bits: u16,
    choice: Choice,
}

const _: () = assert!(size_of::<Pass>() == 8, "two of them are a flow's verdicts");

const LOG: u16 = 1;
const OPTIONS: u16 = 2;
const MIDDLE: u16 = 4;
const SLOPPY: u16 = 8;
const STATELESS: u16 = 16;
const FLOATING: u16 = 32;
const LIMITED: u16 = 64;
const NO_REPLY_TO: u16 = 128;
const TIMED: u16 = 256;
const PROXIED: u16 = 512;

impl Pass {
    pub(super) const fn new(rule: RuleId) -> Pass {
        Pass { rule, bits: 0, choice: Choice::NONE }
    }

    const fn with(self, bit: u16, on: bool) -> Pass {
        Pass { bits: self.bits | if on { bit } else { 0 }, ..self }
    }

    pub(super) const fn logged(self, log: bool) -> Pass {
        self.with(LOG, log)
    }

    pub(super) const fn with_options(self, options: bool) -> Pass {
        self.with(OPTIONS, options)
    }

    pub(super) const fn picked_up_anywhere(self) -> Pass {
        self.with(MIDDLE, true)
    }

    pub(super) const fn tracked(self, state: StateType, policy: StatePolicy) -> Pass {
        let state = match state {
            StateType::Keep => 0,
            StateType::Sloppy => SLOPPY,
            StateType::Synproxy => PROXIED,
            StateType::None => STATELESS,
        };
        let policy = match policy {
            StatePolicy::IfBound => 0,
            StatePolicy::Floating => FLOATING,
        };
        self.with(state | policy, true)
    }

    pub(super) const fn limited(self, limited: bool) -> Pass {
        self.with(LIMITED, limited)
    }

    pub(super) const fn without_reply_to(self, without: bool) -> Pass {
        self.with(NO_REPLY_TO, without)
    }

    pub(super) fn by(self, choice: Option<Choice>) -> Pass {
        Pass { choice: choice.unwrap_or(Choice::NONE), ..self }
    }

    pub(super) const fn timed(self, timed: bool) -> Pass {
        self.with(TIMED, timed)
    }

    /// The place of a verdict, in a flow that another node has told of and that the rules here have not been asked about
    /// yet: its epoch is never the present one, so nothing leaves before they were.
    pub(crate) const fn unasked(rule: RuleId) -> Pass {
        Pass::new(rule)
    }

    /// The rule that decided.
    pub const fn rule(self) -> RuleId {
        self.rule
    }

    /// Worth a line in the firewall log.
    pub const fn log(self) -> bool {
        self.bits & LOG != 0
    }

    /// Packets may have IP options.
    pub const fn allows_options(self) -> bool {
        self.bits & OPTIONS != 0
    }

    /// A TCP connection may be picked up in its middle, not only with its SYN.
    pub const fn begins_anywhere(self) -> bool {
        self.bits & MIDDLE != 0
    }

    /// TCP's windows and numbers are not looked at.
    pub const fn is_sloppy(self) -> bool {
        self.bits & SLOPPY != 0
    }

    /// No flow is made.
    pub const fn is_stateless(self) -> bool {
        self.bits & STATELESS != 0
    }

    /// The flow's packets may come in by any interface.
    pub const fn floats(self) -> bool {
        self.bits & FLOATING != 0
    }

    /// The rule may have so many flows only: see [`Limits`].
    pub const fn is_limited(self) -> bool {
        self.bits & LIMITED != 0
    }

    /// The flow has timers of its rule's own.
    pub const fn is_timed(self) -> bool {
        self.bits & TIMED != 0
    }

    /// The router completes the handshake before the server hears of it.
    pub const fn is_proxied(self) -> bool {
        self.bits & PROXIED != 0
    }

    /// The way out that the rule names.
    #[inline]
    pub fn choice(self) -> Option<Choice> {
        Some(self.choice).filter(|choice| *choice != Choice::NONE)
    }

    /// Answers go back by the gateway of the WAN by which the flow came in.
    pub const fn replies_to_gateway(self) -> bool {
        self.bits & NO_REPLY_TO == 0
    }

    /// For unit tests of other modules: as if rule `rule` had let the flow through.
    #[cfg(test)]
    pub(crate) const fn forged(rule: RuleId) -> Pass {
        Pass::new(rule)
    }
}

/// Something that may leave the router: nothing else can be handed to a port.
#[derive(PartialEq, Eq, Debug)]
pub struct Passed<T>(T);

impl<T> Passed<T> {
    /// Whoever holds a [`Pass`] may send.
    pub fn new(value: T, _witness: Pass) -> Self {
        Passed(value)
    }

    /// What may leave, looked at.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// What may leave.
    pub fn into_inner(self) -> T {
        self.0
    }
}
