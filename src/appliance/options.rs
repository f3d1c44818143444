//! What the boot loader tells on the kernel's command line.

use super::slot::Slot;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The slot that runs; `None` when it came from nowhere on this disk.
    pub slot: Option<Slot>,
    /// It is being tried.
    pub on_trial: bool,
    /// The machine has a disk that is waited for.
    pub disk: bool,
}

impl Options {
    /// As the command line says.
    pub fn read(line: &str) -> Options {
        let mut options = Options { slot: None, on_trial: false, disk: true };
        for (name, value) in line.split_whitespace().filter_map(|word| word.split_once('=')) {
            match name {
                "koi.slot" => options.slot = Slot::named(value),
                "koi.try" => options.on_trial = value == "1",
                "koi.disk" => options.disk = value != "none",
                _ => {}
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_loader() {
        let line = "BOOT_IMAGE=/B/vmlinuz rdinit=/init koi.slot=B koi.try=1 console=ttyS0,115200 quiet\n";
        assert_eq!(Options::read(line), Options { slot: Some(Slot::B), on_trial: true, disk: true });
        assert_eq!(Options::read("koi.disk=none"), Options { slot: None, on_trial: false, disk: false });
    }
}
