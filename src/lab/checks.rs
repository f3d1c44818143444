//! Tries what the story says, and looks at what the router, the other host and the page say about it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use super::network::{Network, namespace};
use super::node::RunningNode;
use super::probe::{Answer, Probe};
use super::story::{Attempt, Expect};
use crate::io::netns;
use crate::io::request::FlowFilter;
use crate::node::snapshot::DropRow;
use crate::types::Prefix;
use crate::wire::protocol;

/// What came of a check.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// It holds.
    pub ok: bool,
    /// What was seen, in words.
    pub detail: String,
}

impl Outcome {
    /// The outcome of a check that gives its detail, or why it does not hold.
    pub fn of(name: &str, result: anyhow::Result<String>) -> Outcome {
        let ok = result.is_ok();
        let detail = result.unwrap_or_else(|error| format!("{error:#}"));
        Outcome { name: name.into(), ok, detail }
    }
}

/// Tries what should be answered, and finds out how.
pub fn reach(attempt: &Attempt, node: &RunningNode) -> Outcome {
    Outcome::of(attempt.name, try_to_reach(attempt, node))
}

fn try_to_reach(attempt: &Attempt, node: &RunningNode) -> anyhow::Result<String> {
    let answer = within(attempt.from, || attempt.probe.run(attempt.destination()))?;
    let path = match attempt.expect {
        Expect::Translated(outside) => translation(attempt, &answer, node, Some(outside.parse()?))?,
        Expect::Routed => translation(attempt, &answer, node, None)?,
        Expect::Answered => "by the router itself".into(),
        Expect::Refused => bail!("this table is of answers"),
    };
    let figure = match answer.moved {
        Some((bytes, time)) => rate(bytes, time),
        None => format!("{:.2} ms", answer.round_trip.as_secs_f64() * 1e3),
    };
    Ok(format!("{figure}, {path}"))
}

fn within<T: Send>(host: &str, work: impl FnOnce() -> std::io::Result<T> + Send) -> std::io::Result<T> {
    netns::within(Some(&namespace(host)), work)
}

/// Bits a second.
fn rate(bytes: u64, time: Duration) -> String {
    let megabits = bytes as f64 * 8.0 / time.as_secs_f64().max(1e-9) / 1e6;
    if megabits >= 1000.0 { format!("{:.2} Gbit/s", megabits / 1e3) } else { format!("{megabits:.0} Mbit/s") }
}

/// Compares what the other host saw with what the router's table says.
fn translation(
    attempt: &Attempt,
    answer: &Answer,
    node: &RunningNode,
    outside: Option<IpAddr>,
) -> anyhow::Result<String> {
    let expected = outside.unwrap_or(answer.local.ip());
    if let Some(seen) = answer.seen_as {
        ensure!(seen.ip() == expected, "{} saw {seen} instead of {expected}", attempt.to);
        ensure!(outside.is_some() || seen == answer.local, "{} saw {seen}, not {}", attempt.to, answer.local);
    }
    let filter = FlowFilter {
        src: Some(Prefix::from(answer.local.ip())),
        dst: Some(Prefix::from(attempt.destination().ip())),
        port: Some(answer.local.port()),
        protocol: Some(number(attempt)),
        ..FlowFilter::default()
    };
    let flows = node.flows(filter)?;
    let source = format!("{} -> ", answer.local);
    let flow = flows.iter().find(|flow| flow.original.contains(&source));
    let flow =
        flow.with_context(|| format!("the router's table does not have the flow of {}", answer.local))?;
    let Some(translated) = flow.translated.as_deref() else {
        ensure!(outside.is_none(), "the router's table says that {} is not translated", answer.local);
        return Ok(format!("{} sees {} itself, by rule {}", attempt.to, answer.local, flow.rule));
    };
    ensure!(outside.is_some(), "the router translates {} into {translated}", answer.local);
    let inside_table = source_of(translated).context("the router's table is not readable")?;
    ensure!(inside_table.ip() == expected, "the router's table says {inside_table}");
    ensure!(
        answer.seen_as.is_none_or(|seen| seen == inside_table),
        "the router's table says {inside_table}, but {} saw {:?}",
        attempt.to,
        answer.seen_as
    );
    Ok(format!("{} is {inside_table} to {}, by rule {}", answer.local, attempt.to, flow.rule))
}

/// The source in `tcp 203.0.113.2:1024 -> 198.51.100.10:80`.
fn source_of(flow: &str) -> Option<SocketAddr> {
    flow.split(' ').nth(1)?.parse().ok()
}

fn number(attempt: &Attempt) -> u8 {
    match attempt.probe {
        Probe::Tcp | Probe::Connect | Probe::Upload | Probe::Download => protocol::TCP,
        Probe::Udp => protocol::UDP,
        Probe::Ping if attempt.destination().is_ipv6() => protocol::ICMPV6,
        Probe::Ping => protocol::ICMP,
    }
}

/// Tries what must be refused, all at once, and looks for each refusal in the recent drops of whichever node leads.
pub fn refusals(attempts: &[Attempt], network: &Network, nodes: &[RunningNode]) -> Vec<Outcome> {
    let tried: Vec<anyhow::Result<()>> = std::thread::scope(|scope| {
        let running: Vec<_> =
            attempts.iter().map(|attempt| scope.spawn(|| try_in_vain(attempt, network))).collect();
        let joined = running.into_iter().map(|thread| thread.join());
        joined.map(|result| result.unwrap_or_else(|_| bail!("the attempt panicked"))).collect()
    });
    let drops: anyhow::Result<Vec<Vec<DropRow>>> = nodes.iter().map(RunningNode::drops).collect();
    let judge = |attempt: &Attempt, result: anyhow::Result<()>| {
        result?;
        let sources = network.addresses(attempt.from);
        let drops = drops.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let drop = drops.iter().flatten().find(|drop| is_of(drop, attempt, &sources));
        let drop = drop.context("there was no answer, but the router has not counted a refusal")?;
        let rule = drop.rule.map(|rule| format!(", rule {rule}")).unwrap_or_default();
        Ok(format!("no answer: {} on {}{rule}", drop.reason, drop.interface))
    };
    attempts
        .iter()
        .zip(tried)
        .map(|(attempt, result)| Outcome::of(attempt.name, judge(attempt, result)))
        .collect()
}

fn try_in_vain(attempt: &Attempt, network: &Network) -> anyhow::Result<()> {
    let destination = attempt.destination();
    // Silence says something only where somebody would answer.
    if network.hosts.iter().any(|host| host.name == attempt.to && host.serves) {
        within(attempt.to, || attempt.probe.run(destination))
            .context("the service does not even answer at home")?;
    }
    within(attempt.from, || attempt.probe.run_in_vain(destination))?;
    Ok(())
}

/// True when the lost packet was sent by one of `sources` for this attempt.
fn is_of(drop: &DropRow, attempt: &Attempt, sources: &[IpAddr]) -> bool {
    let to = attempt.destination();
    let flow: Vec<&str> = drop.flow.as_deref().unwrap_or_default().split(' ').collect();
    let &[name, source, "->", destination] = &flow[..] else { return false };
    let (Ok(source), Ok(destination)) = (source.parse::<SocketAddr>(), destination.parse::<SocketAddr>())
    else {
        return false;
    };
    let name_fits = match number(attempt) {
        protocol::TCP => name == "tcp",
        protocol::UDP => name == "udp",
        _ => name.starts_with("icmp"),
    };
    name_fits
        && sources.contains(&source.ip())
        && destination.ip() == to.ip()
        && (to.port() == 0 || destination.port() == to.port())
}

/// The page of this machine: shown with the password, which is asked for without it; refused under a foreign name.
pub fn page(node: &RunningNode) -> Outcome {
    Outcome::of("status-page", try_page(node))
}

fn try_page(node: &RunningNode) -> anyhow::Result<String> {
    let credentials = node.password()?.credentials();
    let own = node.page.to_string();
    let shown = get(node.page, &own, Some(&credentials))?;
    ensure!(shown == 200, "with the password, the page answers {shown}");
    let bare = get(node.page, &own, None)?;
    ensure!(bare == 303, "without the password, the page answers {bare}");
    let foreign = get(node.page, "koi.example", Some(&credentials))?;
    ensure!((400..500).contains(&foreign), "under a foreign name, the page answers {foreign}");
    Ok(format!("http://{own}/ is shown with the password, and neither without it nor under another name"))
}

/// The status of an answer.
fn get(address: SocketAddr, host: &str, credentials: Option<&str>) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let authorization = credentials.map(|text| format!("Authorization: {text}\r\n")).unwrap_or_default();
    let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{authorization}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer)?;
    let line = String::from_utf8_lossy(&answer[..answer.len().min(64)]).into_owned();
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.with_context(|| format!("the page answers {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::super::story::REFUSED;
    use super::*;

    #[test]
    fn a_drop_belongs_to_its_attempt_alone() {
        let row = |flow: &str| DropRow {
            at: 1.0,
            reason: "policy".into(),
            interface: "dmz".into(),
            flow: Some(flow.into()),
            rule: Some(1_000_010),
        };
        let network = Network::story(&crate::config::parse(crate::lab::CONFIG).unwrap());
        let fits = |flow: &str, name: &str| {
            let attempt = REFUSED.iter().find(|attempt| attempt.name == name).unwrap();
            is_of(&row(flow), attempt, &network.addresses(attempt.from))
        };
        let tcp = "tcp 10.20.0.10:40000 -> 192.168.1.10:80";
        assert!(fits(tcp, "dmz-lan-tcp4"));
        assert!(!fits(tcp, "wan-lan-tcp4"), "from somebody else");
        assert!(!fits(tcp, "dmz-lan-tcp6") && !fits(tcp, "dmz-lan-ping4"));
        let ping = "icmp 10.20.0.10:7 -> 192.168.1.10:7";
        assert!(fits(ping, "dmz-lan-ping4") && !fits(ping, "dmz-lan-tcp4"));
        let six = "tcp [2001:db8:20::10]:40000 -> [2001:db8:10::10]:80";
        assert!(fits(six, "dmz-lan-tcp6"));
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(rate(1_250_000_000, Duration::from_secs(1)), "10.00 Gbit/s");
        assert_eq!(rate(12_500_000, Duration::from_secs(1)), "100 Mbit/s");
        assert_eq!(source_of("tcp [::1]:5 -> [::2]:6").unwrap().port(), 5);
    }
}
