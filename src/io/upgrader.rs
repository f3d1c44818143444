//! The command that upgrades the pair, as the parent starts it when the pages ask for it: this very program, in a session of
//! its own, with words that nobody else chooses. It outlives the routers that are started again on the way.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::log;
use super::process;
use super::upgrade::UPLOADED;

/// This program, also when its file has been replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// See the module.
#[derive(Debug, Default)]
pub struct Upgrader {
    process: Option<Child>,
}

impl Upgrader {
    /// Starts it, for the node with this state directory and this control socket.
    ///
    /// # Errors
    /// When one runs already, or it cannot be started.
    pub fn begin(&mut self, state: &Path, control: &Path) -> Result<(), String> {
        self.look();
        if self.process.is_some() {
            return Err("an upgrade runs already".into());
        }
        let problem = |error: std::io::Error| format!("the upgrade cannot be started: {error}");
        let mut command = Command::new(SELF);
        command.args(words(state, control).map_err(problem)?).env_clear();
        for name in [log::LEVEL_VARIABLE, "RUST_BACKTRACE"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.process = Some(process::spawn_apart(&mut command).map_err(problem)?);
        tracing::warn!("the pages ask for an upgrade of the pair");
        Ok(())
    }

    /// Takes notice of its end.
    pub fn look(&mut self) {
        let Some(process) = &mut self.process else { return };
        match process.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => tracing::info!(%status, "the upgrade of the pair has ended"),
            Err(error) => tracing::warn!(%error, "the upgrade of the pair cannot be waited for"),
        }
        self.process = None;
    }
}

/// As somebody would type it.
fn words(state: &Path, control: &Path) -> std::io::Result<[std::ffi::OsString; 6]> {
    let release = std::path::absolute(state)?.join(UPLOADED);
    let control = std::path::absolute(control)?;
    Ok([
        "pair".into(),
        "upgrade".into(),
        "--binary".into(),
        release.into(),
        "--control".into(),
        control.into(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_fixed_but_for_the_node() {
        let said = words("/var/lib/koi/a".as_ref(), "/run/koi/a.sock".as_ref()).unwrap();
        let said: Vec<_> = said.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(
            said.join(" "),
            "pair upgrade --binary /var/lib/koi/a/release.uploaded --control /run/koi/a.sock"
        );
    }

    #[test]
    fn one_runs_at_a_time() {
        let mut running = Upgrader { process: Some(Command::new("sleep").arg("60").spawn().unwrap()) };
        assert!(running.begin("/".as_ref(), "/".as_ref()).unwrap_err().contains("already"));
        running.process.as_mut().unwrap().kill().unwrap();
        running.process.as_mut().unwrap().wait().unwrap();
        running.look();
        assert!(running.process.is_none());
    }
}
