//! What rules say about a packet's headers: protocol, ICMP types, TCP flags, DSCP.

use serde::{Deserialize, Serialize};

use crate::types::Family;

/// Protocol of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Protocol {
    /// Any.
    #[default]
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// TCP or UDP (pfSense's `tcp/udp`).
    TcpUdp,
    /// ICMP, or ICMPv6 in an IPv6 packet.
    Icmp,
    /// By number.
    Number(u8),
}

/// An ICMP type, by pf's word or by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum IcmpKind {
    /// A row of pf's words.
    Word(IcmpWord),
    /// A number, the same in both families.
    Number(u8),
}

/// One of pf's words for ICMP types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpWord(u8);

/// Word, ICMP type, ICMPv6 type.
type Row = (&'static str, Option<u8>, Option<u8>);

static ICMP_WORDS: &[Row] = &[
    ("echorep", Some(0), Some(129)),
    ("unreach", Some(3), Some(1)),
    ("squench", Some(4), None),
    ("redir", Some(5), Some(137)),
    ("althost", Some(6), None),
    ("echoreq", Some(8), Some(128)),
    ("routeradv", Some(9), Some(134)),
    ("routersol", Some(10), Some(133)),
    ("timex", Some(11), Some(3)),
    ("paramprob", Some(12), Some(4)),
    ("timereq", Some(13), None),
    ("timerep", Some(14), None),
    ("inforeq", Some(15), None),
    ("inforep", Some(16), None),
    ("maskreq", Some(17), None),
    ("maskrep", Some(18), None),
    ("trace", Some(30), None),
    ("dataconv", Some(31), None),
    ("mobredir", Some(32), None),
    ("photuris", Some(40), None),
    ("toobig", None, Some(2)),
    ("listqry", None, Some(130)),
    ("listenrep", None, Some(131)),
    ("listendone", None, Some(132)),
    ("neighbrsol", None, Some(135)),
    ("neighbradv", None, Some(136)),
    ("routrrenum", None, Some(138)),
    ("mtraceresp", None, Some(200)),
    ("mtrace", None, Some(201)),
];

impl IcmpKind {
    /// The type in this family; `None` when the word means nothing there.
    pub fn number(self, family: Family) -> Option<u8> {
        match (self, family) {
            (IcmpKind::Number(number), _) => Some(number),
            (IcmpKind::Word(word), Family::Inet) => word.row().1,
            (IcmpKind::Word(word), Family::Inet6) => word.row().2,
        }
    }
}

impl IcmpWord {
    fn row(self) -> Row {
        ICMP_WORDS.get(usize::from(self.0)).copied().unwrap_or(("", None, None))
    }
}

/// TCP flags of a rule as in pf, `S/SA`: of these flags exactly those are set. `any` looks at none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TcpFlags {
    /// The bits that are set.
    pub set: u8,
    /// The bits that are looked at.
    pub out_of: u8,
}

/// pf's letters, in the order of the bits.
const FLAG_LETTERS: &str = "FSRPAUEW";

/// A differentiated services code point (RFC 2474), by name or by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Dscp(u8);

static DSCP_NAMES: &[(&str, u8)] = &[
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("va", 44),
    ("ef", 46),
    ("cs1", 8),
    ("cs2", 16),
    ("cs3", 24),
    ("cs4", 32),
    ("cs5", 40),
    ("cs6", 48),
    ("cs7", 56),
];

impl Dscp {
    /// The six bits.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl TryFrom<String> for Protocol {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "any" => Ok(Protocol::Any),
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            "tcp/udp" => Ok(Protocol::TcpUdp),
            "icmp" => Ok(Protocol::Icmp),
            other => other.parse().map(Protocol::Number).map_err(|_| {
                format!(
                    "\"{other}\" is not a protocol; write any, tcp, udp, tcp/udp, icmp or a number up to 255"
                )
            }),
        }
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> String {
        match protocol {
            Protocol::Any => "any".into(),
            Protocol::Tcp => "tcp".into(),
            Protocol::Udp => "udp".into(),
            Protocol::TcpUdp => "tcp/udp".into(),
            Protocol::Icmp => "icmp".into(),
            Protocol::Number(number) => number.to_string(),
        }
    }
}

impl TryFrom<String> for IcmpKind {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(number) = text.parse() {
            return Ok(IcmpKind::Number(number));
        }
        let row = ICMP_WORDS.iter().position(|(word, ..)| *word == text);
        let index = row.and_then(|row| u8::try_from(row).ok());
        index.map(|index| IcmpKind::Word(IcmpWord(index))).ok_or_else(|| {
            format!("\"{text}\" is not an ICMP type; write a number up to 255 or pf's word, as in echoreq")
        })
    }
}

impl From<IcmpKind> for String {
    fn from(kind: IcmpKind) -> String {
        match kind {
            IcmpKind::Word(word) => word.row().0.into(),
            IcmpKind::Number(number) => number.to_string(),
        }
    }
}

impl TryFrom<String> for TcpFlags {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "any" {
            return Ok(TcpFlags { set: 0, out_of: 0 });
        }
        let bits = |letters: &str| {
            letters.chars().try_fold(0u8, |bits, letter| {
                FLAG_LETTERS.find(letter).map(|index| bits | 1 << index).ok_or(())
            })
        };
        let flags = text.split_once('/').map(|(set, out_of)| (bits(set), bits(out_of)));
        match flags {
            Some((Ok(set), Ok(out_of))) if set & !out_of == 0 && out_of != 0 => Ok(TcpFlags { set, out_of }),
            Some((Ok(_), Ok(0))) | Some((Err(()), _) | (_, Err(()))) | None => Err(format!(
                "\"{text}\" is no set of TCP flags; write any, or as in S/SA letters of {FLAG_LETTERS}"
            )),
            Some((Ok(_), Ok(_))) => Err(format!(
                "\"{text}\" wants a flag set that it does not look at; repeat it behind the slash"
            )),
        }
    }
}

impl From<TcpFlags> for String {
    fn from(flags: TcpFlags) -> String {
        let TcpFlags { set, out_of } = flags;
        if out_of == 0 {
            return "any".into();
        }
        let letters = |bits: u8| {
            FLAG_LETTERS
                .chars()
                .enumerate()
                .filter_map(move |(index, letter)| (bits >> index & 1 == 1).then_some(letter))
        };
        letters(set).chain(['/']).chain(letters(out_of)).collect()
    }
}

impl TryFrom<String> for Dscp {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let named = DSCP_NAMES.iter().find(|(name, _)| *name == text).map(|(_, bits)| *bits);
        named.or_else(|| text.parse().ok().filter(|bits| *bits < 64)).map(Dscp).ok_or_else(|| {
            format!(
                "\"{text}\" is no code point; write af11 to af43, cs1 to cs7, va, ef or a number up to 63"
            )
        })
    }
}

impl From<Dscp> for String {
    fn from(dscp: Dscp) -> String {
        let named = DSCP_NAMES.iter().find(|(_, bits)| *bits == dscp.0);
        named.map_or_else(|| dscp.0.to_string(), |(name, _)| (*name).into())
    }
}
