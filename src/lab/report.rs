//! What people read while the lab runs.

use std::io::{self, Write};
use std::time::Duration;

use super::checks::Outcome;
use super::network::{Network, namespace};
use super::node::RunningNode;
use super::picture;
use super::story::Attempt;
use crate::config::Config;
use crate::node::snapshot::Snapshot;
use crate::web;

/// Writes the report, line by line as things happen.
pub struct Report<'a> {
    out: &'a mut dyn Write,
    /// Bytes by interface at the last pulse, and when that was.
    last: Option<Snapshot>,
}

fn mark(ok: bool) -> &'static str {
    if ok { "✓" } else { "✗" }
}

impl<'a> Report<'a> {
    /// An empty report.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Report { out, last: None }
    }

    /// Where everything is written.
    pub fn out(&mut self) -> &mut dyn Write {
        self.out
    }

    /// What a dead lab had left behind.
    pub fn removed(&mut self, what: &[String]) -> io::Result<()> {
        if what.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "An earlier lab was killed; removed what it had left: {}.", what.join(", "))
    }

    /// The network.
    pub fn picture(&mut self, network: &Network, config: &Config) -> io::Result<()> {
        writeln!(self.out, "{}", picture::draw(network, config))
    }

    /// Where the status page is.
    pub fn serving(&mut self, node: &RunningNode, page: &Outcome) -> io::Result<()> {
        let (url, user) = (format!("http://{}", node.page), web::USER);
        let password = node.password().map(|password| password.reveal().to_owned());
        let password = password.unwrap_or_else(|error| format!("({error:#})"));
        writeln!(self.out, "Status page  {url}   user {user}   password {password}")?;
        writeln!(self.out, "  {} {}", mark(page.ok), page.detail)?;
        self.out.flush()
    }

    /// A new part.
    pub fn title(&mut self, title: &str) -> io::Result<()> {
        writeln!(self.out, "\n{title}")
    }

    /// One line.
    pub fn attempt(&mut self, attempt: &Attempt, outcome: &Outcome) -> io::Result<()> {
        let (protocol, family) = attempt.words();
        let from_to = format!("{} → {}", attempt.from, attempt.to);
        let port = if attempt.port == 0 { String::new() } else { format!(":{}", attempt.port) };
        let what = format!("{protocol}{port}");
        let (mark, detail) = (mark(outcome.ok), &outcome.detail);
        writeln!(self.out, "  {mark} {from_to:18} {family} {what:17} {detail}")?;
        self.out.flush()
    }

    /// All in all.
    pub fn verdict(&mut self, outcomes: &[Outcome]) -> io::Result<()> {
        let failed: Vec<&str> =
            outcomes.iter().filter(|outcome| !outcome.ok).map(|outcome| outcome.name.as_str()).collect();
        match failed.len() {
            0 => writeln!(self.out, "\nAll {} checks hold.", outcomes.len()),
            count => {
                writeln!(self.out, "\n{count} of {} do not hold: {}.", outcomes.len(), failed.join(", "))
            }
        }
    }

    /// What one can do now.
    pub fn invitation(&mut self, node: &RunningNode) -> io::Result<()> {
        let client = namespace("client");
        writeln!(self.out, "\nServing until Ctrl-C. Try, in another terminal:")?;
        writeln!(self.out, "  ip netns exec {client} ping 198.51.100.10")?;
        writeln!(self.out, "  ip netns exec {client} curl http://198.51.100.10/")?;
        writeln!(self.out, "  koi show flows --control {}\n", node.control().display())?;
        self.out.flush()
    }

    /// How much goes through, since the last time.
    pub fn pulse(&mut self, now: &Snapshot) -> io::Result<()> {
        let last = self.last.take().unwrap_or_default();
        let seconds = now.uptime_seconds.saturating_sub(last.uptime_seconds).max(1) as f64;
        let rates = now.interfaces.iter().map(|interface| {
            let before = last.interfaces.iter().find(|before| before.name == interface.name);
            let (rx, tx) = before.map_or((0, 0), |before| (before.rx_bytes, before.tx_bytes));
            let megabits = |new: u64, old: u64| new.saturating_sub(old) as f64 * 8.0 / seconds / 1e6;
            format!(
                "{} in {:.2} out {:.2} Mbit/s",
                interface.name,
                megabits(interface.rx_bytes, rx),
                megabits(interface.tx_bytes, tx)
            )
        });
        let rates: Vec<String> = rates.collect();
        if !last.interfaces.is_empty() {
            writeln!(self.out, "{}: {} flows; {}", now.node, now.states.current, rates.join("; "))?;
            self.out.flush()?;
        }
        self.last = Some(now.clone());
        Ok(())
    }

    /// The host took a processor away for so long that a takeover since the last pulse may be its doing.
    pub fn disturbance(&mut self, still: Duration) -> io::Result<()> {
        let still = still.as_secs_f64() * 1e3;
        writeln!(
            self.out,
            "a processor of this machine was not there for {still:.0} ms: nodes may have taken each other for dead"
        )?;
        self.out.flush()
    }

    /// A node that gives no answer at present.
    pub fn silence(&mut self, node: &str, why: &anyhow::Error) -> io::Result<()> {
        writeln!(self.out, "{node}: {why:#}")?;
        self.out.flush()
    }

    /// The last line.
    pub fn end(&mut self) -> io::Result<()> {
        writeln!(self.out, "\nThe lab ends; nothing stays behind.")
    }
}
