//! The console: the menu's eyes and hands.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::init::{self, Wish};
use super::menu::{Card, Facts, Interface, Menu, Order, PROMPT, Revision, Step};
use super::situation::Situation;
use super::{journal, partition, reset};
use crate::config::life::Author;
use crate::config::model::Node;
use crate::config::{self, Config};
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Confirmation, Version};
use crate::io::control_client::Client;
use crate::io::netlink::{LinkSocket, LinkState};
use crate::io::request::{Request, Response};
use crate::io::{clock, files, machine, nic, peer_log, signals, terminal};
use crate::types::MacAddr;

/// The router has this long to come up before the menu is shown without it.
const COMING: Duration = Duration::from_secs(15);
/// A cable is waited for so long.
const CABLE: Duration = Duration::from_secs(30);
/// It is looked for the router this often meanwhile.
const LOOK: Duration = Duration::from_millis(500);
/// Lines of the log that are shown.
const LOG_LINES: usize = 40;
/// And of the peer's.
const PEER_LINES: usize = 15;

/// Serves the person at standard input until it ends.
///
/// # Errors
/// When there is nobody to be heard or spoken to.
pub fn run(control: Option<&Path>) -> io::Result<()> {
    // Whoever interrupts a command does not end the menu.
    signals::ignore_interrupts()?;
    let console = Console { control: control.map(Path::to_owned) };
    let mut menu = Menu::default();
    console.wait_for_router();
    say(&Menu::heading(&console.facts()))?;
    let mut hidden = false;
    while let Some(line) = read(hidden)? {
        let mut step = menu.handle(&line, &console.facts());
        if step.order == Some(Order::Watch) {
            say(&step.text)?;
            step = menu.plugged(wait_for_cable().unwrap_or_default(), &console.facts());
        }
        hidden = step.hidden;
        console.show(step)?;
    }
    Ok(())
}

/// A line; the hidden ones are asked for without an echo. `None` at the end.
fn read(hidden: bool) -> io::Result<Option<String>> {
    if hidden {
        match terminal::read_hidden("") {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            result => return result.map(Some),
        }
    }
    let mut line = String::new();
    let count = io::stdin().lock().read_line(&mut line)?;
    Ok((count > 0).then_some(line))
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

struct Console {
    control: Option<PathBuf>,
}

impl Console {
    fn ask(&self, request: &Request) -> Result<Response, String> {
        let answer = Client::connect(self.control.as_deref()).and_then(|client| client.ask(request));
        match answer.map_err(|error| error.to_string())? {
            Response::Failed(why) => Err(why),
            Response::Refused(problems) => Err(problems.join("\n")),
            answer => Ok(answer),
        }
    }

    fn config(&self, request: ConfigRequest) -> Result<ConfigAnswer, String> {
        match self.ask(&Request::Config(Box::new(request)))? {
            Response::Config(answer) => Ok(*answer),
            _ => Err("the router answers something else".into()),
        }
    }

    fn wait_for_router(&self) {
        let deadline = clock::now() + COMING;
        while self.ask(&Request::Status).is_err() && clock::now() < deadline {
            clock::pause(LOOK);
        }
    }

    /// Does what the menu wants, shows what comes of it, and asks again.
    fn show(&self, step: Step) -> io::Result<()> {
        let Step { text, order, hidden: _ } = step;
        say(&text)?;
        let Some(order) = order else { return Ok(()) };
        match self.carry_out(order) {
            Ok(done) => say(&format!("{done}\n{PROMPT}")),
            Err(why) => say(&format!("That fails: {why}\n\n{PROMPT}")),
        }
    }

    fn carry_out(&self, order: Order) -> Result<String, String> {
        let words = |error: io::Error| error.to_string();
        match order {
            Order::Document { text, why, restart: false } => self.put_in_force(&text, &why),
            Order::Document { text, why: _, restart: true } => self.replace(&text),
            Order::Password(password) => self.set_password(&password),
            Order::Watch => Ok(String::new()),
            Order::Run(words) => self.run(&words).map(|()| String::new()),
            Order::Log => Ok(log()),
            Order::Router => {
                init::ask(Wish::Router).map(|()| "The router starts anew.\n".into()).map_err(words)
            }
            Order::Factory => {
                reset::mark().and_then(|()| init::ask(Wish::Restart)).map_err(words)?;
                Ok("The machine starts anew with the factory default.\n".into())
            }
            Order::Restart => {
                init::ask(Wish::Restart).map(|()| "The machine starts anew.\n".into()).map_err(words)
            }
            Order::Off => {
                init::ask(Wish::Off).map(|()| "The machine is switched off.\n".into()).map_err(words)
            }
        }
    }

    fn put_in_force(&self, text: &str, why: &str) -> Result<String, String> {
        if self.ask(&Request::Status).is_err() {
            return self.replace(text);
        }
        let author = || Author { who: "root".into(), from: "console".into() };
        self.config(ConfigRequest::Save { text: text.into(), base: None, author: author() })?;
        let apply = ConfigRequest::Apply {
            version: Version::Candidate,
            confirmation: Confirmation::Never,
            why: why.into(),
            author: author(),
        };
        match self.config(apply)? {
            ConfigAnswer::Applied { revision, .. } => Ok(format!("In force: revision {revision}.\n")),
            _ => Err("the router answers something else".into()),
        }
    }

    /// The file is another one, and the router starts anew with it.
    fn replace(&self, text: &str) -> Result<String, String> {
        let file = self.document().ok_or("there is no document")?;
        files::write_atomically(&file, text.as_bytes()).map_err(|error| error.to_string())?;
        match init::ask(Wish::Router) {
            Ok(()) => Ok("Written; the router starts anew with it.\n".into()),
            Err(_) => Ok(format!("Written to {}; restart Koi for that.\n", file.display())),
        }
    }

    fn document(&self) -> Option<PathBuf> {
        if let Ok(Response::Status(status)) = self.ask(&Request::Status) {
            return Some(status.config_file.into());
        }
        Some(Situation::read().document).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    fn set_password(&self, password: &str) -> Result<String, String> {
        let mut command = self.koi(&["user", "password", "admin", "--stdin"].map(str::to_owned));
        let words = |error: io::Error| error.to_string();
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(words)?;
        let mut input = child.stdin.take().ok_or("no pipe")?;
        input.write_all(password.as_bytes()).map_err(words)?;
        drop(input);
        match child.wait().map_err(words)?.success() {
            true => Ok(String::new()),
            false => Err("the password stays".into()),
        }
    }

    fn koi(&self, words: &[String]) -> Command {
        let mut command = Command::new("/proc/self/exe");
        machine::heedful(command.args(words));
        command
    }

    fn run(&self, words: &[String]) -> Result<(), String> {
        let status = self.koi(words).status().map_err(|error| error.to_string())?;
        match status.code() {
            Some(0) => Ok(()),
            Some(code) => Err(format!("it ended with {code}")),
            None => Err("it was interrupted".into()),
        }
    }

    /// What is known now, of the router or, without it, of the files.
    fn facts(&self) -> Facts {
        let Situation { release, document: file, warnings, .. } = Situation::read();
        let status = match self.ask(&Request::Status) {
            Ok(Response::Status(status)) => Some(status),
            Ok(_) | Err(_) => None,
        };
        let running = ConfigRequest::Show { version: Version::Running, secrets: true };
        let document = match self.config(running) {
            Ok(ConfigAnswer::Text { text, base: _ }) => text,
            Ok(_) | Err(_) => std::fs::read_to_string(&file).unwrap_or_default(),
        };
        let config = config::parse(&document).ok();
        let cards = nic::all().unwrap_or_default();
        let macs: Vec<MacAddr> = cards.iter().map(|card| card.mac).collect();
        let fallback = || super::origin::node(&config::load(&document).ok()?, &macs).map(str::to_owned);
        let node = status.as_ref().map(|status| status.node.clone()).or_else(fallback).unwrap_or_default();
        let interfaces = config.as_ref().map(|config| interfaces(config, &node)).unwrap_or_default();
        let role = |status: &crate::io::request::Status| {
            let pair = status.pair.as_ref().filter(|pair| pair.paired);
            pair.map(|pair| format!(", {} in the pair", pair.role)).unwrap_or_default()
        };
        Facts {
            release: if release.is_empty() { env!("CARGO_PKG_VERSION").into() } else { release },
            hostname: config.as_ref().map(|config| config.system.hostname.clone()).unwrap_or_default(),
            router: status.as_deref().map(role),
            warnings,
            pages: config.as_ref().and_then(|config| pages(config, &interfaces)),
            interfaces,
            cards: cards
                .into_iter()
                .map(|card| Card { name: card.name, mac: card.mac, carries: card.carries })
                .collect(),
            document,
            revisions: self.revisions(),
            node,
        }
    }

    fn revisions(&self) -> Vec<Revision> {
        let Ok(ConfigAnswer::History(records)) = self.config(ConfigRequest::History) else {
            return Vec::new();
        };
        let words = |who: String, label: String, why: String| {
            [who, label, why].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
        };
        let revision = |record: crate::config::life::Record| Revision {
            number: record.revision,
            words: words(record.author.who, record.label, record.why),
        };
        records.into_iter().map(revision).collect()
    }
}

/// The last lines of this machine, and behind them those of the peer, when there are any.
fn log() -> String {
    let mut text = journal::tail(Path::new(partition::LOG), LOG_LINES).join("\n") + "\n";
    let peer = peer_log::tail(Path::new(partition::STATE), PEER_LINES);
    if !peer.is_empty() {
        text += "\nThe peer has said:\n";
    }
    peer.iter().for_each(|line| text += &format!("{line}\n"));
    text
}

/// As the document has them on this node.
fn interfaces(config: &Config, node: &str) -> Vec<Interface> {
    let Some(part) = config.nodes.iter().find(|part| part.name == node) else { return Vec::new() };
    let device = |part: &Node, port: &str| {
        part.ports.iter().find(|known| known.name == port).map(|port| port.device()).unwrap_or_default()
    };
    let one = |interface: &crate::config::model::Interface| {
        let own = part.interfaces.iter().find(|own| own.name == interface.name);
        let own = own.map(|own| own.addresses.clone()).unwrap_or_default();
        let vips = config.virtual_ips.iter().filter(|vip| vip.interface == interface.name);
        let vips = vips.flat_map(|vip| vip.addresses.iter()).map(|address| format!("{address} (virtual)"));
        let mut zone = format!("{:?}", interface.zone);
        zone.make_ascii_lowercase();
        Interface {
            name: interface.name.clone(),
            zone,
            device: device(part, &interface.port),
            addresses: own.iter().map(ToString::to_string).chain(vips).collect(),
        }
    };
    config.interfaces.iter().map(one).collect()
}

/// Where somebody on LAN finds the pages.
fn pages(config: &Config, interfaces: &[Interface]) -> Option<String> {
    let lan =
        interfaces.iter().find(|interface| interface.zone == "lan" && !interface.addresses.is_empty())?;
    let address = lan.addresses.first()?.split('/').next()?;
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    Some(match config.system.web.port {
        443 => format!("https://{host}/"),
        port => format!("https://{host}:{port}/"),
    })
}

/// The card whose cable is plugged in first.
fn wait_for_cable() -> io::Result<Option<MacAddr>> {
    let mut links = LinkSocket::open(None)?;
    let deadline = clock::now() + CABLE;
    let mut dark: Vec<u32> = Vec::new();
    while clock::now() < deadline {
        let mut events = Vec::new();
        links.receive(&mut events)?;
        for event in events.into_iter().filter(|event| event.is_card) {
            match event.state {
                LinkState::Up if dark.contains(&event.index) => return Ok(event.mac),
                LinkState::Up => {}
                LinkState::Down | LinkState::Gone => dark.push(event.index),
            }
        }
        machine::wait(&[links.fd()], Some(deadline.since(clock::now())))?;
    }
    Ok(None)
}
