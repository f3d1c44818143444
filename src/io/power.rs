//! The router, or the whole machine, begins anew or ends.
//!
//! The router process can always be started again. The machine is Koi's own to restart only where Koi is the machine: in the
//! appliance, whose first process is Koi, started by nobody else.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::sys_process;

/// What the appliance says of itself.
const RELEASE: &str = "/etc/koi/release";
/// The first process of a machine.
const FIRST: u32 = 1;

/// What shall begin anew or end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerStep {
    /// The router process is started again; a pair hands over first.
    Restart,
    /// The machine starts again.
    Reboot,
    /// The machine is switched off.
    Halt,
}

impl PowerStep {
    /// The one of this word.
    pub fn of(word: &str) -> Option<PowerStep> {
        match word {
            "restart" => Some(PowerStep::Restart),
            "reboot" => Some(PowerStep::Reboot),
            "halt" => Some(PowerStep::Halt),
            _ => None,
        }
    }

    /// What the first process of the appliance takes for it.
    const fn signal(self) -> Option<libc::c_int> {
        match self {
            PowerStep::Restart => None,
            PowerStep::Reboot => Some(libc::SIGTERM),
            PowerStep::Halt => Some(libc::SIGUSR2),
        }
    }
}

/// Tells the machine. Does nothing for the router process, which needs no machine for that.
///
/// # Errors
/// When Koi is a program among others here, in words.
pub fn tell_machine(step: PowerStep) -> Result<(), String> {
    let Some(signal) = step.signal() else { return Ok(()) };
    if std::os::unix::process::parent_id() != FIRST || !Path::new(RELEASE).exists() {
        let text = "not available here: Koi is a program of this machine, which is restarted by other means";
        return Err(text.into());
    }
    sys_process::signal_process(FIRST, signal).map_err(|error: io::Error| format!("the machine: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_appliance_restarts_the_machine() {
        assert_eq!(tell_machine(PowerStep::Restart), Ok(()));
        for step in [PowerStep::Reboot, PowerStep::Halt] {
            assert!(tell_machine(step).unwrap_err().starts_with("not available here"), "{step:?}");
        }
        for (word, step) in
            [("restart", PowerStep::Restart), ("reboot", PowerStep::Reboot), ("halt", PowerStep::Halt)]
        {
            assert_eq!(PowerStep::of(word), Some(step));
        }
        assert_eq!(PowerStep::of("explode"), None);
    }
}
