//! The resolver against name servers of the tests' own.

use super::*;
use crate::wire::dns::testing::reply;

fn names(texts: &[&str]) -> BTreeSet<Name> {
    texts.iter().map(|text| Name::new(text).unwrap()).collect()
}

fn resolver(servers: &[&str], texts: &[&str]) -> Resolver {
    let servers: Vec<IpAddr> = servers.iter().map(|server| server.parse().unwrap()).collect();
    let mut resolver = Resolver::new(servers.clone(), Seed([3, 4]));
    resolver.apply(Instant::ZERO, &servers, &names(texts));
    resolver
}

fn ask(resolver: &mut Resolver, now: Instant) -> Vec<Departing> {
    let mut out = Vec::new();
    resolver.handle_timeout(now, &mut out);
    out
}

/// IPv6 addresses are asked for with type 28.
fn is_six(question: &Departing) -> bool {
    question.payload[question.payload.len() - 15..][..2] == [0, 28]
}

/// Answers a question of either family.
fn answer(
    resolver: &mut Resolver,
    now: Instant,
    question: &Departing,
    addresses: &[&str],
    ttl: u32,
) -> Option<Option<Name>> {
    let wanted = |address: &&&str| address.contains(':') == is_six(question);
    let records: Vec<_> =
        addresses.iter().filter(wanted).map(|address| ("a.example", *address, ttl)).collect();
    let message = reply(&question.payload, 0, &records);
    resolver.handle_datagram(now, question.port, question.remote, &message)
}

fn known(resolver: &Resolver) -> Vec<String> {
    let name = Name::new("a.example").unwrap();
    resolver.addresses(&name).unwrap_or_default().iter().map(IpAddr::to_string).collect()
}

const T0: Instant = Instant::ZERO;

fn at(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

#[test]
fn a_name_is_asked_for_in_both_families_and_again_when_its_time_is_over() {
    let mut resolver = resolver(&["192.0.2.53"], &["a.example"]);
    let questions = ask(&mut resolver, T0);
    assert_eq!(questions.len(), 2);
    assert!(resolver.addresses(&Name::new("a.example").unwrap()).is_none());
    for question in &questions {
        answer(&mut resolver, T0, question, &["203.0.113.9", "203.0.113.8", "2001:db8::8"], 120);
    }
    assert_eq!(known(&resolver), ["203.0.113.8", "203.0.113.9", "2001:db8::8"]);
    assert_eq!(resolver.poll_timeout(), Some(at(120)));
    let again = ask(&mut resolver, at(120));
    assert_eq!(again.len(), 2);
    assert_ne!(again[0].payload[..2], questions[0].payload[..2]);
    let four = again.iter().find(|question| !is_six(question)).unwrap();
    let same = answer(&mut resolver, at(120), four, &["203.0.113.8", "203.0.113.9"], 120);
    assert_eq!(same, Some(None), "in another order they are the same");
    let rows = resolver.rows(at(120));
    assert_eq!((rows[0].ttl, &rows[0].error), (0, &None));
}

#[test]
fn times_to_live_are_bounded() {
    for (ttl, next) in [(0, 30), (29, 30), (31, 31), (86_400, 3600)] {
        let mut resolver = resolver(&["192.0.2.53"], &["a.example"]);
        for question in ask(&mut resolver, T0) {
            answer(&mut resolver, T0, &question, &["203.0.113.9", "2001:db8::8"], ttl);
        }
        assert_eq!(resolver.poll_timeout(), Some(at(next)), "{ttl}");
    }
}

#[test]
fn the_last_good_answer_stays_while_nobody_knows_better() {
    let mut resolver = resolver(&["192.0.2.53", "192.0.2.54"], &["a.example"]);
    for question in ask(&mut resolver, T0) {
        answer(&mut resolver, T0, &question, &["203.0.113.9"], 30);
    }
    let first = ask(&mut resolver, at(30));
    assert!(first.iter().all(|question| question.remote.ip().to_string() == "192.0.2.53"));
    let second = ask(&mut resolver, at(32));
    assert!(
        second.iter().all(|question| question.remote.ip().to_string() == "192.0.2.54"),
        "the other server"
    );
    assert_eq!(ask(&mut resolver, at(34)).len(), 0, "then there is a pause");
    assert_eq!(known(&resolver), ["203.0.113.9"]);
    assert_eq!(resolver.rows(at(34))[0].error.as_deref(), Some("no name server answers"));
    assert_eq!(resolver.counters().unanswered, 4);
    // Pauses grow, and end.
    let mut now = at(34);
    let mut pauses = Vec::new();
    for _ in 0..60 {
        let next = resolver.poll_timeout().unwrap();
        if next.since(now).as_secs() > 2 {
            pauses.push(next.since(now).as_secs());
        }
        now = next;
        ask(&mut resolver, now);
    }
    assert_eq!((pauses[0], *pauses.last().unwrap()), (10, 300));
}

#[test]
fn a_name_that_is_gone_keeps_its_addresses_and_says_so_but_an_empty_answer_counts() {
    let mut resolver = resolver(&["192.0.2.53"], &["a.example"]);
    for question in ask(&mut resolver, T0) {
        answer(&mut resolver, T0, &question, &["203.0.113.9"], 30);
    }
    for question in ask(&mut resolver, at(30)) {
        let message = reply(&question.payload, 3, &[]);
        assert_eq!(resolver.handle_datagram(at(30), question.port, question.remote, &message), Some(None));
    }
    assert_eq!(known(&resolver), ["203.0.113.9"]);
    assert_eq!(resolver.rows(at(30))[0].error.as_deref(), Some("there is no such name"));
    for question in ask(&mut resolver, at(40)) {
        let changed = answer(&mut resolver, at(40), &question, &[], 30);
        assert_eq!(changed, Some((!is_six(&question)).then(|| Name::new("a.example").unwrap())));
    }
    assert_eq!(known(&resolver), [""; 0]);
    assert_eq!(resolver.rows(at(40))[0].error, None);
}

#[test]
fn only_the_server_that_was_asked_can_answer() {
    let mut resolver = resolver(&["192.0.2.53"], &["a.example"]);
    let question = ask(&mut resolver, T0).into_iter().find(|question| !is_six(question)).unwrap();
    let message = reply(&question.payload, 0, &[("a.example", "198.51.100.66", 60)]);
    let mut other_id = message.clone();
    other_id[1] ^= 1;
    let from = |text: &str| text.parse().unwrap();
    for (port, from, message) in [
        (question.port ^ 1, question.remote, &message),
        (question.port, from("192.0.2.66:53"), &message),
        (question.port, from("192.0.2.53:54"), &message),
    ] {
        assert_eq!(resolver.handle_datagram(T0, port, from, message), None);
    }
    assert_eq!(resolver.handle_datagram(T0, question.port, question.remote, &other_id), Some(None));
    assert_eq!((known(&resolver).len(), resolver.counters().strays), (0, 1));
    let name = Name::new("a.example");
    assert_eq!(resolver.handle_datagram(T0, question.port, question.remote, &message), Some(name));
    assert_eq!(resolver.handle_datagram(T0, question.port, question.remote, &message), None, "once");
}

#[test]
fn addresses_and_questions_are_bounded() {
    let mut resolver = resolver(&["192.0.2.53"], &["a.example"]);
    let many: Vec<String> = (0..200).map(|host| format!("203.0.113.{host}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for question in ask(&mut resolver, T0) {
        answer(&mut resolver, T0, &question, &many, 30);
    }
    assert_eq!(known(&resolver).len(), ADDRESSES_MAX);
    let texts: Vec<String> = (0..100).map(|name| format!("n{name}.example")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    resolver.apply(T0, &["192.0.2.53".parse().unwrap()], &names(&texts));
    assert_eq!(resolver.rows(T0).len(), 100, "a name that nobody wants is forgotten");
    assert_eq!(ask(&mut resolver, T0).len(), UNDER_WAY);
    assert_eq!(resolver.poll_timeout(), Some(at(2)));
    assert_eq!(ask(&mut resolver, at(2)).len(), UNDER_WAY);
}

#[test]
fn without_servers_nobody_is_asked() {
    let mut resolver = resolver(&[], &["a.example"]);
    assert_eq!(resolver.poll_timeout(), None);
    assert!(ask(&mut resolver, T0).is_empty());
    assert!(resolver.rows(T0)[0].error.is_some());
    resolver.apply(at(5), &["192.0.2.53".parse().unwrap()], &names(&["a.example"]));
    assert_eq!(ask(&mut resolver, at(5)).len(), 2);
}
