//! The power button: a key of an input device.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

/// `O_NONBLOCK`.
const NONBLOCKING: i32 = 0o4000;
/// `struct input_event`: two words of time, type and code (u16), value (i32).
const EVENT: usize = 24;
/// `EV_KEY`, `KEY_POWER`, and the value of a key that goes down.
const KEY: u16 = 1;
const POWER: u16 = 116;
const DOWN: i32 = 1;
/// Devices that are listened to.
const DEVICES: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub struct Buttons {
    devices: BTreeMap<String, File>,
}

impl Buttons {
    /// Looks for devices that have such a key.
    pub fn look(&mut self) {
        let entries = fs::read_dir("/sys/class/input").into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        for name in names.filter(|name| name.starts_with("event")) {
            let keys = fs::read_to_string(format!("/sys/class/input/{name}/device/capabilities/key"));
            if self.devices.contains_key(&name)
                || self.devices.len() >= DEVICES
                || !keys.is_ok_and(|text| has(&text))
            {
                continue;
            }
            let file =
                OpenOptions::new().read(true).custom_flags(NONBLOCKING).open(format!("/dev/input/{name}"));
            self.devices.extend(file.ok().map(|file| (name, file)));
        }
    }

    /// Ready to read when a key was pressed, or a device is gone.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.devices.values().map(AsFd::as_fd)
    }

    /// Takes what was pressed: true when it was the button.
    pub fn pressed(&mut self) -> bool {
        let mut pressed = false;
        self.devices.retain(|_, file| {
            let mut bytes = [0; EVENT * 16];
            loop {
                match file.read(&mut bytes) {
                    Ok(0) => return false,
                    Ok(len) => pressed |= bytes[..len].chunks_exact(EVENT).any(is_press),
                    Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
                }
            }
        });
        pressed
    }
}

fn is_press(event: &[u8]) -> bool {
    let short = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
    let value = i32::from_ne_bytes([event[20], event[21], event[22], event[23]]);
    (short(16), short(18), value) == (KEY, POWER, DOWN)
}

/// Is it among the keys? The kernel writes words of 64 bits in hex, the highest first.
fn has(capabilities: &str) -> bool {
    let words: Vec<u64> =
        capabilities.split_whitespace().rev().filter_map(|word| u64::from_str_radix(word, 16).ok()).collect();
    let (word, bit) = (usize::from(POWER) / 64, POWER % 64);
    words.get(word).is_some_and(|word| word >> bit & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_power_button_is_told_from_a_mouse() {
        assert!(has("10000000000000 0\n"), "as ACPI's button has it");
        assert!(!has("70000 0 0 0 0\n") && !has("") && !has("x"));
    }

    #[test]
    fn pressing_counts_and_letting_go_does_not() {
        let event = |kind: u16, code: u16, value: i32| {
            let mut bytes = vec![0; 16];
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(code.to_ne_bytes());
            bytes.extend(value.to_ne_bytes());
            bytes
        };
        assert!(is_press(&event(1, 116, 1)));
        assert!(!is_press(&event(1, 116, 0)) && !is_press(&event(1, 30, 1)) && !is_press(&event(0, 0, 0)));
    }
}
