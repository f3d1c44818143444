//! Rules that do less, or more, than their author thinks: shadowed, duplicate, never matching, wider than they look.
//!
//! Each finding has an example packet, and is true for that packet by construction: a rule is called shadowed only when
//! earlier rules that decide at once, one or several together, see everything that it sees. What several cover together is
//! looked for in [`EFFORT`] steps at most.

use std::collections::HashMap;
use std::fmt;

use super::compile::drafts;
use super::criteria::{Criteria, Scope, only};
use super::draft::{Draft, Outcome, Term};
use super::line::protocols;
use super::outline::Outline;
use super::places::Places;
use super::region::{Piece, Region, is_plain};
use super::set::{FamilySpans, Set};
use super::spans::{Number, Spans};
use crate::config::model::{Config, Protocol};
use crate::config::{Conditions, NodeIndex, Valid};
use crate::types::{Direction, Family, RuleId};

/// Something that an author of rules should look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: RuleId,
    /// Where it stands in the document: `rule[3]`.
    pub path: String,
    /// What is odd about it.
    pub kind: Kind,
    /// A packet that shows it.
    pub example: Option<String>,
}

/// What is odd about a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// This earlier rule decides everything that it could match.
    Shadowed(RuleId),
    /// Earlier rules, from the one to the other, decide everything that it could match, each a part.
    Together(RuleId, RuleId),
    /// It does not decide at once, and this later rule decides everything that it could match.
    Overruled(RuleId),
    /// This earlier rule matches the same and does the same.
    Duplicate(RuleId),
    /// No packet can match it.
    NeverMatches,
    /// It says "everything but", and of this family that is everything.
    WholeFamily(Family),
    /// It lets everybody outside reach everything.
    Open,
}

impl Finding {
    /// Without the rule and its place.
    pub fn words(&self) -> String {
        let example =
            self.example.as_ref().map_or(String::new(), |example| format!(" For example: {example}."));
        format!("{}{example}", self.kind)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.path, self.rule, self.words())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Shadowed(by) => write!(f, "Rule {by} before it decides all that it could match."),
            Kind::Together(only, last) if only == last => {
                write!(f, "Rule {only} before it, with automatic ones, decides all that it could match.")
            }
            Kind::Together(first, last) => {
                write!(
                    f,
                    "Rules {first} to {last} before it, taken together, decide all that it could match."
                )
            }
            Kind::Overruled(by) => {
                write!(f, "Rule {by} after it decides all that it could match: it is not quick.")
            }
            Kind::Duplicate(of) => write!(f, "Rule {of} matches the same and does the same."),
            Kind::NeverMatches => {
                f.write_str("No packet can match it: its sets of addresses or ports are empty.")
            }
            Kind::WholeFamily(Family::Inet) => {
                f.write_str("What it leaves out has no IPv4 address, so it matches all of IPv4.")
            }
            Kind::WholeFamily(Family::Inet6) => {
                f.write_str("What it leaves out has no IPv6 address, so it matches all of IPv6.")
            }
            Kind::Open => f.write_str("It lets anybody outside reach everything."),
        }
    }
}

/// Looks at the rules in force on a node, in the order of the document.
pub fn lint(config: &Valid<Config>, node: NodeIndex) -> Vec<Finding> {
    let always = Conditions::default();
    let drafts = drafts(config, node, &Places::new(config, node, &always));
    let seen: Vec<Seen> = drafts.iter().map(Seen::new).collect();
    let outlines: Vec<Outline> = drafts.iter().map(|draft| Outline::of(&draft.criteria)).collect();
    // Of several with a number, the first.
    let places: HashMap<RuleId, usize> =
        drafts.iter().enumerate().rev().map(|(at, draft)| (draft.id, at)).collect();
    let mut earlier = Earlier::new(&drafts);
    let mut findings = Vec::new();
    for (index, rule) in config.rules.iter().enumerate() {
        let Some(at) = places.get(&rule.id).copied() else { continue };
        let (draft, here) = (&drafts[at], &seen[at]);
        let mut find = |kind, example| {
            findings.push(Finding { rule: rule.id, path: format!("rule[{index}]"), kind, example });
        };
        let Some(example) = here.example(config, draft) else {
            find(Kind::NeverMatches, None);
            continue;
        };
        let cover = (0..at)
            .filter(|before| outlines[*before].may_cover(&outlines[at]))
            .map(|before| (&drafts[before], &seen[before]))
            // Outside of its hours a rule leaves everything to those after it.
            .filter(|(earlier, _)| earlier.schedule.is_none() || earlier.schedule == draft.schedule)
            .filter(|(earlier, _)| earlier.term == Term::Always)
            .find(|(earlier, seen)| earlier.quick && earlier.outcome != Outcome::Match && seen.covers(here));
        if let Some((earlier, seen)) = cover {
            let same = earlier.outcome == draft.outcome && here.covers(seen) && !is_automatic(earlier.id);
            let kind = if same { Kind::Duplicate(earlier.id) } else { Kind::Shadowed(earlier.id) };
            find(kind, Some(example));
            continue;
        }
        if let Some((first, last)) = earlier.cover(&drafts, &outlines, at) {
            find(Kind::Together(first, last), Some(example));
            continue;
        }
        if let Some(later) = overruled(&drafts, &seen, &outlines, at) {
            find(Kind::Overruled(later), Some(example));
            continue;
        }
        if draft.outcome == Outcome::Pass {
            for family in [Family::Inet, Family::Inet6] {
                if here.is_wider_than_it_looks(family) {
                    let (mut narrow, mut only_this) = (draft.clone(), here.clone());
                    narrow.criteria.families = only(family);
                    only_this.keep(family);
                    find(Kind::WholeFamily(family), only_this.example(config, &narrow));
                }
            }
            if here.is_open(config) {
                find(Kind::Open, Some(example));
            }
        }
    }
    findings
}

/// What is left of a rule, by family.
type Pieces = (Option<Piece<u32>>, Option<Piece<u128>>);

/// Boxes of the rules that decide at once, and how many boxes may still be held against them.
struct Earlier {
    pieces: Vec<Pieces>,
    effort: usize,
}

/// Boxes held against rules, at most.
const EFFORT: usize = 2_000_000;

impl Earlier {
    fn new(drafts: &[Draft]) -> Earlier {
        let piece = |draft: &Draft| {
            let decides = draft.quick && draft.outcome != Outcome::Match && is_plain(&draft.criteria);
            match decides {
                true => (Piece::of(&draft.criteria), Piece::of(&draft.criteria)),
                false => (None, None),
            }
        };
        Earlier { pieces: drafts.iter().map(piece).collect(), effort: EFFORT }
    }

    /// The first and the last of the rules before this one that leave nothing over for it.
    fn cover(&mut self, drafts: &[Draft], outlines: &[Outline], at: usize) -> Option<(RuleId, RuleId)> {
        let criteria = &drafts[at].criteria;
        let (mut inet, mut inet6) = (Region::<u32>::of(criteria), Region::<u128>::of(criteria));
        let mut ends = None;
        let pieces = self.pieces[..at].iter().enumerate();
        let pieces = pieces.filter(|(before, _)| outlines[*before].may_meet(&outlines[at]));
        for (before, (four, six)) in pieces {
            self.effort = self.effort.checked_sub(inet.len() + inet6.len())?;
            let (took, took6) = (inet.take(four), inet6.take(six));
            let id = drafts[before].id;
            // What automatic rules take is not worth a word, as long as somebody wrote one that takes more.
            if (took || took6) && !is_automatic(id) {
                ends = Some(ends.map_or((id, id), |(first, _)| (first, id)));
            }
            if inet.is_empty() && inet6.is_empty() {
                return ends.or(Some((id, id)));
            }
        }
        None
    }
}

/// A later rule that decides whatever this one, which is not quick, could match.
fn overruled(drafts: &[Draft], seen: &[Seen], outlines: &[Outline], at: usize) -> Option<RuleId> {
    let draft = &drafts[at];
    if draft.quick || draft.outcome == Outcome::Match {
        return None;
    }
    let mut later = (at + 1..drafts.len()).filter(|later| outlines[*later].may_cover(&outlines[at]));
    let decides = |later: &usize| drafts[*later].outcome != Outcome::Match && seen[*later].covers(&seen[at]);
    later.find(decides).map(|later| drafts[later].id)
}

const fn is_automatic(id: RuleId) -> bool {
    id.0 < crate::config::defaults::FIRST_RULE_ID
}

/// What a rule sees, as sets that can be compared.
#[derive(Clone)]
struct Seen {
    criteria: Criteria,
    inet: Option<View<u32>>,
    inet6: Option<View<u128>>,
    ports: [Spans<u16>; 2],
}

/// What it sees of a family.
#[derive(Clone)]
struct View<A> {
    /// `None` for any.
    protocols: Option<Vec<u8>>,
    /// `None` for any.
    icmp: Option<Vec<u8>>,
    source: Spans<A>,
    destination: Spans<A>,
}

impl<A: FamilySpans> View<A> {
    fn new(criteria: &Criteria) -> Option<View<A>> {
        let icmp = criteria.icmp.iter().filter_map(|kind| kind.number(A::FAMILY));
        criteria.families.contains(&A::FAMILY).then(|| View {
            protocols: protocols(criteria.protocol, A::FAMILY),
            icmp: (!criteria.icmp.is_empty()).then(|| icmp.collect()),
            source: criteria.source.spans(),
            destination: criteria.destination.spans(),
        })
    }

    fn is_empty(&self) -> bool {
        let none = |kinds: &Option<Vec<u8>>| kinds.as_ref().is_some_and(Vec::is_empty);
        self.source.ranges().is_empty() || self.destination.ranges().is_empty() || none(&self.icmp)
    }

    fn covers(&self, other: &View<A>) -> bool {
        contains(&self.protocols, &other.protocols)
            && contains(&self.icmp, &other.icmp)
            && covers(&self.source, &other.source)
            && covers(&self.destination, &other.destination)
    }
}

/// Is every kind of the second among the first?
fn contains(all: &Option<Vec<u8>>, some: &Option<Vec<u8>>) -> bool {
    match (all, some) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(all), Some(some)) => some.iter().all(|kind| all.contains(kind)),
    }
}

/// Is every number of the second in the first?
fn covers<K: Number>(all: &Spans<K>, some: &Spans<K>) -> bool {
    some.ranges().iter().all(|(first, last)| {
        let index = all.ranges().partition_point(|(start, _)| start <= first);
        let around = index.checked_sub(1).and_then(|index| all.ranges().get(index));
        around.is_some_and(|(_, end)| last <= end)
    })
}

impl Seen {
    fn new(draft: &Draft) -> Seen {
        let criteria = draft.criteria.clone();
        Seen {
            inet: View::new(&criteria).filter(|view| !view.is_empty()),
            inet6: View::new(&criteria).filter(|view| !view.is_empty()),
            ports: [criteria.source_port.spans(), criteria.destination_port.spans()],
            criteria,
        }
    }

    fn keep(&mut self, family: Family) {
        match family {
            Family::Inet => self.inet6 = None,
            Family::Inet6 => self.inet = None,
        }
    }

    /// Does it see everything that the other sees?
    fn covers(&self, other: &Seen) -> bool {
        let (all, some) = (&self.criteria, &other.criteria);
        let indifferent = all.scope == Scope::Everything
            && all.forward.is_none()
            && (all.dscp.is_none() || all.dscp == some.dscp)
            && (all.tagged.is_none() || all.tagged == some.tagged)
            && (all.tcp_flags.is_none_or(|flags| flags.out_of == 0) || all.tcp_flags == some.tcp_flags);
        indifferent
            && some.interfaces & !all.interfaces == 0
            && some.directions.iter().all(|way| all.directions.contains(way))
            && covers(&self.ports[0], &other.ports[0])
            && covers(&self.ports[1], &other.ports[1])
            && family_covers(&self.inet, &other.inet)
            && family_covers(&self.inet6, &other.inet6)
    }

    /// It names exceptions that do not exist in this family, and looks at the other one as well.
    fn is_wider_than_it_looks(&self, family: Family) -> bool {
        let both = self.inet.is_some() && self.inet6.is_some();
        let whole = |set: &Set| {
            set.not
                && match family {
                    Family::Inet => set.spans::<u32>().complement().ranges().is_empty(),
                    Family::Inet6 => set.spans::<u128>().complement().ranges().is_empty(),
                }
        };
        both && (whole(&self.criteria.source) || whole(&self.criteria.destination))
    }

    /// Anybody from a WAN, to anything.
    fn is_open(&self, config: &Config) -> bool {
        let Criteria { source, source_port, destination, destination_port, tagged, scope, .. } =
            &self.criteria;
        let wan = |index: usize| self.criteria.interfaces >> index & 1 == 1;
        let on_wan = config
            .interfaces
            .iter()
            .enumerate()
            .any(|(index, interface)| interface.zone == crate::config::model::Zone::Wan && wan(index));
        on_wan
            && self.criteria.directions.contains(&Direction::In)
            && self.criteria.protocol == Protocol::Any
            && source.is_any()
            && destination.is_any()
            && source_port.is_any()
            && destination_port.is_any()
            && tagged.is_none()
            && *scope == Scope::Everything
    }

    /// A packet that it sees.
    fn example(&self, config: &Valid<Config>, draft: &Draft) -> Option<String> {
        let number = draft.criteria.interfaces.trailing_zeros() as usize;
        let interface = config.interfaces.get(number).map(|interface| interface.name.as_str())?;
        let (protocol, source, destination) = match (&self.inet, &self.inet6) {
            (Some(view), _) => {
                let (source, destination) =
                    (lowest(&view.source, 0x0100_0001)?, lowest(&view.destination, 0x0100_0001)?);
                let address = |number: u32| std::net::Ipv4Addr::from(number).to_string();
                (&view.protocols, address(source), address(destination))
            }
            (None, Some(view)) => {
                let global = 0x2000u128 << 112 | 1;
                let (source, destination) =
                    (lowest(&view.source, global)?, lowest(&view.destination, global)?);
                let address = |number: u128| std::net::Ipv6Addr::from(number).to_string();
                (&view.protocols, address(source), address(destination))
            }
            (None, None) => return None,
        };
        let ports = [lowest(&self.ports[0], 1024)?, lowest(&self.ports[1], 1)?];
        let protocol = protocol.as_ref().map_or(Some(17), |numbers| numbers.first().copied())?;
        let (name, ports) = match protocol {
            6 => ("tcp".into(), ports.map(|port| format!(" port {port}"))),
            17 => ("udp".into(), ports.map(|port| format!(" port {port}"))),
            1 | 58 => ("icmp".into(), [const { String::new() }; 2]),
            other => (format!("protocol {other}"), [const { String::new() }; 2]),
        };
        let way = match draft.criteria.directions.first()? {
            Direction::In => "in by",
            Direction::Out => "out by",
        };
        Some(format!("{name} from {source}{} to {destination}{} {way} {interface}", ports[0], ports[1]))
    }
}

fn family_covers<A: FamilySpans>(all: &Option<View<A>>, some: &Option<View<A>>) -> bool {
    match (all, some) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(all), Some(some)) => all.covers(some),
    }
}

/// The lowest number of a set, or this one when it is in it.
fn lowest<K: Number>(spans: &Spans<K>, liked: K) -> Option<K> {
    if spans.contains(liked) { Some(liked) } else { spans.ranges().first().map(|(first, _)| *first) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const LAB: &str = include_str!("../../tests/lab/one.toml");

    fn found(rules: &str) -> Vec<String> {
        let base = LAB.find("[[rule]]").unwrap();
        let text = format!("{}{rules}", &LAB[..base]);
        let config = config::load(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        lint(&config, config.node(None).unwrap()).iter().map(Finding::to_string).collect()
    }

    fn rule(id: u32, rest: &str) -> String {
        format!("[[rule]]\nid = {id}\ninterface = \"lan\"\n{rest}\n")
    }

    #[test]
    fn odd_rules_are_found_and_others_are_not() {
        let wide = rule(1_000_001, "action = \"pass\"\nprotocol = \"tcp\"\nsource = \"192.168.0.0/16\"");
        for (second, expected) in [
            (
                "action = \"block\"\nprotocol = \"tcp\"\nsource = \"192.168.1.5\"\ndestination_port = \"80\"",
                "decides all",
            ),
            (
                "action = \"pass\"\nprotocol = \"tcp\"\nsource = \"192.168.0.0/16\"\nlog = true",
                "does the same",
            ),
            ("action = \"block\"\nprotocol = \"tcp/udp\"\nsource = \"192.168.1.5\"", ""),
            ("action = \"block\"\nprotocol = \"tcp\"\nsource = \"10.0.0.0/8\"", ""),
            ("action = \"block\"\nprotocol = \"tcp\"", ""),
            ("action = \"pass\"\nsource = \"nobody\"", "No packet can match"),
            ("action = \"pass\"\ndestination = \"! some\"", "all of IPv6"),
            ("action = \"pass\"\nfamily = \"inet\"\ndestination = \"! some\"", ""),
        ] {
            let aliases = "[[alias]]\nname = \"nobody\"\ntype = \"host\"\n\
                           [[alias]]\nname = \"some\"\ntype = \"network\"\nentries = [\"10.0.0.0/8\"]\n";
            let found = found(&format!("{wide}{}{aliases}", rule(1_000_002, second)));
            match expected {
                "" => assert!(found.is_empty(), "{second}: {found:?}"),
                expected => {
                    assert_eq!(found.len(), 1, "{second}: {found:?}");
                    assert!(
                        found[0].starts_with("rule[1] (1000002): ") && found[0].contains(expected),
                        "{found:?}"
                    );
                }
            }
        }
        let blocked = rule(1_000_002, "action = \"block\"\nprotocol = \"tcp\"\nsource = \"192.168.1.5\"");
        let found = found(&format!("{wide}{blocked}"));
        assert!(
            found[0].ends_with("For example: tcp from 192.168.1.5 port 1024 to 1.0.0.1 port 1 in by lan."),
            "{found:?}"
        );
    }

    #[test]
    fn what_several_rules_cover_together_is_found() {
        let half = |id, rest: &str| rule(id, &format!("action = \"block\"\nfamily = \"inet\"\n{rest}"));
        let halves = [
            half(1_000_001, "destination = \"0.0.0.0/1\""),
            half(1_000_002, "destination = \"128.0.0.0/1\"\nprotocol = \"tcp/udp\""),
            half(1_000_003, "destination = \"128.0.0.0/1\"\nprotocol = \"icmp\""),
        ]
        .concat();
        let tcp = |rest: &str| rule(1_000_004, &format!("action = \"pass\"\nprotocol = \"tcp\"\n{rest}"));
        let said = found(&format!("{halves}{}", tcp("family = \"inet\"")));
        assert!(
            said.len() == 1 && said[0].contains("Rules 1000001 to 1000002 before it, taken together"),
            "{said:?}"
        );
        assert!(said[0].contains("For example: tcp from"), "{said:?}");
        for open in [
            tcp(""),
            rule(1_000_004, "action = \"pass\"\nfamily = \"inet\""),
            rule(1_000_004, "action = \"pass\"\nfamily = \"inet\"\nprotocol = \"47\""),
        ] {
            assert!(found(&format!("{halves}{open}")).is_empty(), "{open}");
        }
        // Ports, and what tags, flags and code points leave open.
        let ports = |id, ports: &str, more: &str| {
            rule(
                id,
                &format!("action = \"block\"\nprotocol = \"udp\"\ndestination_port = \"{ports}\"\n{more}"),
            )
        };
        let udp = rule(1_000_004, "action = \"pass\"\nprotocol = \"udp\"\ndestination_port = \"50-60\"");
        let split =
            |more: &str| format!("{}{}{udp}", ports(1_000_001, "1-54", ""), ports(1_000_002, "55-70", more));
        assert_eq!(found(&split("")).len(), 1);
        assert!(found(&split("dscp = \"ef\"\n")).is_empty());
    }

    #[test]
    fn outlines_leave_out_nothing_that_would_have_been_found() {
        let places = [
            "any",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "! 10.0.0.0/8",
            "2001:db8::/32",
            "2001:db8::7",
            "few",
        ];
        let ports = ["", "destination_port = \"80\"", "destination_port = \"1-100\"", "source_port = \"53\""];
        let mut random = crate::types::Seed([5, 6]).random();
        let mut pick = |count: usize| (random.next() % count as u64) as usize;
        let mut text = LAB[..LAB.find("[[rule]]").unwrap()].to_owned();
        text += "[[alias]]\nname = \"few\"\ntype = \"host\"\nentries = [\"10.1.2.3\", \"2001:db8::7\"]\n";
        for number in 0..120 {
            let (source, destination) = (places[pick(8)], places[pick(8)]);
            let families = [source, destination].map(|place| (place.contains("10."), place.contains("::")));
            let mixed = families[0].0 && families[1].1 || families[0].1 && families[1].0;
            let destination = if mixed { "any" } else { destination };
            let protocol = ["tcp", "udp", "tcp/udp"][pick(3)];
            let (interface, action) = (["lan", "wan"][pick(2)], ["pass", "block"][pick(2)]);
            text += &format!(
                "[[rule]]\nid = {}\ninterface = \"{interface}\"\naction = \"{action}\"\nprotocol = \"{protocol}\"\n\
                 source = \"{source}\"\ndestination = \"{destination}\"\n{}\n",
                1_000_001 + number,
                ports[pick(4)]
            );
        }
        let config = config::load(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let node = config.node(None).unwrap();
        let drafts = drafts(&config, node, &Places::new(&config, node, &Conditions::default()));
        let (mut covering, mut meeting) = (0, 0);
        for one in &drafts {
            for other in &drafts {
                let (all, some) = (Outline::of(&one.criteria), Outline::of(&other.criteria));
                let (sees, seen) = (Seen::new(one), Seen::new(other));
                if seen.example(&config, other).is_some() && sees.covers(&seen) {
                    covering += 1;
                    assert!(all.may_cover(&some), "{} {}", one.id, other.id);
                }
                let (four, six) = (Piece::<u32>::of(&one.criteria), Piece::<u128>::of(&one.criteria));
                let (mut inet, mut inet6) = (Region::of(&other.criteria), Region::of(&other.criteria));
                if inet.take(&four) | inet6.take(&six) {
                    meeting += 1;
                    assert!(all.may_meet(&some), "{} {}", one.id, other.id);
                }
            }
        }
        assert!(covering > drafts.len() && meeting > covering, "{covering} {meeting}");
    }

    #[test]
    fn a_rule_that_a_later_one_overrules_is_found() {
        let floating = |quick: &str| {
            format!(
                "[[rule]]\nid = 1000001\nfloating = true\n{quick}interface = \"lan\"\naction = \"pass\"\n\
                 protocol = \"udp\"\n{}",
                rule(1_000_002, "action = \"block\"\nprotocol = \"tcp/udp\"")
            )
        };
        let said = found(&floating(""));
        assert!(said.iter().any(|line| line.contains("Rule 1000002 after it decides all")), "{said:?}");
        assert!(!found(&floating("quick = true\n")).iter().any(|line| line.contains("after it")));
    }

    #[test]
    fn a_rule_that_opens_everything_is_told() {
        let open = rule(1_000_001, "action = \"pass\"").replace("lan", "wan");
        assert!(found(&open)[0].contains("anybody outside"));
        assert!(found(&rule(1_000_001, "action = \"pass\"")).is_empty());
    }

    #[test]
    fn the_examples_have_nothing_odd() {
        for text in [
            include_str!("../../configs/single.toml"),
            include_str!("../../configs/dmz.toml"),
            include_str!("../../configs/policy.toml"),
            LAB,
        ] {
            let config = config::load(text).unwrap();
            let found = lint(&config, config.node(None).unwrap());
            assert!(found.is_empty(), "{found:?}");
        }
    }
}
