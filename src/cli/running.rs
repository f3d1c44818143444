//! The node that runs on this machine, for commands that read or change its whole document.

use std::path::PathBuf;
use std::process::ExitCode;

use super::config::author;
use super::config_show::{print_answer, print_difference};
use super::{Control, fail, unexpected};
use crate::config::{self, Config};
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Version};
use crate::io::control_client::{Client, Error};
use crate::io::request::{Request, Response};

/// See the module.
pub struct Running<'a> {
    control: &'a Control,
    /// What is in force.
    pub config: Config,
    /// Its text.
    pub text: String,
    /// What an edit of it is based on.
    base: (u64, String),
    /// The node's name.
    pub node: String,
    /// The file that holds the document.
    pub file: PathBuf,
    /// The node's state directory.
    pub state: PathBuf,
}

impl<'a> Running<'a> {
    /// The node, when one runs here, or is named and runs.
    ///
    /// # Errors
    /// When there is one that does not answer, or there are several; the user has been told.
    pub fn find(control: &'a Control) -> Result<Option<Running<'a>>, ExitCode> {
        match Client::connect(control.control.as_deref()) {
            Ok(_) => Running::ask(control).map(Some),
            Err(Error::NotRunning(_) | Error::Abandoned(_)) if control.control.is_none() => Ok(None),
            Err(error) => Err(fail(error)),
        }
    }

    fn ask(control: &'a Control) -> Result<Running<'a>, ExitCode> {
        let Response::Status(status) = control.ask(&Request::Status)? else { return Err(unexpected()) };
        let show = ConfigRequest::Show { version: Version::Running, secrets: true };
        let Response::Config(answer) = control.ask(&Request::Config(Box::new(show)))? else {
            return Err(unexpected());
        };
        let ConfigAnswer::Text { text, base } = *answer else { return Err(unexpected()) };
        let config = config::parse(&text).map_err(|_| unexpected())?;
        let (file, state) = (PathBuf::from(status.config_file), PathBuf::from(status.state));
        Ok(Running { control, config, text, base, node: status.node, file, state })
    }

    /// Makes this text the candidate and says what is different then.
    ///
    /// # Errors
    /// When it cannot be; the user has been told.
    pub fn propose(&self, text: String, quiet: bool) -> Result<(), ExitCode> {
        let save = ConfigRequest::Save { text, base: Some(self.base.clone()), author: author() };
        let Response::Config(answer) = self.control.ask(&Request::Config(Box::new(save)))? else {
            return Err(unexpected());
        };
        match *answer {
            ConfigAnswer::Difference { problems, .. } if quiet && problems.is_empty() => Ok(()),
            ConfigAnswer::Difference { rows, problems, text: _ } => {
                let code = print_difference(if quiet { &[] } else { &rows }, &problems);
                if problems.is_empty() {
                    return Ok(());
                }
                eprintln!(
                    "it is the candidate all the same: koi config edit corrects it, koi config discard forgets it"
                );
                Err(code)
            }
            answer @ ConfigAnswer::Stale { .. } => Err(print_answer(answer)),
            ConfigAnswer::Standing(_)
            | ConfigAnswer::Text { .. }
            | ConfigAnswer::Applied { .. }
            | ConfigAnswer::History(_) => Err(unexpected()),
        }
    }
}
