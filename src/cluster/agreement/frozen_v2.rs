//! Form 1 of what the nodes say to each other about their configuration, as release 2 of the pair's protocols wrote it:
//! the bytes, made by hand. Nothing here is ever changed again; a form that differs gets another number.

use super::message::{Head, Message, Proposal};
use crate::config::life::{Author, Document, Record};

/// A number of any size: seven bits each, the lowest first, the highest bit set on all but the last.
fn number(mut value: u64, into: &mut Vec<u8>) {
    while value > 127 {
        into.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    into.push(value as u8);
}

fn text(value: &str, into: &mut Vec<u8>) {
    number(value.len() as u64, into);
    into.extend(value.as_bytes());
}

fn maybe(value: Option<&str>, into: &mut Vec<u8>) {
    into.push(u8::from(value.is_some()));
    value.into_iter().for_each(|value| text(value, into));
}

/// Revision 300, hash `h2`, text `t2`.
fn document(into: &mut Vec<u8>) {
    number(300, into);
    text("h2", into);
    text("t2", into);
}

/// Sequence, revision, hash, time, author, place, why, label, epoch, what it undoes.
fn record(into: &mut Vec<u8>) {
    number(4, into);
    number(300, into);
    text("h2", into);
    number(1_700_000_000_000, into);
    ["eve", "cli", "because", "name"].into_iter().for_each(|word| text(word, into));
    number(9, into);
    maybe(Some("h1"), into);
}

/// Hash, revision, epoch, what it undoes, armed, chain, proposes, doubts.
fn head(into: &mut Vec<u8>) {
    text("h2", into);
    number(300, into);
    number(9, into);
    maybe(None, into);
    into.push(1);
    number(2, into);
    text("h1", into);
    text("h0", into);
    maybe(Some("h3"), into);
    maybe(None, into);
}

/// Seconds, and a text to go back to.
fn confirm(into: &mut Vec<u8>) {
    into.push(1);
    number(60, into);
    text("t1", into);
}

fn all() -> Vec<(Message, Vec<u8>)> {
    let known = || Record {
        sequence: 4,
        revision: 300,
        hash: "h2".into(),
        at_ms: 1_700_000_000_000,
        author: Author { who: "eve".into(), from: "cli".into() },
        why: "because".into(),
        label: "name".into(),
        epoch: 9,
        undoes: Some("h1".into()),
    };
    let new = || Document { revision: 300, hash: "h2".into(), text: "t2".into() };
    let has = || {
        Box::new(Head {
            hash: "h2".into(),
            revision: 300,
            epoch: 9,
            undoes: None,
            armed: true,
            chain: vec!["h1".into(), "h0".into()],
            proposes: Some("h3".into()),
            doubts: None,
        })
    };
    let proposal =
        Proposal { document: new(), base: "h1".into(), record: known(), confirm: Some((60, "t1".into())) };
    let name = || String::from("h2");
    let problems = || vec![String::from("no"), String::from("way")];
    let messages = [
        Message::Hello(has(), true),
        Message::Prepare(Box::new(proposal)),
        Message::Ready(name()),
        Message::Refused(name(), problems()),
        Message::Commit(name()),
        Message::Committed(name(), problems()),
        Message::Abort(name()),
        Message::Confirmed(name()),
        Message::Lesson(has(), vec![(known(), new())], Some((60, "t1".into()))),
    ];
    let frozen = |message: &Message, which: u8| {
        let mut bytes = vec![1, which];
        match message {
            Message::Hello(..) => {
                head(&mut bytes);
                bytes.push(1);
            }
            Message::Prepare(_) => {
                document(&mut bytes);
                text("h1", &mut bytes);
                record(&mut bytes);
                confirm(&mut bytes);
            }
            Message::Ready(_) | Message::Commit(_) | Message::Abort(_) | Message::Confirmed(_) => {
                text("h2", &mut bytes);
            }
            Message::Refused(..) | Message::Committed(..) => {
                text("h2", &mut bytes);
                number(2, &mut bytes);
                text("no", &mut bytes);
                text("way", &mut bytes);
            }
            Message::Lesson(..) => {
                head(&mut bytes);
                number(1, &mut bytes);
                record(&mut bytes);
                document(&mut bytes);
                confirm(&mut bytes);
            }
        }
        bytes
    };
    let numbered = messages.into_iter().zip(0..);
    numbered.map(|(message, which)| (message.clone(), frozen(&message, which))).collect()
}

#[test]
fn what_is_said_about_the_configuration_is_what_release_2_said() {
    for (message, bytes) in all() {
        assert_eq!(message.encode(), bytes, "{message:?}");
        assert_eq!(Message::decode(&bytes), Some(message));
    }
    assert_eq!(Message::decode(&[2, 4, 2, b'h', b'2']), None, "another form");
}
