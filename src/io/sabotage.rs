//! Breaking Koi on purpose, so that a test can show that the drills would notice.
//!
//! Only in a program that was built for development (with debug assertions) and finds `KOI_SABOTAGE` in its environment:
//! `no-replication`, `no-announcements`, `no-fence` or `wrong-record`. In one for use all of this is a constant `false`.

use crate::types::Epoch;
use crate::wire::pair::flow::{self, Change};

/// The variable.
#[cfg(debug_assertions)]
pub const VARIABLE: &str = "KOI_SABOTAGE";

/// What can be broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sabotage {
    /// What the peer tells of its flows is thrown away, and acknowledged.
    Replication,
    /// A node that takes over from another one announces and advertises nothing. The first one does: what switches have
    /// never learned they send everywhere.
    Announcements,
    /// A lease that was given once never ends.
    Fence,
    /// Once, flows that the peer tells of are taken over with other rules: when a test says so, by a flow to
    /// [`Vandal::SIGNAL`].
    Record,
}

impl Sabotage {
    /// What the variable says.
    #[cfg(debug_assertions)]
    const fn name(self) -> &'static str {
        match self {
            Sabotage::Replication => "no-replication",
            Sabotage::Announcements => "no-announcements",
            Sabotage::Fence => "no-fence",
            Sabotage::Record => "wrong-record",
        }
    }

    /// True when this is broken.
    #[cfg(debug_assertions)]
    pub fn is_on(self) -> bool {
        static SAID: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        let said = SAID.get_or_init(|| std::env::var(VARIABLE).unwrap_or_default());
        said == self.name()
    }

    /// True when this is broken, which it never is.
    #[cfg(not(debug_assertions))]
    #[inline]
    pub const fn is_on(self) -> bool {
        false
    }

    /// True when this is broken and the role has moved since this program started.
    pub fn is_on_after_a_move(self, epoch: Epoch) -> bool {
        static FIRST: std::sync::OnceLock<Epoch> = std::sync::OnceLock::new();
        self.is_on() && epoch != Epoch(0) && *FIRST.get_or_init(|| epoch) != epoch
    }
}

/// Spoils what the peer tells of its flows, before it is taken over.
#[derive(Default)]
pub struct Vandal {
    done: bool,
}

impl Vandal {
    /// The first chunk that has a flow to this port is spoilt: `discard`, which nobody uses who does not mean it.
    pub const SIGNAL: u16 = 9;

    /// Spoils a chunk, if that is wanted.
    pub fn spoil(&mut self, chunk: &mut Vec<u8>) {
        if Sabotage::Replication.is_on() {
            chunk.clear();
        }
        if !Sabotage::Record.is_on() || self.done {
            return;
        }
        let changes: Vec<Change> = flow::decode(chunk).map_while(Result::ok).collect();
        let signal = |change: &Change| matches!(change, Change::Upsert(flow) if flow.original.dst_port() == Self::SIGNAL);
        if !changes.iter().any(signal) {
            return;
        }
        self.done = true;
        eprintln!("koi: sabotage: the records of a chunk have been spoilt");
        chunk.clear();
        flow::begin(chunk);
        for mut change in changes {
            if let Change::Upsert(record) = &mut change {
                record.rules[0].0.0 ^= 1;
            }
            flow::encode(&change, chunk);
        }
    }
}
