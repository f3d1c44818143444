//! A file that is begun anew when it is full: older ones have a number behind their name, and the last one goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The files of one name in a directory; opened when there is something to write.
#[derive(Debug)]
pub struct Rotated {
    directory: PathBuf,
    name: &'static str,
    file: Option<File>,
    size: u64,
}

impl Rotated {
    /// Nothing is opened yet.
    pub fn new(directory: &Path, name: &'static str) -> Self {
        Rotated { directory: directory.into(), name, file: None, size: 0 }
    }

    /// Writes behind what is there; `limit` bytes are in a file, unless this alone has more, and `count` files there are.
    ///
    /// # Errors
    /// When the disk does not take it; the next attempt opens the file anew.
    pub fn append(&mut self, text: &[u8], limit: u64, count: u8) -> io::Result<()> {
        let written = self.write(text, limit, count);
        if written.is_err() {
            self.file = None;
        }
        written
    }

    /// What was written is on the disk when this returns. A disk that is gone is noticed by the next line.
    pub fn flush(&self) {
        let _ = self.file.as_ref().map(File::sync_data);
    }

    /// So much goes into the present file.
    pub fn fits(&self, len: usize, limit: u64) -> bool {
        self.size == 0 || self.size + len as u64 <= limit
    }

    /// The file is open.
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Lets go of the file.
    pub fn close(&mut self) {
        let _ = self.file.take().map(|file| file.sync_all());
    }

    fn write(&mut self, text: &[u8], limit: u64, count: u8) -> io::Result<()> {
        if !self.fits(text.len(), limit) {
            self.file = None;
            self.turn(count)?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            empty @ None => {
                let path = self.directory.join(self.name);
                let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
                self.size = file.metadata()?.len();
                empty.insert(file)
            }
        };
        file.write_all(text)?;
        self.size += text.len() as u64;
        Ok(())
    }

    /// Each file takes the next number; the last one goes.
    fn turn(&mut self, count: u8) -> io::Result<()> {
        let path = |number: u8| path(&self.directory, self.name, number);
        // Also those of a time in which more were kept.
        let beyond = (count..u8::MAX).map(path).take_while(|path| path.exists());
        beyond.chain([path(count - 1)]).try_for_each(|path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        })?;
        for number in (0..count - 1).rev() {
            match fs::rename(path(number), path(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        self.size = 0;
        Ok(())
    }
}

/// Where the file of this age is; the present one has no number.
pub fn path(directory: &Path, name: &str, number: u8) -> PathBuf {
    match number {
        0 => directory.join(name),
        number => directory.join(format!("{name}.{number}")),
    }
}

/// The present file and the one before it, in order.
pub fn read_latest(directory: &Path, name: &str) -> String {
    let read = |number| fs::read(path(directory, name, number)).unwrap_or_default();
    String::from_utf8_lossy(&[read(1), read(0)].concat()).into_owned()
}
