//! The console's menu, numbered as pfSense's: a state machine that is given lines and what is known, and gives words and
//! orders.
//!
//! Invariant: nothing is done before the person has said all that it takes; an empty line goes back or leaves things as
//! they are, and what is dangerous wants the word `yes`.

mod assign;
pub mod edit;
mod facts;
#[cfg(test)]
mod tests;

pub use facts::{Card, Facts, Interface, Revision};

use assign::Assign;

use crate::types::{MacAddr, Prefix};

/// What ends everything that the menu says.
pub const PROMPT: &str = "Enter an option: ";

const OPTIONS: &str = concat!(
    " 1) Assign interfaces                  9) Show the pair\n",
    " 2) Set interface address             10) Show the log\n",
    " 3) Reset the admin password          11) Restart the router\n",
    " 4) Reset to factory defaults         12) Check this machine (doctor)\n",
    " 5) Reboot system                     13) Update from a disk\n",
    " 6) Halt system                       15) Restore an earlier configuration\n",
    " 7) Ping host                         16) Show status\n",
    " 8) Koi command\n",
);

/// What the console shall do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Put this document in force; with `restart`, by starting the router anew, because its ports are others.
    Document {
        /// The text.
        text: String,
        /// Why, for the history.
        why: String,
        /// The router's ports are others.
        restart: bool,
    },
    /// Give the user `admin` this password.
    Password(String),
    /// Wait for a cable that is plugged in, and tell by [`Menu::plugged`].
    Watch,
    /// Run this program with these words, and show what it says.
    Run(Vec<String>),
    /// Show the last lines of the log.
    Log,
    /// Start the router anew.
    Router,
    /// Forget the configuration and start the machine anew.
    Factory,
    /// Start the machine anew.
    Restart,
    /// Switch the machine off.
    Off,
}

/// What comes of a line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// To be shown, before or after what the order says; ends with a question.
    pub text: String,
    /// To be done.
    pub order: Option<Order>,
    /// The answer to the question is not to be seen.
    pub hidden: bool,
}

impl Step {
    fn ask(text: impl Into<String>) -> Step {
        Step { text: text.into(), ..Step::default() }
    }

    fn hidden(text: &str) -> Step {
        Step { text: text.into(), hidden: true, ..Step::default() }
    }
}

/// What the next line means.
#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Main,
    Assign(Assign),
    /// Which interface.
    Which,
    /// Which address of this interface.
    Address(String),
    Password,
    /// Once more.
    Again(String),
    /// `yes`, and it is done.
    Sure(Order),
    Host,
    Command,
    Revision,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Menu {
    state: State,
}

impl Menu {
    /// The heading and the options, with the question at the end.
    pub fn heading(facts: &Facts) -> String {
        format!("{}\n{OPTIONS}\n{PROMPT}", facts.heading())
    }

    /// Takes a line.
    pub fn handle(&mut self, line: &str, facts: &Facts) -> Step {
        let line = line.trim();
        match std::mem::take(&mut self.state) {
            State::Main => self.choose(line, facts),
            State::Assign(assign) => self.assigning(assign.answer(line, facts), facts),
            State::Which => self.which(line, facts),
            State::Address(interface) => self.address(&interface, line, facts),
            State::Password if line.is_empty() => self.back("Nothing has changed.", facts),
            State::Password => {
                self.state = State::Again(line.to_owned());
                Step::hidden("Once more: ")
            }
            State::Again(first) if first == line => self.order(Order::Password(first)),
            State::Again(_) => self.back("The two are not the same; nothing has changed.", facts),
            State::Sure(order) if line == "yes" => self.order(order),
            State::Sure(_) => self.back("Nothing is done.", facts),
            State::Host if line.is_empty() => self.back("", facts),
            State::Host => self.order(Order::Run(vec!["ping".into(), line.into()])),
            State::Command => self.command(line, facts),
            State::Revision if line.is_empty() => self.back("Nothing has changed.", facts),
            State::Revision => {
                let words = ["config", "restore", line, "--no-confirm", "-m", "restored at the console"];
                self.order(Order::Run(words.map(str::to_owned).to_vec()))
            }
        }
    }

    /// A cable was plugged into this card, or none was in time.
    pub fn plugged(&mut self, card: Option<MacAddr>, facts: &Facts) -> Step {
        match std::mem::take(&mut self.state) {
            State::Assign(assign) => self.assigning(assign.plugged(card, facts), facts),
            State::Main
            | State::Which
            | State::Address(_)
            | State::Password
            | State::Again(_)
            | State::Sure(_)
            | State::Host
            | State::Command
            | State::Revision => self.back("", facts),
        }
    }

    fn choose(&mut self, line: &str, facts: &Facts) -> Step {
        let (state, step) = match line {
            "1" => return self.assigning(Assign::begin(facts), facts),
            "2" => (State::Which, Step::ask(facts.interface_list("Set the address of which interface? "))),
            "3" => (State::Password, Step::hidden("New password of admin: ")),
            "4" => sure(Order::Factory, "The configuration, its history and all keys will be gone."),
            "5" => sure(Order::Restart, "The machine will start anew."),
            "6" => sure(Order::Off, "The machine will be switched off."),
            "7" => (State::Host, Step::ask("Ping which address? ")),
            "8" => (State::Command, Step::ask("koi> ")),
            "9" => return self.run("show pair"),
            "10" => return self.order(Order::Log),
            "11" => return self.order(Order::Router),
            "12" => return self.run("doctor"),
            "13" => return self.run("update"),
            "15" => (State::Revision, Step::ask(facts.revision_list())),
            "16" => return self.run("show status"),
            "" => return Step::ask(Menu::heading(facts)),
            other => return Step::ask(format!("There is no option \"{other}\".\n{}", Menu::heading(facts))),
        };
        self.state = state;
        step
    }

    fn which(&mut self, line: &str, facts: &Facts) -> Step {
        let by_number =
            line.parse::<usize>().ok().and_then(|number| facts.interfaces.get(number.checked_sub(1)?));
        let found = by_number.or_else(|| facts.interfaces.iter().find(|interface| interface.name == line));
        let Some(interface) = found else { return self.back("Nothing has changed.", facts) };
        self.state = State::Address(interface.name.clone());
        Step::ask(format!(
            "New IPv4 address of {} with its prefix length, as in 192.168.1.1/24: ",
            interface.name
        ))
    }

    fn address(&mut self, interface: &str, line: &str, facts: &Facts) -> Step {
        if line.is_empty() {
            return self.back("Nothing has changed.", facts);
        }
        let new =
            line.parse::<Prefix>().map_err(|_| format!("\"{line}\" is no address with a prefix length"));
        match new.and_then(|prefix| edit::set_address(&facts.document, &facts.node, interface, prefix)) {
            Ok(text) => {
                self.order(Order::Document { text, why: format!("address of {interface}"), restart: false })
            }
            Err(why) => self.back(&format!("{why}. Nothing has changed."), facts),
        }
    }

    fn command(&mut self, line: &str, facts: &Facts) -> Step {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match words.first().map(String::as_str) {
            None => self.back("", facts),
            Some("koi") => self.order(Order::Run(words[1..].to_vec())),
            Some(_) => self.order(Order::Run(words)),
        }
    }

    fn assigning(&mut self, outcome: assign::Outcome, facts: &Facts) -> Step {
        match outcome {
            assign::Outcome::Ask(assign, text) => {
                self.state = State::Assign(assign);
                Step::ask(text)
            }
            assign::Outcome::Watch(assign, text) => {
                self.state = State::Assign(assign);
                Step { text, order: Some(Order::Watch), hidden: false }
            }
            assign::Outcome::Done(text) => {
                self.order(Order::Document { text, why: "interfaces assigned".into(), restart: true })
            }
            assign::Outcome::Nothing(why) => self.back(&why, facts),
        }
    }

    fn run(&mut self, words: &str) -> Step {
        self.order(Order::Run(words.split(' ').map(str::to_owned).collect()))
    }

    fn order(&mut self, order: Order) -> Step {
        self.state = State::Main;
        Step { order: Some(order), ..Step::default() }
    }

    fn back(&mut self, why: &str, facts: &Facts) -> Step {
        self.state = State::Main;
        let end = if why.is_empty() { "" } else { "\n" };
        Step::ask(format!("{why}{end}{}", Menu::heading(facts)))
    }
}

fn sure(order: Order, what: &str) -> (State, Step) {
    (State::Sure(order), Step::ask(format!("{what} Type yes to go on: ")))
}
