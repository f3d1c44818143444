//! The two nodes of a pair, as they can be asked from here: this one over its control socket, the other through it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Control, fail, unexpected};
use crate::cluster::upgrade::Side;
use crate::config::{self, Config, Valid};
use crate::io::both::{Both, answered};
use crate::io::control_client::Client;
use crate::io::request::{Request, Response, Status};
use crate::node::PairSnapshot;

/// Both nodes.
pub struct Nodes<'a> {
    control: &'a Control,
    /// This node's state directory.
    pub state: PathBuf,
    /// Its document.
    pub config: Valid<Config>,
    /// The file that holds it.
    pub file: PathBuf,
    /// How this node was at first.
    pub first: Status,
}

impl<'a> Nodes<'a> {
    /// Finds them.
    ///
    /// # Errors
    /// When this node does not run or belongs to no pair; the user has been told.
    pub fn find(control: &'a Control) -> Result<Self, ExitCode> {
        let Response::Status(first) = control.ask(&Request::Status)? else { return Err(unexpected()) };
        let file = PathBuf::from(&first.config_file);
        let text = fs::read_to_string(&file).map_err(|error| fail(format!("{}: {error}", file.display())))?;
        let config = config::load(&text).map_err(|problems| {
            super::check::print_problems(Path::new(&file), &problems);
            ExitCode::FAILURE
        })?;
        if config.pair.is_none() {
            return Err(fail("there is no pair"));
        }
        Ok(Nodes { control, state: PathBuf::from(&first.state), config, file, first: *first })
    }

    /// Does something with both.
    pub fn with<T>(&self, act: impl FnOnce(&Both<'_>) -> T) -> T {
        act(&Both::new(&|request| self.ask_here(request)))
    }

    /// Asks one of them. A node that is being started again does not answer, and that is no reason to tell the user.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub fn ask(&self, side: Side, request: Request) -> Result<Response, String> {
        self.with(|both| both.ask(side, request))
    }

    /// Asks this one.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub fn ask_here(&self, request: &Request) -> Result<Response, String> {
        let client = Client::connect(self.control.control.as_deref()).map_err(|error| error.to_string())?;
        answered(client.ask(request).map_err(|error| error.to_string())?)
    }

    /// How one of them is, when it answers.
    pub fn status(&self, side: Side) -> Option<Status> {
        self.with(|both| both.status(side))
    }

    /// The pair as one of them sees it, when it answers.
    pub fn pair(&self, side: Side) -> Option<PairSnapshot> {
        self.with(|both| both.pair(side))
    }
}
