//! `koi pair create`, `join`, `leave` and `replace`: they change the configuration file, and ask the router for the
//! rest.

use std::io::{self, BufRead, IsTerminal, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use data_encoding::BASE64URL_NOPAD;

use super::{Control, fail, unexpected};
use crate::cluster::role;
use crate::config::model::Secret;
use crate::config::pairing::{self as documents, Lacking, Newcomer, OwnAddress, Plan, PortPlan};
use crate::config::{self, Config, Problem, Valid};
use crate::io::request::{PairingWord, Request, Response, Status};
use crate::io::{entropy, files};
use crate::node::PairSnapshot;
use crate::types::{Prefix, PublicKey};

/// Random bytes of a password of CARP, which holds at most 19 letters.
const PASSWORD_BYTES: usize = 14;

/// Make the running node the first one of a pair and print the code for the second one
#[derive(Debug, Args)]
pub struct Create {
    /// Port of the cable between the two nodes
    #[arg(long, value_name = "PORT[=TAP[@NETNS]]")]
    sync: PortPlan,
    /// New own address of this node, one for each network: the present addresses become virtual. Asked for when not
    /// given
    #[arg(long = "address", value_name = "IFACE=ADDR/LEN", value_parser = own_address)]
    addresses: Vec<OwnAddress>,
    /// Node that wins ties and takes the role back when it returns [default: this one]
    #[arg(long, value_name = "NAME")]
    preferred: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Join the pair that shows this code, as its second node
#[derive(Debug, Args)]
pub struct Join {
    /// The code that `koi pair create` or `koi pair replace` shows on the other node
    code: String,
    /// Port of the cable between the two nodes
    #[arg(long, value_name = "PORT[=TAP[@NETNS]]")]
    sync: PortPlan,
    /// Port of this machine for a port of the pair, when it is not in this node's document
    #[arg(long = "port", value_name = "PORT=TAP[@NETNS]")]
    ports: Vec<PortPlan>,
    /// Own address of this node, one for each network of the pair
    #[arg(long = "address", value_name = "IFACE=ADDR/LEN", value_parser = own_address)]
    addresses: Vec<OwnAddress>,
    #[command(flatten)]
    place: Place,
}

/// Make this node a single one again. A peer that lives keeps the virtual addresses; otherwise they become this node's
#[derive(Debug, Args)]
pub struct Leave {
    #[command(flatten)]
    place: Place,
}

/// Forget the other node, which is dead, and print a code for new hardware
#[derive(Debug, Args)]
pub struct Replace {
    #[command(flatten)]
    place: Place,
}

/// Where the node and its document are.
#[derive(Debug, Args)]
struct Place {
    /// Configuration file [default: the one that the node runs with]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    control: Control,
}

fn own_address(text: &str) -> Result<OwnAddress, String> {
    let form = || "write INTERFACE=ADDRESS/LENGTH, as in lan=192.168.1.2/24".to_owned();
    let (interface, address) = text.split_once('=').ok_or_else(form)?;
    if !address.contains('/') {
        return Err(form());
    }
    Ok((interface.into(), address.parse().map_err(|_| form())?))
}

/// The running node and its document.
struct Here {
    control: Control,
    status: Status,
    file: PathBuf,
    config: Valid<Config>,
}

/// A step that has failed has told why.
type Done<T> = Result<T, ExitCode>;

impl Here {
    /// Finds both, and sees to it that they belong together.
    fn find(place: Place) -> Done<Here> {
        let Place { config, control } = place;
        let status = match control.ask(&Request::Status)? {
            Response::Status(status) => *status,
            _ => return Err(unexpected()),
        };
        let file = config.unwrap_or_else(|| PathBuf::from(&status.config_file));
        let config = read(&file)?;
        if config.hash() != status.config_hash {
            return Err(fail(format!(
                "{} is not what is in force on {}; run koi reload first",
                file.display(),
                status.node
            )));
        }
        Ok(Here { control, status, file, config })
    }

    fn key(&self) -> Done<PublicKey> {
        self.status.public_key.parse().map_err(|_| unexpected())
    }

    /// Writes the new document and puts it in force. With a `suffix`, a copy of the old one is kept.
    fn change(&mut self, config: Valid<Config>, suffix: Option<&str>) -> Done<()> {
        let file = &self.file;
        let old = std::fs::read(file).map_err(|error| fail(format!("{}: {error}", file.display())))?;
        if let Some(suffix) = suffix {
            let mut copy = file.clone().into_os_string();
            copy.push(suffix);
            write(Path::new(&copy), &old)?;
            println!(
                "{} is written anew, without comments; a copy is {}.",
                file.display(),
                Path::new(&copy).display()
            );
        }
        write(file, config.to_toml().as_bytes())?;
        match self.control.request(&Request::Reload)? {
            Response::Reloaded(_) => {}
            Response::Refused(problems) if problems.iter().any(|problem| problem.contains("restart Koi")) => {
                problems.iter().for_each(|problem| eprintln!("{problem}"));
                return Err(fail(format!(
                    "{} is right, but the running router cannot change to it: restart Koi here",
                    file.display()
                )));
            }
            Response::Refused(problems) => {
                problems.iter().for_each(|problem| eprintln!("{problem}"));
                write(file, &old)?;
                return Err(fail("the router refuses the new document; the old one stays in force"));
            }
            Response::Failed(why) => return Err(fail(why)),
            _ => return Err(unexpected()),
        }
        self.config = config;
        Ok(())
    }

    fn pair(&self) -> Done<PairSnapshot> {
        match self.control.ask(&Request::Pair)? {
            Response::Pair(pair) => Ok(*pair),
            _ => Err(unexpected()),
        }
    }

    /// Shows a code and waits for the one who types it.
    fn offer(mut self) -> Done<ExitCode> {
        let hint = hint(&self.config);
        let mut wrong = false;
        let heard = |word: &PairingWord| match word {
            PairingWord::Offered { code } => {
                println!(
                    "On the other machine, which runs koi (see configs/join.toml), within 10 minutes:\n"
                );
                println!("  koi pair join {code} {hint}\n");
                println!("Waiting for it; Ctrl-C withdraws the code.");
            }
            PairingWord::WrongCode { left } => {
                wrong = true;
                println!("Somebody tried a wrong code; {left} tries are left.");
            }
            PairingWord::Paired { .. } => {}
        };
        let (_, key, text) = self.control.pairing(&Request::Offer, heard)?;
        let newcomer: Option<Newcomer> = serde_json::from_str(&text).ok();
        let newcomer = newcomer.filter(|newcomer| newcomer.node.public_key == Some(key));
        let Some(newcomer) = newcomer else {
            return Err(fail("the other node says nothing sensible of itself; is it of another release?"));
        };
        let name = newcomer.node.name.clone();
        let merged = documents::join(&self.config, &newcomer).map_err(|problems| {
            refuse(
                &problems,
                &format!("{name} knows the code but cannot join as it is; run koi pair create again"),
            )
        })?;
        if read(&self.file)?.hash() != self.config.hash() {
            return Err(fail(format!(
                "{} has changed meanwhile; run koi pair create again",
                self.file.display()
            )));
        }
        self.change(merged, None)?;
        println!("{name} has joined: {} has both nodes and is in force.", self.file.display());
        println!("See koi show pair; it is redundant when {name} has all states.");
        Ok(ExitCode::SUCCESS)
    }
}

fn read(file: &Path) -> Done<Valid<Config>> {
    let text = std::fs::read_to_string(file).map_err(|error| fail(format!("{}: {error}", file.display())))?;
    config::load(&text).map_err(|problems| {
        super::check::print_problems(file, &problems);
        ExitCode::FAILURE
    })
}

fn write(file: &Path, contents: &[u8]) -> Done<()> {
    files::write_atomically(file, contents).map_err(|error| fail(format!("{}: {error}", file.display())))
}

fn refuse(problems: &[Problem], why: &str) -> ExitCode {
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    fail(why)
}

fn passwords(count: usize) -> Done<Vec<Secret>> {
    let password = |_| {
        let mut bytes = [0; PASSWORD_BYTES];
        entropy::fill(&mut bytes).map_err(fail)?;
        Ok(Secret::new(BASE64URL_NOPAD.encode(&bytes)))
    };
    (0..count).map(password).collect()
}

/// The options that the other node needs.
fn hint(config: &Config) -> String {
    let sync = config.pair.as_ref().map_or("sync", |pair| &pair.sync);
    let lacking = documents::lacking(config, &[]);
    let address = |Lacking { interface, network }: &Lacking| {
        let family = if network.addr().is_ipv4() { "IPV4" } else { "IPV6" };
        format!(" --address {interface}={family}/{}", network.prefix_len())
    };
    format!("--sync {sync}{}", lacking.iter().map(address).collect::<String>())
}

/// Asks for each address that is missing, when there is somebody who can be asked.
fn ask_for(config: &Config, node: &str, addresses: &mut Vec<OwnAddress>) {
    if !io::stdin().is_terminal() {
        return;
    }
    for Lacking { interface, network } in documents::lacking(config, addresses) {
        eprint!("New own address of {node} on \"{interface}\" in {network}: ");
        // A prompt that is not seen is not answered.
        let _ = io::stderr().flush();
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line).is_err() {
            return;
        }
        let typed = line.trim().split('/').next().unwrap_or_default().parse::<IpAddr>();
        let address = typed.ok().and_then(|address| Prefix::new(address, network.prefix_len()).ok());
        addresses.extend(address.map(|address| (interface, address)));
    }
}

impl Create {
    /// Changes the document, unless it is that of a pair of one already, and waits for the second node.
    pub fn run(self) -> ExitCode {
        self.create().unwrap_or_else(|code| code)
    }

    fn create(self) -> Done<ExitCode> {
        let Create { sync, mut addresses, preferred, place } = self;
        let mut here = Here::find(place)?;
        let waits =
            here.config.pair.is_some() && here.config.nodes.len() == 1 && !here.config.interfaces.is_empty();
        if !waits {
            let node = here.status.node.clone();
            ask_for(&here.config, &node, &mut addresses);
            let passwords = passwords(here.config.interfaces.len())?;
            let plan = Plan { node, public_key: here.key()?, sync, preferred, addresses, passwords };
            let pair = documents::create(&here.config, &plan)
                .map_err(|problems| refuse(&problems, "nothing has been changed"))?;
            here.change(pair, Some(".before-pair"))?;
            println!(
                "{} is a pair of one now: its addresses are virtual, its flows go on.",
                here.status.node
            );
        }
        here.offer()
    }
}

impl Join {
    /// Pairs, changes the document and puts it in force.
    pub fn run(self) -> ExitCode {
        self.join().unwrap_or_else(|code| code)
    }

    fn join(self) -> Done<ExitCode> {
        let Join { code, sync, ports, addresses, place } = self;
        let mut here = Here::find(place)?;
        let (node, own) = (here.status.node.clone(), here.key()?);
        let newcomer = documents::newcomer(&here.config, &node, own, &sync, &ports, &addresses)
            .map_err(|problems| refuse(&problems, "nothing has been changed"))?;
        println!("Looking for the other node on the port \"{}\" ...", sync.name);
        let request = Request::Join { code, newcomer: Box::new(newcomer.clone()) };
        let (name, key, text) = here.control.pairing(&request, |_| {})?;
        let document =
            config::load(&text).map_err(|problems| refuse(&problems, "the shared document is wrong"))?;
        if document.nodes.iter().all(|node| node.public_key != Some(key)) {
            return Err(fail(format!(
                "the document of {name} does not hold its key; nothing has been changed"
            )));
        }
        let merged = documents::join(&document, &newcomer).map_err(|problems| {
            refuse(
                &problems,
                &format!("correct that and begin anew: koi pair create on {name} shows another code"),
            )
        })?;
        here.change(merged, Some(".before-pair"))?;
        println!("{node} has joined {name} and stands by. See koi show pair.");
        Ok(ExitCode::SUCCESS)
    }
}

impl Leave {
    /// Hands over, and becomes single.
    pub fn run(self) -> ExitCode {
        self.leave().unwrap_or_else(|code| code)
    }

    fn leave(self) -> Done<ExitCode> {
        let mut here = Here::find(self.place)?;
        let node = here.status.node.clone();
        let pair = here.pair()?;
        let alive = pair.peer.as_ref().is_some_and(|peer| peer.alive);
        if alive && pair.role == "active" {
            let gave = |request| match here.control.request(&Request::Role(request))? {
                Response::Pair(pair) => Ok(pair.role == "standby"),
                Response::Failed(_) => Ok(false),
                _ => Err(unexpected()),
            };
            if !gave(role::Request::HandOver)? && !gave(role::Request::Resign)? {
                return Err(fail(
                    "the peer cannot take over at present (see koi show pair); nothing has been changed",
                ));
            }
        }
        let single = documents::leave(&here.config, &node, !alive)
            .map_err(|problems| refuse(&problems, "nothing has been changed"))?;
        here.change(single, Some(".before-leave"))?;
        match pair.peer_name.filter(|_| alive) {
            Some(peer) => {
                println!("{node} is a single node with its own addresses; {peer} keeps the virtual ones.");
                println!(
                    "On {peer}: koi pair replace for another second node, koi pair leave to be single, too."
                );
            }
            None => println!("{node} is a single node; the virtual addresses are its own."),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Replace {
    /// Forgets the dead node and waits for another.
    pub fn run(self) -> ExitCode {
        self.replace().unwrap_or_else(|code| code)
    }

    fn replace(self) -> Done<ExitCode> {
        let mut here = Here::find(self.place)?;
        let pair = here.pair()?;
        let name = pair.peer_name.unwrap_or_default();
        if pair.peer.is_some_and(|peer| peer.alive) {
            return Err(fail(format!("{name} lives; run koi pair leave there first")));
        }
        let passwords = passwords(here.config.virtual_ips.len())?;
        let alone = documents::replace(&here.config, &here.status.node.clone(), &passwords)
            .map_err(|problems| refuse(&problems, "nothing has been changed"))?;
        here.change(alone, Some(".before-replace"))?;
        if !name.is_empty() {
            println!(
                "{name} is forgotten, its key and its passwords are worth nothing. Do not start it again as it is."
            );
        }
        here.offer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_address_has_an_interface_and_a_length() {
        assert_eq!(own_address("lan=192.168.1.2/24"), Ok(("lan".into(), "192.168.1.2/24".parse().unwrap())));
        for wrong in ["lan", "lan=192.168.1.2", "192.168.1.2/24", "lan=x/24"] {
            assert!(own_address(wrong).unwrap_err().contains("as in lan="), "{wrong}");
        }
    }

    #[test]
    fn passwords_fit_and_differ() {
        let two = passwords(2).unwrap();
        assert!(two[0] != two[1] && two.iter().all(|word| word.reveal().len() == 19));
    }
}
