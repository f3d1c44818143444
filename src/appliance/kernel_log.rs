//! What the kernel warns of, for the log: it is gone with the memory otherwise.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

/// `O_NONBLOCK`.
const NONBLOCKING: i32 = 0o4000;
/// Records of this level and those that are worse (`KERN_WARNING`).
const LEVEL: u32 = 4;
/// Records taken in one call, so that a storm of them keeps nobody from anything.
const RECORDS: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct KernelLog(Option<File>);

impl KernelLog {
    /// From the first record on that the kernel still has.
    pub fn open() -> KernelLog {
        KernelLog(OpenOptions::new().read(true).custom_flags(NONBLOCKING).open("/dev/kmsg").ok())
    }

    /// Ready to read when the kernel has said something.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// What it has warned of since.
    pub fn take(&mut self) -> Vec<String> {
        let Some(file) = &mut self.0 else { return Vec::new() };
        let mut warnings = Vec::new();
        let mut record = [0; 8192];
        for _ in 0..RECORDS {
            match file.read(&mut record) {
                Ok(0) => break,
                Ok(len) => warnings.extend(warning(&String::from_utf8_lossy(&record[..len]))),
                // EPIPE: records were overwritten before they were read; the next one is there.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
                Err(_) => break,
            }
        }
        warnings
    }
}

/// `level,number,time,flags;text`, and lines that say more about the device.
fn warning(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let level: u32 = head.split(',').next()?.parse().ok()?;
    let text = text.lines().next()?.trim();
    (level & 7 <= LEVEL && !text.is_empty()).then(|| format!("kernel: WARN {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_kept_and_the_rest_is_not() {
        let oom = "3,1234,5678,-;Out of memory: Killed process 99\n SUBSYSTEM=x\n";
        assert_eq!(warning(oom).as_deref(), Some("kernel: WARN Out of memory: Killed process 99"));
        assert_eq!(warning("6,1,2,-;eth0: link becomes ready\n"), None);
        assert_eq!(
            warning("12,1,2,-;written by somebody\n").as_deref(),
            Some("kernel: WARN written by somebody")
        );
        assert!(warning("").is_none() && warning("x;y").is_none() && warning("4,1,2,-;").is_none());
    }
}
