//! The watchdog: it restarts a machine whose first process does nothing any more.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::hardware::Hardware;
use crate::io::machine;
use crate::types::Instant;

/// It bites after so many seconds.
const BITES: u32 = 60;
/// It is petted this often.
const PET: Duration = Duration::from_secs(10);
const DEVICE: &str = "/dev/watchdog";

/// See the module.
#[derive(Debug, Default)]
pub struct Watchdog {
    dog: Option<File>,
    next: Instant,
}

impl Watchdog {
    /// The machine's own, or the kernel's where it has none.
    pub fn open(hardware: &mut Hardware) -> Watchdog {
        if !Path::new(DEVICE).exists() {
            hardware.load(&["softdog"]);
        }
        let dog = OpenOptions::new().write(true).open(DEVICE).ok();
        if let Some(dog) = &dog {
            // One that keeps its own time is petted often enough as well.
            let _ = machine::set_watchdog(dog, BITES);
        }
        Watchdog { dog, next: Instant::ZERO }
    }

    /// It hears from this process when it is time.
    pub fn pet(&mut self, now: Instant) {
        if let Some(dog) = self.dog.as_mut().filter(|_| now >= self.next) {
            let _ = dog.write_all(b".");
            self.next = now + PET;
        }
    }

    /// It looks after the rest of the way down only; a dog that cannot be sent away restarts a machine that hangs there.
    pub fn release(&mut self) {
        if let Some(mut dog) = self.dog.take() {
            let _ = dog.write_all(b"V");
        }
    }
}
