//! Words for whoever stands before the machine: on each of its consoles.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// The consoles of the kernel.
const ACTIVE: &str = "/sys/class/tty/console/active";
/// `O_NOCTTY | O_NONBLOCK`: a serial line that nobody reads keeps nobody waiting.
const FLAGS: i32 = 0o4400;

/// See the module.
#[derive(Debug, Default)]
pub struct Speaker {
    consoles: Vec<PathBuf>,
}

impl Speaker {
    /// As the kernel has them.
    pub fn find() -> Speaker {
        let active = fs::read_to_string(ACTIVE).unwrap_or_default();
        Speaker { consoles: devices(&active).into_iter().map(PathBuf::from).collect() }
    }

    /// The consoles.
    pub fn consoles(&self) -> &[PathBuf] {
        &self.consoles
    }

    /// Says a line everywhere; also on standard error when there is no console.
    pub fn say(&self, line: &str) {
        for console in &self.consoles {
            let file = OpenOptions::new().write(true).custom_flags(FLAGS).open(console);
            // Whoever cannot hear it misses it.
            let _ = file.and_then(|mut file| file.write_all(format!("{line}\r\n").as_bytes()));
        }
        if self.consoles.is_empty() {
            tracing::warn!("{line}");
        }
    }
}

/// The devices of the kernel's consoles. `tty0` is whichever screen is shown; the menu is on the first.
fn devices(active: &str) -> Vec<String> {
    let names = active.split_whitespace().map(|name| if name == "tty0" { "tty1" } else { name });
    names.map(|name| format!("/dev/{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_and_the_serial_line() {
        assert_eq!(devices("tty0 ttyS0\n"), ["/dev/tty1", "/dev/ttyS0"]);
        assert!(devices("").is_empty());
    }
}
