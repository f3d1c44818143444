//! A thread that gets more of a busy processor than ordinary ones, although the router may favour nobody any more.
//!
//! A nice value goes over to the threads that a thread begins, and to go back to the ordinary one needs no privilege. So
//! the router favours itself while it may, gives its privileges up, begins the thread, and becomes ordinary again.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::sys_precedence;

/// The nice value, negated: whatever keeps the processors busy gets a tenth of what the thread gets, not as much.
const FAVOUR: u8 = 10;

type Work = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// This thread is favoured, and what it begins.
pub struct Favour(());

impl Favour {
    /// Favours the calling thread, while it still may.
    ///
    /// # Errors
    /// When it may not; nothing is lost by that but time on a busy machine.
    pub fn begin() -> io::Result<Favour> {
        sys_precedence::set_nice(-i32::from(FAVOUR)).map(|()| Favour(()))
    }
}

impl Drop for Favour {
    fn drop(&mut self) {
        // Upwards it is always permitted.
        let _ = sys_precedence::set_nice(0);
    }
}

/// The threads that are favoured: what one of them tells the peer of a flow, or hands over to it, must not wait for longer
/// than the packets do that the other one forwards.
pub struct Favourites {
    /// Forwards.
    pub forward: Favoured,
    /// Speaks with the peer's node of its states.
    pub replica: Favoured,
}

impl Favourites {
    /// Begins them.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn start() -> io::Result<Favourites> {
        Ok(Favourites { forward: Favoured::start("forward")?, replica: Favoured::start("replica")? })
    }
}

/// A thread that waits for its work.
pub struct Favoured {
    work: SyncSender<Work>,
    thread: JoinHandle<io::Result<()>>,
}

impl Favoured {
    /// Begins the thread, as favoured as the calling one is.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn start(name: &str) -> io::Result<Favoured> {
        let (work, given) = sync_channel::<Work>(1);
        let thread = std::thread::Builder::new().name(name.into());
        // Whoever is never given work has done all of it.
        let thread = thread.spawn(move || given.recv().map_or(Ok(()), |work| work()))?;
        Ok(Favoured { work, thread })
    }

    /// Gives it its work.
    pub fn run(self, work: impl FnOnce() -> io::Result<()> + Send + 'static) -> JoinHandle<io::Result<()>> {
        // It waits for nothing else.
        let _ = self.work.send(Box::new(work));
        self.thread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own, since a test that may favour nobody has to stay as it is.
    #[test]
    fn what_is_begun_meanwhile_is_favoured_and_nothing_else() {
        let all = std::thread::spawn(|| {
            let favour = Favour::begin();
            let expected = if favour.is_ok() { -i32::from(FAVOUR) } else { 0 };
            let thread = Favoured::start("favoured").unwrap();
            drop(favour);
            assert_eq!(sys_precedence::nice(), 0);
            let favoured = move || {
                assert_eq!(sys_precedence::nice(), expected);
                Err(io::Error::other("done"))
            };
            assert_eq!(thread.run(favoured).join().unwrap().unwrap_err().to_string(), "done");
            Favoured::start("idle").unwrap().run(|| Ok(())).join().unwrap().unwrap();
        });
        all.join().unwrap();
    }
}
