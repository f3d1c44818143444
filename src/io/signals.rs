//! The signals that ask a command to end.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use super::sys::{self, PollEntry};
use super::sys_process;

/// They interrupt nothing any more; they are waited for.
pub struct Signals(File);

/// An interrupt from the terminal does not end this process; it ends those that it starts.
///
/// # Errors
/// When the kernel refuses.
pub fn ignore_interrupts() -> io::Result<()> {
    sys_process::ignore_signals(&[libc::SIGINT])
}

impl Signals {
    /// SIGINT, SIGTERM and SIGHUP, in this thread and those that it starts from now on.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn ends() -> io::Result<Signals> {
        sys_process::signal_descriptor(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP]).map(Signals)
    }

    /// Returns when one has arrived.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn wait(&self) -> io::Result<()> {
        while sys::poll(&mut [PollEntry::readable(self.0.as_fd())], None)? == 0 {}
        Ok(())
    }
}
