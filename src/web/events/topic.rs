//! What one can look at.

/// A part of a page that moves, or numbers that do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Topic {
    /// What nobody may overlook.
    Banner,
    /// Name, version, uptime, configuration.
    System,
    /// The connection table in numbers.
    States,
    /// The pair, in short.
    Pair,
    /// The pair, in full.
    Carp,
    /// The upgrade of the pair.
    Upgrade,
    /// Gateways and their groups.
    Gateways,
    /// Interfaces.
    Interfaces,
    /// What goes through each interface.
    Traffic,
    /// Who talks most.
    Talkers,
    /// What the router does as a host.
    Services,
    /// The firewall log's new records.
    Log,
    /// The numbers of graphs, as JSON.
    Rates,
    /// Rules that were met, as JSON.
    Rules,
}

impl Topic {
    /// Every one.
    pub const ALL: [Topic; 14] = [
        Topic::Banner,
        Topic::System,
        Topic::States,
        Topic::Pair,
        Topic::Carp,
        Topic::Upgrade,
        Topic::Gateways,
        Topic::Interfaces,
        Topic::Traffic,
        Topic::Talkers,
        Topic::Services,
        Topic::Log,
        Topic::Rates,
        Topic::Rules,
    ];

    /// As a page asks for it, and as its events are called.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Banner => "banner",
            Topic::System => "system",
            Topic::States => "states",
            Topic::Pair => "pair",
            Topic::Carp => "carp",
            Topic::Upgrade => "upgrade",
            Topic::Gateways => "gateways",
            Topic::Interfaces => "interfaces",
            Topic::Traffic => "traffic",
            Topic::Talkers => "talkers",
            Topic::Services => "services",
            Topic::Log => "log",
            Topic::Rates => "rates",
            Topic::Rules => "rules",
        }
    }

    /// It is told every so many seconds.
    pub const fn every(self) -> u64 {
        match self {
            Topic::Banner
            | Topic::System
            | Topic::States
            | Topic::Pair
            | Topic::Carp
            | Topic::Gateways
            | Topic::Interfaces
            | Topic::Traffic
            | Topic::Log
            | Topic::Rates => 1,
            Topic::Rules | Topic::Upgrade => 2,
            Topic::Talkers | Topic::Services => 5,
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Some of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Topics(u16);

impl Topics {
    /// Names with commas between them; `None` when one is not known, or there is none.
    pub fn parse(text: &str) -> Option<Topics> {
        let mut topics = Topics::default();
        for word in text.split(',') {
            topics.0 |= Topic::ALL.into_iter().find(|topic| topic.name() == word)?.bit();
        }
        Some(topics)
    }

    /// One of them.
    pub fn has(self, topic: Topic) -> bool {
        self.0 & topic.bit() != 0
    }

    /// One of these.
    pub fn has_any(self, topics: &[Topic]) -> bool {
        topics.iter().any(|topic| self.has(*topic))
    }

    /// These, and those.
    pub fn and(self, other: Topics) -> Topics {
        Topics(self.0 | other.0)
    }

    /// Nobody wants to see anything.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_by_name_and_strangers_are_refused() {
        let all = Topic::ALL.map(Topic::name).join(",");
        let topics = Topics::parse(&all).unwrap();
        assert!(Topic::ALL.into_iter().all(|topic| topics.has(topic)));
        let some = Topics::parse("pair,log").unwrap();
        assert!(some.has(Topic::Pair) && some.has(Topic::Log) && !some.has(Topic::Rates));
        assert!(some.has_any(&[Topic::Rates, Topic::Log]) && !some.has_any(&[Topic::Rates]));
        for wrong in ["", "pair,", "pairs", "PAIR", "pair log"] {
            assert_eq!(Topics::parse(wrong), None, "{wrong}");
        }
    }
}
