//! The services together, as a document wants them.

use super::*;
use crate::config::parse;
use crate::wire::dns::testing::reply;
use log::LogRow;

const DOCUMENT: &str = r#"
schema = 1
revision = 1
[system]
hostname = "gate"
dns_servers = ["192.0.2.53"]
time_servers = ["time.example.org", "192.0.2.123"]
[system.logging]
servers = ["log.example.org:5514", "2001:db8::514"]
facility = "local7"
severity = "notice"
[[node]]
name = "alpha"
[[node.port]]
name = "wan"
tap = "t"
[[interface]]
name = "wan"
zone = "wan"
port = "wan"
[[alias]]
name = "updates"
type = "host"
entries = ["10.0.0.1", "updates.example.org"]
"#;

fn services() -> Services {
    let config = parse(DOCUMENT).unwrap();
    Services::new(&config, Seed([1, 2]), Instant::ZERO, WallTime::from_secs(1_760_000_000))
}

fn run(services: &mut Services) -> Outbox {
    let mut out = Outbox::default();
    services.handle_timeout(Instant::ZERO, WallTime::from_secs(1_760_000_000), &mut out);
    out
}

/// Every question for this name gets this answer; says whether a name of an alias has changed.
fn answer(services: &mut Services, questions: &Outbox, name: &str, address: &str) -> bool {
    let mut out = Outbox::default();
    let label = name.split('.').next().unwrap();
    let about = |question: &&Departing| {
        let text = String::from_utf8_lossy(&question.payload).into_owned();
        question.remote.port() == 53 && text.contains(label)
    };
    for question in questions.datagrams.iter().filter(about) {
        let four = question.payload[question.payload.len() - 15..][..2] == [0, 1];
        let records = [(name, address, 60)];
        let message = reply(&question.payload, 0, if four { &records } else { &[] });
        let wall = WallTime::from_secs(1_760_000_000);
        assert!(services.handle_datagram(
            Instant::ZERO,
            wall,
            question.port,
            question.remote,
            &message,
            &mut out
        ));
    }
    out.names_changed
}

#[test]
fn names_of_servers_and_of_aliases_are_looked_up_and_used() {
    let mut services = services();
    let questions = run(&mut services);
    let asked: Vec<u16> = questions.datagrams.iter().map(|question| question.remote.port()).collect();
    assert_eq!(asked.iter().filter(|port| **port == 53).count(), 6, "three names in two families");
    assert_eq!(asked.iter().filter(|port| **port == 123).count(), 1, "only one time server has an address");
    assert!(!answer(&mut services, &questions, "time.example.org", "203.0.113.1"));
    assert!(
        run(&mut services).datagrams.iter().any(|question| question.remote.to_string() == "203.0.113.1:123")
    );
    assert!(services.names().is_empty());
    assert!(answer(&mut services, &questions, "updates.example.org", "203.0.113.2"));
    let name = Name::new("updates.example.org").unwrap();
    assert_eq!(services.names(), BTreeMap::from([(name, vec!["203.0.113.2".parse().unwrap()])]));
    let row = services.row(Instant::ZERO, WallTime::default(), false, |_| String::new());
    assert_eq!((row.names.len(), row.clock.servers.len(), row.clock.sure), (3, 2, false));
}

fn row() -> LogRow {
    LogRow {
        id: 7,
        at_ms: 1_760_000_000_123,
        action: "block".into(),
        reason: Some("blocked-in".into()),
        interface: "wan".into(),
        direction: "in".into(),
        ingress: "wan".into(),
        rule: 1_000_001,
        description: "Say \"no\" [here]\\".into(),
        protocol: 6,
        src: Some("2001:db8::1".parse().unwrap()),
        sport: 4000,
        dst: Some("198.51.100.2".parse().unwrap()),
        dport: 22,
        flags: Some("S".into()),
        dscp: 10,
        length: 60,
    }
}

#[test]
fn records_go_to_every_server_as_rfc_5424_has_them() {
    let mut services = services();
    let questions = run(&mut services);
    let told = |services: &mut Services, row: &LogRow| {
        let mut out = Outbox::default();
        services.handle_record(row, &mut out);
        out.datagrams
    };
    let datagrams = told(&mut services, &row());
    assert_eq!(datagrams.len(), 1, "the other server's name is not known yet");
    assert_eq!(datagrams[0].remote.to_string(), "[2001:db8::514]:514");
    let text = String::from_utf8(datagrams[0].payload.clone()).unwrap();
    assert_eq!(
        text,
        "<189>1 2025-10-09T08:53:20.123Z gate koi - filter [filter@32473 id=\"7\" action=\"block\" \
         reason=\"blocked-in\" interface=\"wan\" direction=\"in\" ingress=\"wan\" rule=\"1000001\" \
         description=\"Say \\\"no\\\" [here\\]\\\\\" protocol=\"tcp\" src=\"2001:db8::1\" sport=\"4000\" \
         dst=\"198.51.100.2\" dport=\"22\" flags=\"S\" dscp=\"10\" length=\"60\"] block in on wan tcp \
         [2001:db8::1]:4000 -> 198.51.100.2:22 S length 60, rule 1000001 (Say \"no\" [here]\\)"
    );
    answer(&mut services, &questions, "log.example.org", "203.0.113.3");
    let datagrams = told(&mut services, &row());
    assert_eq!(datagrams[0].remote.to_string(), "203.0.113.3:5514");
    assert_eq!(datagrams.len(), 2);
    let long = LogRow { description: "ä".repeat(5000), ..row() };
    assert!(told(&mut services, &long).iter().all(|datagram| datagram.payload.len() <= 1232));
}

#[test]
fn a_document_without_servers_says_nothing() {
    let mut config = parse(DOCUMENT).unwrap();
    config.system = Default::default();
    let mut services = services();
    services.apply(&config, Instant::ZERO);
    assert!(run(&mut services).datagrams.is_empty());
    let mut out = Outbox::default();
    services.handle_record(&row(), &mut out);
    assert!(out.datagrams.is_empty());
}
