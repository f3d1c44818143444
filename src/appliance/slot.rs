//! The two slots of the disk, and GRUB's environment block, in which the boot loader and the running system tell each
//! other which slot is good and which is being tried.
//!
//! The loader, before it boots: with `try` set and `tries` above zero it takes one from `tries` and boots the slot of
//! `try`; with none left it forgets `try` and boots the slot of `good`. So nothing has to be done for a slot that does
//! not come up.
//!
//! Invariant: the block keeps its length and its variables stand in its first sector, so that one sector changes when
//! it is overwritten in place: a power cut leaves the old or the new one.

use std::fmt;

/// Length of the block.
pub const BLOCK: usize = 1024;
/// What it begins with.
const HEAD: &[u8] = b"# GRUB Environment Block\n";
/// Variables end before this.
const SECTOR: usize = 512;
/// How often a slot is tried when it has come up once and the machine died then.
const TRIES: u8 = 2;

/// A slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The other one.
    pub const fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }

    /// Its directory, and its name in variables.
    pub const fn name(self) -> &'static str {
        match self {
            Slot::A => "A",
            Slot::B => "B",
        }
    }

    /// The slot of this name.
    pub fn named(name: &str) -> Option<Slot> {
        [Slot::A, Slot::B].into_iter().find(|slot| slot.name() == name)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the block says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Environment {
    /// The slot that is known to be well.
    pub good: Slot,
    /// The slot that is being tried.
    pub trying: Option<Slot>,
    /// How often the loader still boots it.
    pub tries: u8,
    /// It has come up at least once.
    pub reached: bool,
    /// Variables of others, which stay.
    others: Vec<(String, String)>,
}

impl Environment {
    /// Reads a block; what is missing or makes no sense is as in a new one.
    pub fn read(block: &[u8]) -> Environment {
        let mut environment =
            Environment { good: Slot::A, trying: None, tries: 0, reached: false, others: Vec::new() };
        let text = String::from_utf8_lossy(block.strip_prefix(HEAD).unwrap_or_default());
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match name {
                "good" => environment.good = Slot::named(value).unwrap_or(Slot::A),
                "try" => environment.trying = Slot::named(value),
                "tries" => environment.tries = value.parse().unwrap_or(0),
                "reached" => environment.reached = value == "1",
                _ => environment.others.push((name.into(), value.into())),
            }
        }
        environment
    }

    /// The block; `None` when others have left no room.
    pub fn block(&self) -> Option<Vec<u8>> {
        let Environment { good, trying, tries, reached, others } = self;
        let mut bytes = HEAD.to_vec();
        let own = [
            ("good", good.name().to_owned()),
            ("try", trying.map(|slot| slot.name().to_owned()).unwrap_or_default()),
            ("tries", tries.to_string()),
            ("reached", if *reached { "1".into() } else { String::new() }),
        ];
        let others = others.iter().map(|(name, value)| (name.as_str(), value.clone()));
        for (name, value) in own.into_iter().chain(others) {
            bytes.extend(format!("{name}={value}\n").bytes());
        }
        if bytes.len() > SECTOR {
            return None;
        }
        bytes.resize(BLOCK, b'#');
        Some(bytes)
    }

    /// A slot has been filled and shall be tried at the next start.
    pub fn attempt(&mut self, slot: Slot) {
        (self.trying, self.tries, self.reached) = (Some(slot), 1, false);
    }

    /// The slot that is tried has come up. A host that dies now is not its fault: it gets two more tries. True when that is
    /// to be written down.
    pub fn reach(&mut self) -> bool {
        let news = self.trying.is_some() && !self.reached;
        if news {
            (self.tries, self.reached) = (TRIES, true);
        }
        news
    }

    /// The slot that runs is well, and is the one from now on.
    pub fn keep(&mut self, slot: Slot) {
        self.good = slot;
        self.give_up();
    }

    /// Nothing is tried any more.
    pub fn give_up(&mut self) {
        (self.trying, self.tries, self.reached) = (None, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As `vm-images/grub.cfg` does: the slot that is booted.
    fn load(block: &mut Vec<u8>) -> Slot {
        let mut environment = Environment::read(block);
        let slot = match environment.trying {
            Some(slot) if environment.tries > 0 => {
                environment.tries -= 1;
                slot
            }
            Some(_) | None => {
                environment.give_up();
                environment.good
            }
        };
        *block = environment.block().unwrap();
        slot
    }

    fn change(block: &mut Vec<u8>, what: impl FnOnce(&mut Environment)) {
        let mut environment = Environment::read(block);
        what(&mut environment);
        *block = environment.block().unwrap();
    }

    #[test]
    fn a_slot_that_does_not_come_up_is_tried_once() {
        let mut block = Environment::read(b"").block().unwrap();
        change(&mut block, |environment| environment.attempt(Slot::B));
        assert_eq!([load(&mut block), load(&mut block), load(&mut block)], [Slot::B, Slot::A, Slot::A]);
    }

    #[test]
    fn a_slot_that_comes_up_survives_a_host_that_dies_and_is_kept() {
        let mut block = Environment::read(b"").block().unwrap();
        change(&mut block, |environment| environment.attempt(Slot::B));
        let mut boots = 0;
        while load(&mut block) == Slot::B {
            change(&mut block, |environment| assert_eq!(environment.reach(), boots == 0));
            boots += 1;
        }
        assert_eq!(boots, 3, "three tries when it has come up each time and was never well");
        change(&mut block, |environment| environment.attempt(Slot::B));
        assert_eq!(load(&mut block), Slot::B);
        change(&mut block, |environment| environment.keep(Slot::B));
        assert_eq!([load(&mut block), load(&mut block)], [Slot::B, Slot::B]);
    }

    #[test]
    fn the_block_is_grub_s_and_what_others_wrote_stays() {
        let mut block = b"# GRUB Environment Block\nsaved_entry=x\ngood=B\ntry=\n".to_vec();
        block.resize(BLOCK, b'#');
        let environment = Environment::read(&block);
        assert_eq!((environment.good, environment.trying), (Slot::B, None));
        let written = environment.block().unwrap();
        assert_eq!(written.len(), BLOCK);
        assert!(written.starts_with(HEAD) && written[SECTOR..].iter().all(|&byte| byte == b'#'));
        assert_eq!(Environment::read(&written), environment);
        let crowded = format!("# GRUB Environment Block\nx={}\n", "y".repeat(600));
        assert_eq!(Environment::read(crowded.as_bytes()).block(), None);
    }

    proptest! {
        #[test]
        fn any_block_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..1100)) {
            let mut block = HEAD.to_vec();
            block.extend(&bytes);
            Environment::read(&block);
            Environment::read(&bytes);
        }
    }
}
