//! A line from the terminal that nobody sees.

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::AsRawFd;

/// Asks on the terminal and reads a line without showing it.
///
/// # Errors
/// When standard input is no terminal, or has ended.
pub fn read_hidden(prompt: &str) -> io::Result<String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "there is no terminal to type a password on"));
    }
    eprint!("{prompt}");
    io::stderr().flush()?;
    let hidden = Hidden::new(input.as_raw_fd())?;
    let mut line = String::new();
    let count = input.lock().read_line(&mut line)?;
    drop(hidden);
    eprintln!();
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The terminal does not show what is typed while this lives.
struct Hidden {
    fd: i32,
    before: libc::termios,
}

impl Hidden {
    fn new(fd: i32) -> io::Result<Hidden> {
        // SAFETY: all-zero bytes are a valid `termios`, and the call fills it in.
        let mut before: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: `before` is a `termios` that outlives the call.
        if unsafe { libc::tcgetattr(fd, &raw mut before) } == -1 {
            return Err(io::Error::last_os_error());
        }
        let mut quiet = before;
        quiet.c_lflag &= !libc::ECHO;
        // SAFETY: `quiet` is a valid `termios`: the terminal's own with one bit less.
        if unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, &raw const quiet) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(Hidden { fd, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // SAFETY: `before` is what the terminal itself gave us. A terminal that is gone shows nothing anyway.
        unsafe { libc::tcsetattr(self.fd, libc::TCSAFLUSH, &raw const self.before) };
    }
}
