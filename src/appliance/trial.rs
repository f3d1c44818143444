//! The trial of a slot, on the disk: what becomes of GRUB's environment block.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::partition::{self, Mounted};
use super::slot::{BLOCK, Environment, Slot};
use super::speaker::Speaker;
use crate::io::machine::Access;

/// Where the boot partition is mounted while it is worked on.
pub const AT: &str = "/boot";
/// The block in it.
const FILE: &str = "grub/grubenv";

/// The boot partition, mounted.
///
/// # Errors
/// When there is none, or the kernel does not take it.
pub fn mount(access: Access) -> io::Result<Mounted> {
    let volume = partition::find(partition::BOOT).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no disk with a partition {}", partition::BOOT),
        )
    })?;
    Mounted::new(&volume, Path::new(AT), access)
}

/// What the block says, on a boot partition that is mounted there.
///
/// # Errors
/// When it cannot be read.
pub fn read(boot: &Path) -> io::Result<Environment> {
    let mut block = Vec::new();
    OpenOptions::new().read(true).open(boot.join(FILE))?.take(BLOCK as u64).read_to_end(&mut block)?;
    Ok(Environment::read(&block))
}

/// Overwrites the block in place: the loader finds it by its place on the disk.
///
/// # Errors
/// When it cannot be written; the loader's file is never made longer or shorter.
pub fn write(boot: &Path, environment: &Environment) -> io::Result<()> {
    let block =
        environment.block().ok_or_else(|| io::Error::other("the boot loader's variables have no room"))?;
    let mut file = OpenOptions::new().read(true).write(true).open(boot.join(FILE))?;
    if file.metadata()?.len() != BLOCK as u64 {
        return Err(io::Error::other("the boot loader's block has another length"));
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&block)?;
    file.sync_all()
}

/// The slot that is tried has come up.
pub fn reached(speaker: &Speaker) {
    change(speaker, "", |environment| environment.reach());
}

/// This slot is the good one from now on.
pub fn keep(slot: Slot, speaker: &Speaker) {
    change(speaker, &format!("koi: slot {slot} is kept"), |environment| {
        environment.keep(slot);
        true
    });
}

/// The next start is the good slot's again.
pub fn give_up(speaker: &Speaker) {
    change(speaker, "koi: the trial is given up", |environment| {
        environment.give_up();
        true
    });
}

fn change(speaker: &Speaker, done: &str, what: impl FnOnce(&mut Environment) -> bool) {
    let work = || {
        let boot = mount(Access::Write)?;
        let mut environment = read(boot.path())?;
        if what(&mut environment) {
            write(boot.path(), &environment)?;
        }
        io::Result::Ok(())
    };
    match work() {
        Ok(()) if done.is_empty() => {}
        Ok(()) => speaker.say(done),
        Err(error) => speaker.say(&format!("koi: WARNING: the boot partition: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_block_is_overwritten_in_place_and_never_made_anew() {
        let boot = std::env::temp_dir().join(format!("koi-trial-{}", std::process::id()));
        fs::create_dir_all(boot.join("grub")).unwrap();
        let file = boot.join(FILE);
        let mut environment = Environment::read(b"");
        assert!(write(&boot, &environment).is_err(), "there is none");
        fs::write(&file, [b'#'; BLOCK]).unwrap();
        environment.attempt(Slot::B);
        write(&boot, &environment).unwrap();
        assert_eq!(read(&boot).unwrap(), environment);
        assert_eq!(fs::metadata(&file).unwrap().len(), BLOCK as u64);
        fs::write(&file, b"short").unwrap();
        assert!(write(&boot, &environment).is_err());
        let _ = fs::remove_dir_all(&boot);
    }
}
