//! DNS messages (RFC 1035 section 4): a question for the addresses of a name, and what an answer says about it.
//!
//! Invariant: the parser is total and its work bounded. A name is at most 255 bytes and follows at most so many pointers,
//! each of which leads backwards; records are counted by the message's length, not by what its header promises.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The UDP port of name servers.
pub const PORT: u16 = 53;
/// Bytes of the header.
const HEADER: usize = 12;
/// The longest name with its length bytes.
const NAME_MAX: usize = 255;
/// The longest label.
const LABEL_MAX: usize = 63;
/// The largest answer that we say we take (RFC 6891): what fits the least link of IPv6.
const ANSWER_MAX: u16 = 1232;
/// Aliases that are followed from the name that was asked for.
const CHAIN: usize = 16;

const CNAME: u16 = 5;
const OPT: u16 = 41;
const INTERNET: u16 = 1;
/// The bits of a header that say: an answer.
const RESPONSE: u16 = 1 << 15;
/// It did not fit.
const TRUNCATED: u16 = 1 << 9;
/// Somebody else shall be asked on our behalf.
const RECURSION_DESIRED: u16 = 1 << 8;

/// A name in lower case, without the dot at its end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(String);

impl Name {
    /// A name of a host (RFC 1123 section 2.1, and underscores, which are met); `None` for anything else.
    pub fn new(text: &str) -> Option<Name> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let label = |label: &str| {
            (1..=LABEL_MAX).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let fits = !text.is_empty() && text.len() + 2 <= NAME_MAX && text.split('.').all(label);
        fits.then(|| Name(text.to_ascii_lowercase()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn write(&self, into: &mut Vec<u8>) {
        for label in self.0.split('.') {
            into.push(label.len() as u8);
            into.extend_from_slice(label.as_bytes());
        }
        into.push(0);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

impl Kind {
    /// Both.
    pub const ALL: [Kind; 2] = [Kind::A, Kind::Aaaa];

    const fn code(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Aaaa => 28,
        }
    }
}

/// A question, as a message.
pub fn query(id: u16, name: &Name, kind: Kind) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + name.0.len() + 17);
    for word in [id, RECURSION_DESIRED, 1, 0, 0, 1] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    name.write(&mut bytes);
    for word in [kind.code(), INTERNET] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    // The root's name, and how large an answer may be.
    bytes.push(0);
    for word in [OPT, ANSWER_MAX, 0, 0, 0] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// What a server says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The addresses, in the server's order.
    pub addresses: Vec<IpAddr>,
    /// Seconds for which all that led to them may be remembered.
    pub ttl: u32,
    /// There are more than the message holds.
    pub truncated: bool,
}

/// Why a message is no answer to a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is not about this question: anybody may have sent it.
    Stray,
    /// It breaks off, or its names make no sense.
    Malformed,
    /// There is no such name.
    NoSuchName,
    /// The server could not, or would not: its code.
    Failed(u8),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Stray => f.write_str("an answer to another question"),
            Refusal::Malformed => f.write_str("the answer makes no sense"),
            Refusal::NoSuchName => f.write_str("there is no such name"),
            Refusal::Failed(2) => f.write_str("the name server has failed"),
            Refusal::Failed(5) => f.write_str("the name server refuses"),
            Refusal::Failed(code) => write!(f, "the name server says {code}"),
        }
    }
}

/// Reads an answer to the question of this number, name and kind; at most `limit` addresses are taken.
///
/// # Errors
/// When it is none.
pub fn answer(bytes: &[u8], id: u16, name: &Name, kind: Kind, limit: usize) -> Result<Answer, Refusal> {
    let mut reader = Reader { bytes, at: 0 };
    let mut header = [0; 6];
    for word in &mut header {
        *word = reader.word().ok_or(Refusal::Stray)?;
    }
    let [number, flags, questions, answers, ..] = header;
    if number != id || flags & RESPONSE == 0 || flags >> 11 & 15 != 0 || questions != 1 {
        return Err(Refusal::Stray);
    }
    let asked = (reader.name(), reader.word(), reader.word());
    if asked != (Some(name.0.clone()), Some(kind.code()), Some(INTERNET)) {
        return Err(Refusal::Stray);
    }
    match flags & 15 {
        0 => {}
        3 => return Err(Refusal::NoSuchName),
        code => return Err(Refusal::Failed(code as u8)),
    }
    let truncated = flags & TRUNCATED != 0;
    let mut records = Vec::new();
    for _ in 0..answers {
        match reader.record() {
            Some(record) => records.push(record),
            // What was cut off is missing, and nothing else is wrong.
            None if truncated => break,
            None => return Err(Refusal::Malformed),
        }
    }
    let (addresses, ttl) = follow(&records, &name.0, kind, limit);
    Ok(Answer { addresses, ttl, truncated })
}

/// From the name that was asked for along its aliases to the addresses.
fn follow(records: &[Record], name: &str, kind: Kind, limit: usize) -> (Vec<IpAddr>, u32) {
    let mut name = name;
    let mut ttl = u32::MAX;
    for _ in 0..CHAIN {
        let here = || records.iter().filter(|record| record.name == name);
        let found = here().filter_map(|record| match (&record.data, kind) {
            (Data::Address(address @ IpAddr::V4(_)), Kind::A)
            | (Data::Address(address @ IpAddr::V6(_)), Kind::Aaaa) => Some((*address, record.ttl)),
            (Data::Address(_) | Data::Alias(_) | Data::Other, _) => None,
        });
        let found: Vec<(IpAddr, u32)> = found.take(limit).collect();
        if !found.is_empty() {
            let least = found.iter().map(|(_, ttl)| *ttl).min().unwrap_or(ttl);
            return (found.into_iter().map(|(address, _)| address).collect(), ttl.min(least));
        }
        let alias = here().find_map(|record| match &record.data {
            Data::Alias(target) => Some((target, record.ttl)),
            Data::Address(_) | Data::Other => None,
        });
        let Some((target, of_alias)) = alias else { break };
        name = target;
        ttl = ttl.min(of_alias);
    }
    (Vec::new(), if ttl == u32::MAX { 0 } else { ttl })
}

struct Record {
    name: String,
    ttl: u32,
    data: Data,
}

enum Data {
    Address(IpAddr),
    Alias(String),
    Other,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn word(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|word| u16::from_be_bytes(*word))
    }

    /// A name, in lower case and with dots. Bytes that are no text are written as question marks: no name that we ask
    /// for has any.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut at = self.at;
        let (mut end, mut lowest) = (None, self.at);
        let mut taken = 0;
        loop {
            let length = usize::from(*self.bytes.get(at)?);
            match length >> 6 {
                0 if length == 0 => {
                    self.at = end.unwrap_or(at + 1);
                    return Some(name);
                }
                0 => {
                    taken += length + 1;
                    if taken >= NAME_MAX {
                        return None;
                    }
                    let label = self.bytes.get(at + 1..at + 1 + length)?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(label.iter().map(|byte| match byte {
                        b'!'..=b'-' | b'/'..=b'~' => char::from(byte.to_ascii_lowercase()),
                        _ => '?',
                    }));
                    at += 1 + length;
                }
                3 => {
                    let low = usize::from(*self.bytes.get(at + 1)?);
                    end.get_or_insert(at + 2);
                    at = (length & 0x3f) << 8 | low;
                    // Always backwards, so that it ends.
                    if at >= lowest {
                        return None;
                    }
                    lowest = at;
                }
                _ => return None,
            }
        }
    }

    fn record(&mut self) -> Option<Record> {
        let name = self.name()?;
        let (kind, class) = (self.word()?, self.word()?);
        let ttl = u32::from(self.word()?) << 16 | u32::from(self.word()?);
        let length = usize::from(self.word()?);
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let data = match (class, kind, length) {
            (INTERNET, 1, 4) => {
                let octets: [u8; 4] = *self.take(4)?.first_chunk()?;
                Data::Address(Ipv4Addr::from(octets).into())
            }
            (INTERNET, 28, 16) => {
                let octets: [u8; 16] = *self.take(16)?.first_chunk()?;
                Data::Address(Ipv6Addr::from(octets).into())
            }
            (INTERNET, CNAME, _) => Data::Alias(self.name().filter(|_| self.at == end)?),
            _ => Data::Other,
        };
        self.at = end;
        // The first bit is none of the number (RFC 2181 section 8).
        let ttl = if ttl >> 31 == 1 { 0 } else { ttl };
        Some(Record { name, ttl, data })
    }
}

/// Messages of servers, for tests.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// An answer to `query` with these records: an owner, and an alias or an address.
    pub(crate) fn reply(query: &[u8], code: u8, records: &[(&str, &str, u32)]) -> Vec<u8> {
        let mut reader = Reader { bytes: query, at: HEADER };
        reader.name().unwrap();
        let question = &query[HEADER..reader.at + 4];
        let mut bytes = query[..2].to_vec();
        for word in [RESPONSE | RECURSION_DESIRED | 1 << 7 | u16::from(code), 1, records.len() as u16, 0, 0] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(question);
        for (name, data, ttl) in records {
            Name::new(name).unwrap().write(&mut bytes);
            let (kind, data) = match data.parse() {
                Ok(IpAddr::V4(address)) => (1, address.octets().to_vec()),
                Ok(IpAddr::V6(address)) => (28, address.octets().to_vec()),
                Err(_) => {
                    let mut target = Vec::new();
                    Name::new(data).unwrap().write(&mut target);
                    (CNAME, target)
                }
            };
            for word in [kind, INTERNET, (ttl >> 16) as u16, *ttl as u16, data.len() as u16] {
                bytes.extend_from_slice(&word.to_be_bytes());
            }
            bytes.extend_from_slice(&data);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::reply;
    use super::*;

    /// An answer as a recursive server sends it: compressed, with an alias.
    const WWW: &str = "1a2b8180000100030000000003777777076578616d706c65036f72670000010001\
                       c00c00050001000002580006 0363646ec010\
                       c02d000100010000003c0004cb007107c02d00010001000000780004cb007108";

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_compressed_answer_with_an_alias_is_read() {
        let hex: String = WWW.chars().filter(|c| !c.is_whitespace()).collect();
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        let found = answer(&bytes, 0x1a2b, &name("WWW.example.org."), Kind::A, 10).unwrap();
        let addresses: Vec<IpAddr> = ["203.0.113.7", "203.0.113.8"].map(|text| text.parse().unwrap()).into();
        assert_eq!(found, Answer { addresses, ttl: 60, truncated: false });
        assert_eq!(answer(&bytes, 0x1a2b, &name("www.example.org"), Kind::A, 1).unwrap().addresses.len(), 1);
        for (id, asked, kind) in [
            (0x1a2c, "www.example.org", Kind::A),
            (0x1a2b, "ww.example.org", Kind::A),
            (0x1a2b, "www.example.org", Kind::Aaaa),
        ] {
            assert_eq!(answer(&bytes, id, &name(asked), kind, 10), Err(Refusal::Stray));
        }
        for cut in 33..bytes.len() {
            assert_eq!(
                answer(&bytes[..cut], 0x1a2b, &name("www.example.org"), Kind::A, 10),
                Err(Refusal::Malformed)
            );
        }
        let mut cut = bytes.clone();
        cut[2] |= 2;
        let found = answer(&cut[..bytes.len() - 1], 0x1a2b, &name("www.example.org"), Kind::A, 10).unwrap();
        assert!(found.truncated && found.addresses.len() == 1);
    }

    #[test]
    fn a_question_is_one_that_servers_read() {
        let bytes = query(0x0102, &name("a.bc"), Kind::Aaaa);
        let expected = [
            1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, b'a', 2, b'b', b'c', 0, 0, 28, 0, 1, 0, 0, 41, 4, 0xd0, 0,
            0, 0, 0, 0, 0,
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn names_are_those_of_hosts() {
        for text in ["a", "a.b.", "x-1.example", "_sip.example.org"] {
            assert!(Name::new(text).is_some(), "{text}");
        }
        let long = format!("{}.org", "a".repeat(64));
        let longer = vec!["abcdefg"; 32].join(".");
        for text in ["", ".", "a..b", "-a.b", "a-.b", "a b", "ä.org", long.as_str(), longer.as_str()] {
            assert!(Name::new(text).is_none(), "{text}");
        }
    }

    #[test]
    fn other_answers_say_why() {
        let asked = query(9, &name("a.example"), Kind::A);
        let read = |bytes: &[u8]| answer(bytes, 9, &name("a.example"), Kind::A, 10);
        assert_eq!(read(&reply(&asked, 3, &[])), Err(Refusal::NoSuchName));
        assert_eq!(read(&reply(&asked, 2, &[])), Err(Refusal::Failed(2)));
        assert!(read(&reply(&asked, 0, &[])).unwrap().addresses.is_empty());
        assert_eq!(read(&asked), Err(Refusal::Stray), "a question is no answer");
        let circle = [("a.example", "b.example", 5), ("b.example", "a.example", 5)];
        assert!(read(&reply(&asked, 0, &circle)).unwrap().addresses.is_empty());
        let foreign = [("b.example", "192.0.2.1", 5), ("a.example", "2001:db8::1", 5)];
        assert!(
            read(&reply(&asked, 0, &foreign)).unwrap().addresses.is_empty(),
            "of another name, of another family"
        );
    }

    #[test]
    fn pointers_that_lead_nowhere_end() {
        let mut bytes = query(9, &name("a.example"), Kind::A);
        bytes[2] |= 0x80;
        for pointer in [[0xc0, 12], [0xc0, 0xff], [0xff, 0xff], [0x80, 0]] {
            bytes[12..14].copy_from_slice(&pointer);
            assert_eq!(answer(&bytes, 9, &name("a.example"), Kind::A, 10), Err(Refusal::Stray));
        }
    }

    proptest! {
        #[test]
        fn anything_may_come_in(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), whole in any::<bool>()) {
            if whole {
                let mut real = query(7, &name("a.example"), Kind::A);
                real[2] |= 0x80;
                real[7] = 4;
                real.truncate(27);
                real.append(&mut bytes);
                bytes = real;
            }
            if let Ok(found) = answer(&bytes, 7, &name("a.example"), Kind::A, 3) {
                prop_assert!(found.addresses.len() <= 3);
            }
        }

        #[test]
        fn addresses_come_back(
            addresses in proptest::collection::vec(any::<Ipv4Addr>(), 0..20),
            ttl in 0u32..1 << 31,
        ) {
            let asked = query(7, &name("a.example"), Kind::A);
            let texts: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
            let mut records = vec![("a.example", "b.example", u32::MAX >> 1)];
            records.extend(texts.iter().map(|text| ("b.example", text.as_str(), ttl)));
            let found = answer(&reply(&asked, 0, &records), 7, &name("a.example"), Kind::A, 100).unwrap();
            let expected: Vec<IpAddr> = addresses.into_iter().map(IpAddr::V4).collect();
            prop_assert_eq!(found.addresses, expected);
        }
    }
}
