//! What memory that fails, or a mistake, does to a flow on its way into a standby's table.

use koi::types::{InterfaceId, RuleId};
use koi::wire::FlowKey;
use koi::wire::pair::flow::{self, Change, FlowRecord, Progress};

/// What happens to a flow on its way into the standby's table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Spoil {
    #[default]
    Nothing,
    Identity,
    Binding,
    Interface,
    Rule,
    Progress,
    /// It never gets there.
    Missing,
    /// Another one gets there as well.
    Extra,
}

impl Spoil {
    /// Each that is something.
    pub const ALL: [Spoil; 7] = [
        Spoil::Identity,
        Spoil::Binding,
        Spoil::Interface,
        Spoil::Rule,
        Spoil::Progress,
        Spoil::Missing,
        Spoil::Extra,
    ];

    /// Spoils the first flow of a chunk, and then no other.
    pub fn spoil(&mut self, chunk: &mut Vec<u8>) {
        if *self == Spoil::Nothing {
            return;
        }
        let changes: Vec<Change> = flow::decode(chunk).map(Result::unwrap).collect();
        chunk.clear();
        flow::begin(chunk);
        for change in changes {
            match change {
                Change::Upsert(record) if record.original.protocol() == 17 => {
                    for record in std::mem::take(self).spoilt(*record) {
                        flow::encode(&Change::Upsert(Box::new(record)), chunk);
                    }
                }
                change => flow::encode(&change, chunk),
            }
        }
    }

    fn spoilt(self, mut record: FlowRecord) -> Vec<FlowRecord> {
        let moved = |key: &FlowKey, port: u16| {
            FlowKey::new(key.protocol(), key.src(), key.src_port(), key.dst(), port).unwrap()
        };
        match self {
            Spoil::Nothing => {}
            Spoil::Identity => record.original = moved(&record.original, 4),
            Spoil::Binding => record.reply = moved(&record.reply, 4),
            Spoil::Interface => record.interfaces[1] = InterfaceId(2),
            Spoil::Rule => record.rules[0].0 = RuleId(7),
            Spoil::Progress => record.progress = Progress::Other { traffic: [2, 2], repeated: false },
            Spoil::Missing => return Vec::new(),
            Spoil::Extra => {
                let mut other = record;
                (other.original, other.reply) = (moved(&record.original, 4), moved(&record.reply, 4));
                other.slot += 100;
                return vec![record, other];
            }
        }
        vec![record]
    }
}
